"""Errors of the arguments name the command, have podrunner's words, and quote no argument at length."""

from __future__ import annotations

import sys

import pytest
from podrunner.cli.app import app
from podrunner.cli.failures import guarded, shortened

LONG = "x" * 5_000
CUT = f"{'x' * 100}…{'x' * 100}"


def _said(*words: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setattr(sys, "argv", ["podrunner", *words])
    with pytest.raises(SystemExit) as end:
        guarded(lambda: app([*words], prog_name="podrunner", standalone_mode=False))
    assert end.value.code == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    return line.removeprefix("podrunner: ").rstrip("\n")


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["bench", "--pods", "x"], "bench: invalid value for '--pods': it must be a whole number"),
        (["bench", "--pods", "0"], "bench: invalid value for '--pods': it must be at least 1"),
        (["bench", "--running", "x"], "bench: invalid value for '--running': it must be a number"),
        (["bench", "--running", "nan"], "bench: invalid value for '--running': it must be a finite number"),
        (
            ["logs", "x", "--tail", "9" * 20],
            "logs: invalid value for '--tail': it must be at most 2147483647",
        ),
        (["run", "--retries", "9999", "x"], "run: invalid value for '--retries': it must be at most 1000"),
        (["local", "up", "--port", "x"], "local up: invalid value for '--port': it must be a whole number"),
    ],
)
def test_a_value_that_is_wrong_is_said_in_our_words(words, line, monkeypatch, capsys) -> None:
    said = _said(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert said.startswith(line)


@pytest.mark.parametrize(
    ("words", "command"),
    [
        (["get", "--namespace"], "get"),
        (["run", "--timeout"], "run"),
        (["local", "up", "--port"], "local up"),
        (["config", "check", "--strict=yes"], "config check"),
    ],
)
def test_an_option_without_its_value_is_that_of_a_command(words, command, monkeypatch, capsys) -> None:
    said = _said(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert said.startswith(f"{command}: option '")
    assert said.endswith(f"(see podrunner {command} --help)")


@pytest.mark.parametrize(
    "words",
    [
        ["get", "--kubeconfig", ""],
        ["get", "--kubeconfig="],
        ["run", "--config", "", "--", "echo", ""],
        ["timeline", ""],
        ["timeline", "--html", ""],
        ["config", "check", ""],
    ],
)
def test_an_empty_path_is_refused_as_such(words, monkeypatch, capsys) -> None:
    """It is not the working directory."""
    said = _said(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert ": it must not be empty (see podrunner " in said


def test_the_working_directory_beside_an_empty_word_is_itself(monkeypatch, capsys) -> None:
    with pytest.raises(SystemExit):
        guarded(lambda: app(["get", "--kubeconfig", ".", ""], prog_name="podrunner", standalone_mode=False))
    assert "Is a directory" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words", [["get", f"--{LONG}"], ["get", "-o", LONG], ["get", f"--output={LONG}"], [LONG]]
)
def test_a_long_argument_is_cut_in_the_middle(words, monkeypatch, capsys) -> None:
    said = _said(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert len(said) < 500
    assert "…" in said


def test_what_is_no_argument_is_whole_however_long() -> None:
    """Such as what a server answers."""
    assert shortened(f"{LONG}y", ["y"]) == f"{LONG}y"
    assert shortened(f"no pod {LONG}", [LONG]) == f"no pod {CUT}"
    assert shortened(f"no pod {LONG}", [f"--name={LONG}"]) == f"no pod {CUT}"
    assert shortened("no pod a" + r"\n" * 999, ["a" + "\n" * 999], ellipsis="~").count("~") == 1

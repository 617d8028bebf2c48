"""What a shell completes, and that it says nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
import yaml
from podrunner.cli.app import app
from podrunner.cli.completing import completed, may_name_pod, pod_words
from podrunner.cli.contexts import context_words
from tests.support.pods import pod
from tests.support.shown_pods import keyed
from typer.testing import CliRunner

PODS = [
    keyed(pod(), {"run": "report"}, name="report-1f00"),
    keyed(pod(), {"dag_id": "etl", "task_id": "load"}, name="etl-load-2f00"),
]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("", ["@latest", "report", "report-1f00", "etl-load-2f00"]),
        ("re", ["report", "report-1f00"]),
        ("etl", ["etl-load-2f00"]),
        ("@", ["@latest"]),
        ("none", []),
    ],
)
def test_words_that_name_pods(typed, words) -> None:
    """Not those in which bash would break a word."""
    assert completed(PODS, typed) == words


@pytest.mark.parametrize(
    ("typed", "expected"),
    [("re", True), ("@la", True), ("", False), ("./re", False), ("data/re", False), ("report:/t", False)],
)
def test_the_shell_completes_files_of_cp_itself(typed, expected) -> None:
    """So it gets no words for a path of this machine, for one in a pod, and while nothing is typed."""
    assert may_name_pod(typed) is expected


@pytest.mark.parametrize("place", ["source", "target"])
def test_both_places_of_cp_are_completed(place, monkeypatch) -> None:
    monkeypatch.setattr("podrunner.cli.completing.pod_words", lambda _, typed: completed(PODS, typed))
    command: Any = typer.main.get_command(app)
    cp = command.commands["cp"]
    (argument,) = (each for each in cp.params if each.name == place)
    found = argument.shell_complete(cp.make_context("cp", [], resilient_parsing=True), "re")
    assert [each.value for each in found] == ["report", "report-1f00"]


def complete(line: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Ask as bash's function does."""
    words = f"podrunner {line}"
    asked = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PODRUNNER_")},
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split(" ")) - 1),
        "_PODRUNNER_COMPLETE": "complete_bash",
        **environ,
    }
    return subprocess.run(
        [sys.executable, "-m", "podrunner"],
        env=asked,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


@pytest.fixture
def kubeconfig(tmp_path) -> str:
    """A kubeconfig with two contexts, whose server is not there."""
    contexts = [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("staging", "stable")]
    document = {
        "current-context": "staging",
        "contexts": contexts,
        "clusters": [{"name": "c", "cluster": {"server": "https://127.0.0.1:9"}}],
        "users": [{"name": "u", "user": {}}],
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(document))
    return str(path)


def test_contexts_of_the_kubeconfig(kubeconfig, monkeypatch) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    assert context_words(_typed(), "st") == ["staging", "stable"]
    monkeypatch.setenv("KUBECONFIG", "/none")
    assert context_words(_typed(), "") == []
    assert context_words(_typed(kubeconfig=Path(kubeconfig)), "sta") == ["staging", "stable"]
    assert context_words(_typed(kubeconfig=Path(kubeconfig)), "stag") == ["staging"]


def _typed(**params: object) -> Any:
    """The options that were typed so far."""
    return SimpleNamespace(params=params)


def test_a_cluster_that_cannot_be_asked_completes_nothing(kubeconfig, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("KUBECONFIG", kubeconfig)
    broken = tmp_path / "broken.toml"
    broken.write_text("nonsense")
    for typed in (_typed(), _typed(config=broken), _typed(context="none"), _typed(namespace="Not a name")):
        assert pod_words(typed, "") == []


def test_a_shell_gets_words_and_nothing_else(kubeconfig, tmp_path) -> None:
    """Warnings of the configuration would be written into the line that is typed."""
    odd = tmp_path / "airflow.cfg"
    odd.write_text("[kubernetes]\nno_such_option = 1\n")
    ended = complete(f"delete --config {odd} ", KUBECONFIG=kubeconfig)
    assert (ended.returncode, ended.stdout.strip(), ended.stderr) == (0, "", "")
    assert complete("get --context st", KUBECONFIG=kubeconfig).stdout.split() == ["staging", "stable"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(shell) -> None:
    said = CliRunner().invoke(app, ["completion", shell])
    assert said.exit_code == 0
    assert f"complete_{shell}" in said.stdout
    assert "_PODRUNNER_COMPLETE" in said.stdout

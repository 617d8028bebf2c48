"""``podrunner diff``: the pods of two configurations, without their credentials."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podrunner.cli.app import app
from podrunner.cli.compared import coloured
from typer.testing import CliRunner

BEFORE = """
image = "app:1"
[env]
MODE = "a"
API_TOKEN = "token-in-plain-text"
URL = "https://user:first-password@host/"
[credentials]
DB = "first-password"
SAME = "same-password"
"""


@pytest.fixture
def configs(tmp_path):
    """Write two configurations; returns their paths."""

    def write(**changes: str) -> tuple[str, str]:
        paths = tmp_path / "a.toml", tmp_path / "b.toml"
        after = BEFORE
        for old, new in changes.items():
            after = after.replace(old.replace("_", "-"), new)
        for path, text in zip(paths, (BEFORE, after), strict=True):
            path.write_text(text)
        return str(paths[0]), str(paths[1])

    return write


def diff(*arguments: str):
    return CliRunner().invoke(app, ["diff", *arguments])


def test_equal_pods_are_no_difference(configs) -> None:
    ended = diff(*configs())
    assert (ended.exit_code, ended.stdout) == (0, "")
    document = json.loads(diff(*configs(), "--json").stdout)
    assert (document["equal"], document["diff"]) == (True, [])


def test_what_differs_is_shown_with_lines_around_it(configs) -> None:
    a, b = configs(**{"app:1": "app:2"})
    ended = diff(a, b, "-U", "0")
    lines = ended.stdout.splitlines()
    assert ended.exit_code == 1
    assert lines[:2] == [f"--- {a}", f"+++ {b}"]
    assert [line.strip() for line in lines[3:]] == ["-    image: app:1", "+    image: app:2"]
    document = json.loads(diff(a, b, "-U", "0", "--json").stdout)
    assert (document["equal"], document["diff"]) == (False, lines)


def test_another_namespace_is_a_difference(configs) -> None:
    """The pods go elsewhere, also if nothing else of them changes; a file that names none means "default"."""
    a, b = configs(**{'image = "app:1"': 'image = "app:1"\nnamespace = "jobs"'})
    ended = diff(a, b, "-U", "0")
    assert ended.exit_code == 1
    changed = [line for line in ended.stdout.splitlines()[2:] if not line.startswith("@@")]
    assert [" ".join(line.split()) for line in changed] == ["- namespace: default", "+ namespace: jobs"]
    assert json.loads(diff(a, b, "--json").stdout)["equal"] is False


def test_credentials_are_hidden_and_their_difference_is_not(configs) -> None:
    a, b = configs(**{"first-password": "other-password"})
    ended = diff(a, b, "-U", "99")
    assert ended.exit_code == 1
    assert not any(word in ended.stdout for word in ("password", "token-in", "Zmlyc3", "b3RoZX", "c2FtZS"))
    changed = [line for line in ended.stdout.splitlines() if line.startswith(("-  DB", "+  DB"))]
    assert len(set(changed)) == 2
    assert all("<hidden" in line for line in changed)


def test_a_difference_in_a_hidden_part_of_a_text_is_said(configs, tmp_path) -> None:
    a, b = configs()
    for path, word in ((a, "one-password"), (b, "two-password")):
        Path(path).write_text(f'image = "x"\n[env]\nURL = "https://user:{word}@host/"\n')
    ended = diff(a, b)
    assert (ended.exit_code, "password" in ended.stdout) == (1, False)
    assert "hidden" in ended.stdout


def test_a_workload_and_a_configuration_without_an_image(tmp_path) -> None:
    empty, workload = tmp_path / "empty.toml", tmp_path / "workload.json"
    empty.write_text("")
    workload.write_text(json.dumps({"key": {"of": "test"}, "image": "its-own", "command": ["true"]}))
    assert diff(str(empty), str(empty)).exit_code == 0
    labelled = tmp_path / "labelled.toml"
    labelled.write_text('labels = { team = "a" }\n')
    shown = diff(str(empty), str(labelled), "--workload", str(workload), "-U", "99")
    assert (shown.exit_code, "image: its-own" in shown.stdout, "+    team: a" in shown.stdout) == (
        1,
        True,
        True,
    )


def test_lines_have_their_colours() -> None:
    lines = ["--- a", "+++ b", "@@ -1 +1 @@", "-old", "+new", " same"]
    assert [coloured(line).split("m")[0].removeprefix("\x1b[") for line in lines[:5]] == [
        "1",
        "1",
        "36",
        "31",
        "32",
    ]
    assert coloured(lines[5]) == " same"

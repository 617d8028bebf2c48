"""`podrunner logs` of what was collected: the files of a log folder, and a worker's log server."""

from __future__ import annotations

import pytest
import respx
from podrunner import errors
from podrunner.cli.app import app
from podrunner.logs.segments import compress_segment, rotate
from typer.testing import CliRunner


@pytest.fixture
def logs(tmp_path, monkeypatch):
    monkeypatch.setenv("PODRUNNER_LOGS__FOLDER", str(tmp_path))
    path = tmp_path / "dag" / "1.log"
    path.parent.mkdir()
    path.write_text("one\n")
    rotate(path)
    path.write_text("two\nthree\r\n")
    return path


def run(*arguments: str):
    return CliRunner().invoke(app, ["logs", *arguments], catch_exceptions=True)


def test_a_collected_log_is_printed_under_its_heading(logs) -> None:
    shown = run("dag/1.log")
    assert (shown.exit_code, shown.stdout_bytes) == (
        0,
        f"*** Reading local file: {logs}\none\ntwo\nthree\r\n".encode(),
    )


def test_a_tail_of_it_crosses_its_parts(logs) -> None:
    compress_segment(logs, 1)
    assert run("--tail", "3", "dag/1.log").stdout_bytes.endswith(b".log\none\ntwo\nthree\r\n")
    assert run("--tail", "1", "dag/1.log").stdout_bytes.endswith(b".log\nthree\r\n")


def test_following_a_finished_file_ends(logs) -> None:
    assert run("--follow", "dag/1.log").stdout_bytes.endswith(b"three\r\n")


def test_output_writes_the_log_alone_and_says_where_it_was(logs, tmp_path) -> None:
    copy = tmp_path / "copy"
    shown = run("dag/1.log", "--output", str(copy))
    assert shown.exit_code == 0
    assert shown.stdout == ""
    assert shown.stderr == f"*** Reading local file: {logs}\n"
    assert copy.read_bytes() == b"one\ntwo\nthree\r\n"


@pytest.mark.parametrize("words", [["--follow", "--output", "x"], ["--follow", "--tail", "1"]])
def test_what_cannot_be_meant_together_is_refused(logs, words) -> None:
    assert isinstance(run("dag/1.log", *words).exception, errors.UsageError)


def test_a_log_that_is_not_here_is_asked_of_the_workers_server(logs, monkeypatch) -> None:
    monkeypatch.setenv("PODRUNNER_LOGS__SERVER_URL", "http://{host}:8793/log/{path}")
    with respx.mock as web:
        web.get("http://worker-1:8793/log/dag/2.log").respond(content=b"far away\n")
        shown = run("dag/2.log", "--host", "worker-1")
    assert shown.stdout == "*** Fetching from: http://worker-1:8793/log/dag/2.log\nfar away\n"


def test_a_log_that_is_nowhere_is_an_error(logs) -> None:
    assert isinstance(run("dag/3.log").exception, errors.LogError)

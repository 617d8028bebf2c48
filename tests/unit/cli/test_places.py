"""The two places of ``podrunner cp``, and how far a transfer is."""

from __future__ import annotations

import io
import itertools

import pytest
from podrunner.cli.copy import Remote, read_places
from podrunner.cli.meter import meter, shown_size
from podrunner.errors import UsageError


@pytest.mark.parametrize(
    ("word", "place"),
    [
        ("web:/etc/hosts", Remote("web", "/etc/hosts")),
        ("@latest:out", Remote("@latest", "out")),
        ("dag_id=etl,task_id=load#2:/a:b", Remote("dag_id=etl,task_id=load#2", "/a:b")),
    ],
)
def test_a_place_in_a_pod(word, place) -> None:
    assert read_places(word, "here") == (place, "here")
    assert read_places("./with:colon", word) == ("./with:colon", place)


@pytest.mark.parametrize(
    "words", [("a", "b"), ("a:/x", "b:/y"), (":/x", "b"), ("a:", "b"), ("-", "-"), ("./a:b", "/c:d")]
)
def test_any_other_pair_is_refused(words) -> None:
    with pytest.raises(UsageError, match="POD:PATH"):
        read_places(*words)


@pytest.mark.parametrize(
    ("path", "name", "command"),
    [
        ("/var/log/app", "app", ["-C", "/var/log", "./app"]),
        ("/var/log/", "log", ["-C", "/var", "./log"]),
        ("/top", "top", ["-C", "/", "./top"]),
        ("out", "out", ["-C", ".", "./out"]),
        ("-v", "-v", ["-C", ".", "./-v"]),
        ("a b/c d", "c d", ["-C", "a b", "./c d"]),
        ("/var/log/.", "", ["-C", "/var/log/.", "."]),
        ("/", "", ["-C", "/", "."]),
        (".", "", ["-C", ".", "."]),
        ("..", "", ["-C", "..", "."]),
    ],
)
def test_what_tar_is_asked_for(path, name, command) -> None:
    remote = Remote("web", path)
    assert (remote.name, remote.archive_command()) == (name, ["tar", "cf", "-", *command])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_shows_bytes_and_rate_and_is_cleared_at_the_end(monkeypatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    terminal, ticks = _Terminal(), itertools.count()
    with meter(terminal, now=lambda: float(next(ticks))) as passed:
        passed(3 * 1024 * 1024)
    assert terminal.getvalue() == "\r\x1b[K3.0 MiB  1.5 MiB/s\r\x1b[K"


def test_a_pipe_shows_nothing() -> None:
    pipe = io.StringIO()
    with meter(pipe) as passed:
        passed(1)
    assert pipe.getvalue() == ""


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1024**5 * 3000, "3072000.0 TiB")]
)
def test_sizes_for_people(count, shown) -> None:
    assert shown_size(count) == shown

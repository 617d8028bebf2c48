"""The logs of several pods come by whole lines, each behind the name of its pod."""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager

import anyio
import anyio.lowlevel
import pytest
from podrunner.cli.interleaved import InterleavedLogs, Prefixes, prefix_of
from podrunner.cli.naming import identity_of
from podrunner.cli.screen import shows_colour, table_width
from podrunner.config import RunnerConfig
from podrunner.errors import BadRequestError, LogError, NotFoundError
from podrunner.kube.wire import PodPage
from tests.support.pods import pod, runs
from tests.support.shown_pods import OOM, keyed

ONE = keyed(pod("Running", runs("base")), {"run": "one"})
SECOND = keyed(pod("Running", runs("base")), {"run": "second"}, attempt=2)
STAMP = b"2026-01-01T00:00:01.000000000Z "


class _Batches:
    """Gives bytes in pieces, with a turn for the other logs after each."""

    def __init__(self, pieces: list[bytes]) -> None:
        self._pieces = iter(pieces)

    def __aiter__(self):
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        for piece in self._pieces:
            return piece
        raise StopAsyncIteration


class _Server:
    def __init__(self, logs: dict[str, list[bytes] | Exception]) -> None:
        self._logs = logs
        self.options: list[dict[str, object]] = []

    async def list_pods(self, namespace, *, label_selector):
        return PodPage(items=[ONE, SECOND] if len(self._logs) == 2 else [], resource_version="1")

    async def read_pod(self, namespace, name):
        raise NotFoundError(status=404)

    @asynccontextmanager
    async def stream_log(self, namespace, name, **options):
        self.options.append(options)
        found = self._logs[name]
        if isinstance(found, Exception):
            raise found
        yield _Batches(found)


def _reading(*, prefix: bool = True, as_json: bool = False, **options) -> InterleavedLogs:
    settings = {"container": None, "follow": False, "tail": None, "since": None, "timestamps": False}
    reading = InterleavedLogs(RunnerConfig(namespace="default"), "default", **{**settings, **options})
    reading.prints(prefix=prefix, as_json=as_json)
    return reading


LOGS: dict[str, list[bytes] | Exception] = {
    ONE.metadata.name: [STAMP + b"a", b"lpha\n" + STAMP + b"beta\n"],
    SECOND.metadata.name: [STAMP + b"gam", b"ma\n" + STAMP + b"del", b"ta"],
}


@pytest.mark.anyio
async def test_lines_are_whole_and_named(capsysbinary) -> None:
    await _reading().show(_Server(LOGS), [], selector="x")
    lines = capsysbinary.readouterr().out.decode().splitlines()
    assert sorted(lines) == ["one      | alpha", "one      | beta", "second#2 | delta", "second#2 | gamma"]


@pytest.mark.anyio
async def test_names_can_be_left_out(capsysbinary) -> None:
    await _reading(prefix=False).show(_Server(LOGS), [], selector="x")
    assert sorted(capsysbinary.readouterr().out.splitlines()) == [b"alpha", b"beta", b"delta", b"gamma"]


@pytest.mark.anyio
async def test_each_line_is_a_json_document(capsysbinary) -> None:
    await _reading(as_json=True).show(_Server(LOGS), ["second"], selector="")
    documents = [json.loads(line) for line in capsysbinary.readouterr().out.splitlines()]
    assert documents[0] == {"key": "second", "attempt": 2, "pod": SECOND.metadata.name, "line": "gamma"}


@pytest.mark.anyio
async def test_the_last_lines_and_a_time_are_asked_of_the_node(capsysbinary) -> None:
    server = _Server(LOGS)
    await _reading(tail=5, since="2026-01-01T00:00:00Z").show(server, ["one"], selector="")
    assert server.options[0]["tail_lines"] == 5
    assert server.options[0]["since_time"] == "2026-01-01T00:00:00Z"


WAITS = BadRequestError(status=400, server_message="container is waiting to start")


@pytest.mark.anyio
async def test_one_log_that_cannot_be_read_does_not_hold_up_the_others(capsysbinary) -> None:
    """Of pods that were selected, one that has not begun is no error of the command."""
    await _reading().show(_Server({**LOGS, SECOND.metadata.name: WAITS}), [], selector="x")
    out, err = capsysbinary.readouterr()
    assert out.splitlines() == [b"one      | alpha", b"one      | beta"]
    assert b"podrunner: second#2: " in err
    assert b"waiting to start" in err


@pytest.mark.anyio
async def test_a_log_that_was_named_and_cannot_be_read_is_an_error(capsysbinary) -> None:
    with pytest.raises(LogError, match="waiting to start"):
        await _reading().show(_Server({**LOGS, ONE.metadata.name: WAITS}), ["one", "second"], selector="")
    assert b"second#2 | gamma" in capsysbinary.readouterr().out


@pytest.mark.anyio
async def test_no_pods_are_said_to_be_none(capsysbinary) -> None:
    await _reading().show(_Server({}), [], selector="x")
    assert capsysbinary.readouterr().err == b"No resources found in default namespace.\n"


def test_each_pod_has_a_colour_and_one_pod_keeps_its_own() -> None:
    prefixes = Prefixes(colour=True)
    for text in ("one", "second#2"):
        prefixes.add(text)
    assert prefixes.before("one") == "\x1b[36mone      | \x1b[0m"
    assert prefixes.before("second#2") == "\x1b[33msecond#2 | \x1b[0m"


def test_a_long_key_keeps_its_ends_and_its_attempt() -> None:
    assert prefix_of(identity_of(OOM)).endswith("task_id=join#2")
    assert len(prefix_of(identity_of(OOM))) == 32


class _Terminal:
    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "colour"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True), ({"TERM": "dumb"}, False)],
)
def test_colours_are_for_terminals_that_want_them(monkeypatch, variables, colour) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert shows_colour(_Terminal()) is colour


def test_a_pipe_gets_whole_lines_unless_columns_are_set(monkeypatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert not sys.stdout.isatty()
    assert table_width(sys.stdout) is None
    monkeypatch.setenv("COLUMNS", "77")
    assert table_width(sys.stdout) == 77


@pytest.mark.anyio
async def test_a_line_on_a_terminal_neither_covers_its_prefix_nor_colours_another_line(
    capsysbinary, monkeypatch
) -> None:
    monkeypatch.setattr("podrunner.cli.interleaved.is_terminal", lambda stream: True)
    log = [STAMP + b"\x1b[31mred\n", STAMP + b"\rother | lie\x1b[1A\n", STAMP + b"dos\r\n"]
    await _reading().show(_Server({**LOGS, ONE.metadata.name: log}), [], selector="x")
    lines = capsysbinary.readouterr().out.splitlines()
    assert [line.removeprefix(b"one      | ") for line in lines if line.startswith(b"one")] == [
        b"\x1b[31mred\x1b[0m",
        b"^Mother | lie^[[1A",
        b"dos",
    ]

"""Commands watch pods over broken connections, for a bounded number of failures."""

from __future__ import annotations

from contextlib import asynccontextmanager

import anyio
import pytest
from podrunner.cli import watching
from podrunner.cli.watching import PodChange, PodWatching
from podrunner.errors import ForbiddenError, TransportError
from podrunner.kube.wire import PodPage, WatchEvent
from tests.support.event_loops import both_in_virtual_time
from tests.support.shown_pods import FAILED, RUNNING

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time


class _Server:
    """Plays a script: of each list, its pods or an error; of each watch, its events or an error."""

    def __init__(self, *script) -> None:
        self._script = list(script)

    def _next(self):
        found = self._script.pop(0) if self._script else ForbiddenError(status=403)
        if isinstance(found, Exception):
            raise found
        return found

    async def list_pods(self, namespace, *, label_selector):
        return PodPage(items=self._next(), resource_version="1")

    @asynccontextmanager
    async def watch_pods(self, namespace, **options):
        events = self._next()

        yield _Stream(events)


class _Stream:
    """Each event as a batch."""

    def __init__(self, events) -> None:
        self._events = iter(events)

    def __aiter__(self):
        return self

    async def __anext__(self):
        for event in self._events:
            return [event]
        raise StopAsyncIteration


async def _seen(server: _Server, *, attempts: int = 3) -> tuple[list[PodChange], Exception]:
    seen: list[PodChange] = []

    async def note(change: PodChange) -> None:
        seen.append(change)

    run = PodWatching(server, "jobs", selector="", attempts=attempts, on_change=note).run
    with pytest.raises((ForbiddenError, TransportError)) as raised, anyio.fail_after(5):
        await run()
    return seen, raised.value


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch) -> None:
    monkeypatch.setattr(watching, "_FIRST_WAIT_S", 0.0)


BROKEN = TransportError("connection reset")


async def test_a_list_is_followed_by_changes_and_another_list_when_the_watch_ends() -> None:
    events = [WatchEvent("MODIFIED", FAILED), WatchEvent("BOOKMARK"), WatchEvent("DELETED", FAILED)]
    seen, _ = await _seen(_Server([RUNNING, FAILED], events, [RUNNING]))
    assert seen == [
        PodChange((RUNNING, FAILED), is_list=True),
        PodChange((FAILED,)),
        PodChange((FAILED,), is_gone=True),
        PodChange((RUNNING,), is_list=True),
    ]


async def test_an_error_event_begins_anew_with_a_list() -> None:
    seen, _ = await _seen(_Server([RUNNING], [WatchEvent("ERROR"), WatchEvent("MODIFIED", FAILED)], [FAILED]))
    assert [change.pods for change in seen] == [(RUNNING,), (FAILED,)]


async def test_a_broken_connection_is_said_and_tried_again() -> None:
    seen, error = await _seen(_Server([RUNNING], BROKEN, [FAILED]))
    assert [change.trouble for change in seen] == ["", "connection reset", ""]
    assert isinstance(error, ForbiddenError)


async def test_failures_in_a_row_are_bounded() -> None:
    seen, error = await _seen(_Server([RUNNING], BROKEN, BROKEN, BROKEN, [RUNNING]), attempts=3)
    assert error is BROKEN
    assert len(seen) == 3


async def test_failures_in_a_row_without_a_bound_go_on(monkeypatch) -> None:
    monkeypatch.setattr(watching, "_LONGEST_WAIT_S", 0.0)
    monkeypatch.setattr(watching, "_FIRST_WAIT_S", 1.0)
    seen, error = await _seen(_Server([RUNNING], *[BROKEN] * 1_100), attempts=0)
    assert isinstance(error, ForbiddenError)
    assert len(seen) == 1_101


async def test_a_first_list_that_fails_is_the_commands_error() -> None:
    seen, error = await _seen(_Server(BROKEN))
    assert (seen, error) == ([], BROKEN)


async def test_a_refusal_is_not_tried_again() -> None:
    seen, error = await _seen(_Server([RUNNING], ForbiddenError(status=403), [RUNNING]))
    assert isinstance(error, ForbiddenError)
    assert len(seen) == 1


async def test_trouble_is_one_line_whatever_the_server_says() -> None:
    """K4: a proxy's answer has lines of its own."""
    seen, _ = await _seen(_Server([RUNNING], TransportError("bad\ngate\x1b[2Jway"), [RUNNING]))
    assert [change.trouble for change in seen if change.trouble] == ["bad gate\\x1b[2Jway"]

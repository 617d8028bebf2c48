"""What a watch must bring to count as alive, and what follows when it does not."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from podrunner.errors import TransportError
from podrunner.kube import AnswerTooLongError
from podrunner.watch import Kind
from tests.support.fake_server import JSON, FakeServer
from tests.unit.watch.harness import Watched, soon, watching

if TYPE_CHECKING:
    from podrunner.kube import Request, Response, ResponseStream

pytestmark = pytest.mark.anyio

STALE_AFTER_S = 2.0
CHECK_S = 0.25


class Untrue:
    """A watch connection, with 200, whose body is what a test says."""

    status = 200
    headers: Mapping[str, str] = JSON

    def __init__(
        self, body: bytes, *, every_s: float | None, ends_after_s: float | None, breaks: bool
    ) -> None:
        self._body = body
        self._every_s = every_s
        self._breaks = breaks
        self._ends_after_s = ends_after_s
        self._first = True

    def __aiter__(self) -> Untrue:
        return self

    async def __anext__(self) -> bytes:
        if self._first and self._body:
            self._first = False
            return self._body
        if self._every_s is not None:
            await anyio.sleep(self._every_s)
            return self._body
        if self._ends_after_s is None:
            await anyio.sleep_forever()
        await anyio.sleep(self._ends_after_s or 0)
        if self._breaks:
            raise TransportError("connection reset", method="GET")
        raise StopAsyncIteration


class UntrueServer(FakeServer):
    """Its watches bring something else than events while ``untrue`` is set; its lists are right."""

    untrue: dict[str, Any] | None = None

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[ResponseStream]:
        if self.untrue is None:
            async with super().stream(request) as stream:
                yield stream
            return
        await self._arrive(request)
        yield Untrue(**{"body": b"", "every_s": None, "ends_after_s": 0, "breaks": False, **self.untrue})

    def begin(self, **untrue: Any) -> None:
        """Answer watches with something else from now on; those that are open end."""
        self.untrue = untrue
        self.end_watches()


async def seen_stale(watched: Watched, *, for_s: float, check_s: float = CHECK_S) -> list[float]:
    """Look at the health as a runner does, and say when the watch was stale at two looks in a row."""
    began_s, before, stale = anyio.current_time(), False, []
    while anyio.current_time() - began_s < for_s:
        await anyio.sleep(check_s)
        now = watched.reflector.health().stale
        if now and before:
            stale.append(anyio.current_time() - began_s)
        before = now
    return stale


HTML = b"<html><body>sign in</body></html>\n"
UNTRUE = {
    "HTML": {"body": HTML},
    "HTML that stays": {"body": HTML, "ends_after_s": None},
    "HTML without end": {"body": HTML, "every_s": 0.1},
    "empty": {},
    "ends after half a second": {"ends_after_s": 0.5},
    "reset at once": {"breaks": True},
    "HTML, then reset": {"body": HTML, "breaks": True},
    "an empty object": {"body": b"{}"},
    "empty objects without end": {"body": b"{}\n", "every_s": 0.2},
    "white space without end": {"body": b" \n\n", "every_s": 0.05},
    "blanks without a line feed": {"body": b"  ", "every_s": 0.05},
    "bytes": {"body": b"\x00\xff\xfe\n", "every_s": 1.0},
    "half an event": {"body": b'{"type":"ADDED","object":{"metadata":', "ends_after_s": None},
    "unknown types": {"body": b'{"type":"SURPRISE","object":{"metadata":{"uid":"u"}}}\n', "every_s": 0.3},
    "bookmarks without version": {"body": b'{"type":"BOOKMARK","object":{"metadata":{}}}\n', "every_s": 0.3},
    "events without version": {
        "body": b'{"type":"ADDED","object":{"metadata":{"uid":"u","name":"n"}}}\n',
        "every_s": 0.3,
    },
    "a list instead": {"body": b'{"kind":"PodList","items":[],"metadata":{"resourceVersion":"1"}}\n'},
}


@pytest.mark.parametrize("streaming", ["off", "auto"])
@pytest.mark.parametrize("untrue", UNTRUE.values(), ids=UNTRUE.keys())
async def test_a_watch_that_brings_nothing_true_is_stale_and_answered_by_lists(
    untrue: dict[str, Any], streaming: str
):
    """H6: within twice the time, whatever it brings; connections and lists at a bounded rate."""
    server = UntrueServer()
    server.put("a")
    async with watching(server, stale_after_s=STALE_AFTER_S, streaming_lists=streaming) as watched:
        asked = len(server.requests)
        server.begin(**untrue)
        server.phase("a", "Running")
        stale = await seen_stale(watched, for_s=25)
        assert stale
        assert stale[0] <= 2 * STALE_AFTER_S
        assert watched.known == watched.truth, "a list told what the watch did not"
        assert watched.reflector.health().relists >= 1
        assert len(server.requests) - asked < 30
        server.untrue = None
        server.end_watches()
        await anyio.sleep(65)
        assert not await seen_stale(watched, for_s=300, check_s=1.0), (
            "an idle watch that stands is no reason for alarm"
        )
        server.phase("a", "Succeeded")
        await soon()
        assert watched.known == watched.truth
        assert watched.reflector.health().error is None


async def test_with_lists_that_are_untrue_too_nothing_is_concluded():
    """H6, W8: what is known stays, and is stale, until a list is right."""
    server = UntrueServer()
    server.put("a")
    async with watching(server, stale_after_s=STALE_AFTER_S) as watched:
        server.begin(body=HTML)
        fault = server.fail("GET", "limit=", times=10_000, status=200, body=b'{"items":[]}')
        await anyio.sleep(60)
        assert watched.reflector.health().stale
        assert watched.of(*Kind) == ["a"]
        assert "resourceVersion" in (watched.reflector.health().error or "")
        fault.times, server.untrue = 0, None
        await anyio.sleep(60)
        assert not watched.reflector.health().stale


async def test_an_idle_watch_is_never_stale():
    """H6: neither bookmarks nor events for an hour, as where no pod changes; the server ends watches in time."""
    server = FakeServer()
    server.put("a")
    for times in ({}, {"server_timeout_s": 60}):
        async with watching(server, **times) as watched:
            assert await seen_stale(watched, for_s=3600, check_s=1.0) == []


async def test_after_an_outage_the_watch_goes_on_where_it_was():
    """H6, W6: a list would lack the pod, and how it ended."""
    server = FakeServer()
    server.put("a")
    async with watching(server, stale_after_s=STALE_AFTER_S) as watched:
        fault = server.fail("GET", times=1000, refuse=True)
        server.break_watches()
        server.phase("a", "Succeeded")
        server.remove("a")
        await anyio.sleep(100)
        assert watched.reflector.health().stale
        fault.times = 0
        await anyio.sleep(60)
        assert watched.reported[-1].kind is Kind.DELETED
        assert watched.reported[-1].pod.status.phase == "Succeeded"
        assert watched.reflector.health().relists == 0


async def test_an_event_in_many_pieces_is_no_noise():
    """H6: a large pod over a slow line."""
    server = FakeServer()
    async with watching(server, stale_after_s=60, server_timeout_s=3600) as watched:
        pod = server.put("a")
        await anyio.sleep(50)
        line = json.dumps({"type": "MODIFIED", "object": {**pod, "status": {"phase": "Running"}}}).encode()
        for part in (line[:40], line[40:80], line[80:] + b"\n"):
            server.watches[0].push(part)
            await anyio.sleep(20)
            assert not watched.reflector.health().stale
        assert watched.reflector.health().reconnects == 0


class LongPages(FakeServer):
    """A page of more than so many pods is longer than an answer may be."""

    def __init__(self, *, most: int) -> None:
        super().__init__()
        self.most = most

    async def request(self, request: Request) -> Response:
        answer = await super().request(request)
        if len(json.loads(answer.body).get("items", [])) > self.most:
            raise AnswerTooLongError("the answer is longer than may be", method="GET")
        return answer


class TestVersionsThatGoBack:
    """W15: etcd was restored from a backup."""

    @pytest.mark.parametrize("told_by", ["bookmark", "event"])
    async def test_an_older_version_in_the_watch_leads_to_a_list(
        self, told_by: str, caplog: pytest.LogCaptureFixture
    ):
        """W15: what the server has now is known, and a warning names both versions."""
        server = FakeServer()
        server.put("a", status={"phase": "Succeeded"})
        server.put("b")
        with caplog.at_level(logging.WARNING):
            async with watching(server) as watched:
                restore(server, version=50)
                if told_by == "event":
                    server.muted = False
                    server.phase("a", "Running")
                else:
                    server.watches[0].send("BOOKMARK", {"metadata": {"resourceVersion": "50"}})
                await anyio.sleep(5)
                assert watched.known == watched.truth
                assert watched.reflector.health().versions_back == 1
                server.muted = False
                server.phase("a", "Failed")
                await soon()
                assert watched.known == watched.truth
        (changed,) = [seen for seen in watched.reported if seen.rewound]
        assert changed.pod.metadata.name == "a"
        assert "version 5" in caplog.text
        assert "102 was known" in caplog.text

    async def test_a_list_that_is_older_is_confirmed_by_a_second_one(self):
        """W15: one answer of a server that lags behind deletes nothing."""
        server = FakeServer()
        server.put("a")
        async with watching(server) as watched:
            old = {"kind": "PodList", "metadata": {"resourceVersion": "7"}, "items": []}
            server.fail("GET", "limit=", status=200, body=json.dumps(old).encode())
            server.put("b")
            await soon()
            server.compact()
            server.version += 1
            server.compact()
            server.end_watches()
            await anyio.sleep(30)
            assert watched.of(Kind.VANISHED) == []
            assert watched.reflector.health().versions_back == 1
            assert watched.known == watched.truth

    @pytest.mark.parametrize("streaming", ["off", "auto"])
    async def test_a_restored_list_is_believed_at_the_second_time(self, streaming: str):
        """W15: a restore interrupts the watch, and the next ones are silent; the list is older, and so is a second."""
        server = FakeServer()
        server.put("a")
        server.put("late")
        async with watching(server, stale_after_s=60, streaming_lists=streaming) as watched:
            server.fail("GET", times=1000, refuse=True)
            server.break_watches()
            await anyio.sleep(100)
            restore(server, version=50, without="late")
            server.muted = False
            server.faults.clear()
            await anyio.sleep(400)
            assert watched.known == watched.truth
            assert watched.of(Kind.VANISHED) == ["late"]
            assert watched.reflector.health().versions_back == 1

    async def test_a_server_that_holds_back_what_lies_below_our_version_is_listed(self):
        """W15: kube-apiserver sends nothing below the version that was asked for, and no bookmark: silence."""
        server = FakeServer()
        server.put("a")
        async with watching(server, inactivity_s=120) as watched:
            restore(server, version=50)
            server.phase("a", "Succeeded")
            await anyio.sleep(2 * 120 + 10)
            assert watched.known == watched.truth

    async def test_versions_that_always_go_back_are_no_hot_loop(self):
        """W15: each watch begins with an old bookmark."""
        server = UntrueServer()
        async with watching(server) as watched:
            server.begin(body=b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"1"}}}\n')
            await anyio.sleep(600)
            assert server.count("GET") < 100
            assert watched.reflector.health().versions_back > 1


def restore(server: FakeServer, *, version: int, without: str | None = None) -> None:
    """Put a backup in place: all versions are older, one pod is changed, and open watches hear nothing."""
    server.muted = True
    server.compact()
    server.compacted = 0
    server.version = version
    if without is not None:
        del server.pods["default", without]
    pod = server.pods["default", "a"]
    meta = {**pod["metadata"], "resourceVersion": str(version - 10)}
    server.pods["default", "a"] = {**pod, "status": {"phase": "Running"}, "metadata": meta}


class TestLists:
    """H7: a list has an end."""

    async def test_a_continue_token_that_repeats_is_an_error(self):
        """H7: it says so, and the list begins anew, after a wait."""
        server = FakeServer()
        server.put("a")
        page = {
            "metadata": {"resourceVersion": "5", "continue": "again"},
            "items": [server.pods["default", "a"]],
        }
        fault = server.fail("GET", "limit=", times=100_000, status=200, body=json.dumps(page).encode())
        watched = Watched(server, accept=None)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.reflector.run)
            await anyio.sleep(120)
            assert "repeats a continue token after 2 pages" in (watched.reflector.health().error or "")
            assert server.count("GET") < 40
            assert watched.reported == []
            fault.times = 0
            await anyio.sleep(60)
            assert watched.of(Kind.ADDED) == ["a"]
            tasks.cancel_scope.cancel()

    @pytest.mark.parametrize("streaming", ["off", "on"])
    async def test_a_list_of_too_many_pods_names_the_setting(self, streaming: str):
        """H7: whether it comes in pages or through the watch."""
        server = FakeServer()
        for number in range(30):
            server.put(f"p{number}")
        watched = Watched(server, accept=None, page_size=10, max_listed_pods=20, streaming_lists=streaming)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(watched.reflector.run)
            await anyio.sleep(60)
            error = watched.reflector.health().error or ""
            assert "more than 20 objects" in error
            assert "watch.max_listed_pods" in error
            assert watched.reported == []
            tasks.cancel_scope.cancel()

    async def test_a_runner_may_list_what_it_created(self):
        """H7: pods that came through the watch are listed again, though they are more than the setting says."""
        server = FakeServer()
        async with watching(server, page_size=10, max_listed_pods=20) as watched:
            for number in range(30):
                server.put(f"p{number}")
            await soon()
            server.version += 1
            server.compact()
            server.end_watches()
            await anyio.sleep(60)
            assert watched.reflector.health().relists == 1
            assert watched.known == watched.truth

    async def test_pages_that_are_too_long_are_asked_for_in_halves(self):
        """H7: a page of large pods is no reason to give up."""
        server = LongPages(most=4)
        for number in range(10):
            server.put(f"p{number}")
        async with watching(server, page_size=16) as watched:
            assert watched.known == watched.truth
            assert server.count("GET", "limit=4") == 3
            server.version += 1
            server.compact()
            server.end_watches()
            await anyio.sleep(30)
            assert watched.reflector.health().relists == 1
            assert server.count("GET", "limit=16") == 1, "the size that fits is kept"

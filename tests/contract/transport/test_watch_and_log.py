"""Watches and logs over a real connection."""

from __future__ import annotations

import asyncio
import json
import threading
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest
from aiohttp import web
from podrunner.errors import BadRequestError, GoneError, ServerError, TransportError, UsageError

pytestmark = pytest.mark.anyio


def pod(name, version="5", **meta):
    return {"metadata": {"name": name, "uid": f"u-{name}", "resourceVersion": version, **meta}, "status": {}}


def line(kind, obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def sending(*pieces, breaks_after=None):
    """Answer with these pieces, each flushed on its own; then, after an event of the test, break off."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for piece in pieces:
            await response.write(piece)
            await asyncio.sleep(0.01)
        if breaks_after is not None:
            await asyncio.to_thread(breaks_after.wait, 40)
            request.transport.abort()
        return response

    return answer


async def read(client, **options):
    async with client.watch_pods("n", **options) as stream:
        events = [event async for batch in stream for event in batch]
        return events, stream.skipped


async def test_events_come_in_order_whatever_the_chunks(client_for, stub):
    whole = b"".join(line(kind, pod("a", str(n))) for n, kind in enumerate(("ADDED", "MODIFIED", "DELETED")))
    stub.answer = sending(*(whole[i : i + 37] for i in range(0, len(whole), 37)))
    async with client_for(stub) as client:
        events, skipped = await read(client)
    assert [(event.type, event.resource_version) for event in events] == [
        ("ADDED", "0"),
        ("MODIFIED", "1"),
        ("DELETED", "2"),
    ]
    assert events[2].pod.metadata.uid == "u-a"
    assert skipped == 0


async def test_what_is_asked_of_the_server(client_for, stub):
    stub.answer = sending()
    async with client_for(stub) as client:
        await read(client, label_selector="a=b", resource_version="9", timeout_s=290.4)
        await read(client, send_initial_events=True, bookmarks=True)
    first, second = (parse_qs(urlsplit(seen.target).query) for seen in stub.seen)
    assert first == {
        "watch": ["true"],
        "labelSelector": ["a=b"],
        "resourceVersion": ["9"],
        "timeoutSeconds": ["290"],
        "allowWatchBookmarks": ["true"],
    }
    assert second["sendInitialEvents"] == ["true"]
    assert second["resourceVersionMatch"] == ["NotOlderThan"]


async def test_bookmarks_move_the_version_and_may_end_the_initial_list(client_for, stub):
    end = {"annotations": {"k8s.io/initial-events-end": "true"}, "resourceVersion": "8"}
    stub.answer = sending(
        line("BOOKMARK", {"metadata": {"resourceVersion": "7"}}), line("BOOKMARK", {"metadata": end})
    )
    async with client_for(stub) as client:
        events, _ = await read(client)
    assert [(event.pod, event.resource_version, event.initial_events_end) for event in events] == [
        (None, "7", False),
        (None, "8", True),
    ]


async def test_an_error_in_the_stream_is_an_event(client_for, stub):
    """W1: 410 inside the stream."""
    status = {
        "kind": "Status",
        "status": "Failure",
        "code": 410,
        "reason": "Expired",
        "message": "too old version",
    }
    stub.answer = sending(line("ADDED", pod("a")), line("ERROR", status))
    async with client_for(stub) as client:
        events, _ = await read(client)
    assert [event.type for event in events] == ["ADDED", "ERROR"]
    assert isinstance(events[1].status, GoneError)
    assert events[1].status.server_message == "too old version"


async def test_a_version_that_is_too_old_is_refused_on_entering(client_for, stub):
    """W1: 410 at the start."""
    stub.json({"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}, status=410)
    async with client_for(stub) as client:
        with pytest.raises(GoneError):
            await read(client, resource_version="1")


async def test_garbage_is_skipped_and_counted(client_for, stub):
    """W11: no single object kills the watch."""
    stub.answer = sending(
        line("ADDED", pod("a")),
        b"\n  \nnot json\n",
        line("ADDED", {"metadata": {"name": 3}}),
        line("ADDED", {"kind": "Pod"}),
        line("SURPRISE", pod("b")),
        line("ADDED", None),
        b"\xff\xfe\n",
        b"[" * 100_000 + b"\n",
        line("MODIFIED", pod("a")),
    )
    async with client_for(stub) as client:
        events, skipped = await read(client)
    assert [event.type for event in events] == ["ADDED", "MODIFIED"]
    assert skipped == 7


async def test_a_very_long_line_is_read(client_for, stub):
    """aiohttp's own line reader gives up at 128 KiB, which breaks such a watch for ever."""
    stub.answer = sending(line("ADDED", pod("a", annotations={"big": "x" * 3_000_000})))
    async with client_for(stub) as client:
        events, _ = await read(client)
    assert len(events[0].pod.metadata.annotations["big"]) == 3_000_000


async def test_the_last_line_needs_no_line_feed_and_half_a_line_is_none(client_for, stub):
    stub.answer = sending(line("ADDED", pod("a")).rstrip())
    async with client_for(stub) as client:
        events, skipped = await read(client)
        assert ([event.type for event in events], skipped) == (["ADDED"], 0)
        stub.answer = sending(line("ADDED", pod("a"))[:40])
        assert await read(client) == ([], 1)


async def test_a_broken_connection_is_distinguished_from_an_end(client_for, stub):
    was_read = threading.Event()
    stub.answer = sending(line("ADDED", pod("a")), breaks_after=was_read)
    async with client_for(stub) as client, client.watch_pods("n") as stream:
        assert len(await anext(stream)) == 1
        was_read.set()
        with pytest.raises(TransportError):
            await anext(stream)


async def test_a_refused_watch_says_why_though_its_body_breaks_off(client_for, stub):
    async def answer(request):
        response = web.StreamResponse(status=500, headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b'{"kind":"Status","message":"etcd')
        request.transport.close()
        return response

    stub.answer = answer
    async with client_for(stub) as client:
        with pytest.raises(ServerError, match="etcd"):
            await read(client)


async def test_a_log_comes_in_batches(client_for, stub):
    stub.answer = sending(b"line 1\nli", b"ne 2\n")
    async with (
        client_for(stub) as client,
        client.stream_log(
            "n", "a", container="base", follow=True, since_time="2026-01-01T00:00:00Z", tail_lines=5
        ) as batches,
    ):
        assert b"".join([batch async for batch in batches]) == b"line 1\nline 2\n"
    parts = urlsplit(stub.seen[0].target)
    assert parts.path == "/api/v1/namespaces/n/pods/a/log"
    assert parse_qs(parts.query) == {
        "container": ["base"],
        "follow": ["true"],
        "timestamps": ["true"],
        "sinceTime": ["2026-01-01T00:00:00Z"],
        "tailLines": ["5"],
    }
    assert stub.seen[0].headers["Accept"] == "application/json, */*", "a log is text"


async def test_a_log_of_before_the_restart(client_for, stub):
    stub.answer = sending()
    async with (
        client_for(stub) as client,
        client.stream_log(
            "n", "a", previous=True, timestamps=False, since_seconds=0, limit_bytes=9
        ) as batches,
    ):
        assert [batch async for batch in batches] == []
    assert parse_qs(urlsplit(stub.seen[0].target).query) == {
        "previous": ["true"],
        "sinceSeconds": ["0"],
        "limitBytes": ["9"],
    }


async def test_a_container_that_waits_says_so(client_for, stub):
    message = 'container "base" in pod "a" is waiting to start: ContainerCreating'
    stub.json({"kind": "Status", "code": 400, "reason": "BadRequest", "message": message}, status=400)
    async with client_for(stub) as client:
        with pytest.raises(BadRequestError, match="ContainerCreating"):
            async with client.stream_log("n", "a"):
                pass


async def test_two_beginnings_of_a_log_are_refused(client_for, stub):
    async with client_for(stub) as client:
        with pytest.raises(UsageError, match="since_time or since_seconds"):
            async with client.stream_log("n", "a", since_time="2026-01-01T00:00:00Z", since_seconds=3):
                pass


async def test_leaving_a_watch_ends_it_on_the_server(client_for, stub):
    gone = threading.Event()

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(line("ADDED", pod("a")))
        try:
            await asyncio.sleep(60)
        finally:
            gone.set()
        return response

    stub.answer = answer
    async with client_for(stub) as client:
        async with client.watch_pods("n") as stream:
            await anext(stream)
        assert await anyio.to_thread.run_sync(gone.wait, 40)

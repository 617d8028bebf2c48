"""A stream gives what the server sends, as it sends it, and starves no other task."""

from __future__ import annotations

import asyncio
import threading
from contextlib import AsyncExitStack

import anyio
import pytest
from aiohttp import web
from podrunner.errors import RequestTimeoutError, TransportError
from podrunner.kube import Request

pytestmark = pytest.mark.anyio


def get(timeout_s=40.0):
    return Request("GET", "/stream", {}, timeout_s=timeout_s)


def endless(gone: threading.Event | None = None):
    """Answer with a first batch, then nothing until the client goes."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"first\n")
        try:
            await asyncio.sleep(60)
        finally:
            if gone is not None:
                gone.set()
        return response

    return answer


async def test_batches_come_as_they_are_sent(opened, stub):
    asked = threading.Event()

    async def answer(request):
        response = web.StreamResponse(headers={"X-Kind": "log"})
        await response.prepare(request)
        await response.write(b"one\n")
        await asyncio.to_thread(asked.wait, 40)
        await response.write(b"two\n")
        return response

    stub.answer = answer
    async with opened(stub.url) as transport, transport.stream(get()) as stream:
        assert (stream.status, stream.headers["x-kind"]) == (200, "log")
        batches = aiter(stream)
        assert await anext(batches) == b"one\n"
        asked.set()
        assert [batch async for batch in batches] == [b"two\n"]


async def test_leaving_a_stream_closes_its_connection(opened, stub):
    gone = threading.Event()
    stub.answer = endless(gone)
    async with opened(stub.url) as transport:
        async with transport.stream(get()) as stream:
            assert await anext(aiter(stream)) == b"first\n"
        assert await anyio.to_thread.run_sync(gone.wait, 40)


async def test_a_cancelled_stream_closes_its_connection(opened, stub):
    gone, reads = threading.Event(), anyio.Event()
    stub.answer = endless(gone)

    async def follow(transport):
        async with transport.stream(get()) as stream:
            async for _ in stream:
                reads.set()

    async with opened(stub.url) as transport:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(follow, transport)
            await reads.wait()
            tasks.cancel_scope.cancel()
        assert await anyio.to_thread.run_sync(gone.wait, 40)


async def test_a_silent_stream_outlives_the_request_timeout(opened, stub):
    """Only the wait for the headers is bounded: a quiet watch is no failure."""

    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one")
        await asyncio.sleep(3.5)
        await response.write(b"two")
        return response

    stub.answer = answer
    async with opened(stub.url) as transport, transport.stream(get(timeout_s=3)) as stream:
        assert b"".join([batch async for batch in stream]) == b"onetwo"


async def test_a_stream_that_does_not_begin_in_time_is_a_timeout(opened, stub):
    async def never(_):
        await asyncio.sleep(60)

    stub.answer = never
    async with opened(stub.url) as transport:
        with pytest.raises(RequestTimeoutError, match=r"within 0\.2 s"):
            async with transport.stream(get(timeout_s=0.2)):
                pass


async def test_a_stream_that_breaks_raises(opened, stub):
    """W2: the end of a chunked body is distinguished from a lost connection."""
    was_read = threading.Event()

    async def break_off(request):
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"one\n")
        await asyncio.to_thread(was_read.wait, 40)
        request.transport.abort()
        return response

    stub.answer = break_off
    async with opened(stub.url) as transport, transport.stream(get()) as stream:
        batches = aiter(stream)
        assert await anext(batches) == b"one\n"
        was_read.set()
        with pytest.raises(TransportError, match=r"GET .*/stream"):
            await anext(batches)


async def test_a_stream_to_nowhere_was_never_sent(opened):
    async with opened("http://127.0.0.1:9") as transport:
        with pytest.raises(TransportError) as caught:
            async with transport.stream(get()):
                pass
    assert not caught.value.sent


async def test_streams_take_no_places_of_requests(opened, stub):
    """W12: the pool has two connections; six streams are open, and a request still gets through."""
    stub.answer = endless()
    async with opened(stub.url) as transport, AsyncExitStack() as stack:
        for _ in range(6):
            stream = await stack.enter_async_context(transport.stream(get()))
            assert await anext(aiter(stream)) == b"first\n"
        stub.json({})
        with anyio.fail_after(40):
            assert (await transport.request(Request("GET", "/", {}, timeout_s=40))).status == 200


async def test_a_large_stream_arrives_whole(opened, stub):
    async def answer(request):
        response = web.StreamResponse()
        await response.prepare(request)
        for number in range(200):
            await response.write(bytes([number]) * 50_000)
        return response

    stub.answer = answer
    size = 0
    async with opened(stub.url) as transport, transport.stream(get()) as stream:
        async for batch in stream:
            assert batch
            size += len(batch)
    assert size == 10_000_000

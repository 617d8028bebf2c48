"""A container's lines into streams, and what a slow or broken one means for the rest."""

from __future__ import annotations

import io
import tracemalloc

import anyio
import pytest
from anyio.streams.stapled import StapledByteStream
from podrunner.logs import AsyncStreamSink, CallableSink, GapReason, LogCursor, LogGap, StreamSink
from podrunner.logs.record import LogBatch
from tests.unit.logs.conftest import stamped
from tests.unit.logs.test_collect import collector

pytestmark = pytest.mark.anyio

FRESH = LogCursor("uid-1", "base")
BATCH = LogBatch("base", 0, stamped(1, "grüße €".encode()) + b"\n")
GAP = LogGap("base", GapReason.ROTATED)


async def fed(sink) -> None:
    assert await sink.open(uid="uid-1", container="base") is None
    await sink.write(BATCH, FRESH)
    await sink.gap(GAP, FRESH)
    await sink.close(FRESH)


async def test_a_text_stream_gets_text():
    stream = io.StringIO()
    await fed(StreamSink(stream))
    assert stream.getvalue() == f"grüße €\n{GAP}\n"


async def test_a_byte_stream_gets_the_containers_bytes():
    stream = io.BytesIO()
    await fed(StreamSink(stream, timestamps=True))
    assert stream.getvalue() == BATCH.data + f"{GAP}\n".encode()


async def test_what_an_encoding_cannot_say_is_replaced():
    """A terminal of the last century fails no log."""
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii")
    await fed(StreamSink(stream))
    assert raw.getvalue().startswith(b"gr??e ?\n")


class Bytes(anyio.abc.ByteSendStream):
    def __init__(self) -> None:
        self.sent = b""

    async def send(self, item: bytes) -> None:
        self.sent += item

    async def aclose(self) -> None:
        raise AssertionError("the stream is its owner's")


async def test_an_async_stream_gets_bytes_and_stays_open():
    stream = Bytes()
    await fed(AsyncStreamSink(stream))
    assert stream.sent == f"grüße €\n{GAP}\n".encode()


async def test_a_closed_stream_is_counted_and_the_others_go_on(node, state, sink):
    """G8: the reader at the other end went away."""
    node.write(stamped(1))
    state.end()
    closed = io.StringIO()
    closed.close()
    job = collector(node, state, lambda _: StreamSink(closed), lambda _: sink)
    await job.run()
    assert sink.texts == ["line 1"]
    assert "StreamSink" in job.status.errors[0]


async def test_a_slow_sink_holds_back_the_server_and_not_the_memory(node, state):
    """Nothing is read ahead of a sink."""
    read = 0
    state.end()

    async def much(data):
        nonlocal read
        for number in range(50):
            read += 1
            yield stamped(number, b"x" * 100_000) + b"\n"

    node.scripts = [much]
    taken = []

    async def slow(item) -> None:
        taken.append(read)
        await anyio.sleep(0.001)

    await collector(node, state, lambda _: CallableSink(slow)).run()
    assert taken == list(range(1, 51))


async def test_output_without_line_ends_takes_bounded_memory(node, state):
    """100 MB in one line."""
    state.end()
    sizes = []

    async def endless(data):
        yield stamped(1, b"")
        for _ in range(100):
            yield b"x" * 1_000_000

    node.scripts = [endless, endless]
    tracemalloc.start()
    await collector(node, state, lambda _: CallableSink(lambda item: sizes.append(len(item.data)))).run()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(sizes) > 100_000_000
    assert peak < 80_000_000


def test_an_anyio_socket_is_such_a_stream():
    assert issubclass(StapledByteStream, anyio.abc.ByteSendStream)

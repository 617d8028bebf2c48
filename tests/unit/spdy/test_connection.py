"""The SPDY state machine: bytes in, events out; commands in, bytes out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.spdy import connection as spdy
from podrunner.spdy import frames
from podrunner.spdy.connection import SpdyConnection

RECORDED = bytes.fromhex(
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff"
    "800300010000001700000003000000000000c22e555c92929907000000ffff"
    "800300010000001900000005000000000000c22ac5565c92925f5a02000000ffff"
    "800300010000001500000007000000000000c229975a5404000000ffff"
    "000000030000000668656c6c6f0a0000000301000000"
)
"""What kubectl 1.27 sends for ``echo hello | kubectl exec -i POD -- cat``."""

MEANING = [
    spdy.StreamOpened(1, {"streamtype": "error"}),
    spdy.StreamOpened(3, {"streamtype": "stdin"}),
    spdy.StreamOpened(5, {"streamtype": "stdout"}),
    spdy.StreamOpened(7, {"streamtype": "stderr"}),
    spdy.DataReceived(3, b"hello\n"),
    spdy.StreamEnded(3),
]


class Client:
    """Writes a client's frames; header compression has a memory, so it is an object."""

    def __init__(self) -> None:
        self._pack = frames.HeaderWriter()

    def syn(self, stream_id: int, flags: int = 0, **headers: str) -> bytes:
        return frames.syn_stream_frame(stream_id, self._pack.pack(headers), flags=frames.FrameFlag(flags))


def opened(*stream_ids: int) -> SpdyConnection:
    connection, client = SpdyConnection(), Client()
    for stream_id in stream_ids:
        connection.receive(client.syn(stream_id))
    return connection


def test_a_recorded_exec_is_understood() -> None:
    assert SpdyConnection().receive(RECORDED) == MEANING


@given(st.lists(st.integers(1, len(RECORDED) - 1), unique=True, max_size=12).map(sorted))
def test_the_cuts_between_packets_mean_nothing(cuts: list[int]) -> None:
    connection = SpdyConnection()
    pieces = [RECORDED[start:end] for start, end in zip([0, *cuts], [*cuts, len(RECORDED)], strict=True)]
    events = [event for piece in pieces for event in connection.receive(piece)]
    data = b"".join(event.data for event in events if isinstance(event, spdy.DataReceived))
    assert data == b"hello\n"
    assert [event for event in events if not isinstance(event, spdy.DataReceived)] == [
        *MEANING[:4],
        MEANING[5],
    ]


@given(st.lists(st.one_of(st.binary(max_size=40), st.just(RECORDED[:49])), max_size=6))
def test_no_bytes_raise(pieces: list[bytes]) -> None:
    """What a client sends ends the connection at worst."""
    connection = SpdyConnection()
    for piece in pieces:
        connection.receive(piece)


def test_a_large_frame_comes_in_pieces_and_ends_once() -> None:
    """Nothing is held until a frame of up to 16 MiB is complete."""
    connection = opened(1)
    frame = frames.data_frame(1, b"x" * 1000, fin=True)
    assert connection.receive(frame[:508]) == [spdy.DataReceived(1, b"x" * 500)]
    assert connection.receive(frame[508:]) == [spdy.DataReceived(1, b"x" * 500), spdy.StreamEnded(1)]


def test_after_garbage_nothing_more_is_understood() -> None:
    connection = SpdyConnection()
    (failed,) = connection.receive(b"\x80\x02" + b"\0" * 6)
    assert isinstance(failed, spdy.ConnectionFailed)
    assert connection.data_to_send() == frames.goaway_frame(0, 1)
    assert connection.receive(RECORDED) == []


@pytest.mark.parametrize(
    "frame",
    [
        Client().syn(2),
        frames.syn_stream_frame(1, b"nonsense"),
        bytes.fromhex("8003000100ffffff"),
        bytes.fromhex("80030006000000020001"),
        bytes.fromhex("80030008000000020001"),
        bytes.fromhex("800300030000000400000001"),
        frames.settings_frame({7: 2**31}),
        frames.window_update_frame(0, 0),
        frames.window_update_frame(0, 2**31 - 1),
    ],
    ids=[
        "even id",
        "headers",
        "huge",
        "ping",
        "headers cut",
        "reset cut",
        "window",
        "widened by 0",
        "too wide",
    ],
)
def test_a_broken_protocol_ends_the_connection(frame: bytes) -> None:
    assert isinstance(SpdyConnection().receive(frame)[-1], spdy.ConnectionFailed)


def test_stream_numbers_only_rise() -> None:
    connection, client = SpdyConnection(), Client()
    connection.receive(client.syn(5))
    assert isinstance(connection.receive(client.syn(3))[-1], spdy.ConnectionFailed)


def test_frames_of_unknown_types_are_skipped() -> None:
    connection = SpdyConnection()
    assert connection.receive(bytes.fromhex("800300aa00000003aabbcc") + RECORDED) == MEANING


def test_a_stream_is_accepted_once() -> None:
    connection = opened(1)
    connection.reply(1)
    first = connection.data_to_send()
    connection.reply(1)
    connection.reply(99)
    assert first[:8].hex() == "8003000200000014"
    assert connection.data_to_send() == b""


def test_half_closing_leaves_the_other_direction_open() -> None:
    connection = opened(1)
    assert connection.receive(frames.data_frame(1, b"", fin=True)) == [spdy.StreamEnded(1)]
    connection.send_data(1, b"still here")
    connection.end(1)
    assert connection.data_to_send() == frames.data_frame(1, b"still here") + frames.data_frame(
        1, b"", fin=True
    )
    assert not connection.knows(1)


def test_a_stream_that_is_opened_and_ended_at_once() -> None:
    connection = SpdyConnection()
    events = connection.receive(Client().syn(1, flags=frames.FrameFlag.FIN))
    assert events == [spdy.StreamOpened(1, {}), spdy.StreamEnded(1)]


def test_nothing_is_sent_on_a_unidirectional_stream() -> None:
    connection = SpdyConnection()
    connection.receive(Client().syn(1, flags=frames.FrameFlag.UNIDIRECTIONAL))
    assert not connection.is_writable(1)
    with pytest.raises(spdy.UsageOfClosedStreamError):
        connection.send_data(1, b"x")


def test_a_reset_closes_both_ways() -> None:
    connection = opened(1)
    assert connection.receive(frames.rst_stream_frame(1, 5)) == [spdy.StreamReset(1, 5)]
    assert not connection.is_writable(1)
    assert connection.receive(frames.rst_stream_frame(1, 5)) == []


def test_our_reset_closes_both_ways_and_drops_what_is_under_way() -> None:
    connection = opened(1)
    connection.reset(1, spdy.ResetStatus.REFUSED_STREAM)
    connection.reset(1)
    assert connection.data_to_send() == frames.rst_stream_frame(1, 3)
    assert connection.receive(frames.data_frame(1, b"late")) == []
    assert connection.data_to_send() == b""


def test_data_of_a_stream_that_never_was_is_answered_by_a_reset() -> None:
    connection = SpdyConnection()
    assert connection.receive(frames.data_frame(9, b"?")) == []
    assert connection.data_to_send() == frames.rst_stream_frame(9, spdy.ResetStatus.INVALID_STREAM)


def test_data_after_the_end_resets_the_stream() -> None:
    connection = opened(1)
    events = connection.receive(frames.data_frame(1, b"", fin=True) + frames.data_frame(1, b"more"))
    assert events == [spdy.StreamEnded(1), spdy.StreamReset(1, spdy.ResetStatus.STREAM_ALREADY_CLOSED)]


def test_headers_that_end_a_stream_end_it() -> None:
    connection, client = SpdyConnection(), Client()
    connection.receive(client.syn(1))
    block = client._pack.pack({"more": "headers"})
    head = bytes.fromhex("80030008") + (1 << 24 | 4 + len(block)).to_bytes(4, "big")
    assert connection.receive(head + b"\0\0\0\1" + block) == [spdy.StreamEnded(1)]


def test_pings_are_answered_and_ours_are_recognised() -> None:
    connection = SpdyConnection()
    assert connection.receive(frames.ping_frame(7)) == []
    assert connection.data_to_send() == frames.ping_frame(7)
    asked = connection.ping()
    assert connection.data_to_send() == frames.ping_frame(asked)
    assert connection.receive(frames.ping_frame(asked)) == [spdy.PingAnswered(asked)]


def test_too_many_streams_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spdy, "MAX_STREAMS", 1)
    connection, client = SpdyConnection(), Client()
    connection.receive(client.syn(1))
    assert connection.receive(client.syn(3)) == []
    assert connection.data_to_send() == frames.rst_stream_frame(3, spdy.ResetStatus.REFUSED_STREAM)


def test_after_goodbye_no_stream_is_opened() -> None:
    connection, client = SpdyConnection(), Client()
    connection.receive(client.syn(1))
    connection.goaway()
    connection.goaway()
    assert connection.data_to_send() == frames.goaway_frame(1, 0)
    assert connection.receive(client.syn(3)) == []
    assert connection.receive(frames.goaway_frame(0, 0)) == [spdy.GoneAway(0)]


def test_a_client_that_keeps_no_window_may_be_sent_anything() -> None:
    """moby/spdystream, hence kubectl, never sends WINDOW_UPDATE."""
    connection = opened(1)
    for _ in range(10):
        connection.send_data(1, b"x" * 65_536)
    assert connection.sendable(1) > 65_536


def test_received_bytes_are_credited_in_steps() -> None:
    """A client that does keep windows would stop at 64 KiB otherwise."""
    connection = opened(1)
    connection.consumed(1, 20_000)
    assert connection.data_to_send() == b""
    connection.consumed(1, 20_000)
    credit = frames.window_update_frame(0, 40_000) + frames.window_update_frame(1, 40_000)
    assert connection.data_to_send() == credit
    connection.consumed(99, 40_000)
    assert connection.data_to_send() == frames.window_update_frame(0, 40_000)


def test_settings_change_the_windows_of_open_streams() -> None:
    connection = opened(1)
    assert connection.receive(frames.settings_frame({7: 100})) == [spdy.WindowOpened(1)]
    assert connection.sendable(1) == 100
    assert connection.receive(frames.settings_frame({4: 1})) == []


Step = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 100_000)),
    st.tuples(st.just("widen"), st.integers(1, 50_000)),
    st.tuples(st.just("widen all"), st.integers(1, 50_000)),
    st.tuples(st.just("settings"), st.integers(0, 200_000)),
)


@given(st.lists(Step, max_size=30))
def test_no_more_is_sent_than_a_window_keeping_client_allows(steps: list[tuple[str, int]]) -> None:
    """A model of the client's own two windows never goes below zero by what the server sends."""
    connection = opened(1)
    connection.receive(frames.settings_frame({7: spdy.INITIAL_WINDOW_BYTES}))
    initial = stream = everything = spdy.INITIAL_WINDOW_BYTES
    for name, size in steps:
        if name == "send":
            allowed = min(size, connection.sendable(1))
            connection.send_data(1, b"x" * allowed)
            stream, everything = stream - allowed, everything - allowed
            assert everything >= 0
            assert allowed == 0 or stream >= 0
        elif name == "widen":
            connection.receive(frames.window_update_frame(1, size))
            stream += size
        elif name == "widen all":
            connection.receive(frames.window_update_frame(0, size))
            everything += size
        else:
            connection.receive(frames.settings_frame({7: size}))
            stream, initial = stream + size - initial, size
        assert connection.sendable(1) == max(0, min(stream, everything))


def test_the_window_of_a_stream_that_is_gone_is_no_news_to_anyone() -> None:
    assert opened().receive(frames.window_update_frame(1, 10)) == [spdy.WindowOpened(1)]

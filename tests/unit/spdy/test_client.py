"""The client's side of the SPDY state machine, with the server's side of the same machine as its peer."""

from __future__ import annotations

import pytest
from podrunner.spdy import connection as spdy
from podrunner.spdy import frames
from podrunner.spdy.connection import SpdyConnection

PORT = {"streamtype": "data", "port": "80", "requestid": "0"}


@pytest.fixture
def client() -> SpdyConnection:
    return SpdyConnection(is_client=True)


@pytest.fixture
def server() -> SpdyConnection:
    return SpdyConnection()


def test_streams_that_a_client_opens_have_odd_numbers_and_arrive(client, server) -> None:
    assert [client.open({"streamtype": "error"}), client.open(PORT)] == [1, 3]
    opened = server.receive(client.data_to_send())
    assert opened == [spdy.StreamOpened(1, {"streamtype": "error"}), spdy.StreamOpened(3, PORT)]


def test_both_sides_send_and_half_close(client, server) -> None:
    stream = client.open(PORT)
    client.send_data(stream, b"ping")
    client.end(stream)
    server.receive(client.data_to_send())
    server.reply(stream)
    server.send_data(stream, b"pong")
    events = client.receive(server.data_to_send())
    assert events == [spdy.DataReceived(stream, b"pong")]
    assert not client.is_writable(stream)
    server.end(stream)
    assert client.receive(server.data_to_send()) == [spdy.StreamEnded(stream)]
    assert not client.knows(stream)
    assert not server.knows(stream)


def test_a_servers_ping_is_answered_and_an_own_one_is_an_event(client, server) -> None:
    asked = server.ping()
    client.receive(server.data_to_send())
    assert server.receive(client.data_to_send()) == [spdy.PingAnswered(asked)]
    asked = client.ping()
    server.receive(client.data_to_send())
    assert client.receive(server.data_to_send()) == [spdy.PingAnswered(asked)]


def test_a_stream_that_a_server_opens_is_refused(client) -> None:
    pushed = frames.syn_stream_frame(2, frames.HeaderWriter().pack({}))
    assert client.receive(pushed) == []
    assert client.data_to_send() == frames.rst_stream_frame(2, spdy.ResetStatus.REFUSED_STREAM)


def test_a_refused_stream_is_reset(client, server) -> None:
    stream = client.open(PORT)
    server.receive(client.data_to_send())
    server.reset(stream, spdy.ResetStatus.REFUSED_STREAM)
    assert client.receive(server.data_to_send()) == [
        spdy.StreamReset(stream, spdy.ResetStatus.REFUSED_STREAM)
    ]
    assert client.sendable(stream) == 0


def test_what_is_consumed_opens_the_servers_window_again(client, server) -> None:
    stream = client.open(PORT)
    server.receive(client.data_to_send())
    client.consumed(stream, spdy.INITIAL_WINDOW_BYTES // 2)
    assert spdy.WindowOpened(stream) in server.receive(client.data_to_send())

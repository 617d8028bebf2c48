"""One connection to a port in a pod, with the server's side of the state machine as its peer."""

from __future__ import annotations

from collections import deque

import anyio
import pytest
from podrunner.errors import TransportError
from podrunner.kube.port_forward import SUBPROTOCOLS, ForwardedConnection, PortForwardError
from podrunner.spdy import connection as spdy
from podrunner.spdy import frames

pytestmark = pytest.mark.anyio

ERROR, DATA = 1, 3


class Server:
    """The WebSocket, and the server behind it: what it heard, and what it says."""

    def __init__(self, subprotocol: str | None = SUBPROTOCOLS[0]) -> None:
        self.subprotocol = subprotocol
        self.spdy = spdy.SpdyConnection()
        self.heard: list[spdy.Event] = []
        self._messages: deque[bytes | None] = deque()

    async def send(self, data: bytes) -> None:
        self.heard += self.spdy.receive(data)

    async def receive(self) -> bytes | None:
        if not self._messages and (said := self.spdy.data_to_send()):
            return said
        return self._messages.popleft() if self._messages else await anyio.sleep_forever()

    def break_off(self) -> None:
        self._messages.append(None)

    @property
    def sent_to_pod(self) -> bytes:
        return b"".join(
            event.data
            for event in self.heard
            if isinstance(event, spdy.DataReceived) and event.stream_id == DATA
        )

    def end(self, problem: bytes = b"") -> None:
        """The pod's side is over."""
        self.spdy.end(DATA)
        if problem:
            self.spdy.send_data(ERROR, problem)
        self.spdy.end(ERROR)


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def connection(server) -> ForwardedConnection:
    made = ForwardedConnection(server, 80, secrets=("s3cr3t",))
    await made.begin()
    return made


async def test_it_asks_for_the_port_by_a_pair_of_streams(server, connection) -> None:
    head = {"port": "80", "requestid": "0"}
    assert server.heard == [
        spdy.StreamOpened(ERROR, {"streamtype": "error", **head}),
        spdy.StreamEnded(ERROR),
        spdy.StreamOpened(DATA, {"streamtype": "data", **head}),
    ]


async def test_bytes_go_both_ways_after_the_end_of_one_direction(server, connection) -> None:
    await connection.send(b"request")
    await connection.send_eof()
    assert (server.sent_to_pod, server.heard[-1]) == (b"request", spdy.StreamEnded(DATA))
    server.spdy.send_data(DATA, b"answer")
    assert await connection.receive() == b"answer"
    server.end()
    assert await connection.receive() == b""
    await connection.wait_over()


async def test_the_pods_end_leaves_the_own_direction_open(server, connection) -> None:
    server.spdy.end(DATA)
    assert await connection.receive() == b""
    await connection.send(b"still")
    assert server.sent_to_pod == b"still"


async def test_a_port_that_takes_no_connection_is_an_error_without_credentials(server, connection) -> None:
    server.end(b"connection refused, said s3cr3t")
    assert await connection.receive() == b""
    with pytest.raises(PortForwardError, match="connection refused") as caught:
        await connection.wait_over()
    assert "s3cr3t" not in str(caught.value)


async def test_a_websocket_that_breaks_is_no_end(server, connection) -> None:
    server.break_off()
    with pytest.raises(TransportError, match="ended before"):
        await connection.receive()


async def test_bytes_that_are_no_frames_are_an_error(server, connection) -> None:
    server._messages.append(b"\x80\x02" + b"\0" * 6)  # what no server of ours would say
    with pytest.raises(TransportError, match="version 2"):
        await connection.receive()


async def test_a_reset_ends_both_directions(server, connection) -> None:
    server.spdy.reset(DATA)
    assert await connection.receive() == b""
    with pytest.raises(TransportError, match="closed"):
        await connection.send(b"late")


async def test_sending_waits_for_the_window_of_a_server_that_keeps_one(server, connection) -> None:
    server._messages.append(frames.settings_frame({7: 1000}))
    server.spdy.send_data(DATA, b"x")
    assert await connection.receive() == b"x"
    done = anyio.Event()

    async def send() -> None:
        await connection.send(b"y" * 1500)
        done.set()

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await anyio.wait_all_tasks_blocked()
        assert (len(server.sent_to_pod), done.is_set()) == (1000, False)
        server._messages.append(frames.window_update_frame(DATA, 500))
        server.spdy.send_data(DATA, b"z")
        assert await connection.receive() == b"z"
        with anyio.fail_after(30):
            await done.wait()
    assert len(server.sent_to_pod) == 1500


async def test_a_server_without_the_subprotocol_is_named() -> None:
    with pytest.raises(PortForwardError, match=r"1\.31"):
        ForwardedConnection(Server(None), 80)

"""Port-forward: over SPDY, over SPDY in a WebSocket, over WebSocket channels."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections.abc import AsyncIterator

import aiohttp
import pytest
import pytest_asyncio
from podrunner.local.streams import forwarding, portforward
from podrunner.spdy import frames

PF = "portforward.k8s.io"
TUNNEL = "SPDY/3.1+portforward.k8s.io"
CLOSED_PORT = 9


@pytest_asyncio.fixture
async def echo(scene) -> AsyncIterator[int]:
    """A pod's server: says everything back in capitals, then, at the end of its input, how much it was."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        count = 0
        while data := await reader.read(65_536):
            count += len(data)
            writer.write(data.upper())
            await writer.drain()
        writer.write(f"<{count}>".encode())
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    scene.ports[80] = server.sockets[0].getsockname()[1]
    scene.ports[CLOSED_PORT] = 1
    yield 80
    server.close()


def open_pair(peer, first_id: int, port: int, request: str | None = None) -> tuple[int, int]:
    named = {} if request is None else {"requestID": request}
    peer.open(first_id, streamType="error", port=str(port), **named)
    peer.open(first_id + 2, streamType="data", port=str(port), **named)
    return first_id, first_id + 2


@pytest.mark.asyncio
@pytest.mark.parametrize("request_id", ["0", None], ids=["numbered", "by order"])
async def test_bytes_go_both_ways_and_half_closes_are_passed_on(spdy, echo, request_id) -> None:
    peer = await spdy("portforward", PF)
    error, data = open_pair(peer, 1, echo, request_id)
    peer.send(frames.data_frame(data, b"hello "))
    peer.send(frames.data_frame(data, b"world", fin=True))
    await peer.until(lambda: peer.streams[error].ended and peer.streams[data].ended)
    assert peer.headers["X-Stream-Protocol-Version"] == PF
    assert bytes(peer.streams[data].data) == b"HELLO WORLD<11>"
    assert bytes(peer.streams[error].data) == b""


@pytest.mark.asyncio
async def test_connections_do_not_mix(spdy, echo) -> None:
    peer = await spdy("portforward", PF)
    pairs = [open_pair(peer, 1 + 4 * number, echo, str(number)) for number in range(5)]
    for number, (_, data) in enumerate(pairs):
        peer.send(frames.data_frame(data, b"abcde"[number : number + 1] * 1000, fin=True))
    await peer.until(lambda: all(peer.streams[data].ended for _, data in pairs))
    said = [bytes(peer.streams[data].data) for _, data in pairs]
    assert said == [letter * 1000 + b"<1000>" for letter in (b"A", b"B", b"C", b"D", b"E")]


@pytest.mark.asyncio
async def test_a_port_without_a_listener_is_reported_and_the_others_go_on(spdy, echo) -> None:
    peer = await spdy("portforward", PF)
    error, data = open_pair(peer, 1, CLOSED_PORT, "0")
    await peer.until(lambda: peer.streams[error].ended and peer.streams[data].ended)
    assert b"error forwarding port 9 to pod" in peer.streams[error].data
    assert b"connection refused" in peer.streams[error].data
    _, other = open_pair(peer, 5, echo, "1")
    peer.send(frames.data_frame(other, b"x", fin=True))
    await peer.until(lambda: peer.streams[other].ended)


@pytest.mark.asyncio
async def test_large_data_arrives_whole(spdy, echo) -> None:
    peer = await spdy("portforward", PF)
    _, data = open_pair(peer, 1, echo, "0")

    async def send() -> None:
        for _ in range(64):
            peer.send(frames.data_frame(data, b"x" * 65_536))
            await peer.drain()
        peer.send(frames.data_frame(data, b"", fin=True))

    sending = asyncio.create_task(send())
    await peer.until(lambda: peer.streams[data].ended)
    await sending
    assert bytes(peer.streams[data].data) == b"X" * 64 * 65_536 + b"<4194304>"


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "headers",
    [{"streamtype": "data"}, {"streamtype": "data", "port": "0"}, {"streamtype": "stdin", "port": "80"}],
    ids=["no port", "port 0", "no such kind"],
)
async def test_streams_that_make_no_sense_are_refused(spdy, headers) -> None:
    peer = await spdy("portforward", PF)
    peer.open(1, **headers)
    await peer.until(lambda: peer.streams[1].reset is not None)


@pytest.mark.asyncio
async def test_a_pair_has_one_stream_of_each_kind(spdy) -> None:
    peer = await spdy("portforward", PF)
    for stream_id in (1, 3):
        peer.open(stream_id, streamtype="error", port="80", requestid="0")
    await peer.until(lambda: peer.streams[3].reset is not None)
    assert peer.streams[1].replied


@pytest.mark.asyncio
async def test_half_a_pair_is_not_kept(spdy, monkeypatch) -> None:
    monkeypatch.setattr(portforward, "_PAIR_TIMEOUT_S", 0.02)
    peer = await spdy("portforward", PF)
    peer.open(1, streamtype="error", port="80", requestid="0")
    await peer.until(lambda: peer.streams[1].reset is not None)


@pytest.mark.asyncio
async def test_a_client_that_leaves_closes_its_connections(scene, spdy, echo) -> None:
    peer = await spdy("portforward", PF)
    _, data = open_pair(peer, 1, echo, "0")
    peer.send(frames.data_frame(data, b"x"))
    await peer.until(lambda: bool(peer.streams[data].data))
    await peer.close()
    await scene.finished.wait()


class _Leaving:
    """A client that opens a pair of streams and is gone, before anything else could run."""

    def __init__(self) -> None:
        pack = frames.HeaderWriter().pack
        kinds = {1: "error", 3: "data"}
        headers = {
            number: {"streamtype": kind, "port": "80", "requestid": "0"} for number, kind in kinds.items()
        }
        self._said = [
            b"".join(frames.syn_stream_frame(number, pack(head)) for number, head in headers.items())
        ]

    async def receive(self) -> bytes:
        return self._said.pop() if self._said else b""

    async def send(self, data: bytes) -> None:
        del data


@pytest.mark.asyncio
async def test_a_client_that_leaves_at_once_leaves_no_work_behind() -> None:
    """Tasks that are cancelled before their first step leave no coroutine that is never awaited."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        gc.collect()  # what other tests left is not said of this one
        said.clear()
        await portforward._Forwarder(
            _Leaving(), _refuse
        ).run()  # over a socket, the order would be a matter of luck
        gc.collect()
    assert [str(each.message) for each in said] == []


async def _refuse(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    raise ConnectionRefusedError(port)


@pytest.mark.asyncio
async def test_another_protocol_is_forbidden(spdy) -> None:
    assert (await spdy("portforward", "v4.channel.k8s.io")).status == 403


@pytest.mark.asyncio
async def test_a_client_that_names_no_protocol_is_served(spdy, echo) -> None:
    peer = await spdy("portforward")
    _, data = open_pair(peer, 1, echo, "0")
    peer.send(frames.data_frame(data, b"", fin=True))
    await peer.until(lambda: peer.streams[data].ended)


@pytest.mark.asyncio
async def test_spdy_goes_through_a_websocket(scene, http, echo) -> None:
    """kubectl from 1.31."""
    pack = frames.HeaderWriter().pack
    async with http.ws_connect(scene.url("portforward"), protocols=(TUNNEL,)) as socket:
        opening = [
            frames.syn_stream_frame(
                stream_id, pack({"streamtype": kind, "port": str(echo), "requestid": "0"})
            )
            for stream_id, kind in ((1, "error"), (3, "data"))
        ]
        await socket.send_bytes(opening[0][:10])
        await socket.send_bytes(b"")
        await socket.send_bytes(opening[0][10:] + opening[1] + frames.data_frame(3, b"abc", fin=True))
        said = b""
        while frames.data_frame(1, b"", fin=True) not in said:
            said += await socket.receive_bytes(timeout=40)
        assert socket.protocol == TUNNEL
    assert b"ABC" in said
    assert b"<3>" in said
    await scene.finished.wait()


@pytest.mark.asyncio
async def test_no_common_websocket_protocol_is_forbidden(scene, http) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(scene.url("portforward"), protocols=("v9.channel.k8s.io",))
    assert refused.value.status == 403


@pytest.mark.asyncio
async def test_channels_carry_one_connection_per_port(scene, http, echo) -> None:
    """The Python clients' way: each channel first says its port."""
    url = scene.url("portforward") + f"?ports={echo},{CLOSED_PORT}"
    async with http.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
        await socket.send_bytes(b"\x00hello")
        await socket.send_bytes(b"\x09nobody")
        said: dict[int, bytes] = {}
        while said.get(0, b"")[2:] != b"HELLO" or len(said.get(3, b"")) < 3:
            message = await socket.receive_bytes(timeout=40)
            said[message[0]] = said.get(message[0], b"") + message[1:]
    assert said[0] == b"\x50\x00HELLO"
    assert said[1] == b"\x50\x00"
    assert said[3].startswith(b"\x09\x00error forwarding port 9")


@pytest.mark.asyncio
async def test_channels_close_when_the_pods_side_ended(scene, http) -> None:
    scene.ports[CLOSED_PORT] = 1
    url = scene.url("portforward") + f"?ports={CLOSED_PORT}"
    async with http.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
        assert [message.data[0] async for message in socket] == [0, 1, 1]


@pytest.mark.asyncio
async def test_a_slow_pod_slows_the_channels(scene, http) -> None:
    async def stall(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await go_on.wait()
        received.append(len(await reader.readexactly(len(data))))
        writer.close()

    go_on, received, data = asyncio.Event(), list[int](), b"x" * 65_536 * 300
    server = await asyncio.start_server(stall, "127.0.0.1", 0)
    scene.ports[80] = server.sockets[0].getsockname()[1]

    async def send(socket: aiohttp.ClientWebSocketResponse) -> None:
        for start in range(0, len(data), 65_536):
            await socket.send_bytes(b"\0" + data[start : start + 65_536])

    url = scene.url("portforward") + "?ports=80"
    async with http.ws_connect(url, protocols=("v4.channel.k8s.io",)) as socket:
        sending = asyncio.create_task(send(socket))
        done, _ = await asyncio.wait({sending}, timeout=0.3)
        assert not done
        go_on.set()
        async for _ in socket:
            pass
        await sending
    assert received == [len(data)]
    server.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("query", ["", "?ports=", "?ports=80,x", "?ports=70000"])
async def test_channels_need_ports_that_can_be_read(scene, http, query: str) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(scene.url("portforward") + query, protocols=("v4.channel.k8s.io",))
    assert refused.value.status == 400


@pytest.mark.asyncio
async def test_a_request_without_upgrade_is_refused(scene, http) -> None:
    async with http.post(scene.url("portforward")) as response:
        assert (await response.json())["message"] == "Upgrade request required"


@pytest.mark.parametrize(
    ("text", "port"),
    [("1", 1), ("65535", 65_535), ("65536", None), ("0", None), ("-1", None), ("٣", None), ("", None)],
)
def test_ports_are_plain_numbers_in_range(text: str, port: int | None) -> None:
    assert forwarding.parse_port(text) == port


def test_a_problem_without_a_number_keeps_its_words() -> None:
    assert forwarding.connect_problem(80, OSError("Multiple exceptions")).endswith(b"Multiple exceptions")


class Connection:
    """A pod's connection that says nothing."""

    closed = False

    async def read(self, _size: int) -> bytes:
        return await asyncio.Future()

    def close(self) -> None:
        self.closed = True

    async def wait_closed(self) -> None:
        return


@pytest.mark.asyncio
async def test_cancelled_twice_a_connection_is_closed_nevertheless():
    """By the client's leaving, and by the cluster's stop while the input still hesitates."""
    connection, let_go, reading = Connection(), asyncio.Event(), asyncio.Event()

    async def receive() -> bytes:
        reading.set()
        try:
            return await asyncio.Future()
        finally:
            await let_go.wait()

    pumping = asyncio.create_task(
        forwarding.pump(connection, connection, receive=receive, send=receive, end=receive)
    )
    await reading.wait()
    for _ in range(2):
        pumping.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await pumping
    let_go.set()
    assert connection.closed

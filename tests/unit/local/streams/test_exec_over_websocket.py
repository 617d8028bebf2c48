"""Exec and attach over WebSocket channels: version 5 (kubectl from 1.31), version 4 (Python clients) and before."""

from __future__ import annotations

import asyncio
import base64
import json

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.status import bad_request
from podrunner.local.streams import websocket
from podrunner.local.streams.websocket import ChannelClosed, ChannelData

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)


async def messages(socket: aiohttp.ClientWebSocketResponse) -> dict[int, bytes]:
    """What each channel said until the server closed."""
    said: dict[int, bytes] = {}
    async for message in socket:
        said[message.data[0]] = said.get(message.data[0], b"") + message.data[1:]
    return said


@pytest.mark.asyncio
@pytest.mark.parametrize("protocol", [V5, V4])
async def test_outputs_are_kept_apart_and_the_exit_code_comes_last(scene, http, protocol) -> None:
    scene.process.say(("stdout", b"out"), ("stderr", b"err"))
    scene.process.end(3)
    url = scene.url("exec", stdout=True, stderr=True)
    async with http.ws_connect(url, protocols=(protocol,)) as socket:
        said = await messages(socket)
        assert (socket.protocol, socket.close_code) == (protocol, 1000)
    status = json.loads(said[ERROR])
    assert (said[STDOUT], said[STDERR]) == (b"out", b"err")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]


@pytest.mark.asyncio
async def test_an_empty_message_says_that_all_is_set_up(scene, http) -> None:
    """On the first output that the client takes, as a kubelet does."""
    async with http.ws_connect(scene.url("exec", stderr=True), protocols=(V4,)) as socket:
        assert (await socket.receive()).data == bytes([STDERR])
    await scene.process.killed.wait()


@pytest.mark.asyncio
async def test_a_client_without_outputs_is_greeted_on_the_error_channel(scene, http) -> None:
    async with http.ws_connect(scene.url("exec", stdin=True), protocols=(V4,)) as socket:
        assert (await socket.receive()).data == bytes([ERROR])


@pytest.mark.asyncio
async def test_version_5_half_closes_a_channel(scene, http) -> None:
    scene.process.echo = True
    url = scene.url("exec", stdin=True, stdout=True)
    async with http.ws_connect(url, protocols=(V5, V4)) as socket:
        await socket.send_bytes(bytes([STDIN]) + b"hello")
        await socket.send_bytes(bytes([255, STDIN]))
        said = await messages(socket)
    assert said[STDOUT] == b"hello"
    assert json.loads(said[ERROR]) == {"metadata": {}, "status": "Success"}


@pytest.mark.asyncio
async def test_the_terminals_size_is_passed_on(scene, http) -> None:
    url = scene.url("exec", stdin=True, stdout=True, tty=True)
    async with http.ws_connect(url, protocols=(V5,)) as socket:
        await socket.send_bytes(bytes([RESIZE]) + b'{"Width":91,"Height":17}')
        await socket.send_bytes(bytes([RESIZE]) + b"nonsense")
        await socket.send_bytes(bytes([255, STDIN]))
        await scene.process.stdin_ended.wait()
    assert scene.process.sizes == [(91, 17)]


@pytest.mark.asyncio
async def test_the_base64_form_is_text(scene, http) -> None:
    scene.process.echo = True
    url = scene.url("exec", stdin=True, stdout=True)
    async with http.ws_connect(url, protocols=("v4.base64.channel.k8s.io",)) as socket:
        await socket.send_str("0" + base64.b64encode(b"\xff\x00").decode())
        assert (await socket.receive()).data == "1"
        assert (await socket.receive()).data == "1/wA="


@pytest.mark.asyncio
@pytest.mark.parametrize("protocols", [("channel.k8s.io",), ()], ids=["v1", "none named"])
async def test_before_version_4_a_failure_is_plain_text(scene, http, protocols) -> None:
    scene.process.end(9)
    async with http.ws_connect(scene.url("exec", stdout=True), protocols=protocols) as socket:
        said = await messages(socket)
    assert said[ERROR] == b"command terminated with non-zero exit code: exit status 9"


@pytest.mark.asyncio
async def test_before_version_4_success_is_silence(scene, http) -> None:
    scene.process.end()
    async with http.ws_connect(scene.url("exec", stdout=True), protocols=("channel.k8s.io",)) as socket:
        assert ERROR not in await messages(socket)


@pytest.mark.asyncio
async def test_a_client_that_leaves_ends_its_command(scene, http) -> None:
    async with http.ws_connect(scene.url("exec", stdout=True), protocols=(V4,)):
        pass
    await scene.process.killed.wait()


@pytest.mark.asyncio
async def test_output_to_a_client_that_left_ends_the_command(scene, http) -> None:
    socket = await http.ws_connect(scene.url("exec", stdout=True), protocols=(V4,))
    socket._response.connection.transport.abort()
    for _ in range(50):
        scene.process.say(("stdout", b"x" * 10_000))
    await scene.process.killed.wait()


@pytest.mark.asyncio
async def test_a_slow_process_slows_the_client_and_loses_nothing(scene, http) -> None:
    scene.process.reads_stdin.clear()
    data = bytes(range(256)) * 4096 * 16

    async def send(socket: aiohttp.ClientWebSocketResponse) -> None:
        for start in range(0, len(data), 65_536):
            await socket.send_bytes(bytes([STDIN]) + data[start : start + 65_536])
        await socket.send_bytes(bytes([255, STDIN]))

    async with http.ws_connect(scene.url("exec", stdin=True), protocols=(V5,)) as socket:
        sending = asyncio.create_task(send(socket))
        done, _ = await asyncio.wait({sending}, timeout=0.3)
        assert not done
        scene.process.reads_stdin.set()
        await scene.process.stdin_ended.wait()
    assert bytes(scene.process.stdin) == data


@pytest.mark.asyncio
async def test_a_refusal_is_an_ordinary_answer(scene, http) -> None:
    """Before the upgrade there is HTTP; kubectl prints its Status."""
    scene.problem = bad_request("container c is not running")
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(scene.url("exec", stdout=True), protocols=(V4,))
    assert refused.value.status == 400


@pytest.mark.asyncio
async def test_no_common_protocol_is_forbidden(scene, http) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(scene.url("exec", stdout=True), protocols=("v9.channel.k8s.io",))
    assert refused.value.status == 403


@pytest.mark.asyncio
async def test_a_process_that_cannot_be_started_is_reported_on_the_error_channel(scene, http) -> None:
    scene.problem = PermissionError("not allowed")
    async with http.ws_connect(scene.url("exec", stdout=True), protocols=(V5,)) as socket:
        said = await messages(socket)
    assert json.loads(said[ERROR])["message"].endswith("error executing command in container: not allowed")


@pytest.mark.asyncio
async def test_pings_go_out_while_nothing_happens(scene, http, monkeypatch) -> None:
    monkeypatch.setattr(websocket.ChannelSocket.__init__, "__kwdefaults__", {"heartbeat_s": 0.02})
    socket = await http.ws_connect(scene.url("exec", stdout=True), protocols=(V4,), autoping=False)
    seen = list[aiohttp.WSMsgType]()
    while seen.count(aiohttp.WSMsgType.PING) < 2:
        seen.append((await socket.receive()).type)
        # The message that all is set up comes once, and on a busy machine after a ping.
        assert seen[-1] in {aiohttp.WSMsgType.PING, aiohttp.WSMsgType.BINARY}, seen
    assert seen.count(aiohttp.WSMsgType.BINARY) <= 1
    await socket.close()


@given(st.integers(0, 4), st.binary(max_size=50), st.sampled_from([*websocket.CHANNEL_PROTOCOLS, None]))
def test_messages_survive_the_way(channel: int, data: bytes, protocol: str | None) -> None:
    message = websocket.encode_message(channel, data, protocol)
    assert websocket.decode_message(message, protocol) == ChannelData(channel, data)


@given(st.binary(max_size=20), st.sampled_from([*websocket.CHANNEL_PROTOCOLS, None]))
def test_no_message_raises(message: bytes, protocol: str | None) -> None:
    websocket.decode_message(message, protocol)


@pytest.mark.parametrize(
    ("message", "meaning"),
    [
        (b"\xff\x00", ChannelClosed(0)),
        (b"\xff", None),
        (b"\xff\x00\x00", None),
        (b"", None),
        (b"\x00", ChannelData(0, b"")),
    ],
)
def test_the_close_signal_names_one_channel(message: bytes, meaning: object) -> None:
    assert websocket.decode_message(message, V5) == meaning


def test_only_version_5_knows_the_close_signal() -> None:
    assert websocket.decode_message(b"\xff\x00", V4) == ChannelData(255, b"\x00")


def test_base64_that_is_none_says_nothing() -> None:
    assert websocket.decode_message(b"0!!!", "base64.channel.k8s.io") is None

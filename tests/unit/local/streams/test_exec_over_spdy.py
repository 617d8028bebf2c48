"""Exec and attach over SPDY/3.1, as kubectl up to 1.30 does it."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from podrunner.local.streams import conversation, session
from podrunner.spdy import frames

pytestmark = pytest.mark.asyncio

V4, V3, V2, V1 = "v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"
OUTPUT = "exec?stdout=true&stderr=true"
INPUT = "exec?stdin=true&stdout=true"


def all_ended(peer, ids):
    return lambda: all(peer.streams[each].ended for each in ids.values())


async def test_outputs_are_kept_apart_and_the_exit_code_comes_last(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V4)
    ids = peer.open_all("error", "stdout", "stderr")
    scene.process.say(("stdout", b"out"), ("stderr", b"err"), ("stdout", b"put"))
    scene.process.end(3)
    await peer.until(all_ended(peer, ids))
    assert (peer.status, peer.headers["X-Stream-Protocol-Version"]) == (101, V4)
    assert bytes(peer.streams[ids["stdout"]].data) == b"output"
    assert bytes(peer.streams[ids["stderr"]].data) == b"err"
    status = peer.status_of(ids["error"])
    assert (status["status"], status["reason"]) == ("Failure", "NonZeroExitCode")
    assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "3"}]
    assert not scene.process.killed.is_set()


async def test_the_first_offered_protocol_that_is_served_is_spoken(spdy) -> None:
    peer = await spdy(OUTPUT, "v9.channel.k8s.io", V3, V4)
    assert peer.headers["X-Stream-Protocol-Version"] == V3


async def test_no_common_protocol_is_forbidden_with_the_choices(spdy) -> None:
    peer = await spdy(OUTPUT, "v9.channel.k8s.io")
    assert peer.status == 403
    assert b"client supports [v9.channel.k8s.io], server accepts [v4.channel.k8s.io" in peer.body


@pytest.mark.parametrize("protocols", [(V3,), (V2,), (V1,), ()], ids=["v3", "v2", "v1", "none named"])
async def test_before_version_4_a_failure_is_plain_text(scene, spdy, protocols) -> None:
    peer = await spdy(OUTPUT, *protocols)
    ids = peer.open_all("error", "stdout", "stderr")
    scene.process.end(7)
    await peer.until(all_ended(peer, ids))
    words = bytes(peer.streams[ids["error"]].data)
    assert words == b"command terminated with non-zero exit code: exit status 7"


async def test_before_version_4_success_is_silence(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V3)
    ids = peer.open_all("error", "stdout", "stderr")
    scene.process.end()
    await peer.until(all_ended(peer, ids))
    assert bytes(peer.streams[ids["error"]].data) == b""


async def test_input_ends_where_the_client_half_closes(scene, spdy) -> None:
    scene.process.echo = True
    peer = await spdy(INPUT, V4)
    ids = peer.open_all("error", "stdin", "stdout")
    peer.send(frames.data_frame(ids["stdin"], b"hello\n"))
    peer.send(frames.data_frame(ids["stdin"], b"world\n", fin=True))
    await peer.until(all_ended(peer, ids))
    assert bytes(scene.process.stdin) == bytes(peer.streams[ids["stdout"]].data) == b"hello\nworld\n"
    assert peer.status_of(ids["error"]) == {"metadata": {}, "status": "Success"}


async def test_a_terminal_has_one_output_and_a_size(scene, spdy) -> None:
    """Sizes come as JSON objects on a stream, cut anywhere; an empty size is none."""
    peer = await spdy("exec?stdin=true&stdout=true&stderr=true&tty=true", V4)
    ids = peer.open_all("error", "stdin", "stdout", "resize")
    for piece in (b'{"Width":91,"Hei', b'ght":17}\n{"Width":0,"Height":0}', b'{"Width":80,"Height":24}'):
        peer.send(frames.data_frame(ids["resize"], piece))
    peer.send(frames.data_frame(ids["stdin"], b"", fin=True))
    await scene.process.stdin_ended.wait()
    scene.process.end()
    await peer.until(all_ended(peer, ids))
    assert scene.process.sizes == [(91, 17), (80, 24)]


async def test_a_client_that_leaves_ends_its_command(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V4)
    ids = peer.open_all("error", "stdout", "stderr")
    await peer.until(lambda: all(peer.streams[each].replied for each in ids.values()))
    await peer.close()
    await scene.process.killed.wait()


async def test_a_client_that_leaves_before_its_streams_ends_its_command(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V4)
    peer.open_all("error", "stdout")
    await peer.close()
    await scene.process.killed.wait()


async def test_a_client_that_does_not_open_its_streams_is_not_waited_for(scene, spdy, monkeypatch) -> None:
    monkeypatch.setattr(conversation, "_STREAMS_TIMEOUT_S", 0.05)
    peer = await spdy(OUTPUT, V4)
    peer.open_all("error")
    await peer.until_closed()
    await scene.process.killed.wait()


async def test_a_client_that_breaks_the_protocol_ends_its_command(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V4)
    peer.open_all("error", "stdout", "stderr")
    peer.send(b"\x80\x02garbage")
    await scene.process.killed.wait()
    await peer.until_closed()
    assert peer.goaway == 1


async def test_streams_that_were_not_asked_for_are_refused(scene, spdy) -> None:
    peer = await spdy("exec?stdout=true", V4)
    for stream_id, kind in enumerate(("error", "stderr", "stdout", "stdout", "surprise")):
        peer.open(2 * stream_id + 1, streamtype=kind)
    scene.process.end()
    await peer.until(lambda: all(peer.streams[each].ended for each in (1, 5)))
    assert [peer.streams[each].reset for each in (1, 3, 5, 7, 9)] == [None, 3, None, 3, 3]


async def test_output_that_was_not_asked_for_is_dropped(scene, spdy) -> None:
    peer = await spdy("exec?stdout=true", V4)
    ids = peer.open_all("error", "stdout")
    scene.process.say(("stderr", b"dropped"), ("stdout", b"kept"))
    scene.process.end()
    await peer.until(all_ended(peer, ids))
    assert bytes(peer.streams[ids["stdout"]].data) == b"kept"


async def test_a_slow_process_slows_the_client_and_loses_nothing(scene, spdy) -> None:
    """Bounded: what the process does not take stays with the client."""
    scene.process.echo = False
    scene.process.reads_stdin.clear()
    peer = await spdy(INPUT, V4)
    ids = peer.open_all("error", "stdin", "stdout")
    data = bytes(range(256)) * 4096 * 32

    async def send() -> None:
        for start in range(0, len(data), 65_536):
            peer.send(frames.data_frame(ids["stdin"], data[start : start + 65_536]))
            await peer.drain()
        peer.send(frames.data_frame(ids["stdin"], b"", fin=True))

    sending = asyncio.create_task(send())
    done, _ = await asyncio.wait({sending}, timeout=0.3)
    assert not done
    scene.process.reads_stdin.set()
    await scene.process.stdin_ended.wait()
    scene.process.end()
    await peer.until(all_ended(peer, ids))
    assert bytes(scene.process.stdin) == data
    assert peer.windows[0] > len(data) - 65_536


async def test_a_process_that_reads_no_more_holds_nothing_up(scene, spdy) -> None:
    scene.process.stdin_error = BrokenPipeError("broken pipe")
    peer = await spdy(INPUT, V4)
    ids = peer.open_all("error", "stdin", "stdout")
    for _ in range(20):
        peer.send(frames.data_frame(ids["stdin"], b"x" * 65_536))
        await peer.drain()
    scene.process.say(("stdout", b"done"))
    scene.process.end()
    await peer.until(all_ended(peer, ids))
    assert peer.status_of(ids["error"])["status"] == "Success"


async def test_a_client_that_keeps_windows_is_sent_no_more_than_they_allow(scene, spdy) -> None:
    peer = await spdy("exec?stdout=true", V4)
    peer.send(frames.settings_frame({7: 1000}))
    ids = peer.open_all("error", "stdout")
    out = peer.streams[ids["stdout"]]
    scene.process.say(("stdout", b"x" * 2500))
    scene.process.end()
    await peer.until(lambda: len(out.data) == 1000)
    peer.send(frames.window_update_frame(ids["stdout"], 600) + frames.window_update_frame(0, 100_000))
    await peer.until(lambda: len(out.data) == 1600)
    peer.send(frames.settings_frame({7: 5000}))
    await peer.until(all_ended(peer, ids))
    assert len(out.data) == 2500


async def test_a_client_that_closes_an_output_early_ends_its_command(scene, spdy) -> None:
    peer = await spdy("exec?stdout=true", V4)
    ids = peer.open_all("error", "stdout")
    peer.send(frames.rst_stream_frame(ids["stdout"], 5) + frames.ping_frame(1))
    await peer.until(lambda: 1 in peer.pings)
    scene.process.say(("stdout", b"x"))
    await scene.process.killed.wait()


async def test_a_process_that_cannot_be_started_is_reported_on_the_error_stream(scene, spdy) -> None:
    scene.problem = FileNotFoundError("no such program: nonexist")
    peer = await spdy(OUTPUT, V4)
    ids = peer.open_all("error", "stdout", "stderr")
    await peer.until(all_ended(peer, ids))
    status = peer.status_of(ids["error"])
    assert (status["reason"], status["code"]) == ("InternalError", 500)
    assert status["message"].endswith("error executing command in container: no such program: nonexist")


async def test_a_process_that_is_lost_is_reported_on_the_error_stream(scene, spdy) -> None:
    peer = await spdy(OUTPUT, V4)
    ids = peer.open_all("error", "stdout", "stderr")
    scene.process.lose(RuntimeError("the shim is gone"))
    await peer.until(all_ended(peer, ids))
    assert "the shim is gone" in peer.status_of(ids["error"])["message"]
    assert scene.process.killed.is_set()


async def test_the_end_of_what_is_attached_to_is_a_success(scene, spdy) -> None:
    """As a kubelet: kubectl run --attach reads the exit code from the pod's status."""
    peer = await spdy("attach?stdout=true", V4)
    ids = peer.open_all("error", "stdout")
    scene.process.end(3)
    await peer.until(all_ended(peer, ids))
    assert peer.status_of(ids["error"]) == {"metadata": {}, "status": "Success"}


async def test_the_client_may_read_the_rest_before_the_connection_closes(scene, spdy) -> None:
    """No reset is provoked by closing while the client still sends."""
    peer = await spdy(INPUT, V4)
    ids = peer.open_all("error", "stdin", "stdout")
    scene.process.say(("stdout", b"y" * 300_000))
    scene.process.end()
    peer.send(frames.data_frame(ids["stdin"], b"unread" * 1000))
    await peer.until(all_ended(peer, ids))
    assert len(peer.streams[ids["stdout"]].data) == 300_000
    await peer.close()
    await scene.finished.wait()


async def test_a_client_that_stays_is_not_waited_for_long(scene, spdy, monkeypatch) -> None:
    monkeypatch.setattr(session, "_LINGER_S", 0.05)
    peer = await spdy("exec?stdout=true", V4)
    peer.open_all("error", "stdout")
    scene.process.end()
    await peer.until_closed()
    assert peer.goaway == 0


async def test_pings_go_out_while_nothing_happens(scene, spdy, monkeypatch) -> None:
    """They find a client that died without closing the connection."""
    monkeypatch.setattr(session.SpdySession.__init__, "__kwdefaults__", {"heartbeat_s": 0.02})
    peer = await spdy("exec?stdout=true", V4)
    peer.open_all("error", "stdout")
    await peer.until(lambda: len(peer.pings) >= 2)
    assert peer.pings[:2] == [2, 4]


async def test_a_request_without_upgrade_is_refused_in_the_servers_words(
    scene, http: aiohttp.ClientSession
) -> None:
    async with http.post(scene.url("exec", stdout=True)) as response:
        assert response.status == 400
        assert (await response.json())["message"] == "Upgrade request required"


async def test_a_request_for_no_stream_is_refused(scene, http: aiohttp.ClientSession) -> None:
    async with http.post(scene.url("exec")) as response:
        assert (await response.json())["message"] == "you must specify at least 1 of stdin, stdout, stderr"

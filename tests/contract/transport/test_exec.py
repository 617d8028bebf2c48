"""Commands in containers, over a real WebSocket."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import web
from podrunner.errors import ExecError, ForbiddenError, NotFoundError, TransportError, UsageError
from podrunner.kube import ExecOutput

pytestmark = pytest.mark.anyio

V5 = ("v5.channel.k8s.io",)
V4 = ("v4.channel.k8s.io",)


def ended(code):
    if code == 0:
        return b"\x03" + json.dumps({"metadata": {}, "status": "Success"}).encode()
    cause = {"reason": "ExitCode", "message": str(code)}
    return (
        b"\x03"
        + json.dumps(
            {"status": "Failure", "reason": "NonZeroExitCode", "message": "…", "details": {"causes": [cause]}}
        ).encode()
    )


def running(body, *, protocols=V5):
    async def answer(request):
        socket = web.WebSocketResponse(protocols=protocols, max_msg_size=0)
        await socket.prepare(request)
        await body(socket)
        await socket.close()
        return socket

    return answer


def saying(*messages, protocols=V5):
    async def body(socket):
        for message in messages:
            await socket.send_bytes(message)

    return running(body, protocols=protocols)


async def test_output_and_exit_code_come_back(client_for, stub):
    """The exit code may come before the last output: each of the streams is copied on its own."""
    stub.answer = saying(
        b"\x01", b"\x02", b"\x01out ", b"\x02err", ended(3), b"\x01more", b"\xff\x01", protocols=V4
    )
    async with client_for(stub) as client:
        result = await client.run_exec("n", "a", ["sh", "-c", "exit 3"], container="base")
    assert (result.exit_code, result.stdout, result.stderr) == (3, b"out more", b"err")
    parts = urlsplit(stub.seen[0].target)
    assert parts.path == "/api/v1/namespaces/n/pods/a/exec"
    assert parse_qs(parts.query) == {
        "command": ["sh", "-c", "exit 3"],
        "container": ["base"],
        "stdout": ["true"],
        "stderr": ["true"],
    }
    assert (
        stub.seen[0].headers["Sec-WebSocket-Protocol"].replace(" ", "")
        == "v5.channel.k8s.io,v4.channel.k8s.io"
    )


async def test_the_handshake_accepts_whatever_a_newer_server_answers_with(client_for, stub):
    """Row V1: from 1.36 on a kubelet answers 406 to a handshake that accepts JSON alone."""
    run = saying(ended(0))

    async def newer(request):
        accepted = [each.split(";")[0].strip() for each in request.headers.get("Accept", "*/*").split(",")]
        if "*/*" not in accepted:
            raise web.HTTPNotAcceptable(text="406: Not Acceptable\n\nAvailable representations: ")
        return await run(request)

    stub.answer = newer
    async with client_for(stub) as client:
        assert (await client.run_exec("n", "a", ["true"])).exit_code == 0
    assert len(stub.seen) == 1


async def test_stdin_is_written_while_output_is_read(client_for, stub):
    async def cat(socket):
        async for message in socket:
            if message.data == b"\xff\x00":
                break
            await socket.send_bytes(b"\x01" + message.data[1:])
        await socket.send_bytes(ended(0))

    stub.answer = running(cat)
    data = bytes(range(256)) * 8_000
    async with client_for(stub) as client:
        result = await client.run_exec("n", "a", ["cat"], stdin=data)
    assert (result.exit_code, result.stdout) == (0, data)


async def test_a_command_that_ends_without_reading_its_stdin_still_reports_its_exit_code(client_for, stub):
    stub.answer = saying(ended(1))
    async with client_for(stub) as client:
        result = await client.run_exec("n", "a", ["false"], stdin=b"x" * 1_000_000)
    assert result.exit_code == 1


async def test_a_session_is_talked_with(client_for, stub):
    heard = []

    async def shell(socket):
        heard.extend([(await socket.receive()).data for _ in range(3)])
        await socket.send_bytes(b"\x01$ ")
        await socket.send_bytes(ended(0))

    stub.answer = running(shell)
    async with client_for(stub) as client, client.exec("n", "a", ["sh"], stdin=True, tty=True) as session:
        await session.write(b"ls\n")
        await session.resize(width=80, height=25)
        await session.close_stdin()
        with pytest.raises(UsageError, match="not ended"):
            _ = session.exit_code
        assert [output async for output in session] == [ExecOutput("stdout", b"$ ")]
        assert session.exit_code == 0
    assert heard == [b"\x00ls\n", b'\x04{"Width":80,"Height":25}', b"\xff\x00"]
    assert "stderr" not in parse_qs(urlsplit(stub.seen[0].target).query)


async def test_an_old_server_cannot_end_stdin_and_says_so(client_for, stub):
    stub.answer = saying(protocols=V4)
    async with client_for(stub) as client:
        with pytest.raises(ExecError, match=r"Kubernetes 1\.30"):
            await client.run_exec("n", "a", ["cat"], stdin=b"x")


async def test_a_command_that_cannot_be_run_is_an_error(client_for, stub):
    status = {
        "status": "Failure",
        "reason": "InternalError",
        "message": 'exec: "nope": executable file not found',
    }
    stub.answer = saying(b"\x03" + json.dumps(status).encode())
    async with client_for(stub) as client:
        with pytest.raises(ExecError, match="executable file not found") as caught:
            await client.run_exec("n", "a", ["nope"])
        assert caught.value.reason == "InternalError"
        with pytest.raises(ExecError, match="executable file not found"):
            await client.run_exec("n", "a", ["nope"], stdin=b"")


async def test_a_connection_that_ends_first_is_no_exit_code(client_for, stub):
    stub.answer = saying(b"\x01half")
    async with client_for(stub) as client:
        with pytest.raises(TransportError, match="exit code is not known"):
            await client.run_exec("n", "a", ["sleep", "9"])


@pytest.mark.parametrize(
    ("code", "reason", "kind"), [(404, "NotFound", NotFoundError), (403, "Forbidden", ForbiddenError)]
)
async def test_a_refusal_is_the_servers_error(client_for, stub, code, reason, kind):
    stub.json({"kind": "Status", "code": code, "reason": reason, "message": "why"}, status=code)
    async with client_for(stub) as client:
        with pytest.raises(kind, match="why"):
            await client.run_exec("n", "a", ["date"])


@pytest.mark.parametrize("command", [[], (), "date"])
async def test_an_empty_command_is_refused(client_for, stub, command):
    async with client_for(stub) as client:
        with pytest.raises(UsageError, match="program"):
            await client.run_exec("n", "a", command)

"""Answers without an end are errors that name the limit, and take little memory: in a process of its own."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import subprocess
import sys
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.contract.transport.conftest import COMBINATIONS, Handler, Stub

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/clear_refs").exists(), reason="measures resident memory as Linux shows it"
)

MIB = 1024 * 1024
MAX_GROWTH = 64 * MIB
ROOT = Path(__file__).parents[3]


def endless(piece: bytes, *, first: bytes = b"", status: int = 200, **headers: str) -> Handler:
    """Send a piece again and again until the client goes."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        if first:
            await response.write(first)
        while True:
            await response.write(piece)

    return answer


def bomb(mebibytes: int = 4096) -> Iterator[bytes]:
    """One gzip member of many gibibytes of blanks: a thousandth of that on the line."""
    packer = zlib.compressobj(9, wbits=31)
    blanks = b" " * MIB
    for _ in range(mebibytes):
        if packed := packer.compress(blanks):
            yield packed


def exploding(status: int = 200) -> Handler:
    """Send a gzip bomb."""

    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        for packed in bomb():
            await response.write(packed)
        return response

    return answer


def pod(number: int) -> dict[str, Any]:
    meta = {"name": f"p{number}", "namespace": "n", "uid": f"u{number}", "resourceVersion": str(number + 1)}
    return {"metadata": meta, "spec": {"containers": [{"name": "base"}]}, "status": {"phase": "Running"}}


def pages(items: Callable[[int], list[dict[str, Any]]], token: Callable[[int], str]) -> Handler:
    """A list of pages without end."""
    numbers = itertools.count()

    async def answer(request: web.Request) -> web.Response:
        number = next(numbers)
        meta = {"resourceVersion": "5", "continue": token(number)}
        return web.json_response({"kind": "PodList", "metadata": meta, "items": items(number)})

    return answer


async def lines() -> AsyncIterator[bytes]:
    for number in itertools.count():
        yield json.dumps({"type": "ADDED", "object": pod(number)}).encode() + b"\n"


async def endless_list(request: web.Request) -> web.StreamResponse:
    """A streaming list whose end never comes."""
    response = web.StreamResponse()
    await response.prepare(request)
    async for line in lines():
        await response.write(line)
    return response


async def endless_output(request: web.Request) -> web.WebSocketResponse:
    """A command that writes without end."""
    socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",), compress=False)
    await socket.prepare(request)
    while True:
        await socket.send_bytes(b"\x01" + b"x" * MIB)


async def endless_message(request: web.Request) -> web.WebSocketResponse:
    """One message of many frames."""
    socket = web.WebSocketResponse(protocols=("v5.channel.k8s.io",), compress=False)
    await socket.prepare(request)
    line = request.transport
    header = bytes([2, 127])  # the first frame of a message, and not the last
    while line is not None and not line.is_closing():
        if line.get_write_buffer_size() > 4 * MIB:
            await asyncio.sleep(0.01)
            continue
        line.write(header + MIB.to_bytes(8, "big") + b"\x01" * MIB)
        header = bytes([0, 127])
        await asyncio.sleep(0)
    return socket


TOO_LONG = "AnswerTooLongError: GET http://127.0.0.1"
CASES: dict[str, tuple[str, Handler, list[str]]] = {
    "a body": ("read", endless(b"x" * MIB), [TOO_LONG, "longer than 33554432 bytes, which is the limit"]),
    "a body that begins well": (
        "read",
        endless(b" " * MIB, first=b'{"metadata":{"name":"a"},'),
        [TOO_LONG, "which is the limit"],
    ),
    "the answer to a create": ("create", endless(b"x" * MIB), ["longer than 33554432 bytes"]),
    "a gzip bomb": ("read", exploding(), [TOO_LONG, "longer than 33554432 bytes"]),
    "a gzip bomb of members": (
        "read",
        endless(gzip.compress(b" " * MIB), **{"Content-Encoding": "gzip"}),
        [TOO_LONG, "longer than 33554432 bytes"],
    ),
    "the body of an error": ("read", endless(b"x" * MIB, status=503), ["ServerError", "503"]),
    "a gzip bomb in an error": ("read", exploding(503), ["ServerError", "503"]),
    "the body of a watch's error": ("watch", endless(b"x" * MIB, status=503), ["ServerError", "503"]),
    "the body of a refused command": ("exec", endless(b"x" * MIB, status=403), ["ForbiddenError", "403"]),
    "a line of a watch": ("watch", endless(b"x" * MIB), ["longer than 16777216 bytes, which is the limit"]),
    "a gzip bomb in a watch": ("watch", exploding(), ["longer than 16777216 bytes, which is the limit"]),
    "lines that are no events": (
        "watch",
        endless((b'{"message":"' + b"x" * 86 + b'"}\n') * 10_000),
        ["16777216 bytes without an event, which is the limit"],
    ),
    "blank lines": ("watch", endless(b"\n" * MIB), ["16777216 bytes without an event"]),
    "a log of one line": ("log", endless(b"x" * MIB), ["512 MiB were read, a piece at a time"]),
    "a log as a gzip bomb": ("log", exploding(), ["512 MiB were read, a piece at a time"]),
    "the output of a command": ("exec", endless_output, ["ExecError", "longer than 33554432 bytes"]),
    "a message": ("exec", endless_message, ["a message is longer than 33554432 bytes"]),
    "pages with one token": (
        "list",
        pages(lambda _: [pod(1)], lambda _: "again"),
        ["EndlessListError", "repeats a continue token after 2 pages"],
    ),
    "empty pages": ("list", pages(lambda _: [], str), ["EndlessListError", "more than 260 pages"]),
    "pages of new pods": (
        "list",
        pages(lambda number: [pod(number * 500 + each) for each in range(500)], str),
        ["EndlessListError", "more than 40000 objects, which is the limit (see watch.max_listed_pods)"],
    ),
    "a streaming list": ("streaming-list", endless_list, ["EndlessListError", "more than 40000 objects"]),
}


@pytest.mark.parametrize(("transport", "loop"), COMBINATIONS)
@pytest.mark.parametrize("case", CASES)
def test_it_is_an_error_and_takes_little_memory(stub: Stub, transport: str, loop: str, case: str):
    """H7: no more than 64 MiB of resident memory at any moment."""
    verb, answer, said = CASES[case]

    async def routed(request: web.Request) -> web.StreamResponse:
        if request.path == "/version":
            return web.json_response({"gitVersion": "v1.34.0"})
        return await answer(request)

    stub.answer = routed
    command = [
        sys.executable,
        "-m",
        "tests.contract.transport.hostile_client",
        stub.url,
        transport,
        loop,
        verb,
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    sys.stdout.write(f"{case}: {found['grown'] / MIB:.1f} MiB\n")
    assert [part for part in said if part not in found["said"]] == [], found
    assert found["grown"] <= MAX_GROWTH

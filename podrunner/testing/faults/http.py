"""As much HTTP/1.1 as a proxy needs: heads, and bodies in their three framings. No faults here."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

__all__ = ["Head", "batches", "chunk", "read_head", "reply"]

_BATCH = 64 * 1024


class Head(NamedTuple):
    """The first line and the headers, whose names are in lower case."""

    start: str
    headers: tuple[tuple[str, str], ...]

    def get(self, name: str) -> str:
        """Return a header, or ""."""
        return next((value for found, value in self.headers if found == name), "")

    @property
    def status(self) -> int:
        """The status code of an answer."""
        return int(self.start.split(" ", 2)[1])

    def having(self, **headers: str | None) -> Head:
        """Return it with headers replaced; None takes one away. An underscore stands for a hyphen."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        kept = [(name, value) for name, value in self.headers if name not in named]
        new = [(name, value) for name, value in named.items() if value is not None]
        return Head(self.start, (*kept, *new))

    def __bytes__(self) -> bytes:
        lines = [self.start, *(f"{name}: {value}" for name, value in self.headers)]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """Read a head; None if the connection ended before it."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None
    start, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    return Head(start, tuple((name.strip().lower(), value.strip()) for name, _, value in pairs))


async def batches(
    reader: asyncio.StreamReader, head: Head, *, until_close: bool = False
) -> AsyncIterator[bytes]:
    """Read a body, without its framing.

    Args:
        reader: Where from.
        head: Its head.
        until_close: Without a length, it goes on to the connection's end; otherwise it is empty.
    """
    if "chunked" in head.get("transfer-encoding").lower():
        async for data in _chunks(reader):
            yield data
    elif head.get("content-length"):
        left = int(head.get("content-length"))
        while left:
            data = await _some(reader, min(left, _BATCH))
            left -= len(data)
            yield data
    elif until_close:
        while data := await reader.read(_BATCH):
            yield data


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while left := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        while left:
            data = await _some(reader, min(left, _BATCH))
            left -= len(data)
            yield data
        await reader.readexactly(2)
    while (await reader.readuntil(b"\r\n")) != b"\r\n":
        pass


async def _some(reader: asyncio.StreamReader, most: int) -> bytes:
    data = await reader.read(most)
    if not data:
        raise EOFError("the connection ended within a body")
    return data


def chunk(data: bytes) -> bytes:
    """Frame a part of a body; an empty one ends it."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def reply(status: int, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return a whole answer."""
    named = {**headers, "Content-Length": str(len(body))}
    lines = [f"HTTP/1.1 {status} Injected", *(f"{name}: {value}" for name, value in named.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + body

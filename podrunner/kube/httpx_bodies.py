"""How the body of an httpx response is read: as it came, with the bounds of ``bodies``. It needs httpx."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

import anyio
import httpx

from podrunner.kube.bodies import Body

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["body_of", "exhaust", "pieces_of"]

_EXHAUST_WITHIN_S: Final = 1.0
"""Nothing is awaited on a closed connection; the bound is there in case a library's next version does."""


def pieces_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """Return the body's bytes as they come; decompressed only if an embedder's hook has read the body already."""
    return answer.aiter_bytes() if answer.is_stream_consumed else answer.aiter_raw()


def body_of(answer: httpx.Response, pieces: AsyncIterator[bytes]) -> Body:
    """Return the body of a response.

    Args:
        answer: The response.
        pieces: Its bytes, of :func:`pieces_of`.
    """

    async def read() -> bytes:
        async for piece in pieces:
            if piece:
                return piece
        return b""

    return Body(read, {} if answer.is_stream_consumed else answer.headers)


async def exhaust(pieces: AsyncIterator[bytes]) -> None:
    """End the generators inside httpx and httpcore, once the response is closed.

    They would otherwise be left suspended: trio warns of each when it is garbage.
    """
    with (
        anyio.move_on_after(_EXHAUST_WITHIN_S, shield=True),
        suppress(httpx.HTTPError, httpx.StreamError),
    ):
        async for _ in pieces:
            pass

"""Whole lines out of a stream of byte batches. Pure; what the lines mean belongs to the neighbours.

A batch may end anywhere: inside a line, inside a character. Only whole lines are handed on, so that no
character is ever decoded in two halves, and a line that a broken connection cut short is read again from its
beginning.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MAX_LINE_BYTES", "LineAssembler"]

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line is handed on in pieces of this size: output without line ends cannot fill the memory."""

_STAMP_SEARCH: Final = 40


class LineAssembler:
    """Collects what comes and gives back whole lines."""

    def __init__(self, *, max_line_bytes: int = MAX_LINE_BYTES) -> None:
        self._max = max_line_bytes
        self._parts: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> bytes:
        r"""Takes the next bytes; returns the lines that are whole by now, each with its ``\n``."""
        cut = data.rfind(b"\n") + 1
        if not cut:
            return self._keep(data)
        whole = b"".join((*self._parts, data[:cut])) if self._parts else data[:cut]
        self._parts, self._size = [], 0
        return whole + self._keep(data[cut:])

    def rest(self) -> bytes:
        r"""Takes what is left when the stream has ended for good: the last line with a ``\n``, or ``b""``."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest + b"\n" if rest else b""

    def _keep(self, data: bytes) -> bytes:
        if data:
            self._parts.append(data)
            self._size += len(data)
        return self._cut_short() if self._size > self._max else b""

    def _cut_short(self) -> bytes:
        piece = self.rest()
        # The next piece carries the same stamp, as if the container had written two lines at once.
        stamp = piece[: piece.find(b" ", 0, _STAMP_SEARCH) + 1]
        self._keep(stamp)
        return piece

"""Whole lines out of a stream of byte batches. Pure; what the lines mean belongs to the neighbours.

A batch may end anywhere: inside a line, inside a character. Only whole lines are handed on, so that no
character is ever decoded in two halves, and a line that a broken connection cut short is read again from its
beginning.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CONTINUED", "GOES_ON", "MAX_LINE_BYTES", "LineAssembler"]

MAX_LINE_BYTES: Final = 16 * 1024 * 1024
"""A longer line is handed on in pieces of this size: output without line ends cannot fill the memory."""

GOES_ON: Final = b" *** The line goes on"
"""Ends a piece of a line that was too long, if another one follows."""

CONTINUED: Final = b"*** The line continued: "
"""Begins the text of a piece of a line that was too long, behind the stamp, if another one came before."""

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
        whole = self._with_parts(data, cut) if self._size else data[:cut]
        return whole + self._keep(data[cut:])

    def _with_parts(self, data: bytes, cut: int) -> bytes:
        """Ends the line that was begun; returns it and the whole lines up to ``cut``."""
        end = data.index(b"\n")
        pieces = self._keep(data[:end])
        whole = b"".join((pieces, *self._parts, memoryview(data)[end:cut]))
        self._parts, self._size = [], 0
        return whole

    def rest(self) -> bytes:
        r"""Takes what is left when the stream has ended for good: the last line with a ``\n``, or ``b""``."""
        rest = b"".join(self._parts)
        self._parts, self._size = [], 0
        return rest + b"\n" if rest else b""

    def _keep(self, data: bytes) -> bytes:
        """Takes a part of a line; returns the pieces of it that are too long to be kept."""
        if data:
            self._parts.append(data)
            self._size += len(data)
        pieces = []
        while self._size > self._max:
            pieces.append(self._cut_short())
        return b"".join(pieces)

    def _cut_short(self) -> bytes:
        """Cuts off a piece: always of the same size, so that it is recognised when it is read once more."""
        line = b"".join(self._parts)
        # The next piece carries the same stamp, as if the container had written two lines at once.
        stamp = line[: line.find(b" ", 0, _STAMP_SEARCH) + 1]
        rest = stamp + CONTINUED + line[self._max :]
        self._parts, self._size = [rest], len(rest)
        return line[: self._max] + GOES_ON + b"\n"

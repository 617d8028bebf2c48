"""Split a stream of byte batches into lines.

A line may be as long as the largest pod, and much longer: a limit that a valid line meets would break a watch for ever.
"""

from __future__ import annotations

from podrunner.errors import TransportError

__all__ = ["MAX_LINE_BYTES", "LineSplitter"]

MAX_LINE_BYTES = 16 * 1024 * 1024
"""Ten times what etcd can hold by default (1.5 MiB): beyond it, the other side does not speak lines."""


class LineSplitter:
    """Cuts batches at line feeds and keeps the unfinished rest for the next batch."""

    __slots__ = ("_max_bytes", "_rest", "_rest_bytes")

    def __init__(self, *, max_bytes: int = MAX_LINE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._rest: list[bytes] = []
        self._rest_bytes = 0

    def feed(self, batch: bytes) -> list[bytes]:
        """Return the lines that this batch completes, without their line feeds; blank ones included.

        Raises:
            TransportError: A line grew over the limit.
        """
        lines = batch.split(b"\n")
        last = lines.pop()
        if not lines:
            self._keep(last)
            return lines
        if self._rest:
            lines[0] = self._joined() + lines[0]
        if last:
            self._keep(last)
        return lines

    def finish(self) -> bytes:
        """Return what is left at the stream's end: the last line, if no line feed ended it; else empty."""
        return self._joined()

    def _joined(self) -> bytes:
        whole = b"".join(self._rest)
        self._rest.clear()
        self._rest_bytes = 0
        return whole

    def _keep(self, piece: bytes) -> None:
        """Keep pieces apart: joining them as each comes would take quadratic time for a long line."""
        self._rest.append(piece)
        self._rest_bytes += len(piece)
        if self._rest_bytes > self._max_bytes:
            self._rest.clear()
            self._rest_bytes = 0
            raise TransportError(
                f"a line of the stream is longer than {self._max_bytes} bytes, which is the limit"
            )

"""The first output of a container, kept for a client that attaches right after its start.

``kubectl run --attach`` attaches when it sees the pod run. By then a short program has written everything: on a real
node, where seeing takes a second, kubectl finds it ended and reads its log instead; here it is often still about to
end, and the output would be lost. So the first client that attaches right after the start gets it from the start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.kubelet.stdio import StreamName

__all__ = ["Opening"]

WITHIN_S: Final = 2.0
"""Seconds after the start. Later clients get what is new, as on a real node."""
LIMIT_BYTES: Final = 64 * 1024
"""Bytes kept. If a container writes more at once, clients get what is new, as on a real node: a part would mislead."""


class Opening:
    """A container's first output, for its first client.

    Args:
        clock: Seconds, as of the event loop.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = clock() + WITHIN_S
        self._chunks: list[tuple[StreamName, bytes]] = []
        self._size = 0

    def put(self, name: StreamName, data: bytes) -> None:
        """More output."""
        self._size += len(data)
        if self._size > LIMIT_BYTES or self._clock() > self._until:
            self._chunks = []
        else:
            self._chunks.append((name, data))

    def take(self) -> list[tuple[StreamName, bytes]]:
        """Return all of it, once; nothing when it is too late."""
        chunks, self._chunks = self._chunks, []
        in_time = self._clock() <= self._until
        self._until = float("-inf")
        return chunks if in_time else []

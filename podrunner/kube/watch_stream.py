"""One watch connection as batches of events. Reconnecting, lists and time limits are the reflector's (``watch``)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from podrunner.errors import TransportError
from podrunner.kube.lines import MAX_LINE_BYTES, LineSplitter
from podrunner.kube.wire import WatchEvent, decode_watch

if TYPE_CHECKING:
    from collections.abc import Collection

    from podrunner.kube.transport import ResponseStream

__all__ = ["WatchStream"]

_log = logging.getLogger(__name__)


class WatchStream:
    """Iterate over it: each item is a list of events, in the server's order.

    An empty list says that bytes came, and no event: half of one, blank lines, or what cannot be read.

    The iteration ends when the server ends the watch, and raises TransportError when the connection breaks.
    """

    def __init__(self, stream: ResponseStream, *, path: str, secrets: Collection[str] = ()) -> None:
        self._stream = stream
        self._path = path
        self._secrets = secrets
        self._lines = LineSplitter()
        self._ended = False
        self._skipped = 0
        self._unread_bytes = 0

    @property
    def skipped(self) -> int:
        """How many lines could not be read so far."""
        return self._skipped

    def __aiter__(self) -> WatchStream:
        return self

    async def __anext__(self) -> list[WatchEvent]:
        if self._ended:
            raise StopAsyncIteration
        try:
            batch = await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended = True
            if not (last := self._lines.finish()):
                raise
            return self._decode([last])
        if events := self._decode(self._lines.feed(batch)):
            self._unread_bytes = 0
        else:
            self._count_unread(len(batch))
        return events

    def _count_unread(self, size: int) -> None:
        self._unread_bytes += size
        if self._unread_bytes > MAX_LINE_BYTES:
            raise TransportError(
                f"the watch brought {MAX_LINE_BYTES} bytes without an event, which is the limit"
            )

    def _decode(self, lines: list[bytes]) -> list[WatchEvent]:
        events, skipped = decode_watch(lines, path=self._path, secrets=self._secrets)
        if skipped and not self._skipped:
            _log.warning(
                "watch of %s: an event could not be read and is skipped (counted; logged once)", self._path
            )
        self._skipped += skipped
        return events

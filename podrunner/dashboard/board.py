"""The board itself: what is said to viewers, and when. It knows pods and viewers, and nothing of HTTP."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import anyio
from anyio.lowlevel import checkpoint

from podrunner.dashboard.facts import details, encoded, event_rows, row
from podrunner.dashboard.hub import Hub
from podrunner.errors import PodrunnerError
from podrunner.logs.lines import LineAssembler
from podrunner.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from podrunner.dashboard.source import BoardSource, ShownPod

__all__ = ["Board", "Put", "message"]

Put = Callable[[bytes], Awaitable[None]]

_AT_ONCE: Final = 100
"""Pods in one message, which takes 10 ms to make and 50 KB: an embedder's event loop has other work too."""
_PAUSE_S: Final = 0.25
"""Between two messages about changes: of what happens meanwhile, each pod's last state is sent."""
_SIGN_OF_LIFE_S: Final = 15.0
_EVENTS_KEPT_S: Final = 3.0
_EVENTS_KEPT: Final = 200
_LOG_BYTES: Final = 64 * 1024


class Board:
    """One board over one source.

    Args:
        source: Where the pods are.
    """

    def __init__(self, source: BoardSource) -> None:
        self._source = source
        self._rows: dict[str, bytes] = {}
        self._events: OrderedDict[str, tuple[float, list[dict[str, Any]]]] = OrderedDict()
        self.hub: Hub = Hub(on_first=self._begin, on_last=self._end)

    def _begin(self) -> None:
        self._rows.clear()
        self._source.watch(self._note, self.hub.close)

    def _end(self) -> None:
        self._source.unwatch()
        self._rows.clear()

    def _note(self, uid: str) -> None:
        self._rows.pop(uid, None)
        self.hub.publish(uid)

    # Messages to a viewer of the table

    def check_open(self) -> None:
        """Refuses viewers while there is nothing to show.

        Raises:
            RunnerClosedError: The runner is not open.
        """
        self._source.check_open()

    async def changes(self, put: Put) -> None:
        """Puts a viewer's messages, as server-sent events: all pods, then what changes.

        Args:
            put: Sends one; it waits for a viewer that reads slowly.
        """
        with self.hub.viewer() as viewer:
            await self._put_pods(self._source.uids(), put)
            await put(message("ready", b"{}"))
            said = ""
            while True:
                said = await self._put_trouble(said, put)
                changed: list[str] | None = []
                with anyio.move_on_after(_SIGN_OF_LIFE_S):
                    changed = await viewer.changed()
                if changed is None:
                    await put(message("end", b"{}"))
                    return
                await (self._put_pods(changed, put) if changed else put(b": alive\n\n"))
                await anyio.sleep(_PAUSE_S)

    async def _put_trouble(self, said: str, put: Put) -> str:
        """Say why what is known may be out of date, if that is new; return what it is."""
        trouble = self._source.trouble()
        if trouble != said:
            await put(message("trouble", encoded({"text": redact(trouble)})))
        return trouble

    async def _put_pods(self, uids: Iterable[str], put: Put) -> None:
        for part in self._parts(uids):
            await put(part)
            await checkpoint()  # sending waits only once the connection's buffer is full

    def _parts(self, uids: Iterable[str]) -> Iterator[bytes]:
        """Give messages about pods, of a bounded number each; a pod that is gone is named."""
        listed = list(uids)
        for first in range(0, len(listed), _AT_ONCE):
            chosen = listed[first : first + _AT_ONCE]
            rows = [(uid, self._row(uid)) for uid in chosen]
            pods = b",".join(found for _, found in rows if found is not None)
            gone = encoded([uid for uid, found in rows if found is None])
            yield message("pods", b'{"pods":[' + pods + b'],"gone":' + gone + b"}")

    def _row(self, uid: str) -> bytes | None:
        """Return a pod's line, encoded once for all viewers."""
        if (known := self._rows.get(uid)) is not None:
            return known
        shown = self._source.get(uid)
        if shown is None:
            return None
        made = encoded(row(shown.record, shown.pod))
        if len(self.hub):  # else nothing says when it is out of date
            self._rows[uid] = made
        return made

    # One pod

    def find(self, uid: str) -> ShownPod | None:
        """Returns a pod; None: it is not known any more."""
        if not len(self.hub):
            self._source.uids()
        return self._source.get(uid)

    async def details(self, shown: ShownPod) -> dict[str, Any]:
        """Returns what the page of a pod shows."""
        found = details(shown.record, shown.pod, shown.outcome, now_s=time.time())
        if shown.pod is None:
            return {**found, "events": [], "events_error": ""}
        try:
            return {**found, "events": await self._events_of(shown), "events_error": ""}
        except PodrunnerError as error:
            return {**found, "events": [], "events_error": redact(str(error))}

    async def _events_of(self, shown: ShownPod) -> list[dict[str, Any]]:
        """Read a pod's events: for many viewers once in a few seconds."""
        assert shown.pod is not None, "asked of pods that exist"
        uid, now_s = shown.record.uid, anyio.current_time()
        kept = self._events.get(uid)
        if kept is not None and now_s - kept[0] < _EVENTS_KEPT_S:
            return kept[1]
        rows = event_rows(await self._source.events(shown.pod))
        self._events[uid] = (now_s, rows)
        self._events.move_to_end(uid)
        while len(self._events) > _EVENTS_KEPT:
            self._events.popitem(last=False)
        return rows

    async def log(self, shown: ShownPod, container: str | None, put: Put) -> None:
        """Puts a container's log, as server-sent events: each line once; a gap is a line that says so.

        Args:
            shown: The pod.
            container: Name of the container; None: the main one.
            put: Sends one event; it waits for a viewer that reads slowly.
        """
        try:
            async with self._source.open_log(shown, container) as found:
                await put(message("header", encoded({"text": found.header})))
                assembler = LineAssembler()
                async for batch in found.batches:
                    await _put_lines(assembler.feed(batch), put)
                await _put_lines(assembler.rest(), put)
        except PodrunnerError as error:
            await put(message("failed", encoded({"text": redact(str(error))})))
        else:
            await put(message("end", b"{}"))


async def _put_lines(data: bytes, put: Put) -> None:
    for part in _lines(data):
        await put(part)


def _lines(data: bytes) -> Iterator[bytes]:
    """Give messages of whole lines."""
    while data:
        cut = data.rfind(b"\n", 0, _LOG_BYTES) + 1 or data.find(b"\n") + 1 or len(data)
        part, data = data[:cut], data[cut:]
        yield message("lines", encoded(part.decode("utf-8", "replace").removesuffix("\n").split("\n")))


def message(kind: str, data: bytes) -> bytes:
    """Return one server-sent event; JSON holds no line end."""
    return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"

"""Watches: which events a watcher gets from a version on, and when.

A watcher holds a place in the store's history, not a queue: however slow it is, it costs nothing, and if history
is trimmed before it came, it is answered 410 as by a real API server. How an event is encoded is the view's
business (``rendering``).
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.selectors import Predicate, selector

if TYPE_CHECKING:
    from podrunner.local.api.options import ListOptions
    from podrunner.local.api.paths import Target
    from podrunner.local.api.storage.store import Change, Store, Stored

__all__ = ["BOOKMARK_INTERVAL_S", "EventView", "Watch"]

BOOKMARK_INTERVAL_S = 60.0
"""A bookmark about every minute, as kube-apiserver's watch cache does."""

MIN_TIMEOUT_S = 1800
"""kube-apiserver's ``--min-request-timeout``: a watch without a timeout ends after this to twice this."""

Write = Callable[[bytes], Awaitable[None]]


class EventView(Protocol):
    """How one event looks on the wire."""

    def event(self, kind: str, obj: dict[str, Any]) -> bytes:
        """Return one line of JSON."""
        ...

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Return one line of JSON that only carries a version."""
        ...


class Watch:
    """One watch request.

    Args:
        store: What is watched.
        target: Which collection.
        options: From where on, with which selectors.
        view: How events look.
        bookmark_interval_s: Seconds between bookmarks.
    """

    def __init__(
        self,
        store: Store,
        target: Target,
        options: ListOptions,
        view: EventView,
        *,
        bookmark_interval_s: float = BOOKMARK_INTERVAL_S,
    ) -> None:
        self._store = store
        self._target = target
        self._options = options
        self._view = view
        self._bookmark_interval_s = bookmark_interval_s
        self._chosen: Predicate | None = selector(target.type, labels=options.labels, fields=options.fields)
        self._place = options.version_number()
        self._changed = asyncio.Event()

    async def run(self, write: Write) -> None:
        """Write events until the watch's time is over, history is lost, or the task is cancelled."""
        forget = self._store.wake_on_change(self._target.type.storage, self._changed.set)
        try:
            await self._run(write)
        except StatusError as error:
            await write(self._view.event("ERROR", error.body()))
        finally:
            forget()

    async def _run(self, write: Write) -> None:
        loop = asyncio.get_running_loop()
        timeout_s = self._options.timeout_s or MIN_TIMEOUT_S * random.uniform(1, 2)  # noqa: S311  # spreads load
        end = loop.time() + timeout_s
        await self._write_lines(write, self._start())
        bookmark_at = loop.time() + self._bookmark_interval_s
        while loop.time() < end:
            await self._write_lines(write, self._news())
            await self._wait(min(end, bookmark_at))
            if (
                self._options.bookmarks
                and not self._changed.is_set()
                and loop.time() >= min(bookmark_at, end)
            ):
                await write(self._view.bookmark(self._place))
                bookmark_at = loop.time() + self._bookmark_interval_s

    async def _wait(self, until: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(until):
                await self._changed.wait()
        except TimeoutError:
            if not self._changed.is_set():  # a change in the same round of the loop loses to the time-out
                # Nothing happened to this resource: versions up to now are covered.
                self._place = max(self._place, self._store.version)
        if loop.time() >= until:
            await asyncio.sleep(0)

    @staticmethod
    async def _write_lines(write: Write, lines: Iterator[bytes]) -> None:
        batch = b"".join(lines)
        if batch:
            await write(batch)

    def _start(self) -> Iterator[bytes]:
        """Return the events before the first change: none, or all objects as ADDED."""
        wanted = self._options.initial_events
        if wanted is False or (wanted is None and self._place > 0):
            if self._place > 0:
                self._store.check_available(self._target.type.storage, self._place)
            else:
                self._place = self._store.version
            return
        self._place = self._store.version
        for obj in self._store.list(self._target.type.storage, self._target.namespace or None):
            if self._selects(obj):
                yield self._view.event("ADDED", obj)
        if wanted and self._options.bookmarks:
            yield self._view.bookmark(self._place, {"k8s.io/initial-events-end": "true"})

    def _news(self) -> Iterator[bytes]:
        self._changed.clear()
        changes = self._store.changes_since(self._target.type.storage, self._place)
        if changes:
            self._place = changes[-1].version
        for change in changes:
            line = self._line(change)
            if line:
                yield line

    def _line(self, change: Change) -> bytes | None:
        """Return the event that this watcher sees of a change: entering its selection is ADDED, leaving it DELETED."""
        is_in = change.type != "DELETED" and self._selects(change.obj)
        was_in = change.before is not None and self._selects(change.before)
        if is_in:
            return self._view.event("MODIFIED" if was_in else "ADDED", change.obj)
        if not was_in or change.before is None:
            return None
        return self._view.event("DELETED", change.obj if change.type == "DELETED" else _as_of(change))

    def _selects(self, obj: Stored) -> bool:
        if self._target.namespace and obj["metadata"].get("namespace") != self._target.namespace:
            return False
        if self._target.name and obj["metadata"]["name"] != self._target.name:
            return False
        return self._chosen is None or self._chosen(obj)


def _as_of(change: Change) -> dict[str, Any]:
    """Return what left the selection: its last selected state, at the version at which it left."""
    assert change.before is not None
    meta = {**change.before["metadata"], "resourceVersion": str(change.version)}
    return {**change.before, "metadata": meta}

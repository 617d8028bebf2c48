"""Which pods have changed since each viewer last looked. A slow viewer costs itself only.

A viewer's share is a set of UIDs: however many changes it misses, it never holds more than one entry for a pod.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Hub", "Viewer"]


class Viewer:
    """What one viewer has not seen yet."""

    def __init__(self) -> None:
        self._changed: dict[str, None] = {}
        self._news = Notify()
        self._is_closed = False

    def put(self, uid: str) -> None:
        """A pod has changed, or is gone."""
        self._changed[uid] = None
        self._news.notify_all()

    def close(self) -> None:
        """Nothing more will come."""
        self._is_closed = True
        self._news.notify_all()

    async def changed(self) -> list[str] | None:
        """Returns the UIDs of the pods that have changed, once there are some; None: nothing more will come."""
        while not self._changed and not self._is_closed:
            await self._news.wait()
        if self._is_closed:
            return None
        found, self._changed = list(self._changed), {}
        return found


class Hub:
    """All viewers.

    Args:
        on_first: Called when the first viewer comes.
        on_last: Called when the last one has left.
    """

    def __init__(
        self, on_first: Callable[[], None] | None = None, on_last: Callable[[], None] | None = None
    ) -> None:
        self._viewers: set[Viewer] = set()
        self._on_first = on_first
        self._on_last = on_last
        self.is_closed: bool = False
        self._end = Notify()

    def __len__(self) -> int:
        return len(self._viewers)

    def publish(self, uid: str) -> None:
        """A pod has changed, or is gone."""
        for viewer in self._viewers:
            viewer.put(uid)

    @contextmanager
    def viewer(self) -> Iterator[Viewer]:
        """Gives a viewer its share from now on."""
        viewer = Viewer()
        if not self._viewers and self._on_first is not None:
            self._on_first()
        self._viewers.add(viewer)
        if self.is_closed:
            viewer.close()
        try:
            yield viewer
        finally:
            self._viewers.discard(viewer)
            if not self._viewers and self._on_last is not None:
                self._on_last()

    def close(self) -> None:
        """Ends the streams of all viewers, and of those that come later."""
        self.is_closed = True
        self._end.notify_all()
        for viewer in list(self._viewers):
            viewer.close()

    async def closed(self) -> None:
        """Returns when it is closed."""
        while not self.is_closed:
            await self._end.wait()

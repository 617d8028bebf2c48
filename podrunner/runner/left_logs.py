"""The logs that runners left unread which are gone: the search for their cursor files, and what becomes of those.

Which runners are gone, and which pods exist, is decided in ``podrunner.ownership``.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import anyio.to_thread

from podrunner.logs.leftovers import LeftCursor, find_cursors, remove_cursors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

__all__ = ["LeftCursors"]

_logger = logging.getLogger(__name__)

T = TypeVar("T")


class LeftCursors:
    """The cursor files of runners that are gone, in one folder of logs.

    Args:
        folder: The folder; None: there is none.
        namespaces: The namespaces that the runner watches; None among them: all.
        knows: Whether the runner itself reads the log of the pod of a UID, or may: its cursor stays.
    """

    def __init__(
        self, folder: Path | None, *, namespaces: Sequence[str | None], knows: Callable[[str], bool]
    ) -> None:
        self._folder = folder
        self._namespaces = tuple(namespaces)
        self._knows = knows
        self._found: list[LeftCursor] = []

    @property
    def are_left(self) -> bool:
        """Whether some were found that are not settled: pods may be gone whose logs no runner reads on."""
        return any(not self._knows(left.mark.cursor.uid) for left in self._found)

    async def search(self, owners: Mapping[str, frozenset[str]]) -> None:
        """Looks for the cursor files of these runners.

        Args:
            owners: The runners, each with what its files may say of its Lease.
        """
        if self._folder is not None:
            find = partial(find_cursors, self._folder, owners=owners, namespaces=self._namespaces)
            self._found += await _in_thread(find)

    async def settle(self, existing: frozenset[str]) -> None:
        """Removes those of pods that do not exist; a log that was not read to its end gets a gap.

        Args:
            existing: UIDs of pods that exist: their cursors stay until they are gone, too.
        """
        found = self._found
        remove = partial(remove_cursors, found, is_needed=lambda uid: uid in existing or self._knows(uid))
        needed = await _in_thread(remove)
        if removed := len(found) - len(needed):
            _logger.info(
                "%d cursor files of runners that are gone were removed, or are another one's", removed
            )
        self._found = [left for left in needed if left.is_unread]


async def _in_thread(work: Callable[..., T]) -> T:
    """Works through files in a thread; a runner that is closed does not wait for all of them."""
    stopped = threading.Event()
    try:
        return await anyio.to_thread.run_sync(
            partial(work, is_stopped=stopped.is_set), abandon_on_cancel=True
        )
    finally:
        stopped.set()

"""The order in which submissions wait: by priority, and fair among groups."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FairPriorityQueue"]

T = TypeVar("T", bound=Hashable)


class FairPriorityQueue(Generic[T]):
    """A queue by priority, and fair among groups. An item waits in it once only.

    A higher priority goes first; of one priority, the groups take turns; in a group, first come first. Putting, taking
    and removing cost the same however many items wait; they grow with the number of different priorities only.
    """

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, OrderedDict[T, None]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Goes through all waiting items, in no order that means anything."""
        return (item for groups in self._levels.values() for waiting in groups.values() for item in waiting)

    def put(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Puts an item at the end of its group."""
        self._group(priority, group)[item] = None
        self._count += 1

    def put_back(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Puts an item that was taken before at the beginning of its group."""
        waiting = self._group(priority, group)
        waiting[item] = None
        waiting.move_to_end(item, last=False)
        self._count += 1

    def remove(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Takes an item that waits out of its group.

        Raises:
            KeyError: It does not wait there.
        """
        del self._levels[priority][group][item]
        self._count -= 1
        self._tidy(priority, group)

    def take(self) -> T:
        """Takes the next item; its group is then behind the others.

        Raises:
            IndexError: The queue is empty.
        """
        if not self._count:
            raise IndexError("the queue is empty")
        level = max(self._levels)
        groups = self._levels[level]
        group, waiting = next(iter(groups.items()))
        item, _ = waiting.popitem(last=False)
        self._count -= 1
        groups.move_to_end(group)
        self._tidy(level, group)
        return item

    def clear(self) -> None:
        """Drops all items."""
        self._levels.clear()
        self._count = 0

    def _group(self, priority: int, group: str) -> OrderedDict[T, None]:
        return self._levels.setdefault(priority, OrderedDict()).setdefault(group, OrderedDict())

    def _tidy(self, priority: int, group: str) -> None:
        """Keeps no group, and no priority, of which nothing waits."""
        groups = self._levels[priority]
        if not groups[group]:
            del groups[group]
        if not groups:
            del self._levels[priority]

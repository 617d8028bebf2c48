"""The order in which submissions wait: by priority, and fair among groups."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FairPriorityQueue"]

T = TypeVar("T")


class FairPriorityQueue(Generic[T]):
    """A queue by priority, and fair among groups.

    A higher priority goes first; of one priority, the groups take turns; in a group, first come first. Putting and
    taking cost the same however many items wait; they grow with the number of different priorities only.
    """

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[T]]] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[T]:
        """Goes through all waiting items, in no order that means anything."""
        return (item for groups in self._levels.values() for waiting in groups.values() for item in waiting)

    def put(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Puts an item at the end of its group."""
        self._levels.setdefault(priority, OrderedDict()).setdefault(group, deque()).append(item)
        self._count += 1

    def put_back(self, item: T, *, priority: int = 0, group: str = "") -> None:
        """Puts an item that was taken before at the beginning of its group."""
        self._levels.setdefault(priority, OrderedDict()).setdefault(group, deque()).appendleft(item)
        self._count += 1

    def remove(self, item: T, *, priority: int = 0, group: str = "") -> bool:
        """Takes an item out of its group; False: it does not wait there."""
        groups = self._levels.get(priority, OrderedDict())
        waiting = groups.get(group, deque())
        if item not in waiting:
            return False
        waiting.remove(item)
        self._count -= 1
        if not waiting:
            del groups[group]
        if not groups:
            del self._levels[priority]
        return True

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
        item = waiting.popleft()
        self._count -= 1
        groups.move_to_end(group)
        if not waiting:
            del groups[group]
        if not groups:
            del self._levels[level]
        return item

    def clear(self) -> None:
        """Drops all items."""
        self._levels.clear()
        self._count = 0

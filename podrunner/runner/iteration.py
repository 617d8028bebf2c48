"""Iterating over what comes in batches, one item at a time.

A class and not an async generator: one that is left early is simply dropped. An async generator would wait for the
event loop to finalise it, about which trio warns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

__all__ = ["iter_items"]

T = TypeVar("T")


def iter_items(take: Callable[[], Awaitable[list[T]]]) -> AsyncIterator[T]:
    """Returns an asynchronous iterator over the items of batches.

    Args:
        take: Returns the next batch; an empty one is the end.
    """
    return _Items(take)


class _Items(Generic[T]):
    __slots__ = ("_items", "_take")

    def __init__(self, take: Callable[[], Awaitable[list[T]]]) -> None:
        self._take = take
        self._items: Iterator[T] = iter(())

    def __aiter__(self) -> _Items[T]:
        return self

    async def __anext__(self) -> T:
        for item in self._items:
            return item
        batch = await self._take()
        if not batch:
            raise StopAsyncIteration
        self._items = iter(batch)
        return next(self._items)

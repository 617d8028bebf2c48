"""Checks that a list in pages comes to an end: a server, or a proxy before it, may give pages for ever."""

from __future__ import annotations

from podrunner.errors import TransportError

__all__ = ["EndlessListError", "PageGuard", "UnreadablePageError"]

_SPARE_PAGES = 100
"""Pages beyond those that a list needs: a server may give pages that are not full."""


class EndlessListError(TransportError):
    """A list does not end. Internal: what it brought so far proves nothing."""


class UnreadablePageError(TransportError):
    """A long page of a list is no JSON. Internal: something spoils it on the way, and a shorter one may be spared."""


class PageGuard:
    """Counts the pages and objects of one list.

    Args:
        max_objects: The most objects that the list may have.
        page_size: How many were asked for per page.
        remedy: What to do if the list is longer, in words; "": nothing can be done.
    """

    __slots__ = ("_max_objects", "_max_pages", "_objects", "_pages", "_remedy", "_tokens")

    def __init__(self, *, max_objects: int, page_size: int, remedy: str = "") -> None:
        self._max_objects = max_objects
        self._max_pages = _SPARE_PAGES + 2 * -(-max_objects // page_size)
        self._remedy = remedy
        self._objects = 0
        self._pages = 0
        self._tokens: set[int] = set()

    def check(self, objects: int, token: str | None) -> None:
        """Count a page.

        Args:
            objects: How many objects it has.
            token: Its continue token; None: it is the last.

        Raises:
            EndlessListError: The token was given before, or the list is too long.
        """
        self._objects += objects
        self._pages += 1
        if self._objects > self._max_objects:
            raise EndlessListError(f"the list has more than {self._max_objects} objects{self._advice()}")
        if token is None:
            return
        if self._pages >= self._max_pages:
            raise EndlessListError(f"the list has more than {self._max_pages} pages{self._advice()}")
        if (known := hash(token)) in self._tokens:
            raise EndlessListError(
                f"the server repeats a continue token after {self._pages} pages: the list would have no end"
            )
        self._tokens.add(known)

    def _advice(self) -> str:
        return f", which is the limit ({self._remedy})" if self._remedy else ", which is the limit"

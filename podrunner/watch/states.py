"""The states of the watch loop, and what follows on what. Pure: the reflector acts, these functions decide.

Each state holds only what is valid in it. A complete list leads to :class:`Watching`; only an expired version leads
back, so nothing is ever concluded from a list that failed half-way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from podrunner.errors import BadRequestError, GoneError, InvalidError

if TYPE_CHECKING:
    from podrunner.outcome.record import Pod

__all__ = [
    "Listing",
    "Next",
    "NoInitialEventsError",
    "ShortWatchError",
    "State",
    "Streaming",
    "StreamingLists",
    "Watching",
    "after_failure",
    "after_page",
]

StreamingLists: TypeAlias = Literal["auto", "on", "off"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Streaming:
    """The list is to come through the watch itself (``sendInitialEvents``, KEP-3157).

    Attributes:
        found: The pods so far, by UID; complete when the server's bookmark says so.
    """

    found: dict[str, Pod] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A list is under way, page by page.

    Attributes:
        token: Where the next page begins; None: at the beginning.
        found: The pods of the pages so far, by UID; grows, and is shared from page to page.
        paged: False asks for everything at once, after a continue token ran out.
    """

    token: str | None = None
    found: dict[str, Pod] = field(default_factory=dict)
    paged: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """All is known up to a version; the watch goes on from there.

    Attributes:
        version: The resourceVersion of the list, or of the last event.
    """

    version: str


State: TypeAlias = Streaming | Listing | Watching


class Next(NamedTuple):
    """What follows on a failure: the next state, and whether to wait before it."""

    state: State
    wait: bool


class ShortWatchError(Exception):
    """A watch ended as soon as it began, without an error.

    Internal: it counts as a failure, so that a server that answers ``200`` and nothing else is not asked in a hot
    loop.
    """


class NoInitialEventsError(Exception):
    """A streaming list did not come. Internal: pages are tried instead."""


def after_page(
    state: Listing, pods: dict[str, Pod], *, version: str, token: str | None
) -> Listing | Watching:
    """Say what follows on a page: the next page, or the watch."""
    state.found.update(pods)
    return Watching(version=version) if token is None else replace(state, token=token)


def after_failure(state: State, error: BaseException, *, streaming: StreamingLists = "off") -> Next:
    """Say where to go on after a failure.

    ==============  =====================================  =======================================
    in              after                                  goes on with
    ==============  =====================================  =======================================
    ``Watching``      410, in the answer or the stream       a new list, at once
    ``Listing``     410 for the next page                  a new list without pages, at once
    ``Streaming``   a server that does not know it         a list in pages, at once
    ``Streaming``   anything else                          the same from the beginning, after a wait
    any other       anything else                          the same, after a wait
    ==============  =====================================  =======================================

    "At once" is for the first time in a row only: the reflector waits when failures repeat.

    Args:
        state: Where the loop was.
        error: What happened.
        streaming: Whether lists come through the watch: ``on`` insists, ``auto`` falls back for good.
    """
    match state, error:
        case Watching(), GoneError():
            return Next(Listing() if streaming == "off" else Streaming(), wait=False)
        case Listing(token=token), GoneError() if token is not None:
            return Next(Listing(paged=False), wait=False)
        case Streaming(), InvalidError() | BadRequestError() | NoInitialEventsError() if streaming == "auto":
            return Next(Listing(), wait=False)
        case Streaming(), _:
            return Next(Streaming(), wait=True)
    return Next(state, wait=True)

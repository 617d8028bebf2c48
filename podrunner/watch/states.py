"""The states of the watch loop, and what follows on what. Pure: the reflector acts, these functions decide.

Each state holds only what is valid in it. A complete list leads to :class:`Watching`; what leads back is a version that
does not count any more, or a watch that has brought nothing for too long. Nothing is ever concluded from a list that
failed half-way.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from podrunner.errors import BadRequestError, GoneError, InvalidError
from podrunner.kube import AnswerTooLongError, EndlessListError, UnreadablePageError

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
    "UnreadEventsError",
    "UnreadableWatchError",
    "VersionWentBackError",
    "Watching",
    "after_failure",
    "after_page",
    "is_back",
    "is_unsupported",
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
        halvings: How often the size of the pages was halved, because one was too long.
        spoilt: How often it was halved, because a long one could not be read: a short one may be spared.
    """

    token: str | None = None
    found: dict[str, Pod] = field(default_factory=dict)
    paged: bool = True
    halvings: int = 0
    spoilt: int = 0


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


class UnreadableWatchError(Exception):
    """A watch brought bytes for a while, and no event. Internal: it counts as a failure."""


class UnreadEventsError(Exception):
    """A watch brought events that cannot be used. Internal: they are asked for again.

    Attributes:
        exhausted: Whether that was done often enough, without success: a list follows.
    """

    def __init__(self, message: str, *, exhausted: bool = False) -> None:
        self.exhausted = exhausted
        super().__init__(message)


class VersionWentBackError(Exception):
    """The server named a version below one that it had named before. Internal: a new list follows.

    So it does after its etcd was restored from a backup: what it said since that backup is not true any more, and a
    watch from a later version would leave out what happens until that version is reached again (kubernetes 107457).
    """


def after_page(
    state: Listing, pods: dict[str, Pod], *, version: str, token: str | None
) -> Listing | Watching:
    """Say what follows on a page: the next page, or the watch."""
    state.found.update(pods)
    return Watching(version=version) if token is None else replace(state, token=token)


def is_back(version: str, known: str) -> bool:
    """Whether a version lies before one that was known. Versions that are no numbers have no order."""
    return version.isdecimal() and known.isdecimal() and int(version) < int(known)


def is_unsupported(error: BaseException) -> bool:
    """Whether the server does not know streaming lists."""
    return isinstance(error, InvalidError | BadRequestError | NoInitialEventsError)


def after_failure(
    state: State, error: BaseException, *, streaming: StreamingLists = "off", outdated: bool = False
) -> Next:
    """Say where to go on after a failure.

    ==============  =====================================  =======================================
    in              after                                  goes on with
    ==============  =====================================  =======================================
    ``Watching``    410, in the answer or the stream       a new list, at once
    ``Watching``    a version that went back               a new list, at once
    ``Watching``    a request that is refused as wrong     a new list, after a wait
    ``Watching``    an event that cannot be used           the same from the version before it, at once
    ``Watching``    the same after some tries              a list in pages, at once
    ``Watching``    anything, and the data is outdated     a list in pages, after a wait
    ``Listing``     410 for the next page                  a new list without pages, at once
    ``Listing``     a page that is too long                a new list in smaller pages, after a wait
    ``Listing``     a long page that cannot be read        the same in smaller pages, after a wait
    ``Listing``     a list without end                     a new list, after a wait
    ``Listing``     a version that went back               a new list, after a wait
    ``Streaming``   a server that does not know it         a list in pages, at once
    ``Streaming``   a watch that brings no event           a list in pages, after a wait
    ``Streaming``   anything else                          the same from the beginning, after a wait
    any other       anything else                          the same, after a wait
    ==============  =====================================  =======================================

    "At once" is for the first time in a row only: the reflector waits when failures repeat.

    Args:
        state: Where the loop was.
        error: What happened.
        streaming: Whether lists come through the watch: ``on`` insists, ``auto`` falls back.
        outdated: Whether the watches that it allowed have brought nothing true for too long.
    """
    match state:
        case Watching():
            return _after_watch(state, error, streaming=streaming, outdated=outdated)
        case Listing():
            return _after_list(state, error)
        case Streaming():
            return _after_streaming(error, streaming=streaming)


def _after_watch(state: Watching, error: BaseException, *, streaming: StreamingLists, outdated: bool) -> Next:
    if isinstance(error, GoneError | VersionWentBackError):
        return Next(Listing() if streaming == "off" else Streaming(), wait=False)
    if isinstance(error, UnreadEventsError):
        return Next(Listing() if error.exhausted else state, wait=False)
    if isinstance(error, BadRequestError | InvalidError):  # its version is none: it was read wrongly
        return Next(Listing() if streaming == "off" else Streaming(), wait=True)
    if outdated:  # a list through the watch would be as good as the watch
        return Next(Streaming() if streaming == "on" else Listing(), wait=True)
    return Next(state, wait=True)


def _after_list(state: Listing, error: BaseException) -> Next:
    match error:
        case GoneError() if state.token is not None:
            return Next(Listing(paged=False, halvings=state.halvings), wait=False)
        case AnswerTooLongError():
            return Next(Listing(halvings=state.halvings + 1), wait=True)
        case UnreadablePageError():
            return Next(replace(state, spoilt=state.spoilt + 1), wait=True)
        case EndlessListError() | VersionWentBackError():
            return Next(Listing(halvings=state.halvings), wait=True)
    return Next(state, wait=True)


def _after_streaming(error: BaseException, *, streaming: StreamingLists) -> Next:
    if streaming == "auto" and is_unsupported(error):
        return Next(Listing(), wait=False)
    if streaming == "auto" and isinstance(error, ShortWatchError | UnreadableWatchError | EndlessListError):
        return Next(Listing(), wait=True)
    return Next(Streaming(), wait=True)

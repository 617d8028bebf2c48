"""What moves the states of following a log: the inputs, and the limits that the follower is given. Frozen records.

What follows on each input is :mod:`podrunner.logs.states`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import msgspec

if TYPE_CHECKING:
    from podrunner.errors import PodrunnerError
    from podrunner.logs.container_state import ContainerView

__all__ = [
    "BackoffElapsed",
    "ContainerChanged",
    "Delivered",
    "FollowLimits",
    "Input",
    "LinesReceived",
    "PermitGranted",
    "SilenceElapsed",
    "SliceElapsed",
    "StreamEnded",
    "StreamFailed",
]


class FollowLimits(msgspec.Struct, frozen=True):
    """How long to wait for what.

    Attributes:
        idle_s: A stream on which nothing came for so many seconds is replaced: rotation and half-open connections
            stop a stream without an error. A quiet container costs one request each such span.
        drain_s: For how many seconds, after the container's end, no byte may come before the stream is given up; and
            how long a refusing server is asked again for the rest.
        follow: Whether to read while the container runs; False reads once, at its end.
        since: Only lines from that time on, RFC 3339 in whole seconds; None: all.
    """

    idle_s: float = 300.0
    drain_s: float = 10.0
    follow: bool = True
    since: str | None = None


class ContainerChanged(msgspec.Struct, frozen=True):
    """The container is known to be in another state."""

    view: ContainerView


class PermitGranted(msgspec.Struct, frozen=True):
    """The reader may connect."""


class LinesReceived(msgspec.Struct, frozen=True):
    r"""Whole lines came, each with its ``\n``; also none, if the bytes that came complete no line."""

    lines: bytes
    now_s: float


class StreamEnded(msgspec.Struct, frozen=True):
    r"""The stream ended in good order; ``rest`` is a last line without an end, given one, or ``b""``."""

    rest: bytes
    now_s: float


class StreamFailed(msgspec.Struct, frozen=True):
    """The stream broke, or was refused."""

    error: PodrunnerError
    now_s: float


class SilenceElapsed(msgspec.Struct, frozen=True):
    """Nothing came for as long as the limits allow."""

    now_s: float


class SliceElapsed(msgspec.Struct, frozen=True):
    """Other readers wait, and the permit's time slice is over; comes again after each further slice."""


class Delivered(msgspec.Struct, frozen=True):
    """The sinks have taken everything."""


class BackoffElapsed(msgspec.Struct, frozen=True):
    """The wait is over."""


Input: TypeAlias = (
    ContainerChanged
    | PermitGranted
    | LinesReceived
    | StreamEnded
    | StreamFailed
    | SilenceElapsed
    | SliceElapsed
    | Delivered
    | BackoffElapsed
)

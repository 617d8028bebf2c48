"""Whether the owner of a pod lives, read off its Lease: the Lease is over, or was renewed, or may still be either.

What belongs here: the decision, and one wait per owner for it. What follows for the owner's pods is decided in
:mod:`podrunner.ownership.existing`.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import anyio
import msgspec

from podrunner.errors import PodrunnerError
from podrunner.event_loop import current_time
from podrunner.ownership.leases import CLOCK_SKEW_S, LeaseState, lease_end, lease_state, renewal_of

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping

    from podrunner.ownership.scope import ScopeReader

__all__ = ["LookAgain", "OwnerAlive", "OwnerGone", "OwnerUnknown", "OwnerVerdict", "Owners", "judge_owner"]

_logger = logging.getLogger(__name__)

# A Lease is renewed each few seconds at the most often; a look is one small request, whatever waits for it.
_LOOK_EACH_S: Final = 1.0
# Shorter waits would ask for a Lease that ends at this very instant again and again.
_SHORTEST_WAIT_S: Final = 0.05
# So long a look at a Lease that is over counts for other pods of that owner: they are launched in one burst. An owner
# may come back under its name; the pod's own swap decides then.
_FRESH_S: Final = 1.0


class OwnerGone(msgspec.Struct, frozen=True):
    """The owner's Lease is over, was given back or never was: its pods may be taken over."""


class OwnerAlive(msgspec.Struct, frozen=True):
    """The owner renewed its Lease while it was looked at.

    Attributes:
        ends: When the Lease ends unless it is renewed again; None: it does not say.
    """

    ends: dt.datetime | None


class OwnerUnknown(msgspec.Struct, frozen=True):
    """The Lease could not be read: without an answer no owner counts as gone.

    Attributes:
        error: Why.
    """

    error: PodrunnerError


class LookAgain(msgspec.Struct, frozen=True):
    """The Lease still counts, and was not renewed since the first look.

    Attributes:
        after_s: Seconds until the next look.
    """

    after_s: float


OwnerVerdict: TypeAlias = OwnerGone | OwnerAlive | OwnerUnknown


def judge_owner(
    first: Mapping[str, Any] | None, lease: Mapping[str, Any] | None, *, now: dt.datetime
) -> OwnerGone | OwnerAlive | LookAgain:
    """Decides whether an owner lives.

    A Lease that still counts says nothing yet: a runner that was killed leaves one. Only its renewal does.

    Args:
        first: The Lease at the first look; None: there was none.
        lease: The Lease now; None: there is none.
        now: The time of day.
    """
    if lease is None or lease_state(lease, now=now) is not LeaseState.HELD:
        return OwnerGone()
    end = lease_end(lease)
    if renewal_of(lease) != renewal_of(first):
        return OwnerAlive(end)
    assert end is not None, "a Lease that is held says when it ends"
    left_s = (end - now).total_seconds() + CLOCK_SKEW_S
    return LookAgain(min(_LOOK_EACH_S, max(left_s, _SHORTEST_WAIT_S)))


class Owners:
    """The owners of other pods of our scope.

    Args:
        reader: Reads their Leases.
    """

    def __init__(self, reader: ScopeReader) -> None:
        self._reader = reader
        self._gone_at: dict[str, float] = {}
        self._looking = anyio.Lock()
        self._settling: Counter[str] = Counter()

    def known(self, owner: str) -> OwnerGone | None:
        """Returns that the owner is gone if a look a moment ago said so."""
        seen_at = self._gone_at.get(owner)
        if seen_at is None:
            return None
        if current_time() - seen_at > _FRESH_S:
            del self._gone_at[owner]
            return None
        return OwnerGone()

    async def look(self, owner: str) -> OwnerGone | None:
        """Looks at the owner's Lease once; returns that the owner is gone, or None: it has to be waited for.

        Launches that ask at the same time share one request, and while :meth:`settle` waits none is sent.
        """
        async with self._looking:
            if (known := self.known(owner)) is not None or self._settling[owner]:
                return known
            try:
                lease = await self._reader.lease(owner)
            except PodrunnerError as error:
                _logger.info("the lease of runner %s could not be read: %s", owner, error)
                return None
            verdict = judge_owner(lease, lease, now=self._reader.now())
            return self._noted(owner) if isinstance(verdict, OwnerGone) else None

    def _noted(self, owner: str) -> OwnerGone:
        self._gone_at[owner] = current_time()
        return OwnerGone()

    async def settle(self, owner: str) -> OwnerVerdict:
        """Looks at the owner's Lease until it is over or was renewed: as long as the Lease lasts, at most."""
        self._settling[owner] += 1
        try:
            return await self._settle(owner)
        except PodrunnerError as error:
            return OwnerUnknown(error)
        finally:
            self._settling[owner] -= 1
            self._settling += Counter()  # drops what is 0

    async def _settle(self, owner: str) -> OwnerVerdict:
        first = lease = await self._reader.lease(owner)
        while isinstance(verdict := judge_owner(first, lease, now=self._reader.now()), LookAgain):
            await anyio.sleep(verdict.after_s)
            lease = await self._reader.lease(owner)
        return self._noted(owner) if isinstance(verdict, OwnerGone) else verdict

"""Turns at reading: however many logs are followed, they share a bounded number of connections.

Readers are of two kinds. Those that follow a running container may have to wait for long, and take turns: one that has
held a connection for its time gives it up if others wait, and stands in line again. Those that drain the log of a
container that has ended hold up the deletion of its pod; they come to an end by themselves, are never sent away from a
log that flows, and have a share of the connections that no follower takes. How a reader leaves a log and finds its
place again is :mod:`podrunner.logs.follow`.
"""

from __future__ import annotations

import math
from contextlib import asynccontextmanager
from itertools import islice
from typing import TYPE_CHECKING, Final

import anyio

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

__all__ = ["LogTurns", "Turn"]

# One connection in five is for logs of ended containers: a thousand pods that end at once are drained in a few
# seconds, and those that run lose little.
_DRAINS_SHARE: Final = 5


class Turn:
    """One reader's turn: asked for, then held, then given back.

    Attributes:
        draining: Whether the container has ended, so that the pod's deletion waits.
        is_held: Whether the reader may connect now.
        length_s: Seconds that a turn lasts at least.
        ends_at: When it is over, on anyio's clock: never, unless others wait.
        on_asked: Called when others begin to wait for this turn's end.
        is_overrun: Whether it is over and cannot be given back yet.
    """

    def __init__(self, turns: LogTurns, *, draining: bool, length_s: float) -> None:
        self.draining = draining
        self.length_s = length_s
        self.is_held: bool = False
        self.is_overrun: bool = False
        self.ends_at: float = math.inf
        self.on_asked: Callable[[], object] = lambda: None
        self._turns = turns
        self._began_at = 0.0
        self._granted: anyio.Event | None = None

    async def held(self) -> None:
        """Returns when it is held."""
        if not self.is_held:
            self._granted = anyio.Event()
            await self._granted.wait()

    def hurry(self) -> None:
        """The container has ended meanwhile."""
        self._turns.hurry(self)

    @property
    def is_plentiful(self) -> bool:
        """Whether more than half of all turns are free: few lose by one that is kept for too long."""
        return self._turns.are_plentiful

    def overrun(self) -> None:
        """It is over, and cannot be given back yet: those who wait are to look to others."""
        self._turns.pass_over(self)

    def give_back(self) -> None:
        """Ends the turn, or the waiting for it. A second call does nothing."""
        self._turns.take_back(self)

    def begin(self) -> None:
        """The reader may connect."""
        self.is_held = True
        self._began_at = anyio.current_time()
        if self._granted is not None:
            self._granted.set()

    def ask(self) -> None:
        """Others wait: it ends when its time is over."""
        if self.ends_at == math.inf:
            self.ends_at = self._began_at + self.length_s
            self.on_asked()


class LogTurns:
    """Hands out turns, in the order of asking.

    Args:
        limit: How many turns are held at once at most, at least 2; None: no limit.
        turn_s: How long, in seconds, a follower keeps its turn though others wait.
    """

    def __init__(self, limit: int | None = None, *, turn_s: float = 30.0) -> None:
        if limit is not None and limit < 2:
            raise ValueError(
                f"a limit of {limit} leaves no connection to logs of ended containers; at least 2"
            )
        self._limit = math.inf if limit is None else limit
        self._for_drains = 0 if limit is None else max(1, limit // _DRAINS_SHARE)
        self._turn_s = turn_s
        # Dictionaries for their order, and because any may leave at any time.
        self._follows: dict[Turn, None] = {}
        self._drains: dict[Turn, None] = {}
        self._waiting_follows: dict[Turn, None] = {}
        self._waiting_drains: dict[Turn, None] = {}

    @property
    def held(self) -> int:
        """How many turns are held."""
        return len(self._follows) + len(self._drains)

    @property
    def waiting(self) -> int:
        """How many readers wait for one."""
        return len(self._waiting_follows) + len(self._waiting_drains)

    @property
    def are_plentiful(self) -> bool:
        """Whether more than half of them are free."""
        return 2 * self.held < self._limit

    def request(self, *, draining: bool) -> Turn:
        """Asks for a turn; it may be held at once. Whoever asks gives it back, whatever happens."""
        turn = Turn(self, draining=draining, length_s=self._turn_s)
        (self._waiting_drains if draining else self._waiting_follows)[turn] = None
        self._hand_out()
        return turn

    @asynccontextmanager
    async def drain(self) -> AsyncIterator[None]:
        """A turn for one short answer."""
        turn = self.request(draining=True)
        try:
            await turn.held()
            yield
        finally:
            turn.give_back()

    def hurry(self, turn: Turn) -> None:
        """Moves a waiting follower to those that drain."""
        if turn in self._waiting_follows:
            del self._waiting_follows[turn]
            turn.draining = True
            self._waiting_drains[turn] = None
            self._hand_out()

    def take_back(self, turn: Turn) -> None:
        """Forgets a turn, whether it was held or waited for."""
        for turns in (self._follows, self._drains, self._waiting_follows, self._waiting_drains):
            turns.pop(turn, None)
        self._hand_out()

    def pass_over(self, turn: Turn) -> None:
        """Asks another instead of one that cannot leave."""
        turn.is_overrun = True
        self._hand_out()

    def _hand_out(self) -> None:
        while (turn := self._next()) is not None:
            waiting, held = self._places(turn)
            del waiting[turn]
            held[turn] = None
            turn.begin()
        self._ask(self._follows, len(self._waiting_follows))
        self._ask(self._drains, self.waiting)

    def _next(self) -> Turn | None:
        if self.held >= self._limit:
            return None
        drain = next(iter(self._waiting_drains), None)
        follow = next(iter(self._waiting_follows), None)
        if len(self._follows) >= self._limit - self._for_drains:
            return drain
        # Both have their share: what ended goes first until its own is full, and may have what nobody waits for.
        return follow if drain is None or (follow and len(self._drains) >= self._for_drains) else drain

    def _places(self, turn: Turn) -> tuple[dict[Turn, None], dict[Turn, None]]:
        if turn.draining:
            return self._waiting_drains, self._drains
        return self._waiting_follows, self._follows

    @staticmethod
    def _ask(held: dict[Turn, None], wanted: int) -> None:
        """Tells those that hold theirs longest; nobody else need go."""
        if wanted:
            for turn in islice((turn for turn in held if not turn.is_overrun), wanted):
                turn.ask()

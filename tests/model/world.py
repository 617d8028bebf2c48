"""The world of the model: one server, one scheduler with its journal, two runners and their successors, one attempt.

Values only. Everything is hashable: two worlds that are equal are one state.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.model.records import PodObject
from tests.model.replay import History, Request

__all__ = ["DefectError", "Event", "Job", "Move", "Runner", "World"]


class DefectError(Exception):
    """The code fails, or gives its lifecycle an input for which the table has no entry."""


class Job(NamedTuple):
    """An effect that takes time, being carried out.

    Attributes:
        uid: The UID of the pod.
        effect: Its number.
        state: The number of the pod's state when it began.
        history: The answers that its requests had so far; the last one may not have arrived yet.
    """

    uid: int
    effect: int
    state: int
    history: History = ()


class Event(NamedTuple):
    """A finished event: the pod's UID, 0 if there never was one, and the outcome's number."""

    uid: int
    outcome: int


class Runner(NamedTuple):
    """A process: a runner, and the part of the scheduler that reads its events. A crash drops all of it.

    Attributes:
        owner: Its name.
        is_held: Whether its Lease counts, by its own clocks.
        has_noticed: Whether it has noticed that it does not.
        life: The number of the state of the attempt's pod; None: it has none.
        is_tracked: Whether it still tracks that pod.
        jobs: What is being done about the pod.
        launch: The launch under way.
        is_creating: Whether its create is about to be sent.
        adoption: The adoption under way.
        is_unwanted: Whether a pod that appears now comes from a launch that was given up.
        unwanted: The deletion of such a pod, and the pod.
        watch: Events of the watch that it has not read.
        events: Outcomes that wait for the reader.
        hand: Outcomes that the reader has in hand.
        is_stored: Whether the journal has them.
        has_submitted: Whether it was given the attempt.
        is_lost: Whether it has reported since that another runner has the attempt.
    """

    owner: str
    is_held: bool = True
    has_noticed: bool = False
    life: int | None = None
    is_tracked: bool = False
    jobs: tuple[Job, ...] = ()
    launch: History | None = None
    is_creating: bool = False
    adoption: History | None = None
    is_unwanted: bool = False
    unwanted: tuple[PodObject, History] | None = None
    watch: tuple[tuple[str, PodObject], ...] = ()
    events: tuple[Event, ...] = ()
    hand: tuple[Event, ...] = ()
    is_stored: bool = False
    has_submitted: bool = False
    is_lost: bool = False


class World(NamedTuple):
    """Everything.

    Attributes:
        runners: The processes in their places; None: it is down.
        pod: The attempt's pod on the server.
        leases: The owners whose Leases count on the server.
        stray: Requests of processes that are gone, still on their way.
        journal: The outcomes that the scheduler stored.
        made: How many pods were made.
        begun: UIDs of the pods whose container began.
        drained: UIDs of the pods whose log was read to its end.
        taken: Each outcome that was handed out.
        is_cancelled: Whether the caller cancelled.
        is_excused: Whether a documented gap was used.
    """

    runners: tuple[Runner | None, ...] = (None, None)
    pod: PodObject | None = None
    leases: tuple[str, ...] = ()
    stray: tuple[tuple[str, Request], ...] = ()
    journal: tuple[Event, ...] = ()
    made: int = 0
    begun: tuple[int, ...] = ()
    drained: tuple[int, ...] = ()
    taken: tuple[Event, ...] = ()
    is_cancelled: bool = False
    is_excused: bool = False

    def put(self, place: int, runner: Runner | None) -> World:
        """Returns the world with another process in a place."""
        return self._replace(runners=(*self.runners[:place], runner, *self.runners[place + 1 :]))

    def at(self, place: int) -> Runner:
        """Returns the process in a place, which is up."""
        runner = self.runners[place]
        assert runner is not None
        return runner


class Move(NamedTuple):
    """A step.

    Attributes:
        label: What happens, for people.
        world: The world afterwards.
        place: Of the process that does it; None: none does.
    """

    label: str
    world: World
    place: int | None = None

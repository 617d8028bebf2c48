"""What a process does in a world: its runner, with the code's own decisions and procedures."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from podrunner.machine import IllegalInputError
from podrunner.outcome import Outcome
from podrunner.runner.effects import (
    AwaitDeletion,
    AwaitFinalStatus,
    DrainLog,
    Emit,
    Enrich,
    ReleaseInEndingNamespace,
    TimedEffect,
    Untrack,
)
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import (
    Input,
    LeaseLost,
    LogDrained,
    OutcomeEnriched,
    OutcomeTaken,
    PodAdopted,
    PodGone,
    PodObserved,
    TakenOver,
    TerminationRequested,
)
from podrunner.runner.lifecycle import wants_events, with_events
from podrunner.runner.states import Enriching, NotCreatedState, snapshot_of
from tests.model.cluster import execute, lease_is_over
from tests.model.lives import Lives
from tests.model.promises import is_reported
from tests.model.records import PodObject, owner_of, record_of, to_record
from tests.model.replay import Answer, Ended, History, Procedure, Request
from tests.model.wiring import Wiring
from tests.model.world import DefectError, Event, Job, Move, Runner, World

__all__ = ["Processes"]

WRITES = frozenset({"create", "delete", "patch"})
_LOCAL = (Enrich, DrainLog)
# Time-outs for a node or a watch that is silent, and what no namespace in the model asks for.
_NEVER = (AwaitDeletion, AwaitFinalStatus, ReleaseInEndingNamespace)


class Processes:
    """The steps of processes.

    Args:
        wiring: The code's procedures.
        lives: The code's lifecycle.
        adopters: The places whose processes adopt.
    """

    def __init__(self, wiring: Wiring, lives: Lives, adopters: tuple[int, ...]) -> None:
        self._adopters = adopters
        self._wiring = wiring
        self._lives = lives

    def start(self, world: World, place: int) -> Move:
        """Starts a process, with a name that nothing bears any more."""
        taken = {*self._names(world), *world.leases}
        owner = next(name for number in count(1) if (name := f"{'ab'[place]}{number}") not in taken)
        world = world._replace(leases=tuple(sorted((*world.leases, owner))))
        return Move(f"{owner} starts", world.put(place, Runner(owner)), place)

    def moves(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        """Gives the steps of a process, but those of its scheduler."""
        if not runner.is_held:
            yield self._without_lease(world, place, runner)
        yield from self._watch(world, place, runner)
        yield from self._launch(world, place, runner)
        yield from self._adopt(world, place, runner)
        yield from self._work(world, place, runner)
        yield from self._discard(world, place, runner)

    def _without_lease(self, world: World, place: int, runner: Runner) -> Move:
        if runner.has_noticed:
            return Move(f"{runner.owner} exits, without its Lease", world.put(place, None), place)
        lost = runner._replace(has_noticed=True, launch=None, is_creating=False, watch=())
        if lost.is_tracked or self.is_not_created(lost):
            lost = self.apply(lost, LeaseLost("its time is over"))
        return Move(f"{runner.owner} notices that its Lease is over", world.put(place, lost), place)

    def _names(self, world: World) -> Iterator[str]:
        """Gives the owners that something in the world names."""
        if world.pod is not None:
            yield owner_of(world.pod)
        yield from (owner for owner, _ in world.stray)
        for runner in world.runners:
            if runner is not None:
                yield runner.owner
                yield from map(owner_of, self._known_pods(runner))

    def _known_pods(self, runner: Runner) -> Iterator[PodObject]:
        known = None if runner.life is None else snapshot_of(self._lives.state(runner.life))
        if known is not None:
            yield record_of(known.pod)
        yield from (pod for _, pod in runner.watch)
        if runner.unwanted is not None:
            yield runner.unwanted[0]
        for answer in (*(runner.launch or ()), *(runner.adoption or ())):
            values = answer.value if isinstance(answer.value, tuple) else (answer.value,)
            yield from (value for value in values if isinstance(value, PodObject))

    def tidied(self, world: World) -> World:
        """Drops what makes no difference, whenever it is looked at: fewer worlds are different."""
        for place, runner in enumerate(world.runners):
            if runner is not None and (tidied := self._tidied(runner)) is not runner:
                world = world.put(place, tidied)
        gone = [
            owner
            for owner in world.leases
            if not any(runner and runner.owner == owner for runner in world.runners)
        ]
        if gone:
            named = set(self._names(world))
            void = [owner for owner in gone if owner not in named]
            if void:
                world = world._replace(leases=tuple(owner for owner in world.leases if owner not in void))
        return world

    def _tidied(self, runner: Runner) -> Runner:
        watch = runner.watch
        while watch and self._is_void(runner, *watch[0]):
            watch = watch[1:]
        if watch is not runner.watch:
            runner = runner._replace(watch=watch)
        is_forgotten = runner.life is not None and not (runner.is_tracked or self.is_not_created(runner))
        if is_forgotten and not any(job.uid == self.uid_of(runner.life) for job in runner.jobs):
            runner = runner._replace(life=None)
        return runner

    # The lifecycle

    def apply(self, runner: Runner, given: Input) -> Runner:
        """Applies an input to the state of the pod, and takes note of what follows.

        Raises:
            DefectError: The lifecycle does not take the input.
        """
        assert runner.life is not None
        before = self.uid_of(runner.life)
        try:
            life, effects = self._lives.step(runner.life, given)
        except IllegalInputError as error:
            raise DefectError(f"illegal input: {error}") from error
        uid = self.uid_of(life)
        runner = runner._replace(life=life, is_tracked=runner.is_tracked or before != uid)
        for number in effects:
            runner = self._do(runner, number, uid=uid, life=life)
        return runner

    def _do(self, runner: Runner, number: int, *, uid: int, life: int) -> Runner:
        effect = self._lives.effect(number)
        match effect:
            case Emit(kind=EventKind.FINISHED, outcome=outcome):
                event = Event(uid, self._lives.outcomes.id_of(outcome))
                return runner._replace(events=(*runner.events, event))
            case Emit(kind=EventKind.LOST):
                return runner._replace(is_lost=True)
            case Untrack():
                return runner._replace(is_tracked=False)
            case TimedEffect() if not isinstance(effect, _NEVER):
                job = Job(uid, number, 0 if isinstance(effect, _LOCAL) else life)
                return runner._replace(jobs=_sorted((*runner.jobs, job)))
        return runner

    def uid_of(self, life: int | None) -> int:
        """Returns the UID of the pod that a state is about; 0: of none."""
        known = None if life is None else snapshot_of(self._lives.state(life))
        return 0 if known is None else record_of(known.pod).uid

    def tracked_uid(self, runner: Runner) -> int:
        """Returns the UID of the pod that it tracks; 0: it tracks none."""
        return self.uid_of(runner.life) if runner.is_tracked else 0

    def is_not_created(self, runner: Runner) -> bool:
        """Returns whether it has been given the attempt and has no pod yet."""
        return runner.life is not None and isinstance(self._lives.state(runner.life), NotCreatedState)

    # The watch: in order, however late

    def _is_void(self, runner: Runner, kind: str, pod: PodObject) -> bool:
        if self.tracked_uid(runner) == pod.uid:
            known = snapshot_of(self._lives.state(runner.life or 0))
            assert known is not None
            return kind in {"ADDED", "MODIFIED"} and pod.version <= record_of(known.pod).version
        # Of a pod that it does not track; while a launch or an adoption is under way it is kept.
        is_launching = runner.launch is not None or runner.adoption is not None
        return not is_launching and (
            kind == "DELETED" or not runner.is_unwanted or runner.unwanted is not None
        )

    def _watch(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        if not runner.watch or not runner.is_held:
            return
        (kind, pod), rest = runner.watch[0], runner.watch[1:]
        if self.tracked_uid(runner) == pod.uid:
            seen = self._observe(world, runner._replace(watch=rest), kind, pod)
            yield Move(f"{runner.owner} sees {kind} {pod}", world.put(place, seen), place)
        elif kind != "DELETED" and runner.is_unwanted and runner.unwanted is None:
            unwanted = runner._replace(watch=rest, unwanted=(pod, ()))
            yield Move(f"{runner.owner} sees that {pod} is unwanted", world.put(place, unwanted), place)

    def _observe(self, world: World, runner: Runner, kind: str, pod: PodObject) -> Runner:
        is_there = world.pod is not None and world.pod.uid == pod.uid
        if kind == "LEFT" and is_there:  # as a read has shown
            return self.apply(runner, TakenOver())
        if kind in {"DELETED", "LEFT"}:
            return self.apply(runner, PodGone(to_record(pod), is_last=kind == "DELETED"))
        return self.apply(runner, PodObserved(to_record(pod)))

    # Procedures

    def _call(
        self, world: World, runner: Runner, procedure: Procedure, history: History
    ) -> Iterator[tuple[str, World, History, Ended | None]]:
        """Gives what happens to a procedure next: its next request is carried out, or it has its last answer and ends.

        An answer that does not end it may be taken to arrive when the next request is sent: nothing shows it before.
        """
        request = procedure.after(history)
        if isinstance(request, Ended):
            said = history[-1].kind if history else "nothing to ask"
            yield f"{runner.owner} has the answer ({said})", world, history, request
            return
        if request.is_guarded and not runner.is_held:
            if runner.has_noticed:  # else the guard notices it
                answered = (*history, Answer("fenced"))
                yield (
                    f"{runner.owner} may not send its {request.verb}",
                    world,
                    answered,
                    _at_once(procedure, answered),
                )
            return
        for label, following, answer in execute(world, request, before=history[-1] if history else None):
            answered = self._with_lease(following, procedure, (*history, answer))
            end = None if request.verb in WRITES else _at_once(procedure, answered)
            yield f"{runner.owner}: {label}", following, answered, end

    def _with_lease(self, world: World, procedure: Procedure, history: History) -> History:
        """Reads a Lease that is over at once: it stays over."""
        request = procedure.after(history)
        while (
            isinstance(request, Request)
            and request.verb == "lease"
            and (over := lease_is_over(world, request))
        ):
            history = (*history, over)
            request = procedure.after(history)
        return history

    def _apply_all(self, runner: Runner, inputs: tuple[Input, ...]) -> Runner:
        for given in inputs:
            runner = self.apply(runner, given)
        return runner

    # Launching

    def submit(self, runner: Runner) -> Runner:
        """Hands the attempt in: its turn comes at once."""
        runner = runner._replace(
            has_submitted=True, is_lost=False, is_unwanted=False, life=self._lives.new, is_tracked=False
        )
        return self.launching(runner, ())

    def _launch(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        if runner.launch is None:
            return
        procedure = self._wiring.launch(runner.owner)
        for label, following, history, end in self._call(world, runner, procedure, runner.launch):
            launching = self.launching(following.at(place), history, end)
            yield Move(label, following.put(place, launching), place)

    def launching(self, runner: Runner, history: History, end: Ended | None = None) -> Runner:
        """Takes note how far the launch is; it may be over."""
        if end is None:
            request = self._wiring.launch(runner.owner).after(history)
            waits = bool(history) and history[-1].kind == "held"
            is_creating = isinstance(request, Request) and not waits
            history = self._wiring.launch(runner.owner).shortest(history)
            return runner._replace(launch=history, is_creating=is_creating)
        if end.error is not None:
            raise DefectError(f"a launch fails: {end.error!r}")
        inputs, is_unwanted = end.value
        runner = runner._replace(launch=None, is_creating=False, is_unwanted=is_unwanted)
        # Else it was adopted meanwhile, or given up.
        return self._apply_all(runner, inputs) if self.is_not_created(runner) else runner

    def cancel(self, runner: Runner) -> Runner | None:
        """Cancels the pod; None: there is nothing to cancel."""
        if runner.life is None:
            return None
        if self.is_not_created(runner):
            if runner.launch is None:
                return None
            procedure = self._wiring.launch(runner.owner)
            # An answer that is on its way does not arrive any more.
            sent = runner.launch[:-1] if _lost(procedure, runner.launch) is not None else runner.launch
            history = (*sent, Answer("cancelled"))
            return self.launching(runner, history, _at_once(procedure, history))
        if not self._lives.accepts(runner.life, TerminationRequested):
            return None
        return self.apply(runner, TerminationRequested())

    def _discard(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        if runner.unwanted is None:
            return
        pod, before = runner.unwanted
        for label, following, history, end in self._call(
            world, runner, self._wiring.discard(runner.owner, pod), before
        ):
            discarding = self._discarding(following.at(place), pod, history, end)
            yield Move(f"{label} (unwanted)", following.put(place, discarding), place)

    def _discarding(self, runner: Runner, pod: PodObject, history: History, end: Ended | None) -> Runner:
        if end is None:
            return runner._replace(unwanted=(pod, history))
        if end.error is not None:
            raise DefectError(f"a discard fails: {end.error!r}")
        runner = runner._replace(unwanted=None)
        if not end.value or self.tracked_uid(runner) == pod.uid:
            return runner
        return self._apply_all(runner._replace(life=self._lives.new, is_tracked=False), end.value)

    # Adopting

    def may_adopt(self, world: World) -> bool:
        """Returns whether there is a pod to be adopted: a process that only adopts needs not start before."""
        pod = world.pod
        return pod is not None and owner_of(pod) not in world.leases and not is_reported(pod)

    def _adopt(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        history = runner.adoption
        if history is None:
            if place not in self._adopters or not self._would_adopt(world, runner):
                return
            history = ()
        for label, following, answered, end in self._call(
            world, runner, self._wiring.adopt(runner.owner), history
        ):
            adopting = self.adopting(following.at(place), answered, end)
            yield Move(f"{label} (adoption)", following.put(place, adopting), place)

    def _would_adopt(self, world: World, runner: Runner) -> bool:
        """Whether an adoption that begins now would come to something."""
        launch = None if runner.launch is None else self._wiring.launch(runner.owner).after(runner.launch)
        is_in_launcher = launch is not None and (isinstance(launch, Ended) or launch.is_launching)
        return (
            self.may_adopt(world)
            and runner.is_held
            and not is_in_launcher
            and world.pod is not None
            and self.tracked_uid(runner) != world.pod.uid
        )

    def adopting(self, runner: Runner, history: History, end: Ended | None = None) -> Runner:
        """Takes note how far the adoption is; it may be over."""
        if end is None:
            return runner._replace(adoption=history)
        runner = runner._replace(adoption=None)
        if end.error is not None:
            raise DefectError(f"an adoption fails: {end.error!r}")
        adopted = next((given for given in end.value or () if isinstance(given, PodAdopted)), None)
        if adopted is None or self.tracked_uid(runner) == record_of(adopted.pod).uid:
            return runner
        # The launch of the attempt waits no more.
        runner = runner._replace(launch=None, is_creating=False)
        if not self.is_not_created(runner):
            runner = runner._replace(life=self._lives.new, is_tracked=False)
        return self._apply_all(runner, end.value)

    # What takes time

    def _work(self, world: World, place: int, runner: Runner) -> Iterator[Move]:
        for job in dict.fromkeys(runner.jobs):
            effect = self._lives.effect(job.effect)
            if isinstance(effect, DrainLog):
                yield self._drain(world, place, runner, job)
            elif isinstance(effect, Enrich):
                yield from self._enrich(world, place, runner, job)
            else:
                procedure = self.procedure(runner.owner, job)
                for label, following, history, end in self._call(world, runner, procedure, job.history):
                    working = self.working(following.at(place), job, history, end)
                    yield Move(label, following.put(place, working), place)

    def _drain(self, world: World, place: int, runner: Runner, job: Job) -> Move:
        drained = tuple(sorted({*world.drained, job.uid}))
        runner = self._answer(_without(runner, job), job, LogDrained())
        label = f"{runner.owner} has read the log to its end"
        return Move(label, world._replace(drained=drained).put(place, runner), place)

    def _enrich(self, world: World, place: int, runner: Runner, job: Job) -> Iterator[Move]:
        if not runner.is_held and not runner.has_noticed:
            return  # the guard notices it
        outcome = self._enriched(runner, job) if runner.is_held else None
        runner = _without(runner, job)
        if outcome is not None:
            runner = self._answer(runner, job, OutcomeEnriched(outcome))
        yield Move(f"{runner.owner} settles the outcome", world.put(place, runner), place)

    def _enriched(self, runner: Runner, job: Job) -> Outcome | None:
        state = None if self.uid_of(runner.life) != job.uid else self._lives.state(runner.life or 0)
        if not isinstance(state, Enriching):
            return None
        return with_events(state, ()) if wants_events(state) else state.provisional

    def working(self, runner: Runner, job: Job, history: History, end: Ended | None = None) -> Runner:
        """Takes note how far a job is; it may be over."""
        runner = _without(runner, job)
        if end is None:
            return runner._replace(jobs=_sorted((*runner.jobs, job._replace(history=history))))
        if end.error is not None:
            raise DefectError(f"{type(self._lives.effect(job.effect)).__name__} fails: {end.error!r}")
        return runner if end.value is None else self._answer(runner, job, end.value)

    def _answer(self, runner: Runner, job: Job, given: Input) -> Runner:
        """Gives the pod of a job the input that the job ends with."""
        return self.apply(runner, given) if self.uid_of(runner.life) == job.uid else runner

    def procedure(self, owner: str, job: Job) -> Procedure:
        """Returns the code's procedure for a job."""
        return self._wiring.job(owner, job.effect, job.state, self._lives)

    def unsent(self, runner: Runner) -> Iterator[Request]:
        """Gives the requests that change something, and that may have been sent and not have arrived yet."""
        if not runner.is_held:
            return
        for procedure, history in self.procedures(runner):
            request = procedure.after(history)
            if isinstance(request, Request) and request.verb in WRITES:
                yield request

    def procedures(self, runner: Runner) -> Iterator[tuple[Procedure, History]]:
        """Gives all that is under way."""
        if runner.launch is not None:
            yield self._wiring.launch(runner.owner), runner.launch
        if runner.adoption is not None:
            yield self._wiring.adopt(runner.owner), runner.adoption
        for job in runner.jobs:
            if not isinstance(self._lives.effect(job.effect), _LOCAL):
                yield self.procedure(runner.owner, job), job.history

    def lose(self, runner: Runner) -> Iterator[Runner]:
        """Gives the process without one of the answers that are on their way."""
        launch, adopt = self._wiring.launch(runner.owner), self._wiring.adopt(runner.owner)
        if (lost := _lost(launch, runner.launch)) is not None:
            yield self.launching(runner, lost, _at_once(launch, lost))
        if (lost := _lost(adopt, runner.adoption)) is not None:
            yield self.adopting(runner, lost, _at_once(adopt, lost))
        for job in runner.jobs:
            if not isinstance(self._lives.effect(job.effect), _LOCAL):
                procedure = self.procedure(runner.owner, job)
                if (lost := _lost(procedure, job.history)) is not None:
                    yield self.working(runner, job, lost, _at_once(procedure, lost))

    # Delivery

    def deliver(self, runner: Runner, events: tuple[Event, ...]) -> Runner:
        """These outcomes are delivered."""
        for event in events:
            is_its = event.uid and self.tracked_uid(runner) == event.uid
            if is_its and self._lives.state(runner.life or 0).is_undelivered:
                runner = self.apply(runner, OutcomeTaken())
        return runner


def _at_once(procedure: Procedure, history: History) -> Ended | None:
    """Returns the end of a procedure that needs no further answer."""
    following = procedure.after(history)
    return following if isinstance(following, Ended) else None


def _lost(procedure: Procedure, history: History | None) -> History | None:
    """Returns the history without its last answer; None: no answer to a write is on its way."""
    if not history or history[-1].kind in {"lost", "fenced", "cancelled"}:
        return None
    request = procedure.after(history[:-1])
    assert isinstance(request, Request)
    return (*history[:-1], Answer("lost")) if request.verb in WRITES else None


def _without(runner: Runner, job: Job) -> Runner:
    jobs = list(runner.jobs)
    jobs.remove(job)
    return runner._replace(jobs=tuple(jobs))


def _sorted(jobs: tuple[Job, ...]) -> tuple[Job, ...]:
    return tuple(sorted(jobs, key=lambda job: job.effect))

"""Pods that are another runner's now, or are left to one. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.runner.effects import Emit, NoteEnd, RemoveLogCursors
from podrunner.runner.events import EventKind
from podrunner.runner.inputs import RunnerClosed
from podrunner.runner.lifecycle.conclusion import finish
from podrunner.runner.lifecycle.records import LEAVE
from podrunner.runner.lifecycle.steps import Step
from podrunner.runner.states import (
    Creating,
    Draining,
    Enriching,
    Finished,
    Live,
    New,
    Queued,
    Recording,
    Relinquished,
    Settled,
    State,
    Undelivered,
    is_gone,
    snapshot_of,
)

if TYPE_CHECKING:
    from podrunner.runner.inputs import Input, LeaseLost, TakenOver

__all__ = [
    "hand_over",
    "hand_over_finished",
    "hand_over_settled",
    "ignore",
    "leave",
    "leave_undelivered",
    "lose",
]


def lose(state: New | Queued | Creating | Live | Enriching | Recording, given: LeaseLost) -> Step:
    """The Lease is lost: the pod is left to a successor, and reported as lost."""
    return _relinquish(state, Emit(EventKind.LOST, message=f"this runner lost its lease: {given.why}"))


def hand_over(state: Live | Enriching | Recording, _: TakenOver) -> Step:
    """Another runner took the pod over, which reports its outcome."""
    return _relinquish(state, Emit(EventKind.LOST, message="another runner took it over"))


def _relinquish(state: New | Queued | Creating | Live | Enriching | Recording, report: Emit) -> Step:
    return Step(_relinquished(state), (report, NoteEnd(), *LEAVE))


def leave(state: New | Queued | Creating | Live | Enriching | Recording, _: RunnerClosed) -> Step:
    """The runner is closed: the pod is left to a successor."""
    return Step(_relinquished(state), (NoteEnd(),))


def _relinquished(state: New | Queued | Creating | Live | Enriching | Recording) -> Relinquished:
    return Relinquished(rules=state.rules, snapshot=snapshot_of(state), gone=is_gone(state))


def hand_over_settled(state: Settled, _: TakenOver) -> Step:
    """Another runner took over a pod whose outcome was reported here."""
    return Step(finish(state).state, LEAVE)


def leave_undelivered(state: Draining | Undelivered, given: LeaseLost | RunnerClosed) -> Step:
    """A successor reports the outcome: the pod stays for it, neither deleted nor marked. One that is gone has none."""
    has_no_successor = state.gone and isinstance(given, RunnerClosed)
    return Step(finish(state).state, (RemoveLogCursors(),) if has_no_successor else ())


def hand_over_finished(state: Finished, _: TakenOver) -> Step:
    """Another runner took over a pod about which nothing more is done."""
    return Step(state, LEAVE)


def ignore(state: State, _: Input) -> Step:
    """The input comes too late to matter."""
    return Step(state)

"""The promises, as what must hold at each step of the model and at each end."""

from __future__ import annotations

from podrunner.builder.labels import REPORTED
from podrunner.outcome import Category
from tests.model.lives import Lives
from tests.model.records import ENDED, PodObject, metadata_of, owner_of
from tests.model.world import Event, Move, World

__all__ = ["broken_at_end", "broken_by", "is_reported"]


def is_reported(pod: PodObject) -> bool:
    """Returns whether the pod bears the mark of being reported."""
    return REPORTED in metadata_of(pod.metadata).annotations


def broken_by(before: World, move: Move, lives: Lives) -> str | None:
    """Returns which promise a step breaks; None: none."""
    after = move.world
    if after.pod is not before.pod:
        broken = _by_change(before, move)
        if broken is not None:
            return broken
    if len(after.taken) > len(before.taken):
        return _by_report(after, lives)
    return None


def _by_change(before: World, move: Move) -> str | None:  # noqa: PLR0911  # one return per promise
    pod, after = before.pod, move.world
    if move.place is not None and (runner := before.runners[move.place]) is not None and not runner.is_held:
        return f"a fenced runner changes nothing: {runner.owner} changes the pod without its Lease"
    if len(after.begun) > 1 and len(after.begun) > len(before.begun) and not after.is_excused:
        return "one launch: a second pod of the attempt begins"
    if pod is None:
        return None
    if after.pod is None:
        return _by_removal(after, pod)
    if owner_of(after.pod) != owner_of(pod) and _is_held(before, owner_of(pod)):
        return f"one owner: the pod is adopted though its owner {owner_of(pod)} holds its Lease"
    if is_reported(after.pod) and not is_reported(pod):
        return _undelivered(after, pod, "marked as reported") or _undrained(after, pod, "marked as reported")
    return None


def _by_removal(after: World, pod: PodObject) -> str | None:
    if pod.uid not in after.begun:
        return None
    ended_by_itself = pod.life in ENDED and not pod.deletion
    undrained = _undrained(after, pod, "deleted") if ended_by_itself else None
    return undrained or _undelivered(after, pod, "deleted")


def _undelivered(world: World, pod: PodObject, what: str) -> str | None:
    if world.is_excused or has_outcome(world.journal, pod.uid):
        return None
    return f"no outcome is lost: the pod is {what} and the journal does not have its outcome"


def _undrained(world: World, pod: PodObject, what: str) -> str | None:
    return (
        None if pod.uid in world.drained else f"every line once: the pod is {what} and its log is not drained"
    )


def _is_held(world: World, owner: str) -> bool:
    return any(runner is not None and runner.owner == owner and runner.is_held for runner in world.runners)


def has_outcome(events: tuple[Event, ...], uid: int) -> bool:
    """Returns whether the outcome of a pod is among these; or that of the attempt, as one that has no pod."""
    return any(event.uid in {0, uid} for event in events)


def _by_report(world: World, lives: Lives) -> str | None:
    said: dict[int, Category] = {}
    true = {Category.SUCCEEDED, Category.FAILED, *((Category.CANCELLED,) if world.is_cancelled else ())}
    for uid, outcome in world.taken:
        category = lives.outcome(outcome).category
        if category not in true:
            return f"one outcome, and it is true: {category} is reported"
        if said.setdefault(uid, category) is not category:
            return f"one outcome: the same pod is reported as {said[uid]} and as {category}"
    return None


def broken_at_end(world: World) -> str | None:
    """Returns which promise is broken where nothing happens any more; None: none."""
    if not world.journal and not world.is_excused:
        return "no outcome is lost: nothing happens any more, and the journal has no outcome"
    pod = world.pod
    if pod is None or is_reported(pod):
        return None
    return f"no leak: nothing happens any more, and there is {pod}"

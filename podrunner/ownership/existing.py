"""A pod of a launch's name that the launch did not make: whose it is, and what becomes of it.

A restarted program runs the same attempt while the pod of its predecessor is there. What follows is one pure decision,
:func:`decide_existing`, on the pod's record and what is known of its owner; :class:`ExistingPods` carries it out as far
as it takes a few requests. Waiting for an owner's Lease is :mod:`podrunner.ownership.owners`; how a pod that was taken
goes on does not belong here.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

import anyio
import msgspec

from podrunner.builder import is_another_workload, read_ownership
from podrunner.errors import AttemptEndedError, AttemptOwnedError, OwnershipError, PodrunnerError
from podrunner.outcome import Outcome, apply_failure_policy, awaits_final_status, classify
from podrunner.ownership.adoption import owner_of
from podrunner.ownership.outcome_records import bears_finalizer, is_reported, stored_outcome
from podrunner.ownership.owners import OwnerAlive, OwnerGone, OwnerUnknown, OwnerVerdict

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from podrunner.builder import OwnershipMetadata
    from podrunner.config import RunnerConfig
    from podrunner.outcome.record import Pod
    from podrunner.ownership.adoption import Adopter
    from podrunner.ownership.owners import Owners
    from podrunner.ownership.retained import Deleter
    from podrunner.ownership.scope import ScopeReader
    from podrunner.workload import WorkloadKey

__all__ = [
    "Attempt",
    "AwaitOwner",
    "Decision",
    "ExistingPods",
    "Found",
    "Refuse",
    "Replay",
    "Rerun",
    "Take",
    "TakeOver",
    "decide_existing",
    "ended_outcome",
    "owned_error",
    "vanished_error",
]

# A pod that changes without end, or goes from hand to hand, is left alone after so many decisions.
_DECISIONS: Final = 5

# A pod that is over is gone as soon as it is deleted, unless another client's finalizer holds it.
_GONE_WITHIN_S: Final = 60.0
_GONE_LOOK_S: Final = 0.5

_UNSTEADY: Final = "it keeps changing while it is taken over"
_REMEDIES_OWNED: Final = (
    "wait until that runner has ended (the next launch then takes the pod over, as `adopt` does), "
    "run the next attempt, or delete the pod"
)
_REMEDIES_FOREIGN: Final = "use another key or attempt, or delete the pod"
_REMEDIES_ENDED: Final = "run the next attempt, or delete the pod"


class Attempt(NamedTuple):
    """What is to be launched, as far as the decision needs it.

    Attributes:
        key: Identity and attempt.
        manifest_hash: Of its workload (:attr:`PodPlan.manifest_hash`); None: not known.
    """

    key: WorkloadKey
    manifest_hash: str | None


# What becomes of the pod


class Take(msgspec.Struct, frozen=True):
    """It is ours: it goes on as an adopted one.

    Attributes:
        replayed: Whether it ended before this launch: its outcome, which was not delivered, is that of an earlier one.
    """

    replayed: bool


class TakeOver(msgspec.Struct, frozen=True):
    """Its owner is gone: it is to be made ours by compare-and-swap."""


class AwaitOwner(msgspec.Struct, frozen=True):
    """Its owner's Lease may still count: to be waited for.

    Attributes:
        owner: The owner.
    """

    owner: str


class Replay(msgspec.Struct, frozen=True):
    """It is over and was reported: the launch has its outcome, and the pod stays as it is.

    Attributes:
        outcome: How it ended.
    """

    outcome: Outcome


class Rerun(msgspec.Struct, frozen=True):
    """It is over and ours: it is to be deleted, and the attempt run again.

    Attributes:
        outcome: How it ended.
        is_drained: Whether its log was read to the end.
    """

    outcome: Outcome
    is_drained: bool


class Refuse(msgspec.Struct, frozen=True):
    """It is left as it is, and the launch fails.

    Attributes:
        error: Why, and what can be done.
    """

    error: OwnershipError


Decision: TypeAlias = Take | TakeOver | AwaitOwner | Replay | Rerun | Refuse


def decide_existing(
    pod: Pod, attempt: Attempt, *, me: str, scope: str, config: RunnerConfig, verdict: OwnerVerdict | None
) -> Decision:
    """Decides what becomes of a pod that is there, and that the launch of its name did not make.

    Args:
        pod: Its record.
        attempt: What is to be launched.
        me: Our owner's name.
        scope: Our scope.
        config: Its ``reported_attempt`` and ``failure_policy`` are read.
        verdict: Whether the pod's owner lives; None: not known yet.
    """
    said = read_ownership(pod.metadata.labels, pod.metadata.annotations)
    if said is None or said.key != attempt.key or (said.owner != me and said.scope != scope):
        return Refuse(_foreign(pod, said, attempt.key))
    outcome = ended_outcome(pod, config=config)
    if outcome is None:
        return Take(replayed=False) if said.owner == me else _of_another(pod, said.owner, verdict)
    return _decide_ended(pod, said.owner, outcome, attempt, me=me, config=config, verdict=verdict)


def _decide_ended(
    pod: Pod,
    owner: str,
    outcome: Outcome,
    attempt: Attempt,
    *,
    me: str,
    config: RunnerConfig,
    verdict: OwnerVerdict | None,
) -> Decision:
    """A pod that is over: an outcome that was reported needs no owner; one that was not is its owner's to report."""
    reported, policy = is_reported(pod), config.reported_attempt
    is_owners = owner != me and not isinstance(verdict, OwnerGone)
    if is_owners and (policy == "rerun" or not reported):
        return _of_another(pod, owner, verdict)
    if policy == "error":
        return Refuse(_ended(pod, owner, outcome, "this attempt has ended already"))
    if policy == "rerun":
        return Rerun(outcome, is_drained=reported) if owner == me else TakeOver()
    if is_another_workload(pod.metadata.annotations, attempt.manifest_hash):
        return Refuse(_ended(pod, owner, outcome, "this attempt has ended already, as another workload"))
    if reported:
        return Replay(outcome)
    return Take(replayed=True) if owner == me else TakeOver()


def _of_another(pod: Pod, owner: str, verdict: OwnerVerdict | None) -> Decision:
    match verdict:
        case None:
            return AwaitOwner(owner)
        case OwnerGone():
            return TakeOver()
        case OwnerAlive(ends):
            return Refuse(owned_error(pod, _until(ends), lease_ends=ends))
        case OwnerUnknown(error):
            return Refuse(owned_error(pod, f"its Lease could not be read: {error}", cause=error))


def ended_outcome(pod: Pod, *, config: RunnerConfig) -> Outcome | None:
    """Returns how a pod ended: as it was recorded, else as its status says; None: it is not over.

    A reported pod is over whatever its status says: another client may have been changing it since.
    """
    stored = stored_outcome(pod)
    if stored is not None:
        return stored
    said = read_ownership(pod.metadata.labels, pod.metadata.annotations)
    main = None if said is None else said.main_container
    outcome = classify(pod, main_container=main)
    if outcome is None and is_reported(pod):
        outcome = classify(pod, main_container=main, vanished=True)
    if outcome is None or (awaits_final_status(pod, outcome) and not is_reported(pod)):
        return None
    return apply_failure_policy(config.failure_policy, outcome, pod)


class Found(NamedTuple):
    """What became of a pod that is there.

    Attributes:
        decision: What is to be done with it.
        pod: Its record.
    """

    decision: Take | AwaitOwner | Replay | Rerun
    pod: Pod


class ExistingPods:
    """The pods that launches find, and did not make.

    Args:
        reader: Reads pods of our scope.
        adopter: Takes pods over.
        owners: Knows which owners are gone.
        delete: Deletes a pod, trying again after transient errors.
        release: Removes our finalizer from a pod.
        me: Our owner's name.
        config: As for :func:`decide_existing`.
    """

    def __init__(
        self,
        reader: ScopeReader,
        adopter: Adopter,
        owners: Owners,
        *,
        delete: Deleter,
        release: Callable[[Pod], Awaitable[object]],
        me: str,
        config: RunnerConfig,
    ) -> None:
        self._reader = reader
        self._adopter = adopter
        self._owners = owners
        self._delete = delete
        self._release = release
        self._me = me
        self._config = config

    async def settle(
        self,
        place: tuple[str, str],
        attempt: Attempt,
        *,
        found: Pod | None = None,
        verdict: tuple[str, OwnerVerdict] | None = None,
    ) -> Found:
        """Decides what becomes of the pod of a name, and takes it over if its owner is gone.

        Args:
            place: Namespace and name.
            attempt: What is to be launched.
            found: Its record; None: it is read.
            verdict: An owner, and whether it lives; None: not known. That an owner is gone counts for a moment only.

        Raises:
            OwnershipError: It is left as it is; or it is gone: then another runner may have reported its outcome.
            ApiError: It could not be read or taken over.
        """
        pod = found or await self._reader.pod(*place)
        owner = None if verdict is None else verdict[0]
        for _ in range(_DECISIONS):
            if pod is None:
                raise vanished_error(place, owner)
            owner, decision = owner_of(pod), self._decide(pod, attempt, verdict)
            match decision:
                case Refuse(error):
                    raise error
                case AwaitOwner(of) if await self._owners.look(of) is not None:
                    continue
                case TakeOver():
                    pod = await self._adopter.take(pod) or await self._reader.pod(*place)
                case _:
                    return Found(decision, pod)
        raise vanished_error(place, owner) if pod is None else owned_error(pod, _UNSTEADY)

    def _decide(self, pod: Pod, attempt: Attempt, verdict: tuple[str, OwnerVerdict] | None) -> Decision:
        owner = owner_of(pod)
        known: OwnerVerdict | None = None
        if owner is not None and owner != self._me:
            known = self._owners.known(owner)
            if known is None and verdict is not None and verdict[0] == owner:
                known = None if isinstance(verdict[1], OwnerGone) else verdict[1]
        return decide_existing(
            pod, attempt, me=self._me, scope=self._reader.scope, config=self._config, verdict=known
        )

    async def remove(self, pod: Pod) -> None:
        """Deletes a pod that is over, whatever holds it of ours, and returns when it is gone.

        Raises:
            OwnershipError: It is not gone in time, such as for another client's finalizer; or we are no owner any more.
            ApiError: The server refuses the deletion.
        """
        meta = pod.metadata
        if bears_finalizer(pod):
            await self._release(pod)
        await self._delete(meta.namespace, meta.name, uid=meta.uid)
        with anyio.move_on_after(_GONE_WITHIN_S):
            while (there := await self._reader.pod(meta.namespace, meta.name)) is not None:
                if there.metadata.uid != meta.uid:
                    return
                await anyio.sleep(_GONE_LOOK_S)
            return
        raise OwnershipError(
            f"pod {meta.namespace}/{meta.name} was deleted, so that its attempt is run again, and is not gone after "
            f"{_GONE_WITHIN_S:.0f} s (finalizers: {', '.join(meta.finalizers or ()) or 'none'})",
            namespace=meta.namespace,
            name=meta.name,
            owner=self._me,
        )


# Errors


def owned_error(
    pod: Pod,
    why: str,
    *,
    lease_ends: dt.datetime | None = None,
    cause: PodrunnerError | None = None,
) -> AttemptOwnedError:
    """Returns the error of a launch whose pod is another runner's."""
    owner = owner_of(pod)
    error = AttemptOwnedError(
        f"{_there(pod)}, and runner {owner!r} owns this attempt ({why}); it is left as it is: {_REMEDIES_OWNED}",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        owner=owner,
        lease_ends=lease_ends,
    )
    error.__cause__ = cause
    return error


def vanished_error(place: tuple[str, str], owner: str | None) -> AttemptOwnedError:
    """Returns the error of a launch whose name a pod had that is gone."""
    namespace, name = place
    whose = "" if owner is None else f", of runner {owner!r},"
    return AttemptOwnedError(
        f"pod {namespace}/{name} was there{whose} when it was launched, and is gone: another runner may have "
        "reported its outcome; if none has, launch it again",
        namespace=namespace,
        name=name,
        owner=owner,
    )


def _until(ends: dt.datetime | None) -> str:
    end = "" if ends is None else f" and lasts until {ends.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%SZ}"
    return f"its Lease was renewed{end}"


def _foreign(pod: Pod, said: OwnershipMetadata | None, key: WorkloadKey) -> OwnershipError:
    if said is None:
        reason = "it was not made by podrunner"
    elif said.key != key:
        reason = f"it belongs to another workload ({said.key})"
    else:
        reason = f"runner {said.owner!r} of scope {said.scope!r} owns this attempt"
    return OwnershipError(
        f"{_there(pod)}, and {reason}; it is left as it is: {_REMEDIES_FOREIGN}",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        owner=None if said is None else said.owner,
    )


def _ended(pod: Pod, owner: str, outcome: Outcome, why: str) -> AttemptEndedError:
    return AttemptEndedError(
        f"{_there(pod)}, and {why} ({outcome.category}); it is left as it is: {_REMEDIES_ENDED}",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        owner=owner,
        category=str(outcome.category),
    )


def _there(pod: Pod) -> str:
    return f"pod {pod.metadata.namespace}/{pod.metadata.name} is there already"

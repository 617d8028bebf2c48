"""What a launch does when a pod of an earlier launch of its attempt is there.

Whose that pod is and what becomes of it is decided in :mod:`podrunner.ownership.existing`. Here it is carried out for
one launch: the pod becomes its handle's, its outcome is given again, or the launch waits.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.builder import is_another_workload
from podrunner.errors import (
    AttemptEndedError,
    AttemptOwnedError,
    KeyReusedError,
    OwnershipError,
    PodrunnerError,
)
from podrunner.log_fields import pod_fields
from podrunner.ownership import (
    Attempt,
    AwaitOwner,
    OwnerAlive,
    OwnerGone,
    OwnerUnknown,
    Replay,
    Rerun,
    Take,
    owned_error,
    owner_of,
)
from podrunner.runner.deferred import Deferral
from podrunner.runner.states import NotCreatedState

if TYPE_CHECKING:
    from podrunner.builder import PodPlan
    from podrunner.launcher import Launcher
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.ownership import ExistingPods, Found, Owners, OwnerVerdict
    from podrunner.runner.context import Fence
    from podrunner.runner.supervisor import Supervisor
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.runner.tracked import TrackedPod

__all__ = ["EarlierPods", "LaunchTurn", "check_same_workload", "is_attempt_lost"]

_logger = logging.getLogger(__name__)

# For finding out, after a launch was cancelled, whether its pod was taken over just then.
_CLEANUP_S: Final = 30.0
_CANCELLED: Final = "the launch was cancelled before its Lease was over"


@dataclass(slots=True, eq=False)
class LaunchTurn:
    """A launch, and what it knows of a pod that has its name.

    Attributes:
        plan: What is created.
        pod: Its pod.
        priority: Of its submission.
        group: Of its submission.
        is_occupied: Whether a pod that it did not make has its name, as far as is known.
        found: That pod's record; None: it is to be read.
        verdict: Whether that pod's owner lives, with the owner's name; None: not known.
        lost: Why the launch has no pod if it is cancelled now, although there is one; None: there is none, as far as is
            known.
    """

    plan: PodPlan
    pod: TrackedPod
    priority: int = 0
    group: str = ""
    is_occupied: bool = False
    found: Pod | None = None
    verdict: tuple[str, OwnerVerdict] | None = None
    lost: PodrunnerError | None = None

    def occupied(self, found: Pod | None) -> None:
        """A pod that the launch did not make has its name."""
        self.is_occupied, self.found = True, found

    def free(self) -> None:
        """No pod has its name, as far as is known."""
        self.is_occupied = False
        self.found = self.verdict = self.lost = None


def is_attempt_lost(error: PodrunnerError) -> bool:
    """Whether a launch failed because its attempt's pod is there and is not this runner's to report."""
    return isinstance(error, AttemptOwnedError | AttemptEndedError)


def check_same_workload(known: TrackedPod, plan: PodPlan) -> None:
    """Refuses to give out the pod of another workload that was launched here under the same key; logs one found there.

    Raises:
        KeyReusedError: This runner launched it.
    """
    if known.manifest_hash is None:
        _report_another(known.pod, plan)
    elif plan.manifest_hash is not None and plan.manifest_hash != known.manifest_hash:
        raise KeyReusedError(key=str(plan.key), pod=f"{known.namespace}/{known.name}")


class EarlierPods:
    """The pods of earlier launches, as the launches of one runner find them.

    Args:
        existing: Decides, and takes pods over.
        owners: Waits for Leases.
        supervisor: Takes in pods that are this runner's.
        launcher: Makes the Secret that an earlier launch did not come to make.
        fence: Whether the runner may act.
        tasks: Says whether the runner is being ended.
    """

    def __init__(
        self,
        existing: ExistingPods,
        owners: Owners,
        *,
        supervisor: Supervisor,
        launcher: Launcher,
        fence: Fence,
        tasks: SupervisedTasks,
    ) -> None:
        self._existing = existing
        self._owners = owners
        self._supervisor = supervisor
        self._launcher = launcher
        self._fence = fence
        self._tasks = tasks

    async def resolve(self, turn: LaunchTurn) -> TrackedPod | Deferral:
        """Settles what the pod that has a launch's name means for it.

        If it is cancelled, that is settled nevertheless: a pod that was taken over just then is this runner's.

        Returns:
            The pod of the launch, or what the launch has to wait for.

        Raises:
            OwnershipError: The pod is left as it is, also because it could not be read or taken over; or it is gone.
        """
        try:
            return await self._resolve(turn)
        except anyio.get_cancelled_exc_class():
            await self.resolve_cancelled(turn)
            raise

    async def resolve_cancelled(self, turn: LaunchTurn) -> None:
        """Settles for a cancelled launch what the pod that has its name means: it may be this runner's by now.

        Nothing is done if the whole runner is being ended: then a successor finds the pod.
        """
        if not self._tasks.is_cancelled:
            with anyio.move_on_after(_CLEANUP_S, shield=True) as scope:
                await self._resolve_after_cancel(turn)
            if scope.cancelled_caught:
                turn.lost = _not_settled(turn.pod)

    async def _resolve_after_cancel(self, turn: LaunchTurn) -> None:
        try:
            await self._resolve(turn)
        except PodrunnerError as error:
            _logger.info(
                "pod %s/%s is left as it is: %s",
                turn.pod.namespace,
                turn.pod.name,
                error,
                extra=pod_fields(turn.pod),
            )
            turn.lost = error if is_attempt_lost(error) else None

    async def _resolve(self, turn: LaunchTurn) -> TrackedPod | Deferral:
        found = await self._settle(turn)
        self._fence.check_owner()
        turn.found, turn.lost = found.pod, None
        return await self._accept(turn, found)

    async def _settle(self, turn: LaunchTurn) -> Found:
        plan, pod = turn.plan, turn.pod
        try:
            return await self._existing.settle(
                (pod.namespace, pod.name),
                Attempt(plan.key, plan.manifest_hash),
                found=turn.found,
                verdict=turn.verdict,
            )
        except OwnershipError:
            raise
        except PodrunnerError as error:
            # Never told as a launch that came to nothing: the pod's work may be under way, and is not to be done twice.
            raise AttemptOwnedError(
                f"pod {pod.namespace}/{pod.name} is there already, and could not be read or taken over: {error}",
                namespace=pod.namespace,
                name=pod.name,
            ) from error

    async def _accept(self, turn: LaunchTurn, found: Found) -> TrackedPod | Deferral:
        record = found.pod
        match found.decision:
            case Take(replayed):
                return await self._take(turn, record, replayed=replayed)
            case Replay(outcome):
                return self._replay(turn, record, outcome)
            case AwaitOwner(owner):
                turn.lost = owned_error(record, _CANCELLED)
                why = f"the Lease of runner {owner!r}"
                return Deferral(("lease", owner), partial(self._owners.settle, owner), why, turn.lost)
            case Rerun() as rerun:
                why = f"pod {record.metadata.namespace}/{record.metadata.name} to be gone"
                clear = partial(self._clear, turn.pod, record, rerun)
                return Deferral(("pod", record.metadata.uid), clear, why)

    async def _take(self, turn: LaunchTurn, record: Pod, *, replayed: bool) -> TrackedPod:
        pod = turn.pod
        if not isinstance(pod.state, NotCreatedState):
            return pod  # adopted meanwhile; or relinquished, and the pod is left to a successor
        pod.replayed = replayed
        if replayed:
            _report_replay(record, turn, "over, and its outcome not delivered")
        else:
            _report_another(record, turn.plan)
        known = self._supervisor.adopt(pod, record)
        if record.status.phase == "Pending":
            await self._add_secret(turn.plan, record)
        return known

    async def _add_secret(self, plan: PodPlan, record: Pod) -> None:
        """The earlier launch may have ended between the pod and its Secret; then the pod waits for it."""
        try:
            await self._launcher.add_secret(plan, record)
        except PodrunnerError as error:
            meta = record.metadata
            _logger.warning(
                "pod %s/%s may wait for its Secret: %s",
                meta.namespace,
                meta.name,
                error,
                extra=pod_fields(meta),
            )

    def _replay(self, turn: LaunchTurn, record: Pod, outcome: Outcome) -> TrackedPod:
        if isinstance(turn.pod.state, NotCreatedState):
            _report_replay(record, turn, f"over and was reported ({outcome.category})")
            self._supervisor.replay(turn.pod, record, outcome)
        return turn.pod

    async def _clear(self, pod: TrackedPod, record: Pod, rerun: Rerun) -> None:
        """Makes room for another pod of the attempt."""
        _logger.info(
            "pod %s/%s is deleted, and its attempt run again", pod.namespace, pod.name, extra=pod_fields(pod)
        )
        if rerun.is_drained:
            await self._existing.remove(record)
            return
        earlier = await self._supervisor.drain_earlier(pod, record, rerun.outcome)
        await self._existing.remove(record)
        await self._supervisor.forget_earlier(earlier)

    def resume(self, turn: LaunchTurn, result: object) -> None:
        """Takes what a launch waited for: a verdict about an owner, or that the pod is gone."""
        if not isinstance(result, OwnerGone | OwnerAlive | OwnerUnknown):
            turn.free()
            return
        assert turn.found is not None, "a launch waits for the owner of a pod that it found"
        owner = owner_of(turn.found)
        assert owner is not None, "a pod that has an owner"
        turn.verdict = owner, result
        if not isinstance(result, OwnerGone):
            turn.found = None  # before the launch fails for it: it may be gone, or another runner's


def _not_settled(pod: TrackedPod) -> AttemptOwnedError:
    return AttemptOwnedError(
        f"pod {pod.namespace}/{pod.name} is there already, and it was not settled whose it is",
        namespace=pod.namespace,
        name=pod.name,
    )


def _report_another(record: Pod | None, plan: PodPlan) -> None:
    """Says that the pod which goes on was made of another workload: it may do other work than its caller believes."""
    if record is not None and is_another_workload(record.metadata.annotations, plan.manifest_hash):
        _logger.warning(
            "%s goes on as pod %s/%s, which was made of another workload: its command, environment, image or volumes "
            "differ. To run the new one, run the next attempt, or delete the pod",
            plan.key,
            record.metadata.namespace,
            record.metadata.name,
            extra=pod_fields(record.metadata),
        )


def _report_replay(record: Pod, turn: LaunchTurn, why: str) -> None:
    """Says once why nothing is run, and what to do for it to be run."""
    meta = record.metadata
    _logger.warning(
        "%s is not run again: its pod %s/%s is %s. The outcome is that one's. To run it again, run the next attempt, "
        "or delete the pod (reported_attempt='rerun' does it)",
        turn.plan.key,
        meta.namespace,
        meta.name,
        why,
        extra=pod_fields(meta),
    )

"""Many workloads or handles in one call: submitted in one step, or cancelled together.

What one of them needs is decided where one alone is: in the submission queue, in the runs and in the handles.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias, TypeVar

import anyio
import anyio.lowlevel

from podrunner.errors import PodrunnerError
from podrunner.runner.batches import FailedLaunch, LaunchBatch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from podrunner.builder import PodPlan
    from podrunner.runner.handles import AsyncPod
    from podrunner.runner.retries import RetryPolicy
    from podrunner.runner.run_handle import AsyncRun
    from podrunner.runner.runs import Runs, TrackedRun
    from podrunner.runner.submission import SubmissionQueue
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import Workload

__all__ = ["BulkSubmission", "Group", "Priority", "batch_of", "cancel_all"]

Priority: TypeAlias = "int | Callable[[Workload], int]"
"""The priority of all workloads of a batch, or a function that says each one's."""
Group: TypeAlias = "str | Callable[[Workload], str]"
"""The group of all workloads of a batch, or a function that says each one's."""

H = TypeVar("H")
T = TypeVar("T")
K = TypeVar("K")

# Building a manifest takes about 0.1 ms; so often others have their turn on the event loop.
_PLANS_AT_ONCE: Final = 50


class _Planned(NamedTuple):
    """A workload of a batch, and what was decided about it before any of them is submitted."""

    workload: Workload
    plan: PodPlan | PodrunnerError
    priority: int
    group: str


class BulkSubmission:
    """Submits many workloads: their manifests are built first, then all are queued in one step.

    So a call that is cancelled has submitted all of them or none.

    Args:
        queue: Takes the submissions.
        runs: Takes the workloads that are run.
    """

    def __init__(self, queue: SubmissionQueue, runs: Runs) -> None:
        self._queue = queue
        self._runs = runs

    async def submit(
        self, workloads: Sequence[Workload], *, priority: Priority, group: Group
    ) -> list[tuple[TrackedPod, PodrunnerError | None]]:
        """Submits all; returns each pod with the error of one that was not taken, in the workloads' order.

        Raises:
            RunnerClosedError: The runner is closed.
            OwnershipError: The runner lost its Lease.
        """
        return [self._submit(each) for each in await self._planned("submit_many", workloads, priority, group)]

    async def run(
        self, workloads: Sequence[Workload], *, policy: RetryPolicy | None, priority: Priority, group: Group
    ) -> list[tuple[TrackedRun, PodrunnerError | None]]:
        """Begins runs of all, as :meth:`submit`."""
        return [
            self._run(each, policy) for each in await self._planned("run_many", workloads, priority, group)
        ]

    async def _planned(
        self, call: str, workloads: Sequence[Workload], priority: Priority, group: Group
    ) -> list[_Planned]:
        self._queue.check_open(call)
        planned = []
        for number, workload in enumerate(workloads, 1):
            try:
                plan: PodPlan | PodrunnerError = self._queue.plan(workload)
            except PodrunnerError as error:
                plan = error
            planned.append(_Planned(workload, plan, _of(priority, workload), _of(group, workload)))
            if number % _PLANS_AT_ONCE == 0:
                await anyio.lowlevel.checkpoint()
        await anyio.lowlevel.checkpoint()
        self._queue.check_open(call)
        return planned

    def _submit(self, one: _Planned) -> tuple[TrackedPod, PodrunnerError | None]:
        try:
            return self._queue.submit(
                one.workload, priority=one.priority, group=one.group, plan=_built(one.plan)
            ), None
        except PodrunnerError as error:
            return self._queue.not_taken(one.workload, error), error

    def _run(self, one: _Planned, policy: RetryPolicy | None) -> tuple[TrackedRun, PodrunnerError | None]:
        workload, priority, group = one.workload, one.priority, one.group
        try:
            plan = _built(one.plan)
            return self._runs.run(workload, policy=policy, priority=priority, group=group, plan=plan), None
        except PodrunnerError as error:
            return self._runs.not_taken(workload, error, policy=policy), error


def _built(plan: PodPlan | PodrunnerError) -> PodPlan:
    if isinstance(plan, PodrunnerError):
        raise plan
    return plan


def _of(given: K | Callable[[Workload], K], workload: Workload) -> K:
    return given(workload) if callable(given) else given


def batch_of(
    workloads: Sequence[Workload],
    results: Sequence[tuple[T, PodrunnerError | None]],
    handle: Callable[[T], H],
) -> LaunchBatch[H]:
    """Returns what became of each workload of a call, with handles."""
    failures = [
        FailedLaunch(index, workload, error)
        for index, (workload, (_, error)) in enumerate(zip(workloads, results, strict=True))
        if error is not None
    ]
    return LaunchBatch([handle(found) for found, _ in results], failures)


async def cancel_all(
    handles: Iterable[AsyncPod | AsyncRun], *, grace_period_s: int | None, wait: bool
) -> None:
    """Cancels pods and runs, all at once.

    Raises:
        ExceptionGroup: Of the errors of those that are another runner's; all others are cancelled.
    """
    listed, errors = list(handles), list[PodrunnerError]()

    async def cancel(one: AsyncPod | AsyncRun) -> None:
        try:
            await one.cancel(grace_period_s=grace_period_s, wait=wait)
        except PodrunnerError as error:
            errors.append(error)

    async with anyio.create_task_group() as group:
        for one in listed:
            group.start_soon(cancel, one, name=f"cancel {one.key}")
    if errors:
        raise ExceptionGroup(f"{len(errors)} of {len(listed)} could not be cancelled here", errors)

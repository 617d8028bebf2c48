"""What takes time at the end of a pod: gathering evidence, draining the log, marking it as reported, deleting it.

That it is done, and in which order, is decided in :mod:`podrunner.runner.lifecycle`; the file that a workload returns
is read in :mod:`podrunner.runner.results`. Trouble here never changes what became of a pod.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

import anyio
from msgspec.structs import replace

from podrunner.errors import ConflictError, NotFoundError, OwnershipError, PodrunnerError
from podrunner.event_loop import current_time, make_event
from podrunner.kube import RequestRetry, retrying
from podrunner.log_fields import pod_fields
from podrunner.logs import read_lines
from podrunner.outcome.result import timed
from podrunner.ownership import (
    NotedWait,
    PodWrite,
    WriteStatus,
    bears_finalizer,
    bears_verdict,
    look_at,
    mark_reported,
    release_finalizer,
    write_opened,
    write_outcome,
    write_started,
    write_verdict,
    write_waiting,
)
from podrunner.runner.effects import RecordOpened, RecordStart, RecordWaiting
from podrunner.runner.inputs import DeletionAnswered, DeletionDeclined, PodRemoved
from podrunner.runner.lifecycle import wants_events, with_events
from podrunner.runner.results import announces_result, with_result
from podrunner.runner.states import Enriching
from podrunner.runner.tasks import Notify

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.launcher import Launcher
    from podrunner.logs import LogStreamLimiter, PodAddress
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Event, Pod
    from podrunner.runner.context import Fence
    from podrunner.runner.effects import DeletePod, EndPod, Note
    from podrunner.runner.tracked import TrackedPod

__all__ = ["Finalizer", "OutcomeEnricher", "PodDeleter"]

_logger = logging.getLogger(__name__)

# Between two requests to delete a pod, or to write to it, that the server keeps failing.
_AGAIN_S: Final = 10.0
_ENDED_PHASES: Final = frozenset({"Succeeded", "Failed"})
# For the pod's events, and for the last lines of its log: they never decide alone.
_EVIDENCE_S: Final = 5.0


async def _answered(
    send: Callable[[], Awaitable[PodWrite]], *, may_act: Callable[[], bool], on_failed: Callable[[], None]
) -> PodWrite:
    """Writes to a pod until the server has answered, or the pod is gone or no longer this runner's.

    An outcome depends on it, so it is never given up as long as the server may only be out of order for a while. If it
    cannot be reached at all, the Lease is lost.

    Args:
        send: Writes, and tries again for a short time.
        may_act: Returns whether the pod is there, and this runner's.
        on_failed: Called after each failure.
    """
    repeated = False
    while may_act():
        written = await send()
        if written.status is not WriteStatus.FAILED:
            return written._replace(repeated=written.repeated or repeated)
        repeated = True
        on_failed()
        await anyio.sleep(_AGAIN_S)
    return PodWrite(WriteStatus.FENCED)


class Finalizer:
    """The ends of one runner's pods.

    Args:
        client: The API server.
        config: Its ``logs`` and ``retry`` are read.
        limiter: The connections that all readers of logs share.
        fence: Whether the runner may act.
    """

    def __init__(
        self, client: KubeClient, config: RunnerConfig, *, limiter: LogStreamLimiter, fence: Fence
    ) -> None:
        self._client = client
        self._config = config
        self._fence = fence
        self._enricher = OutcomeEnricher(client, config, limiter=limiter)
        self._closing = make_event()

    def close(self) -> None:
        """Keeps pods no longer for a reader that may still come: the runner takes no more calls."""
        self._closing.set()

    async def enrich(self, pod: TrackedPod) -> Outcome | None:
        """Returns the provisional outcome with what else the cluster knows; None: none is wanted any more."""
        state = pod.state
        if not isinstance(state, Enriching):
            return None
        try:
            outcome = await self._enricher.enrich(pod, state)
        except Exception:
            _logger.exception("no evidence of pod %s/%s", pod.namespace, pod.name, extra=pod_fields(pod))
            outcome = state.provisional
        return timed(outcome, pod.measured(outcome.timings))

    def known_outcome(self, pod: TrackedPod) -> Outcome | None:
        """Returns what :meth:`enrich` returns of a pod of which nothing more is to be asked; None: something is."""
        state = pod.state
        if not isinstance(state, Enriching) or self._enricher.asks(pod, state):
            return None
        outcome = state.provisional
        return timed(outcome, pod.measured(outcome.timings))

    async def mark_reported(self, pod: TrackedPod) -> None:
        """Marks a pod that is retained, so that no successor reports its outcome again."""
        outcome = pod.outcome
        if outcome is not None:
            pod.note_last_reading()
            await self._write(
                pod,
                lambda record: mark_reported(
                    self._client,
                    record,
                    outcome,
                    policy=RequestRetry.of(self._config.retry),
                    release=bears_finalizer(record),
                    before_send=partial(self._fence.check_pod, pod),
                ),
            )

    async def record(self, pod: TrackedPod, outcome: Outcome) -> None:
        """Writes an outcome to its pod, for a successor: without it, one reports what the pod alone says."""
        policy = RequestRetry.of(self._config.retry)
        await self._write(
            pod,
            lambda record: write_outcome(
                self._client, record, outcome, policy=policy, before_send=partial(self._fence.check_pod, pod)
            ),
        )

    async def note(self, pod: TrackedPod, job: Note, *, now: datetime, now_s: float) -> None:
        """Notes on a pod, for a successor, what its status does not show, or no longer."""
        policy, check = RequestRetry.of(self._config.retry), self._fence.check_owner

        async def send(record: Pod) -> PodWrite:
            match job:
                case RecordStart():
                    return await write_started(self._client, record, policy=policy, before_send=check)
                case RecordOpened():
                    return await write_opened(self._client, record, now, policy=policy, before_send=check)
                case RecordWaiting():
                    wait = NotedWait(job.category, now - timedelta(seconds=now_s - job.since_s))
                    return await write_waiting(self._client, record, wait, policy=policy, before_send=check)

        await self._write(pod, send)

    async def _write(self, pod: TrackedPod, send: Callable[[Pod], Awaitable[PodWrite]]) -> None:
        record = pod.pod
        if record is not None:
            await _answered(
                lambda: send(record),
                may_act=lambda: self._fence.owns(pod),
                on_failed=lambda: None,
            )

    async def release_in_ending_namespace(self, pod: TrackedPod) -> None:
        """Frees a pod whose namespace is being deleted: held, it would keep the namespace from ending."""
        record, policy = pod.pod, RequestRetry.of(self._config.retry)
        if record is None or not bears_finalizer(record):
            return
        try:
            is_ending = await retrying(
                lambda: self._client.is_namespace_ending(pod.namespace),
                policy=policy,
                name=f"ask whether namespace {pod.namespace} is being deleted",
            )
        except PodrunnerError as error:
            said = "whether namespace %s is being deleted is not known: %s"
            _logger.warning(said, pod.namespace, error, extra=pod_fields(pod))
            return
        if is_ending:
            _logger.warning(
                "pod %s/%s is freed before its outcome is delivered: its namespace is being deleted",
                pod.namespace,
                pod.name,
                extra=pod_fields(pod),
            )
            check = partial(self._fence.check_pod, pod)
            await release_finalizer(self._client, record, policy=policy, before_send=check)

    def has_to_wait(self, pod: TrackedPod, keep_until_s: float | None) -> bool:
        """Whether :meth:`drain` would wait."""
        is_read = pod.collector is not None or pod.readers > 0
        return is_read or (keep_until_s is not None and self._is_kept(pod))

    async def drain(self, pod: TrackedPod, *, keep_until_s: float | None = None) -> None:
        """Returns when every reader of the log has read it to its end, or the time for it is over.

        Args:
            pod: The pod.
            keep_until_s: How long a pod whose log is not collected is kept for a reader that may still come.
        """
        if keep_until_s is not None:
            await self._keep(pod, keep_until_s)
        if pod.collector is None and not pod.readers:
            return
        with anyio.move_on_after(self._config.logs.drain_timeout_s):
            if pod.collector is not None:
                await pod.collector.drained(pod.main_container)
            while pod.readers:
                await pod.changed()

    async def _keep(self, pod: TrackedPod, until_s: float) -> None:
        if self._is_kept(pod):
            with anyio.move_on_after(until_s - current_time()):
                await self._closing.wait()

    def _is_kept(self, pod: TrackedPod) -> bool:
        return pod.collector is None and self._config.logs.follow != "off" and not pod.is_gone


class PodDeleter:
    """Deletes the pods of one runner, and knows which are on their way out.

    Args:
        client: Takes the patches.
        launcher: Sends the deletions.
        config: Its ``delete_grace_period_s`` and ``retry`` are read.
        fence: Whether the runner may still act.

    Attributes:
        failing: Pods whose deletion the server keeps refusing.
        is_frozen: Whether nothing is deleted any more: the pods are left to a successor.
    """

    def __init__(self, client: KubeClient, launcher: Launcher, config: RunnerConfig, *, fence: Fence) -> None:
        self.failing: int = 0
        self.is_frozen: bool = False
        self._client = client
        self._launcher = launcher
        self._config = config
        self._fence = fence
        self._leaving: dict[
            str, TrackedPod
        ] = {}  # by UID: their deletion was accepted, and they are not gone
        self._left = Notify()

    async def delete(
        self, pod: TrackedPod, *, grace_period_s: int | None = None, resource_version: str | None = None
    ) -> DeletionAnswered | DeletionDeclined:
        """Deletes until the server has accepted it, or the pod is gone, or no longer this runner's to delete.

        Args:
            pod: The pod.
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
            resource_version: Only as long as the pod is at this version; None: whatever became of it.
        """
        try:
            return await self._delete(pod, grace_period_s, resource_version)
        except ConflictError as error:
            _logger.info(
                "pod %s/%s is not deleted: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
            )
        found = await self._read_changed(pod)
        # A deletion whose answer was lost is a change too.
        is_deleted = found is None or found.metadata.deletion_timestamp is not None
        return DeletionAnswered(found) if is_deleted or found is None else DeletionDeclined(found)

    async def delete_with_verdict(
        self, pod: TrackedPod, job: DeletePod
    ) -> DeletionAnswered | DeletionDeclined:
        """Deletes a pod, after its verdict was written to it, if there is one."""
        version = job.resource_version
        if job.verdict is not None:
            written = await self._write_verdict(pod, job.verdict, version=version, end_by_deadline=False)
            if written.pod is not None:
                if written.repeated or not written.is_written:
                    return DeletionDeclined(written.pod)
                version = written.pod.metadata.resource_version
        return await self.delete(pod, grace_period_s=job.grace_period_s, resource_version=version)

    async def _write_verdict(
        self, pod: TrackedPod, verdict: Outcome, *, version: str | None, end_by_deadline: bool
    ) -> PodWrite:
        """Writes a verdict to a pod that is still as it was when that was decided; else returns it as it is now."""
        record = pod.pod
        if record is None:
            return PodWrite(WriteStatus.GONE)
        policy, check = RequestRetry.of(self._config.retry), partial(self._fence.check_pod, pod)
        written = await self._write(
            pod,
            lambda: write_verdict(
                self._client,
                record,
                verdict,
                end_by_deadline=end_by_deadline,
                policy=policy,
                resource_version=version,
                before_send=check,
            ),
        )
        if written.status is not WriteStatus.CHANGED:
            return written
        now = await self._write(pod, lambda: look_at(self._client, record, policy=policy, before_send=check))
        if now.pod is None:
            return now
        # It was the request itself that changed the pod, if its answer was lost.
        is_ours = bears_verdict(now.pod, verdict, end_by_deadline=end_by_deadline)
        return PodWrite(WriteStatus.WRITTEN if is_ours else WriteStatus.CHANGED, now.pod, repeated=is_ours)

    async def _read_changed(self, pod: TrackedPod) -> Pod | None:
        """Returns the pod as it is now; None: it is gone, or no longer this runner's."""
        while self._may_act(pod):
            try:
                found = await self._client.read_pod(pod.namespace, pod.name)
            except NotFoundError:
                return None
            except PodrunnerError as error:
                _logger.warning(
                    "pod %s/%s could not be read: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
                )
            else:
                return found if found.metadata.uid == pod.uid else None
            await anyio.sleep(_AGAIN_S)
        return None

    async def _delete(
        self, pod: TrackedPod, grace_period_s: int | None, resource_version: str | None
    ) -> DeletionAnswered:
        grace = self._config.delete_grace_period_s if grace_period_s is None else grace_period_s
        failed = False
        answer = DeletionAnswered()
        while self._may_act(pod):
            try:
                accepted = await self._launcher.delete(
                    pod.namespace,
                    pod.name,
                    uid=pod.uid,
                    resource_version=resource_version,
                    grace_period_s=grace,
                    before_send=partial(self._fence.check_not_taken_over, pod),
                )
                answer = self._accepted(pod, accepted.pod, is_first=not (failed or accepted.repeated))
                break
            except OwnershipError as error:
                _logger.info(
                    "pod %s/%s is not deleted: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
                )
                break
            except ConflictError:
                if resource_version is not None:
                    self.failing -= failed
                    raise
                failed = self._note_failed(pod, "the server answers with a conflict", failed=failed)
            except PodrunnerError as error:
                failed = self._note_failed(pod, str(error), failed=failed)
            await anyio.sleep(_AGAIN_S)
        self.failing -= failed
        return answer

    def _may_act(self, pod: TrackedPod) -> bool:
        return self._fence.owns(pod) and not self.is_frozen

    async def end(self, pod: TrackedPod, job: EndPod) -> DeletionAnswered | DeletionDeclined:
        """Writes an outcome to a pod and ends it: by its deadline, so that the object stays, or else by deleting it.

        One whose outcome is settled is not deleted: it is not delivered yet.
        """
        if not self._may_act(pod):
            return DeletionAnswered()
        if job.is_settled:
            await self._end_settled(pod, job)
            return DeletionAnswered()
        version = job.resource_version
        written = await self._write_verdict(pod, job.outcome, version=version, end_by_deadline=job.keeps_pod)
        if written.pod is None:
            return await self.delete(pod, grace_period_s=job.grace_period_s, resource_version=version)
        if not written.is_written:
            return DeletionDeclined(written.pod)
        if job.keeps_pod:
            return DeletionAnswered(written.pod, is_first=not written.repeated, keeps_pod=True)
        return await self._delete_with_verdict_on_it(pod, written.pod, job.grace_period_s)

    async def _end_settled(self, pod: TrackedPod, job: EndPod) -> None:
        record = pod.pod
        if record is not None:
            await self._write(
                pod,
                lambda: write_outcome(
                    self._client,
                    record,
                    job.outcome,
                    end_by_deadline=job.keeps_pod,
                    policy=RequestRetry.of(self._config.retry),
                    before_send=partial(self._fence.check_pod, pod),
                ),
            )

    async def _delete_with_verdict_on_it(
        self, pod: TrackedPod, record: Pod, grace_period_s: int | None
    ) -> DeletionAnswered | DeletionDeclined:
        meta = record.metadata
        answer = await self.delete(pod, grace_period_s=grace_period_s, resource_version=meta.resource_version)
        if meta.deletion_timestamp is not None and isinstance(answer, DeletionAnswered):
            return replace(answer, is_first=False)  # another client deleted it first
        return answer

    async def remove(self, pod: TrackedPod, *, grace_period_s: int | None = None) -> PodRemoved:
        """Deletes a pod that is over and whose outcome is delivered: releases it first, if a finalizer holds it."""
        record = pod.pod
        if self._may_act(pod):
            pod.note_last_reading()
        if self._may_act(pod) and record is not None and bears_finalizer(record):
            policy = RequestRetry.of(self._config.retry)
            await self._write(
                pod,
                lambda: release_finalizer(
                    self._client, record, policy=policy, before_send=partial(self._fence.check_pod, pod)
                ),
            )
        return PodRemoved((await self.delete(pod, grace_period_s=grace_period_s)).pod)

    async def _write(self, pod: TrackedPod, send: Callable[[], Awaitable[PodWrite]]) -> PodWrite:
        failed = False

        def note_failed() -> None:
            nonlocal failed
            self.failing += not failed
            failed = True

        try:
            return await _answered(send, may_act=lambda: self._may_act(pod), on_failed=note_failed)
        finally:
            self.failing -= failed

    def _note_failed(self, pod: TrackedPod, why: str, *, failed: bool) -> bool:
        _logger.warning("pod %s/%s was not deleted: %s", pod.namespace, pod.name, why, extra=pod_fields(pod))
        self.failing += not failed
        return True

    def _accepted(self, pod: TrackedPod, answered: Pod | None, *, is_first: bool) -> DeletionAnswered:
        if pod.is_gone or self.is_frozen:
            return DeletionAnswered()
        self._leaving[pod.uid] = pod
        return DeletionAnswered(answered, is_first=is_first)

    def confirm(self, pod: TrackedPod) -> None:
        """Takes note that a pod is gone, or no longer this runner's."""
        self._leaving.pop(pod.uid, None)
        self._left.notify_all()

    def freeze(self) -> None:
        """Deletes nothing any more, and waits for nothing."""
        self.is_frozen = True
        self._leaving.clear()
        self._left.notify_all()

    def observed(self, pod: TrackedPod) -> None:
        """Takes note that there is a newer record of a pod."""
        if pod.uid in self._leaving:
            self._left.notify_all()

    def still_running(self) -> list[TrackedPod]:
        """Returns the pods whose deletion was accepted and that may run on."""
        return [pod for pod in self._leaving.values() if pod.pod is None or not _is_over(pod.pod)]

    async def ask_for_rest(self) -> None:
        """Asks once for each pod that may run on: the watch may be interrupted, and the pod gone for long."""
        for pod in self.still_running():
            try:
                found = await self._client.read_pod(pod.namespace, pod.name)
            except NotFoundError:
                self.confirm(pod)
            except PodrunnerError as error:
                _logger.info(
                    "pod %s/%s could not be read: %s", pod.namespace, pod.name, error, extra=pod_fields(pod)
                )
            else:
                if found.metadata.uid != pod.uid or _is_over(found):
                    self.confirm(pod)

    async def wait_gone(self) -> None:
        """Returns when every pod whose deletion was accepted is gone, or is over and held by a finalizer."""
        while not all(pod.pod is not None and _is_only_held(pod.pod) for pod in self._leaving.values()):
            await self._left.wait()


def _is_over(pod: Pod) -> bool:
    """Whether a deleted pod has ended, or never began."""
    is_deleted = pod.metadata.deletion_timestamp is not None
    return pod.status.phase in _ENDED_PHASES or (is_deleted and pod.spec.node_name is None)


def _is_only_held(pod: Pod) -> bool:
    """Whether a deleted pod is over and stays for its finalizers alone: they are another party's."""
    meta = pod.metadata
    return meta.deletion_timestamp is not None and bool(meta.finalizers) and _is_over(pod)


class OutcomeEnricher:
    """Gathers what else the cluster knows of a pod that ended: events, the last lines of its log, its result.

    Events and lines are asked for once, for a short time; whatever goes wrong gives nothing.

    Args:
        client: Is asked.
        config: Says how many lines of a failed pod's log are wanted.
        limiter: The connections that all readers of logs share.
    """

    def __init__(self, client: KubeClient, config: RunnerConfig, *, limiter: LogStreamLimiter) -> None:
        self._client = client
        self._config = config
        self._limiter = limiter

    def asks(self, pod: TrackedPod, state: Enriching) -> bool:
        """Whether :meth:`enrich` would send a request."""
        if wants_events(state):
            return True
        outcome = state.provisional
        if outcome.succeeded:
            return announces_result(pod)
        return (
            not pod.is_gone
            and bool(self._config.logs.tail_lines_on_failure)
            and outcome.exit_code is not None
        )

    async def enrich(self, pod: TrackedPod, state: Enriching) -> Outcome:
        """Returns the outcome of a pod whose end was seen, with what else the cluster knows.

        Args:
            pod: The pod.
            state: Its state now; records that come meanwhile count.
        """
        outcome = state.provisional
        if wants_events(state):
            events = await _events(self._client, pod.address)
            newest = pod.state
            outcome = with_events(newest if isinstance(newest, Enriching) else state, events)
        if outcome.succeeded:
            return await with_result(self._client, pod, outcome, retry=self._config.retry)
        lines = self._config.logs.tail_lines_on_failure
        if pod.is_gone or not lines or outcome.exit_code is None:
            return outcome
        container = outcome.container or pod.main_container
        tail = await _log_tail(self._client, pod.address, container, lines, limiter=self._limiter)
        return outcome.with_log_tail(tail)


async def _events(client: KubeClient, pod: PodAddress) -> list[Event]:
    """Returns the events about a pod; none if they cannot be had."""
    with anyio.move_on_after(_EVIDENCE_S):
        try:
            return await client.list_events(pod.namespace, field_selector=f"involvedObject.uid={pod.uid}")
        except PodrunnerError as error:
            _logger.info("no events of pod %s/%s: %s", pod.namespace, pod.name, error, extra=pod_fields(pod))
    return []


async def _log_tail(
    client: KubeClient, pod: PodAddress, container: str, lines: int, *, limiter: LogStreamLimiter
) -> tuple[str, ...]:
    """Returns the last lines of a container's log; none if they cannot be had."""
    with anyio.move_on_after(_EVIDENCE_S):
        try:
            async with limiter.drain():
                tail = await read_lines(
                    client, pod.namespace, pod.name, container=container, tail_lines=lines
                )
        except PodrunnerError as error:
            _logger.info("no log of pod %s/%s: %s", pod.namespace, pod.name, error, extra=pod_fields(pod))
        else:
            return tuple(tail)
    return ()

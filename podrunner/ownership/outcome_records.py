"""What a runner writes to a pod about its end: the mark of being reported, the outcome, the verdict, the finalizer.

Each function sends one patch, tries again after transient errors for a bounded time, and says what came of it; none
raises for want of rights or of a server. The pod's UID is in each patch, so that a pod of the same name is never
written to. What a record holds is ``podrunner.outcome.stored``; when it is written is the runner's to decide.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from podrunner.builder.labels import OUTCOME, OUTCOME_FINALIZER, REPORTED, STARTED, VERDICT
from podrunner.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    OwnershipError,
    PodrunnerError,
)
from podrunner.kube import is_transient, retrying
from podrunner.outcome.stored import decode_outcome, encode_outcome, restored

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod

__all__ = [
    "PodWrite",
    "WriteStatus",
    "bears_finalizer",
    "bears_verdict",
    "is_noted_as_started",
    "is_reported",
    "look_at",
    "mark_reported",
    "release_finalizer",
    "stored_outcome",
    "stored_verdict",
    "write_outcome",
    "write_started",
    "write_verdict",
]

_logger = logging.getLogger(__name__)

_WITHIN_S: Final = 10.0
"""A record is worth a few tries, not that a runner's end waits for a server that is gone."""
_TRIES_AFTER_CONFLICTS: Final = 5
"""The server itself tries a patch again when the pod changed meanwhile, and answers 409 when that was too often."""
_END_NOW_S: Final = 1
"""The least that ``activeDeadlineSeconds`` may be. It counts from the pod's start, so it is over at once."""


class WriteStatus(StrEnum):
    """What came of a write to a pod."""

    WRITTEN = "written"
    """The server has it."""
    GONE = "gone"
    """The pod is not there, or another pod has its name: nothing was written."""
    REFUSED = "refused"
    """The server refuses it, such as for want of rights: nothing was written."""
    CHANGED = "changed"
    """The pod is at another version than the write is for: nothing was written, or an earlier try was."""
    FENCED = "fenced"
    """The runner may no longer act: nothing was sent."""
    FAILED = "failed"
    """The server could not be reached, or did not answer in time: it may have been written."""


class PodWrite(NamedTuple):
    """The answer to a write to a pod.

    Attributes:
        status: What came of it.
        pod: The pod as the server answered it; None if it was not written.
        repeated: Whether an earlier request may have been accepted, its answer lost: what the pod shows may then have
            come of that.
    """

    status: WriteStatus
    pod: Pod | None = None
    repeated: bool = False

    @property
    def is_written(self) -> bool:
        """Whether the server has it."""
        return self.status is WriteStatus.WRITTEN


# Reading


def is_reported(pod: Pod) -> bool:
    """Whether the pod bears the mark of :func:`mark_reported`."""
    return REPORTED in (pod.metadata.annotations or {})


def is_noted_as_started(pod: Pod) -> bool:
    """Whether :func:`write_started` noted on the pod that its work may have begun."""
    meta = pod.metadata
    return bool(meta.uid) and (meta.annotations or {}).get(STARTED) == meta.uid


def stored_outcome(pod: Pod) -> Outcome | None:
    """Return the settled outcome that the pod bears; None if it bears none that can be read."""
    return _stored(pod, OUTCOME)


def stored_verdict(pod: Pod) -> Outcome | None:
    """Return the outcome that a runner decided on before it ended the pod; None if none can be read."""
    return _stored(pod, VERDICT)


def _stored(pod: Pod, annotation: str) -> Outcome | None:
    meta = pod.metadata
    outcome = decode_outcome((meta.annotations or {}).get(annotation), uid=meta.uid)
    return None if outcome is None else restored(outcome, pod)


def bears_verdict(pod: Pod, outcome: Outcome, *, end_by_deadline: bool) -> bool:
    """Whether :func:`write_verdict` wrote this outcome to the pod."""
    is_ended = not end_by_deadline or pod.spec.active_deadline_seconds == _END_NOW_S
    return is_ended and (pod.metadata.annotations or {}).get(VERDICT) == _encoded(pod, outcome)


def bears_finalizer(pod: Pod) -> bool:
    """Whether the pod is held until its outcome is delivered."""
    return OUTCOME_FINALIZER in (pod.metadata.finalizers or ())


# Writing


async def mark_reported(
    client: KubeClient,
    pod: Pod,
    outcome: Outcome,
    *,
    policy: RequestRetry,
    release: bool = False,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Mark a pod that is kept as reported, with its outcome, so that no successor reports it again.

    Args:
        client: The API server.
        pod: The pod.
        outcome: Its outcome, which was delivered.
        policy: How the request is tried again.
        release: Whether our finalizer is removed by the same request.
        before_send: Called right before each request, such as to check that we still own the pod; if it raises
            OwnershipError, nothing is sent.
        within_s: Seconds for all tries together.
    """
    annotations = {REPORTED: str(outcome.category), OUTCOME: _encoded(pod, outcome)}
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("marked as reported", annotations=annotations, release=release)


async def write_outcome(
    client: KubeClient,
    pod: Pod,
    outcome: Outcome,
    *,
    end_by_deadline: bool = False,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Write a settled outcome to its pod, for the case that another runner delivers it.

    Args: as for :func:`mark_reported`.
    """
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    spec = {"activeDeadlineSeconds": _END_NOW_S} if end_by_deadline else None
    return await write.patch(
        "marked with its outcome", annotations={OUTCOME: _encoded(pod, outcome)}, spec=spec
    )


async def write_started(
    client: KubeClient,
    pod: Pod,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Note on a pod that its work may have begun, which its status no longer shows.

    The note is the pod's UID: in a copy of the pod it does not count.

    Args: as for :func:`mark_reported`.
    """
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("marked as started", annotations={STARTED: pod.metadata.uid})


async def write_verdict(
    client: KubeClient,
    pod: Pod,
    outcome: Outcome,
    *,
    end_by_deadline: bool,
    policy: RequestRetry,
    resource_version: str | None = None,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Write to a pod the outcome that we give it, before we end it.

    Args:
        client: The API server.
        pod: The pod.
        outcome: The outcome that it has once it is ended.
        end_by_deadline: Whether the same request ends it, by ``activeDeadlineSeconds``: the kubelet ends the containers
            within two seconds, with the pod's own grace period, and keeps pod and log. A pod without a node goes on.
        policy: As for :func:`mark_reported`.
        resource_version: Only as long as the pod is at this version; None: whatever became of it.
        before_send: As for :func:`mark_reported`.
        within_s: As for :func:`mark_reported`.
    """
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    spec = {"activeDeadlineSeconds": _END_NOW_S} if end_by_deadline else None
    annotations = {VERDICT: _encoded(pod, outcome)}
    return await write.patch(
        "marked with its verdict", annotations=annotations, spec=spec, resource_version=resource_version
    )


async def look_at(
    client: KubeClient,
    pod: Pod,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Return a pod as it is now, by a patch that changes nothing: it works where patches do, and reads may not.

    Args: as for :func:`mark_reported`.
    """
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("looked at")


async def release_finalizer(
    client: KubeClient,
    pod: Pod,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = _WITHIN_S,
) -> PodWrite:
    """Remove our finalizer from a pod; the user's own stay. A pod that has it not is left as it is, and is no error.

    Args: as for :func:`mark_reported`.
    """
    write = _Write(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("released", release=True)


def _encoded(pod: Pod, outcome: Outcome) -> str:
    return encode_outcome(outcome, uid=pod.metadata.uid)


class _Write:
    """One write to one pod."""

    def __init__(
        self,
        client: KubeClient,
        pod: Pod,
        *,
        policy: RequestRetry,
        before_send: Callable[[], None] | None,
        within_s: float,
    ) -> None:
        self._client = client
        self._meta = pod.metadata
        self._policy = policy
        self._before_send = before_send
        self._within_s = within_s
        self._tries = 0

    async def patch(
        self,
        done: str,
        *,
        annotations: dict[str, str] | None = None,
        spec: dict[str, Any] | None = None,
        release: bool = False,
        resource_version: str | None = None,
    ) -> PodWrite:
        metadata: dict[str, Any] = {"uid": self._meta.uid}
        if annotations is not None:
            metadata["annotations"] = annotations
        if release:
            metadata["$deleteFromPrimitiveList/finalizers"] = [OUTCOME_FINALIZER]
        patch = {"metadata": metadata} if spec is None else {"metadata": metadata, "spec": spec}
        try:
            with anyio.fail_after(self._within_s):
                pod = await self._send(patch, strategic=release, resource_version=resource_version)
                return PodWrite(WriteStatus.WRITTEN, pod, repeated=self._tries > 1)
        except (PodrunnerError, TimeoutError) as error:
            is_for_version = resource_version is not None and not _is_another_pod(error)
            if is_for_version and isinstance(error, ConflictError):
                return PodWrite(WriteStatus.CHANGED)
            return PodWrite(self._failed(done, error))

    async def _send(self, patch: dict[str, Any], *, strategic: bool, resource_version: str | None) -> Pod:
        async def send() -> Pod:
            self._tries += 1
            return await self._client.patch_pod(
                self._meta.namespace,
                self._meta.name,
                patch,
                strategic=strategic,
                resource_version=resource_version,
                before_send=self._before_send,
            )

        name = f"patch pod {self._meta.namespace}/{self._meta.name}"
        for _ in range(_TRIES_AFTER_CONFLICTS - 1):
            try:
                return await retrying(send, policy=self._policy, name=name)
            except ConflictError as error:
                if resource_version is not None or _is_another_pod(error):
                    raise
        return await retrying(send, policy=self._policy, name=name)

    def _failed(self, done: str, error: PodrunnerError | TimeoutError) -> WriteStatus:
        status = _status(error)
        if status is WriteStatus.GONE:
            return status
        level = logging.INFO if status is WriteStatus.FENCED else logging.WARNING
        why = error if isinstance(error, PodrunnerError) else f"no answer within {self._within_s:.0f} s"
        _logger.log(level, "pod %s/%s was not %s: %s", self._meta.namespace, self._meta.name, done, why)
        return status


def _status(error: PodrunnerError | TimeoutError) -> WriteStatus:
    if isinstance(error, NotFoundError) or _is_another_pod(error):
        return WriteStatus.GONE
    if isinstance(error, OwnershipError):
        return WriteStatus.FENCED
    return (
        WriteStatus.FAILED if isinstance(error, TimeoutError) or is_transient(error) else WriteStatus.REFUSED
    )


def _is_another_pod(error: Exception) -> bool:
    """Whether the pod of that name has another UID than the patch."""
    if isinstance(error, ConflictError):
        return "UID in precondition" in error.server_message
    return isinstance(error, InvalidError) and "metadata.uid: " in error.server_message

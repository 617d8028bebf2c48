"""One write to one pod: a patch with its UID, tried again for a bounded time, and what came of it.

What is written does not belong here: ``podrunner.ownership.outcome_records``, ``podrunner.ownership.notes``.
"""

from __future__ import annotations

import logging
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from podrunner.builder.labels import OUTCOME_FINALIZER
from podrunner.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    OwnershipError,
    PodrunnerError,
)
from podrunner.kube import is_transient, retrying
from podrunner.log_fields import pod_fields

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome.record import Pod

__all__ = ["WITHIN_S", "PodPatch", "PodWrite", "WriteStatus"]

_logger = logging.getLogger(__name__)

WITHIN_S: Final = 10.0
"""A record is worth a few tries, not that a runner's end waits for a server that is gone."""
_TRIES_AFTER_CONFLICTS: Final = 5
"""The server itself tries a patch again when the pod changed meanwhile, and answers 409 when that was too often."""


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


class PodPatch:
    """One write to one pod.

    Args:
        client: The API server.
        pod: The pod.
        policy: How transient errors are tried again.
        before_send: Called right before each request; if it raises, nothing is sent.
        within_s: Seconds for all tries together.
    """

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
        """Send it.

        Args:
            done: What it does to the pod, in the past tense, for the log.
            annotations: Annotations to write.
            spec: Fields of the spec to write.
            release: Whether our finalizer is removed.
            resource_version: Only as long as the pod is at this version; None: whatever became of it.
        """
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
        _logger.log(
            level,
            "pod %s/%s was not %s: %s",
            self._meta.namespace,
            self._meta.name,
            done,
            why,
            extra=pod_fields(self._meta),
        )
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

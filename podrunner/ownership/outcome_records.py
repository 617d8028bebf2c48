"""What a runner writes to a pod about its end: the mark of being reported, the outcome, the verdict, the finalizer.

Each function sends one patch, tries again after transient errors for a bounded time, and says what came of it; none
raises for want of rights or of a server. The pod's UID is in each patch, so that a pod of the same name is never
written to. What a record holds is ``podrunner.outcome.stored``; when it is written is the runner's to decide.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from podrunner.builder.labels import OUTCOME, OUTCOME_FINALIZER, REPORTED, VERDICT
from podrunner.outcome.stored import decode_outcome, encode_outcome, restored
from podrunner.ownership.pod_patch import WITHIN_S, PodPatch, PodWrite

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.kube import KubeClient, RequestRetry
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod

__all__ = [
    "bears_finalizer",
    "bears_verdict",
    "is_reported",
    "look_at",
    "mark_reported",
    "release_finalizer",
    "stored_outcome",
    "stored_verdict",
    "write_outcome",
    "write_verdict",
]

_END_NOW_S: Final = 1
"""The least that ``activeDeadlineSeconds`` may be. It counts from the pod's start, so it is over at once."""


# Reading


def is_reported(pod: Pod) -> bool:
    """Whether the pod bears the mark of :func:`mark_reported`."""
    return REPORTED in (pod.metadata.annotations or {})


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
    within_s: float = WITHIN_S,
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
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("marked as reported", annotations=annotations, release=release)


async def write_outcome(
    client: KubeClient,
    pod: Pod,
    outcome: Outcome,
    *,
    end_by_deadline: bool = False,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = WITHIN_S,
) -> PodWrite:
    """Write a settled outcome to its pod, for the case that another runner delivers it.

    Args: as for :func:`mark_reported`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    spec = {"activeDeadlineSeconds": _END_NOW_S} if end_by_deadline else None
    return await write.patch(
        "marked with its outcome", annotations={OUTCOME: _encoded(pod, outcome)}, spec=spec
    )


async def write_verdict(
    client: KubeClient,
    pod: Pod,
    outcome: Outcome,
    *,
    end_by_deadline: bool,
    policy: RequestRetry,
    resource_version: str | None = None,
    before_send: Callable[[], None] | None = None,
    within_s: float = WITHIN_S,
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
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
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
    within_s: float = WITHIN_S,
) -> PodWrite:
    """Return a pod as it is now, by a patch that changes nothing: it works where patches do, and reads may not.

    Args: as for :func:`mark_reported`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("looked at")


async def release_finalizer(
    client: KubeClient,
    pod: Pod,
    *,
    policy: RequestRetry,
    before_send: Callable[[], None] | None = None,
    within_s: float = WITHIN_S,
) -> PodWrite:
    """Remove our finalizer from a pod; the user's own stay. A pod that has it not is left as it is, and is no error.

    Args: as for :func:`mark_reported`.
    """
    write = PodPatch(client, pod, policy=policy, before_send=before_send, within_s=within_s)
    return await write.patch("released", release=True)


def _encoded(pod: Pod, outcome: Outcome) -> str:
    return encode_outcome(outcome, uid=pod.metadata.uid)

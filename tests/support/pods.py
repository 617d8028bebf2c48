"""Short ways to write down a pod's record in tests."""

from __future__ import annotations

from typing import Any

from podrunner.outcome.record import (
    ContainerSpec,
    ContainerState,
    ContainerStateRunning,
    ContainerStateTerminated,
    ContainerStateWaiting,
    ContainerStatus,
    ObjectMeta,
    Pod,
    PodCondition,
    PodSpec,
    PodStatus,
)

T0 = "2026-01-01T00:00:00Z"


def at(second: int) -> str:
    """Return a time of the test's day."""
    return f"2026-01-01T00:{second // 60:02d}:{second % 60:02d}Z"


def waits(name: str, reason: str, message: str = "", *, restarts: int = 0) -> ContainerStatus:
    state = ContainerState(waiting=ContainerStateWaiting(reason=reason, message=message))
    return ContainerStatus(name=name, state=state, restart_count=restarts)


def runs(name: str, *, since: int = 5, ready: bool = True) -> ContainerStatus:
    state = ContainerState(running=ContainerStateRunning(started_at=at(since)))
    return ContainerStatus(name=name, ready=ready, started=True, state=state)


def ended(
    name: str,
    exit_code: int | None = 0,
    *,
    reason: str | None = None,
    begin: int | None = 5,
    end: int | None = 10,
    restarts: int = 0,
    **more: Any,
) -> ContainerStatus:
    terminated = ContainerStateTerminated(
        exit_code=exit_code,
        reason=reason or ("Error" if exit_code else "Completed"),
        started_at=None if begin is None else at(begin),
        finished_at=None if end is None else at(end),
        **more,
    )
    return ContainerStatus(name=name, state=ContainerState(terminated=terminated), restart_count=restarts)


def condition(kind: str, status: str = "True", **more: Any) -> PodCondition:
    return PodCondition(type=kind, status=status, **more)


def disrupted(reason: str, *, second: int = 8, message: str = "") -> PodCondition:
    return condition("DisruptionTarget", reason=reason, message=message, last_transition_time=at(second))


def pod(
    phase: str = "Pending",
    *statuses: ContainerStatus,
    init: tuple[ContainerStatus, ...] = (),
    conditions: tuple[PodCondition, ...] = (),
    reason: str | None = None,
    message: str | None = None,
    deleted_at: int | None = None,
    grace_s: int = 0,
    restart_policy: str = "Never",
    containers: tuple[ContainerSpec, ...] | None = None,
    init_containers: tuple[ContainerSpec, ...] = (),
    node: str | None = "node-1",
    uid: str = "u1",
    name: str = "p",
    version: str = "1",
) -> Pod:
    """Make a pod with a container ``base``; ``deleted_at`` is the second at which deletion was asked for."""
    specs = containers or tuple(ContainerSpec(name=s.name) for s in statuses) or (ContainerSpec(name="base"),)
    return Pod(
        metadata=ObjectMeta(
            name=name,
            namespace="default",
            uid=uid,
            resource_version=version,
            creation_timestamp=T0,
            deletion_timestamp=None if deleted_at is None else at(deleted_at + grace_s),
            deletion_grace_period_seconds=None if deleted_at is None else grace_s,
        ),
        spec=PodSpec(
            node_name=node,
            restart_policy=restart_policy,
            containers=list(specs),
            init_containers=list(init_containers) or None,
        ),
        status=PodStatus(
            phase=phase,
            reason=reason,
            message=message,
            conditions=list(conditions) or None,
            container_statuses=list(statuses) or None,
            init_container_statuses=list(init) or None,
        ),
    )

"""The status of a pod, as a kubelet writes it. Pure.

:class:`ContainerRecord` is what the kubelet knows of a container; everything else is computed from the records and
the status before: phase (kubelet's ``getPhase``), conditions and their transition times, container statuses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = [
    "ContainerRecord",
    "Override",
    "compute_status",
    "is_sidecar",
    "phase_of",
    "unknown_end",
    "unlocated",
    "waiting",
]

Json = Mapping[str, Any]


@dataclass(slots=True)
class ContainerRecord:
    """One container.

    Attributes:
        name: Its name.
        image: Its image as the spec names it.
        kind: ``container``, ``init`` or ``sidecar``.
        state: ``waiting``, ``running`` or ``terminated`` with its fields.
        last_state: The end of the run before, empty at first.
        restart_count: Runs after the first.
        ready: Whether it is ready.
        started: Whether it passed its startup probe.
        image_id: What the image was found to be.
        container_id: Of the latest run.
    """

    name: str
    image: str
    kind: str = "container"
    state: dict[str, Any] = field(default_factory=dict)
    last_state: dict[str, Any] = field(default_factory=dict)
    restart_count: int = 0
    ready: bool = False
    started: bool = False
    image_id: str = ""
    container_id: str = ""

    @property
    def end(self) -> Json | None:
        """Its end, if it is terminated."""
        return self.state.get("terminated")


@dataclass(frozen=True, slots=True)
class Override:
    """A pod failed as a whole, independently of its containers.

    Attributes:
        reason: Such as ``DeadlineExceeded``.
        message: The text for users.
    """

    reason: str
    message: str


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    """Return a waiting state."""
    return {"waiting": {"reason": reason, **({"message": message} if message else {})}}


def unknown_end() -> dict[str, Any]:
    """Return the state of a container that waits, and never will run: its pod has ended."""
    message = "The container could not be located when the pod was terminated"
    end = {"exitCode": 137, "reason": "ContainerStatusUnknown", "message": message}
    return {"terminated": {**end, "startedAt": None, "finishedAt": None}}


def is_sidecar(container: Json) -> bool:
    """Return whether an init container is a native sidecar."""
    return container.get("restartPolicy") == "Always"


def unlocated(records: Sequence[ContainerRecord]) -> list[ContainerRecord]:
    """Return the containers that wait when their pod ends, and are shown as ended nevertheless.

    Those that were never to start are not among them: main containers before the init containers are through, and init
    containers after the first that did not start (``hasPodInitialized``, ``initializedContainers``).
    """
    inits = [each for each in records if each.kind != "container"]
    mains = [each for each in records if each.kind == "container"]
    tried = [index for index, each in enumerate(inits) if "waiting" not in each.state or each.last_state]
    initialized = (
        not inits
        or any("waiting" not in each.state or each.last_state for each in mains)
        or any(end.get("exitCode") == 0 for end in (inits[-1].end or {}, _last_end(inits[-1])))
    )
    considered = inits[: max(tried, default=0) + 1] + (mains if initialized else [])
    return [each for each in considered if "waiting" in each.state]


def _last_end(record: ContainerRecord) -> Json:
    end: Json = record.last_state.get("terminated") or {}
    return end


def compute_status(
    pod: Json,
    records: Sequence[ContainerRecord],
    *,
    now: str,
    ip: str,
    sandbox: bool,
    override: Override | None = None,
    final: bool = False,
) -> dict[str, Any]:
    """Return the whole status.

    Args:
        pod: The pod as it is stored; what others wrote into its status is kept.
        records: Its containers, init containers first.
        now: Time of what changes now.
        ip: Address of pod and node.
        sandbox: Whether the pod's surroundings are made.
        override: Why it failed as a whole, None if it did not.
        final: No container will run again.
    """
    old = pod.get("status") or {}
    phase = (
        "Failed" if override else phase_of(records, pod["spec"].get("restartPolicy", "Always"), final=final)
    )
    status = {**old, "phase": phase, "hostIP": ip, "hostIPs": [{"ip": ip}]}
    status.setdefault("startTime", now)
    if sandbox or "podIP" in old:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    if override:
        status |= {"reason": override.reason, "message": override.message}
    alive = sandbox and phase not in {"Succeeded", "Failed"}
    status["conditions"] = _conditions(pod, records, now=now, phase=phase, sandbox=alive)
    for key, kinds in (("initContainerStatuses", {"init", "sidecar"}), ("containerStatuses", {"container"})):
        if statuses := [_container_status(each) for each in records if each.kind in kinds]:
            status[key] = statuses
    return status


def phase_of(records: Sequence[ContainerRecord], policy: str, *, final: bool) -> str:
    """Return the phase, by the rules of the kubelet's ``getPhase``."""
    inits = [each for each in records if each.kind == "init"]
    mains = [each for each in records if each.kind == "container"]
    if policy == "Never" and any(map(_failed, inits)):
        return "Failed"
    if final:
        return "Succeeded" if all(map(_succeeded, mains)) else "Failed"
    if not all(map(_succeeded, inits)) or any(map(_never_started, records)):
        return "Pending"
    if policy == "Always" or any("running" in each.state for each in records):
        return "Running"
    return _ended_phase(mains, policy)


def _never_started(record: ContainerRecord) -> bool:
    """Return whether a container, or a sidecar in the sense of its startup probe, has not started even once."""
    if record.kind == "sidecar":
        return not (record.started or record.last_state or record.end)
    return "waiting" in record.state and not record.last_state


def _succeeded(record: ContainerRecord) -> bool:
    return record.end is not None and record.end["exitCode"] == 0


def _failed(record: ContainerRecord) -> bool:
    return record.end is not None and record.end["exitCode"] != 0


def _ended_phase(mains: Sequence[ContainerRecord], policy: str) -> str:
    """Of a pod whose containers have all stopped."""
    if any("waiting" in each.state for each in mains):
        return "Running"
    if not any(map(_failed, mains)):
        return "Succeeded"
    return "Failed" if policy == "Never" else "Running"


def _conditions(
    pod: Json, records: Sequence[ContainerRecord], *, now: str, phase: str, sandbox: bool
) -> list[dict[str, Any]]:
    old = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or ()}
    fresh = [
        {"type": "PodReadyToStartContainers", "status": _truth(sandbox)},
        _initialized(records, phase),
        _ready(pod, records, phase, old),
        _containers_ready(records, phase),
    ]
    fresh.append(dict(old.get("PodScheduled", {"type": "PodScheduled", "status": "True"}).items()))
    known = {each["type"] for each in fresh}
    others = [dict(each) for each in old.values() if each["type"] not in known]
    return [*(_timed(each, old.get(each["type"]), now) for each in fresh), *others]


def _timed(fresh: dict[str, Any], old: Json | None, now: str) -> dict[str, Any]:
    """With the time of its last change of status."""
    same = old is not None and old["status"] == fresh["status"]
    since = old["lastTransitionTime"] if same and old and "lastTransitionTime" in old else now
    ordered = {
        "type": fresh["type"],
        "status": fresh["status"],
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    return {**ordered, **{key: value for key, value in fresh.items() if key not in ordered}}


def _truth(value: object) -> str:
    return "True" if value else "False"


def _initialized(records: Sequence[ContainerRecord], phase: str) -> dict[str, Any]:
    if phase == "Succeeded":
        return {"type": "Initialized", "status": "True", "reason": "PodCompleted"}
    pending = [each.name for each in records if each.kind != "container" and not _is_initialized(each)]
    if not pending:
        return {"type": "Initialized", "status": "True"}
    message = f"containers with incomplete status: [{' '.join(pending)}]"
    return {
        "type": "Initialized",
        "status": "False",
        "reason": "ContainersNotInitialized",
        "message": message,
    }


def _is_initialized(record: ContainerRecord) -> bool:
    if record.kind == "sidecar":
        return record.started or bool(record.last_state)
    return record.end is not None and record.end["exitCode"] == 0


def _containers_ready(
    records: Sequence[ContainerRecord], phase: str, *, kind: str = "ContainersReady"
) -> dict[str, Any]:
    ended = {"Succeeded": "PodCompleted", "Failed": "PodFailed"}
    if phase in ended:
        return {"type": kind, "status": "False", "reason": ended[phase]}
    unready = [each.name for each in records if each.kind != "init" and not each.ready]
    if not unready:
        return {"type": kind, "status": "True"}
    message = f"containers with unready status: [{' '.join(unready)}]"
    return {"type": kind, "status": "False", "reason": "ContainersNotReady", "message": message}


def _ready(
    pod: Json, records: Sequence[ContainerRecord], phase: str, old: Mapping[str, Json]
) -> dict[str, Any]:
    condition = _containers_ready(records, phase, kind="Ready")
    gates = [each["conditionType"] for each in pod["spec"].get("readinessGates") or ()]
    closed = [gate for gate in gates if old.get(gate, {}).get("status") != "True"]
    if condition["status"] == "True" and closed:
        message = "; ".join(
            f'corresponding condition of pod readiness gate "{gate}" does not exist.' for gate in closed
        )
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": message}
    return condition


def _container_status(record: ContainerRecord) -> dict[str, Any]:
    running = "running" in record.state
    status: dict[str, Any] = {
        "name": record.name,
        "state": record.state,
        "lastState": record.last_state,
        "ready": record.end is not None and record.end["exitCode"] == 0
        if record.kind == "init"
        else record.ready,
        "restartCount": record.restart_count,
        "image": record.image,
        "imageID": record.image_id,
        "started": running and record.started,
    }
    if record.container_id:
        status["containerID"] = record.container_id
    return status

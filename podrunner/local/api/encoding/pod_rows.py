"""The row that ``kubectl get pods`` prints of a pod: readiness, status word, restarts.

The rules are those of kube-apiserver's ``printPod``; a pure function of the pod and the time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podrunner.local.api.encoding.ages import age

__all__ = ["pod_cells", "pod_conditions"]

Json = Mapping[str, Any]
_NONE = "<none>"


@dataclass(slots=True)
class _Tally:
    """What is counted while going through the containers."""

    reason: str
    ready: int = 0
    restarts: int = 0
    last_restart: str = ""

    def count(self, status: Json) -> None:
        self.restarts += status.get("restartCount") or 0
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last_restart = max(self.last_restart, ended)


def pod_cells(pod: Json, *, now: float) -> list[Any]:
    """Return the cells of a pod, in the order of its columns."""
    meta, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    tally = _tally(spec, status)
    total = len(spec.get("containers") or ()) + len(_sidecars(spec))
    ips = status.get("podIPs") or ()
    return [
        meta["name"],
        f"{tally.ready}/{total}",
        _overridden(tally.reason, meta, status),
        _restarts(tally, now),
        age(meta.get("creationTimestamp"), now),
        (ips[0].get("ip") if ips else "") or _NONE,
        spec.get("nodeName") or _NONE,
        status.get("nominatedNodeName") or _NONE,
        _gates(spec, status),
    ]


def pod_conditions(pod: Json) -> list[dict[str, str]]:
    """Return the row condition that says that a pod is over, for clients that hide such rows."""
    phase = (pod.get("status") or {}).get("phase")
    words = {"Succeeded": "The pod has completed successfully.", "Failed": "The pod failed."}
    if phase not in words:
        return []
    return [{"type": "Completed", "status": "True", "reason": phase, "message": words[phase]}]


def _sidecars(spec: Json) -> set[str]:
    return {
        each["name"] for each in spec.get("initContainers") or () if each.get("restartPolicy") == "Always"
    }


def _tally(spec: Json, status: Json) -> _Tally:
    reason = status.get("reason") or status.get("phase") or ""
    if _condition(status, "PodScheduled").get("reason") == "SchedulingGated":
        reason = "SchedulingGated"
    tally, of_sidecars = _Tally(reason), _Tally(reason)
    waits = _init(tally, of_sidecars, spec, status)
    if waits and _condition(status, "Initialized").get("status") != "True":
        return tally
    of_sidecars.reason, of_sidecars.ready = tally.reason, tally.ready
    _main(of_sidecars, status)
    return of_sidecars


def _init(tally: _Tally, of_sidecars: _Tally, spec: Json, status: Json) -> bool:
    """Count the init containers up to the first that is not through; whether there is one."""
    sidecars = _sidecars(spec)
    for index, each in enumerate(status.get("initContainerStatuses") or ()):
        is_sidecar, terminated = each["name"] in sidecars, _state(each, "terminated")
        tally.count(each)
        if is_sidecar:
            of_sidecars.count(each)
        if terminated is not None and not terminated.get("exitCode"):
            continue
        if is_sidecar and each.get("started"):
            tally.ready += bool(each.get("ready"))
            continue
        tally.reason = _init_reason(each, f"{index}/{len(spec.get('initContainers') or ())}")
        return True
    return False


def _init_reason(status: Json, progress: str) -> str:
    terminated, waiting = _state(status, "terminated"), _state(status, "waiting") or {}
    if terminated is not None:
        return f"Init:{_ended(terminated)}"
    if waiting.get("reason") and waiting["reason"] != "PodInitializing":
        return f"Init:{waiting['reason']}"
    return f"Init:{progress}"


def _main(tally: _Tally, status: Json) -> None:
    running = False
    for each in reversed(status.get("containerStatuses") or ()):
        tally.count(each)
        waiting, terminated = _state(each, "waiting") or {}, _state(each, "terminated")
        if waiting.get("reason"):
            tally.reason = waiting["reason"]
        elif terminated is not None:
            tally.reason = _ended(terminated)
        elif each.get("ready") and _state(each, "running") is not None:
            running = True
            tally.ready += 1
    if tally.reason == "Completed" and running:
        tally.reason = "Running" if _condition(status, "Ready").get("status") == "True" else "NotReady"


def _ended(terminated: Json) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    if terminated.get("signal"):
        return f"Signal:{terminated['signal']}"
    return f"ExitCode:{terminated.get('exitCode', 0)}"


def _overridden(reason: str, meta: Json, status: Json) -> str:
    if not meta.get("deletionTimestamp"):
        return reason
    if status.get("reason") == "NodeLost":
        return "Unknown"
    return reason if status.get("phase") in {"Succeeded", "Failed"} else "Terminating"


def _restarts(tally: _Tally, now: float) -> str:
    if not (tally.restarts and tally.last_restart):
        return str(tally.restarts)
    return f"{tally.restarts} ({age(tally.last_restart, now)} ago)"


def _gates(spec: Json, status: Json) -> str:
    gates = spec.get("readinessGates") or ()
    if not gates:
        return _NONE
    open_gates = sum(_condition(status, gate["conditionType"]).get("status") == "True" for gate in gates)
    return f"{open_gates}/{len(gates)}"


def _state(status: Json, name: str) -> Json | None:
    state: Json | None = (status.get("state") or {}).get(name)
    return state


def _condition(status: Json, kind: str) -> Json:
    return next((each for each in status.get("conditions") or () if each.get("type") == kind), {})

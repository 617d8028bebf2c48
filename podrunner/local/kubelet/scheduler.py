"""Binds pods to nodes, and reports in Kubernetes' words why one cannot be bound.

The filters are pure functions of pod, node and what the node has left; :class:`Scheduler` keeps the books and acts.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.store import Store, rfc3339
from podrunner.local.kubelet.amounts import pod_requests
from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.storage.events import EventRecorder

__all__ = ["NAME", "Scheduler", "fits_affinity", "refusals", "untolerated"]

Json = Mapping[str, Any]

NAME = "default-scheduler"
_TERMINAL = frozenset({"Succeeded", "Failed"})
_NO_HELP = "Preemption is not helpful for scheduling."
_NO_VICTIMS = "No preemption victims found for incoming pod."


# --- filters ---------------------------------------------------------------------------------------------------


def refusals(pod: Json, node: Json, left: Mapping[str, Decimal]) -> list[str]:
    """Return why a pod cannot run on a node; empty if it can.

    Args:
        pod: The pod.
        node: The node.
        left: What its pods leave of its allocatable resources.
    """
    spec = node.get("spec") or {}
    if spec.get("unschedulable"):
        return ["node(s) were unschedulable"]
    if taint := untolerated(pod, spec.get("taints") or ()):
        return [f"node(s) had untolerated taint {{{taint['key']}: {taint.get('value', '')}}}"]
    if not fits_affinity(pod, node):
        return ["node(s) didn't match Pod's node affinity/selector"]
    return _insufficient(pod, left)


def _insufficient(pod: Json, left: Mapping[str, Decimal]) -> list[str]:
    short = ["Too many pods"] if left.get("pods", Decimal(1)) < 1 else []
    wanted = pod_requests(pod["spec"])
    return short + [
        f"Insufficient {name}" for name, much in wanted.items() if much > left.get(name, _open(name))
    ]


def _open(name: str) -> Decimal:
    """Return what a node has of a resource that it does not list: enough cpu, memory and storage, nothing else."""
    return Decimal("Infinity") if name in {"cpu", "memory", "ephemeral-storage"} else Decimal(0)


def untolerated(pod: Json, taints: Iterable[Json]) -> Json | None:
    """Return the first taint that keeps the pod away."""
    tolerations = pod["spec"].get("tolerations") or ()
    hard = (taint for taint in taints if taint.get("effect") in {"NoSchedule", "NoExecute"})
    return next((taint for taint in hard if not any(_tolerates(each, taint) for each in tolerations)), None)


def _tolerates(toleration: Json, taint: Json) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    if toleration.get("operator") == "Exists":
        return True
    return bool(toleration.get("key")) and toleration.get("value", "") == taint.get("value", "")


def fits_affinity(pod: Json, node: Json) -> bool:
    """Return whether node selector and required node affinity allow the node."""
    labels = node["metadata"].get("labels") or {}
    spec = pod["spec"]
    if any(labels.get(key) != value for key, value in (spec.get("nodeSelector") or {}).items()):
        return False
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return required is None or any(_term(each, node) for each in required.get("nodeSelectorTerms") or ())


def _term(term: Json, node: Json) -> bool:
    """Return whether a node selector term fits; an empty one fits nothing."""
    expressions, fields = term.get("matchExpressions") or (), term.get("matchFields") or ()
    labels, meta = node["metadata"].get("labels") or {}, {"metadata.name": node["metadata"]["name"]}
    if not expressions and not fields:
        return False
    return all(_expression(each, labels) for each in expressions) and all(
        _expression(each, meta) for each in fields
    )


def _expression(each: Json, labels: Mapping[str, str]) -> bool:
    value, values, operator = labels.get(each["key"]), each.get("values") or (), each["operator"]
    if operator in {"Gt", "Lt"}:
        return _compare(value, values, operator)
    rules = {
        "In": value is not None and value in values,
        "NotIn": value is None or value not in values,
        "Exists": value is not None,
        "DoesNotExist": value is None,
    }
    return rules.get(operator, False)


def _compare(value: str | None, values: Sequence[str], operator: str) -> bool:
    try:
        difference = int(value or "") - int(values[0])
    except (ValueError, IndexError):
        return False
    return difference > 0 if operator == "Gt" else difference < 0


def unschedulable_message(found: Sequence[Sequence[str]]) -> str:
    """Return the message for a pod that no node fits; ``found`` has the refusals of each node."""
    counted = Counter(reason for reasons in found for reason in reasons)
    parts = sorted(f"{number} {reason}" for reason, number in counted.items())
    helpful = any(reason.startswith(("Insufficient", "Too many")) for reason in counted)
    total = len(found)
    preemption = f"0/{total} nodes are available: {total} {_NO_VICTIMS if helpful else _NO_HELP}"
    return f"0/{total} nodes are available: {', '.join(parts)}. preemption: {preemption}"


def claims_message(pod: Json, store: Store, nodes: int) -> str | None:
    """Return the message for a pod with a claim that is missing or not bound; None if all are bound."""
    namespace = pod["metadata"]["namespace"]
    for volume in pod["spec"].get("volumes") or ():
        why = _claim_trouble(volume, namespace, pod, store=store)
        if why:
            none = f"0/{nodes} nodes are available"
            return f"{none}: {why}. preemption: {none}: {nodes} {_NO_HELP}"
    return None


def _claim_trouble(volume: Json, namespace: str, pod: Json, *, store: Store) -> str | None:
    if "persistentVolumeClaim" in volume:
        name = volume["persistentVolumeClaim"]["claimName"]
    elif "ephemeral" in volume:
        name = f"{pod['metadata']['name']}-{volume['name']}"
    else:
        return None
    claim = store.find("persistentvolumeclaims", namespace, name)
    if claim is None:
        return f'persistentvolumeclaim "{name}" not found'
    if claim["metadata"].get("deletionTimestamp"):
        return f'persistentvolumeclaim "{name}" is being deleted'
    if (claim.get("status") or {}).get("phase") == "Lost":
        lost = claim["spec"].get("volumeName", "")
        return f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"'
    if not claim["spec"].get("volumeName") and not _binds_late(claim, store):
        return "pod has unbound immediate PersistentVolumeClaims"
    return None


def _binds_late(claim: Json, store: Store) -> bool:
    found = store.find("storageclasses", "", claim["spec"].get("storageClassName") or "")
    return found is not None and found.get("volumeBindingMode") == "WaitForFirstConsumer"


# --- acting ----------------------------------------------------------------------------------------------------


class Scheduler:
    """Binds every pod that may be bound.

    Args:
        store: The cluster's objects.
        events: Where ``Scheduled`` and ``FailedScheduling`` go.
        refuses: Says why no node takes a pod, whatever the nodes say; "": they are asked.
    """

    def __init__(
        self, store: Store, events: EventRecorder, *, refuses: Callable[[Json], str] = lambda _: ""
    ) -> None:
        self._store = store
        self._refuses = refuses
        self._events = events
        self._queue: dict[str, tuple[str, str]] = {}
        self._parked: dict[str, tuple[str, str]] = {}
        self._taken: dict[str, tuple[str, dict[str, Decimal]]] = {}  # pod uid → node, requests
        self._sums: dict[str, dict[str, Decimal]] = {}  # node → what its pods take
        self._said: dict[
            str, tuple[str, Any]
        ] = {}  # pod uid → why it is parked, with the spec that was judged
        self._due = False
        self._undo: list[Any] = []

    def start(self) -> None:
        """Start, with the pods that exist."""
        self._undo.append(self._store.subscribe("pods", self._on_pod))
        for resource in ("nodes", "persistentvolumeclaims", "storageclasses"):
            self._undo.append(self._store.subscribe(resource, lambda *_: self._retry()))
        for pod in self._store.list("pods"):
            self._on_pod("ADDED", pod)

    def stop(self) -> None:
        """Stop binding."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        self._queue.clear()

    def _on_pod(self, kind: str, pod: Json) -> None:
        uid, spec = pod["metadata"]["uid"], pod["spec"]
        phase = (pod.get("status") or {}).get("phase")
        deleted = kind == "DELETED" or (pod["metadata"].get("deletionTimestamp") and not spec.get("nodeName"))
        if deleted or phase in _TERMINAL:
            self._queue.pop(uid, None)
            self._parked.pop(uid, None)
            self._release(uid)
        elif spec.get("nodeName"):
            self._parked.pop(uid, None)
            self._take(uid, pod)
        elif spec.get("schedulerName", NAME) == NAME:
            self._enqueue(uid, pod, kind)

    def _enqueue(self, uid: str, pod: Json, kind: str) -> None:
        parked = self._parked.get(uid)
        if parked is not None and kind == "MODIFIED" and not self._spec_changed(uid, pod):
            return
        self._parked.pop(uid, None)
        self._queue[uid] = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        self._schedule()

    def _spec_changed(self, uid: str, pod: Json) -> bool:
        """Return whether the spec changed; the scheduler's own note of failure is no reason to try again."""
        return self._said.get(uid) != (_scheduled_condition(pod).get("message"), pod["spec"])

    def _take(self, uid: str, pod: Json) -> None:
        if uid not in self._taken:
            node, wanted = pod["spec"]["nodeName"], pod_requests(pod["spec"])
            wanted["pods"] = Decimal(1)
            self._taken[uid] = (node, wanted)
            sums = self._sums.setdefault(node, {})
            for name, much in wanted.items():
                sums[name] = sums.get(name, Decimal(0)) + much

    def _release(self, uid: str) -> None:
        self._said.pop(uid, None)
        node, wanted = self._taken.pop(uid, ("", {}))
        for name, much in wanted.items():
            self._sums[node][name] -= much
        if wanted:
            self._retry()

    def _retry(self) -> None:
        """Try the pods again that could not be bound: something changed."""
        if self._parked:
            self._queue.update(self._parked)
            self._parked.clear()
            self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._drain)

    def _drain(self) -> None:
        self._due = False
        queue, self._queue = self._queue, {}
        nodes = self._store.list("nodes") if queue else []
        for uid, key in queue.items():
            pod = self._store.find("pods", *key)
            if pod is not None and pod["metadata"]["uid"] == uid and not pod["spec"].get("nodeName"):
                self._place(uid, pod, nodes)

    def _place(self, uid: str, pod: Json, nodes: Sequence[Json]) -> None:
        if pod["spec"].get("schedulingGates"):
            self._park(uid, pod, reason="SchedulingGated", message=_GATED)
            return
        message = self._refuses(pod) or (
            claims_message(pod, self._store, len(nodes)) if nodes else "no nodes available to schedule pods"
        )
        if message is None:
            found = [refusals(pod, node, self._left(node)) for node in nodes]
            chosen = next((node for node, reasons in zip(nodes, found, strict=True) if not reasons), None)
            if chosen is not None:
                self._bind(pod, chosen["metadata"]["name"])
                return
            message = unschedulable_message(found)
        self._park(uid, pod, reason="Unschedulable", message=message)

    def _left(self, node: Json) -> dict[str, Decimal]:
        allocatable = (node.get("status") or {}).get("allocatable") or {}
        taken = self._sums.get(node["metadata"]["name"], {})
        return {
            name: parse_quantity(value) - taken.get(name, Decimal(0)) for name, value in allocatable.items()
        }

    def _bind(self, pod: Json, node: str) -> None:
        meta = pod["metadata"]

        def change(obj: dict[str, Any]) -> dict[str, Any]:
            obj["spec"]["nodeName"] = node
            return _with_condition(obj, {"type": "PodScheduled", "status": "True"}, self._now())

        with suppress(StatusError):
            bound = self._store.update("pods", meta["namespace"], meta["name"], change)
            message = f"Successfully assigned {meta['namespace']}/{meta['name']} to {node}"
            self._events.record(bound, reason="Scheduled", message=message, component=NAME)

    def _park(self, uid: str, pod: Json, *, reason: str, message: str) -> None:
        """Record why a pod cannot be bound, and wait for something to change."""
        meta = pod["metadata"]
        self._parked[uid] = (meta["namespace"], meta["name"])
        self._said[uid] = (message, pod["spec"])
        if _scheduled_condition(pod).get("message") == message:
            return
        condition = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        with suppress(StatusError):
            self._store.update(
                "pods",
                meta["namespace"],
                meta["name"],
                lambda obj: _with_condition(obj, condition, self._now()),
            )
        if reason == "Unschedulable":
            self._events.record(
                pod, type="Warning", reason="FailedScheduling", message=message, component=NAME
            )

    def _now(self) -> str:
        return rfc3339(datetime.now(UTC))


_GATED = "Scheduling is blocked due to non-empty scheduling gates"


def _scheduled_condition(pod: Json) -> Json:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((each for each in conditions if each["type"] == "PodScheduled"), {})


def _with_condition(pod: dict[str, Any], condition: dict[str, Any], now: str) -> dict[str, Any]:
    status = pod.setdefault("status", {})
    old = _scheduled_condition(pod)
    since = old["lastTransitionTime"] if old.get("status") == condition["status"] else now
    others = [each for each in status.get("conditions") or () if each["type"] != condition["type"]]
    fresh = {
        "type": condition["type"],
        "status": condition["status"],
        "lastProbeTime": None,
        "lastTransitionTime": since,
    }
    status["conditions"] = [*others, {**fresh, **condition}]
    return pod

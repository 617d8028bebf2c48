"""A cluster that knows what became of each pod, whose doing it was, and when its pod may go.

The kubelet ends pods as a real one does: late, by a deadline or by a deletion, in one write or in two. Other clients
delete pods. Whatever a runner asks for that costs an outcome, or that has no reason, is noted at once as a violation.
How schedulers behave does not belong here.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import anyio
from podrunner.builder import read_ownership
from podrunner.builder.labels import OUTCOME_FINALIZER, OWNER, REPORTED, VERDICT
from podrunner.kube import Request, Response
from podrunner.outcome import Category
from podrunner.outcome.stored import decode_outcome
from podrunner.workload import WorkloadKey
from tests.simulation import world as cluster
from tests.simulation.delivery.journal import order
from tests.simulation.world import REMOVED
from tests.support.fake_server import ENDED, FakeServer
from tests.unit.runner.harness import DEADLINE_EXCEEDED

__all__ = ["IMAGE_GRACE_S", "RUN_TIMEOUT_S", "SIDE", "World"]

LIVES = {**cluster.ENDS, "delete-ended": 8, "long": 6, "stuck": 5, "preempt": 5}
"""How pods live, by weight. *delete-ended*: another client deletes it some time after its end; *long*: runs until it is
ended, or for minutes; *stuck*: its image cannot be pulled; *preempt*: makes room before it began."""
RUN_TIMEOUT_S = 60.0
IMAGE_GRACE_S = 20.0
_CLOCK_S = 2.0
"""The API has whole seconds."""
SIDE = {"name": "side", "image": "i", "command": ["serve"]}
"""A container that goes on when the main one has ended."""
PREEMPTED = {"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}

Pod = dict[str, Any]


class World(cluster.World):
    """The cluster.

    Args:
        random: Whatever happens is drawn from it.
        is_stored: Whether the schedulers' journal holds the outcome of a pod, by its UID.
        finalizer: Whether pods are held until their outcomes are delivered.
        run_timeout: Whether runners end pods that run for longer than :data:`RUN_TIMEOUT_S`.

    Attributes:
        violations: What must not have happened.
        begun: When the work of a pod began, by its UID.
        keys: What each pod was made for, by its UID.
        cancelled: Identities that a scheduler cancelled, and when it first did.
        closing: Owners whose runners closed by ``cancel``, and when.
        leaving: Owners whose runners close, by whatever policy: what they are just making, they unmake.
        removed: UIDs of pods that other clients deleted.
        owners: Whose each pod is and was, and until when, by its UID.
        makers: Who made it, and when.
        seen: Runners, and the names of which they heard that there is a pod; when they last did.
    """

    def __init__(
        self, random: Random, is_stored: Callable[[str], bool], *, finalizer: bool, run_timeout: bool
    ) -> None:
        super().__init__(random)
        self.finalizer = finalizer
        self.run_timeout = run_timeout
        self.violations: list[str] = []
        self.begun: dict[str, float] = {}
        self.keys: dict[str, WorkloadKey] = {}
        self.cancelled: dict[str, float] = {}
        self.closing: dict[str, float] = {}
        self.leaving: set[str] = set()
        self.removed: set[str] = set()
        self.owners: dict[str, dict[str, float]] = defaultdict(dict)
        self.makers: dict[str, tuple[str, float]] = {}
        self.seen: dict[tuple[str, str], float] = {}
        self._is_stored = is_stored
        self._stuck: dict[str, float] = {}
        self._given: dict[str, set[Category]] = defaultdict(set)

    # How pods live

    def _create(self, namespace: str, pod: Pod) -> Pod:
        said = read_ownership(pod["metadata"]["labels"], pod["metadata"]["annotations"])
        assert said is not None, "made by podrunner"
        beside = [other for other in self.pods.values() if self._is_beside(other, said.key)]
        made = super()._create(namespace, pod)
        uid = made["metadata"]["uid"]
        self.keys[uid], self.makers[uid] = said.key, (said.owner, anyio.current_time())
        if beside:
            self.violations.append(f"{uid} {said.key} is made beside {[owner_of(pod) for pod in beside]}")
        return made

    def _is_beside(self, pod: Pod, key: WorkloadKey) -> bool:
        return self.keys[pod["metadata"]["uid"]].identity == key.identity and not self._is_over(pod)

    def hear(self, request: Request, answer: Response) -> None:
        """An answer has arrived at the runner that asked."""
        if (request.method, answer.status) == ("POST", 409) and request.path.endswith("/pods"):
            pod = json.loads(request.body or b"{}")
            self.seen[owner_of(pod), pod["metadata"]["name"]] = anyio.current_time()

    def _commit(self, kind: str, obj: Pod, before: Pod | None = None) -> Pod:
        owners, owner = self.owners[obj["metadata"]["uid"]], owner_of(obj)
        for earlier in owners.keys() - {owner}:
            owners[earlier] = min(owners[earlier], anyio.current_time())
        owners[owner] = math.inf
        return super()._commit(kind, obj, before)

    def _plan(self, name: str, uid: str) -> None:
        draw = self.random
        life = draw.choices(list(LIVES), weights=list(LIVES.values()))[0]
        starts_s = draw.uniform(0, 20)
        ends_s = starts_s + (draw.uniform(150, 300) if life == "long" else draw.uniform(0, 50))
        match life:
            case "delete-pending":
                self._at(starts_s, uid, lambda: self._delete_by_others(name, uid))
            case "stuck":
                self._at(starts_s, uid, lambda: self._stick(name, uid))
            case "preempt":
                self._at(starts_s, uid, lambda: self._preempt(name, uid))
            case _:
                self._at(starts_s, uid, lambda: self._start(name))
                self._at(ends_s, uid, lambda: self._end(name, uid, life))

    def _start(self, name: str) -> None:
        pod = self.pods["default", name]
        if "deletionTimestamp" in pod["metadata"] or pod["status"]["phase"] in ENDED:
            return
        self.begun[pod["metadata"]["uid"]] = anyio.current_time()
        running = {"running": {"startedAt": self._time()}}
        self._accept(name)
        self._tell(name, "Running", dict.fromkeys(_containers(pod), running), startTime=self._time())
        self._check_deadline(name)

    def _accept(self, name: str) -> None:
        """A node takes the pod."""
        self.change(name, spec={"nodeName": "node-1"})

    def _tell(self, name: str, phase: str, states: dict[str, Any], **status: Any) -> None:
        told = [
            {"name": each, "restartCount": 0, "ready": False, "state": state}
            for each, state in states.items()
        ]
        self.change(name, status={"phase": phase, "containerStatuses": told, **status})

    def _stick(self, name: str, uid: str) -> None:
        pod = self.pods["default", name]
        if "deletionTimestamp" not in pod["metadata"]:
            self._stuck[uid] = anyio.current_time()
            self._accept(name)
            state = {"waiting": {"reason": "ImagePullBackOff", "message": "not found"}}
            self._tell(name, "Pending", dict.fromkeys(_containers(pod), state))

    def _preempt(self, name: str, uid: str) -> None:
        if "deletionTimestamp" not in self.pods["default", name]["metadata"]:
            self._is(uid, Category.PREEMPTED)
            self.change(name, status={"phase": "Failed", "conditions": [PREEMPTED]})

    def _end(self, name: str, uid: str, end: str) -> None:
        pod = self.pods["default", name]
        if not self._runs(pod) or uid in self._words:
            return
        code = self.random.randint(1, 120)
        match end:
            case "fail":
                self._finish_by_itself(name, uid, code, Category.FAILED)
            case "out-of-memory":
                self._finish_by_itself(name, uid, 137, Category.OOM_KILLED, reason="OOMKilled")
            case "evict":
                self._is(uid, Category.EVICTED)
                self._evict(name, uid)
            case "delete-running" | "vanish":
                self._delete_by_others(name, uid, by_force=end == "vanish")
            case _:
                self._finish_by_itself(name, uid, 0, Category.SUCCEEDED)
        if end in {"hasty", "delete-ended"}:
            later_s = self.random.uniform(0, 2 if end == "hasty" else 60)
            self._at(later_s, uid, lambda: self._delete_by_others(name, uid))

    def _evict(self, name: str, uid: str) -> None:
        reason = {"reason": "Evicted", "message": "The node was low on resource: memory."}
        self._end_in_one_write_or_two(
            name, uid, lambda: self._tell(name, "Failed", self._stopped(name, 137), **reason)
        )

    def _end_in_one_write_or_two(self, name: str, uid: str, write: Callable[[], None]) -> None:
        if self.random.random() < 0.5:
            write()
            return
        self._tell(name, "Running", self._stopped(name))
        self._words[uid] = write
        self._at(self.random.uniform(0, 3), uid, lambda: self._say_last_word(uid))

    def _runs(self, pod: Pod) -> bool:
        """Whether the main container runs."""
        states = _states(pod)
        return pod["status"]["phase"] == "Running" and "running" in states["base"]

    def _finish_by_itself(self, name: str, uid: str, code: int, category: Category, **why: str) -> None:
        """The main container ends; a sidecar goes on."""
        self._is(uid, category, exit_code=code)
        self.truth[uid] = replace(self.truth[uid], exit_code=code)
        self._may_also_be(uid, category)
        if self.left_s(name) < float("inf") or _is_deleted(self.pods["default", name]):
            self._may_also_be(uid, *self._reasons(uid))  # a runner had begun to end it
        states = _states(self.pods["default", name])
        states["base"] = self._terminated(states["base"], code, **why)
        goes_on = any("running" in state for state in states.values())
        phase = "Running" if goes_on else "Failed" if code else "Succeeded"
        self._tell(name, phase, states)

    def _terminated(self, state: dict[str, Any], code: int, **why: str) -> dict[str, Any]:
        if "waiting" in state:  # the kubelet does not know what became of it
            unknown = {"exitCode": 137, "reason": "ContainerStatusUnknown", "startedAt": None}
            return {"terminated": {**unknown, "finishedAt": None}}
        if "terminated" in state:
            return state
        times = {"startedAt": state["running"]["startedAt"], "finishedAt": self._time()}
        return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed", **times, **why}}

    def _stopped(self, name: str, code: int = 143) -> dict[str, Any]:
        """The containers' states when the kubelet has ended those that ran."""
        states = _states(self.pods["default", name])
        return {each: self._terminated(state, code) for each, state in states.items()}

    # Other clients

    def _delete_by_others(self, name: str, uid: str, *, by_force: bool = False) -> None:
        self.removed.add(uid)
        known = self.truth.get(uid)
        self._is(uid, *REMOVED)
        if known is not None and not (self.finalizer and anyio.current_time() - known.at_s > _CLOCK_S):
            self._may_also_be(uid, *REMOVED)  # the end may have been missed
        if by_force and not self.finalizer:
            self.remove(name, noticed=False)
        elif self._runs_anything(name):
            self.mark_deleted(name, grace_s=0 if by_force else 30)
            self._at(self.random.uniform(0, 5), uid, lambda: self._stop(name, uid))
        else:
            self.remove(name)

    def _runs_anything(self, name: str) -> bool:
        pod = self.pods["default", name]
        return pod["status"]["phase"] not in ENDED and bool(pod["spec"].get("nodeName"))

    def _stop(self, name: str, uid: str) -> None:
        """The kubelet ends a deleted pod and takes its leave of it."""
        self._say_last_word(uid)
        if self._runs_anything(name):
            codes = {state["terminated"]["exitCode"] for state in self._stopped(name).values()}
            self._tell(name, "Failed" if codes - {0} else "Succeeded", self._stopped(name))
        self.remove(name)

    # What runners ask for

    def _delete(self, namespace: str, name: str, options: dict[str, Any]) -> Response:
        pod = self.pods[namespace, name]
        answer = FakeServer._delete(self, namespace, name, options)
        if answer.status == 200:
            self._judge_deletion(pod)
            uid = pod["metadata"]["uid"]
            self._end_by_runner(uid)
            if (namespace, name) in self.pods and self._runs_anything(name):
                self._at(self.random.uniform(0, 5), uid, lambda: self._stop(name, uid))
        return answer

    def _patch(self, namespace: str, name: str, body: dict[str, Any], **how: Any) -> Response:
        pod = self.pods[namespace, name]
        answer = super()._patch(namespace, name, body, **how)
        if answer.status == 200:
            self._judge_patch(pod, body.get("metadata", {}))
            if "activeDeadlineSeconds" in body.get("spec", {}):
                self._end_by_runner(pod["metadata"]["uid"], ends_now=False)
        return answer

    def _end_by_runner(self, uid: str, *, ends_now: bool = True) -> None:
        """A runner ends a pod."""
        reasons = self._reasons(uid)
        known = self.truth.get(uid)
        if known is None:
            is_unmade = uid not in self.begun and bool(self.owners[uid].keys() & self.leaving)
            if not (reasons or is_unmade):
                self.violations.append(f"{uid} {self.keys[uid]} is ended for no reason")
            if ends_now:
                self._is(uid, *reasons)
        elif anyio.current_time() - known.at_s < _CLOCK_S:
            self._may_also_be(uid, *reasons)

    def _reasons(self, uid: str) -> set[Category]:
        """The outcomes for which a runner may end a pod now."""
        found, now_s = set(self._given[uid]), anyio.current_time()
        if self.may_be_cancelled(uid):
            found.add(Category.CANCELLED)
        if self.run_timeout and now_s - self.begun.get(uid, now_s) > RUN_TIMEOUT_S - _CLOCK_S:
            found.add(Category.DEADLINE)
        if now_s - self._stuck.get(uid, now_s) > IMAGE_GRACE_S - _CLOCK_S:
            found.add(Category.IMAGE)
        return found

    def may_be_cancelled(self, uid: str) -> bool:
        """Whether a scheduler cancelled the pod, or closed its runner by ``cancel``."""
        return self.keys[uid].identity in self.cancelled or bool(self._closed_while_owning(uid))

    def _closed_while_owning(self, uid: str) -> set[str]:
        """The owners that closed by ``cancel`` before another took the pod over."""
        owners = self.owners[uid]
        return {owner for owner in owners.keys() & self.closing if self.closing[owner] <= owners[owner]}

    def late_reasons(self, uid: str) -> set[Category]:
        """The outcomes that a runner may have given a pod before it heard that it was gone."""
        found = set(self._given[uid])
        if self.may_be_cancelled(uid):
            found.add(Category.CANCELLED)
        if self.run_timeout and uid in self.begun:
            found.add(Category.DEADLINE)
        return found | ({Category.IMAGE} if uid in self._stuck else set())

    def may_also_be_cancelled(self, uid: str) -> bool:
        """Whether a pod that ended otherwise may also be cancelled: it ended during a cancellation."""
        asked_s = [self.closing[owner] for owner in self._closed_while_owning(uid)]
        asked_s.append(self.cancelled.get(self.keys[uid].identity, math.inf))
        return min(asked_s) <= self.truth[uid].at_s

    def _may_also_be(self, uid: str, *categories: Category) -> None:
        known = self.truth[uid]
        self.truth[uid] = replace(known, categories=known.categories | set(categories))

    def _expire(self, name: str, uid: str) -> None:
        pod = self.pods["default", name]
        if self.left_s(name) > 0 or uid in self._words or _is_deleted(pod):
            return
        if self._runs(pod) and self.random.random() < 0.2:
            self._finish_by_itself(name, uid, 0, Category.SUCCEEDED)
            self._at(0.9, uid, lambda: self._fail_past_deadline(name))
            return
        self._is(uid, *self._reasons(uid))
        self._end_in_one_write_or_two(name, uid, lambda: self._fail_past_deadline(name))

    def _fail_past_deadline(self, name: str) -> None:
        if not _is_deleted(self.pods["default", name]):
            self._tell(name, "Failed", self._stopped(name), **DEADLINE_EXCEEDED)

    # What runners must not do

    def _judge_deletion(self, pod: Pod) -> None:
        meta = pod["metadata"]
        uid = meta["uid"]
        if uid not in self.begun or self.may_go(uid) or OUTCOME_FINALIZER in meta.get("finalizers", ()):
            return
        if _is_deleted(pod):
            return  # another client had deleted it
        if self._is_over(pod):
            self.violations.append(f"{uid} {self.keys[uid]} is deleted, and its outcome is not stored")
        elif VERDICT not in meta["annotations"]:
            self.violations.append(f"{uid} {self.keys[uid]} is ended without a verdict")
        else:
            self.violations.append(f"{uid} {self.keys[uid]} is ended by a deletion")

    def _judge_patch(self, pod: Pod, metadata: dict[str, Any]) -> None:
        uid, annotations = pod["metadata"]["uid"], metadata.get("annotations") or {}
        if REPORTED in annotations and not self.may_go(uid):
            self.violations.append(f"{uid} {self.keys[uid]} is marked, and its outcome is not stored")
        if VERDICT in annotations:
            self._judge_verdict(uid, annotations[VERDICT])
        released = OUTCOME_FINALIZER in metadata.get("$deleteFromPrimitiveList/finalizers", ())
        is_unmade = bool(self.owners[uid].keys() & self.leaving)
        is_withdrawn = uid not in self.begun and (is_unmade or bool(self._reasons(uid)))
        if released and not (self.may_go(uid) or is_withdrawn):
            self.violations.append(f"{uid} {self.keys[uid]} is released, and its outcome is not stored")

    def _judge_verdict(self, uid: str, record: str) -> None:
        verdict = decode_outcome(record, uid=uid)
        assert verdict is not None, "a record that can be read"
        if verdict.category not in self._reasons(uid):
            self.violations.append(f"{uid} {self.keys[uid]} is given up without a reason: {verdict}")
        self._given[uid].add(verdict.category)

    def may_go(self, uid: str) -> bool:
        """Whether a pod is no longer needed: its outcome is stored, or the pod of the run's next try exists."""
        key = self.keys[uid]
        return self._is_stored(uid) or any(
            other.identity == key.identity and order(other) > order(key) for other in self.keys.values()
        )

    def _is_over(self, pod: Pod) -> bool:
        is_only_held = _is_deleted(pod) and not pod["spec"].get("nodeName")
        ended = pod["status"]["phase"] in ENDED or "terminated" in _states(pod).get("base", {})
        return ended or is_only_held

    def left_over(self) -> list[str]:
        """What is neither gone nor marked as reported and free."""
        return [
            name
            for (_, name), pod in self.pods.items()
            if REPORTED not in pod["metadata"]["annotations"] or pod["metadata"].get("finalizers")
        ]


def _containers(pod: Pod) -> list[str]:
    return [each["name"] for each in pod["spec"]["containers"]]


def _states(pod: Pod) -> dict[str, dict[str, Any]]:
    return {each["name"]: each["state"] for each in pod["status"].get("containerStatuses", [])}


def _is_deleted(pod: Pod) -> bool:
    return "deletionTimestamp" in pod["metadata"]


def owner_of(pod: Pod) -> str:
    """The runner whose pod it is."""
    name: str = pod["metadata"]["annotations"][OWNER]
    return name

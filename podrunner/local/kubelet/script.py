"""Scripted pods: their status follows a script, and no process runs. Thousands cost no task each and little CPU.

A pod is scripted by its annotation ``local.podrunner.io/script`` (a :class:`Lifecycle` as JSON), or by a rule given to
the kubelet. One timer serves all of them.
"""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import count, cycle
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError
from podrunner.local.kubelet.container import time_text
from podrunner.local.kubelet.logreader import normal_time
from podrunner.local.kubelet.logs import nano_time
from podrunner.local.kubelet.pod import DEADLINE_EXCEEDED, LOGS_GO_S, finish_deletion
from podrunner.local.kubelet.podstatus import (
    ContainerRecord,
    Override,
    compute_status,
    is_sidecar,
    unknown_end,
    unlocated,
    waiting,
)

if TYPE_CHECKING:
    from podrunner.local.api.runtime import LogOptions
    from podrunner.local.kubelet.context import Node

__all__ = ["ANNOTATION", "Lifecycle", "ScriptedPods"]

Json = Mapping[str, Any]

ANNOTATION = "local.podrunner.io/script"


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """The life of a scripted pod; durations are in seconds.

    Attributes:
        unschedulable: Instead of being bound, wait for ever with this message of the scheduler, such as ``0/3 nodes are
            available: 3 Insufficient cpu.``
        pending_s: From its binding until the node takes notice.
        creating_s: Then, until its containers run.
        running_s: Then, until they end; None: until the pod is deleted.
        exit_code: Of its containers.
        reason: Of their end; "" for ``Completed`` or ``Error``. ``OOMKilled`` goes with exit code 137.
        message: Termination message.
        waiting_reason: Instead of running, wait for ever with this reason, such as ``ImagePullBackOff``.
        waiting_message: Its message.
        pod_reason: The pod fails as a whole with this reason, such as ``Evicted``; its containers get no status, and
            with ``running_s`` 0 they never run.
        pod_message: Its message.
        log: Lines that its containers write, spread evenly over ``running_s``.
        log_offsets_s: By how much the time stamp of each line differs from when it is written, over and over from the
            first one: a runtime stamps stdout and stderr each by itself, and a node's clock may be set back. (0, -0.4)
            makes every second line a late one; empty: stamps are in order.
        terminating_s: From the request to delete it, or its deadline, until its containers have ended.
        stopped_exit_code: Of its containers, if they end by a deletion or the pod's ``activeDeadlineSeconds``.
    """

    unschedulable: str = ""
    pending_s: float = 0.0
    creating_s: float = 0.0
    running_s: float | None = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    waiting_reason: str = ""
    waiting_message: str = ""
    pod_reason: str = ""
    pod_message: str = ""
    log: Sequence[str] = ()
    log_offsets_s: Sequence[float] = ()
    terminating_s: float = 0.0
    stopped_exit_code: int = 143

    @property
    def never_runs(self) -> bool:
        """Whether the pod fails before its containers run."""
        return bool(self.pod_reason) and self.running_s == 0

    @classmethod
    def from_json(cls, text: str) -> Lifecycle:
        """Read an annotation.

        Raises:
            ValueError: It is no JSON object, or has unknown fields; the message says which.
        """
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(  # noqa: TRY004 - the text is wrong, not a Python type
                f"a script is a JSON object, not {text[:80]!r}"
            )
        known = {field.name for field in fields(cls)}
        if unknown := sorted(set(data) - known):
            raise ValueError(f"unknown fields: {', '.join(unknown)}; known are {', '.join(sorted(known))}")
        return cls(**data)


@dataclass(slots=True)
class _Life:
    """A scripted pod as it stands."""

    pod: Json
    script: Lifecycle
    records: list[ContainerRecord]
    stage: str = "pending"
    began: float | None = None
    deadline_s: int | None = None
    started: float | None = None
    ended: float | None = None
    override: Override | None = None
    expired: bool = False
    leaving: bool = False
    log_gone: bool = False

    def awaits(self, stage: str) -> bool:
        """Return whether a stage whose time has come is still to be entered."""
        if stage == "log-gone":
            return True
        if self.stage == "left" or self.leaving or self.expired:
            return self.stage != "left" and stage in {"leave", "stopped"}
        return True


class ScriptedPods:
    """All scripted pods of a node."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._rules: list[tuple[Callable[[Json], bool], Lifecycle]] = []
        self._lives: dict[str, _Life] = {}
        self._heap: list[tuple[float, int, str, str]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._ends: dict[str, asyncio.Event] = {}

    def add_rule(self, matches: Callable[[Json], bool], script: Lifecycle) -> None:
        """Script every pod that comes from now on and matches; the latest rule wins, an annotation before all."""
        self._rules.insert(0, (matches, script))

    def forget_rules(self) -> None:
        """Script no pod that comes from now on, but by its annotation."""
        self._rules.clear()

    def find(self, pod: Json) -> Lifecycle | None:
        """Return the script of a pod, None if it is a real one.

        Raises:
            ValueError: Its annotation cannot be read.
        """
        text = (pod["metadata"].get("annotations") or {}).get(ANNOTATION)
        if text is not None:
            return Lifecycle.from_json(text)
        return next((script for matches, script in self._rules if matches(pod)), None)

    def refuses(self, pod: Json) -> str:
        """Return why no node takes a pod by its script; "": its script does not say so."""
        try:
            script = self.find(pod)
        except ValueError:
            return ""  # the node says so
        return "" if script is None else script.unschedulable

    def begin(self, pod: Json, script: Lifecycle) -> None:
        """Take a pod that was bound to the node."""
        uid = pod["metadata"]["uid"]
        self._lives[uid] = _Life(pod, script, _records(pod))
        self._at(script.pending_s, uid, "creating")
        if pod["metadata"].get("deletionTimestamp"):
            self.update(pod)

    def update(self, pod: Json) -> None:
        """Take in a change of the pod in the store."""
        life = self._lives[pod["metadata"]["uid"]]
        life.pod = pod
        self._set_deadline(life)
        if pod["metadata"].get("deletionTimestamp") and not life.leaving:
            life.leaving = True
            self._at(life.script.terminating_s, pod["metadata"]["uid"], "leave")
        elif life.stage == "left":
            asyncio.get_running_loop().call_soon(
                finish_deletion, self._node, pod
            )  # not within the store's call

    def forget(self, uid: str) -> None:
        """Forget a pod that is gone from the store."""
        life = self._lives.pop(uid, None)
        if life is not None:
            life.stage = "ended"
            self._tell_end(uid)

    def logs_gone(self, uid: str) -> bool:
        """Return whether a pod is scripted, and was deleted so long ago that its log is removed."""
        return uid in self._lives and self._lives[uid].log_gone

    def knows(self, uid: str) -> bool:
        """Return whether a pod is scripted."""
        return uid in self._lives

    def stop(self) -> None:
        """Stop the timer; nothing happens to scripted pods any more."""
        if self._timer is not None:
            self._timer.cancel()
        self._heap.clear()
        for uid in tuple(self._lives):
            self.forget(uid)

    # --- time ---

    def _at(self, delay_s: float, uid: str, stage: str) -> None:
        loop = asyncio.get_running_loop()
        heapq.heappush(self._heap, (loop.time() + delay_s, next(self._order), uid, stage))
        self._set_timer()

    def _set_timer(self) -> None:
        loop = asyncio.get_running_loop()
        if not self._heap:
            return
        due = self._heap[0][0]
        if self._timer is not None and not self._timer.cancelled() and self._timer.when() <= due:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = loop.call_at(due, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._heap and self._heap[0][0] <= now:
            _, _, uid, stage = heapq.heappop(self._heap)
            life = self._lives.get(uid)
            if life is not None and life.awaits(stage):
                _STAGES[stage](self, uid, life)
        self._set_timer()

    # --- stages ---

    def _creating(self, uid: str, life: _Life) -> None:
        life.stage, life.began = "creating", asyncio.get_running_loop().time()
        self._set_deadline(life)
        if life.script.waiting_reason:
            for record in life.records:
                record.state = waiting(life.script.waiting_reason, life.script.waiting_message)
            self._write(life, sandbox=True)
            return
        self._at(life.script.creating_s, uid, "ended" if life.script.never_runs else "running")
        if life.script.creating_s > 0:
            self._write(life, sandbox=False)

    def _running(self, uid: str, life: _Life) -> None:
        life.stage, life.started = "running", self._node.now()
        now = time_text(life.started)
        for record in life.records:
            _make(record, uid)
            record.ready = record.started = record.kind != "init"
            record.state = (
                {"running": {"startedAt": now}} if record.kind != "init" else _terminated(life, now, code=0)
            )
        if life.script.running_s is not None:
            self._at(life.script.running_s, uid, "ended")
        self._write(life, sandbox=True)

    def _ended(self, uid: str, life: _Life) -> None:
        script = life.script
        if script.pod_reason:
            life.override = Override(script.pod_reason, script.pod_message)
            life.records.clear()
        self._end(uid, life, code=script.exit_code, reason=script.reason, message=script.message)

    def _end(self, uid: str, life: _Life, *, code: int, reason: str = "", message: str = "") -> None:
        life.stage, life.ended = "ended", self._node.now()
        now = time_text(life.ended)
        for record in life.records:
            if record.kind != "init":
                _make(record, uid)
                one = code if record.kind == "container" else 0
                record.state = _terminated(life, now, code=one, reason=reason if one else "", message=message)
                record.ready = record.started = False
        self._tell_end(uid)
        self._write(life, sandbox=False, final=True)

    def _set_deadline(self, life: _Life) -> None:
        """Let a pod end at its deadline, which is counted from its start and may be lowered."""
        seconds = life.pod["spec"].get("activeDeadlineSeconds")
        if life.began is None or seconds in {None, life.deadline_s}:
            return
        life.deadline_s = seconds
        left_s = life.began + seconds - asyncio.get_running_loop().time()
        self._at(max(left_s, 0), life.pod["metadata"]["uid"], "expired")

    def _expired(self, uid: str, life: _Life) -> None:
        if life.stage == "ended":
            return
        life.expired = True
        reason, message = DEADLINE_EXCEEDED.reason, DEADLINE_EXCEEDED.message
        self._node.events.record(life.pod, reason=reason, message=message)
        self._at(life.script.terminating_s, uid, "stopped")

    def _stopped(self, uid: str, life: _Life) -> None:
        """The deadline's end: with the containers' own end, or without any if they never started."""
        if life.stage == "ended":
            return
        life.override = DEADLINE_EXCEEDED
        self._stop(uid, life)

    def _stop(self, uid: str, life: _Life) -> None:
        if life.started is not None:
            self._end(uid, life, code=life.script.stopped_exit_code)
            return
        life.stage, life.ended = "ended", self._node.now()
        for record in unlocated(life.records):
            record.state = unknown_end()
        self._tell_end(uid)
        self._write(life, sandbox=False, final=True)

    def _leave(self, uid: str, life: _Life) -> None:
        if life.stage != "ended":
            self._stop(uid, life)
            self._at(LOGS_GO_S, uid, "log-gone")
        life.stage = "left"
        finish_deletion(self._node, self._node.store.find("pods", *_key(life.pod)) or life.pod)

    def _log_gone(self, uid: str, life: _Life) -> None:  # noqa: ARG002 - the shape of a stage
        life.log_gone = True

    def _write(self, life: _Life, *, sandbox: bool, final: bool = False) -> None:
        uid, now = life.pod["metadata"]["uid"], time_text(self._node.now())

        def change(pod: dict[str, Any]) -> dict[str, Any]:
            if pod["metadata"]["uid"] == uid:
                pod["status"] = compute_status(
                    pod,
                    life.records,
                    now=now,
                    ip=self._node.ip,
                    sandbox=sandbox,
                    override=life.override if final else None,
                    final=final,
                )
                if not life.records:
                    pod["status"].pop("containerStatuses", None)
            return pod

        try:
            life.pod = self._node.store.update("pods", *_key(life.pod), change)
        except StatusError:
            self.forget(uid)

    # --- logs ---

    async def read_log(self, pod: Json, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield the scripted lines whose time has come."""
        life = self._lives[pod["metadata"]["uid"]]
        shown, left = 0, options.limit_bytes
        skip = len(self._due(life, options)) - options.tail_lines if options.tail_lines is not None else 0
        shown = max(skip, 0)
        while True:
            lines = self._due(life, options)
            data = b"".join(_log_line(line, timestamps=options.timestamps) for line in lines[shown:])
            shown = len(lines)
            if left is not None:
                data, left = data[:left], left - len(data[:left])
            if data:
                yield data
            if not options.follow or life.stage in {"ended", "left"} or (left is not None and left <= 0):
                return
            await self._next_line(life)

    def _due(self, life: _Life, options: LogOptions) -> list[tuple[str, str]]:
        """Lines with their times, up to now."""
        if life.started is None:
            return []
        until = life.ended if life.ended is not None else self._node.now()
        step = (life.script.running_s or 0.0) / max(len(life.script.log), 1)
        begin = int(life.started * 1e9)
        times = [begin + int(step * 1e9) * at + at for at in range(len(life.script.log))]
        offsets = [int(offset * 1e9) for offset in life.script.log_offsets_s] or [0]
        due = [
            (nano_time(when + offset), text)
            for when, offset, text in zip(times, cycle(offsets), life.script.log, strict=False)
            if when <= until * 1e9 + len(times)
        ]
        since = _since(options, self._node.now())
        return [line for line in due if line[0] >= since]

    async def _next_line(self, life: _Life) -> None:
        step = (life.script.running_s or 0.0) / max(len(life.script.log), 1)
        ended = self._ends.setdefault(life.pod["metadata"]["uid"], asyncio.Event())
        try:
            async with asyncio.timeout(
                max(step, 0.01) if life.started is not None and life.script.log else None
            ):
                await ended.wait()
        except TimeoutError:
            pass

    def _tell_end(self, uid: str) -> None:
        event = self._ends.pop(uid, None)
        if event is not None:
            event.set()


_STAGES: dict[str, Callable[[ScriptedPods, str, _Life], None]] = {
    "creating": ScriptedPods._creating,  # noqa: SLF001 - a table of its own stages
    "running": ScriptedPods._running,  # noqa: SLF001 - a table of its own stages
    "ended": ScriptedPods._ended,  # noqa: SLF001 - a table of its own stages
    "expired": ScriptedPods._expired,  # noqa: SLF001 - a table of its own stages
    "stopped": ScriptedPods._stopped,  # noqa: SLF001 - a table of its own stages
    "leave": ScriptedPods._leave,  # noqa: SLF001 - a table of its own stages
    "log-gone": ScriptedPods._log_gone,  # noqa: SLF001 - a table of its own stages
}


def _key(pod: Json) -> tuple[str, str]:
    return pod["metadata"]["namespace"], pod["metadata"]["name"]


def _records(pod: Json) -> list[ContainerRecord]:
    spec = pod["spec"]
    inits = spec.get("initContainers") or []
    made = [_record(each, "sidecar" if is_sidecar(each) else "init") for each in inits]
    return made + [_record(each, "container") for each in spec["containers"]]


def _record(container: Json, kind: str) -> ContainerRecord:
    return ContainerRecord(
        container["name"], container.get("image", ""), kind, state=waiting("ContainerCreating")
    )


def _make(record: ContainerRecord, uid: str) -> None:
    """Give a container its ID: one that waits to be made has none."""
    record.image_id, record.container_id = (
        f"scripted://{record.image}",
        f"podrunner://{uid.replace('-', '') * 2}",
    )


def _terminated(life: _Life, now: str, *, code: int, reason: str = "", message: str = "") -> dict[str, Any]:
    started = now if life.started is None else time_text(life.started)
    state = {"exitCode": code, "reason": reason or ("Error" if code else "Completed")}
    if message:
        state["message"] = message
    return {"terminated": {**state, "startedAt": started, "finishedAt": now}}


def _since(options: LogOptions, now: float) -> str:
    if options.since_time is not None:
        return normal_time(options.since_time)
    if options.since_seconds is not None:
        return nano_time(int((now - options.since_seconds) * 1e9))
    return ""


def _log_line(line: tuple[str, str], *, timestamps: bool) -> bytes:
    return (f"{line[0]} {line[1]}\n" if timestamps else f"{line[1]}\n").encode()

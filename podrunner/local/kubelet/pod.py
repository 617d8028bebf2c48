"""One pod on the node: from its volumes to its last container's end, and its removal.

A worker owns all tasks of its pod. Two things end it: its containers came to their end (the *flow* is over), or
it has to end early (deletion, deadline, the cluster stops). Of a pod that ends early the status says nothing until its
last container has ended, as a kubelet has it; then one write says everything.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.store import rfc3339
from podrunner.local.kubelet.container import ContainerWorker, time_text
from podrunner.local.kubelet.podstatus import (
    ContainerRecord,
    Override,
    compute_status,
    is_sidecar,
    unlocated,
    waiting,
)
from podrunner.local.kubelet.volumes import MountError, PodVolumes

if TYPE_CHECKING:
    from pathlib import Path

    from podrunner.local.kubelet.changes import Changes
    from podrunner.local.kubelet.context import Node

__all__ = ["DEADLINE_EXCEEDED", "LOGS_GO_S", "PodWorker", "finish_deletion"]

Json = Mapping[str, Any]

logger: logging.Logger = logging.getLogger(__name__)

DEADLINE_EXCEEDED = Override(
    "DeadlineExceeded", "Pod was active on the node longer than the specified deadline"
)
"""How a pod ends whose ``activeDeadlineSeconds`` are over (``active_deadline.go``)."""

LEAST_GRACE_S = 2.0
"""What a container has to end, also where the grace is 0 (``minimumGracePeriodInSeconds``)."""

RESYNC_S = 1.0
"""Seconds from the end of a pod past its deadline until its containers that never started are shown as ended."""

LOGS_GO_S = 1.0
"""Seconds until the logs of a pod that was deleted while it ran are gone, also if a finalizer holds the pod."""


class PodWorker:
    """Runs one pod.

    Args:
        node: The node.
        pod: The pod, bound to it.
        changes: Wakes up at changes of config maps, secrets and claims.
    """

    def __init__(self, node: Node, pod: Json, changes: Changes) -> None:
        self.node = node
        self.pod: Json = pod
        self.uid: str = pod["metadata"]["uid"]
        self.folder: Path = node.folder / "pods" / self.uid
        self.volumes: PodVolumes = PodVolumes(node, self.folder)
        self.finished: bool = False
        self.logs_gone: bool = False
        self._changes = changes
        self._sandbox = False
        self._final = False
        self._override: Override | None = None
        self._grace_s: float | None = None  # set once it is to end
        self._ending = asyncio.Event()
        self._dirty = False
        self._began: float | None = None
        self._deadline_s: int | None = None
        self._timers: list[asyncio.TimerHandle] = []
        self._logs_timer: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[int]] = []
        self.containers: dict[str, ContainerWorker] = self._make_containers()
        self._life: asyncio.Task[None] | None = None

    # --- what the kubelet calls ---

    def start(self) -> None:
        """Start."""
        meta = self.pod["metadata"]
        self._life = asyncio.create_task(self._live(), name=f"pod {meta['namespace']}/{meta['name']}")

    def update(self, pod: Json) -> None:
        """Take in a change of the pod in the store."""
        self.pod = pod
        self._set_deadline()
        meta = pod["metadata"]
        if meta.get("deletionTimestamp"):
            self.end(float(meta.get("deletionGracePeriodSeconds") or 0))
        if self.finished:
            # Not within the store's call: the request that removed the last finalizer also removes the pod.
            asyncio.get_running_loop().call_soon(finish_deletion, self.node, self.pod)

    def vanished(self) -> None:
        """End what still runs of a pod that is gone from the store."""
        self.end(LEAST_GRACE_S)
        if self._grace_s is not None and self._grace_s > LEAST_GRACE_S:
            self._later(LEAST_GRACE_S, self.kill_now)

    def end(self, grace_s: float) -> None:
        """End the pod. The first call counts: a kubelet does not shorten a grace (kubernetes#113606)."""
        if self._grace_s is None:
            self._grace_s = grace_s or LEAST_GRACE_S
            self._ending.set()

    def kill_now(self) -> None:
        """Kill all processes; for the cluster's own end."""
        for worker in self.containers.values():
            worker.kill_now()

    async def closed(self) -> None:
        """Wait until all of the pod's tasks have ended."""
        if self._life is not None:
            await asyncio.wait([self._life])

    # --- what containers call ---

    def publish(self) -> None:
        """Write the status soon; what changes in the same moment is written at once."""
        if not self._dirty and not self._ending.is_set():
            self._dirty = True
            asyncio.get_running_loop().call_soon(self._flush)

    def event(
        self, reason: str, message: str, *, container: ContainerWorker | None = None, warning: bool = False
    ) -> None:
        """Record an event of the pod."""
        path = f"spec.{_FIELDS[container.record.kind]}{{{container.name}}}" if container else ""
        kind = "Warning" if warning else "Normal"
        self.node.events.record(self.pod, type=kind, reason=reason, message=message, field_path=path)

    async def changed(self, timeout_s: float) -> None:
        """Wait for a config map, secret or claim."""
        await self._changes.wait(timeout_s)

    # --- life ---

    def _make_containers(self) -> dict[str, ContainerWorker]:
        spec = self.pod["spec"]
        inits = spec.get("initContainers") or []
        reason = "PodInitializing" if inits else "ContainerCreating"
        workers = [self._worker(each, "sidecar" if is_sidecar(each) else "init", reason) for each in inits]
        workers += [self._worker(each, "container", reason) for each in spec["containers"]]
        return {worker.name: worker for worker in workers}

    def _worker(self, spec: Json, kind: str, reason: str) -> ContainerWorker:
        record = ContainerRecord(spec["name"], spec.get("image", ""), kind, state=waiting(reason))
        policy = self.pod["spec"].get("restartPolicy", "Always")
        return ContainerWorker(self, spec, record, restart=_restart_rule(kind, policy))

    async def _live(self) -> None:
        flow = asyncio.create_task(self._flow(), name=f"flow of pod {self.uid}")
        ending = asyncio.create_task(self._ending.wait(), name=f"end of pod {self.uid}")
        try:
            await asyncio.wait([flow, ending], return_when=asyncio.FIRST_COMPLETED)
            await self._shut_down(flow)
        finally:
            ending.cancel()
            self._clean_up()

    async def _flow(self) -> None:
        """From nothing to the end of the last container."""
        self._began = asyncio.get_running_loop().time()
        self._set_deadline()
        self.publish()
        await self._set_up_volumes()
        self._sandbox = True
        self.publish()
        if await self._run_inits():
            mains = [self._spawn(each) for each in self._of_kind("container")]
            await asyncio.gather(*mains)

    async def _set_up_volumes(self) -> None:
        while True:
            try:
                self.volumes.set_up(self.pod)
            except MountError as error:
                self.event("FailedMount", str(error), warning=True)
            except OSError as error:
                self.event("FailedMount", f"MountVolume.SetUp failed: {error}", warning=True)
            else:
                return
            await self.changed(self.node.timing.config_retry_s)

    async def _run_inits(self) -> bool:
        """Run init containers in order, starting sidecars among them; whether all succeeded."""
        for worker in self._of_kind("init", "sidecar"):
            if worker.record.kind == "sidecar":
                self._spawn(worker)
                await worker.up.wait()
            elif await worker.run() != 0:
                return False
        return True

    def _spawn(self, worker: ContainerWorker) -> asyncio.Task[int]:
        task = asyncio.create_task(worker.run(), name=f"container {worker.name} of pod {self.uid}")
        self._tasks.append(task)
        return task

    def _of_kind(self, *kinds: str) -> list[ContainerWorker]:
        return [worker for worker in self.containers.values() if worker.record.kind in kinds]

    def _set_deadline(self) -> None:
        """Let the pod end at its deadline, which is counted from its start and may be lowered."""
        seconds = self.pod["spec"].get("activeDeadlineSeconds")
        if self._began is None or self.finished or seconds in {None, self._deadline_s}:
            return
        self._deadline_s = seconds
        left_s = self._began + seconds - asyncio.get_running_loop().time()
        self._later(max(left_s, 0), self._deadline_exceeded)

    def _deadline_exceeded(self) -> None:
        self.event(DEADLINE_EXCEEDED.reason, DEADLINE_EXCEEDED.message)
        self._override = self._override or DEADLINE_EXCEEDED  # also of a pod that is being deleted
        self.end(float(self.pod["spec"].get("terminationGracePeriodSeconds", 30)))

    def _later(self, seconds: float, callback: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, callback))

    # --- the end ---

    async def _shut_down(self, flow: asyncio.Task[None]) -> None:
        """Stop what runs: containers together, then sidecars, the last first."""
        if flow.done():
            self._note_failure(flow)
        await _cancel([flow])
        grace_s = self._grace_s
        if grace_s is None:
            grace_s = float(self.pod["spec"].get("terminationGracePeriodSeconds", 30))
        loop = asyncio.get_running_loop()
        until = loop.time() + grace_s
        others = self._of_kind("container", "init")
        await _cancel([task for task in self._tasks if not task.done() and not self._is_sidecar_task(task)])
        await asyncio.gather(*(worker.stop(grace_s) for worker in others))
        await _cancel(self._tasks)
        for worker in reversed(self._of_kind("sidecar")):
            await worker.stop(max(until - loop.time(), 0))
        await self._settle()

    def _is_sidecar_task(self, task: asyncio.Task[int]) -> bool:
        names = {f"container {worker.name} of pod {self.uid}" for worker in self._of_kind("sidecar")}
        return task.get_name() in names

    def _note_failure(self, flow: asyncio.Task[None]) -> None:
        """Let the pod fail if the kubelet's own code did, so that it does not run for ever."""
        error = None if flow.cancelled() else flow.exception()
        if error is not None:
            logger.error("pod %s: the kubelet failed", self.uid, exc_info=error)
            self.event("FailedSync", f"error syncing pod: {error!r}", warning=True)
            self._override = self._override or Override("KubeletError", f"the kubelet failed: {error!r}")

    async def _settle(self) -> None:
        """Write the last status, and remove the pod if its deletion was requested."""
        self._final = True
        missing = unlocated([worker.record for worker in self.containers.values()])
        if missing and self._override is DEADLINE_EXCEEDED:
            self._flush(force=True)
            await asyncio.sleep(RESYNC_S)
        for record in missing:
            self.containers[record.name].never_ran(again=self._override is not DEADLINE_EXCEEDED)
        self._flush(force=True)
        self.finished = True
        pod = self.node.store.find("pods", *self._key) or self.pod
        if pod["metadata"].get("deletionTimestamp"):
            # As a kubelet removes the containers of a deleted pod. One that has ended before keeps its logs.
            self._logs_timer = asyncio.get_running_loop().call_later(LOGS_GO_S, self._drop_logs)
        finish_deletion(self.node, pod)

    def _drop_logs(self) -> None:
        self.logs_gone = True
        self.node.files.remove_tree(self.folder / "logs")

    def _clean_up(self) -> None:
        for timer in self._timers:
            timer.cancel()
        self.finished = True

    def remove_files(self) -> None:
        """Remove the pod's folder, its logs included; readers keep what they have open."""
        if self._logs_timer is not None:
            self._logs_timer.cancel()
        self.volumes.tear_down()
        self.node.files.remove_tree(self.folder)

    # --- status ---

    @property
    def _key(self) -> tuple[str, str]:
        meta = self.pod["metadata"]
        return meta["namespace"], meta["name"]

    def _flush(self, *, force: bool = False) -> None:
        if not (self._dirty or force) or (self.finished and not force):
            return
        self._dirty = False
        with suppress(StatusError):  # it is gone: its status has no reader any more
            pod = self.node.store.update("pods", *self._key, self._write_status)
            if pod["metadata"]["uid"] == self.uid:  # not that of another pod of the same name
                self.pod = pod

    def _write_status(self, pod: dict[str, Any]) -> dict[str, Any]:
        if pod["metadata"]["uid"] != self.uid:
            return pod
        pod["status"] = compute_status(
            pod,
            [worker.record for worker in self.containers.values()],
            now=time_text(self.node.now()),
            ip=self.node.ip,
            sandbox=self._sandbox and not self._final,
            override=self._override if self._final else None,
            final=self._final,
        )
        return pod


_FIELDS = {"container": "containers", "init": "initContainers", "sidecar": "initContainers"}


def _restart_rule(kind: str, policy: str) -> Callable[[int], bool]:
    if kind == "sidecar":
        return lambda _: True
    if kind == "init":
        return lambda code: code != 0 and policy != "Never"
    return lambda code: policy == "Always" or (policy == "OnFailure" and code != 0)


async def _cancel(tasks: list[Any]) -> None:
    """Cancel tasks and wait until they have ended, with any result."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def finish_deletion(node: Node, pod: Json) -> None:
    """Give back a pod that has ended and is to be deleted.

    Its grace becomes 0, as by a kubelet's own request, and it is removed unless a finalizer holds it.
    """
    meta = pod["metadata"]
    if not meta.get("deletionTimestamp"):
        return
    key = (meta["namespace"], meta["name"])
    with suppress(StatusError):  # it is gone already
        marked = node.store.update("pods", *key, lambda obj: _without_grace(obj, meta["uid"]))
        if not marked["metadata"].get("finalizers"):
            node.store.remove("pods", *key, uid=meta["uid"])


def _without_grace(pod: dict[str, Any], uid: str) -> dict[str, Any]:
    meta = pod["metadata"]
    grace_s = meta.get("deletionGracePeriodSeconds")
    if meta["uid"] != uid or not grace_s:
        return pod
    asked = datetime.fromisoformat(meta["deletionTimestamp"]) - timedelta(seconds=grace_s)
    meta |= {"deletionTimestamp": rfc3339(asked), "deletionGracePeriodSeconds": 0}
    return pod

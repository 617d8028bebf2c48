"""The kubelet: takes the pods that are bound to its node, and answers for their logs, exec and attach."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError, bad_request
from podrunner.local.kubelet.changes import Changes
from podrunner.local.kubelet.claims import ClaimBinder
from podrunner.local.kubelet.context import ApiAccess, Node, Timing
from podrunner.local.kubelet.images import Images
from podrunner.local.kubelet.isolation import Isolation, IsolationChoice, choose_isolation
from podrunner.local.kubelet.logreader import read_log
from podrunner.local.kubelet.memory import MemoryGuard, find_cgroup
from podrunner.local.kubelet.nodeobject import capacity_here, node_object
from podrunner.local.kubelet.pod import PodWorker
from podrunner.local.kubelet.scheduler import Scheduler
from podrunner.local.kubelet.script import Lifecycle, ScriptedPods
from podrunner.local.kubelet.sweep import note_process, sweep

if TYPE_CHECKING:
    from pathlib import Path

    from podrunner.local.api.runtime import LogOptions
    from podrunner.local.api.storage.events import EventRecorder
    from podrunner.local.api.storage.store import Store
    from podrunner.local.kubelet.container import ContainerWorker
    from podrunner.local.kubelet.container_run import ContainerRun
    from podrunner.local.kubelet.logs import LogFile
    from podrunner.local.streams.process import ContainerProcess

__all__ = ["Kubelet"]

Json = Mapping[str, Any]

logger: logging.Logger = logging.getLogger(__name__)

STOP_S = 5.0
"""How long :meth:`Kubelet.stop` waits for killed containers; then it goes on without them."""
_TERMINAL = frozenset({"Succeeded", "Failed"})


class Kubelet:
    """A node with its scheduler and volume binder.

    Args:
        store: The cluster's objects.
        events: Where events go.
        folder: Where pods, logs and volumes are.
        node_name: Name of the node; its object is made if there is none.
        images: Image name → what it means (see :class:`~podrunner.local.kubelet.images.Image`).
        strict_images: Names that are not in ``images`` cannot be pulled.
        isolation: ``auto``, ``namespaces`` or ``none``.
        api: How programs in containers reach the API server.
        timing: Waits.
        capacity: Allocatable resources of the node (``{"nvidia.com/gpu": "2"}``), over those of the machine.
        log_max_size: Bytes of a log file before it is rotated.
        log_max_files: Log files kept per container run.
    """

    def __init__(  # noqa: PLR0913 - options of a node, all by keyword
        self,
        store: Store,
        events: EventRecorder,
        *,
        folder: Path,
        node_name: str = "podrunner-local",
        images: Mapping[str, Any] | None = None,
        strict_images: bool = False,
        isolation: IsolationChoice = "auto",
        api: ApiAccess | None = None,
        timing: Timing | None = None,
        capacity: Mapping[str, str] | None = None,
        log_max_size: int = 10 << 20,
        log_max_files: int = 5,
    ) -> None:
        timing = timing or Timing()
        self.node: Node = Node(
            name=node_name,
            folder=folder,
            store=store,
            events=events,
            images=Images(images, strict=strict_images),
            isolation=Isolation.NONE,
            memory=MemoryGuard(None),
            api=api or ApiAccess(),
            timing=timing,
            capacity={**capacity_here(), **(capacity or {})},
            log_max_size=log_max_size,
            log_max_files=log_max_files,
        )
        self._wanted_isolation: IsolationChoice = isolation
        self._scripts = ScriptedPods(self.node)
        self._scheduler = Scheduler(store, events, refuses=self._scripts.refuses)
        self._claims = ClaimBinder(store, events, folder / "pv")
        self._changes = Changes()
        self._workers: dict[str, PodWorker] = {}
        self._undo: list[Callable[[], None]] = []
        self._dying: set[asyncio.Task[None]] = set()

    async def start(self, api: ApiAccess | None = None) -> None:
        """Find out what this machine can do, and start.

        Args:
            api: As of the constructor, if it was not known then.

        Raises:
            RuntimeError: Namespaces were asked for, and there are none.
        """
        self.node.api = api or self.node.api
        self.node.folder.mkdir(parents=True, exist_ok=True)
        sweep(self.node.files)
        self.node.isolation = await choose_isolation(self._wanted_isolation)
        self.node.memory = MemoryGuard(find_cgroup(), poll_s=self.node.timing.memory_poll_s)
        note_process(self.node.files)
        self._register()
        self._claims.start()
        self._scheduler.start()
        self._watch()

    async def stop(self) -> None:
        """Kill everything and leave nothing but volumes; takes some seconds at most."""
        for undo in self._undo:
            undo()
        self._undo.clear()
        self._scheduler.stop()
        self._claims.stop()
        self._scripts.stop()
        workers = [*self._workers.values()]
        for worker in workers:
            worker.end(0)
            worker.kill_now()
        await self._wait_for([asyncio.create_task(worker.closed()) for worker in workers])
        self.node.memory.close()
        self._workers.clear()
        self.node.files.remove_tree(self.node.folder / "pods")
        sweep(self.node.files)

    def script(self, matches: Callable[[Json], bool] | Mapping[str, str], lifecycle: Lifecycle) -> None:
        """Let pods live a scripted life, without processes.

        Args:
            matches: Labels that a pod must have, or a function of the pod.
            lifecycle: Their life.
        """
        rule = matches if callable(matches) else _has_labels(dict(matches))
        self._scripts.add_rule(rule, lifecycle)

    def forget_scripts(self) -> None:
        """Let pods that come from now on be processes again."""
        self._scripts.forget_rules()

    # --- for the API server ---

    async def read_log(self, pod: Json, container: str, options: LogOptions) -> AsyncIterator[bytes]:
        """Yield a container's log in batches.

        Raises:
            StatusError: 400 if there is none yet, or no previous one.
        """
        # Of a container that is removed a kubelet answers with words instead of the log, and with 200.
        uid = pod["metadata"]["uid"]
        worker = self._workers.get(uid)
        if self._scripts.logs_gone(uid) or (worker is not None and worker.logs_gone):
            yield _lost_log(pod, container)
            return
        pieces = (
            self._scripts.read_log(pod, options)
            if self._scripts.knows(uid)
            else read_log(self._log(pod, container, previous=options.previous), options)
        )
        begun = False
        try:
            async for piece in pieces:
                begun = True
                yield piece
        except OSError as error:
            if begun:
                raise
            logger.warning("the log of container %r of pod %s: %s", container, uid, error)
            yield _lost_log(pod, container)

    def _log(self, pod: Json, container: str, *, previous: bool) -> LogFile:
        worker = self._container(pod, container)
        log = worker.log(previous=previous) if worker else None
        if log is None:
            raise _no_log(pod, container, worker, previous=previous)
        return log

    async def exec(
        self, pod: Json, container: str, argv: Sequence[str], *, stdin: bool, tty: bool
    ) -> ContainerProcess:
        """Start a program in a running container.

        Raises:
            StatusError: The container does not run.
            ExecFailedError: The program cannot be started.
        """
        return await self._running(pod, container).exec(argv, stdin=stdin, tty=tty)

    async def attach(  # the shape of exec
        self,
        pod: Json,
        container: str,
        *,
        stdin: bool,
        tty: bool,  # noqa: ARG002 - the container's own tty counts
    ) -> ContainerProcess:
        """Return a view of a running container's main process: its output from now on, and its input.

        Raises:
            StatusError: The container does not run.
        """
        return self._running(pod, container).attach(stdin=stdin)

    def _container(self, pod: Json, name: str) -> ContainerWorker | None:
        worker = self._workers.get(pod["metadata"]["uid"])
        return worker.containers.get(name) if worker else None

    def _running(self, pod: Json, name: str) -> ContainerRun:
        worker = self._container(pod, name)
        if worker is None or worker.current is None or not worker.current.running:
            raise StatusError(
                500, "InternalError", f'Internal error occurred: container not found ("{name}")'
            )
        return worker.current

    # --- pods ---

    def _register(self) -> None:
        store, fresh = self.node.store, node_object(self.node)
        found = store.find("nodes", "", self.node.name)
        if found is None:
            store.create("nodes", fresh)
            return

        def change(obj: dict[str, Any]) -> dict[str, Any]:
            for key in ("labels", "annotations"):
                obj["metadata"][key] = {**fresh["metadata"][key], **(obj["metadata"].get(key) or {})}
            obj["metadata"]["annotations"] |= fresh["metadata"]["annotations"]
            obj["status"] = {**fresh["status"], **(obj.get("status") or {})}
            return obj

        store.update("nodes", "", self.node.name, change)

    def _watch(self) -> None:
        store = self.node.store
        self._undo.append(store.subscribe("pods", self._on_pod))
        for resource in ("configmaps", "secrets"):
            self._undo.append(store.subscribe(resource, self._on_data))
        for resource in ("persistentvolumeclaims", "persistentvolumes"):
            self._undo.append(store.subscribe(resource, lambda *_: self._changes.notify()))
        for pod in store.list("pods"):
            self._on_pod("ADDED", pod)

    def _on_pod(self, kind: str, pod: Json) -> None:
        if pod["spec"].get("nodeName") != self.node.name:
            return
        uid = pod["metadata"]["uid"]
        if kind == "DELETED":
            self._forget(uid)
        elif uid in self._workers:
            self._workers[uid].update(pod)
        elif self._scripts.knows(uid):
            self._scripts.update(pod)
        elif (pod.get("status") or {}).get("phase") not in _TERMINAL:
            self._take(pod)

    def _take(self, pod: Json) -> None:
        try:
            script = self._scripts.find(pod)
        except ValueError as error:
            self.node.events.record(
                pod, type="Warning", reason="InvalidScript", message=f"cannot read the script: {error}"
            )
            return
        if script is not None:
            self._scripts.begin(pod, script)
            return
        worker = self._workers[pod["metadata"]["uid"]] = PodWorker(self.node, pod, self._changes)
        worker.start()
        if pod["metadata"].get("deletionTimestamp"):
            worker.update(pod)

    def _forget(self, uid: str) -> None:
        self._scripts.forget(uid)
        worker = self._workers.get(uid)
        if worker is None:
            return
        worker.vanished()
        task = asyncio.create_task(self._bury(worker), name=f"remove pod {uid}")
        self._dying.add(task)
        task.add_done_callback(self._dying.discard)

    async def _bury(self, worker: PodWorker) -> None:
        await worker.closed()
        self._workers.pop(worker.uid, None)
        worker.remove_files()

    def _on_data(self, kind: str, obj: Json) -> None:
        self._changes.notify()
        if kind == "MODIFIED":
            for worker in self._workers.values():
                if (
                    not worker.finished
                    and worker.pod["metadata"]["namespace"] == obj["metadata"]["namespace"]
                ):
                    worker.volumes.refresh(worker.pod)

    async def _wait_for(self, tasks: list[asyncio.Task[None]]) -> None:
        waiting = {*tasks, *self._dying}
        if not waiting:
            return
        _, late = await asyncio.wait(waiting, timeout=STOP_S)
        for task in late:
            logger.warning("%s did not end within %g s", task.get_name(), STOP_S)
            task.cancel()


def _has_labels(wanted: dict[str, str]) -> Callable[[Json], bool]:
    return lambda pod: wanted.items() <= (pod["metadata"].get("labels") or {}).items()


def _lost_log(pod: Json, container: str) -> bytes:
    """Return what a kubelet answers instead of the log of a container that it has removed."""
    status = pod.get("status") or {}
    statuses = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    found = next((each.get("containerID", "") for each in statuses if each["name"] == container), "")
    return f"unable to retrieve container logs for {found}".encode()


def _no_log(pod: Json, container: str, worker: ContainerWorker | None, *, previous: bool) -> StatusError:
    name = pod["metadata"]["name"]
    if previous:
        return bad_request(f'previous terminated container "{container}" in pod "{name}" not found')
    state = (worker.record.state.get("waiting") if worker else None) or {}
    reason = state.get("reason", "ContainerCreating")
    if reason in {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull"}:
        reason = "trying and failing to pull image"
    return bad_request(f'container "{container}" in pod "{name}" is waiting to start: {reason}')

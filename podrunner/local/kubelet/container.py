"""A container of a pod over all its runs: preparing, starting, restarting with back-off, stopping."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from podrunner.local.api.storage.store import rfc3339
from podrunner.local.kubelet.amounts import go_duration
from podrunner.local.kubelet.container_run import ContainerRun, stop_signal
from podrunner.local.kubelet.environment import CreateContainerConfigError, build_environment
from podrunner.local.kubelet.images import Image, ImageError, image_id, normal_name
from podrunner.local.kubelet.logreader import read_tail
from podrunner.local.kubelet.logs import LogFile
from podrunner.local.kubelet.plan import ContainerPlan, CreateContainerError, Machine, plan_container
from podrunner.local.kubelet.podstatus import ContainerRecord, unknown_end, waiting
from podrunner.local.kubelet.probes import Probe, Prober, run_action
from podrunner.local.kubelet.process import StartError
from podrunner.local.kubelet.proctree import process_start
from podrunner.local.kubelet.restart_backoff import RestartBackoff
from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from pathlib import Path

    from podrunner.local.contained import ContainedFolder
    from podrunner.local.kubelet.context import Node
    from podrunner.local.kubelet.volumes import PodVolumes

__all__ = ["ContainerWorker", "PodContext", "time_text"]

Json = Mapping[str, Any]

MESSAGE_LIMIT = 4096
"""Bytes of a termination message (``types.MaxContainerTerminationMessageLength``)."""
FALLBACK_LIMIT = 2048
FALLBACK_LINES = 80
PRESTOP_REST_S = 2.0
"""Least seconds that a container has after its preStop hook took all of its grace (``minimumGracePeriodInSeconds``)."""
NEVER = "1970-01-01T00:00:00Z"


class PodContext(Protocol):
    """The pod, as its containers see it."""

    node: Node
    pod: Json
    folder: Path
    volumes: PodVolumes

    def publish(self) -> None:
        """Write the status."""

    def event(
        self, reason: str, message: str, *, container: ContainerWorker | None = None, warning: bool = False
    ) -> None:
        """Record an event of the pod, or of one of its containers."""

    async def changed(self, timeout_s: float) -> None:
        """Wait until a config map, secret or claim changes, but not longer than this."""


def time_text(seconds: float) -> str:
    """Return a time as a status has it."""
    return rfc3339(datetime.fromtimestamp(seconds, UTC))


class ContainerWorker:
    """One container.

    Args:
        pod: Its pod.
        spec: It, in the pod's spec.
        record: What the pod's status is computed from.
        restart: Whether a run that ended with this exit code is followed by another.
    """

    def __init__(
        self, pod: PodContext, spec: Json, record: ContainerRecord, *, restart: Callable[[int], bool]
    ) -> None:
        self.spec = spec
        self.record = record
        self.current: ContainerRun | None = None
        self.logs: dict[int, LogFile] = {}
        self.up: asyncio.Event = (
            asyncio.Event()
        )  # it has started once (of a sidecar: its startup probe passed)
        self._pod = pod
        self._restart = restart
        timing = pod.node.timing
        self._crashes = RestartBackoff(timing.crash_loop_base_s, timing.crash_loop_max_s)
        self._pulls = RestartBackoff(timing.image_base_s, timing.image_max_s)
        self._probes: list[asyncio.Task[None]] = []

    @property
    def name(self) -> str:
        """Its name."""
        return str(self.spec["name"])

    @property
    def folder(self) -> Path:
        """Its own folder."""
        return self._pod.folder / "containers" / self.name

    def log(self, *, previous: bool) -> LogFile | None:
        """Return the log of the current or the previous run, None if there is none."""
        number = max(self.logs, default=0) - (1 if previous else 0)
        return self.logs.get(number)

    async def run(self) -> int:
        """Run it until it is not restarted any more; return the last exit code."""
        while True:
            image = await self._get_image()
            plan = await self._get_plan(image)
            code = await self._run_once(plan)
            if not self._restart(code):
                return code
            await self._back_off()

    async def stop(self, grace_s: float) -> None:
        """End the current run."""
        self._stop_probes()
        run = self.current
        if run is None or not run.running:
            return
        self._pod.event("Killing", f"Stopping container {self.name}", container=self)
        await self._stop_run(run, grace_s)
        self._note_end(run)

    def kill_now(self) -> None:
        """Kill it at once, without hooks or grace."""
        self._stop_probes()
        if self.current is not None and self.current.running:
            self.current.shim.kill()

    def never_ran(self, *, again: bool) -> None:
        """Record, when the pod ends, that the container has not run, or not again.

        Args:
            again: Whether the end of a run before is shown as the container's end.
        """
        if again and self.record.last_state:
            self.record.state, self.record.last_state = self.record.last_state, {}
            return
        self.record.state = unknown_end()

    # --- getting ready ---

    async def _get_image(self) -> Image:
        name, policy = self.spec.get("image", ""), self.spec.get("imagePullPolicy", "IfNotPresent")
        while True:
            try:
                image = self._pod.node.images.find(name, policy)
            except ImageError as error:
                await self._no_image(error, name)
                continue
            self._tell_pulled(name, policy)
            self.record.image_id = image_id(normal_name(name))
            return image

    def _tell_pulled(self, name: str, policy: str) -> None:
        if policy == "Always":
            self._pod.event("Pulling", f'Pulling image "{name}"', container=self)
            took = "1ms (1ms including waiting). Image size: 0 bytes."
            self._pod.event("Pulled", f'Successfully pulled image "{name}" in {took}', container=self)
        else:
            self._pod.event("Pulled", f'Container image "{name}" already present on machine', container=self)

    async def _no_image(self, error: ImageError, name: str) -> None:
        wait_s = self._pulls.failed(self._pod.node.now()) or self._pod.node.timing.image_base_s
        self._wait_as(error.reason, str(error))
        if error.reason == "ErrImagePull":
            self._pod.event("Pulling", f'Pulling image "{name}"', container=self)
            self._warn("Failed", f'Failed to pull image "{name}": {error}')
            self._warn("Failed", "Error: ErrImagePull")
            await asyncio.sleep(wait_s / 5)
            message = f'Back-off pulling image "{name}"'
            self._wait_as("ImagePullBackOff", f"{message}: ErrImagePull: {error}")
            self._pod.event("BackOff", message, container=self)
            self._warn("Failed", "Error: ImagePullBackOff")
        elif error.reason == "InvalidImageName":
            self._warn("InspectFailed", str(error))
            self._warn("Failed", "Error: InvalidImageName")
        else:
            self._warn(error.reason, str(error))
            self._warn("Failed", "Error: ErrImageNeverPull")
        await asyncio.sleep(wait_s * 4 / 5)

    async def _get_plan(self, image: Image) -> ContainerPlan:
        while True:
            try:
                return self._plan(image)
            except CreateContainerConfigError as error:
                self._wait_as("CreateContainerConfigError", str(error))
                self._warn("Failed", f"Error: {error}")
            except CreateContainerError as error:
                self._wait_as("CreateContainerError", str(error))
                self._warn("Failed", f"Error: {error}")
            await self._pod.changed(self._pod.node.timing.config_retry_s)

    def _plan(self, image: Image) -> ContainerPlan:
        node, pod = self._pod.node, self._pod.pod
        namespace = pod["metadata"]["namespace"]
        variables = build_environment(
            self.spec,
            pod,
            lambda resource, name: node.store.find(resource, namespace, name),
            base=node.base_environment(),
            capacity=node.capacity,
        )
        return plan_container(
            self.spec,
            pod,
            image=image,
            variables=variables,
            mounts=self._pod.volumes.mounts(self.spec, variables),
            folder=self.folder,
            machine=Machine.here(node.isolation),
        )

    def _wait_as(self, reason: str, message: str) -> None:
        self.record.state = waiting(reason, message)
        self._pod.publish()

    def _warn(self, reason: str, message: str) -> None:
        self._pod.event(reason, message, container=self, warning=True)

    # --- one run ---

    async def _run_once(self, plan: ContainerPlan) -> int:
        """Start it and wait for its end; return the exit code."""
        make_folders(self._pod.node.files, self.folder, plan)
        if self.logs:
            self.record.restart_count += 1
        run = self._launch(plan)
        self._pod.event("Created", f"Created container: {self.name}", container=self)
        try:
            await asyncio.shield(run.shim.started)
        except StartError as error:
            await asyncio.shield(run.ended)
            return self._could_not_start(error)
        self._note_start()
        if await self._post_start(run):
            await asyncio.shield(run.ended)
        self._stop_probes()
        return self._note_end(run)

    def _launch(self, plan: ContainerPlan) -> ContainerRun:
        node, number = self._pod.node, self.record.restart_count
        self.record.container_id = f"podrunner://{secrets.token_hex(32)}"
        limit = node.memory.limit(self.record.container_id[-16:], memory_limit(self.spec))
        if limit is not None:
            plan.spec["cgroups"] = limit.joins
        log = LogFile(
            self._pod.folder / "logs" / self.name / f"{number}.log",
            max_size=node.log_max_size,
            max_files=node.log_max_files,
            files=node.files,
        )
        self._keep_log(number, log)
        self.current = ContainerRun(
            plan,
            log,
            stdin=bool(self.spec.get("stdin")),
            stdin_once=bool(self.spec.get("stdinOnce")),
            limit=limit,
            guard=node.memory,
        )
        pid = self.current.shim.pid
        node.files.write(self.folder / "shim.pid", b"%d %d\n" % (pid, process_start(pid)))
        return self.current

    def _keep_log(self, number: int, log: LogFile) -> None:
        """Keep the logs of the current and the previous run, as a kubelet does; remove older ones."""
        self.logs[number] = log
        for old in [each for each in self.logs if each < number - 1]:
            self.logs.pop(old).remove()

    def _note_start(self) -> None:
        self._pod.event("Started", f"Started container {self.name}", container=self)
        startup, readiness = Probe.of(self.spec, "startup"), Probe.of(self.spec, "readiness")
        self.record.state = {"running": {"startedAt": time_text(self._pod.node.now())}}
        self.record.started = startup is None
        self.record.ready = startup is None and readiness is None
        if startup is None:
            self._started()
        else:
            self._probe(startup)
        self._pod.publish()

    def _started(self) -> None:
        """Count it as started in the sense of startup probes: the other probes begin."""
        self.record.started = True
        self.up.set()
        for kind in ("liveness", "readiness"):
            if probe := Probe.of(self.spec, kind):
                self._probe(probe)

    async def _post_start(self, run: ContainerRun) -> bool:
        """Run the hook; False if it failed and the container was ended for it."""
        hook = (self.spec.get("lifecycle") or {}).get("postStart")
        if not hook:
            return True
        failure = await run_action(hook, run, self.spec, ip=self._pod.node.ip)
        if failure is None or not run.running:
            return True
        self._warn("FailedPostStartHook", f"PostStartHook failed: {failure}")
        self._pod.event("Killing", "FailedPostStartHook", container=self)
        await self._stop_run(run, self._grace_s())
        return False

    def _could_not_start(self, error: StartError) -> int:
        message = _start_words(self.spec, error)
        self._warn("Failed", f"Error: {message}")
        now = time_text(self._pod.node.now())
        state = {
            "exitCode": 128,
            "reason": "StartError",
            "message": message,
            "startedAt": NEVER,
            "finishedAt": now,
        }
        self._terminated({**state, "containerID": self.record.container_id})
        return 128

    def _note_end(self, run: ContainerRun) -> int:
        """Write down how a run ended."""
        code = run.ended.result()
        started = (self.record.state.get("running") or {}).get("startedAt")
        if started is None:
            return code
        killed = run.out_of_memory and code != 0
        reason = "OOMKilled" if killed else "Completed" if code == 0 else "Error"
        message = self._termination_message(run, code)
        state = {"exitCode": code, "reason": reason, **({"message": message} if message else {})}
        state |= {"startedAt": started, "finishedAt": time_text(self._pod.node.now())}
        self._terminated({**state, "containerID": self.record.container_id})
        run.release()
        return code

    def _terminated(self, state: dict[str, Any]) -> None:
        self.record.state = {"terminated": state}
        self.record.ready = self.record.started = False
        self._pod.publish()

    def _termination_message(self, run: ContainerRun, code: int) -> str:
        with suppress(OSError):
            note = self._pod.node.files.read(self.folder / "termination-log", MESSAGE_LIMIT)
            if note:
                return note.decode(errors="replace")
        if self.spec.get("terminationMessagePolicy") == "FallbackToLogsOnError" and code != 0:
            with suppress(OSError):
                return read_tail(run.log, lines=FALLBACK_LINES, size=FALLBACK_LIMIT)
        return ""

    # --- restarting and stopping ---

    async def _back_off(self) -> None:
        node, meta = self._pod.node, self._pod.pod["metadata"]
        wait_s = self._crashes.failed(node.now())
        ended, self.record.last_state = self.record.state, self.record.state
        if not wait_s:
            self.record.state = ended
            return
        full = f"{meta['name']}_{meta['namespace']}({meta['uid']})"
        message = f"back-off {go_duration(wait_s)} restarting failed container={self.name} pod={full}"
        self._wait_as("CrashLoopBackOff", message)
        self._warn("BackOff", f"Back-off restarting failed container {self.name} in pod {full}")
        await asyncio.sleep(wait_s)

    async def _stop_run(self, run: ContainerRun, grace_s: float) -> None:
        hook = (self.spec.get("lifecycle") or {}).get("preStop")
        if hook and grace_s > 0:
            grace_s = await self._pre_stop(hook, run, grace_s)
        await run.stop(grace_s, stop_signal(self.spec))

    async def _pre_stop(self, hook: Json, run: ContainerRun, grace_s: float) -> float:
        """Run the hook within the grace; what is left of it."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with asyncio.timeout(grace_s):
                failure = await run_action(hook, run, self.spec, ip=self._pod.node.ip)
        except TimeoutError:
            failure = f"timed out after {grace_s:g}s"
        if failure is not None:
            self._warn("FailedPreStopHook", f"PreStopHook failed: {failure}")
        return max(grace_s - (loop.time() - began), PRESTOP_REST_S)

    def _grace_s(self) -> float:
        return float(self._pod.pod["spec"].get("terminationGracePeriodSeconds", 30))

    # --- probes ---

    def _probe(self, probe: Probe) -> None:
        run = self.current
        if run is None:
            return
        prober = Prober(
            probe,
            lambda: run_action(probe.action, run, self.spec, ip=self._pod.node.ip),
            on_change=lambda good: self._on_verdict(probe, run, good=good),
            on_failure=lambda why: self._warn("Unhealthy", f"{probe.kind.capitalize()} probe failed: {why}"),
        )
        self._probes.append(asyncio.create_task(prober.run(), name=f"{probe.kind} probe of {self.name}"))

    def _on_verdict(self, probe: Probe, run: ContainerRun, *, good: bool) -> None:
        if probe.kind == "readiness":
            self.record.ready = good
        elif good and probe.kind == "startup":
            self.record.ready = Probe.of(self.spec, "readiness") is None
            self._started()
        elif not good:
            self._kill_unhealthy(probe, run)
        self._pod.publish()

    def _kill_unhealthy(self, probe: Probe, run: ContainerRun) -> None:
        message = f"Container {self.name} failed {probe.kind} probe, will be restarted"
        self._pod.event("Killing", message, container=self)
        grace_s = float(probe.action.get("terminationGracePeriodSeconds") or self._grace_s())
        self._probes.append(asyncio.create_task(self._stop_run(run, grace_s), name=f"stop {self.name}"))

    def _stop_probes(self) -> None:
        for task in self._probes:
            task.cancel()
        self._probes.clear()


def memory_limit(container: Json) -> int | None:
    """Bytes, None without a limit."""
    value = ((container.get("resources") or {}).get("limits") or {}).get("memory")
    return None if value is None else int(parse_quantity(value))


def make_folders(files: ContainedFolder, folder: Path, plan: ContainerPlan) -> None:
    """Fresh private folders: a container that is restarted does not see what its last run left."""
    files.remove_tree(folder)
    program = plan.spec["program"]
    owner = None if program["uid"] is None else (program["uid"], program["gid"] or 0)
    for name in ("scratch", "home", "root", "upper", "work"):
        files.make_folder(folder / name, owner=owner)
    files.create(folder / "termination-log", mode=0o666).close()


def _start_words(container: Json, error: StartError) -> str:
    """Return the words of containerd for a program that cannot be started."""
    first: Sequence[str] = container.get("command") or container.get("args") or [""]
    what = (
        f'exec: "{first[0]}": {error}'
        if "chdir" not in str(error) and "mount" not in str(error)
        else str(error)
    )
    why = f"runc create failed: unable to start container process: {what}: unknown"
    return f"failed to create containerd task: failed to create shim task: OCI runtime create failed: {why}"

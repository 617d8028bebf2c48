"""The demo's story: launch, the pod's life, a look inside, the outcome, the log."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.cli.table import PodTable
from podrunner.cli.watching import PodWatching
from podrunner.errors import LogError
from podrunner.logs import LocalFile, LogDocument, LogQuery, LogReader
from podrunner.outcome import Category, printer_status, ready_column, restarts_of
from podrunner.runner import AsyncPodRunner

if TYPE_CHECKING:
    from podrunner.cli.watching import PodChange
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner import AsyncPod
    from podrunner.workload import Workload

__all__ = ["Narrator", "State", "Story", "tell"]

LOOK_INSIDE = (
    ["sh", "-c", 'ls -l "$AIRFLOW__CORE__DAGS_FOLDER"'],
    ["sh", "-c", 'echo "$SQL_ALCHEMY_CONN"'],
)
GONE_WITHIN_S = 60


class Narrator:
    """Prints the story as it happens, or nothing (for ``--json``)."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent

    def say(self, text: str) -> None:
        """Print a line."""
        if not self._silent:
            print(text, flush=True)


@dataclass(frozen=True, slots=True)
class State:
    """What ``kubectl get pod -w`` shows of a pod at one moment."""

    status: str
    ready: str
    restarts: int


@dataclass(frozen=True, slots=True)
class Look:
    """A command that was run inside the pod."""

    command: list[str]
    exit_code: int
    stdout: str


@dataclass(frozen=True, slots=True)
class Story:
    """All that happened."""

    pod: str
    namespace: str
    manifest: dict[str, Any]
    states: list[State]
    looks: list[Look]
    outcome: Outcome
    log_header: str
    log_lines: list[str]
    left: dict[str, int] = field(default_factory=dict)

    @property
    def succeeded(self) -> bool:
        """Whether the task did, and nothing is left."""
        return self.outcome.category is Category.SUCCEEDED and not any(self.left.values())

    def with_left(self, **counts: int) -> Story:
        """Add what was left behind."""
        return replace(self, left=counts)

    def to_dict(self) -> dict[str, Any]:
        """Return the story as plain JSON data."""
        return {
            "pod": self.pod,
            "namespace": self.namespace,
            "manifest": self.manifest,
            "states": [asdict(state) for state in self.states],
            "exec": [asdict(look) for look in self.looks],
            "outcome": self.outcome.to_dict(),
            "log": {"header": self.log_header, "lines": self.log_lines},
            "left": self.left,
        }


async def tell(client: KubeClient, config: RunnerConfig, workload: Workload, narrator: Narrator) -> Story:
    """Run the workload and tell what happens."""
    life = _Life(client, config, narrator)
    async with AsyncPodRunner(config, client=client) as runner, anyio.create_task_group() as tasks:
        await tasks.start(life.watch, name="podrunner-demo-watch")
        pod = await runner.launch(workload)
        narrator.say(
            f"Launched pod {pod.namespace}/{pod.name}. Its life, as `kubectl get pod -w` shows it:\n"
        )
        manifest = await pod.manifest()
        tasks.start_soon(life.end_with, pod, name="podrunner-demo-end")
        await life.running.wait()
        looks = [await _look(pod, command, narrator) for command in LOOK_INSIDE] if not life.ended else []
        outcome = await pod.wait()
        with anyio.fail_after(GONE_WITHIN_S):
            await life.gone.wait()
        tasks.cancel_scope.cancel()
    narrator.say(f"\nOutcome: {outcome}\n")
    log = await _read_log(config, workload)
    narrator.say(str(log).rstrip())
    return Story(pod.name, pod.namespace, manifest, life.states, looks, outcome, log.header, list(log.lines))


async def _read_log(config: RunnerConfig, workload: Workload) -> LogDocument:
    assert config.logs.folder is not None, "the stage sets it"
    try:
        return await LogReader([LocalFile(config.logs.folder)]).read(LogQuery(log_path=workload.log_path))
    except LogError as error:  # a pod that never ran has none
        return LogDocument("file", f"*** {error}", ())


async def _look(pod: AsyncPod, command: list[str], narrator: Narrator) -> Look:
    result = await pod.exec(command)
    stdout = result.stdout.decode(errors="replace")
    narrator.say(f"    $ podrunner exec {pod.name} -- {command[-1]}")
    for line in stdout.splitlines():
        narrator.say(f"    {line}")
    return Look(command, result.exit_code, stdout)


class _Life:
    """Follows the pods of a namespace and prints each change of what kubectl would show."""

    def __init__(self, client: KubeClient, config: RunnerConfig, narrator: Narrator) -> None:
        self._watched = PodWatching(
            client,
            config.namespace,
            selector="dag_id=sample_k8s",
            attempts=config.retry.attempts,
            on_change=self._changed,
        )
        self._before: set[str] | None = None
        self._listed = anyio.Event()
        self._narrator = narrator
        self._table = PodTable()
        self.states: list[State] = []
        self.running = anyio.Event()
        self.gone = anyio.Event()
        self.ended = False

    async def watch(self, *, task_status: anyio.abc.TaskStatus[None]) -> None:
        """Print until cancelled; a watch that ends is begun anew."""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._watched.run, name="podrunner-demo-pods")
            await self._listed.wait()
            task_status.started()

    async def end_with(self, pod: AsyncPod) -> None:
        """Wait for the pod's outcome: one that never runs has one, too."""
        await pod.wait()
        self.ended = True
        self.running.set()

    async def _changed(self, change: PodChange) -> None:
        if self._before is None:
            self._before = {pod.metadata.uid for pod in change.pods}
            self._listed.set()
            return
        pods = [pod for pod in change.pods if pod.metadata.uid not in self._before]
        for pod in pods:
            self._see(pod, is_gone=change.is_gone)
        if change.is_list and self.states and not pods:
            self.gone.set()

    def _see(self, pod: Pod, *, is_gone: bool) -> None:
        if is_gone:
            self.gone.set()
        state = State(printer_status(pod, classic=True), ready_column(pod), restarts_of(pod))
        self.ended = pod.status.phase in {"Succeeded", "Failed"}
        if state.status == "Running" or self.ended:
            self.running.set()
        if not self.states or state != self.states[-1]:
            self.states.append(state)
            self._narrator.say(self._table.line(pod))

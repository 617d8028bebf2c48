"""The measured run: a runner, its pods, and what they took.

However it ends, no pod is left: the runner cancels what still runs, and on a cluster a last look by the run's label
deletes what a runner that could not close left behind.
"""

from __future__ import annotations

import logging
import time
from contextlib import asynccontextmanager, nullcontext, suppress
from typing import TYPE_CHECKING, Any, Final

import anyio
import msgspec

from podrunner.bench.counting import CountingTransport
from podrunner.bench.hold import AllLive, Hold
from podrunner.bench.memory import MemorySamples, per_live_pod
from podrunner.bench.plan import (
    PART_OF,
    RUN_LABEL,
    SCRIPT,
    Life,
    Plan,
    Target,
    command_of,
    lives_of,
    script_of,
)
from podrunner.bench.recording import Recorder
from podrunner.bench.servers import served
from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, SCOPE
from podrunner.config import RunnerConfig
from podrunner.errors import ForbiddenError, PodrunnerError, UsageError
from podrunner.kube import connect
from podrunner.runner import AsyncPodRunner
from podrunner.workload import Resources, Workload

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractContextManager

    from podrunner.bench.marks import Marks
    from podrunner.bench.servers import BenchServer
    from podrunner.kube import KubeClient, Transport

__all__ = ["Figures", "measured", "prepared"]

_logger = logging.getLogger(__name__)

_WARM: Final = 20
"""Pods that go before on a stub or a LocalCluster: imports and first connections are not measured."""
_ENDS_WITHIN_S: Final = 90.0
"""As long as closing a runner waits for the ends of its pods."""
_SWEEP_WITHIN_S: Final = 60.0
_LOOKS_EVERY_S: Final = 1.0


class Figures(msgspec.Struct, kw_only=True):
    """What was measured.

    Attributes:
        plan: What was launched.
        began_s: When the pods were handed to the runner (monotonic).
        wall_s: Seconds until the last of them was gone.
        cpu_s: CPU time of this process meanwhile, with the measuring.
        server_cpu_s: That of the server's process; None on a cluster.
        calls: API calls meanwhile, by verb and resource.
        marks: When each pod passed which point.
        problems: What was not as planned.
        log_lines: Lines of logs that were read.
        log_gaps: Gaps in them.
        memory_begin: Bytes of this process before the first pod.
        memory_peak: The most bytes meanwhile.
        memory_per_live_pod: Bytes per live pod when most were live; None: too few ever were.
        left: Pods and Leases that the run left behind; without Leases on a cluster that refuses to list them.
        live: What it took until all pods were live, if they were held.
    """

    plan: Plan
    began_s: float
    wall_s: float
    cpu_s: float
    calls: dict[str, int]
    marks: list[Marks]
    problems: list[str]
    log_lines: int
    log_gaps: int
    memory_begin: int
    memory_peak: int
    memory_per_live_pod: float | None
    server_cpu_s: float | None = None
    left: dict[str, int] = {}
    live: AllLive | None = None


def prepared(config: RunnerConfig, plan: Plan) -> RunnerConfig:
    """Return a configuration for the run: of the given one, how the cluster is reached and what its pods need.

    Args:
        config: The user's.
        plan: What is launched.
    """
    changes: dict[str, Any] = {
        "image": plan.image,
        "labels": {**config.labels, PART_OF: "podrunner-bench", RUN_LABEL: plan.run},
        "scope": f"bench-{plan.run}",
        "owner": None,
        "airflow": None,
        "namespaces": (),
        "all_namespaces": False,
        "delete_pods": True,
        "delete_pods_on_failure": True,
        "outcome_delivery": "taken",
        "outcome_finalizer": False,
        "adopt_every_s": None,
        "max_active_pods": plan.concurrency,
        "submit_queue_size": max(plan.pods, 1_000),
        "logs": {"follow": "all" if plan.log_lines else "off"},
    }
    if plan.target is Target.CLUSTER:
        changes["resources"] = Resources(requests={"cpu": plan.cpu, "memory": plan.memory})
    return config.with_changes(**changes)


async def measured(
    plan: Plan,
    config: RunnerConfig | None = None,
    *,
    show: Callable[[AsyncPodRunner], AbstractContextManager[object]] = nullcontext,
) -> Figures:
    """Launch the pods of a plan, and measure.

    Args:
        plan: What is launched, and where.
        config: How the user's cluster is reached; for any other target None.
        show: Called with the runner; a context around the run, such as a progress bar.

    Raises:
        UsageError: The time limit is over; nothing is left.
    """
    if config is not None:
        async with _client_for(prepared(config, plan)) as (client, counts):
            try:
                figures = await _run(plan, prepared(config, plan), client, counts, show)
            finally:
                left = await _sweep(client, config.namespace, plan.run)
            leases = await _leases_left(client, config.namespace, scope=prepared(config, plan).scope)
            figures.left = {"pods": left, **leases}
            return figures
    async with served(plan.target) as server:
        given = RunnerConfig(cluster="kubeconfig", kubeconfig=server.kubeconfig)
        ready = prepared(given, plan)
        async with _client_for(ready) as (client, counts):
            return await _run(plan, ready, client, counts, show, server)


@asynccontextmanager
async def _client_for(config: RunnerConfig) -> AsyncIterator[tuple[KubeClient, CountingTransport]]:
    counts: list[CountingTransport] = []

    def counted(transport: Transport) -> Transport:
        counts.append(CountingTransport(transport))
        return counts[0]

    async with connect(config, around=counted) as client:
        yield client, counts[0]


async def _run(
    plan: Plan,
    config: RunnerConfig,
    client: KubeClient,
    counts: CountingTransport,
    show: Callable[[AsyncPodRunner], AbstractContextManager[object]],
    server: BenchServer | None = None,
) -> Figures:
    recorder = Recorder()
    sinks = recorder.sinks if plan.log_lines else None
    async with AsyncPodRunner(config, client=client, log_sinks=sinks) as runner:
        await runner.wait_synced()
        if server is not None:
            await _warm_up(plan, runner)
        try:
            with anyio.move_on_after(plan.time_limit_s) as limit, show(runner):
                figures = await _walk(plan, runner, recorder, counts, server)
        finally:
            await _end_all(runner)
        if limit.cancelled_caught:
            done = f"{recorder.done} of {plan.pods} pods had their outcome"
            raise UsageError(
                f"the time limit of {plan.time_limit_s:g} s is over, and {done}; the rest is deleted"
            )
    if server is not None:
        after = await server.figures()
        figures.left = after["left"]
        recorder.passed(after["passed"])
    return figures


async def _walk(
    plan: Plan,
    runner: AsyncPodRunner,
    recorder: Recorder,
    counts: CountingTransport,
    server: BenchServer | None,
) -> Figures:
    lives = lives_of(plan)
    workloads = _workloads(plan, lives)
    served_s = (await server.figures())["cpu_s"] if server is not None else None
    memory, calls = MemorySamples(), counts.calls.copy()
    async with anyio.create_task_group() as tasks, runner.events() as events:
        tasks.start_soon(memory.run, name="podrunner-bench-memory")
        began_s, cpu_s = time.monotonic(), time.process_time()
        hold = Hold(server, memory.samples[0][1]) if plan.held and server is not None else None
        batch = await runner.submit_many(workloads)
        for failure in batch.errors:
            raise failure.error
        recorder.submitted(list(batch), lives, began_s)
        async for event in events:
            recorder.note(event)
            if hold is not None and hold.live is None and recorder.running == plan.pods:
                await hold.end()
            if recorder.is_over:
                break
        wall_s, cpu_s = time.monotonic() - began_s, time.process_time() - cpu_s
        tasks.cancel_scope.cancel()
    recorder.created(counts.creates)
    marks = list(recorder.marks.values())
    return Figures(
        plan=plan,
        began_s=began_s,
        wall_s=wall_s,
        cpu_s=cpu_s,
        server_cpu_s=None if server is None else (await server.figures())["cpu_s"] - served_s,
        calls=dict(counts.calls - calls),
        marks=marks,
        problems=recorder.problems,
        log_lines=recorder.lines,
        log_gaps=recorder.gaps,
        memory_begin=memory.samples[0][1],
        memory_peak=max(used for _, used in memory.samples),
        memory_per_live_pod=per_live_pod(memory.samples, _live(marks)),
        live=hold.live if hold is not None else None,
    )


def _live(marks: Sequence[Marks]) -> list[tuple[float, float]]:
    return [(each.created, each.deleted) for each in marks if each.created and each.deleted]


async def _warm_up(plan: Plan, runner: AsyncPodRunner) -> None:
    workloads = [
        Workload(key=_key(plan, f"warm-{number}"), command=("true",), annotations={SCRIPT: "{}"})
        for number in range(min(_WARM, plan.pods))
    ]
    batch = await runner.launch_many(workloads)
    for pod in batch:
        await pod.wait()
    await runner.wait_all()


def _workloads(plan: Plan, lives: Sequence[Life]) -> list[Workload]:
    if plan.target is Target.CLUSTER:
        return [
            Workload(key=_key(plan, str(number)), command=command_of(life))
            for number, life in enumerate(lives)
        ]
    return [
        Workload(
            key=_key(plan, str(number)),
            command=("true",),
            annotations={SCRIPT: script_of(life, held=plan.held)},
        )
        for number, life in enumerate(lives)
    ]


def _key(plan: Plan, number: str) -> Any:
    return {"bench": plan.run, "n": number}


async def _end_all(runner: AsyncPodRunner) -> None:
    """Cancel the pods that are not over, and take their outcomes: a pod whose outcome no caller takes stays."""
    with anyio.CancelScope(shield=True), anyio.move_on_after(_ENDS_WITHIN_S):
        pods = runner.pods()
        await runner.cancel_many([pod for pod in pods if not pod.done], wait=False)
        for pod in pods:
            with suppress(PodrunnerError):  # it is lost, or was never created: then there is nothing to take
                await pod.wait()


async def _sweep(client: KubeClient, namespace: str, run: str) -> int:
    """Delete the pods that bear the run's label until none is there, for a bounded time; return how many are left.

    Raises:
        PodrunnerError: The cluster cannot be asked; a warning says how to look for the pods.
    """
    selector, left = f"{RUN_LABEL}={run}", -1
    try:
        with anyio.CancelScope(shield=True), anyio.move_on_after(_SWEEP_WITHIN_S):
            while pods := (await client.list_pods(namespace, label_selector=selector)).items:
                left = len(pods)
                for pod in pods:
                    await client.delete_pod(namespace, pod.metadata.name, uid=pod.metadata.uid)
                await anyio.sleep(_LOOKS_EVERY_S)
            return 0
    except PodrunnerError:
        _warn(namespace, selector, "may be")
        raise
    _warn(namespace, selector, "are")
    return left


async def _leases_left(client: KubeClient, namespace: str, *, scope: str) -> dict[str, int]:
    """Count the Leases of the run's scope; nothing if they may not be listed, which a runner does without.

    Raises:
        PodrunnerError: The cluster cannot be asked.
    """
    selector = f"{MANAGED_BY}={MANAGER},{SCOPE}={safe_label(scope)}"
    try:
        return {"leases": len((await client.list_leases(namespace, label_selector=selector)).items)}
    except ForbiddenError:
        return {}


def _warn(namespace: str, selector: str, what: str) -> None:
    _logger.warning(
        "pods %s left in namespace %s: kubectl delete pods -n %s -l %s", what, namespace, namespace, selector
    )

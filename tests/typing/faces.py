"""The public face with its types, as users' code sees it: mypy checks this file, no test runs it."""

from __future__ import annotations

from typing import assert_type

import podrunner
import tenacity
from podrunner import (
    AsyncPod,
    AsyncPodRunner,
    LaunchBatch,
    Outcome,
    Pod,
    PodRunner,
    RetryPolicy,
    Run,
    RunnerConfig,
    RunnerEvent,
    Workload,
)


def blocking(config: RunnerConfig, workloads: list[Workload]) -> None:
    with PodRunner(config) as runner:
        pod = runner.launch(workloads[0])
        assert_type(pod, Pod)
        for line in pod.logs():
            assert_type(line, str)
        assert_type(pod.wait(timeout_s=1.0), Outcome)
        batch = runner.launch_many(workloads)
        assert_type(batch, LaunchBatch[Pod])
        assert_type(batch[0], Pod)
        assert_type(runner.poll_events(max_events=10), list[RunnerEvent[Pod]])
        with runner.events() as events:
            for event in events:
                assert_type(event.outcome, Outcome | None)
        assert_type(runner.health().stale, bool)
        assert_type(pod.exec(["ls"]).exit_code, int)
        run = runner.run(workloads[0], retry=RetryPolicy(attempts=2, wait=tenacity.wait_exponential()))
        assert_type(run.pod, Pod | None)
        assert_type(run.wait(), Outcome)
        assert_type(pod.done, bool)
        assert_type(pod.result().raise_for_failure(), Outcome)
        assert_type(run.result(), Outcome)
        assert_type(next(events), RunnerEvent[Pod])
        assert_type(list(runner.as_completed([pod])), list[Pod])
        assert_type(list(runner.as_completed([run], timeout_s=1)), list[Run])
        assert_type(list(runner.map(workloads, retry=RetryPolicy())), list[Outcome])


async def asynchronous(workloads: list[Workload]) -> None:
    async with AsyncPodRunner() as runner:
        pods = await runner.launch_many(workloads)
        assert_type(pods, LaunchBatch[AsyncPod])
        assert_type(runner.submit(workloads[0]), AsyncPod)
        async with runner.events() as events:
            async for event in events:
                assert_type(event, RunnerEvent[AsyncPod])
            assert_type(await anext(events), RunnerEvent[AsyncPod])
        assert_type(await pods[0], Outcome)
        async for done in runner.as_completed(pods, timeout_s=1):
            assert_type(done, AsyncPod)
        async for outcome in runner.map(workloads):
            assert_type(outcome, Outcome)
        assert_type(await runner.run(workloads[0]), Outcome)
        async for line in pods[0].logs(follow=False):
            assert_type(line, str)
        assert_type(await pods[0].wait(), Outcome)
        assert_type(await runner.adopt(), list[AsyncPod])
        assert_type(await runner.submit_when_room(workloads[0], timeout_s=1.0), AsyncPod)
        assert_type(await runner.run(workloads[0]).wait(timeout_s=1.0), Outcome)


def told(event: RunnerEvent) -> None:
    """A function of a user's, which need not say whose handles the events carry."""
    assert event.pod.key == event.key


def scheduler(runner: PodRunner, workloads: list[Workload]) -> None:
    batch = runner.submit_many(workloads, priority=lambda workload: len(workload.command or ()), group="dag")
    assert_type(batch, LaunchBatch[Pod])
    assert_type(runner.run_many(workloads, retry=RetryPolicy(attempts=2)), LaunchBatch[Run])
    runner.cancel_many([*batch, runner.run(workloads[0])], wait=False)
    assert_type(runner.pod(workloads[0].key), Pod)
    for event in runner.poll_events():
        told(event)
        assert_type(event.pod, Pod)


def lazily_loaded() -> None:
    assert_type(podrunner.build_pod(podrunner.RunnerConfig(), Workload(key={"n": "1"})), dict[str, object])  # type: ignore[assert-type]  # dict[str, Any]
    assert_type(podrunner.WorkloadKey({"n": "1"}).attempt, int)


def arguments(limits: dict[str, float]) -> None:
    Workload(key={"job": "a", "n": 3}, command=["sh"], env={"A": "b"}, volumes=[{"name": "data"}])
    RunnerConfig(pending={"image_grace_s": 5}, namespaces=["a"], logs={"folder": "logs"}, kubeconfig="config")
    RunnerConfig(pending=limits, failure_policy=[{"name": "a", "action": "fail", "on_reasons": ["Evicted"]}])
    Workload(command=["sh"])  # type: ignore[call-arg]  # no key
    Workload(key={"job": "a"}, comand=["sh"])  # type: ignore[call-arg]

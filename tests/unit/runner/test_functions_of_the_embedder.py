"""Whatever a function of the embedder's raises or returns is the trouble of one pod."""

from __future__ import annotations

from typing import Any

import pytest
from podrunner.errors import SpecError
from podrunner.logs import CallableSink
from podrunner.runner import EventKind
from podrunner.runner.retries import RetryPolicy
from tests.support.event_loops import asyncio_only
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


anyio_backend = asyncio_only  # files are written in threads, for which virtual time does not wait

LINE = "2024-05-01T10:20:30.000000001Z hello"


def fail(*_: object, **__: object) -> Any:
    return 1 / 0


def yields_and_fails(_: object) -> Any:
    yield lambda _: CallableSink(print)
    raise ZeroDivisionError


class FailingSink:
    open = write = gap = close = fail


LOG_SINKS = {
    "raises": fail,
    "gives nothing": lambda _: None,
    "gives no sequence": lambda _: 7,
    "gives no functions": lambda _: [CallableSink(print)],
    "fails half way": yields_and_fails,
    "has a factory that raises": lambda _: [fail],
    "has a factory that makes nothing": lambda _: [lambda _: None],
    "has a sink that raises": lambda _: [lambda _: FailingSink()],
    "has a function that raises": lambda _: [lambda _: CallableSink(fail)],
    "takes no pod": list,
}


@pytest.mark.parametrize("log_sinks", LOG_SINKS.values(), ids=LOG_SINKS)
async def test_log_sinks_that_fail_are_the_trouble_of_one_pods_log(cluster: Cluster, tmp_path, log_sinks):
    """H9: the outcome stands, the file has the log, the trouble is an event, and the runner goes on."""
    async with running(cluster, log_sinks=log_sinks, logs={"folder": tmp_path}) as runner:
        for number in range(2):
            pod = await runner.launch(workload(number, log_path=f"{number}.log"))
            cluster.logs[pod.name] = [LINE]
            cluster.play(pod.name)
            assert (await pod.wait(30)).succeeded
            await until(lambda pod=pod: ("default", pod.name) not in cluster.pods)
            assert (tmp_path / f"{number}.log").read_text() == "hello\n"
        await runner.wait_all(30)
        troubles = [event for event in runner.poll_events() if event.kind is EventKind.LOG_TROUBLE]
        assert [event.key for event in troubles] == [workload(number).key for number in range(2)], (
            "once for each pod"
        )


async def test_without_another_sink_the_log_is_lost_and_the_event_says_so(cluster: Cluster):
    """H9: `log_sinks=lambda pod: 1/0`."""
    async with running(cluster, log_sinks=lambda pod: 1 / 0, logs={}) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = [LINE]
        cluster.run(pod.name)
        cluster.finish(pod.name, exit_code=3)
        assert (await pod.wait(30)).exit_code == 3
        await runner.wait_all(30)
        [trouble] = [event for event in runner.poll_events() if event.kind is EventKind.LOG_TROUBLE]
        assert (trouble.name, "log_sinks failed: ZeroDivisionError" in trouble.message) == (pod.name, True)
        assert runner.health().log_troubles == 1


POD_HOOKS = {
    "raises": fail,
    "gives no pod": lambda _: 7,
    "gives a pod without a spec": lambda _: {"metadata": {}},
    "gives a pod of another shape": lambda pod: {**pod, "spec": {"containers": "none"}},
    "gives labels of another shape": lambda pod: {**pod, "metadata": {"labels": ["a"]}},
    "gives names of another shape": lambda pod: {**pod, "spec": {"containers": [{"name": 7}]}},
    "takes no pod": lambda: None,
}


@pytest.mark.parametrize("call", ["launch", "submit", "run", "launch_many"])
@pytest.mark.parametrize("hook", POD_HOOKS.values(), ids=POD_HOOKS)
async def test_a_pod_hook_that_fails_is_the_trouble_of_one_launch(cluster: Cluster, hook, call):
    """H9: the call raises, no pod is made, and the next one is launched."""
    broken = [True]

    def hooked(pod):
        return hook(pod) if broken[0] else None

    async with running(cluster, pod_hook=hooked) as runner:
        if call == "launch_many":
            [failed] = (await runner.launch_many([workload(1)])).errors
            assert isinstance(failed.error, SpecError)
        elif call == "launch":
            with pytest.raises(SpecError):
                await runner.launch(workload(1))
        else:
            with pytest.raises(SpecError):
                getattr(runner, call)(workload(1))
        assert not cluster.pods
        broken[0] = False
        pod = await runner.launch(workload(2))
        cluster.play(pod.name)
        assert (await pod.wait(30)).succeeded


async def test_a_pod_hook_that_fails_at_the_second_try_ends_that_run_alone(cluster: Cluster):
    """H9: within the runner's own task."""
    broken = [False]

    def hook(pod):
        return fail() if broken[0] else None

    policy = RetryPolicy(attempts=3, wait=0, retry_if=lambda _: True)
    async with running(cluster, pod_hook=hook) as runner:
        run = runner.run(workload(1), retry=policy)
        await until(lambda: cluster.pods)
        broken[0] = True
        cluster.play(next(iter(cluster.pods))[1], exit_code=3)
        outcome = await run.wait(30)
        assert "the pod hook failed" in str(outcome)
        broken[0] = False
        pod = await runner.launch(workload(2))
        cluster.play(pod.name)
        assert (await pod.wait(30)).succeeded


@pytest.mark.parametrize(
    "policy", [{"retry_if": fail}, {"retry_if": lambda _: True, "wait": fail}], ids=["retry_if", "wait"]
)
async def test_a_retry_policy_that_fails_ends_that_run_alone(cluster: Cluster, policy):
    """H9: the run has the outcome of its pod, and is not tried again."""
    async with running(cluster) as runner:
        run = runner.run(workload(1), retry=RetryPolicy(attempts=3, **policy))
        await until(lambda: cluster.pods)
        cluster.play(next(iter(cluster.pods))[1], exit_code=3)
        assert (await run.wait(30)).exit_code == 3
        pod = await runner.launch(workload(2))
        cluster.play(pod.name)
        assert (await pod.wait(30)).succeeded

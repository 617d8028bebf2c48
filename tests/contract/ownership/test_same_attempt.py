"""A script that is run again finds the pod of its attempt: as real processes, and two runners side by side."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from podrunner import AsyncPodRunner, RetryPolicy, RunnerConfig, Workload
from podrunner.errors import AttemptEndedError, AttemptOwnedError
from podrunner.runner import EventKind
from tests.contract.ownership.script import LAUNCHED
from tests.support.event_loops import asyncio_only
from tests.support.waiting import until, until_blocking

pytestmark = pytest.mark.processes
anyio_backend = asyncio_only

SCRIPT = Path(__file__).with_name("script.py")
LEASE_S = 8
"""Short, for the test's sake, yet a busy machine may well stop a process for seconds; the difference of clocks (5 s)
comes to it."""


class Script:
    """One process of the script, and what it printed."""

    def __init__(self, settings: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(SCRIPT), str(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> dict[str, Any]:
        """The next line; the process's errors if there is none."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.communicate(timeout=60)[1]
        return json.loads(line)

    def end(self) -> str:
        """Waits for the process, and returns its log."""
        _, errors = self.process.communicate(timeout=90)
        assert self.process.returncode == 0, errors
        return errors

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=40)


@pytest.fixture
def script(cluster, kubeconfig, namespace, tmp_path) -> Iterator[Callable[..., Script]]:
    """Starts the script."""
    started: list[Script] = []

    def start(shell: str, *, face: str = "blocking", **config: Any) -> Script:
        given = {"kubeconfig": str(kubeconfig), "namespace": namespace, "image": cluster.image}
        settings = tmp_path / f"{len(started)}.json"
        config = {**given, "lease_duration_s": LEASE_S, "logs": {"follow": "off"}, **config}
        settings.write_text(json.dumps({"face": face, "shell": shell, "config": config}))
        started.append(Script(settings))
        return started[-1]

    yield start
    for each in started:
        if each.process.poll() is None:
            each.kill()


def pods(cluster: Any, namespace: str) -> list[dict[str, Any]]:
    with cluster.http() as http:
        return http.get(f"/api/v1/namespaces/{namespace}/pods").raise_for_status().json()["items"]


def uids(cluster: Any, namespace: str) -> list[str]:
    return [pod["metadata"]["uid"] for pod in pods(cluster, namespace)]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("face", ["blocking", "async"])
def test_a_failing_script_is_run_twice(cluster, namespace, script, face: str):
    """H2: the second run has the outcome of the first, says so, and runs nothing."""
    first = script("exit 3", face=face)
    launched, outcome = first.line(), first.line()
    first.end()
    assert (outcome["category"], outcome["exit_code"], outcome["replayed"]) == ("failed", 3, False)
    second = script("exit 3", face=face)
    assert second.line()["uid"] == launched["uid"]
    assert second.line() == {**outcome, "replayed": True}
    assert "is not run again" in second.end()
    assert uids(cluster, namespace) == [launched["uid"]]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("policy", "shell"), [("rerun", "exit 3"), ("rerun", "exit 4"), ("error", "exit 3"), ("reuse", "exit 4")]
)
def test_what_the_second_run_does_is_chosen(cluster, namespace, script, policy: str, shell: str):
    """H2: ``reported_attempt``, and another workload of the same attempt."""
    first = script("exit 3")
    uid = first.line()["uid"]
    first.line()
    first.end()
    second = script(shell, reported_attempt=policy)
    line = second.line()
    if policy == "rerun":
        assert line["state"] == LAUNCHED
        assert line["uid"] != uid
        assert second.line() == {
            "uid": line["uid"],
            "category": "failed",
            "exit_code": int(shell[-1]),
            "replayed": False,
        }
        assert uids(cluster, namespace) == [line["uid"]]
    else:
        assert line["error"] == "AttemptEndedError"
        assert uids(cluster, namespace) == [uid]
    second.end()


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("face", "meanwhile"), [("blocking", "runs on"), ("async", "ends")])
def test_a_script_is_killed_and_run_again(cluster, namespace, script, face: str, meanwhile: str):
    """H2: launched while the old Lease still counts; the pod is taken over when that is over, and works once."""
    seconds = 30 if meanwhile == "runs on" else 1
    shell = f"sleep {seconds}; exit 7"
    first = script(shell, face=face)
    launched = first.line()
    first.kill()
    second = script(shell, face=face)
    assert second.line()["uid"] == launched["uid"]
    outcome = second.line()
    assert (outcome["uid"], outcome["category"], outcome["exit_code"]) == (launched["uid"], "failed", 7)
    assert outcome["replayed"] is (meanwhile == "ends")
    second.end()
    assert uids(cluster, namespace) == [launched["uid"]]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("face", ["blocking", "async"])
def test_a_script_is_run_beside_itself(cluster, namespace, script, face: str):
    """H2: the second one is told whose the pod is and what to do; the first one is not disturbed."""
    shell = f"sleep {3 * LEASE_S}; exit 7"
    first = script(shell, face=face)
    launched = first.line()
    second = script(shell, face=face)
    refused = second.line()
    if refused.get("state") == LAUNCHED:
        assert refused["uid"] == ""
        refused = second.line()
    assert refused["error"] == "AttemptOwnedError"
    for part in ("owns this attempt", "Lease", "next attempt", "delete the pod"):
        assert part in refused["message"]
    second.end()
    outcome = first.line()
    assert (outcome["uid"], outcome["exit_code"]) == (launched["uid"], 7)
    first.end()
    assert uids(cluster, namespace) == [launched["uid"]]


@pytest.mark.timeout(120)
def test_a_script_with_a_name_of_its_own_is_killed_and_run_again(cluster, namespace, script):
    """H2, A5: opening the runner waits for the Lease; the pod is its own."""
    shell = "sleep 20; exit 7"
    first = script(shell, owner="nightly")
    launched = first.line()
    first.kill()
    second = script(shell, owner="nightly")
    assert second.line()["uid"] == launched["uid"]
    assert second.line()["exit_code"] == 7
    second.end()
    assert uids(cluster, namespace) == [launched["uid"]]


# Two runners in one process


@contextmanager
def no_second_pod(cluster: Any, namespace: str) -> Iterator[None]:
    """Within the block no pod is created."""
    before = uids(cluster, namespace)
    yield
    assert set(uids(cluster, namespace)) <= set(before)


def shell(number: int, script: str) -> Workload:
    return Workload(key={"n": str(number)}, command=["sh", "-c", script])


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_a_hundred_attempts_are_submitted_again(cluster, namespace, config: RunnerConfig):
    """H2: some run, some are over and not delivered, some are reported and kept; each is told once, of its own pod."""
    count = 100 if cluster.is_local else 30
    workloads = [shell(n, f"sleep {3 * (n % 3)}; exit {n % 5}") for n in range(count)]
    config = config.model_copy(update={"delete_pods": False, "max_active_pods": count})
    async with AsyncPodRunner(config, on_exit="detach") as first:
        batch = await first.launch_many(workloads)
        assert not batch.errors
        for pod in batch[::4]:
            await pod.wait(60)  # delivered: these are marked as reported
        before = {str(pod.key): pod.uid for pod in batch}
        await first.wait_synced()
    async with AsyncPodRunner(config, on_exit="drain") as second, second.events() as events:
        pods = [second.submit(workload) for workload in workloads]
        outcomes: dict[str, list[int | None]] = {}
        async with anyio.create_task_group() as tasks:

            async def read() -> None:
                async for event in events:
                    if event.kind is EventKind.FINISHED:
                        assert event.outcome is not None
                        outcomes.setdefault(event.uid, []).append(event.outcome.exit_code)

            tasks.start_soon(read)
            for n, pod in enumerate(pods):
                assert (await pod.wait(90)).exit_code == n % 5
            await until(lambda: len(outcomes) == count, within_s=60)
            await anyio.sleep(0.5)  # it has had its time to say too much
            tasks.cancel_scope.cancel()
    assert {str(pod.key): pod.uid for pod in pods} == before
    assert {uid: len(told) for uid, told in outcomes.items()} == dict.fromkeys(before.values(), 1)
    assert sum(pod.replayed for pod in pods) >= count // 4
    assert len(uids(cluster, namespace)) == count


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_two_runners_share_an_attempt(cluster, namespace, config: RunnerConfig):
    """H2: the living one keeps it; after its end the other one has it, running or over."""
    config = config.model_copy(update={"lease_duration_s": 15.0})  # renewed every 5 s
    async with AsyncPodRunner(config, on_exit="cancel") as second:
        async with AsyncPodRunner(config, on_exit="detach") as first:
            runs, over = await refused_by_a_living_owner(
                first, second, lambda: no_second_pod(cluster, namespace)
            )
        with no_second_pod(cluster, namespace):
            taken = await second.launch(shell(1, "sleep 600"))
            assert taken.uid == runs.uid
            again = await second.launch(shell(2, "exit 3"))
            assert (again.uid, again.replayed) == (over.uid, True)
            assert (await again.wait(30)).exit_code == 3
            with pytest.raises(AttemptEndedError):
                await second.launch(shell(2, "exit 4"))


async def refused_by_a_living_owner(first: AsyncPodRunner, second: AsyncPodRunner, no_second: Any) -> Any:
    """The second one launches what the first one runs; the first one's pods, one that runs and one that is over."""
    runs = await first.launch(shell(1, "sleep 600"))
    over = await first.launch(shell(2, "exit 3"))
    await over.wait(60)
    with no_second():
        submitted = second.submit(shell(1, "sleep 600"))
        with pytest.raises(AttemptOwnedError) as caught:
            await second.launch(shell(1, "sleep 600"))
        with pytest.raises(AttemptOwnedError):
            await submitted.wait(30)
    assert caught.value.owner == first.owner
    assert [event.kind for event in second.poll_events()] == [EventKind.LOST]
    return runs, over


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_a_run_goes_on_after_a_restart(cluster, namespace, config: RunnerConfig):
    """H2, P4: without `adopt`: from the failure of the first try to the next attempt."""
    policy = RetryPolicy(attempts=2, wait=0, retry_if=lambda _: True)
    flaky = shell(1, "exit 3")
    async with AsyncPodRunner(config) as first:
        await (await first.launch(flaky)).wait(60)
    async with AsyncPodRunner(config) as second:
        run = second.run(flaky, retry=policy)
        assert (await run.wait(60)).exit_code == 3
        tries = run.pods
        assert [(pod.key.attempt, pod.replayed) for pod in tries] == [(1, True), (2, False)]
    assert len(uids(cluster, namespace)) == 2


@pytest.mark.anyio
@pytest.mark.timeout(120)
async def test_the_log_of_a_replayed_pod_is_there(cluster, namespace, config: RunnerConfig):
    """H2: it is retained, so that it can be looked at."""
    loud = shell(1, "echo here; exit 3")
    async with AsyncPodRunner(config) as first:
        await (await first.launch(loud)).wait(60)
    async with AsyncPodRunner(config) as second:
        pod = await second.launch(loud)
        assert pod.replayed
        assert [str(line) async for line in pod.logs()] == ["here"]
        await pod.delete()
    until_blocking(lambda: not uids(cluster, namespace), within_s=30)

"""Which containers' logs are collected, and when: every mode, from the API server's answers to files and outcomes."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from podrunner.logs import CallableSink, LogBatch
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

STAMP = "2024-05-01T10:20:30.00000000{}Z "
RUNNING = {"running": {"startedAt": "2024-05-01T10:20:30Z"}}
WAITING = {"waiting": {"reason": "PodInitializing"}}
INIT = {"name": "prepare", "image": "i", "command": ["true"]}
SIDECAR = {"name": "proxy", "image": "i", "command": ["true"]}


def ended(exit_code: int = 0) -> dict[str, Any]:
    times = {"startedAt": "2024-05-01T10:20:30Z", "finishedAt": "2024-05-01T10:20:31Z"}
    return {"terminated": {"exitCode": exit_code, "reason": "Completed", **times}}


def with_others(**fields: Any):
    return workload(init_containers=[INIT], sidecars=[SIDECAR], **fields)


class Kept:
    """Sinks that keep all lines, by container."""

    def __init__(self) -> None:
        self.texts: dict[str, list[str]] = {}

    def __call__(self, pod: object) -> list[Any]:
        return [self._sink]

    def _sink(self, container: str) -> CallableSink:
        lines = self.texts.setdefault(container, [])

        async def take(item: object) -> None:  # virtual time does not wait for threads
            if isinstance(item, LogBatch):
                lines.extend(item.texts())

        return CallableSink(take)


def tell_logs(cluster: Cluster, name: str) -> None:
    for container in ("prepare", "proxy", "base"):
        cluster.logs[f"{name}/{container}"] = [STAMP.format(1) + f"{container} speaks"]


async def live(cluster: Cluster, name: str, exit_code: int = 0) -> None:
    """Init, main and a sidecar that goes on."""
    init = ("prepare", "proxy")
    cluster.tell(name, "Pending", init=init, prepare=RUNNING, proxy=WAITING, base=WAITING)
    await anyio.sleep(0.02)
    cluster.tell(name, "Running", init=init, prepare=ended(), proxy=RUNNING, base=RUNNING)
    await anyio.sleep(0.02)
    cluster.tell(name, "Running", init=init, prepare=ended(), proxy=RUNNING, base=ended(exit_code))


@pytest.mark.parametrize(
    ("wanted", "containers"),
    [
        ("main", {"base"}),
        ("all", {"prepare", "proxy", "base"}),
        (["proxy", "nobody"], {"proxy"}),
    ],
)
async def test_the_wanted_containers_logs_are_collected(cluster: Cluster, wanted, containers):
    kept = Kept()
    async with running(cluster, log_sinks=kept, logs={"containers": wanted}) as runner:
        pod = await runner.launch(with_others())
        tell_logs(cluster, pod.name)
        await live(cluster, pod.name)
        assert (await pod.wait(5)).succeeded
        await until(lambda: not cluster.pods)
    assert kept.texts == {name: [f"{name} speaks"] for name in containers}


async def test_a_container_that_never_starts_leaves_no_log_and_no_trouble(cluster: Cluster):
    """G8: the init container fails, the main one never runs."""
    kept = Kept()
    async with running(cluster, log_sinks=kept, logs={"containers": "all"}) as runner:
        pod = await runner.launch(with_others())
        tell_logs(cluster, pod.name)
        init = ("prepare", "proxy")
        cluster.tell(pod.name, "Pending", init=init, prepare=RUNNING, proxy=WAITING, base=WAITING)
        await anyio.sleep(0.02)
        cluster.tell(pod.name, "Failed", init=init, prepare=ended(3), proxy=WAITING, base=WAITING)
        outcome = await pod.wait(5)
        await runner.wait_all(5)
        assert str(outcome.category) == "init-failed"
        assert kept.texts == {"prepare": ["prepare speaks"]}
        assert pod.log_status is not None
        assert (pod.log_status.complete, pod.log_status.gaps, pod.log_status.errors) == (True, [], [])


async def test_a_sidecar_that_goes_on_does_not_hold_up_the_deletion(cluster: Cluster):
    """P7, G4: the pod is deleted once the main container's log was read."""
    async with running(
        cluster, log_sinks=Kept(), logs={"containers": "all", "drain_timeout_s": 3600}
    ) as runner:
        pod = await runner.launch(with_others())
        await live(cluster, pod.name)
        await pod.wait(5)
        await until(lambda: not cluster.pods)


# Modes: what is asked of the API server, and when


async def played(
    cluster: Cluster, exit_code: int = 0, **logs: Any
) -> tuple[Any, list[dict[str, str]], list[str]]:
    """A pod from launch to deletion: its outcome, the requests for its log before its end, and the lines kept."""
    kept = Kept()
    settings = {"tail_lines_on_failure": 0, **logs}
    async with running(cluster, log_sinks=kept, logs=settings, delete_pods_on_failure=True) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = [STAMP.format(1) + "one", STAMP.format(2) + "two"]
        cluster.run(pod.name)
        await anyio.sleep(0.05)
        while_running = list(cluster.log_requests)
        cluster.finish(pod.name, exit_code)
        outcome = await pod.wait(5)
        await until(lambda: not cluster.pods)
    return outcome, while_running, kept.texts.get("base", [])


async def test_mode_all_follows_while_the_container_runs(cluster: Cluster):
    _, while_running, lines = await played(cluster, follow="all")
    assert [request.get("follow") for request in while_running[:1]] == ["true"]
    assert lines == ["one", "two"]


async def test_mode_end_reads_once_and_only_after_the_end(cluster: Cluster):
    _, while_running, lines = await played(cluster, follow="end")
    assert while_running == []
    assert [request.get("follow") for request in cluster.log_requests] == [None]
    assert lines == ["one", "two"]


async def test_mode_on_demand_reads_only_what_is_asked_for(cluster: Cluster):
    async with running(cluster, log_sinks=Kept(), logs={"follow": "on-demand"}) as runner:
        read, unread = await runner.launch(workload(1)), await runner.launch(workload(2))
        for pod in (read, unread):
            cluster.logs[pod.name] = [STAMP.format(1) + pod.name]
        lines = read.logs()
        cluster.play_all()
        assert [line async for line in lines] == [read.name]
        await runner.wait_all(5)
        assert unread.log_status is None
        assert len(cluster.log_requests) <= 2


@pytest.mark.parametrize(("exit_code", "tail"), [(0, ()), (3, ("two",))])
async def test_mode_off_with_a_tail_reads_the_last_lines_of_failed_pods_only(
    cluster: Cluster, exit_code, tail
):
    outcome, while_running, lines = await played(cluster, exit_code, follow="off", tail_lines_on_failure=1)
    assert (while_running, lines) == ([], [])
    assert [request["tailLines"] for request in cluster.log_requests] == ["1"] * bool(exit_code)
    assert outcome.log_tail == tail

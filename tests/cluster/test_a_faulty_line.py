"""Pods over a connection that breaks, with an API server that is killed: the reports equal the server's state."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from random import Random

import httpx
import pytest
from anyio import to_thread
from podrunner import AsyncPodRunner, Category, EventKind
from podrunner.testing.faults import Line, TcpProxy
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.disturbing, pytest.mark.timeout(900)]

PODS = 36
DELETED = 4
KILLS_AFTER = (PODS // 6, PODS // 2)
"""Numbers of outcomes after which the test kills the API server."""

SEED = 5
QUICK = {
    "request_timeout_s": 5.0,
    "watch": {"backoff_initial_s": 0.1, "backoff_max_s": 1.0, "inactivity_s": 8.0},
    "create_retry": {"attempts": 0, "initial_s": 0.1, "max_s": 1.0},
    "retry": {"attempts": 0, "initial_s": 0.1, "max_s": 1.0},
}


@contextmanager
def trouble(proxy: TcpProxy):
    """Inject changing faults into the connections until the block ends; count them."""
    done: Counter[str] = Counter()
    over = threading.Event()
    thread = threading.Thread(target=_make_trouble, args=(proxy, over, done), name="trouble")
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join()
        proxy.line = Line()


def _make_trouble(proxy: TcpProxy, over: threading.Event, done: Counter[str]) -> None:
    random = Random(SEED)
    while not over.wait(random.uniform(0.2, 1.2)):
        kind = random.choice(["cut", "cut", "freeze", "outage", "short", "short", "slow"])
        done[kind] += 1
        if kind == "outage":
            with proxy.outage():
                over.wait(random.uniform(0.1, 1.0))
        elif kind == "short":
            proxy.line = Line(cut_after_bytes=random.randrange(500, 30_000))
        elif kind == "slow":
            proxy.line = Line(delay_s=random.uniform(0.01, 0.1))
        else:
            getattr(proxy, kind)()


def until_answered(ask) -> httpx.Response:
    """Repeat a request while the API server is down."""
    deadline = time.monotonic() + 120
    while True:
        try:
            return ask().raise_for_status()
        except (httpx.TransportError, httpx.HTTPStatusError):
            assert time.monotonic() < deadline, "no answer from the API server"
            time.sleep(0.2)


def exit_code(pod: dict) -> int:
    (status,) = pod["status"]["containerStatuses"]
    return status["state"]["terminated"]["exitCode"]


def settled(ask) -> dict[str, int]:
    """Return the exit code of each remaining pod, by UID, once the deleted pods are gone."""
    deadline = time.monotonic() + 120
    while True:
        pods = until_answered(ask).json()["items"]
        if not any("deletionTimestamp" in pod["metadata"] for pod in pods):
            return {pod["metadata"]["uid"]: exit_code(pod) for pod in pods}
        assert time.monotonic() < deadline, "a deleted pod stays"
        time.sleep(0.1)


async def test_each_uid_has_one_outcome_and_it_is_the_servers(
    config, node, kubeconfig, workload, admin, namespace
):
    """W1, W2, W5, W7, W11, L1: connections cut, frozen, refused and slow, the API server killed twice."""
    path = f"/api/v1/namespaces/{namespace}/pods"
    with TcpProxy.blocking(kubeconfig) as proxy, trouble(proxy) as done:
        here = config.with_changes(kubeconfig=proxy.kubeconfig, delete_pods=False, **QUICK)
        async with AsyncPodRunner(here, on_exit="detach") as runner:
            pods = [runner.submit(workload(f"sleep {n % 5}; exit {n % 3}")) for n in range(PODS)]
            doomed = [
                runner.submit(workload("sleep 600", termination_grace_period_s=1)) for _ in range(DELETED)
            ]
            for number in KILLS_AFTER:
                await until(
                    lambda number=number: sum(pod.outcome is not None for pod in pods) >= number,
                    within_s=240,
                    every_s=0.1,
                )
                await to_thread.run_sync(node.restart_api)
            for pod in doomed:
                await until(lambda pod=pod: pod.timeline.started, within_s=240)
                gone = f"{path}/{pod.name}"
                await to_thread.run_sync(until_answered, lambda gone=gone: admin.delete(gone))
            outcomes = {pod.uid: await pod.wait(240) for pod in (*pods, *doomed)}
            events = runner.poll_events()
    truth = await to_thread.run_sync(settled, lambda: admin.get(path))
    assert {uid: outcomes[uid].exit_code for uid in truth} == truth
    assert len(truth) == PODS, "one pod per attempt"
    assert outcomes.keys() - truth.keys() == {pod.uid for pod in doomed}
    ends = [outcomes[pod.uid] for pod in doomed]
    assert [end for end in ends if end.category is not Category.DELETED_BY_OTHERS] == []
    finished = Counter(event.uid for event in events if event.kind is EventKind.FINISHED)
    assert finished == dict.fromkeys(outcomes, 1)
    assert {"cut", "short"} <= done.keys(), "there was trouble"

"""A watch that is answered with 200 and brings nothing true, end to end."""

from __future__ import annotations

import pytest
from podrunner import AsyncPodRunner, EventKind, RunnerConfig
from podrunner.testing.faults import FaultProxy, Faults
from tests.contract.faults.test_watch_faults import GO, WAIT_FOR_GO, job, running, runs
from tests.support.waiting import until

pytestmark = [pytest.mark.anyio, pytest.mark.processes]

BODIES = {
    "HTML": b"<html><body>sign in</body></html>\n",
    "an empty object": b"{}\n",
    "nothing": b"",
    "bytes": b"\x00\xff\xfe" * 1000 + b"\n",
    "white space": b" \n" * 10_000,
    "unknown types": b'{"type":"SURPRISE","object":{"metadata":{"uid":"u","resourceVersion":"1"}}}\n' * 5,
}


def told(runner: AsyncPodRunner, seen: list[EventKind]) -> list[EventKind]:
    seen.extend(event.kind for event in runner.poll_events())
    return seen


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
async def test_it_is_told_and_answered_by_lists(
    quick: RunnerConfig, faults: Faults, proxy: FaultProxy, body: bytes
):
    """H6: an event ``stale``, an outcome though no watch brings it, and ``recovered`` once a watch does."""
    async with running(quick) as runner:
        pod = await runner.launch(job(f"{WAIT_FOR_GO}; exit 3"))
        staying = await runner.launch(job(f"{WAIT_FOR_GO}; exit 4"))
        await runs(pod)
        await runs(staying)
        seen: list[EventKind] = []
        faults.on("GET", "pods", watch=True).answer(200, body=body, times=None)
        proxy.cut()
        await until(lambda: EventKind.STALE in told(runner, seen))
        await pod.exec(GO)
        assert (await pod.wait(50)).exit_code == 3
        faults.clear()
        await until(lambda: EventKind.RECOVERED in told(runner, seen))
        await staying.exec(GO)
        assert (await staying.wait(50)).exit_code == 4
        assert runner.health().relists >= 1


async def test_no_server_stops_a_runner_for_an_hour(quick: RunnerConfig, faults: Faults, proxy: FaultProxy):
    """H5: the error of the watch says what was asked and what is done; the wait itself is a unit test's."""
    async with running(quick) as runner:
        faults.on("GET", "pods", watch=True).answer(429, retry_after_s=3600, times=1)
        proxy.cut()
        await until(lambda: "which is limited to 60 s" in (runner.health().watches[0].error or ""))

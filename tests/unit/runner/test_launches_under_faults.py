"""Two thousand submissions while the server throttles, fails and loses answers: two thousand pods, each once."""

from __future__ import annotations

import sys
from collections import Counter
from random import Random

import anyio
import pytest
from podrunner.kube import Request
from tests.support.event_loops import virtual_time
from tests.support.fake_server import Fault
from tests.unit.runner.harness import Cluster, running, workload

PODS = 2_000
FAULTS = {"throttled": 0.10, "failed": 0.05, "lost": 0.05}
REQUESTS_PER_POD = 1.6
"""A create, one more for each of the 20 % that went wrong, and a look before each of those that may have been made."""


class FaultyCluster(Cluster):
    """A server on which every tenth request is throttled, every twentieth fails, and every twentieth answer is lost."""

    def __init__(self, random: Random) -> None:
        super().__init__()
        self.random = random
        self.injected: Counter[str] = Counter()
        self.made: Counter[str] = Counter()

    async def _arrive(self, request: Request) -> Fault | None:
        fault = await super()._arrive(request)
        if fault is not None or not request.path.endswith("/pods") or request.method != "POST":
            return fault
        kind = self.random.choices([*FAULTS, "answered"], [*FAULTS.values(), 1 - sum(FAULTS.values())])[0]
        self.injected[kind] += 1
        return {
            "throttled": Fault(bool, status=429, headers={"retry-after": "1"}, body=b"busy"),
            "failed": Fault(bool, status=500, body=b"{}"),
            "lost": Fault(bool, lose_reply=True),
            "answered": None,
        }[kind]

    def _create(self, namespace, pod):
        self.made[pod["metadata"]["name"]] += 1
        return super()._create(namespace, pod)


anyio_backend = virtual_time


@pytest.mark.anyio
@pytest.mark.parametrize("seed", [1])
async def test_two_thousand_submissions_are_two_thousand_pods(anyio_backend, seed: int, record_property):
    """L1, L5, L7: throttled, failed and lost answers cost requests, never a pod too many or too few."""
    cluster = FaultyCluster(Random(seed))
    retry = {"attempts": 0, "initial_s": 0.8, "max_s": 30.0}
    async with running(cluster, create_retry=retry, event_queue_size=10 * PODS) as runner:
        pods = [runner.submit(workload(number)) for number in range(PODS)]
        with anyio.fail_after(3_600):
            while runner.health().submitted:  # virtual time
                await anyio.sleep(1)
        assert set(cluster.made.values()) == {1}
        assert len(cluster.made) == len(cluster.pods) == PODS
        assert {pod.uid for pod in pods} == {pod["metadata"]["uid"] for pod in cluster.pods.values()}
        assert cluster.injected.total() - cluster.injected["answered"] > 0.15 * PODS, "faults were injected"
        creates, looks = cluster.count("POST", "/pods"), cluster.count("GET", "/pods/")
        record_property("requests per pod", (creates + looks) / PODS)
        sys.stdout.write(
            f"{(creates + looks) / PODS:.3f} requests per pod: {creates} creates, {looks} looks\n"
        )
        assert (creates + looks) / PODS < REQUESTS_PER_POD

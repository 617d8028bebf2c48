"""Many pods at once: which were refused, and how many succeeded and failed."""

from __future__ import annotations

import asyncio
from collections import Counter

import podrunner


async def main() -> None:
    """Launch 20 pods, one of them invalid, and wait for all."""
    config = podrunner.RunnerConfig(cluster="local", max_active_pods=10, delete_pods_on_failure=True)
    workloads = [
        podrunner.Workload(key={"n": str(n)}, command=["sh", "-c", f"exit {int(n % 5 == 4)}"])
        for n in range(19)
    ]
    bad = podrunner.Workload(
        key={"n": "19"}, command=["true"], overrides={"spec": {"restartPolicy": "Sometimes"}}
    )
    async with podrunner.AsyncPodRunner(config) as runner:
        batch = await runner.launch_many([*workloads, bad])
        for failure in batch.errors:
            print(failure.workload.key, type(failure.error).__name__)  # n=19 #1 InvalidError
        outcomes = [await pod.wait() for pod in batch]
    counts = Counter(str(outcome.category) for outcome in outcomes)
    print(counts["succeeded"], counts["failed"], counts["rejected-by-api"])  # 16 3 1


asyncio.run(main())

"""5,000 simulated pods on a real API server: outcomes, API calls per pod, our CPU and the servers'.

Run beside a node: ``python tests/cluster/up.py -- python benchmarks/kwok_pods.py`` (``PODS=…`` for another number).
kwok plays the kubelet; API server, etcd and scheduler are real. Nothing is asserted but that no outcome is missing.
"""

from __future__ import annotations

import asyncio
import os
import resource
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "cluster"))

PODS = int(os.environ.get("PODS", "5000"))
DAEMONS = ("kube-apiserver", "etcd", "kube-scheduler", "kube-controller-manager", "kwok")


async def work(config):
    """Run the pods; return the categories of their outcomes, the number of pods, and the API calls."""
    from counting import counted_client
    from podrunner import AsyncPodRunner, Workload
    from simulated import PLACEMENT

    workloads = [Workload(key={"n": str(number)}, command=["true"], **PLACEMENT) for number in range(PODS)]
    async with counted_client(config) as (client, calls):
        async with AsyncPodRunner(config, client=client) as runner:
            launched = await runner.launch_many(workloads)
            outcomes = [await pod.wait() for pod in launched]
        return (
            Counter(str(outcome.category) for outcome in outcomes),
            len({pod.uid for pod in launched}),
            calls,
        )


def own_cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def settings(kubeconfig: Path):
    from podrunner import RunnerConfig

    return RunnerConfig(
        cluster="kubeconfig", kubeconfig=kubeconfig, image="simulated", logs={"follow": "off"}
    )


def report(control, config) -> bool:
    from counting import summary

    before = {name: control.cpu_s(name) for name in DAEMONS}
    began, ours = time.perf_counter(), own_cpu_s()
    categories, pods, calls = asyncio.run(work(config))
    wall_s, ours_s = time.perf_counter() - began, own_cpu_s() - ours
    used = {name: control.cpu_s(name) - cpu_s for name, cpu_s in before.items()}
    print(f"{pods} pods, outcomes {dict(categories)}, {wall_s:.1f} s, {PODS / wall_s:.0f} pods/s")
    print(f"  {summary(calls, PODS)}")
    print(f"  CPU per pod: ours {ours_s / PODS * 1e3:.2f} ms, {each(used)}")
    return categories == {"succeeded": PODS} and pods == PODS


def each(used: dict[str, float]) -> str:
    return ", ".join(f"{name} {cpu_s / PODS * 1e3:.2f} ms" for name, cpu_s in used.items())


def main() -> int:
    folder = os.environ.get("PODRUNNER_TEST_NODE")
    if not folder:
        print("needs a node: python tests/cluster/up.py -- python benchmarks/kwok_pods.py")
        return 0
    import httpx
    from control import Control
    from node import ADMIN_TOKEN, URL
    from simulated import simulated_node

    control = Control(Path(folder))
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with (
        httpx.Client(base_url=URL, headers=headers, verify=False, trust_env=False) as admin,
        simulated_node(control, admin),
    ):
        return 0 if report(control, settings(Path(folder) / "admin.kubeconfig")) else 1


if __name__ == "__main__":
    if failed := main():  # an exit without failure would end run.py
        sys.exit(failed)

"""A fan-out of 500 pods with a progress bar. Needs podrunner[local,progress], and no cluster: its pods are scripted."""

from __future__ import annotations

import podrunner

workloads = [
    podrunner.Workload(key={"n": n}, labels={"bad": str(n % 100 == 99)}, command=["work"]) for n in range(500)
]

with podrunner.LocalCluster.blocking() as cluster:
    cluster.script({"bad": "False"}, podrunner.Lifecycle(running_s=0.5))
    cluster.script({"bad": "True"}, podrunner.Lifecycle(running_s=0.5, exit_code=1))
    config = podrunner.RunnerConfig(kubeconfig=cluster.kubeconfig, image="work:1")
    with podrunner.PodRunner(config) as runner, podrunner.progress(runner, total=500).tqdm():
        outcomes = list(runner.map(workloads))
print([n for n, outcome in enumerate(outcomes) if not outcome.succeeded])  # [99, 199, 299, 399, 499]

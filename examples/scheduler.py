"""A blocking scheduler: 50 tasks, eight at once, each tried again if it fails. It needs no cluster."""

from __future__ import annotations

import podrunner

config = podrunner.RunnerConfig(cluster="local", max_active_pods=8)  # without cluster=: your kubeconfig
retry = podrunner.RetryPolicy(attempts=2, wait=0.1, retry_if=lambda outcome: not outcome.succeeded)
tasks = [
    podrunner.Workload(key={"task": n}, command=["sh", "-c", f"exit {int(n % 10 == 9)}"]) for n in range(50)
]

with podrunner.PodRunner(config) as runner:
    runs = runner.run_many(tasks, retry=retry)
    for run in runner.as_completed(runs, timeout_s=50):
        if not run.result().succeeded:
            print(f"{run.key}: {run.result()}")
    done = [run.result().succeeded for run in runs]
print(sum(done), "of", len(done), "succeeded")  # 45 of 50 succeeded

"""Measures the CPU time to build a pod, in microseconds: a minimal pod, and an Airflow worker.

The configuration is compiled once, as a runner does; the fastest of several rounds counts, since noise only adds.
"""

from __future__ import annotations

import gc
import json
import time
from typing import TYPE_CHECKING

from podrunner.builder import PodBuilder, build_pod, with_ownership
from podrunner.config import AirflowSettings, DagsFromClaim, LogsOnClaim, RunnerConfig
from podrunner.workload import Workload

if TYPE_CHECKING:
    from collections.abc import Callable

ROUNDS = 25
CALLS = 500

LEAST = RunnerConfig(image="busybox")
WORKER = RunnerConfig(
    image="airflow:latest",
    image_pull_policy="IfNotPresent",
    namespace="airflow",
    secret_env={"SQL_ALCHEMY_CONN": "airflow-secrets=sql_alchemy_conn"},
    tolerations=[{"key": "dedicated", "operator": "Equal", "value": "airflow", "effect": "NoSchedule"}],
    affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}},
    airflow=AirflowSettings(
        home="/root/airflow",
        configmap="airflow-configmap",
        dags=DagsFromClaim(claim="airflow-dags"),
        logs=LogsOnClaim(claim="airflow-logs"),
        worker_uuid="cf4a56d2-8101-4217-b027-2af6216feb48",
    ),
)


def plain_workload() -> Workload:
    return Workload(key={"dag_id": "sample_k8s", "task_id": "test-task001"}, command=["date"])


def task() -> Workload:
    return Workload.airflow(
        dag_id="sample_k8s",
        task_id="test-task001",
        execution_date="2019-08-15T01:16:36.627731+00:00",
        dag_file="/root/airflow/dags/sample_k8s.py",
    )


def microseconds(call: Callable[[], object]) -> float:
    gc.collect()
    gc.disable()
    try:
        return min(round_of(call) for _ in range(ROUNDS)) / CALLS * 1e6
    finally:
        gc.enable()


def round_of(call: Callable[[], object]) -> float:
    start = time.process_time()
    for _ in range(CALLS):
        call()
    return time.process_time() - start


def report(name: str, config: RunnerConfig, make: Callable[[], Workload]) -> None:
    builder, workload = PodBuilder(config), make()
    plan = builder.build(workload)
    steps: dict[str, Callable[[], object]] = {
        "make the workload": make,
        "build the pod": lambda: builder.build(workload),
        "add ownership": lambda: with_ownership(
            plan.manifest, owner="me", scope="s", key=plan.key, log_path=plan.log_path
        ),
        "build_pod (compiles each time)": lambda: build_pod(config, workload),
    }
    print(f"{name} ({len(json.dumps(plan.manifest))} bytes of JSON)")
    for step, call in steps.items():
        print(f"  {step:32s}{microseconds(call):6.1f} µs")


def main() -> None:
    report("least pod", LEAST, plain_workload)
    report("Airflow worker", WORKER, task)


if __name__ == "__main__":
    main()

"""One executor of Airflow, driven as the scheduler drives it: prints one line of JSON. Runs in Airflow's environment.

``python driver.py CONTENDER PODS``. The database is left out on both sides: each task instance counts as queued until
its end is reported. All else is the executor's own: the pods, the watch, the reports, the deletions.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

HEARTBEAT_S = 0.05
GIVE_UP_S = 900
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    contender, pods = sys.argv[1], int(sys.argv[2])
    without_bytes = of_airflow_alone()
    executor = _CONTENDERS[contender](pods)
    executor.job_id = 1
    executor.start()
    try:
        warm_up(executor)
        figures = measured(executor, pods)
        print(json.dumps({**figures, "airflow_bytes": without_bytes}), flush=True)
    finally:
        executor.end()


# --- the contenders ---------------------------------------------------------------------------------------------------


def podrunner_executor(pods: int) -> Any:
    """Return podrunner's executor; each task instance is at its dispatch."""
    from podrunner.integrations.airflow import database
    from podrunner.integrations.airflow.dispatches import TaskRow

    answers = {
        "task_rows": lambda keys: {key.primary: TaskRow("queued", 1, None, 1) for key in keys},
        "alive_schedulers": lambda _threshold_s: {1},
        "dispatches_of_others": lambda _job: set(),
        "queued_workloads": lambda _keys, **_: [],
    }
    for query, answer in answers.items():
        setattr(database, query, answer)
    from podrunner.integrations.airflow.executor import PodRunnerExecutor

    return PodRunnerExecutor(parallelism=pods)


def provider_executor(pods: int) -> Any:
    """Return the provider's executor; each task instance is at its dispatch, and has succeeded at its pod's end."""
    from airflow.providers.cncf.kubernetes.executors.kubernetes_executor import KubernetesExecutor
    from airflow.utils.state import TaskInstanceState

    class WithoutDatabase(KubernetesExecutor):
        def _should_create_pod_for_job(self, *_: Any, **__: Any) -> bool:
            return True

        def _get_task_instance_state(self, *_: Any, **__: Any) -> Any:
            return TaskInstanceState.SUCCESS

        def _alive_other_scheduler_job_ids(self) -> set[int]:
            return set()

    made = WithoutDatabase(parallelism=pods)
    made.parallelism = pods
    return made


_CONTENDERS = {
    "podrunner": podrunner_executor,
    "provider-sync": provider_executor,
    "provider-async": provider_executor,
    "provider-async-256": provider_executor,
}

# --- the walk ---------------------------------------------------------------------------------------------------------


def workload(number: int, run: str) -> Any:
    """Return what the scheduler queues for one task instance."""
    from airflow.executors.workloads.base import BundleInfo
    from airflow.executors.workloads.task import ExecuteTask, TaskInstanceDTO

    ti = TaskInstanceDTO(
        id=uuid.uuid4(),
        dag_version_id=uuid.uuid4(),
        task_id="mapped",
        dag_id="benchmark",
        run_id=run,
        try_number=1,
        map_index=number,
        pool_slots=1,
        queue="default",
        priority_weight=1,
    )
    return ExecuteTask(
        token="token",
        ti=ti,
        dag_rel_path=Path("benchmark.py"),
        bundle_info=BundleInfo(name="dags"),
        log_path=f"dag_id=benchmark/run_id={run}/task_id=mapped/map_index={number}/attempt=1.log",
    )


def queue(executor: Any, pods: int, run: str) -> None:
    for number in range(pods):
        one = workload(number, run)
        executor.queued_tasks[one.ti.key] = one


def warm_up(executor: Any) -> None:
    """Run a few pods, so that imports and the first connections are not measured."""
    queue(executor, 5, "warm-up")
    until_reported(executor, 5, [])
    until_deleted(executor)


def measured(executor: Any, pods: int) -> dict[str, Any]:
    """Run the pods; return times, CPU and memory of this process and its children."""
    queue(executor, pods, "measured")
    beats: list[float] = []
    peak = Peak()
    cpu, began = cpu_s(), time.perf_counter()
    until_reported(executor, pods, beats, peak)
    reported_s = time.perf_counter() - began
    until_deleted(executor, beats)
    deleted_s = time.perf_counter() - began
    own, children = (after - before for before, after in zip(cpu, cpu_s(), strict=True))
    beats.sort()
    return {
        "pods": pods,
        "reported_s": reported_s,
        "deleted_s": deleted_s,
        "own_cpu_s": own,
        "children_cpu_s": children,
        "heartbeats": len(beats),
        "heartbeat_p50_s": beats[len(beats) // 2],
        "heartbeat_p95_s": beats[int(len(beats) * 0.95)],
        "heartbeat_max_s": beats[-1],
        "memory_bytes": peak.memory_bytes,
        "processes": peak.processes,
    }


def until_reported(executor: Any, pods: int, beats: list[float], peak: Peak | None = None) -> None:
    """Beat until each pod's success has been reported."""
    ended = 0
    give_up = time.monotonic() + GIVE_UP_S
    while ended < pods:
        beat(executor, beats)
        if peak is not None:
            peak.look()
        for key, (state, info) in executor.get_event_buffer().items():
            if str(state) == "success":
                ended += 1
            elif str(state) not in {"queued", "running"}:
                raise SystemExit(f"{key}: {state} ({info})")
        if time.monotonic() > give_up:
            raise SystemExit(f"{ended} of {pods} pods were reported")


def until_deleted(executor: Any, beats: list[float] | None = None) -> None:
    """Beat until no pod is left. One list of names a second asks for it."""
    from kubernetes import client, config

    config.load_kube_config(os.environ["AIRFLOW__KUBERNETES_EXECUTOR__CONFIG_FILE"])
    api = client.CoreV1Api()
    namespace = os.environ["AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE"]
    give_up = time.monotonic() + GIVE_UP_S
    following = 0.0
    while True:
        beat(executor, [] if beats is None else beats)
        if time.monotonic() >= following:
            following = time.monotonic() + 1
            if not api.list_namespaced_pod(namespace, limit=1, _preload_content=False).json()["items"]:
                return
        if time.monotonic() > give_up:
            raise SystemExit("pods are left")


def beat(executor: Any, beats: list[float]) -> None:
    began = time.perf_counter()
    executor.heartbeat()
    took = time.perf_counter() - began
    beats.append(took)
    time.sleep(HEARTBEAT_S)


# --- CPU and memory ---------------------------------------------------------------------------------------------------


def cpu_s() -> tuple[float, float]:
    """Return the CPU seconds of this process, and of its children that are alive."""
    own = os.times()
    return own.user + own.system, sum(cpu_of(pid) for pid in descendants(os.getpid()))


def descendants(parent: int) -> list[int]:
    """Return the process ids of all descendants."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        parents.setdefault(int(fields[1]), []).append(int(folder.name))
    found, remaining = [], [parent]
    while remaining:
        children = parents.get(remaining.pop(), [])
        found += children
        remaining += children
    return found


def cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def of_airflow_alone() -> int:
    """Return the memory of a process that has what any executor needs of Airflow."""
    for name in ("airflow.executors.base_executor", "airflow.models.taskinstance", "airflow.jobs.job"):
        importlib.import_module(name)
    workload(0, "none")
    return _pss(os.getpid())


class Peak:
    """The most memory and the most processes so far, looked at once a second; shared pages are counted once.

    Args:
        root: The process that counts, with its descendants; None: this one.
    """

    def __init__(self, root: int | None = None) -> None:
        self._root = root or os.getpid()
        self.memory_bytes = 0
        self.processes = 0
        self._next = 0.0

    def look(self) -> None:
        if time.monotonic() < self._next:
            return
        self._next = time.monotonic() + 1
        pids = [self._root, *descendants(self._root)]
        self.processes = max(self.processes, len(pids))
        self.memory_bytes = max(self.memory_bytes, sum(_pss(pid) for pid in pids))


def _pss(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0  # it has ended meanwhile
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    main()

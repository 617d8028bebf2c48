"""A whole Airflow with podrunner's executor, and with the provider's, on the same real API server.

Run it as ``airflow_executors.py``. Scheduler, API server, DAG processor and database (SQLite) are Airflow's; a DAG with
one mapped task is triggered. kwok plays the kubelet, and stand-ins the workers: they tell the API server what a worker
would, so that the machine's cores are the scheduler's. ``executors/`` has the DAG, the stand-ins and the stop-watch.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import sys
import tempfile
import threading
import time
from datetime import datetime
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
RUNNING_S = 20
"""So long each pod runs: the stand-ins have reported before."""
EXECUTORS = {
    "podrunner": "timed.TimedPodRunnerExecutor",
    "provider-sync": "timed.TimedKubernetesExecutor",
    "provider-async-256": "timed.TimedKubernetesExecutor",
}
ROWS = (
    ("scheduler's CPU ms per task, with children", "cpu_ms_per_task"),
    ("heartbeat of the executor, p95, ms", "heartbeat_p95_ms"),
    ("heartbeat of the executor, longest, ms", "heartbeat_max_ms"),
    ("queued to created, p95, s", "queued_to_created_p95_s"),
    ("ended to deleted, p95, s", "ended_to_deleted_p95_s"),
    ("scheduler's memory, MB", "memory_mb"),
    ("scheduler's processes", "processes"),
)


def main() -> int:
    arguments = _parse()
    folder = os.environ.get("PODRUNNER_TEST_NODE")
    if not folder or not importlib.util.find_spec("airflow.providers"):
        print("needs a node of tests/cluster/up.py, and Airflow: see the first lines of airflow_executors.py")
        return 0
    from executors.picture import table

    rounds = _measure(Path(folder), arguments.tasks, arguments.rounds)
    summary = {
        name: {each: min(one[key] for one in rounds if one["contender"] == each) for each in EXECUTORS}
        for name, key in ROWS
    }
    print(table(summary))
    if arguments.json:
        text = json.dumps({"tasks": arguments.tasks, "rounds": rounds, "summary": summary}, indent=1)
        arguments.json.write_text(text + "\n", encoding="utf-8")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    return parser.parse_args()


def _measure(node: Path, tasks: int, rounds: int) -> list[dict[str, Any]]:
    sys.path[:0] = [str(HERE.parent / "tests" / each) for each in ("cluster", "airflow")]
    import httpx
    from airflow_executors import CONTENDERS, in_turns, template
    from control import Control
    from node import ADMIN_TOKEN, URL
    from simulated import PLACEMENT, RUNNING, simulated_node

    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    found = []
    with (
        httpx.Client(base_url=URL, headers=headers, verify=False, trust_env=False) as admin,
        simulated_node(Control(node), admin),
    ):
        for number in range(rounds):
            for contender in in_turns(EXECUTORS, number):
                namespace = f"whole-{os.getpid()}-{number}-{contender}"
                admin.post("/api/v1/namespaces", json={"metadata": {"name": namespace}}).raise_for_status()
                with tempfile.TemporaryDirectory() as home:
                    pod = template(PLACEMENT)
                    pod["metadata"]["annotations"] = {RUNNING: f"{RUNNING_S}s"}
                    Path(home, "pod_template.json").write_text(json.dumps(pod), encoding="utf-8")
                    options = {
                        "IN_CLUSTER": "False",
                        "CONFIG_FILE": str(node / "admin.kubeconfig"),
                        "NAMESPACE": namespace,
                        "POD_TEMPLATE_FILE": f"{home}/pod_template.json",
                        **CONTENDERS[contender],
                    }
                    figures = _run(contender, Path(home), options, tasks)
                found.append({"round": number, "contender": contender, **figures})
                print(json.dumps(found[-1]), flush=True)
    return found


def _run(contender: str, home: Path, options: dict[str, str], tasks: int) -> dict[str, Any]:
    """Run the DAG once in an Airflow of its own."""
    from installation import Installation

    beats = home / "heartbeats"
    airflow = Installation(home, executor=EXECUTORS[contender])
    airflow.settings |= {
        "PYTHONPATH": f"{HERE / 'executors'}:{HERE.parent}",
        "HEARTBEATS": str(beats),
        "MAPPED": str(tasks),
        "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "executors" / "dags"),
        "AIRFLOW__PODRUNNER__LOGS__FOLLOW": "off",
        **{f"AIRFLOW__KUBERNETES_EXECUTOR__{name}": value for name, value in options.items()},
    }
    airflow.migrate()
    airflow.start("api-server", "scheduler", "dag-processor")
    try:
        airflow.wait_ready("mapped")
        airflow.call("GET", "/execution/health")  # the first call is slow
        return _watched(airflow, options, tasks, beats)
    finally:
        airflow.stop()


def _watched(airflow: Any, options: dict[str, str], tasks: int, beats: Path) -> dict[str, Any]:
    from executors.stand_ins import StandIns

    stand_ins = StandIns(
        options["CONFIG_FILE"], options["NAMESPACE"], f"http://127.0.0.1:{airflow.port}/execution/"
    )
    stand_ins.start()
    tree = Tree(airflow.pid("scheduler"))
    began, cpu = time.time(), tree.cpu_s()
    run = airflow.trigger("mapped")
    state = airflow.wait_run("mapped", run, timeout_s=900)
    give_up = time.monotonic() + 300
    while len(stand_ins.deleted) < tasks:
        if time.monotonic() > give_up:
            raise SystemExit(f"{len(stand_ins.deleted)} of {tasks} pods were deleted")
        time.sleep(0.5)
    used = tree.stop() - cpu
    if state != "success" or stand_ins.errors:
        raise SystemExit(f"the run has ended as {state}; {stand_ins.errors[:3]}")
    queued = {
        ti["map_index"]: datetime.fromisoformat(ti["queued_when"]).timestamp()
        for ti in airflow.task_instances("mapped", run)
    }
    took = [
        float(line.split()[1]) * 1e3
        for line in beats.read_text().splitlines()
        if float(line.split()[0]) >= began
    ]
    return {
        "tasks": tasks,
        "cpu_ms_per_task": used / tasks * 1e3,
        "heartbeats": len(took),
        "heartbeat_p95_ms": p95(took),
        "heartbeat_max_ms": max(took),
        "queued_to_created_p95_s": p95([stand_ins.created[index] - at for index, at in queued.items()]),
        "ended_to_deleted_p95_s": p95([stand_ins.deleted[name] - at for name, at in stand_ins.ended.items()]),
        "wall_s": max(stand_ins.deleted.values()) - began,
        "memory_mb": tree.peak.memory_bytes / 1e6,
        "processes": tree.peak.processes,
    }


def p95(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.95)]


class Tree:
    """CPU and memory of a process and its descendants, looked at once a second until ``stop``."""

    def __init__(self, root: int) -> None:
        from executors.driver import Peak, cpu_of, descendants

        self._root, self._cpu_of, self._descendants = root, cpu_of, descendants
        self.peak = Peak(root)
        self._over = threading.Event()
        self._looking = threading.Thread(target=self._look, name="memory", daemon=True)
        self._looking.start()

    def cpu_s(self) -> float:
        return sum(self._cpu_of(pid) for pid in [self._root, *self._descendants(self._root)])

    def stop(self) -> float:
        """Return the CPU seconds so far."""
        self._over.set()
        self._looking.join()
        return self.cpu_s()

    def _look(self) -> None:
        while not self._over.wait(1):
            self.peak.look()


if __name__ == "__main__":
    if failed := main():  # an exit without failure would end run.py
        sys.exit(failed)

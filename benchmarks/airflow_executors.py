"""podrunner's executor of Airflow beside the provider's KubernetesExecutor, on the same real API server, in turns.

Run beside a node, with an interpreter that has Airflow, the provider and podrunner (``nox -s airflow`` makes one)::

    python tests/cluster/up.py -- .nox/airflow-run-3.3.2/bin/python benchmarks/airflow_executors.py --json figures.json

kwok plays the kubelet: its pods run for half a second. Each contender has a process of its own, which beats like the
scheduler: queue, create, watch, report the success, delete. ``executors/driver.py`` is that process. Figures of one run
may be compared with one another only. ``executors/picture.py`` draws them. Nothing is asserted but that no pod is lost.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
DAEMONS = ("kube-apiserver", "etcd")
NAMESPACE = "benchmark"
CONTENDERS: dict[str, dict[str, str]] = {
    "podrunner": {},
    "provider-sync": {"WORKER_PODS_CREATION_BATCH_SIZE": "16"},
    "provider-async": {
        "ASYNC_POD_CREATION": "True",
        "WORKER_PODS_CREATION_BATCH_SIZE": "64",
        "POD_CREATION_MAX_CONCURRENCY": "32",
    },
    "provider-async-256": {
        "ASYNC_POD_CREATION": "True",
        "WORKER_PODS_CREATION_BATCH_SIZE": "256",
        "POD_CREATION_MAX_CONCURRENCY": "64",
    },
}
"""Options of ``[kubernetes_executor]`` of each contender: without them, the provider creates one pod a heartbeat."""
PACKAGES = (
    "apache-airflow",
    "apache-airflow-providers-cncf-kubernetes",
    "kubernetes",
    "kubernetes_asyncio",
    "aiohttp",
)
SUMMARY = (
    ("pods/s", lambda one: one["pods"] / one["deleted_s"]),
    ("CPU ms per pod: executor", lambda one: one["own_cpu_s"] / one["pods"] * 1e3),
    ("CPU ms per pod: its children", lambda one: one["children_cpu_s"] / one["pods"] * 1e3),
    ("CPU ms per pod: API server and etcd", lambda one: one["server_cpu_s"] / one["pods"] * 1e3),
    ("heartbeat, median, ms", lambda one: one["heartbeat_p50_s"] * 1e3),
    ("heartbeat, p95, ms", lambda one: one["heartbeat_p95_s"] * 1e3),
    ("heartbeat, longest, ms", lambda one: one["heartbeat_max_s"] * 1e3),
    ("memory, MB", lambda one: one["memory_bytes"] / 1e6),
    ("memory beyond Airflow's own, MB", lambda one: (one["memory_bytes"] - one["airflow_bytes"]) / 1e6),
    ("processes", lambda one: one["processes"]),
)


def main() -> int:
    arguments = _parse()
    folder = os.environ.get("PODRUNNER_TEST_NODE")
    if not folder or not importlib.util.find_spec("airflow.providers"):
        print("needs a node of tests/cluster/up.py, and Airflow: see the first lines of this file")
        return 0
    from executors.picture import table

    rounds = _measure(Path(folder), arguments.pods, arguments.rounds)
    figures = {
        "pods": arguments.pods,
        "machine": _machine(folder),
        "rounds": rounds,
        "summary": _summary(rounds),
    }
    print(table(figures["summary"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    return parser.parse_args()


def _measure(node: Path, pods: int, rounds: int) -> list[dict[str, Any]]:
    sys.path.insert(0, str(HERE.parent / "tests" / "cluster"))
    import httpx
    from control import Control
    from node import ADMIN_TOKEN, URL
    from simulated import PLACEMENT, simulated_node

    control = Control(node)
    found = []
    with (
        httpx.Client(
            base_url=URL, headers={"Authorization": f"Bearer {ADMIN_TOKEN}"}, verify=False, trust_env=False
        ) as admin,
        simulated_node(control, admin),
        tempfile.TemporaryDirectory() as home,
    ):
        admin.post("/api/v1/namespaces", json={"metadata": {"name": NAMESPACE}})
        Path(home, "pod_template.json").write_text(json.dumps(template(PLACEMENT)), encoding="utf-8")
        for number in range(rounds):
            for contender in in_turns(CONTENDERS, number):
                before = sum(control.cpu_s(daemon) for daemon in DAEMONS)
                figures = drive(contender, pods, Path(home), node / "admin.kubeconfig")
                used = sum(control.cpu_s(daemon) for daemon in DAEMONS) - before
                found.append({"round": number, "contender": contender, **figures, "server_cpu_s": used})
                print(json.dumps(found[-1]), flush=True)
    return found


def in_turns(contenders: Iterable[str], number: int) -> list[str]:
    """Return the contenders, beginning with another one in each round."""
    names = list(contenders)
    first = number % len(names)
    return names[first:] + names[:first]


def template(placement: dict[str, Any]) -> dict[str, Any]:
    base = {"name": "base", "image": "simulated", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": placement["node_selector"],
        "tolerations": placement["tolerations"],
        "containers": [base],
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "placeholder"}, "spec": spec}


def drive(contender: str, pods: int, home: Path, kubeconfig: Path) -> dict[str, Any]:
    options = {
        "IN_CLUSTER": "False",
        "CONFIG_FILE": str(kubeconfig),
        "NAMESPACE": NAMESPACE,
        "POD_TEMPLATE_FILE": str(home / "pod_template.json"),
        "DELETE_WORKER_PODS": "True",
        **CONTENDERS[contender],
    }
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "PODRUNNER_"))
    }
    environ = {
        **kept,
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": str(pods),
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
        "AIRFLOW__API_AUTH__JWT_SECRET": "benchmark" * 8,
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__PODRUNNER__LOGS__FOLLOW": "off",
        **{f"AIRFLOW__KUBERNETES_EXECUTOR__{name}": value for name, value in options.items()},
    }
    command = [sys.executable, str(HERE / "executors" / "driver.py"), contender, str(pods)]
    done = subprocess.run(command, env=environ, stdout=subprocess.PIPE, text=True, check=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def _summary(rounds: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Return the median of each figure."""
    return {
        name: {
            contender: statistics.median(of(one) for one in rounds if one["contender"] == contender)
            for contender in CONTENDERS
        }
        for name, of in SUMMARY
    }


def _machine(node: str) -> dict[str, Any]:
    asked = subprocess.run(
        ["kubectl", "--kubeconfig", f"{node}/admin.kubeconfig", "version", "-o", "json"],
        capture_output=True,
        text=True,
        check=True,
    )
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "kubernetes": json.loads(asked.stdout)["serverVersion"]["gitVersion"],
        "packages": versions,
    }


if __name__ == "__main__":
    if failed := main():  # an exit without failure would end run.py
        sys.exit(failed)

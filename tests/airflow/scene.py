"""An Airflow whose schedulers die: a LocalCluster of its own process, and PostgreSQL where there is one.

What belongs here: what the tests of hand-overs ask of the cluster and do to it. What is expected stands in the tests.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from installation import HERE, Installation
from kubernetes import client as kubernetes
from kubernetes import config as kubeconfigs
from postgres import Postgres, programs

__all__ = ["Cluster", "Scene"]

THRESHOLD_S = 20


class Cluster:
    """``podrunner local up`` in a process of its own, and what other clients do there.

    Args:
        folder: For its files.
    """

    def __init__(self, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        image = f"airflow={Path(sys.executable).parent}"
        with (folder / "cluster.out").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "podrunner", "local", "up"),
                    *("--kubeconfig", self.kubeconfig, "--image", image),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 300
        while not self.kubeconfig.exists():
            assert self._process.poll() is None, (folder / "cluster.out").read_text()
            assert time.monotonic() < deadline, "the cluster does not start"
            time.sleep(0.2)
        api = kubeconfigs.new_client_from_config(str(self.kubeconfig))
        self.core = kubernetes.CoreV1Api(api)
        self.leases = kubernetes.CoordinationV1Api(api)

    def pods(self, dag: str | None = None) -> list[Any]:
        """Return the pods, of one DAG or all."""
        found = self.core.list_namespaced_pod("default").items
        return [pod for pod in found if dag is None or pod.metadata.labels.get("dag_id") == dag]

    def take_lease(self) -> str:
        """Give the Lease of the runner that holds one to another holder; return the Lease's name."""
        (held,) = [
            lease
            for lease in self.leases.list_namespaced_lease("default").items
            if lease.spec.holder_identity
        ]
        held.spec.holder_identity = "another"
        self.leases.replace_namespaced_lease(held.metadata.name, "default", held)
        return str(held.metadata.name)

    def add_config_map(self, name: str) -> None:
        """Make what a volume waits for."""
        body = kubernetes.V1ConfigMap(metadata=kubernetes.V1ObjectMeta(name=name), data={"open": "yes"})
        self.core.create_namespaced_config_map("default", body)

    def pause(self) -> None:
        """Stop the API server's process; its pods run on."""
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and its pods."""
        self.go_on()
        self._process.terminate()
        self._process.wait(60)


class Scene:
    """The whole.

    Args:
        folder: For all files.

    Attributes:
        postgres: The database; None: there is no PostgreSQL, and it is SQLite.
    """

    def __init__(self, folder: Path) -> None:
        with contextlib.ExitStack() as stack:
            found = programs()
            self.postgres = None if found is None else Postgres(found)
            if self.postgres is not None:
                stack.callback(self.postgres.stop)
            self.cluster = Cluster(folder)
            stack.callback(self.cluster.stop)
            self.airflow = Installation(folder / "airflow", executor="dying.DyingExecutor")
            stack.callback(self.airflow.stop)
            self.airflow.settings |= self._settings()
            self.airflow.migrate()
            self._stack = stack.pop_all()

    def _settings(self) -> dict[str, str]:
        workers = {
            name: value
            for name, value in self.airflow.environ.items()
            if name.startswith("AIRFLOW") and not any(word in name for word in ("SECRET", "SQL_ALCHEMY"))
        }
        return {
            "PYTHONPATH": str(HERE),
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": str(THRESHOLD_S),
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "5",
            "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
            "AIRFLOW__KUBERNETES_EXECUTOR__DELETE_WORKER_PODS_ON_FAILURE": "True",
            "AIRFLOW__PODRUNNER__CLUSTER": "kubeconfig",
            "AIRFLOW__PODRUNNER__KUBECONFIG": str(self.cluster.kubeconfig),
            "AIRFLOW__PODRUNNER__IMAGE": "airflow",
            "AIRFLOW__PODRUNNER__MAX_ACTIVE_PODS": "6",
            "AIRFLOW__PODRUNNER__ENV": json.dumps(workers),
            **(self.postgres.settings if self.postgres else {}),
        }

    def start(self, *dags: str) -> None:
        """Start Airflow with one scheduler."""
        self.airflow.start("api-server", "scheduler", "dag-processor")
        self.airflow.wait_ready(*dags)

    def stop(self) -> None:
        """Stop everything."""
        self._stack.close()

    def restart_scheduler(self, **settings: str) -> None:
        """Kill the scheduler and start another one, with other settings."""
        self.airflow.kill("scheduler")
        self.airflow.settings |= settings
        self.airflow.start("scheduler")

    def until(self, condition: Any, what: str, *, within_s: float = 600) -> None:
        """Wait for a condition; no process may end meanwhile."""
        self.airflow.until(condition, within_s, what)

    def until_no_pod(self, dag: str) -> None:
        """Wait until no pod of a DAG is left."""
        self.until(lambda: not self.cluster.pods(dag), f"no pod of {dag} is left")

    def ran(self, run: str) -> Counter[str]:
        """Return what the tasks of a run have noted when they began, and how often."""
        names = (path.name.partition(".")[0] for path in self.noted(run).glob("*"))
        return Counter(names)

    def noted(self, run: str) -> Path:
        """Return the folder with a run's notes."""
        return self.airflow.home / "notes" / run.replace(":", "_").replace("+", "_")

    def causes(self, dag: str, run: str, event: str) -> list[str]:
        """Return what the event log says of a run's task instances."""
        return [row["extra"] for row in self.airflow.events(dag, run) if row["event"] == event]

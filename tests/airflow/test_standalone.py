"""``airflow standalone`` with the laptop's executor: tasks run in pods, and Ctrl-C leaves no pod and no LocalCluster.

Airflow's own triggerer may hang then: it gets SIGINT from the terminal and SIGTERM from ``standalone`` at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from laptop import Laptop, commands_of
from podrunner import LocalCluster


@pytest.fixture
def laptop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    airflow = Laptop(tmp_path_factory.mktemp("standalone"))
    try:
        yield airflow
    finally:
        airflow.stop()


def test_standalone_runs_tasks_in_pods_and_ctrl_c_leaves_no_pod(laptop: Laptop) -> None:
    laptop.run(commands_of("### One command"))
    laptop.wait_ready("inspected")
    run = laptop.trigger("inspected")
    laptop.wait_states("inspected", run, {"waiting": {"running"}})
    (task,) = laptop.task_instances("inspected", run)
    assert task["hostname"].startswith("inspected-waiting-")
    assert laptop.processes("airflow supervisor")
    assert "Forcing executor" not in laptop.output("shell")
    kubeconfig = laptop.home / "podrunner" / "kubeconfig"
    assert kubeconfig.exists()

    laptop.interrupt("airflow standalone")
    for name in ("airflow scheduler", "podrunner/local/kubelet", "airflow supervisor", "airflow worker"):
        laptop.wait_gone(name)
    left = laptop.processes()
    assert all("triggerer" in each or "standalone" in each or "api" in each for each in left.values()), left
    assert not kubeconfig.exists()
    assert list(Path(laptop.home, "podrunner", "pods").glob("*")) == []
    with LocalCluster.blocking(laptop.home / "podrunner"):
        pass  # the folder is no other cluster's

"""One Airflow for the session, whose executor uses a LocalCluster of the tests' own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import podrunner
import pytest
from installation import Installation

DAGS = ("story", "killed", "outlive")


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[podrunner.LocalCluster]:
    """A LocalCluster that outlives the scheduler; the image ``airflow`` is the environment of the tests."""
    del tmp_path_factory
    images = {"airflow": podrunner.Image(path=(Path(sys.executable).parent,))}
    with podrunner.LocalCluster.blocking(images=images) as running:
        yield running


@pytest.fixture(scope="session")
def airflow(
    cluster: podrunner.LocalCluster, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A whole Airflow, with the executor on the cluster."""
    installed = Installation(
        tmp_path_factory.mktemp("airflow"), executor="podrunner.integrations.airflow.PodRunnerExecutor"
    )
    workers = {
        name: value
        for name, value in installed.environ.items()
        if name.startswith("AIRFLOW") and not any(word in name for word in ("SECRET", "SQL_ALCHEMY"))
    }
    installed.settings |= {
        "AIRFLOW__PODRUNNER__CLUSTER": "kubeconfig",
        "AIRFLOW__PODRUNNER__KUBECONFIG": str(cluster.kubeconfig),
        "AIRFLOW__PODRUNNER__IMAGE": "airflow",
        "AIRFLOW__PODRUNNER__ENV": json.dumps(workers),
    }
    installed.migrate()
    installed.start("api-server", "scheduler", "dag-processor")
    try:
        installed.wait_ready(*DAGS)
        yield installed
    finally:
        installed.stop()

"""One Airflow for the session, whose executor uses a LocalCluster of the tests' own process."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import podrunner
import pytest
from installation import Installation
from particulars import add_particulars
from scene import Scene

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
    add_particulars(installed)
    installed.settings |= {
        "AIRFLOW__PODRUNNER__CLUSTER": "kubeconfig",
        "AIRFLOW__PODRUNNER__KUBECONFIG": str(cluster.kubeconfig),
        "AIRFLOW__PODRUNNER__IMAGE": "airflow",
        "AIRFLOW__PODRUNNER__ENV": json.dumps(installed.worker_environ),
    }
    installed.migrate()
    installed.start("api-server", "scheduler", "dag-processor")
    try:
        installed.wait_ready(*DAGS)
        yield installed
    finally:
        installed.stop()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    """An Airflow whose schedulers are killed, and a cluster that is stopped."""
    made = Scene(tmp_path_factory.mktemp("scene"))
    try:
        made.start("crowd", "lasting", "gated", "nowhere", "dies")
        yield made
    finally:
        made.stop()

"""Where the schedulers' pods are played: on a LocalCluster in a process of its own, or on a real Kubernetes.

Of 300 pods on a real node every tenth is real, as on a LocalCluster; the others live on a node that kwok simulates,
since 300 real ones would need a larger machine. On a cluster of yours, where no node can be simulated, it is 60 real
ones.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "cluster"))
from control import Control
from simulated import simulated_node
from tests.support.waiting import until_blocking


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Where, how many, and how patient one must be there.

    Attributes:
        played: How most pods are played, see ``scheduler.py``.
        lease_s: Short, for the test's sake; a busy machine may well stop a process for a second.
        patience_s: For what a third of the pods do.
    """

    kubeconfig: Path
    namespace: str
    image: str
    pods: int
    played: str
    lease_s: float = 20.0
    patience_s: float = 180.0


@contextmanager
def embedded_cluster(folder: Path) -> Iterator[Path]:
    """``podrunner local up`` as a process: the kubeconfig."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "podrunner", "local", "up", "--kubeconfig", str(kubeconfig)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_blocking(kubeconfig.exists, within_s=90)
        yield kubeconfig
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(90)


@contextmanager
def _embedded(folder: Path) -> Iterator[Scene]:
    with embedded_cluster(folder) as kubeconfig:
        yield Scene(
            kubeconfig=kubeconfig,
            namespace="default",
            image="any",
            pods=300,
            played="scripted",
        )


@contextmanager
def _on(cluster, kubeconfig: Path, namespace: str) -> Iterator[Scene]:
    def scene(pods: int, played: str) -> Scene:
        return Scene(
            kubeconfig=kubeconfig,
            namespace=namespace,
            image=cluster.image,
            pods=pods,
            played=played,
        )

    node = os.environ.get("PODRUNNER_TEST_NODE")
    if not node or not shutil.which("kwok"):
        yield scene(60, "really")
        return
    with cluster.http() as admin, simulated_node(Control(Path(node)), admin):
        yield scene(300, "simulated")


@pytest.fixture
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    """A place for three schedulers."""
    if not os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
        with _embedded(tmp_path) as made:
            yield made
        return
    with _on(*map(request.getfixturevalue, ("cluster", "kubeconfig", "namespace"))) as made:
        yield made

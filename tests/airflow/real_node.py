"""Airflow beside the node of ``tests/cluster/up.py``: its namespace and rights, the workers' pod template, kubectl.

What belongs here: what a cluster has of an Airflow, made as the how-to says. What is expected stands in the tests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import IO, Any

from installation import HERE, Installation

__all__ = ["ADDRESS", "IMAGE", "NAMESPACE", "Kubectl", "pod_template", "supervisor_of"]

NAMESPACE = "airflow"
ADDRESS = "10.99.0.1"
IMAGE = "localhost/pyhost:1"
LIBRARIES = "/host-libraries"
_LIBRARIES = (
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libtinfo.so.6",
    "librt.so.1",
    "libdl.so.2",
    "libpthread.so.0",
)
_RIGHTS = HERE.parents[1] / "examples" / "rbac.yaml"


class Kubectl:
    """The node's kubectl.

    Args:
        folder: For the files that it writes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._admin = os.environ["PODRUNNER_TEST_KUBECONFIG"]

    def __call__(self, *arguments: str, stdin: str | None = None) -> str:
        """Run a command in Airflow's namespace and return what it prints."""
        done = subprocess.run(
            self._command(*arguments), input=stdin, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pods(self) -> list[dict[str, Any]]:
        """Return the pods of Airflow's namespace."""
        return list(json.loads(self("get", "pods", "-o", "json"))["items"])

    def watch(self, output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start ``kubectl get pods -w``."""
        return subprocess.Popen(self._command("get", "pods", "-w"), stdout=output, stderr=subprocess.STDOUT)

    def make_airflow(self) -> Path:
        """Make the namespace and a service account with podrunner's rights; return the account's kubeconfig."""
        self("create", "namespace", NAMESPACE)
        self("apply", "-f", "-", stdin=_RIGHTS.read_text(encoding="utf-8"))
        token = self("create", "token", "podrunner", "--duration=4h").strip()
        config = json.loads(self("config", "view", "--raw", "-o", "json"))
        config["users"] = [{"name": "user", "user": {"token": token}}]
        file = self._folder / "scheduler.kubeconfig"
        file.write_text(json.dumps(config), encoding="utf-8")
        return file

    def _command(self, *arguments: str) -> list[str]:
        return ["kubectl", "--kubeconfig", self._admin, "--namespace", NAMESPACE, *arguments]


def pod_template(airflow: Installation) -> dict[str, Any]:
    """Return the workers' pod template: what a worker's image would have is mounted from this machine.

    Of ``AIRFLOW_HOME``, a worker has the log folder and a shared one, not the database.
    """
    environment = Path(sys.executable).parent
    kept = [environment.parent, HERE / "dags", airflow.home / "logs", airflow.home / "shared"]
    mounted = {str(path): str(path) for path in kept} | _programs()
    writable = {str(path) for path in kept[2:]}
    variables = {
        "PATH": f"{environment}:/usr/local/bin:/usr/bin:/bin",
        "LD_LIBRARY_PATH": LIBRARIES,
        **airflow.worker_environ,
    }
    base = {
        "name": "base",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "env": [{"name": name, "value": value} for name, value in variables.items()],
        "volumeMounts": [
            {"name": f"host-{number}", "mountPath": inside, "readOnly": inside not in writable}
            for number, inside in enumerate(mounted.values())
        ],
    }
    volumes = [{"name": f"host-{number}", "hostPath": {"path": path}} for number, path in enumerate(mounted)]
    spec = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "containers": [base],
        "volumes": volumes,
    }
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "placeholder"}, "spec": spec}


def _programs() -> dict[str, str]:
    """Return bash, and the libraries that it or Airflow needs but the image's interpreter does not."""
    bash = Path("/bin/bash").resolve()
    listed = subprocess.run(["ldd", str(bash)], capture_output=True, text=True, check=True).stdout
    folder = next(Path(line.split()[2]).parent for line in listed.splitlines() if "libc.so" in line)
    libraries = [folder / name for name in _LIBRARIES]
    return {str(bash): "/bin/bash"} | {str(each.resolve()): f"{LIBRARIES}/{each.name}" for each in libraries}


def supervisor_of(ti_id: str) -> int:
    """Return the process id, as this machine sees it, of the worker that supervises a task instance."""
    title = f"airflow supervisor: {ti_id}".encode()
    (found,) = [int(path.parent.name) for path in Path("/proc").glob("[0-9]*/cmdline") if _reads(path, title)]
    return found


def _reads(path: Path, words: bytes) -> bool:
    try:
        return words in path.read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has ended meanwhile

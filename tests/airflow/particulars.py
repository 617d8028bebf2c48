"""What an installation has for the DAGs of ``dags/tasks.py``: local settings with a hook, pod templates, a coordinator.

It is added before the processes start. What is expected of it stands in ``test_tasks.py``.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from installation import Installation

__all__ = ["add_particulars"]

_LOCAL_SETTINGS = """
from kubernetes.client import V1EnvVar, V1Pod


def pod_mutation_hook(pod: V1Pod):
    labels = pod.metadata.labels
    if labels.get("dag_id") != "particular":
        return
    if labels["task_id"] == "refused":
        raise LookupError("no team for this task")
    labels["hooked"] = "yes"
    labels["task_id"] = "another"
    (base,) = pod.spec.containers
    base.env = [*(base.env or ()), V1EnvVar(name="SAID_BY_HOOK", value="hello")]
"""


def add_particulars(installed: Installation) -> None:
    """Write the files into the installation's folder and set what points to them."""
    config = installed.home / "config"
    config.mkdir()
    (config / "airflow_local_settings.py").write_text(_LOCAL_SETTINGS)
    coordinator = {
        "classpath": "airflow.sdk.execution_time.coordinator._PythonCoordinator",
        "extra": {"pod_template_file": str(_template(installed.home, "coordinator"))},
    }
    _template(installed.home, "template")
    installed.settings |= {
        "AIRFLOW__SDK__COORDINATORS": json.dumps({"plain": coordinator}),
        "AIRFLOW__SDK__QUEUE_TO_COORDINATOR": json.dumps({"coordinated": "plain"}),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        "AIRFLOW__PODRUNNER__NAMESPACES": json.dumps(["elsewhere"]),
    }


def _template(home: Path, name: str) -> Path:
    path = home / f"{name}.yaml"
    base = {"name": "base", "env": [{"name": f"SAID_BY_{name.upper()}", "value": "hello"}]}
    path.write_text(json.dumps({"spec": {"containers": [base], "restartPolicy": "Never"}}))
    return path

"""A program for an environment of Airflow: builds worker pods as the KubernetesExecutor of its provider does.

Reads one case per line from standard input (JSON: see ``cases.Case.as_request``) and answers each with one line: the
pod, or the error that the executor would report. It imports Airflow and its provider only, never podrunner: what it
prints is evidence about them.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

HOME = os.environ["AIRFLOW_HOME"]  # a folder of this process alone
warnings.simplefilter("ignore")

from airflow.configuration import AirflowConfigParser, conf  # noqa: E402
from airflow.models.taskinstancekey import TaskInstanceKey  # noqa: E402
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_types import KubernetesJob  # noqa: E402
from airflow.providers.cncf.kubernetes.executors.kubernetes_executor_utils import (  # noqa: E402
    AirflowKubernetesScheduler,
)
from airflow.providers.cncf.kubernetes.kube_config import KubeConfig  # noqa: E402
from airflow.providers.cncf.kubernetes.pod_generator import PodGenerator  # noqa: E402
from airflow.version import version  # noqa: E402

_ALL_OPTIONS = conf.as_dict(display_sensitive=True)
conf.as_dict = lambda *_, **__: _ALL_OPTIONS  # KubeConfig asks for it each time, and takes one section of it


def main() -> None:
    """Answer each request."""
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Airflow prints is no answer
    os.chdir(HOME)
    for line in sys.stdin:
        answer = answer_to(json.loads(line))
        real.write(json.dumps(answer, sort_keys=True) + "\n")
        real.flush()


def answer_to(request: dict) -> dict:
    """Return the pod of a request, with the namespace that it is created in, or the error."""
    for old in Path(HOME).glob("*.yaml"):
        old.unlink()
    for name, text in request["files"].items():
        Path(HOME, name).write_text(text)
    try:
        pod = scheduler(request)._build_pod_request(job_of(request))
    except Exception as error:  # noqa: BLE001 - each of them fails the task, and is the answer
        cause = error.__cause__
        reason = f"{type(error).__name__}: {error}" + (f" ({type(cause).__name__}: {cause})" if cause else "")
        return {"airflow": version, "error": reason}
    return {"airflow": version, "pod": PodGenerator.serialize_pod(pod)}


def scheduler(request: dict) -> AirflowKubernetesScheduler:
    """Return the executor's scheduler, without its client and its watcher: building a pod needs neither."""
    parser = AirflowConfigParser()
    parser.read(Path(HOME, "airflow.cfg"))
    made = object.__new__(AirflowKubernetesScheduler)
    kube_config = KubeConfig(executor_conf=parser)
    members = {
        "kube_config": kube_config,
        "namespace": kube_config.executor_namespace,
        "scheduler_job_id": request["scheduler_job_id"],
        "supports_task_instance_uuid": False,
        "_log": SimpleNamespace(info=nothing, debug=nothing, warning=nothing, error=nothing),
    }
    for name, value in members.items():
        setattr(made, name, value)
    return made


def nothing(*_: object, **__: object) -> None:
    """Log nothing."""


def job_of(request: dict) -> KubernetesJob:
    """Return the executor's job, as ``KubernetesExecutor.execute_async`` makes it."""
    task = request["task"]
    key = TaskInstanceKey(
        task["dag_id"], task["task_id"], task["run_id"], task["try_number"], task["map_index"]
    )
    config = {}
    if request["pod_override"] is not None:
        config["pod_override"] = PodGenerator.deserialize_model_dict(request["pod_override"])
    return KubernetesJob(key, command_of(request), PodGenerator.from_obj(config), request["task_template"])


def command_of(request: dict) -> list:
    """Return what the scheduler of this version hands to the executor."""
    task = request["task"]
    if version.startswith("2."):
        from airflow.models.taskinstance import TaskInstance

        return TaskInstance.generate_command(
            task["dag_id"],
            task["task_id"],
            task["run_id"],
            local=True,
            pool=task["pool"],
            file_path=task["dag_file"],
            map_index=task["map_index"],
        )
    from airflow.executors.workloads import ExecuteTask

    return [ExecuteTask.model_validate_json(request["workload"])]


if __name__ == "__main__":
    main()

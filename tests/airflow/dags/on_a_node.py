"""The DAGs of a real cluster: a task that is looked at, one whose supervisor is killed, and ones without memory."""

import time
from datetime import timedelta
from pathlib import Path

from airflow.configuration import conf
from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import dag, task
from kubernetes.client import models as k8s

SHARED = Path(conf.get("logging", "base_log_folder")).parent / "shared"


def limited(memory):
    """Return an executor_config with a limit of memory."""
    resources = k8s.V1ResourceRequirements(limits={"memory": memory})
    base = k8s.V1Container(name="base", resources=resources)
    return {"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[base]))}


@dag(schedule=None, catchup=False)
def on_a_node():
    first = BashOperator(
        task_id="bash",
        bash_command="echo hello from $HOSTNAME",
        executor="KubernetesExecutor",
        executor_config={"pod_override": k8s.V1Pod(metadata=k8s.V1ObjectMeta(labels={"team": "a"}))},
    )

    @task
    def looked_at():
        while not (SHARED / "looked").exists():
            time.sleep(0.2)
        print("seen")

    @task
    def double(n):
        return 2 * n

    first >> looked_at() >> double.expand(n=[1, 2, 3])


@dag(schedule=None, catchup=False)
def killed_on_a_node():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def supervised(ti=None):
        if ti.try_number == 1:
            (SHARED / "supervised").touch()
            time.sleep(120)

    supervised()


@dag(schedule=None, catchup=False)
def cannot_start():
    nowhere = k8s.V1Container(name="base", env=[k8s.V1EnvVar(name="PYTHONHOME", value="/nowhere")])

    @task(executor_config={"pod_override": k8s.V1Pod(spec=k8s.V1PodSpec(containers=[nowhere]))})
    def without_interpreter():
        print("never")

    without_interpreter()


@dag(schedule=None, catchup=False)
def out_of_memory():
    @task(executor_config=limited("600Mi"))
    def greedy():
        print("hungry")
        return len([b"." * 2**20 for _ in range(1000)])

    @task(executor_config=limited("100Mi"))
    def never_begun():
        print("the interpreter alone needs more than the limit")

    greedy()
    never_begun()


on_a_node()
killed_on_a_node()
cannot_start()
out_of_memory()

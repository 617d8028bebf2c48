"""The DAGs of the hand-overs: each task notes when it begins, so that the tests see how often it ran."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task
from kubernetes.client import models as k8s

GATED = k8s.V1Pod(
    spec=k8s.V1PodSpec(
        containers=[
            k8s.V1Container(
                name="base", volume_mounts=[k8s.V1VolumeMount(name="gate", mount_path="/mnt/podrunner-gate")]
            )
        ],
        volumes=[k8s.V1Volume(name="gate", config_map=k8s.V1ConfigMapVolumeSource(name="gate"))],
    )
)
NOWHERE = k8s.V1Pod(spec=k8s.V1PodSpec(containers=[], node_selector={"no": "where"}))


def note(ti, name):
    folder = Path(os.environ["AIRFLOW_HOME"], "notes", ti.run_id.replace(":", "_").replace("+", "_"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.{ti.try_number}.{os.getpid()}").touch()


@dag(schedule=None, catchup=False)
def crowd():
    @task
    def one(number, ti=None, dag_run=None):
        note(ti, f"{number}")
        time.sleep(dag_run.conf.get("seconds", 3))

    @task
    def numbers(dag_run=None):
        return list(range(dag_run.conf.get("count", 32)))

    one.expand(number=numbers())


@dag(schedule=None, catchup=False)
def lasting():
    @task
    def long(ti=None, dag_run=None):
        note(ti, "long")
        time.sleep(dag_run.conf.get("seconds", 600))

    long()


@dag(schedule=None, catchup=False)
def gated():
    @task(executor_config={"pod_override": GATED})
    def waits(ti=None):
        note(ti, "waits")

    waits()


@dag(schedule=None, catchup=False)
def nowhere():
    @task(retries=1, executor_config={"pod_override": NOWHERE})
    def unplaced(ti=None):
        note(ti, "unplaced")

    unplaced()


@dag(schedule=None, catchup=False)
def dies():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def supervised(ti=None):
        note(ti, f"try-{ti.try_number}")
        if ti.try_number == 1:
            time.sleep(5)
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(30)

    supervised()


crowd()
lasting()
gated()
nowhere()
dies()

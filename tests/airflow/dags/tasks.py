"""The DAGs about tasks: many, deferred, revoked, with callbacks, with settings of their own, and their logs."""

import os
import time
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.sensors.time_delta import TimeDeltaSensor
from airflow.sdk import DeadlineAlert, DeadlineReference, SyncCallback, dag, task
from kubernetes.client import models as k8s

HOME = Path(os.environ["AIRFLOW_HOME"])
ONCE = {"retries": 1, "retry_delay": timedelta(seconds=1)}


# A log folder that the API server does not have.
APART = [k8s.V1EnvVar(name="AIRFLOW__LOGGING__BASE_LOG_FOLDER", value=str(HOME / "of-the-worker"))]


def apart_in(namespace):
    return {
        "pod_override": k8s.V1Pod(
            metadata=k8s.V1ObjectMeta(namespace=namespace),
            spec=k8s.V1PodSpec(containers=[k8s.V1Container(name="base", env=APART)]),
        )
    }


def wait_for(name):
    """Wait for a file that the test makes; give up in the end."""
    for _ in range(600):
        if (HOME / name).exists():
            return
        time.sleep(0.5)
    raise TimeoutError(name)


@dag(schedule=None, catchup=False)
def wide():
    @task
    def numbers(count):
        return list(range(int(count)))

    # No more at once than a small machine has memory for.
    @task(max_active_tis_per_dag=12)
    def one(number):
        print("this is number", number)
        return number

    one.expand(number=numbers("{{ dag_run.conf.get('count', 20) }}"))


@dag(schedule=None, catchup=False)
def deferred():
    TimeDeltaSensor(task_id="wait", delta=timedelta(seconds=2), deferrable=True)


@dag(schedule=None, catchup=False)
def chatty():
    @task(executor_config=apart_in(None))
    def apart(ti=None):
        print("said while it runs")
        wait_for(f"enough-{ti.run_id}")

    @task(executor_config=apart_in("elsewhere"))
    def moved(ti=None):
        print("said elsewhere")
        wait_for(f"enough-{ti.run_id}")

    @task
    def beside(ti=None):
        print("said once")
        wait_for(f"enough-{ti.run_id}")

    [apart(), moved(), beside()]


@dag(schedule=None, catchup=False)
def endless():
    @task(**ONCE)
    def failed():
        time.sleep(600)

    @task(**ONCE)
    def cleared(ti=None):
        if ti.try_number == 1:
            time.sleep(600)

    [failed(), cleared()]


@dag(schedule=None, catchup=False)
def particular():
    @task
    def hooked():
        print("the hook said", os.environ["SAID_BY_HOOK"])

    @task
    def refused():
        print("never")

    @task(executor_config={"KubernetesExecutor": {"image": "airflow"}})
    def old():
        print("never")

    @task(executor_config={"pod_template_file": str(HOME / "template.yaml")})
    def templated():
        print("the template said", os.environ["SAID_BY_TEMPLATE"])

    @task(queue="coordinated")
    def coordinated():
        print("the coordinator's template said", os.environ["SAID_BY_COORDINATOR"])

    [hooked(), refused(), old(), templated(), coordinated()]


def late(dag_id, callback):
    alert = DeadlineAlert(
        reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(seconds=1), callback=callback
    )

    @dag(dag_id=dag_id, schedule=None, catchup=False, deadline=alert)
    def made():
        @task
        def slow():
            time.sleep(8)

        slow()

    made()


wide()
deferred()
chatty()
endless()
particular()
late("late_noted", SyncCallback("notices.note", kwargs={"name": "noted"}))
late("late_slow", SyncCallback("notices.take_time", kwargs={"name": "slow"}))
late("late_broken", SyncCallback("notices.fail", kwargs={"name": "broken"}))

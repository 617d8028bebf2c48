"""The DAG of the short story: bash with an override, Python, mapped, retries, a reschedule sensor."""

import os
from datetime import timedelta
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import PokeReturnValue, dag, task
from kubernetes.client import models as k8s


@dag(schedule=None, catchup=False)
def story():
    first = BashOperator(
        task_id="bash",
        bash_command="echo hello from $HOSTNAME; date",
        executor_config={"pod_override": k8s.V1Pod(metadata=k8s.V1ObjectMeta(labels={"team": "a"}))},
    )

    @task
    def numbers():
        return list(range(5))

    @task
    def double(n):
        print("doubling", n)
        return 2 * n

    @task(retries=1, retry_delay=timedelta(seconds=1))
    def flaky(ti=None):
        print("try", ti.try_number)
        if ti.try_number == 1:
            raise ValueError("not yet")

    @task.sensor(poke_interval=3, timeout=60, mode="reschedule")
    def later(ti=None):
        poked = Path(os.environ["AIRFLOW_HOME"], f"poked-{ti.run_id.replace(':', '_').replace('+', '_')}")
        seen = poked.exists()
        poked.touch()
        return PokeReturnValue(is_done=seen)

    first >> double.expand(n=numbers()) >> [flaky(), later()]


story()

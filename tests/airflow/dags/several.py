"""The DAG of several executors: each task names its own."""

import os
import time
from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False)
def several():
    @task
    def by_default():
        print("host", os.environ.get("HOSTNAME"))

    @task(executor="pods")
    def by_alias(ti=None):
        path = Path(os.environ["AIRFLOW_HOME"], f"enough-{ti.run_id}")
        for _ in range(240):
            if path.exists():
                return
            time.sleep(0.5)

    @task(executor="PodRunnerExecutor")
    def by_class():
        print("here")

    [by_default(), by_alias(), by_class()]


several()

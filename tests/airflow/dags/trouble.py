"""The DAGs of the troubles: a worker that is killed, and tasks that outlive their scheduler."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False)
def killed():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def supervised(ti=None):
        if ti.try_number == 1:
            os.kill(os.getppid(), signal.SIGKILL)
            time.sleep(30)

    supervised()


@dag(schedule=None, catchup=False)
def outlive():
    @task(retries=1, retry_delay=timedelta(seconds=1))
    def long(number, ti=None):
        with Path(os.environ["AIRFLOW_HOME"], f"outlive-{number}").open("a") as ran:
            ran.write(f"{ti.try_number}\n")
        time.sleep(70)

    long.expand(number=list(range(3)))


killed()
outlive()

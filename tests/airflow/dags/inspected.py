"""A task that runs until it is let go, for those who look into its pod."""

import os
import time
from pathlib import Path

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False)
def inspected():
    @task
    def waiting():
        print("inspect me", flush=True)
        while not Path(os.environ["AIRFLOW_HOME"], "let-go").exists():
            time.sleep(1)

    waiting()


inspected()

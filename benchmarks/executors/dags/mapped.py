"""The DAG of ``airflow_whole.py``: one task, mapped. Stand-ins report its ends; no worker runs it."""

import os

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False)
def mapped():
    @task
    def one(number):
        return number

    one.expand(number=list(range(int(os.environ["MAPPED"]))))


mapped()

"""The DAG of a team that has an executor of its own."""

import os

from airflow.sdk import dag, task


@dag(schedule=None, catchup=False)
def of_red():
    @task
    def who():
        print("the team is", os.environ["TEAM"])

    who()


of_red()

"""sample_k8s: the DAG of the demo, written for Airflow 1.10.

The demo puts it on the DAG volume. It loads with the demo image's few classes, and with Airflow 1.10 itself.
"""

import os
import time
from datetime import datetime

from airflow import DAG
from airflow.operators.python_operator import PythonOperator


def work() -> None:
    """What test-task001 does: look at what a worker pod was given, for a few seconds."""
    folder = os.environ["AIRFLOW__CORE__DAGS_FOLDER"]
    print(f"DAG folder {folder} holds {sorted(os.listdir(folder))}")
    print("SQL_ALCHEMY_CONN is {}".format("set" if os.environ.get("SQL_ALCHEMY_CONN") else "missing"))
    for step in range(1, 4):
        print(f"step {step} of 3")
        time.sleep(float(os.environ.get("DEMO_STEP_SECONDS", "1")))


with DAG("sample_k8s", start_date=datetime(2019, 8, 14), schedule=None) as dag:
    PythonOperator(task_id="test-task001", python_callable=work)

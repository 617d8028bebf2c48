"""The text of an airflow.cfg gives the pod that Airflow 1.10.4's own code built from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podrunner.builder import build_plan
from podrunner.workload import Workload
from tests.unit.builder.test_goldens import GOLDEN, TASK, UUID, in_plain_text, normalized

CORE = """
[core]
airflow_home = /root/airflow
dags_folder = {AIRFLOW_HOME}/dags
sql_alchemy_conn = postgresql://u:p@h/db
[kubernetes]
worker_container_repository = airflow
worker_container_tag = latest
"""
FILES = {
    "airflow_cfg_pvc": (Path(__file__).parents[3] / "examples" / "airflow.cfg").read_text(),
    "dags_in_image": f"{CORE}dags_in_image = True\n",
    "hostpath": f"{CORE}dags_volume_host = /airflow-dags/\ndags_volume_subpath = a/b\n"
    "logs_volume_host = /airflow-logs/\nlogs_volume_subpath = c\n",
    "git_sync_https": f"{CORE}git_repo = https://x/y.git\ngit_branch = master\ngit_subpath = dags\n"
    "git_dags_folder_mount_point = /root/airflow/dags\ngit_user = u\ngit_password = p\n"
    "logs_volume_claim = airflow-logs\n",
}


@pytest.mark.parametrize("name", FILES)
def test_the_file_makes_airflows_pod(load, name):
    plan = build_plan(load(FILES[name]).config, Workload.airflow(**TASK, worker_uuid=UUID))
    golden = json.loads((GOLDEN / f"{name}.json").read_text())
    assert normalized(in_plain_text(plan)) == normalized(golden)

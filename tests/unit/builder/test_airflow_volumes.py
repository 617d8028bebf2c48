"""Volumes of an Airflow worker beyond the golden pods."""

import pytest
from podrunner.builder import build_pod
from podrunner.config import AirflowSettings, DagsFromClaim, LogsInEmptyDir, RunnerConfig


@pytest.fixture
def built(workload):
    def build(**airflow):
        return build_pod(RunnerConfig(image="i", airflow=AirflowSettings(home="/a", **airflow)), workload)

    return build


def test_dags_may_be_mounted_elsewhere(built, look):
    mounts = look.mounts(built(dags=DagsFromClaim(claim="c", mount_point="/mnt/dags", subpath="x")))
    assert mounts["/mnt/dags"] == {"name": "airflow-dags", "readOnly": True, "subPath": "x"}
    assert "/a/dags" not in mounts


def test_logs_without_a_volume_go_to_an_empty_dir(built, look):
    pod = built(logs=LogsInEmptyDir(), base_log_folder="/logs")
    assert look.volumes(pod) == {"airflow-logs": {"emptyDir": {}}}
    assert look.mounts(pod) == {"/logs": {"name": "airflow-logs"}}


def test_local_settings_have_a_volume_of_their_own(built, look):
    pod = built(configmap="c", local_settings_configmap="d")
    assert look.volumes(pod)["airflow-local-settings"] == {"configMap": {"name": "d"}}
    assert look.mounts(pod)["/a/config/airflow_local_settings.py"] == {
        "name": "airflow-local-settings",
        "subPath": "airflow_local_settings.py",
        "readOnly": True,
    }


def test_local_settings_in_the_same_config_map_share_its_volume(built, look):
    pod = built(configmap="c", local_settings_configmap="c")
    assert [*look.volumes(pod)] == ["airflow-logs", "airflow-config"]
    assert look.mounts(pod)["/a/config/airflow_local_settings.py"]["name"] == "airflow-config"

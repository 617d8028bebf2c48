"""The Airflow 1.10 file of ``examples/`` loads, with the settings that it is meant to have."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from podrunner.config import ConfigWarning, DagsFromClaim, LogsOnClaim, RunnerConfig, SecretRef
from podrunner.config.loading import load_airflow_cfg

EXAMPLE = Path(__file__).parents[3] / "examples" / "airflow.cfg"


@pytest.fixture
def loaded():
    return load_airflow_cfg(EXAMPLE, environ={})


def test_it_loads_with_the_settings_in_the_file(loaded):
    config = loaded.config
    assert (config.image, config.image_pull_policy) == ("airflow:latest", "IfNotPresent")
    assert (config.namespace, config.cluster) == ("airflow", "in-cluster")
    assert (config.delete_pods, config.delete_pods_on_failure) == (True, False)
    assert config.secret_env == {"SQL_ALCHEMY_CONN": SecretRef("airflow-secrets", "sql_alchemy_conn")}
    assert [toleration["key"] for toleration in config.tolerations] == ["dedicated", "prod"]
    assert "nodeAffinity" in config.affinity


def test_its_worker_has_dags_and_logs_on_claims(loaded):
    airflow = loaded.config.airflow
    assert airflow.dags == DagsFromClaim(claim="airflow-dags")
    assert airflow.logs == LogsOnClaim(claim="airflow-logs")
    assert (airflow.home, airflow.dags_folder) == ("/root/airflow", "/root/airflow/dags")
    assert (airflow.configmap, airflow.sql_alchemy_conn) == ("airflow-configmap", None)


def test_its_two_oddities_are_the_only_findings(loaded):
    old_name, inert_git = loaded.findings
    assert (old_name.level, old_name.key) == ("warning", "git_sync_path")
    assert "git_sync_dest" in str(old_name)
    assert (inert_git.level, inert_git.key) == ("warning", "git_repo")
    assert "git_repo, git_branch, git_subpath: no effect beside dags_volume_claim" in str(inert_git)


def test_from_airflow_cfg_warns_at_the_callers_line():
    with pytest.warns(ConfigWarning) as caught:
        RunnerConfig.from_airflow_cfg(EXAMPLE, environ={})
    assert len(caught) == 2
    assert {warning.filename for warning in caught} == {__file__}


def test_from_file_knows_it_by_its_suffix(loaded):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        assert RunnerConfig.from_file(EXAMPLE, environ={}) == loaded.config

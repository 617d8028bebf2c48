"""A configuration that names no namespace means that of its way to the cluster."""

from __future__ import annotations

import pytest
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.errors import ConfigError
from podrunner.kube.namespace import with_namespace_of_cluster

IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}


@pytest.fixture
def service_account(tmp_path):
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("t")
    (folder / "namespace").write_text("airflow\n")
    return folder


def namespace(config, *, environ=None, folder=None):
    return with_namespace_of_cluster(
        config, environ=environ or {}, **({"service_account": folder} if folder else {})
    ).namespace


def test_it_is_the_contexts(write):
    """K2: as with kubectl."""
    assert namespace(RunnerConfig(kubeconfig=write(namespace="team"))) == "team"
    assert (
        namespace(RunnerConfig(cluster="kubeconfig"), environ={"KUBECONFIG": str(write(namespace="a"))})
        == "a"
    )
    assert namespace(RunnerConfig(kubeconfig=write())) == "default"


def test_it_is_the_service_accounts(service_account):
    """K2."""
    assert namespace(RunnerConfig(), environ=IN_POD, folder=service_account) == "airflow"
    (service_account / "namespace").unlink()
    assert namespace(RunnerConfig(), environ=IN_POD, folder=service_account) == "default"


@pytest.mark.parametrize(
    "config",
    [
        {"namespace": "mine"},
        {"namespace": "default"},
        {"airflow": AirflowSettings(version="2")},
    ],
)
def test_a_setting_wins_and_so_does_airflows_own_default(write, config):
    """K2."""
    found = namespace(RunnerConfig(kubeconfig=write(namespace="team"), **config))
    assert found == config.get("namespace", "default")


def test_a_local_cluster_is_not_asked(monkeypatch, write):
    """K2."""
    environ = {"KUBECONFIG": str(write(namespace="team"))}
    assert namespace(RunnerConfig(cluster="local"), environ=environ) == "default"


def test_the_namespaces_that_are_watched_have_it_too(write):
    """K2."""
    config = RunnerConfig(kubeconfig=write(namespace="team"), namespaces=("other",))
    assert with_namespace_of_cluster(config, environ={}).watched_namespaces == ("team", "other")


def test_a_name_that_is_none_is_said_with_its_file(write):
    path = write(namespace="Team_A")
    with pytest.raises(ConfigError, match="not a valid namespace") as caught:
        namespace(RunnerConfig(kubeconfig=path))
    assert str(caught.value).startswith(f"{path}: contexts[main].namespace: ")
    assert "(value: 'Team_A')" in str(caught.value)

"""Settings from ``PODRUNNER_*`` variables."""

from __future__ import annotations

import pytest
from podrunner.config import DagsFromClaim, RunnerConfig
from podrunner.errors import ConfigError


def read(**variables):
    return RunnerConfig.from_environ(environ={f"PODRUNNER_{name}": text for name, text in variables.items()})


def test_an_empty_environment_gives_the_defaults():
    assert RunnerConfig.from_environ(environ={"PATH": "/bin"}) == RunnerConfig()


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("namespace", "jobs", "jobs"),
        ("verify_ssl", "false", False),
        ("request_timeout_s", "2.5", 2.5),
        ("max_active_pods", "7", 7),
        ("namespaces", "a, b", ("a", "b")),
        ("namespaces", '["a", "b"]', ("a", "b")),
        ("image_pull_secrets", "", ()),
        ("affinity", '{"podAffinity": {}}', {"podAffinity": {}}),
        ("tolerations", '[{"key": "a"}]', ({"key": "a"},)),
        ("owner", "", None),
        ("kubeconfig", "", None),
    ],
)
def test_a_variable_sets_its_setting(name, text, value):
    assert getattr(read(**{name.upper(): text}), name) == value


def test_double_underscores_lead_into_nested_settings():
    config = read(
        WATCH__PAGE_SIZE="7", RESOURCES__CPU_LIMIT="2", AIRFLOW__DAGS__KIND="claim", AIRFLOW__DAGS__CLAIM="d"
    )
    assert (config.watch.page_size, config.resources.cpu_limit) == (7, "2")
    assert config.airflow.dags == DagsFromClaim(claim="d")


def test_a_nested_setting_can_be_given_whole_as_json():
    assert read(WATCH='{"page_size": 7}').watch.page_size == 7


def test_keys_of_mappings_are_taken_as_they_are():
    config = read(ENV__AIRFLOW__CORE__Foo="x", SECRET_ENV__TOKEN="s=k", LABELS='{"a": "b"}')
    assert config.env == {"AIRFLOW__CORE__Foo": "x"}
    assert config.secret_env == {"TOKEN": ("s", "k")}
    assert config.labels == {"a": "b"}


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("NAMESPCE", "x", "names no setting. Did you mean 'PODRUNNER_NAMESPACE'?"),
        ("WATCH__PAGE_SIZ", "x", "Did you mean 'PODRUNNER_WATCH__PAGE_SIZE'?"),
        ("NAMESPACE__DEEPER", "x", "has no parts. Leave out __DEEPER"),
        ("AFFINITY", "{", "is not JSON: column 2"),
        ("MAX_ACTIVE_PODS", "many", "must be a whole number"),
        ("WATCH__PAGE_SIZE", "0", "must be at least 1 (value: '0')"),
        ("CLUSTER", "cloud", "Use 'auto'"),
    ],
)
def test_a_wrong_variable_is_named(name, text, says):
    with pytest.raises(ConfigError) as caught:
        read(**{name: text})
    assert str(caught.value).startswith(f"environment: PODRUNNER_{name}: ")
    assert says in str(caught.value)


def test_variables_that_kubernetes_sets_for_a_service_are_not_settings():
    """A Service named podrunner gives each pod of its namespace these."""
    config = read(
        SERVICE_HOST="10.0.0.1", SERVICE_PORT="80", PORT="tcp://10.0.0.1:80", PORT_80_TCP_ADDR="10.0.0.1"
    )
    assert config == RunnerConfig()


def test_the_variable_that_brings_tracebacks_is_no_setting():
    """K4: the command itself advises PODRUNNER_DEBUG=1."""
    assert read(DEBUG="1") == RunnerConfig()


def test_the_process_environment_is_read_by_default(monkeypatch):
    monkeypatch.setenv("PODRUNNER_NAMESPACE", "from-process")
    assert RunnerConfig.from_environ().namespace == "from-process"


def test_a_secret_in_a_wrong_variable_is_not_shown():
    with pytest.raises(ConfigError) as caught:
        read(AIRFLOW__DAGS='{"kind": "git", "password": ["hidden"], "repo": "x", "mount_point": "/x"}')
    assert "hidden" not in str(caught.value)

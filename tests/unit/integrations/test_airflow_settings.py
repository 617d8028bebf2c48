"""Which settings of Airflow's reach the runner."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from podrunner.errors import ConfigError
from tests.unit.integrations.airflow_stand_ins import Conf, executor_module

DATABASE = "postgresql+psycopg2://airflow:secret@db/airflow"
GLOBAL = {
    "core": {
        "executor": "LocalExecutor,pods:podrunner.integrations.airflow.PodRunnerExecutor",
        "airflow_home": "/a",
        "multi_team": "True",
        "parallelism": "4",
    },
    "podrunner": {"image": "airflow", "namespace": "all"},
    "kubernetes_executor": {"pod_template_file": ""},
    "red=podrunner": {"image": "red"},
    "database": {"sql_alchemy_conn": DATABASE},
}
VARIABLES = {"AIRFLOW__RED___PODRUNNER__NAMESPACES": '["red"]', "AIRFLOW__PODRUNNER__NAMESPACE": "all"}
TEAMS = {"image": "red", "namespaces": '["red"]'}


class ConfOfTeam(Conf):
    """Airflow's ``ExecutorConf``: it finds a team's own values only, and lists none."""

    team_name = "red"

    def get(self, section: str, option: str, fallback: Any = None) -> Any:
        return TEAMS.get(option, fallback) if section == "podrunner" else fallback


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    with executor_module() as executor:
        import podrunner.integrations.airflow.settings as imported

        del executor
        monkeypatch.setattr(imported.global_conf, "sections", GLOBAL)
        yield imported


def test_the_sections_are_read_as_airflow_has_them(module: Any) -> None:
    sections = module.sections_of(Conf(), VARIABLES)
    assert sections["podrunner"] == {"image": "airflow", "namespace": "all"}
    assert sections["logging"] == {}


def test_a_teams_executor_has_its_own_sections(module: Any) -> None:
    """As Airflow's: from the file and from variables; nothing that is set for all, such as a kubeconfig."""
    sections = module.sections_of(ConfOfTeam(), VARIABLES)
    assert sections["podrunner"] == {"image": "red", "namespaces": '["red"]'}
    assert sections["kubernetes_executor"] == {}
    assert sections["core"] == {"airflow_home": "/a"}


def test_a_team_has_a_scope_of_its_own(module: Any) -> None:
    """And no warning about the executors beside this one, which would fail the test."""
    made = module.config_of(
        ConfOfTeam(), version="3.3.2", owner="o", team="red", cluster=None, environ=VARIABLES
    )
    scope = module.scope_of(DATABASE, None)
    assert (made.scope, made.image, made.namespaces) == (f"{scope}-red", "red", ("red",))


@pytest.mark.parametrize(
    ("other", "is_same"),
    [
        ("postgresql+psycopg2://airflow:another@db/airflow", True),
        ("postgresql+asyncpg://someone@db/airflow?sslmode=require", True),
        ("postgresql+psycopg2://airflow:secret@db/staging", False),
        ("postgresql+psycopg2://airflow:secret@other/airflow", False),
        ("postgresql+psycopg2://airflow:secret@db/airflow?host=/cloudsql/one", False),
    ],
)
def test_each_installation_has_a_scope_of_its_own(module: Any, other: str, *, is_same: bool) -> None:
    """Its schedulers have the numbers of others' too: by them one installation would take over the other's pods."""
    assert (module.scope_of(other, None) == module.scope_of(DATABASE, None)) is is_same
    assert (module.installation_of(other) == module.installation_of(DATABASE)) is is_same


@pytest.mark.parametrize("parameter", ["host", "hostaddr", "port", "service", "unix_socket"])
def test_the_parameters_of_a_database_url_that_say_where_it_is_count(module: Any, parameter: str) -> None:
    """As of a database behind a socket: its URL has no host, and the name is ``airflow`` everywhere."""
    one, other = (f"postgresql://airflow@/airflow?sslmode=off&{parameter}=/{place}" for place in ("a", "b"))
    scopes = {module.scope_of(url, None) for url in (one, other, one.replace("sslmode=off&", ""))}
    assert len(scopes) == 2


@pytest.mark.parametrize("cluster", [None, "local"])
@pytest.mark.parametrize(
    ("env", "problem"),
    [("nope", "is not JSON"), ('["a"]', "must be a mapping"), ('{"A": 1}', "A: must be text")],
)
def test_wrong_variables_are_refused_by_name(
    module: Any, monkeypatch: pytest.MonkeyPatch, cluster: str | None, env: str, problem: str
) -> None:
    monkeypatch.setattr(module.global_conf, "sections", {**GLOBAL, "podrunner": {"env": env}})
    with pytest.raises(ConfigError, match=rf"\[podrunner\] env: {problem}"):
        module.config_of(Conf(), version="3.3.2", owner="o", team=None, cluster=cluster, environ={})


def test_variables_of_the_configuration_win_over_the_schedulers(
    module: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = {"env": '{"TZ": "UTC", "MINE": "1"}'}
    monkeypatch.setattr(module.global_conf, "sections", {**GLOBAL, "podrunner": own})
    environ = {"TZ": "CET", "PATH": "/bin"}
    made = module.config_of(Conf(), version="3.3.2", owner="o", team=None, cluster="local", environ=environ)
    assert made.env == {"PATH": "/bin", "TZ": "UTC", "MINE": "1"}


@pytest.mark.parametrize(
    "secret",
    [
        "AIRFLOW__API_AUTH__JWT_SECRET",
        "AIRFLOW__API__SECRET_KEY_CMD",
        "AIRFLOW__CORE__FERNET_KEY",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC",
        "AIRFLOW__WEBSERVER__SECRET_KEY",  # its name before 3.0.2, which Airflow 3 still reads
    ],
)
def test_workers_on_a_laptop_have_the_variables_of_airflow_but_its_secrets(module: Any, secret: str) -> None:
    environ = {"AIRFLOW_HOME": "/a", "PATH": "/bin", "HOME": "/h", secret: "s"}
    assert module.local_env(environ) == {"AIRFLOW_HOME": "/a", "PATH": "/bin"}


def test_the_log_file_is_where_airflow_looks_for_it(module: Any) -> None:
    from types import SimpleNamespace

    module.global_conf.sections = {"logging": {"base_log_folder": "/logs"}}
    assert str(module.log_file(SimpleNamespace(task_id="load"), 2)) == "/logs/load/2.log"

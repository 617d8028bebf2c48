"""A configuration that Airflow has read, and podrunner's own section in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from podrunner import RunnerConfig
from podrunner.errors import ConfigError

EXECUTOR = {
    "worker_container_repository": "apache/airflow",
    "worker_container_tag": "3.3.2",
    "namespace": "n",
}


def test_sections_are_read_as_those_of_a_file() -> None:
    config = RunnerConfig.from_airflow_conf({"kubernetes_executor": EXECUTOR})
    assert (config.image, config.namespace) == ("apache/airflow:3.3.2", "n")
    assert config.airflow is not None
    assert config.airflow.version == "3.3.2"


def test_the_own_section_wins_over_airflows() -> None:
    own = {
        "cluster": "kubeconfig",
        "kubeconfig": "/k",
        "namespace": "mine",
        "env": '{"RATE": "5%"}',
        "watch__page_size": "7",
        "logs.tail_lines_on_failure": "3",
    }
    config = RunnerConfig.from_airflow_conf({"kubernetes_executor": EXECUTOR, "podrunner": own})
    assert (config.cluster, config.kubeconfig, config.namespace) == ("kubeconfig", Path("/k"), "mine")
    assert (config.env, config.watch.page_size, config.logs.tail_lines_on_failure) == ({"RATE": "5%"}, 7, 3)


def test_overrides_win_over_the_own_section() -> None:
    sections = {"kubernetes_executor": EXECUTOR, "podrunner": {"namespace": "mine"}}
    config = RunnerConfig.from_airflow_conf(sections, overrides={"namespace": "theirs"})
    assert config.namespace == "theirs"


def test_values_are_taken_literally() -> None:
    """Airflow has interpolated them: a percent sign is one."""
    sections = {"kubernetes_executor": {**EXECUTOR, "namespace": "50%"}}
    with pytest.raises(ConfigError, match="50%"):
        RunnerConfig.from_airflow_conf(sections)


@pytest.mark.parametrize(
    ("own", "place", "remedy"),
    [
        ({"clster": "local"}, "[podrunner] clster", "'cluster'"),
        ({"watch__page_sice": "1"}, "[podrunner] watch__page_sice", "'watch__page_size'"),
        ({"env": "A=b"}, "[podrunner] env", "JSON"),
        ({"watch__page_size": "many"}, "[podrunner] watch__page_size", "many"),
    ],
)
def test_an_error_names_the_option_and_the_remedy(own: dict[str, str], place: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as caught:
        RunnerConfig.from_airflow_conf({"kubernetes_executor": EXECUTOR, "podrunner": own})
    assert place in str(caught.value)
    assert remedy in str(caught.value)


def test_a_file_and_its_environment_have_the_section_too(tmp_path: Path) -> None:
    file = tmp_path / "airflow.cfg"
    file.write_text(
        "[kubernetes_executor]\nworker_container_repository = apache/airflow\nworker_container_tag = 3.3.2\n"
        "[podrunner]\nscope = of-the-file\nowner = me\n",
        encoding="utf-8",
    )
    environ = {"AIRFLOW__PODRUNNER__SCOPE": "of-airflow", "AIRFLOW__PODRUNNER__WATCH__PAGE_SIZE": "9"}
    config = RunnerConfig.from_airflow_cfg(file, environ=environ)
    assert (config.scope, config.owner, config.watch.page_size) == ("of-airflow", "me", 9)
    own = RunnerConfig.from_airflow_cfg(file, environ={**environ, "PODRUNNER_SCOPE": "own"})
    assert own.scope == "own"

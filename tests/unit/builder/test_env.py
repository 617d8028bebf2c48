"""Environment variables: order and precedence."""

from podrunner.builder import build_pod
from podrunner.config import AirflowSettings, DagsFromGit, RunnerConfig
from podrunner.workload import Workload


def test_the_order_is_airflows(look):
    config = RunnerConfig(
        image="i",
        env={"FIRST": "1"},
        secret_env={"LAST": "s=k"},
        airflow=AirflowSettings(home="/a", configmap="c"),
    )
    workload = Workload(key={"a": "b"}, env={"SECOND": "2"}, secret_env={"VERY_LAST": ("t", "k")})
    assert look.env(build_pod(config, workload)) == {
        "FIRST": "1",
        "SECOND": "2",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW_HOME": "/a",
        "AIRFLOW__CORE__DAGS_FOLDER": "/a/dags",
        "LAST": {"secretKeyRef": {"name": "s", "key": "k"}},
        "VERY_LAST": {"secretKeyRef": {"name": "t", "key": "k"}},
    }
    assert [*look.env(build_pod(config, workload))][:2] == ["FIRST", "SECOND"]


def test_a_workload_wins_over_every_variable_of_the_configuration(look):
    config = RunnerConfig(
        image="i", env={"A": "1"}, secret_env={"B": "s=k"}, airflow=AirflowSettings(home="/a", configmap="c")
    )
    mine = {"A": "2", "B": "plain", "AIRFLOW_HOME": "/mine"}
    env = look.env(build_pod(config, Workload(key={"a": "b"}, env=mine)))
    assert env | mine == env


def test_airflows_variables_win_over_plain_ones_of_the_configuration(look, workload):
    config = RunnerConfig(image="i", env={"AIRFLOW__CORE__EXECUTOR": "X"}, airflow=AirflowSettings())
    assert look.env(build_pod(config, workload))["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"


def test_the_folder_of_a_clone_is_the_dag_folder(look, workload):
    git = DagsFromGit(repo="https://x/y", mount_point="/dags/", dest="repo", subpath="a/b/")
    config = RunnerConfig(image="i", airflow=AirflowSettings(dags=git, configmap="c"))
    assert look.env(build_pod(config, workload))["AIRFLOW__CORE__DAGS_FOLDER"] == "/dags/repo/a/b"


def test_whole_secrets_and_config_maps_become_variables_secrets_first(look, workload):
    config = RunnerConfig(image="i", env_from_configmaps=["c"], env_from_secrets=["s", "t"])
    assert look.main(build_pod(config, workload))["envFrom"] == [
        {"secretRef": {"name": "s"}},
        {"secretRef": {"name": "t"}},
        {"configMapRef": {"name": "c"}},
    ]


def test_a_pod_without_variables_has_no_list_of_them(look, workload):
    assert "env" not in look.main(build_pod(RunnerConfig(image="i"), workload))


def test_references_between_layers_resolve(look):
    """The kubelet knows the variables above only: a reference moves behind what it names, whichever layer it is of."""
    template = {"spec": {"containers": [{"name": "base", "env": [{"name": "URL", "value": "http://old"}]}]}}
    config = RunnerConfig(image="i", pod_template=template, env={"HOST": "h"}, credentials={"TOKEN": "t0ken"})
    workload = Workload(key={"a": "b"}, env={"URL": "http://$(HOST)/$(TOKEN)", "HOME_OF": "$(URL)"})
    assert [*look.env(build_pod(config, workload))] == ["HOST", "TOKEN", "URL", "HOME_OF"]


def test_references_within_a_configuration_resolve(look, workload):
    config = RunnerConfig(image="i", env={"B": "$(A)", "C": "3"}, secret_env={"A": "s=k"})
    assert [*look.env(build_pod(config, workload))] == ["C", "A", "B"]


def test_variables_that_refer_to_each_other_stay(look, workload):
    config = RunnerConfig(image="i", env={"B": "$(A)", "A": "$(B)", "C": "$(C)"})
    assert [*look.env(build_pod(config, workload))] == ["C", "B", "A"]

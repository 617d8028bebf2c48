"""Workers of Airflow with a pod template, and those of Airflow 2 and 3 without: the template is the whole pod."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podrunner.builder import build_plan, build_pod
from podrunner.config import AirflowSettings, DagsFromClaim, LogsOnClaim, RunnerConfig
from podrunner.config.loading import load_airflow_cfg
from podrunner.errors import SpecError
from podrunner.workload import Workload

CHARTS = Path(__file__).parents[2] / "golden" / "charts"
RUN = "scheduled__2025-03-01T00:00:00+00:00"
MARK = {"name": "AIRFLOW_IS_K8S_EXECUTOR_POD", "value": "True"}
OVERRIDE = {
    "metadata": {"labels": {"team": "etl"}},
    "spec": {
        "initContainers": [
            {"name": "git-sync-init", "env": [{"name": "GITSYNC_DEPTH", "value": "1"}]},
            {"name": "wait", "image": "busybox:1.36"},
        ],
        "containers": [
            {
                "name": "base",
                "image": "registry.example.com/etl:7",
                "env": [
                    {"name": "STAGE", "value": "live"},
                    {"name": "BUCKET", "value": "s3://logs-$(STAGE)"},
                ],
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
                "resources": {"limits": {"memory": "2Gi"}},
            },
            {"name": "proxy", "image": "proxy:2"},
        ],
        "volumes": [{"name": "data", "emptyDir": {}}],
        "nodeSelector": {"pool": "gpu"},
    },
}


def chart(**overrides):
    return load_airflow_cfg(CHARTS / "helm_airflow.cfg", environ={}, overrides=overrides)


def of_the_provider(line, name):
    """Return the pod that Airflow's provider 10.25.0 made of the same files and task, recorded."""
    return json.loads((CHARTS / f"helm_airflow.{line}.{name}.json").read_text())


def sdk_workload(golden):
    return golden["spec"]["containers"][0]["args"][4]


def without_empty(value):
    if isinstance(value, dict):
        kept = {name: without_empty(member) for name, member in value.items()}
        return {name: member for name, member in kept.items() if member not in ({}, []) or name == "emptyDir"}
    return [without_empty(member) for member in value] if isinstance(value, list) else value


def comparable(plan):
    pod = without_empty(json.loads(json.dumps(plan.manifest)))
    del pod["metadata"]["name"]
    return {**pod, "metadata": {**pod["metadata"], "namespace": plan.namespace}}


CASES = [("plain", {}, -1), ("override", {"pod_override": OVERRIDE}, 3)]


@pytest.mark.parametrize(("name", "settings", "map_index"), CASES)
def test_the_pod_of_the_official_chart_is_airflow_2s(name, settings, map_index):
    """F1: the pod of a chart's file and template equals the provider's, field by field; only the name differs.

    The chart's placeholder for the name is no matter for a warning.
    """
    task = Workload.airflow(
        dag_id="etl",
        task_id="load",
        run_id=RUN,
        try_number=2,
        map_index=map_index,
        pool="default_pool",
        dag_file="/opt/airflow/dags/etl.py",
        airflow_version="2.11.2",
        worker_uuid="7",
        executor_config=settings,
    )
    plan = build_plan(chart().config, task)
    assert comparable(plan) == without_empty(of_the_provider("2", name))
    assert (plan.secret, plan.warnings) == (None, ())


@pytest.mark.parametrize(("name", "settings", "map_index"), CASES)
def test_the_pod_of_the_official_chart_is_airflow_3s(name, settings, map_index):
    """F3: with the Task SDK's command as arguments. F1: from the same template."""
    golden = of_the_provider("3", name)
    task = Workload.airflow(task_workload=sdk_workload(golden), worker_uuid="7", executor_config=settings)
    assert task.key.parts.get("map_index") == (None if map_index < 0 else str(map_index))
    plan = build_plan(chart(**{"airflow.version": "3.3.2"}).config, task)
    assert comparable(plan) == without_empty(golden)


def test_the_charts_file_is_read_without_a_warning():
    """F1: both names of the section stand in it, with two tags of one line."""
    assert [finding for finding in chart().findings if finding.level == "warning"] == []
    assert chart().config.airflow.version == "2.9.2"


def template(**main):
    return {"spec": {"containers": [{"name": "base", "image": "t", **main}]}}


def task(**arguments):
    return Workload.airflow(**{"dag_id": "d", "task_id": "t", "run_id": "r", **arguments})


def worker(pod_template=None, version=None, **settings):
    return RunnerConfig(pod_template=pod_template, airflow=AirflowSettings(version=version), **settings)


@pytest.mark.parametrize("version", [None, "1.10.15", "2.9.2", "3.0.2"])
def test_nothing_is_added_to_a_template_but_arguments_marker_and_identity(version, look):
    """F1: in every line; nothing of 1.10's volumes, variables and folders."""
    given = template(command=["/vault"], args=["gone"], env=[{"name": "A", "value": "1"}], tty=True)
    pod = build_pod(worker(given, version), Workload(key={"a": "b"}, args=["x"]))
    assert pod["spec"] == {
        "restartPolicy": "Never",
        "containers": [
            {**given["spec"]["containers"][0], "args": ["x"], "env": [{"name": "A", "value": "1"}]},
        ],
    }


def test_a_templates_command_stays_and_its_arguments_are_replaced(look):
    """F1: a vault wrapper is the template's ``command``."""
    container = look.main(build_pod(worker(template(command=["/vault"], args=["a"])), task()))
    assert container["command"] == ["/vault"]
    assert container["args"] == ["airflow", "tasks", "run", "d", "t", "r", "--local"]


@pytest.mark.parametrize("version", ["2", "2.9.2", "3"])
def test_a_worker_of_later_versions_without_a_template_has_nothing_of_1_10(version):
    """F1, F3: as the provider with an empty template."""
    plan = build_plan(worker(version=version, image="i"), Workload(key={"a": "b"}, args=["x"]))
    assert plan.manifest["spec"] == {
        "restartPolicy": "Never",
        "containers": [{"name": "base", "image": "i", "args": ["x"]}],
    }


def test_a_worker_of_1_10_without_a_template_is_as_before():
    pod = build_pod(worker(version="1.10.4", image="i"), task(run_id=None, execution_date="2020"))
    assert [volume["name"] for volume in pod["spec"]["volumes"]] == ["airflow-logs"]
    assert pod["spec"]["containers"][0]["env"][0] == {
        "name": "AIRFLOW__CORE__EXECUTOR",
        "value": "LocalExecutor",
    }


def test_a_file_that_only_later_versions_have_needs_no_exact_version(tmp_path):
    """F1: whichever of 2.x and 3.x it is, the pod starts from an empty template."""
    path = tmp_path / "airflow.cfg"
    image = "worker_container_repository = corp/etl\nworker_container_tag = 7\n"
    path.write_text(f"[core]\nsql_alchemy_conn = postgresql://u:p@h/db\n[kubernetes_executor]\n{image}")
    config = load_airflow_cfg(path, environ={"AIRFLOW_HOME": "/home/here"}).config
    plan = build_plan(config, task())
    assert config.airflow.version is None
    assert plan.secret is None
    assert plan.manifest["spec"]["containers"] == [
        {"name": "base", "image": "corp/etl:7", "args": list(task().args), "env": [MARK]}
    ]
    assert plan.manifest["spec"].keys() == {"restartPolicy", "containers"}


def test_the_schedulers_environment_does_not_reach_the_worker(tmp_path):
    """F1: neither its folders nor its connection nor 1.10's sections."""
    (tmp_path / "pod.yaml").write_text(json.dumps(template()))
    path = tmp_path / "airflow.cfg"
    path.write_text(
        "[core]\ndags_folder = /here/dags\nsql_alchemy_conn_cmd = /no/such/program\n"
        "[kubernetes]\npod_template_file = pod.yaml\nairflow_configmap = cm\nrun_as_user = 7\n"
        "[kubernetes_environment_variables]\nA = 1\n[kubernetes_labels]\na = b\n[kubernetes_node_selectors]\na = b\n"
    )
    environ = {"AIRFLOW_HOME": "/here", "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_SECRET": "path"}
    overrides = {"airflow.version": "2.3.0"}
    pod = build_pod(load_airflow_cfg(path, environ=environ, overrides=overrides).config, task())
    assert pod["spec"]["containers"] == [
        {"name": "base", "image": "t", "args": list(task().args), "env": [MARK]}
    ]
    assert pod["spec"].keys() == {"restartPolicy", "containers"}
    assert "a" not in pod["metadata"]["labels"]


def test_podrunners_own_settings_apply_on_top_of_the_template(tmp_path, look):
    """F1: what is said to podrunner itself, in a variable or an override, is meant."""
    (tmp_path / "pod.yaml").write_text(json.dumps(template(env=[{"name": "A", "value": "template"}])))
    path = tmp_path / "airflow.cfg"
    path.write_text("[kubernetes_executor]\npod_template_file = pod.yaml\n")
    environ = {
        "PODRUNNER_ENV__A": "own",
        "PODRUNNER_NODE_SELECTOR": '{"disk": "ssd"}',
        "PODRUNNER_AIRFLOW__SQL_ALCHEMY_CONN": "postgresql://u:p@h/db",
    }
    overrides = {"airflow.logs": {"kind": "claim", "claim": "logs"}, "image": "own:1"}
    plan = build_plan(load_airflow_cfg(path, environ=environ, overrides=overrides).config, task())
    container = look.main(plan.manifest)
    assert container["image"] == "own:1"
    assert [variable["name"] for variable in container["env"]] == [
        "A",
        MARK["name"],
        "AIRFLOW__CORE__SQL_ALCHEMY_CONN",
    ]
    assert look.env(plan.manifest)["A"] == "own"
    assert plan.secret is not None
    assert plan.manifest["spec"]["nodeSelector"] == {"disk": "ssd"}
    assert list(look.volumes(plan.manifest)) == ["airflow-logs"]
    assert list(look.mounts(plan.manifest)) == ["/opt/airflow/logs"]


def test_explicit_settings_of_airflow_apply_on_top_of_a_template(look):
    config = RunnerConfig(
        pod_template=template(),
        airflow=AirflowSettings(
            executor="SequentialExecutor",
            configmap="cm",
            dags=DagsFromClaim(claim="dags"),
            logs=LogsOnClaim(claim="logs"),
        ),
    )
    pod = build_pod(config, Workload(key={"a": "b"}))
    assert list(look.volumes(pod)) == ["airflow-dags", "airflow-logs", "airflow-config"]
    assert look.env(pod) == {
        "AIRFLOW__CORE__EXECUTOR": "SequentialExecutor",
        "AIRFLOW_HOME": "/opt/airflow",
        "AIRFLOW__CORE__DAGS_FOLDER": "/opt/airflow/dags",
    }


@pytest.mark.parametrize("pod_template", [None, template()])
def test_workers_of_airflow_3_never_get_the_connection(pod_template):
    """F3: a worker of Airflow 3 talks to the API server alone."""
    settings = AirflowSettings(version="3.0.2", sql_alchemy_conn="postgresql://u:p@h/db")
    config = RunnerConfig(image="i", airflow=settings, pod_template=pod_template)
    plan = build_plan(config, Workload(key={"a": "b"}))
    assert plan.secret is None
    assert "SQL_ALCHEMY_CONN" not in json.dumps(plan.manifest)
    assert plan.warnings == (
        "airflow.sql_alchemy_conn has no effect: workers of Airflow 3 never get the database's connection",
    )


def test_a_namespace_of_the_template_has_no_effect_and_a_placeholder_for_the_name_is_none():
    """F1: Airflow sets both; a chart's file has a name that nothing depends on."""
    given = {**template(), "metadata": {"name": "placeholder", "generateName": "p-", "namespace": "other"}}
    plan = build_plan(worker(given, "2.9.2", namespace="jobs"), task())
    assert plan.namespace == "jobs"
    (warning,) = plan.warnings
    assert warning.startswith("pod_template.metadata.namespace has no effect")


@pytest.mark.parametrize(
    ("names", "main", "others"),
    [
        (["worker"], 0, []),
        (["worker", "proxy"], 0, ["proxy"]),
        (["proxy", "base"], 1, ["proxy"]),
    ],
)
def test_the_first_container_of_a_template_becomes_the_main_one(names, main, others):
    """F1: Airflow merges the worker into the first container, and names it. One of that name is taken first."""
    given = {"spec": {"containers": [{"name": name, "image": name} for name in names]}}
    plan = build_plan(worker(given, "2.9.2"), task())
    containers = {container["name"]: container for container in plan.manifest["spec"]["containers"]}
    assert plan.main_container == "base"
    assert containers["base"]["image"] == names[main]
    assert containers.keys() == {"base", *others}


def test_another_name_for_the_main_container_is_the_first_ones(look):
    given = {"spec": {"containers": [{"name": "worker", "image": "i"}]}}
    plan = build_plan(worker(given, "2.9.2", container_name="task"), task())
    assert [container["name"] for container in plan.manifest["spec"]["containers"]] == ["task"]


def test_a_variable_that_the_template_sets_twice_stays_twice(look):
    """F2: ``$(A)`` between the two means the first one."""
    env = [{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)"}, {"name": "A", "value": "2"}]
    assert look.main(build_pod(worker(template(env=env)), task()))["env"] == [*env, MARK]
    own = look.main(build_pod(worker(template(env=env), env={"A": "3"}), task()))["env"]
    assert own == [*env[:2], {"name": "A", "value": "3"}, MARK]


@pytest.mark.parametrize(
    ("version", "label"), [("2.9.2", "2.9.2"), ("3.0.2+x", "3.0.2-x"), ("2", None), (None, None)]
)
def test_an_exact_version_of_the_configuration_is_a_label(version, label):
    plan = build_plan(
        worker(template(), version), Workload(key={"a": "b"}, identity_labels={"kubernetes_executor": "True"})
    )
    assert plan.manifest["metadata"]["labels"].get("airflow_version") == label
    assert (
        "airflow_version" not in build_pod(worker(template(), version), Workload(key={"a": "b"}))["metadata"]
    )


def test_the_tasks_own_version_is_the_label():
    pod = build_pod(worker(template(), "2.9.2"), task(airflow_version="2.10.0"))
    assert pod["metadata"]["labels"]["airflow_version"] == "2.10.0"


TI = {"id": "1", "dag_id": "d", "task_id": "t", "run_id": "r", "try_number": 1}
FORMS = {
    "1.10": (task(run_id=None, execution_date="2020"), "Workload.command", "execution_date"),
    "2": (task(), "Workload.args", "run_id"),
    "3": (Workload.airflow(task_workload={"token": "", "ti": TI}), "Workload.task_workload", "task_workload"),
}


@pytest.mark.parametrize("version", ["1.10.15", "2.9.2", "3.0.2"])
@pytest.mark.parametrize("form", FORMS)
def test_a_task_of_another_line_than_the_configuration_is_refused(version, form):
    """F3: the image would not know the command."""
    workload, field, _ = FORMS[form]
    config = worker(template(), version)
    if version.startswith(form):
        assert build_pod(config, workload)
        return
    line = next(name for name in FORMS if version.startswith(name))
    with pytest.raises(SpecError) as caught:
        build_pod(config, workload)
    assert caught.value.field == field
    assert f"starts a worker of Airflow {form}, and airflow.version is {version}" in caught.value.problem
    assert FORMS[line][2] in caught.value.problem
    assert "correct airflow.version" in caught.value.problem


@pytest.mark.parametrize("form", FORMS)
def test_every_task_is_built_where_the_version_is_not_known(form):
    assert build_pod(worker(template()), FORMS[form][0])
    assert build_pod(RunnerConfig(image="i"), FORMS[form][0])

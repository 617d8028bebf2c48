"""What tasks do in a real Airflow: many of them, deferred, revoked, with logs, callbacks and settings of their own."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import pytest
from kubernetes import client as k8s
from kubernetes import config as k8s_config

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import podrunner
    from installation import Installation

DAGS = ("wide", "deferred", "chatty", "endless", "particular", "late_noted", "late_slow", "late_broken")
COUNT = int(os.environ.get("PODRUNNER_AIRFLOW_MAPPED", "200"))


@pytest.fixture(scope="module")
def api(cluster: podrunner.LocalCluster) -> Iterator[k8s.CoreV1Api]:
    """A client of the cluster that is not podrunner's."""
    with k8s_config.new_client_from_config(str(cluster.kubeconfig)) as connection:
        yield k8s.CoreV1Api(connection)


@pytest.fixture(scope="module", autouse=True)
def _known(airflow: Installation, api: k8s.CoreV1Api) -> None:
    api.create_namespace({"metadata": {"name": "elsewhere"}})
    airflow.wait_ready(*DAGS)


@pytest.fixture
def pods(api: k8s.CoreV1Api) -> Callable[..., list[Any]]:
    """Return the pods that have the labels given."""

    def labelled(**labels: str) -> list[Any]:
        selector = ",".join(f"{name}={value}" for name, value in labels.items())
        return list(api.list_namespaced_pod("default", label_selector=selector).items)

    return labelled


def by_name(airflow: Installation, dag: str, run: str) -> dict[str, dict[str, Any]]:
    return {ti["task_id"]: ti for ti in airflow.task_instances(dag, run)}


# --- many, deferred, rescheduled -----------------------------------------------------------------------------------


def test_mapped_tasks_all_succeed_and_each_log_is_readable(
    airflow: Installation, pods: Callable[..., list[Any]]
) -> None:
    run = airflow.trigger("wide", {"count": COUNT})
    assert airflow.wait_run("wide", run, timeout_s=600 + 15 * COUNT) == "success"
    mapped = [ti for ti in airflow.task_instances("wide", run) if ti["task_id"] == "one"]
    assert [(ti["state"], ti["try_number"]) for ti in mapped] == [("success", 1)] * COUNT
    said = [airflow.log("wide", run, ti, 1).count(f"this is number {ti['map_index']}") for ti in mapped]
    assert said == [1] * COUNT
    airflow.wait_until(lambda: not pods(dag_id="wide"), "no pod is left")


def test_a_deferred_task_goes_on_in_another_pod(airflow: Installation) -> None:
    airflow.start("triggerer")
    run = airflow.trigger("deferred")
    assert airflow.wait_run("deferred", run) == "success"
    (ti,) = airflow.task_instances("deferred", run)
    assert (ti["state"], ti["try_number"]) == ("success", 1)


# --- logs of tasks that run ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def chatty(airflow: Installation) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """A run whose tasks speak and then wait."""
    run = airflow.trigger("chatty")
    airflow.wait_states("chatty", run, {name: {"running"} for name in ("apart", "moved", "beside")})
    yield run, by_name(airflow, "chatty", run)
    (airflow.home / f"enough-{run}").touch()


def test_the_log_of_a_running_task_is_its_pods(
    airflow: Installation, chatty: tuple[str, dict[str, dict[str, Any]]]
) -> None:
    """Its worker's log folder is not the API server's; the worker's JSON lines are shown as Airflow shows its own."""
    run, tasks = chatty

    def lines() -> list[Any]:
        path = f"/api/v2/dags/chatty/dagRuns/{run}/taskInstances/apart/logs/1"
        return list(airflow.call("GET", f"{path}?full_content=true")["content"])

    airflow.wait_until(lambda: any(line["event"] == "said while it runs" for line in lines()), "it is shown")
    shown = lines()
    assert any(f"pod default/{tasks['apart']['hostname']}" in line["event"] for line in shown)
    (said,) = [line for line in shown if line["event"] == "said while it runs"]
    assert (said["level"], bool(said["timestamp"])) == ("info", True)


def test_a_running_tasks_log_outlives_the_scheduler(
    airflow: Installation, chatty: tuple[str, dict[str, dict[str, Any]]]
) -> None:
    run, tasks = chatty
    airflow.kill("scheduler")
    try:
        airflow.wait_until(
            lambda: "said while it runs" in airflow.log("chatty", run, tasks["apart"], 1), "it is shown"
        )
    finally:
        airflow.start("scheduler")


def test_the_log_of_a_pod_that_an_override_has_moved(
    airflow: Installation, api: k8s.CoreV1Api, chatty: tuple[str, dict[str, dict[str, Any]]]
) -> None:
    run, tasks = chatty
    (pod,) = api.list_namespaced_pod("elsewhere").items
    assert pod.metadata.name == tasks["moved"]["hostname"]
    airflow.wait_until(
        lambda: "said elsewhere" in airflow.log("chatty", run, tasks["moved"], 1), "it is shown"
    )


def test_with_a_shared_log_folder_each_line_is_shown_once(
    airflow: Installation, chatty: tuple[str, dict[str, dict[str, Any]]]
) -> None:
    run, tasks = chatty

    def said() -> list[str]:
        return airflow.log("chatty", run, tasks["beside"], 1)

    airflow.wait_until(lambda: "said once" in said(), "it is shown")
    assert said().count("said once") == 1
    assert any("the log folder is shared with the worker" in line for line in said())


def test_the_providers_cleanup_finds_the_pods_and_leaves_those_that_run(
    airflow: Installation,
    cluster: podrunner.LocalCluster,
    api: k8s.CoreV1Api,
    pods: Callable[..., list[Any]],
    chatty: tuple[str, dict[str, dict[str, Any]]],
) -> None:
    _, tasks = chatty
    (ours,) = pods(dag_id="chatty", task_id="apart")
    done = {
        "metadata": {"name": "done", "labels": {**_airflows(ours.metadata.labels), "task_id": "done"}},
        "spec": {
            "containers": [{"name": "base", "image": "airflow", "command": ["true"]}],
            "restartPolicy": "Never",
        },
    }
    api.create_namespaced_pod("default", done)
    airflow.wait_until(
        lambda: api.read_namespaced_pod("done", "default").status.phase == "Succeeded", "it is done"
    )
    printed = airflow.command(
        *(
            "kubernetes",
            "cleanup-pods",
            "--namespace",
            "default",
            "--min-completed-minutes",
            "0",
            "--verbose",
        ),
        AIRFLOW__KUBERNETES_EXECUTOR__IN_CLUSTER="False",
        AIRFLOW__KUBERNETES_EXECUTOR__CONFIG_FILE=str(cluster.kubeconfig),
    )
    assert 'Deleting pod "done"' in printed
    for name in ("apart", "beside"):
        assert f"No action taken on pod {tasks[name]['hostname']}" in printed
    assert pods(dag_id="chatty", task_id="apart")[0].metadata.uid == ours.metadata.uid


def test_tasks_that_were_read_and_outlived_a_scheduler_end_well(
    airflow: Installation, chatty: tuple[str, dict[str, dict[str, Any]]]
) -> None:
    run, _ = chatty
    (airflow.home / f"enough-{run}").touch()
    assert airflow.wait_run("chatty", run) == "success"
    assert {ti["try_number"] for ti in airflow.task_instances("chatty", run)} == {1}


def _airflows(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if "/" not in name}


# --- tasks that are no longer wanted ---------------------------------------------------------------------------------


def test_tasks_that_are_marked_or_cleared_while_they_run_leave_no_pod(
    airflow: Installation, pods: Callable[..., list[Any]]
) -> None:
    run = airflow.trigger("endless")
    airflow.wait_states("endless", run, {"failed": {"running"}, "cleared": {"running"}})
    instances = f"/api/v2/dags/endless/dagRuns/{run}/taskInstances"
    airflow.call("PATCH", f"{instances}/failed", {"new_state": "failed"})
    wanted = {"dry_run": False, "only_failed": False, "task_ids": ["cleared"], "dag_run_id": run}
    airflow.call("POST", "/api/v2/dags/endless/clearTaskInstances", wanted)
    airflow.wait_run("endless", run)
    tasks = by_name(airflow, "endless", run)
    assert {name: (ti["state"], ti["try_number"]) for name, ti in tasks.items()} == {
        "failed": ("failed", 1),
        "cleared": ("success", 2),
    }
    airflow.wait_until(lambda: not pods(dag_id="endless"), "no pod is left")


# --- settings of single tasks and queues -----------------------------------------------------------------------------


def test_hooks_templates_and_coordinators_make_the_pod_and_their_errors_are_the_cause(
    airflow: Installation,
) -> None:
    run = airflow.trigger("particular")
    assert airflow.wait_run("particular", run) == "failed"
    tasks = by_name(airflow, "particular", run)
    states = {name: ti["state"] for name, ti in tasks.items()}
    assert states == {
        "hooked": "success",
        "templated": "success",
        "coordinated": "success",
        "refused": "failed",
        "old": "failed",
    }
    for name, said in {
        "hooked": "the hook said hello",
        "templated": "the template said hello",
        "coordinated": "the coordinator's template said hello",
    }.items():
        assert said in airflow.log("particular", run, tasks[name], 1)
    causes = {
        row["task_id"]: row["extra"]
        for row in airflow.events("particular", run)
        if row["event"] == "pod failed"
    }
    assert causes == {
        "refused": "the pod hook failed: LookupError: no team for this task",
        "old": causes["old"],
    }
    assert "pod_override" in causes["old"]
    assert "labels.task_id has no effect: it is the pod's identity" in airflow.output("scheduler")


# --- callbacks and connection tests ----------------------------------------------------------------------------------


def callback_of(airflow: Installation, dag: str) -> tuple[str, str | None]:
    """Return state and output of a DAG's only callback; Airflow's REST API has none of it."""
    with contextlib.closing(sqlite3.connect(airflow.home / "airflow.db", timeout=30)) as database:
        rows = database.execute("SELECT state, output, data FROM callback").fetchall()
    return next(((state, output) for state, output, data in rows if dag in data), ("", None))


def test_a_callback_runs_in_a_pod_and_its_success_is_reported(airflow: Installation) -> None:
    run = airflow.trigger("late_noted")
    airflow.wait_until(lambda: callback_of(airflow, "late_noted")[0] == "success", "the callback is over")
    assert (airflow.home / "noted").read_text().startswith("executecallback-")
    assert airflow.wait_run("late_noted", run) == "success"


def test_a_callback_outlives_a_killed_scheduler(airflow: Installation) -> None:
    run = airflow.trigger("late_slow")
    airflow.wait_until((airflow.home / "slow-began").exists, "the callback runs")
    airflow.wait_until(lambda: callback_of(airflow, "late_slow")[0] == "running", "that is reported")
    airflow.kill("scheduler")
    airflow.start("scheduler")
    (airflow.home / "slow-enough").touch()
    airflow.wait_until(lambda: callback_of(airflow, "late_slow")[0] == "success", "its end is reported")
    assert airflow.wait_run("late_slow", run) == "success"


def test_a_callback_that_fails_is_reported_with_its_cause(airflow: Installation) -> None:
    run = airflow.trigger("late_broken")
    airflow.wait_until(lambda: callback_of(airflow, "late_broken")[0] == "failed", "the callback is over")
    assert "base" in (callback_of(airflow, "late_broken")[1] or "")
    assert airflow.wait_run("late_broken", run) == "success"


@pytest.mark.parametrize(
    ("context", "state"), [("podrunner-local", "success"), ("no-such-context", "failed")]
)
def test_a_connection_is_tested_in_a_pod(
    airflow: Installation, cluster: podrunner.LocalCluster, context: str, state: str
) -> None:
    """The answer is the hook's own, from the pod."""
    name = k8s_config.list_kube_config_contexts(str(cluster.kubeconfig))[1]["name"]
    extra = {
        "kube_config_path": str(cluster.kubeconfig),
        "cluster_context": name if state == "success" else context,
    }
    body = {"connection_id": f"cluster_{state}", "conn_type": "kubernetes", "extra": json.dumps(extra)}
    token = airflow.call("POST", "/api/v2/connections/enqueue-test", body)["token"]

    def asked() -> dict[str, Any]:
        answer: dict[str, Any] = airflow.call(
            "GET", "/api/v2/connections/enqueue-test", Airflow_Connection_Test_Token=token
        )
        return answer

    airflow.wait_until(lambda: asked()["state"] in {"success", "failed"}, "the test is over")
    answer = asked()
    assert answer["state"] == state, answer
    assert ("Connection successful" if state == "success" else context) in answer["result_message"]

"""Rules about single options: the executor, remote logs, deletions, timeouts."""

from __future__ import annotations

import pytest
from podrunner.config.airflow.checks import executor_names
from podrunner.errors import ConfigError

EXECUTOR = "[core]\nexecutor = {}\n[kubernetes_executor]\nnamespace = a\n"


def found(loaded):
    return [(finding.level, finding.key) for finding in loaded.findings]


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("KubernetesExecutor", ["KubernetesExecutor"]),
        (
            "airflow.providers.cncf.kubernetes.executors.kubernetes_executor.KubernetesExecutor",
            ["KubernetesExecutor"],
        ),
        ("LocalExecutor, KubernetesExecutor", ["LocalExecutor", "KubernetesExecutor"]),
        ("CeleryExecutor,k8s:KubernetesExecutor", ["CeleryExecutor", "KubernetesExecutor"]),
        ("my.module.FastExecutor:fast", ["FastExecutor"]),
        ("LocalExecutor;blue=KubernetesExecutor", ["LocalExecutor", "KubernetesExecutor"]),
        (",", [","]),
    ],
)
def test_the_classes_that_the_option_names(text, names):
    assert executor_names(text) == names


@pytest.mark.parametrize(
    "executor",
    [
        "KubernetesExecutor",
        "my.SpecialKubernetesExecutor",
        "podrunner.integrations.airflow.PodRunnerExecutor",
        "podrunner.integrations.airflow.LocalPodRunnerExecutor",
    ],
)
def test_an_executor_of_pods_is_no_finding(load, executor):
    assert load(EXECUTOR.format(executor)).findings == ()


@pytest.mark.parametrize(
    "executor", ["CeleryExecutor", "SequentialExecutor", "LocalExecutor", "my.FastExecutor"]
)
def test_an_executor_without_pods_is_a_warning(load, executor):
    (finding,) = load(EXECUTOR.format(executor)).findings
    assert (finding.level, finding.section, finding.key) == ("warning", "core", "executor")
    assert "Airflow launches no pods by it" in finding.message


@pytest.mark.parametrize(
    "executor", ["CeleryKubernetesExecutor", "LocalKubernetesExecutor", "CeleryExecutor,KubernetesExecutor"]
)
def test_an_executor_that_runs_some_tasks_in_pods_is_a_note(load, executor):
    (finding,) = load(EXECUTOR.format(executor)).findings
    assert (finding.level, finding.key) == ("note", "executor")
    assert "only some tasks in pods" in finding.message


def test_the_queue_of_another_executor_is_a_note(load):
    text = (
        EXECUTOR.format("CeleryKubernetesExecutor") + "[celery_kubernetes_executor]\nkubernetes_queue = k\n"
    )
    assert found(load(text)) == [("note", "executor")]
    loaded = load(text + "[local_kubernetes_executor]\nkubernetes_queue = k\n")
    assert found(loaded) == [("note", "executor"), ("note", "kubernetes_queue")]
    assert loaded.findings[1].section == "local_kubernetes_executor"
    assert "the executor is CeleryKubernetesExecutor" in loaded.findings[1].message


def test_a_queue_without_an_executor_is_a_note(load):
    (finding,) = load(
        "[celery_kubernetes_executor]\nkubernetes_queue = k\n[kubernetes_executor]\nnamespace = a\n"
    ).findings
    assert "the executor is not set" in finding.message


@pytest.mark.parametrize(("value", "expected"), [("True", [("note", "remote_logging")]), ("False", [])])
def test_remote_logs_are_a_note_on_who_reads_them(load, value, expected):
    text = f"[logging]\nremote_logging = {value}\n[kubernetes_executor]\nnamespace = a\n"
    assert found(load(text)) == expected


def test_pods_that_stay_are_a_note(load):
    text = "[kubernetes_executor]\ndelete_worker_pods = False\n"
    assert found(load(text)) == [("note", "delete_worker_pods")]
    assert found(load(f"{text}delete_worker_pods_on_failure = True\n")) == [
        ("note", "delete_worker_pods"),
        ("note", "delete_worker_pods_on_failure"),
    ]


@pytest.mark.parametrize(
    ("version", "expected"), [("1.10.10", [("warning", "delete_worker_pods")]), ("1.10.11", [])]
)
def test_a_version_that_deletes_failed_pods_too_is_a_warning(load, version, expected):
    text = "[kubernetes]\ndags_in_image = True\ndelete_worker_pods = True\n"
    assert found(load(text, {"PODRUNNER_AIRFLOW__VERSION": version})) == expected


@pytest.mark.parametrize(
    ("pending", "queued", "overruled"),
    [(300, "600.0", "worker_pods_pending_timeout"), (900, "600", "task_queued_timeout")],
)
def test_the_longer_of_two_timeouts_counts(load, pending, queued, overruled):
    """As in Airflow 2.6 and later."""
    loaded = load(
        f"[kubernetes_executor]\nworker_pods_pending_timeout = {pending}\n[scheduler]\ntask_queued_timeout = {queued}\n"
    )
    assert loaded.config.pending.startup_timeout_s == max(pending, float(queued))
    assert found(loaded) == [("note", overruled)]


@pytest.mark.parametrize("value", ["nan", "inf", "-1", "soon"])
def test_a_timeout_that_is_no_time_is_an_error(load, value):
    with pytest.raises(ConfigError, match="task_queued_timeout"):
        load(f"[scheduler]\ntask_queued_timeout = {value}\n[kubernetes_executor]\nnamespace = a\n")

"""Airflow's pod_mutation_hook: what it is given, and what of it is launched."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from kubernetes.client import V1Container, V1Pod, V1Toleration
from podrunner import RunnerConfig, Workload
from podrunner.builder import PodBuilder
from podrunner.errors import ConfigError, SpecError
from podrunner.integrations.airflow.pod_hook import mutating, pod_hook_of

CONFIG = RunnerConfig(image="i", env={"A": "b"}, volumes=({"name": "v", "emptyDir": {}},))
WORKLOAD = Workload(key={"n": "1"}, identity_labels={"dag_id": "etl"}, command=["true"])


def launched(mutate: Any) -> Any:
    return PodBuilder(CONFIG, pod_hook=mutating(mutate)).build(WORKLOAD)


def settings(*hooks: Any) -> Any:
    """As much of ``airflow.settings`` as is read, with hooks that were defined."""
    known = SimpleNamespace(pod_mutation_hook=SimpleNamespace(get_hookimpls=lambda: list(hooks)))
    return SimpleNamespace(
        get_policy_plugin_manager=lambda: SimpleNamespace(hook=known),
        pod_mutation_hook=lambda pod: [hook(pod) for hook in hooks],
    )


def test_without_a_hook_there_is_none_and_no_client_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    assert pod_hook_of(settings()) is None


def test_a_hook_without_the_kubernetes_client_is_an_error_of_the_configuration(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "kubernetes.client", None)
    with pytest.raises(ConfigError, match="the package kubernetes is not installed"):
        pod_hook_of(settings(lambda _: None))


def test_a_hook_that_changes_nothing_changes_nothing() -> None:
    assert launched(lambda _: None).manifest == PodBuilder(CONFIG).build(WORKLOAD).manifest


def test_a_hook_changes_a_v1pod_in_place() -> None:
    seen: list[Any] = []

    def hook(pod: V1Pod) -> str:
        seen.append(
            (type(pod), pod.metadata.labels["dag_id"], pod.metadata.namespace, type(pod.spec.containers[0]))
        )
        pod.spec.tolerations = [V1Toleration(key="spot", operator="Exists")]
        pod.spec.containers[0].env[0].value = "changed"
        return "passed over"

    plan = PodBuilder(CONFIG, pod_hook=pod_hook_of(settings(hook))).build(WORKLOAD)
    assert seen == [(V1Pod, "etl", "default", V1Container)]
    assert plan.manifest["spec"]["tolerations"] == [{"key": "spot", "operator": "Exists"}]
    assert plan.manifest["spec"]["containers"][0]["env"] == [{"name": "A", "value": "changed"}]
    assert plan.warnings == ()


def test_a_hook_does_not_change_the_identity() -> None:
    def hook(pod: V1Pod) -> None:
        pod.metadata.labels["dag_id"] = "other"
        pod.metadata.name = "mine"

    plan = launched(hook)
    assert plan.manifest["metadata"] == PodBuilder(CONFIG).build(WORKLOAD).manifest["metadata"]
    assert len(plan.warnings) == 2


def test_a_hook_that_fails_is_the_cause_and_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    def hook(_: V1Pod) -> None:
        raise LookupError("no team for this DAG")

    with pytest.raises(SpecError, match="the pod hook failed: LookupError: no team for this DAG"):
        launched(hook)
    assert "pod_mutation_hook failed for pod 1-" in caplog.text
    assert "Traceback" in caplog.text

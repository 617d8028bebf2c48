"""What a pod hook is shown, and which of its changes stand."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from podrunner import RunnerConfig, Workload
from podrunner.builder.builder import PodBuilder

IDENTITY = {"identity_labels": {"dag_id": "etl"}, "identity_annotations": {"dag_id": "etl of all"}}


def built(hook: Any, **fields: Any) -> Any:
    config = RunnerConfig(image="i", namespace="airflow", namespaces=("theirs",))
    return PodBuilder(config, pod_hook=hook).build(Workload(key={"n": "1"}, name="n", **IDENTITY, **fields))


@pytest.mark.parametrize("namespace", [None, "theirs"])
def test_a_hook_sees_name_namespace_and_identity(namespace: str | None) -> None:
    """Hooks choose by them: ``if pod["metadata"]["labels"]["dag_id"] == …``."""
    seen: list[dict[str, Any]] = []
    plan = built(lambda pod: seen.append(deepcopy(pod)), namespace=namespace)
    (metadata,) = [pod["metadata"] for pod in seen]
    assert metadata == {**plan.manifest["metadata"], "namespace": namespace or "airflow"}
    assert metadata["labels"]["dag_id"] == "etl"
    assert plan.warnings == ()


@pytest.mark.parametrize("field", ["labels", "annotations"])
@pytest.mark.parametrize(
    "change",
    [lambda names: names.update(dag_id="other"), lambda names: names.pop("dag_id")],
    ids=["changed", "removed"],
)
def test_a_change_of_the_identity_is_undone_with_a_warning(field: str, change: Any) -> None:
    def hook(pod: dict[str, Any]) -> None:
        change(pod["metadata"][field])

    plan = built(hook)
    assert plan.manifest["metadata"][field]["dag_id"].startswith("etl")
    assert plan.warnings == (f"pod_hook.metadata.{field}.dag_id has no effect: it is the pod's identity",)


def test_a_change_of_a_name_has_no_effect() -> None:
    names = {"name": "mine", "generateName": "mine-", "namespace": "theirs"}
    plan = built(lambda pod: pod["metadata"].update(names))
    assert plan.name.startswith("n-")
    assert "namespace" not in plan.manifest["metadata"]
    assert plan.warnings == tuple(
        f"pod_hook.metadata.{name} has no effect: podrunner names pods" for name in names
    )


def test_a_pod_that_the_hook_makes_anew_gets_name_and_identity() -> None:
    spec = {"containers": [{"name": "base", "image": "theirs"}]}
    plan = built(lambda _: {"metadata": {}, "spec": spec})
    assert plan.manifest["spec"] == spec
    assert plan.manifest["metadata"]["labels"] == IDENTITY["identity_labels"]

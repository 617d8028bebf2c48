"""Into which namespace a pod goes: the overrides' before the workload's before the configuration's."""

import pytest
from podrunner.builder import PodBuilder, build_plan
from podrunner.builder.overrides import namespace_in, namespace_of
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload


def config(**settings):
    return RunnerConfig(**{"image": "i", "namespace": "jobs", "namespaces": ("mine", "theirs"), **settings})


def work(namespace=None, **fields):
    overrides = {} if namespace is None else {"metadata": {"namespace": namespace}}
    return Workload(key={"a": "b"}, overrides=overrides, **fields)


@pytest.mark.parametrize(
    ("workload", "namespace"),
    [
        (work(), "jobs"),
        (work(namespace="mine"), "mine"),
        (work(namespace="jobs"), "jobs"),
        (Workload(key={"a": "b"}, namespace="mine"), "mine"),
        (
            Workload(key={"a": "b"}, namespace="mine", overrides={"metadata": {"namespace": "theirs"}}),
            "theirs",
        ),
        (Workload(key={"a": "b"}, namespace="mine", overrides={"metadata": {"namespace": None}}), "mine"),
        (Workload(key={"a": "b"}, pod_override={"metadata": {"namespace": "mine"}}), "mine"),
        (work("theirs", pod_override={"metadata": {"namespace": "mine"}}), "theirs"),
    ],
)
def test_the_overrides_move_the_pod(workload, namespace):
    """The last of the layers wins."""
    plan = build_plan(config(), workload)
    assert plan.namespace == namespace_of(config(), workload) == namespace
    assert plan.manifest["metadata"].get("namespace", "jobs") == namespace
    assert plan.warnings == ()


def test_a_pod_elsewhere_says_so_in_its_manifest():
    """`render` shows nothing but the manifest."""
    assert build_plan(config(), work(namespace="mine")).manifest["metadata"]["namespace"] == "mine"
    assert "namespace" not in build_plan(config(), work()).manifest["metadata"]


@pytest.mark.parametrize(
    ("workload", "field"),
    [
        (work(namespace="away"), "overrides.metadata.namespace"),
        (Workload(key={"a": "b"}, namespace="away"), "Workload.namespace"),
        (
            Workload(key={"a": "b"}, pod_override={"metadata": {"namespace": "away"}}),
            "pod_override.metadata.namespace",
        ),
    ],
)
def test_a_namespace_that_is_not_watched_is_refused_with_the_setting(workload, field):
    with pytest.raises(SpecError, match="add it to the setting `namespaces`") as caught:
        build_plan(config(), workload)
    assert (caught.value.field, caught.value.value) == (field, "'away'")


def test_a_runner_of_the_whole_cluster_takes_any():
    everywhere = config(namespaces=(), all_namespaces=True)
    assert build_plan(everywhere, work(namespace="away")).namespace == "away"


@pytest.mark.parametrize(
    ("value", "problem"),
    [(1, "must be text, not a number"), ("", "must name a namespace"), (["x"], "must be text, not a list")],
)
def test_a_namespace_that_is_no_text_is_refused(value, problem):
    with pytest.raises(SpecError, match=problem) as caught:
        build_plan(config(), work(namespace=value))
    assert caught.value.field == "overrides.metadata.namespace"


def test_a_hook_does_not_move_the_pod():
    def hook(pod):
        pod["metadata"]["namespace"] = "theirs"

    plan = PodBuilder(config(), pod_hook=hook).build(work(namespace="mine"))
    assert plan.namespace == plan.manifest["metadata"]["namespace"] == "mine"
    assert plan.warnings == ("pod_hook.metadata.namespace has no effect: podrunner names pods",)


def test_what_is_no_object_names_no_namespace():
    assert [namespace_in(patch) for patch in ({}, {"metadata": None}, {"metadata": "x"})] == [None] * 3

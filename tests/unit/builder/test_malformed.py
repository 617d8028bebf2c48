"""Any template or override gives a pod or a SpecError."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner.builder import PodBuilder, build_pod, with_ownership
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload

WORDS = """
    metadata labels annotations finalizers $deleteFromPrimitiveList/finalizers
    spec containers $setElementOrder/containers initContainers ephemeralContainers volumes securityContext
    imagePullSecrets schedulingGates name image env envFrom valueFrom volumeMounts mountPath $patch $retainKeys
"""
NAMES = st.sampled_from(WORDS.split())
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.sampled_from(["base", "a", "replace", "delete", "merge"])
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3)
)
OBJECTS = st.dictionaries(NAMES, JSON, max_size=3)


def near_pods(inner):
    """Pods with an unexpected value in a field that the builder may read."""
    containers = st.lists(st.dictionaries(NAMES, inner, max_size=3) | st.just({"name": "base"}), max_size=2)
    spec = st.fixed_dictionaries(
        {},
        optional={
            "containers": containers | inner,
            "volumes": inner,
            "initContainers": inner,
            "securityContext": inner,
            "imagePullSecrets": inner,
            "schedulingGates": inner,
        },
    )
    return st.fixed_dictionaries(
        {}, optional={"metadata": st.dictionaries(NAMES, inner, max_size=2) | inner, "spec": spec | inner}
    )


def is_pod_or_refused(config, workload):
    try:
        pod = build_pod(config, workload)
        pod = with_ownership(pod, owner="o", scope="s", key=workload.key)
    except SpecError:
        return
    assert json.loads(json.dumps(pod)) == pod
    assert pod["spec"]["containers"]


@given(near_pods(JSON) | OBJECTS)
@settings(max_examples=3 * settings().max_examples)
def test_any_override_makes_a_pod_or_is_refused(overrides):
    config = RunnerConfig(image="i", volumes=[{"name": "a", "emptyDir": {}}], env={"base": "x"}, fs_group=1)
    is_pod_or_refused(config, Workload(key={"a": "b"}, overrides=overrides))


@given(near_pods(JSON) | OBJECTS)
@settings(max_examples=3 * settings().max_examples)
def test_any_template_makes_a_pod_or_is_refused(template):
    config = RunnerConfig(
        image="i", fs_group=1, image_pull_secrets=["a"], scheduling_gates=["g"], env_from_secrets=["s"]
    )
    is_pod_or_refused(
        config,
        Workload(key={"a": "b"}, pod_template=template, volume_mounts=[{"mountPath": "/", "name": "a"}]),
    )


@given(near_pods(JSON) | OBJECTS)
def test_any_result_of_a_hook_makes_a_pod_or_is_refused(changes):
    builder = PodBuilder(RunnerConfig(image="i", env={"A": "b"}), pod_hook=lambda pod: {**pod, **changes})
    try:
        manifest = builder.build(Workload(key={"a": "b"})).manifest
    except SpecError:
        return
    assert json.loads(json.dumps(manifest)) == manifest
    assert manifest["spec"]["containers"]


@given(
    st.dictionaries(
        st.sampled_from(["volumes", "volume_mounts", "init_containers", "sidecars", "tolerations"]),
        st.lists(OBJECTS | st.just({"name": "a", "mountPath": "/a"}), max_size=2),
        max_size=2,
    )
)
def test_any_objects_of_a_workload_make_a_pod_or_are_refused(objects):
    is_pod_or_refused(RunnerConfig(image="i", volumes=[{"name": "a"}]), Workload(key={"a": "b"}, **objects))

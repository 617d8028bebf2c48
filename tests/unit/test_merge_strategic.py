"""Strategic merge gives the API server's results: the documentation's examples, and each directive."""

import json

import pytest
from podrunner.errors import SpecError
from podrunner.merge import strategic_merge
from tests.support import merge_cases


def pod(**spec):
    return {"spec": spec}


def containers(*names):
    return [{"name": name} for name in names]


CASES = {
    "a new container stands before those the patch does not name": (
        pod(containers=[{"name": "patch-demo-ctr", "image": "nginx"}]),
        pod(containers=[{"name": "patch-demo-ctr-2", "image": "redis"}]),
        pod(
            containers=[
                {"name": "patch-demo-ctr-2", "image": "redis"},
                {"name": "patch-demo-ctr", "image": "nginx"},
            ]
        ),
    ),
    "tolerations are replaced as a whole": (
        pod(tolerations=[{"key": "dedicated", "value": "test-team", "effect": "NoSchedule"}]),
        pod(tolerations=[{"key": "disktype", "value": "ssd", "effect": "NoSchedule"}]),
        pod(tolerations=[{"key": "disktype", "value": "ssd", "effect": "NoSchedule"}]),
    ),
    "variables merge by name inside containers that merge by name": (
        pod(containers=[{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "2"}]}]),
        pod(containers=[{"name": "a", "env": [{"name": "Y", "value": "3"}]}]),
        pod(containers=[{"name": "a", "env": [{"name": "X", "value": "1"}, {"name": "Y", "value": "3"}]}]),
    ),
    "mounts merge by path": (
        pod(containers=[{"name": "a", "volumeMounts": [{"mountPath": "/a", "name": "v"}]}]),
        pod(containers=[{"name": "a", "volumeMounts": [{"mountPath": "/a", "name": "w"}]}]),
        pod(containers=[{"name": "a", "volumeMounts": [{"mountPath": "/a", "name": "w"}]}]),
    ),
    "a command is replaced as a whole": (
        pod(containers=[{"name": "a", "command": ["x", "y"]}]),
        pod(containers=[{"name": "a", "command": ["z"]}]),
        pod(containers=[{"name": "a", "command": ["z"]}]),
    ),
    "null deletes a member": (pod(hostname="a", subdomain="b"), pod(hostname=None), pod(subdomain="b")),
    "null on what is not there does nothing": (pod(hostname="a"), {"status": None}, pod(hostname="a")),
    "nulls in a new object are not kept": (
        {},
        {"metadata": {"labels": {"a": None, "b": "c"}}},
        {"metadata": {"labels": {"b": "c"}}},
    ),
    "$patch: delete takes an element out": (
        pod(volumes=containers("a", "b")),
        pod(volumes=[{"name": "a", "$patch": "delete"}]),
        pod(volumes=containers("b")),
    ),
    "$patch: replace in a list replaces it": (
        pod(containers=containers("a", "b")),
        pod(containers=[{"$patch": "replace"}, {"name": "c"}]),
        pod(containers=containers("c")),
    ),
    "$patch: replace in an object replaces it": (
        pod(securityContext={"runAsUser": 1, "fsGroup": 2}),
        pod(securityContext={"$patch": "replace", "fsGroup": 3}),
        pod(securityContext={"fsGroup": 3}),
    ),
    "$patch: replace sets an object that is not there": (
        pod(),
        pod(securityContext={"$patch": "replace", "fsGroup": 3}),
        pod(securityContext={"fsGroup": 3}),
    ),
    "$patch: delete empties an object": (
        pod(nodeSelector={"a": "b"}),
        pod(nodeSelector={"$patch": "delete"}),
        pod(nodeSelector={}),
    ),
    "$patch: delete of an object that is not there does nothing": (
        pod(),
        pod(nodeSelector={"$patch": "delete"}),
        pod(),
    ),
    "$patch: merge says what happens anyway": (
        pod(nodeSelector={"a": "b"}),
        pod(nodeSelector={"$patch": "merge", "c": "d"}),
        pod(nodeSelector={"a": "b", "c": "d"}),
    ),
    "$retainKeys drops the other source of a volume": (
        pod(volumes=[{"name": "v", "emptyDir": {}}]),
        pod(volumes=[{"name": "v", "hostPath": {"path": "/"}, "$retainKeys": ["name", "hostPath"]}]),
        pod(volumes=[{"name": "v", "hostPath": {"path": "/"}}]),
    ),
    "$deleteFromPrimitiveList takes values out": (
        {"metadata": {"finalizers": ["a", "b", "c"]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "c"]}},
        {"metadata": {"finalizers": ["b"]}},
    ),
    "finalizers are a set": (
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"finalizers": ["b", "c"]}},
        {"metadata": {"finalizers": ["a", "b", "c"]}},
    ),
    "$setElementOrder orders the list": (
        pod(containers=containers("a", "b", "c")),
        pod(**{"$setElementOrder/containers": containers("c", "a")}),
        pod(containers=containers("b", "c", "a")),
    ),
    "$setElementOrder orders a set": (
        {"metadata": {"finalizers": ["a", "b"]}},
        {"metadata": {"$setElementOrder/finalizers": ["b", "a"]}},
        {"metadata": {"finalizers": ["b", "a"]}},
    ),
    "directives in a new element are obeyed, not kept": (
        pod(containers=containers("a")),
        pod(
            containers=[
                {
                    "name": "b",
                    "env": [{"name": "X", "$patch": "delete"}],
                    "$setElementOrder/env": [{"name": "X"}],
                }
            ]
        ),
        pod(containers=[{"name": "b", "env": []}, {"name": "a"}]),
    ),
    "two ports of one number in a new list both stay": (
        pod(containers=containers("a")),
        pod(
            containers=[
                {
                    "name": "a",
                    "ports": [
                        {"containerPort": 53, "protocol": "TCP"},
                        {"containerPort": 53, "protocol": "UDP"},
                    ],
                }
            ]
        ),
        pod(
            containers=[
                {
                    "name": "a",
                    "ports": [
                        {"containerPort": 53, "protocol": "TCP"},
                        {"containerPort": 53, "protocol": "UDP"},
                    ],
                }
            ]
        ),
    ),
    "another type replaces": (pod(volumes="odd"), pod(volumes=containers("a")), pod(volumes=containers("a"))),
}


@pytest.mark.parametrize(("target", "patch", "merged"), CASES.values(), ids=CASES.keys())
def test_merges_as_the_api_server_does(target, patch, merged):
    assert strategic_merge(target, patch) == merged


@pytest.mark.parametrize(
    ("kind", "target", "patch", "merged"),
    [
        (
            "Service",
            {"spec": {"ports": [{"port": 80}]}},
            {"spec": {"ports": [{"port": 80, "name": "web"}]}},
            {"spec": {"ports": [{"port": 80, "name": "web"}]}},
        ),
        (
            "ServiceAccount",
            {"secrets": [{"name": "a"}]},
            {"secrets": [{"name": "b"}]},
            {"secrets": [{"name": "b"}, {"name": "a"}]},
        ),
        (
            "ServiceAccount",
            {"imagePullSecrets": [{"name": "a"}]},
            {"imagePullSecrets": [{"name": "b"}]},
            {"imagePullSecrets": [{"name": "b"}]},
        ),
        (
            "ConfigMap",
            {"data": {"a": "1", "b": "2"}},
            {"data": {"a": None, "c": "3"}},
            {"data": {"b": "2", "c": "3"}},
        ),
        (
            "Node",
            {"status": {"conditions": [{"type": "Ready", "status": "True"}]}},
            {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
            {"status": {"conditions": [{"type": "Ready", "status": "False"}]}},
        ),
        (
            "Deployment",
            {"spec": {"template": pod(containers=containers("a"))}},
            {"spec": {"template": pod(containers=[{"name": "a", "image": "i"}])}},
            {"spec": {"template": pod(containers=[{"name": "a", "image": "i"}])}},
        ),
        (
            "CronJob",
            {"spec": {"jobTemplate": {"spec": {"template": pod(containers=containers("a"))}}}},
            {"spec": {"jobTemplate": {"spec": {"template": pod(containers=[{"name": "a", "image": "i"}])}}}},
            {"spec": {"jobTemplate": {"spec": {"template": pod(containers=[{"name": "a", "image": "i"}])}}}},
        ),
        (
            "Unheard",
            {"spec": {"containers": containers("a")}},
            {"spec": {"containers": containers("b")}},
            {"spec": {"containers": containers("b")}},
        ),
        (
            "Unheard",
            {"metadata": {"ownerReferences": [{"uid": "1"}]}},
            {"metadata": {"ownerReferences": [{"uid": "2"}]}},
            {"metadata": {"ownerReferences": [{"uid": "2"}, {"uid": "1"}]}},
        ),
    ],
)
def test_each_kind_has_its_merge_keys(kind, target, patch, merged):
    assert strategic_merge(target, patch, kind=kind) == merged


@pytest.mark.parametrize(
    ("target", "patch", "field"),
    [
        (pod(containers=containers("a")), pod(containers=[{"image": "i"}]), "spec.containers[0]"),
        (pod(containers=containers("a")), pod(containers=["a"]), "spec.containers[0]"),
        (
            pod(containers=containers("a")),
            pod(containers=[{"name": "a", "$patch": "remove"}]),
            "spec.containers[0].$patch",
        ),
        (pod(nodeSelector={}), pod(nodeSelector={"$patch": "remove"}), "spec.nodeSelector.$patch"),
        (pod(), pod(**{"$retainKeys": "all"}), "spec.$retainKeys"),
        (pod(), pod(**{"$retainKeys": ["a"], "b": 1}), "spec.b"),
        (
            {"metadata": {}},
            {"metadata": {"$deleteFromPrimitiveList/finalizers": "a"}},
            "metadata.$deleteFromPrimitiveList/finalizers",
        ),
        (pod(), pod(**{"$setElementOrder/containers": "a"}), "spec.$setElementOrder/containers"),
        (
            pod(containers=[]),
            pod(**{"$setElementOrder/containers": ["a"]}),
            "spec.$setElementOrder/containers[0]",
        ),
        (
            pod(containers=[]),
            pod(**{"$setElementOrder/containers": containers("a")}, containers=containers("b")),
            "spec.$setElementOrder/containers",
        ),
        (
            pod(containers=[]),
            pod(**{"$setElementOrder/containers": containers("a", "b")}, containers=containers("b", "a")),
            "spec.$setElementOrder/containers",
        ),
    ],
)
def test_a_malformed_patch_is_refused_with_the_field(target, patch, field):
    with pytest.raises(SpecError) as caught:
        strategic_merge(target, patch)
    assert caught.value.field == field


GOLDENS = [json.loads(line) for line in merge_cases.GOLDENS.read_text().splitlines()]


@pytest.mark.parametrize("case", GOLDENS, ids=[str(number) for number in range(len(GOLDENS))])
def test_merges_pods_as_kubernetes_itself_does(case):
    """The order of every list included; recorded by ``tests.support.merge_cases``."""
    assert strategic_merge(case["target"], case["patch"]) == case["merged"]


def test_the_recorded_merges_reach_each_directive_and_each_merged_list():
    """Else a golden file that was recorded anew could prove less."""
    text = "".join(json.dumps(case["patch"]) for case in GOLDENS)
    words = ['$patch": "delete', '$patch": "replace', "$retainKeys", "$deleteFromPrimitiveList", "null"]
    lists = ["containers", "initContainers", "env", "volumeMounts", "volumes", "finalizers"]
    assert [
        word for word in [*words, *(f"$setElementOrder/{name}" for name in lists)] if word not in text
    ] == []

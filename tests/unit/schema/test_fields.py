"""Plain data is checked by Kubernetes' schemas: unknown fields, wrong types, and elements without a name."""

from __future__ import annotations

import pytest
from podrunner.schema.fields import problems_of, problems_of_field


def in_pod(**spec):
    found = problems_of({"metadata": {}, "spec": spec}, "Pod", place="pod_template")
    return [(each.path, each.message, each.value) for each in found]


def in_container(fields):
    place = "pod_template.spec.containers[base]"
    found = in_pod(containers=[{"name": "base", **fields}])
    return [(path.removeprefix(place).removeprefix("."), message, value) for path, message, value in found]


WHOLE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"labels": {"a": "b"}, "annotations": None, "creationTimestamp": None},
    "spec": {
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        "hostNetwork": False,
        "tolerations": ({"key": "a", "operator": "Exists"},),
        "volumes": [
            {"name": "v", "emptyDir": {}},
            {
                "name": "c",
                "configMap": {"name": "c", "defaultMode": 420, "items": [{"key": "k", "path": "p"}]},
            },
        ],
        "containers": [
            {
                "name": "base",
                "env": [
                    {"name": "A", "value": ""},
                    {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
                ],
                "resources": {"limits": {"cpu": 1.5, "memory": "1Gi", "nvidia.com/gpu": 1}},
                "livenessProbe": {"httpGet": {"port": "http"}, "periodSeconds": 3},
                "readinessProbe": {"tcpSocket": {"port": 80}},
                "ports": [{"containerPort": 80}],
                "securityContext": {"runAsUser": 2**40},
            }
        ],
    },
}


def test_a_right_pod_has_no_problems():
    assert problems_of(WHOLE, "Pod") == []


@pytest.mark.parametrize(
    ("fields", "path", "message", "value"),
    [
        ({"env": [{"name": "PORT", "value": 8080}]}, "env[PORT].value", "text, not a number; put it in quotes", "8080"),
        ({"env": [{"name": "ON", "value": True}]}, "env[ON].value", "text, not a boolean; put it in quotes", "True"),
        ({"env": [{"name": "TOKEN", "value": 12345}]}, "env[TOKEN].value", "put it in quotes", "***"),
        ({"env": [{"name": "A", "value": ["x"]}]}, "env[A].value", "must be text, not a list", "a list"),
        ({"env": {"A": "b"}}, "env", "must be a list, not an object", "a mapping"),
        ({"env": [{"value": "x"}]}, "env[0]", "needs 'name'", None),
        ({"command": "sh"}, "command", "must be a list, not text", "'sh'"),
        ({"command": ["sh", None]}, "command[1]", "must be text, not null", None),
        ({"tty": "true"}, "tty", "must be true or false, not text; remove the quotes", "'true'"),
        ({"tty": "yes"}, "tty", "must be true or false, not text", "'yes'"),
        ({"resources": {"limits": {"memory": "1Gb"}}}, "resources.limits.memory", "is no quantity", "'1Gb'"),
        ({"resources": {"limits": {"a.b/c": True}}}, "resources.limits[a.b/c]", "must be a quantity", "True"),
        ({"resources": []}, "resources", "must be an object, not a list", "a list"),
        ({"ports": [{"containerPort": "80"}]}, "ports[80].containerPort", "remove the quotes", "'80'"),
        ({"ports": [{"containerPort": 2**40}]}, f"ports[{2**40}].containerPort", "of 32 bits", str(2**40)),
        ({"ports": [{"containerPort": 1.5}]}, "ports[0].containerPort", "whole number", "1.5"),
        ({"livenessProbe": {"httpGet": {"port": []}}}, "livenessProbe.httpGet.port", "whole number", "a list"),
        ({"imagePullPolice": "Never"}, "imagePullPolice", "did you mean 'imagePullPolicy'?", None),
        ({"image_pull_policy": "Never"}, "image_pull_policy", "did you mean 'imagePullPolicy'?", None),
        ({"volumeMount": []}, "volumeMount", "did you mean 'volumeMounts'?", None),
        ({1: "x"}, "", "the name of a field must be text, not a number", "1"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place_and_the_remedy(fields, path, message, value):
    """F2: numbers as values of variables are the commonest mistake in YAML."""
    ((found, problem, shown),) = in_container(fields)
    assert found == path
    assert message in problem
    assert shown == value


@pytest.mark.parametrize(
    ("pod", "path"),
    [
        ({"spec": []}, "pod.spec"),
        ([], "pod"),
        ({"metadata": {"labels": {"version": 1}}}, "pod.metadata.labels.version"),
        ({"metadata": {"labels": {"version": None}}}, "pod.metadata.labels.version"),
        ({"metadata": {"labels": {"app.kubernetes.io/name": 1}}}, "pod.metadata.labels[app.kubernetes.io/name]"),
        ({"metadata": {"labels": {True: "x"}}}, "pod.metadata.labels"),
        ({"spec": {"containers": ["base"]}}, "pod.spec.containers[0]"),
        ({"spec": {"containers": [None]}}, "pod.spec.containers[0]"),
        ({"spec": {"containers": [{"name": 1}]}}, "pod.spec.containers[1].name"),
        ({"spec": {"containers": [{"name": "x" * 99, "tty": 1}]}}, "pod.spec.containers[0].tty"),
        ({"spec": {"tolerations": [{"key": 1}]}}, "pod.spec.tolerations[0].key"),
    ],
)  # fmt: skip
def test_the_path_of_a_problem(pod, path):
    ((found, *_),) = problems_of(pod, "Pod", place="pod")
    assert found == path


def test_all_problems_are_found():
    found = in_pod(restartPolcy="x", hostNetwork=1, containers=[{"name": "a", "tty": 1}])
    assert [path.rpartition(".")[2] for path, *_ in found] == ["restartPolcy", "hostNetwork", "tty"]


NEWER = [
    ("PodSpec", "workloadRef"),
    ("PodSpec", "schedulingGroup"),
    ("PodSpec", "evictionResponders"),
    ("VolumeMount", "bindMountOptions"),
    ("EmptyDirVolumeSource", "mode"),
    ("SecretVolumeSource", "defaultUser"),
    ("KeyToPath", "user"),
    ("HTTPGetAction", "protocol"),
    ("GRPCAction", "mode"),
]
"""Fields that Kubernetes 1.35 to 1.37 added, next to names that are like them."""


@pytest.mark.parametrize(("kind", "field"), NEWER)
def test_a_field_that_a_newer_server_may_know_is_no_certain_problem(kind, field):
    (problem,) = problems_of({field: {"a": 1}}, kind)
    assert not problem.is_certain
    assert "only a newer server may accept it" in problem.message


def test_a_field_at_the_wrong_place_is_named_with_its_owner():
    ((_, message, _),) = in_pod(imagePullPolicy="Never")
    assert message.endswith("a container has one of this name")


@pytest.mark.parametrize(
    "patch",
    [
        {"spec": {"$patch": "replace"}},
        {"spec": {"containers": [{"$patch": "replace"}]}},
        {"spec": {"volumes": [{"name": "a", "$patch": "delete"}]}},
        {"spec": {"securityContext": {"$retainKeys": ["fsGroup"], "fsGroup": 1}}},
        {"spec": {"$setElementOrder/containers": [{"name": "a"}]}},
        {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"], "labels": {"a": None, "$patch": "replace"}}},
        {"spec": {"nodeSelector": None, "containers": None}},
    ],
)  # fmt: skip
def test_a_patch_may_hold_directives_and_nulls(patch):
    assert problems_of(patch, "Pod", is_patch=True) == []
    with_directives = "$" in str(patch)
    assert bool(problems_of(patch, "Pod")) == with_directives


def test_a_misspelt_directive_is_a_problem():
    found = problems_of({"spec": {"$retainKey": []}}, "Pod", is_patch=True)
    assert [problem.path for problem in found] == ["spec.$retainKey"]


def test_settings_are_checked_as_the_fields_that_they_become():
    volumes = [{"name": "v", "hostPath": {"path": 1}}, {"emptyDir": {}}]
    found = problems_of_field(volumes, "PodSpec", "volumes", place="Workload.volumes")
    assert [problem.path for problem in found] == ["Workload.volumes[v].hostPath.path", "Workload.volumes[1]"]

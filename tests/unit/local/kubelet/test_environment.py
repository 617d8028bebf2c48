"""Environment variables: references, prefixes, expansion, and Kubernetes' words where something is missing."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.kubelet.environment import (
    CreateContainerConfigError,
    build_environment,
    expand,
    read_field,
    read_resource,
)

POD = {
    "metadata": {
        "name": "p",
        "namespace": "ns",
        "uid": "u",
        "labels": {"app": "x"},
        "annotations": {"a": 'say "hi"\n'},
    },
    "spec": {
        "nodeName": "n",
        "serviceAccountName": "sa",
        "containers": [{"name": "c", "resources": {"limits": {"cpu": "1500m"}}}],
    },
    "status": {"podIP": "1.2.3.4", "hostIP": "5.6.7.8", "podIPs": [{"ip": "1.2.3.4"}, {"ip": "::1"}]},
}
OBJECTS = {
    ("configmaps", "cm"): {
        "data": {"k": "v", "b=d": "no"},
        "binaryData": {"bin": base64.b64encode(b"\xff").decode()},
    },
    ("secrets", "s"): {"data": {"password": base64.b64encode("pä".encode()).decode()}},
}


def find(resource, name):
    return OBJECTS.get((resource, name))


def build(**container):
    return build_environment(
        {"name": "c", **container}, POD, find, base={"BASE": "b"}, capacity={"cpu": "4", "memory": "8Gi"}
    )


def value_from(**source):
    return [{"name": "V", "valueFrom": source}]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$(A)", "1"),
        ("x$(A)y$(B)z", "x1y2z"),
        ("$(NO)", "$(NO)"),
        ("$$(A)", "$(A)"),
        ("$$$(A)", "$1"),
        ("$A $ $( $)", "$A $ $( $)"),
        ("$()", "$()"),
    ],
)
def test_references_are_expanded_as_kubernetes_does(text, expected):
    assert expand(text, {"A": "1", "B": "2"}) == expected


@given(st.text(alphabet=st.characters(exclude_characters="$")))
def test_text_without_a_dollar_stays(text):
    assert expand(text, {"A": "1"}) == text


def test_later_variables_see_earlier_ones_and_those_of_the_cluster():
    env = [
        {"name": "A", "value": "$(BASE)"},
        {"name": "B", "value": "$(A)$(C)"},
        {"name": "C", "value": "c"},
        {"name": "E"},
    ]
    assert build(env=env) == {"BASE": "b", "A": "b", "B": "b$(C)", "C": "c", "E": ""}


def test_whole_objects_come_in_with_a_prefix_and_give_way_to_single_variables():
    env_from = [
        {"prefix": "CM_", "configMapRef": {"name": "cm"}},
        {"secretRef": {"name": "s"}},
        {"configMapRef": {"name": "no", "optional": True}},
    ]
    made = build(envFrom=env_from, env=[{"name": "CM_k", "value": "mine"}])
    assert (made["CM_k"], made["password"]) == ("mine", "pä")
    assert "CM_b=d" not in made
    assert made["CM_bin"].encode(errors="surrogateescape") == b"\xff"


def test_single_keys_of_objects():
    assert build(env=value_from(configMapKeyRef={"name": "cm", "key": "k"}))["V"] == "v"
    assert build(env=value_from(secretKeyRef={"name": "s", "key": "password"}))["V"] == "pä"
    assert "V" not in build(env=value_from(secretKeyRef={"name": "no", "key": "x", "optional": True}))
    assert "V" not in build(env=value_from(secretKeyRef={"name": "s", "key": "x", "optional": True}))


@pytest.mark.parametrize(
    ("container", "words"),
    [
        ({"env": value_from(configMapKeyRef={"name": "no", "key": "k"})}, 'configmap "no" not found'),
        ({"env": value_from(secretKeyRef={"name": "no", "key": "k"})}, 'secret "no" not found'),
        (
            {"env": value_from(configMapKeyRef={"name": "cm", "key": "x"})},
            "couldn't find key x in ConfigMap ns/cm",
        ),
        ({"env": value_from(secretKeyRef={"name": "s", "key": "x"})}, "couldn't find key x in Secret ns/s"),
        ({"envFrom": [{"configMapRef": {"name": "no"}}]}, 'configmap "no" not found'),
        ({"envFrom": [{"secretRef": {"name": "no"}}]}, 'secret "no" not found'),
        (
            {"env": value_from(fieldRef={"fieldPath": "spec.containers"})},
            "unsupported fieldPath: spec.containers",
        ),
    ],
)
def test_what_is_missing_is_named_in_kubernetes_words(container, words):
    with pytest.raises(CreateContainerConfigError, match=words):
        build(**container)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "p"),
        ("metadata.namespace", "ns"),
        ("metadata.uid", "u"),
        ("metadata.labels['app']", "x"),
        ("metadata.labels['none']", ""),
        ("metadata.labels", 'app="x"'),
        ("metadata.annotations", 'a="say \\"hi\\"\\n"'),
        ("spec.nodeName", "n"),
        ("spec.serviceAccountName", "sa"),
        ("status.podIP", "1.2.3.4"),
        ("status.hostIP", "5.6.7.8"),
        ("status.podIPs", "1.2.3.4,::1"),
        ("status.hostIPs", ""),
    ],
)
def test_fields_of_the_downward_api(path, value):
    assert read_field(POD, path) == value
    assert build(env=value_from(fieldRef={"fieldPath": path}))["V"] == value


@pytest.mark.parametrize(
    ("reference", "value"),
    [
        ({"resource": "limits.cpu"}, "2"),
        ({"resource": "limits.cpu", "divisor": "1m"}, "1500"),
        ({"resource": "limits.memory", "divisor": "1Mi"}, "8192"),
        ({"resource": "requests.cpu"}, "0"),
        ({"resource": "limits.cpu", "containerName": "c"}, "2"),
    ],
)
def test_resources_of_the_downward_api(reference, value):
    container = POD["spec"]["containers"][0]
    assert read_resource(container, POD, reference, capacity={"memory": "8Gi"}) == value
    assert build(resources=container["resources"], env=value_from(resourceFieldRef=reference))["V"] == value

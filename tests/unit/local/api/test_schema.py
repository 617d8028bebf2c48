"""Bodies are read as Go's decoder reads them into typed objects."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.discovery.openapi import OpenApi
from podrunner.local.api.discovery.openapi_v2 import PROTOBUF
from podrunner.local.api.status import StatusError
from podrunner.local.api.validation.schema import Schema
from podrunner.schema.openapi import load_schemas, prune

SCHEMAS = load_schemas()
SCHEMA = Schema(SCHEMAS)


def read(kind, *, version="v1", mode="Warn", **fields):
    return SCHEMA.read({"apiVersion": version, "kind": kind, "metadata": {}, **fields}, mode=mode)


def refusal(kind, **fields):
    with pytest.raises(StatusError) as refused:
        read(kind, **fields)
    assert refused.value.code == 400
    return refused.value.message.removeprefix(f'{kind} in version "v1" cannot be handled as a {kind}: ')


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"priority": "x"},
            "json: cannot unmarshal string into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            {"priority": 1.5},
            "json: cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            {"priority": 1 << 40},
            f"json: cannot unmarshal number {1 << 40} into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            {"priority": True},
            "json: cannot unmarshal bool into Go struct field PodSpec.spec.priority of type int32",
        ),
        (
            {"hostNetwork": 1},
            "json: cannot unmarshal number into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
        (
            {"nodeName": []},
            "json: cannot unmarshal array into Go struct field PodSpec.spec.nodeName of type string",
        ),
        (
            {"securityContext": "x"},
            (
                "json: cannot unmarshal string into Go struct field PodSpec.spec.securityContext "
                "of type v1.PodSecurityContext"
            ),
        ),
        (
            {"nodeSelector": []},
            "json: cannot unmarshal array into Go struct field PodSpec.spec.nodeSelector of type map[string]string",
        ),
        (
            {"volumes": {}},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.volumes of type []v1.Volume",
        ),
    ],
)
def test_wrong_types(spec, words):
    assert refusal("Pod", spec=spec) == words


def test_wrong_formats():
    words = 'parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006"'
    assert refusal("Pod", metadata={"creationTimestamp": "soon"}) == words
    assert refusal("Secret", data={"a": "ö"}) == "illegal base64 data at input byte 0"
    assert refusal("Secret", data={"a": "abc"}) == "illegal base64 data at input byte 2"
    assert refusal("Secret", data={"a": 1}).endswith("of type []uint8")
    assert refusal("Pod", metadata={"creationTimestamp": 5}).endswith("of type string")
    limits = {"containers": [{"name": "a", "resources": {"limits": {"cpu": []}}}]}
    assert refusal("Pod", spec=limits).endswith(
        "ResourceRequirements.spec.containers.resources.limits of type resource.Quantity"
    )


def test_null_is_absent_and_empty_lists_are_left_out():
    body, warnings = read(
        "Pod",
        metadata={"labels": None},
        spec={"containers": [], "volumes": [], "nodeSelector": {}, "nodeName": None},
    )
    assert body["metadata"] == {}
    assert body["spec"] == {"containers": []}
    assert warnings == ()


def test_an_empty_struct_is_kept():
    body, _ = read(
        "Pod", spec={"containers": [], "securityContext": {}, "volumes": [{"name": "v", "emptyDir": {}}]}
    )
    assert body["spec"]["securityContext"] == {}
    assert body["spec"]["volumes"] == [{"name": "v", "emptyDir": {}}]


def test_ports_are_numbers_or_names():
    probe = {"httpGet": {"port": "web"}, "tcpSocket": {"port": 80}}
    body, _ = read("Pod", spec={"containers": [{"name": "a", "livenessProbe": probe}]})
    assert body["spec"]["containers"][0]["livenessProbe"] == probe


def test_a_schema_that_refers_to_itself_nowhere_hangs():
    body, _ = read(
        "Pod",
        metadata={"managedFields": [{"manager": "x", "fieldsV1": {"f:a": {}}}]},
        spec={"containers": []},
    )
    assert body["metadata"]["managedFields"][0]["fieldsV1"] == {"f:a": {}}


def test_a_kind_without_a_schema_is_taken_as_it_is():
    assert SCHEMA.read({"apiVersion": "x/v1", "kind": "Other", "a": 1}, mode="Strict")[0]["a"] == 1


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(sorted(SCHEMAS["io.k8s.api.core.v1.PodSpec"]["properties"])), json_values)
)
def test_nonsense_is_refused_never_a_crash(spec):
    with suppress(StatusError):  # no other error may come out
        body, _ = read("Pod", spec=spec, mode="Ignore")
        again, warnings = SCHEMA.read(body, mode="Strict")
        assert again == body
        assert warnings == ()


def test_pruning_keeps_what_is_referred_to():
    kind = {"group": "", "version": "v1", "kind": "A"}
    reference = {"allOf": [{"$ref": "#/components/schemas/B"}]}
    schemas = {
        "A": {"properties": {"b": {"items": reference}}, "x-kubernetes-group-version-kind": [kind]},
        "AList": {"x-kubernetes-group-version-kind": [{**kind, "kind": "AList"}]},
        "B": {"properties": {"c": {"$ref": "#/components/schemas/C"}}},
        "C": {},
        "D": {},
        "Shared": {"x-kubernetes-group-version-kind": [kind, {**kind, "group": "g"}]},
    }
    assert set(prune(schemas, [("", "v1", "A")])) == {"A", "AList", "B", "C"}


def fields(message):
    """(number, wire type, value) of a protobuf message."""
    position = 0
    while position < len(message):
        tag, position = varint(message, position)
        value, position = varint(message, position)
        if tag & 7 == 2:
            value, position = message[position : position + value], position + value
        yield tag >> 3, tag & 7, value


def varint(message, position):
    value = shift = 0
    while True:
        byte = message[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7


def test_old_kubectls_get_version_2_as_protobuf():
    answer = OpenApi(SCHEMAS).answer(
        "/openapi/v2", accept="application/com.github.proto-openapi.spec.v2@v1.0+protobuf", query={}
    )
    assert answer.content_type == PROTOBUF
    document = {number: value for number, _, value in fields(answer.body)}
    assert document[1] == b"2.0"
    schemas = {}
    for _, _, named in fields(document[9]):
        parts = {number: value for number, _, value in fields(named)}
        schemas[parts[1].decode()] = parts[2]
    container = {number: value for number, _, value in fields(schemas["io.k8s.api.core.v1.Container"])}
    assert container[19] == b"name"
    assert set(schemas) == set(SCHEMAS)


@pytest.mark.parametrize(("accept", "code"), [("text/html", 406), ("application/xml", 406)])
def test_version_2_in_another_form_is_406(accept, code):
    with pytest.raises(StatusError) as refused:
        OpenApi(SCHEMAS).answer("/openapi/v2", accept=accept, query={})
    assert refused.value.code == code


def test_documents_may_be_cached_by_their_hash():
    openapi = OpenApi(SCHEMAS)
    assert "Expires" in openapi.answer("/openapi/v3/api/v1", accept="", query={"hash": "x"}).headers
    assert "Expires" not in openapi.answer("/openapi/v3/api/v1", accept="", query={}).headers
    assert openapi.answer("/openapi/v3/apis/none/v1", accept="", query={}) is None
    assert openapi.answer("/elsewhere", accept="", query={}) is None

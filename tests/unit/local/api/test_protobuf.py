"""Objects in Kubernetes' protobuf form, as typed Go clients send them.

``protobuf_objects.txt`` was written by apimachinery's own serializer: pairs of lines, the bytes in hex and the same
object as Go's JSON encoder writes it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.encoding.protobuf import ProtobufError, decode_object

LINES = Path(__file__).with_name("protobuf_objects.txt").read_text().splitlines()
PAIRS = [
    (bytes.fromhex(packed), json.loads(plain)) for packed, plain in zip(LINES[::2], LINES[1::2], strict=True)
]

STRUCTS = {"metadata", "spec", "status", "resources", "creationTimestamp"}


def _without_empty_structs(value: Any) -> Any:
    """Go writes structs that are no pointers even when nothing is in them, and a zero time as null."""
    if isinstance(value, list):
        return [_without_empty_structs(each) for each in value]
    if not isinstance(value, dict):
        return value
    kept = {key: _without_empty_structs(each) for key, each in value.items()}
    return {key: each for key, each in kept.items() if each or key not in STRUCTS}


@pytest.mark.parametrize(("packed", "plain"), PAIRS, ids=[plain["kind"] for _, plain in PAIRS])
def test_what_go_packs_is_read_as_what_go_writes_as_json(packed: bytes, plain: dict[str, Any]) -> None:
    """Inlined structs, pointers to zero, quantities, times, ports that are names, raw JSON, bytes, maps."""
    assert decode_object(packed) == _without_empty_structs(plain)


@given(st.sampled_from([packed for packed, _ in PAIRS]), st.data())
def test_damaged_bytes_are_refused_or_read(packed: bytes, data: st.DataObject) -> None:
    """For any bytes of a client, no other error than ProtobufError is raised."""
    at = data.draw(st.integers(4, len(packed) - 1))
    damaged = packed[:at] + data.draw(st.binary(max_size=6)) + packed[at + data.draw(st.integers(0, 6)) :]
    try:
        decode_object(damaged)
    except ProtobufError:
        return


def test_bytes_without_the_magic_are_refused() -> None:
    with pytest.raises(ProtobufError, match="expected prefix"):
        decode_object(b'{"kind":"Pod"}')


def test_kinds_that_are_not_served_are_refused() -> None:
    body = b"k8s\x00" + bytes([0x0A, 14, 0x0A, 2]) + b"v1" + bytes([0x12, 8]) + b"Gearwork"
    with pytest.raises(ProtobufError, match='no kind "Gearwork" is registered for version "v1"'):
        decode_object(body)


def _object(kind: str, raw: bytes) -> bytes:
    """The envelope around a message of less than 128 bytes."""
    meta = b"\x0a\x02v1\x12" + bytes([len(kind)]) + kind.encode()
    return b"k8s\x00\x0a" + bytes([len(meta)]) + meta + b"\x12" + bytes([len(raw)]) + raw


def _priority(value: bytes) -> bytes:
    """A pod whose ``spec.priority`` (25) is encoded so."""
    spec = b"\xc8\x01" + value
    return _object("Pod", b"\x12" + bytes([len(spec)]) + spec)


def test_negative_numbers_are_two_complements() -> None:
    minus_one = b"\xff" * 9 + b"\x01"
    assert decode_object(_priority(minus_one))["spec"] == {"priority": -1}


def test_numbers_may_come_packed() -> None:
    """``supplementalGroups`` in one piece, as newer encoders write lists of numbers."""
    security = b"\x22\x03\x01\xac\x02"
    spec = b"\x72" + bytes([len(security)]) + security
    pod = decode_object(_object("Pod", b"\x12" + bytes([len(spec)]) + spec))
    assert pod["spec"] == {"securityContext": {"supplementalGroups": [1, 300]}}


def test_fields_of_a_newer_kubernetes_are_skipped() -> None:
    unknown = b"\xf8\x7f\x01" + b"\xfd\x7f" + b"\0" * 4 + b"\xf9\x7f" + b"\0" * 8
    assert decode_object(_object("Pod", unknown)) == {"apiVersion": "v1", "kind": "Pod"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (_object("Pod", b"\x13"), "illegal wireType 3"),
        (_object("Pod", b"\x12\x7f"), "unexpected EOF"),
        (_object("Pod", b"\x12"), "unexpected EOF"),
        (_object("Pod", b"\x10\x01"), "wrong wireType = 0"),
        (_priority(b"\xff" * 10 + b"\x01"), "integer overflow"),
        (_object("ConfigMap", b"\x12\x06\x0a\x01a\x12\x01\xff"), "no UTF-8"),
        (_object("ConfigMap", b"\x22\x01x"), "wrong wireType = 2"),
        (_object("Pod", b"\x0a\x0c\x42\x0a\x08" + b"\xff" * 8 + b"\x7f"), "a time out of range"),
        (_object("Pod", b"\x0a\x0a\x8a\x01\x07\x3a\x05\x0a\x03{x}"), "holds no JSON"),
    ],
    ids=["group", "short", "cut", "number for message", "huge", "text", "bytes for bool", "time", "json"],
)
def test_what_cannot_be_read_is_refused_with_its_reason(body: bytes, words: str) -> None:
    with pytest.raises(ProtobufError, match=words):
        decode_object(body)

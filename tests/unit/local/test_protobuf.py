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
from podrunner.local.protobuf import ProtobufError, decode_object

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
    """Whatever a client sends, nothing but ProtobufError is raised."""
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

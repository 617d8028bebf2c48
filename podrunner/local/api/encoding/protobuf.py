"""Kubernetes' protobuf form of objects, read into JSON values.

Typed Go clients, so recent kubectls for ``create configmap`` or ``auth can-i``, send it. All of them take JSON for
an answer, so that it is never written here. The envelope is apimachinery's ``runtime.Unknown`` behind four magic bytes;
the numbers and types of fields are in ``data/protobuf.json.gz``.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["PROTOBUF", "ProtobufError", "decode_object"]

PROTOBUF: Final = "application/vnd.kubernetes.protobuf"
_MAGIC: Final = b"k8s\x00"
_META: Final = "k8s.io.apimachinery.pkg.apis.meta.v1"
_DELETE_OPTIONS: Final = f"{_META}.DeleteOptions"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MAX_VARINT_BITS: Final = 70
_MAX_DEPTH: Final = 50
"""No object of Kubernetes nests nearly as deep."""

Wire = tuple[int, int, int | bytes]
"""Field number, wire type, value."""


class ProtobufError(ValueError):
    """The bytes are no Kubernetes object in protobuf, or of a kind that is not known."""


@dataclass(frozen=True, slots=True)
class _Field:
    name: str  # empty: inlined
    kind: str
    flags: str

    @property
    def is_pointer(self) -> bool:
        return "p" in self.flags

    @property
    def is_repeated(self) -> bool:
        return "r" in self.flags


@dataclass(frozen=True, slots=True)
class _Schema:
    kinds: Mapping[str, str]
    messages: Mapping[str, Mapping[int, _Field]]


@cache
def _schema() -> _Schema:
    packed = resources.files("podrunner.local.api.data").joinpath("protobuf.json.gz").read_bytes()
    document = json.loads(gzip.decompress(packed))
    messages = {
        name: {int(number): _Field(*field) for number, field in fields.items()}
        for name, fields in document["messages"].items()
    }
    return _Schema(document["kinds"], messages)


def decode_object(body: bytes) -> dict[str, Any]:
    """Return the object in ``body`` as a JSON value, with ``apiVersion`` and ``kind``.

    Raises:
        ProtobufError: The bytes cannot be read, or hold a kind that LocalCluster does not serve.
    """
    if not body.startswith(_MAGIC):
        raise ProtobufError(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
        )
    api_version, kind, raw = _envelope(body[len(_MAGIC) :])
    message = _schema().kinds.get(f"{api_version} {kind}", _DELETE_OPTIONS if kind == "DeleteOptions" else "")
    if not message:
        raise ProtobufError(f'no kind "{kind}" is registered for version "{api_version}"')
    return {"apiVersion": api_version, "kind": kind, **_message(message, raw, 0)}


def _envelope(data: bytes) -> tuple[str, str, bytes]:
    unknown = {number: value for number, _, value in _wire(data)}
    meta = {number: value for number, _, value in _wire(_as_bytes(unknown.get(1, b"")))}
    return _text(meta.get(1, b"")), _text(meta.get(2, b"")), _as_bytes(unknown.get(2, b""))


def _wire(data: bytes) -> Iterator[Wire]:
    """Yield the fields of a message, not yet interpreted."""
    at = 0
    while at < len(data):
        tag, at = _varint(data, at)
        value, at = _wire_value(data, at, tag & 7)
        yield tag >> 3, tag & 7, value


def _wire_value(data: bytes, at: int, wire_type: int) -> tuple[int | bytes, int]:
    if wire_type == _VARINT:
        return _varint(data, at)
    if wire_type == _BYTES:
        size, at = _varint(data, at)
    elif wire_type in {_FIXED64, _FIXED32}:
        size = 8 if wire_type == _FIXED64 else 4
    else:
        raise ProtobufError(f"proto: illegal wireType {wire_type}")
    if at + size > len(data):
        raise ProtobufError("unexpected EOF")
    return data[at : at + size], at + size


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, _MAX_VARINT_BITS, 7):
        if at >= len(data):
            raise ProtobufError("unexpected EOF")
        byte, at = data[at], at + 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ProtobufError("proto: integer overflow")


def _message(name: str, data: bytes, depth: int) -> dict[str, Any]:
    """Return a message as a JSON object, as Go's encoder writes it: zeros that mean nothing are left out."""
    if depth > _MAX_DEPTH:
        raise ProtobufError("the message nests too deep")
    fields, found = _schema().messages[name], dict[str, Any]()
    for number, wire_type, value in _wire(data):
        field = fields.get(number)
        if field is not None:  # a field of a newer Kubernetes is skipped, as protobuf asks
            _put(found, field, wire_type, value, depth)
    return found


def _put(found: dict[str, Any], field: _Field, wire_type: int, value: int | bytes, depth: int) -> None:
    if field.kind.startswith("map "):
        found.setdefault(field.name, {}).update(_map_entry(field.kind, _as_bytes(value), depth))
    elif field.is_repeated:
        found.setdefault(field.name, []).extend(_repeated(field.kind, wire_type, value, depth))
    else:
        decoded = _value(field.kind, value, depth)
        if not field.name:
            found.update(decoded)
        elif decoded is not None and (field.is_pointer or not _is_zero(decoded)):
            found[field.name] = decoded


def _is_zero(value: Any) -> bool:
    return value in ("", 0, False) or value == {}


def _repeated(kind: str, wire_type: int, value: int | bytes, depth: int) -> list[Any]:
    if kind in _NUMBERS and kind != "double" and wire_type == _BYTES:
        return [_NUMBERS[kind](each) for each in _packed(_as_bytes(value))]
    return [_value(kind, value, depth)]


def _packed(data: bytes) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _map_entry(kind: str, data: bytes, depth: int) -> dict[str, Any]:
    _, key_kind, value_kind = kind.split(" ")
    entry = {number: value for number, _, value in _wire(data)}
    key = str(_value(key_kind, entry.get(1, b""), depth))
    empty: int | bytes = 0 if value_kind in _NUMBERS else b""
    return {key: _value(value_kind, entry.get(2, empty), depth)}


def _value(kind: str, value: int | bytes, depth: int) -> Any:
    if kind == "string":
        return _text(value)
    if kind == "bytes":
        return base64.b64encode(_as_bytes(value)).decode()
    if kind in _NUMBERS:
        return _NUMBERS[kind](value)
    special = _SPECIAL.get(kind)
    return special(_as_bytes(value)) if special else _message(kind, _as_bytes(value), depth + 1)


def _as_bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ProtobufError("proto: wrong wireType = 0")
    return value


def _as_int(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ProtobufError("proto: wrong wireType = 2")
    return value


def _text(value: int | bytes) -> str:
    try:
        return _as_bytes(value).decode()
    except UnicodeDecodeError as error:
        raise ProtobufError(f"a string that is no UTF-8: {error}") from None


def _signed(value: int | bytes) -> int:
    """Negative numbers come as 64 bits of two's complement."""
    number = _as_int(value) & (1 << 64) - 1
    return number - (1 << 64) if number >> 63 else number


def _double(value: int | bytes) -> float:
    packed = _as_bytes(value)
    if len(packed) != 8:
        raise ProtobufError("proto: a double of a wrong size")
    return float(struct.unpack("<d", packed)[0])


_NUMBERS: Final[Mapping[str, Callable[[int | bytes], Any]]] = {
    "int32": _signed,
    "int64": _signed,
    "uint32": _as_int,
    "uint64": _as_int,
    "bool": lambda value: bool(_as_int(value)),
    "double": _double,
}


def _numbers(data: bytes) -> dict[int, int]:
    return {number: _signed(value) for number, _, value in _wire(data)}


def _moment(data: bytes) -> datetime | None:
    """Return the time of seconds and nanoseconds; an empty message is Go's zero time, None here."""
    if not data:
        return None
    parts = _numbers(data)
    try:
        return _EPOCH + timedelta(seconds=parts.get(1, 0), microseconds=parts.get(2, 0) // 1000)
    except OverflowError:
        raise ProtobufError("a time out of range") from None


def _time(data: bytes) -> str | None:
    moment = _moment(data)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None


def _micro_time(data: bytes) -> str | None:
    moment = _moment(data)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else None


def _quantity(data: bytes) -> str:
    return _text(dict(_values(data)).get(1, b""))


def _values(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    return ((number, value) for number, _, value in _wire(data))


def _int_or_string(data: bytes) -> int | str:
    parts = dict(_values(data))
    return _text(parts.get(3, b"")) if parts.get(1) else _signed(parts.get(2, 0))


def _json(data: bytes) -> Any:
    try:
        return json.loads(_as_bytes(dict(_values(data)).get(1, b"null")))
    except ValueError as error:
        raise ProtobufError(f"a field that holds no JSON: {error}") from None


def _items(data: bytes) -> list[str]:
    return [_text(value) for number, _, value in _wire(data) if number == 1]


_SPECIAL: Final[Mapping[str, Callable[[bytes], Any]]] = {
    f"{_META}.Time": _time,
    f"{_META}.MicroTime": _micro_time,
    f"{_META}.FieldsV1": _json,
    "k8s.io.apimachinery.pkg.api.resource.Quantity": _quantity,
    "k8s.io.apimachinery.pkg.util.intstr.IntOrString": _int_or_string,
    "k8s.io.apimachinery.pkg.runtime.RawExtension": _json,
    "k8s.io.api.authentication.v1.ExtraValue": _items,
    "k8s.io.api.authorization.v1.ExtraValue": _items,
}

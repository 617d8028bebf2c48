"""Which fields a kind has and of what type, read from Kubernetes' own OpenAPI schemas.

A request body is read as Go's decoder reads it into a typed object: wrong types are refused, unknown fields are
dropped (with a warning, or refused), null means absent, quantities become canonical. What a value may *be* is
``validation``'s business.
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any

from podrunner.local.api.status import bad_request
from podrunner.quantity import canonical_quantity
from podrunner.schema.openapi import reference

__all__ = ["Schema"]

Json = dict[str, Any]
Read = Callable[[Any, str, "list[str]"], Any]
"""(value, its path, unknown fields found so far) → the value as it is stored. Raises :class:`_Mismatch`."""

_DELETE_OPTIONS = "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"
_BASE_TYPES = {"Time", "MicroTime", "Quantity", "IntOrString"}


class _Mismatch(Exception):  # noqa: N818  # never leaves this module
    """A value is not of its field's type.

    Attributes:
        field: Go's name of the field's place: struct and path; filled in on the way up.
    """

    def __init__(self, words: str, go_type: str = "") -> None:
        self.words = words
        self.go_type = go_type
        self.struct = ""
        self.path: list[str] = []
        super().__init__(words)

    def message(self) -> str:
        if not self.go_type:
            return self.words
        field = ".".join((self.struct, *self.path))
        return f"json: cannot unmarshal {self.words} into Go struct field {field} of type {self.go_type}"


class Schema:
    """The schemas of all kinds.

    Args:
        schemas: Name → OpenAPI schema.
    """

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas
        self._by_kind: dict[tuple[str, str], str] = {}
        for name, schema in schemas.items():
            kinds = schema.get("x-kubernetes-group-version-kind", ())
            if len(kinds) == 1:
                kind = kinds[0]
                version = f"{kind['group']}/{kind['version']}" if kind["group"] else kind["version"]
                self._by_kind[version, kind["kind"]] = name
        self._reader = cache(self._make_reader)

    def read(self, obj: Json, *, mode: str) -> tuple[Json, tuple[str, ...]]:
        """Return the object as it is stored, and warnings.

        Args:
            obj: A decoded body with ``apiVersion`` and ``kind``.
            mode: What to do about unknown fields: ``Strict``, ``Warn`` or ``Ignore``.

        Raises:
            StatusError: 400 for a wrong type, and for an unknown field in ``Strict`` mode.
        """
        name = self._by_kind.get((obj["apiVersion"], obj["kind"]))
        if name is None:
            return obj, ()
        unknown: list[str] = []
        try:
            read: Json = self._reader(name)(obj, "", unknown)
        except _Mismatch as error:
            raise _unreadable(obj, error.message()) from None
        read.setdefault("metadata", {})
        words = tuple(f'unknown field "{path}"' for path in unknown)
        if words and mode == "Strict":
            raise _unreadable(obj, f"strict decoding error: {', '.join(words)}")
        return read, words if mode == "Warn" else ()

    def read_delete_options(self, value: Any) -> Json:
        """Return ``DeleteOptions``, which belong to no one kind; 400 for a wrong type."""
        try:
            read: Json = self._reader(_DELETE_OPTIONS)(value, "", [])
        except _Mismatch as error:
            raise bad_request(error.message()) from None
        return read

    def _make_reader(self, name: str) -> Read:
        special = _SPECIAL.get(name.rsplit(".", 1)[-1])
        if special is not None:
            return special
        schema = self._schemas[name]
        if "properties" not in schema:
            return _read_anything
        return self._struct(name, schema)

    def _struct(self, name: str, schema: Json) -> Read:
        go_name = name.rsplit(".", 1)[-1]
        required = frozenset(schema.get("required", ()))
        fields: dict[str, tuple[Read, bool]] = {}
        properties: Json = schema["properties"]

        def read(value: Any, path: str, unknown: list[str]) -> Json:
            if not isinstance(value, dict):
                raise _Mismatch(_json_type(value), _go_type(name))
            result: Json = {}
            for key, each in value.items():
                if key not in fields:
                    if key not in properties:
                        unknown.append(f"{path}{key}")
                        continue
                    # Made at first use: schemas refer to each other in circles.
                    fields[key] = (self._field(properties[key]), key in required)
                if each is None:
                    continue
                reader, needed = fields[key]
                try:
                    given = reader(each, f"{path}{key}", unknown)
                except _Mismatch as error:
                    error.struct = error.struct or go_name
                    error.path.insert(0, key)
                    raise
                if needed or (given != [] and (given != {} or not _is_map(properties[key]))):
                    result[key] = given
            return result

        return lambda value, path, unknown: read(value, f"{path}." if path else "", unknown)

    def _field(self, schema: Json) -> Read:
        named = reference(schema)
        if named is not None:
            return self._reader(named)
        kind = schema.get("type")
        if kind == "array":
            return _array(self._field(schema["items"]), f"[]{self._go_name(schema['items'])}")
        if kind == "object" and "additionalProperties" in schema:
            return _map(
                self._field(schema["additionalProperties"]),
                f"map[string]{self._go_name(schema['additionalProperties'])}",
            )
        if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        return _SCALARS.get(kind or "", _read_anything)

    def _go_name(self, schema: Json) -> str:
        named = reference(schema)
        if named is not None:
            return _go_type(named)
        return {"string": "string", "boolean": "bool", "integer": str(schema.get("format", "int64"))}.get(
            schema.get("type", ""), "interface {}"
        )


def _is_map(schema: Json) -> bool:
    return "additionalProperties" in schema


def _go_type(name: str) -> str:
    package, short = name.rsplit(".", 2)[-2:]
    return f"{package}.{short}"


def _unreadable(obj: Json, words: str) -> Exception:
    kind, version = obj["kind"], obj["apiVersion"].split("/")[-1]
    return bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: {words}')


def _json_type(value: Any) -> str:
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array", dict: "object"}
    return names.get(type(value), "null")


def _array(item: Read, go_type: str) -> Read:
    def read(value: Any, path: str, unknown: list[str]) -> Any:
        if not isinstance(value, list):
            raise _Mismatch(_json_type(value), go_type)
        return [
            item(each, f"{path}[{index}]", unknown) for index, each in enumerate(value) if each is not None
        ]

    return read


def _map(item: Read, go_type: str) -> Read:
    def read(value: Any, path: str, unknown: list[str]) -> Any:
        if not isinstance(value, dict):
            raise _Mismatch(_json_type(value), go_type)
        return {
            key: item("" if each is None else each, f"{path}.{key}", unknown) for key, each in value.items()
        }

    return read


def _read_anything(value: Any, _path: str, _unknown: list[str]) -> Any:
    return value


def _read_string(value: Any, _path: str, _unknown: list[str]) -> Any:
    if not isinstance(value, str):
        raise _Mismatch(_json_type(value), "string")
    return value


def _read_boolean(value: Any, _path: str, _unknown: list[str]) -> Any:
    if not isinstance(value, bool):
        raise _Mismatch(_json_type(value), "bool")
    return value


def _read_number(value: Any, _path: str, _unknown: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Mismatch(_json_type(value), "float64")
    return value


def _integer(bits: int) -> Read:
    bound = 1 << (bits - 1)

    def read(value: Any, _path: str, _unknown: list[str]) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise _Mismatch(_json_type(value), f"int{bits}")
        if value != int(value) or not -bound <= value < bound:
            raise _Mismatch(f"number {value}", f"int{bits}")
        return int(value)

    return read


def _read_int_or_string(value: Any, path: str, unknown: list[str]) -> Any:
    return value if isinstance(value, str) else _integer(32)(value, path, unknown)


def _read_quantity(value: Any, _path: str, _unknown: list[str]) -> Any:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _Mismatch(_json_type(value), "resource.Quantity")
    try:
        return canonical_quantity(str(value))
    except ValueError as error:
        raise _Mismatch(str(error)) from None


def _read_time(value: Any, _path: str, _unknown: list[str]) -> Any:
    if not isinstance(value, str):
        raise _Mismatch(_json_type(value), "string")
    try:
        datetime.fromisoformat(value)
    except ValueError:
        layout = "2006-01-02T15:04:05Z07:00"
        raise _Mismatch(f'parsing time "{value}" as "{layout}": cannot parse "{value}" as "2006"') from None
    return value


def _read_bytes(value: Any, _path: str, _unknown: list[str]) -> Any:
    if not isinstance(value, str):
        raise _Mismatch(_json_type(value), "[]uint8")
    try:
        base64.b64decode(value.replace("\n", ""), validate=True)
    except ValueError:
        raise _Mismatch(f"illegal base64 data at input byte {_first_bad(value)}") from None
    return value


def _first_bad(value: str) -> int:
    good = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=\n\r")
    return next((index for index, letter in enumerate(value) if letter not in good), max(len(value) - 1, 0))


_SPECIAL: dict[str, Read] = {
    "Quantity": _read_quantity,
    "IntOrString": _read_int_or_string,
    "Time": _read_time,
    "MicroTime": _read_time,
}
_FORMATS: dict[str, Read] = {
    "int32": _integer(32),
    "int64": _integer(64),
    "byte": _read_bytes,
    "date-time": _read_time,
    "int-or-string": _read_int_or_string,
}
_SCALARS: dict[str, Read] = {
    "string": _read_string,
    "boolean": _read_boolean,
    "integer": _integer(64),
    "number": _read_number,
}

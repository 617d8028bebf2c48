"""OpenAPI version 2, as JSON and as the protobuf that kubectl up to 1.28 insists on.

The protobuf is gnostic's ``openapi.v2.Document`` (github.com/google/gnostic-models, OpenAPIv2.proto): only the
fields that Kubernetes' documents use are written, by the few rules of the wire format that these need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["PROTOBUF", "to_protobuf", "version2"]

Json = dict[str, Any]

PROTOBUF = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""The media type of the answer; clients ask for it with ``@`` before ``v1.0``, which no media type may hold."""

_REF3, _REF2 = "#/components/schemas/", "#/definitions/"


def version2(schemas: Json, paths: Json, info: Json) -> Json:
    """Return the document of version 2, from schemas and paths of version 3."""
    return {
        "swagger": "2.0",
        "info": info,
        "paths": {
            path: {verb: _operation2(each) for verb, each in item.items()} for path, item in paths.items()
        },
        "definitions": {name: _schema2(schema) for name, schema in schemas.items()},
    }


def _operation2(operation: Json) -> Json:
    parameters = [{**each, **each["schema"]} for each in operation["parameters"]]
    for each in parameters:
        del each["schema"]
    return {**operation, "parameters": parameters}


def _schema2(schema: Json) -> Json:
    """Translate a schema: version 2 knows no description beside a reference, and a choice of types is a string."""
    if "oneOf" in schema:
        return {**{key: schema[key] for key in schema if key != "oneOf"}, "type": "string"}
    made = {key: value for key, value in schema.items() if key not in {"allOf", "default"}}
    if "allOf" in schema:
        made["$ref"] = schema["allOf"][0]["$ref"]
    if "$ref" in made:
        made["$ref"] = made["$ref"].replace(_REF3, _REF2)
    if "properties" in made:
        made["properties"] = {name: _schema2(each) for name, each in made["properties"].items()}
    for nested in ("items", "additionalProperties"):
        if isinstance(made.get(nested), dict):
            made[nested] = _schema2(made[nested])
    return made


def to_protobuf(document: Json) -> bytes:
    """Return a version 2 document as ``openapi.v2.Document``."""
    info = _text(1, document["info"]["title"]) + _text(2, document["info"]["version"])
    paths = b"".join(_part(2, _named(path, _path(item))) for path, item in document["paths"].items())
    definitions = b"".join(
        _part(1, _named(name, _schema(each))) for name, each in document["definitions"].items()
    )
    return _text(1, document["swagger"]) + _part(2, info) + _part(8, paths) + _part(9, definitions)


_VERBS = {"get": 2, "put": 3, "post": 4, "delete": 5, "patch": 8}


def _path(item: Json) -> bytes:
    return b"".join(_part(_VERBS[verb], _operation(each)) for verb, each in item.items())


def _operation(operation: Json) -> bytes:
    parameters = b"".join(_part(8, _parameter(each)) for each in operation["parameters"])
    response = _named("200", _part(1, _text(1, "OK")))  # ResponseValue.response.description
    return (
        _text(3, operation["description"])
        + _text(5, operation["operationId"])
        + parameters
        + _part(9, _part(1, response))
        + _extensions(13, operation)
    )


def _parameter(parameter: Json) -> bytes:
    """ParametersItem → Parameter → NonBodyParameter → QueryParameterSubSchema."""
    query = _text(2, parameter["in"]) + _text(4, parameter["name"]) + _text(6, parameter["type"])
    return _part(1, _part(2, _part(3, query + _flag(20, on=parameter.get("uniqueItems", False)))))


def _schema(schema: Json) -> bytes:
    parts = [
        _text(1, schema.get("$ref", "")),
        _text(2, schema.get("format", "")),
        _text(4, schema.get("description", "")),
        *(_text(19, name) for name in schema.get("required", ())),
    ]
    if isinstance(schema.get("additionalProperties"), dict):
        parts.append(_part(21, _part(1, _schema(schema["additionalProperties"]))))
    if "type" in schema:
        parts.append(_part(22, _text(1, schema["type"])))
    if "items" in schema:
        parts.append(_part(23, _part(1, _schema(schema["items"]))))
    if "properties" in schema:
        properties = (_part(1, _named(name, _schema(each))) for name, each in schema["properties"].items())
        parts.append(_part(25, b"".join(properties)))
    return b"".join((*parts, _extensions(31, schema)))


def _extensions(field: int, value: Json) -> bytes:
    return b"".join(_part(field, _extension(name, value[name])) for name in _extension_names(value))


def _extension_names(value: Json) -> Iterable[str]:
    return (name for name in value if name.startswith("x-"))


def _extension(name: str, value: Any) -> bytes:
    """NamedAny; its value is YAML, of which JSON is a part."""
    return _text(1, name) + _part(2, _text(2, msgspec.json.encode(value).decode()))


def _named(name: str, value: bytes) -> bytes:
    return _text(1, name) + _part(2, value)


def _text(field: int, value: str) -> bytes:
    return _part(field, value.encode()) if value else b""


def _flag(field: int, *, on: bool) -> bytes:
    return _varint(field << 3) + b"\x01" if on else b""


def _part(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)

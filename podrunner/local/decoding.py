"""Request bodies: bytes in, a JSON object of the right kind out, or 400 and 415 with Kubernetes' words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from podrunner.local.protobuf import PROTOBUF, ProtobufError, decode_object
from podrunner.local.status import bad_request, unsupported_media_type

if TYPE_CHECKING:
    from podrunner.local.paths import Target

__all__ = ["decode_body", "expected_kind", "media_type", "of_kind"]

_JSON, _YAML = "application/json", "application/yaml"


def media_type(header: str) -> str:
    """The media type of a ``Content-Type`` header, without parameters; JSON if there is none."""
    return header.split(";", maxsplit=1)[0].strip().lower() or _JSON


def decode_body(body: bytes, content_type: str) -> Any:
    """The JSON value that a JSON, YAML or protobuf body holds; 415 for other types, 400 for malformed ones."""
    media = media_type(content_type)
    if media in {_YAML, "application/x-yaml", "text/yaml"}:
        return _decode_yaml(body)
    if media == PROTOBUF:
        return _decode_protobuf(body)
    if media not in {_JSON, "application/octet-stream", "text/plain"}:
        raise unsupported_media_type([_JSON, _YAML, PROTOBUF])
    return _decode_json(body)


def _decode_protobuf(body: bytes) -> Any:
    try:
        return decode_object(body)
    except ProtobufError as error:
        raise bad_request(str(error)) from None


def _decode_json(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        words = "couldn't get version/kind; json parse error"
        raise bad_request(
            f"the object provided is unrecognized (must be of type JSON): {words}: {error}"
        ) from None


def _decode_yaml(body: bytes) -> Any:
    try:
        return yaml.safe_load(body)
    except yaml.YAMLError as error:
        raise bad_request(f"error converting YAML to JSON: {error}") from None


def expected_kind(target: Target) -> tuple[str, str]:
    """API version and kind of the object that a write to the target carries."""
    kind, part = target.type, target.part
    if part is None or part.kind == kind.kind:
        return kind.api_version, kind.kind
    version = f"{part.group}/{part.version}" if part.group else kind.api_version
    return version, part.kind


def of_kind(value: Any, target: Target) -> dict[str, Any]:
    """The object, checked to be of the target's kind; kind and apiVersion are filled in where absent."""
    api_version, kind = expected_kind(target)
    if not isinstance(value, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): it is no JSON object"
        )
    given = (value.get("apiVersion") or api_version, value.get("kind") or kind)
    if given != (api_version, kind):
        wrong = f"{given[1]} in version {_quoted(str(given[0]).split('/')[-1])} cannot be handled as a {kind}"
        raise bad_request(
            f"{wrong}: the API version in the data ({given[0]}) does not match the expected API version ({api_version})"
            if given[1] == kind
            else wrong
        )
    meta = value.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        version = _quoted(api_version.split("/")[-1])
        raise bad_request(f"{kind} in version {version} cannot be handled as a {kind}: metadata is no object")
    return {**value, "apiVersion": api_version, "kind": kind, "metadata": dict(meta or {})}


def _quoted(text: str) -> str:
    return f'"{text}"'

"""Request bodies: bytes in, a JSON object of the right kind out, or 400 and 415 with Kubernetes' words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from podrunner.local.api.encoding.protobuf import PROTOBUF, ProtobufError, decode_object
from podrunner.local.api.status import StatusError, bad_request, unsupported_media_type

if TYPE_CHECKING:
    from podrunner.local.api.paths import Target

__all__ = ["decode_body", "expected_kind", "media_type", "of_kind"]

_JSON, _YAML = "application/json", "application/yaml"


def media_type(header: str) -> str:
    """Return the media type of a ``Content-Type`` header, without parameters; JSON if there is none."""
    return header.split(";", maxsplit=1)[0].strip().lower() or _JSON


def decode_body(body: bytes, content_type: str, *, kind: str) -> Any:
    """Return the JSON value of a JSON, YAML or protobuf body that should hold a ``kind``; 400 and 415 if it can not."""
    media = media_type(content_type)
    if media in {_YAML, "application/x-yaml", "text/yaml"}:
        return _decode_yaml(body, kind)
    if media == PROTOBUF:
        return _decode_protobuf(body)
    if media not in {_JSON, "application/octet-stream", "text/plain"}:
        raise unsupported_media_type([_JSON, _YAML, PROTOBUF])
    return _decode_json(body, kind)


def _decode_protobuf(body: bytes) -> Any:
    try:
        return decode_object(body)
    except ProtobufError as error:
        raise bad_request(str(error)) from None


def _decode_json(body: bytes, kind: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except msgspec.DecodeError as error:
        words = f"couldn't get version/kind; json parse error: {error}"
        raise _unrecognized(kind, words) from None


def _decode_yaml(body: bytes, kind: str) -> Any:
    try:
        return yaml.load(body, Loader=_JsonLoader)  # noqa: S506  # a safe loader, with fewer types
    except yaml.YAMLError as error:
        raise _unrecognized(kind, f"yaml: {error}") from None


def _unrecognized(kind: str, words: str) -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {words}")


class _JsonLoader(yaml.SafeLoader):
    """YAML as JSON knows it: a time is a text."""


_JsonLoader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def expected_kind(target: Target) -> tuple[str, str]:
    """API version and kind of the object that a write to the target carries."""
    kind, subresource = target.type, target.subresource
    if subresource is None or subresource.kind == kind.kind:
        return kind.api_version, kind.kind
    version = f"{subresource.group}/{subresource.version}" if subresource.group else kind.api_version
    return version, subresource.kind


def of_kind(value: Any, target: Target) -> dict[str, Any]:
    """Check that the object is of the target's kind, and return it; kind and apiVersion are filled in where absent."""
    api_version, kind = expected_kind(target)
    if not isinstance(value, dict):
        raise bad_request(
            f"the object provided is unrecognized (must be of type {kind}): it is no JSON object"
        )
    given = (value.get("apiVersion") or api_version, value.get("kind") or kind)
    if given != (api_version, kind):
        raise _wrong_kind(given, kind)
    meta = value.get("metadata")
    if meta is not None and not isinstance(meta, dict):
        version = _quoted(api_version.split("/")[-1])
        raise bad_request(f"{kind} in version {version} cannot be handled as a {kind}: metadata is no object")
    return {**value, "apiVersion": api_version, "kind": kind, "metadata": dict(meta or {})}


def _wrong_kind(given: tuple[str, str], kind: str) -> StatusError:
    version = str(given[0]).rpartition("/")[2]
    why = f"converting ({version}.{given[1]}) to (core.{kind}): unknown conversion"
    if given[1] == kind:
        why = f"no kind {_quoted(kind)} is registered for version {_quoted(given[0])}"
    return bad_request(f"{given[1]} in version {_quoted(version)} cannot be handled as a {kind}: {why}")


def _quoted(text: str) -> str:
    return f'"{text}"'

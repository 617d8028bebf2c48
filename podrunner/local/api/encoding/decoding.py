"""Request bodies: bytes in, a JSON object of the right kind out, or 400 and 415 with Kubernetes' words."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from podrunner.local.api.encoding.protobuf import PROTOBUF, ProtobufError, decode_object
from podrunner.local.api.status import StatusError, bad_request, unsupported_media_type

if TYPE_CHECKING:
    from collections.abc import Iterable

    from podrunner.local.api.paths import Target

__all__ = ["check_size", "decode_body", "expected_kind", "media_type", "of_kind"]

_JSON, _YAML = "application/json", "application/yaml"

_MAX_DEPTH = 100
"""Levels of nesting; Kubernetes' own objects have fewer than 30."""

_MAX_EVENTS = 100_000
"""Parts of a YAML document; reading one takes about 20 µs. No object of Kubernetes' comes near it."""

_MAX_VALUES = 2_000_000
"""Values in a body: more than fit in its bytes, so that only aliases come to as many."""


def media_type(header: str) -> str:
    """Return the media type of a ``Content-Type`` header, without parameters; JSON if there is none."""
    return header.split(";", maxsplit=1)[0].strip().lower() if header.strip() else _JSON


def decode_body(body: bytes, content_type: str, *, kind: str) -> Any:
    """Return the JSON value of a JSON, YAML or protobuf body that should hold a ``kind``; 400 and 415 if it can not."""
    media = media_type(content_type)
    if media in {_YAML, "application/x-yaml", "text/yaml"}:
        value = _decode_yaml(body, kind)
    elif media == PROTOBUF:
        value = _decode_protobuf(body)
    elif media in {_JSON, "application/octet-stream", "text/plain"}:
        value = _decode_json(body, kind)
    else:
        raise unsupported_media_type([_JSON, _YAML, PROTOBUF])
    check_size(value, kind)
    return value


def check_size(value: Any, kind: str) -> None:
    """Refuse (400) a value that is nested too deeply, or that aliases of YAML blow up."""
    level, seen = _containers([value]), 0
    for _ in range(_MAX_DEPTH):
        seen += sum(map(len, level))
        if seen > _MAX_VALUES:
            raise _unrecognized(kind, "yaml: document contains excessive aliasing")
        level = [child for each in level for child in _containers(_children(each))]
        if not level:
            return
    raise _unrecognized(kind, "json parse error: exceeded max depth")


def _children(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


def _containers(values: Iterable[Any]) -> list[Any]:
    return [value for value in values if isinstance(value, dict | list)]


def _decode_protobuf(body: bytes) -> Any:
    try:
        return decode_object(body)
    except ProtobufError as error:
        raise bad_request(str(error)) from None


def _decode_json(body: bytes, kind: str) -> Any:
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        words = f"couldn't get version/kind; json parse error: {error}"
        raise _unrecognized(kind, words) from None
    except RecursionError:
        raise _unrecognized(kind, "json parse error: exceeded max depth") from None


def _decode_yaml(body: bytes, kind: str) -> Any:
    try:
        _check_parts(body)
        return yaml.load(body, Loader=_JsonLoader)  # noqa: S506  # a safe loader, with fewer types
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # a number or text that Python cannot hold
        raise _unrecognized(kind, f"yaml: {error}") from None
    except RecursionError:
        raise _unrecognized(kind, "yaml: exceeded max depth") from None


def _unrecognized(kind: str, words: str) -> StatusError:
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {words}")


# PyYAML's own scanner takes minutes for a deep text. libyaml's is fast.
_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _JsonLoader(_FastLoader):  # type: ignore[misc]
    """YAML as JSON knows it: a time is a text, a key always is one, and no other types are there."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - PyYAML's
        """Return a mapping with its keys as texts, as ``sigs.k8s.io/yaml`` converts them."""
        return {_key(key): value for key, value in super().construct_mapping(node, deep=deep).items()}

    def construct_yaml_float(self, node: Any) -> float:
        """Return a number that JSON has."""
        value: float = super().construct_yaml_float(node)
        if not math.isfinite(value):
            raise yaml.constructor.ConstructorError(
                None, None, f"{value} is no number of JSON", node.start_mark
            )
        return value


def _check_parts(body: bytes) -> None:
    """Refuse a YAML document that is too deep, or has so many parts that reading them would hold the server up.

    Of a deep document PyYAML makes nodes by recursion in C, which ends the process where libyaml has no limit (until
    PyYAML 6.0.3). Its events come without recursion.
    """
    if len(body) <= _MAX_DEPTH:  # each part takes a byte at least
        return
    depth = 0
    for number, event in enumerate(yaml.parse(body, Loader=_FastLoader)):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:
            raise yaml.YAMLError("exceeded max depth")
        if number >= _MAX_EVENTS:
            raise yaml.YAMLError(f"the document has more than {_MAX_EVENTS} parts; send it as JSON")


def _key(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_JsonLoader.yaml_constructors = {
    tag: make
    for tag, make in yaml.SafeLoader.yaml_constructors.items()
    if tag in {None, *(f"tag:yaml.org,2002:{name}" for name in ("null", "bool", "int", "str", "seq", "map"))}
}
_JsonLoader.add_constructor("tag:yaml.org,2002:float", _JsonLoader.construct_yaml_float)
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

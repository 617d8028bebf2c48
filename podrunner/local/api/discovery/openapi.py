"""The published OpenAPI documents: ``/openapi/v3`` as kubectl reads it, ``/openapi/v2`` for older clients.

Schemas are Kubernetes' own (``podrunner.schema``); paths are made from the table of resources, with what clients look
for in them: which kind a path serves, and which query parameters it knows.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from typing import TYPE_CHECKING, Any

from podrunner.local.api.discovery.openapi_v2 import PROTOBUF, to_protobuf, version2
from podrunner.local.api.encoding.rendering import Answer, encode_json
from podrunner.local.api.resources import ALL, ResourceType, group_versions
from podrunner.local.api.status import not_acceptable
from podrunner.schema.openapi import VERSION, prune

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OpenApi"]

Json = dict[str, Any]

_INFO = {"title": "Kubernetes", "version": f"v{VERSION}"}
_PARAMETERS = ("pretty", "dryRun", "fieldManager", "fieldValidation")


class OpenApi:
    """The documents, each made when it is first asked for.

    Args:
        schemas: Name → schema.
    """

    def __init__(self, schemas: Json) -> None:
        self._schemas = schemas
        self._made: dict[str, bytes] = {}

    def answer(self, path: str, *, accept: str, query: Mapping[str, str]) -> Answer | None:
        """Return the document of a path, or None if the path is none of OpenAPI's.

        Raises:
            StatusError: 406 if version 2 is asked for in a form that is not served.
        """
        if path == "/openapi/v3":
            return Answer(encode_json(self._index))
        if path.startswith("/openapi/v3/"):
            return self._document(path.removeprefix("/openapi/v3/"), query)
        if path == "/openapi/v2":
            return self._answer2(accept)
        return None

    @cached_property
    def _index(self) -> Json:
        paths = [
            "api/v1",
            *(f"apis/{group}/{each}" for group, versions in group_versions().items() for each in versions),
        ]
        return {
            "paths": {
                path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={self._hash(path)}"} for path in paths
            }
        }

    def _hash(self, path: str) -> str:
        return hashlib.sha256(self._make(path, lambda: self._version3(path))).hexdigest()[:32].upper()

    def _document(self, path: str, query: Mapping[str, str]) -> Answer | None:
        if path not in self._index["paths"]:
            return None
        headers = {"Etag": f'"{self._hash(path)}"'}
        if query.get("hash"):
            headers["Expires"] = "Thu, 31 Dec 2099 23:59:59 GMT"
        return Answer(self._make(path, lambda: self._version3(path)), headers=headers)

    def _make(self, name: str, make: Any) -> bytes:
        if name not in self._made:
            self._made[name] = encode_json(make())
        return self._made[name]

    def _version3(self, path: str) -> Json:
        kinds = [each for each in ALL if _root(each) == f"/{path}"]
        return {
            "openapi": "3.0.0",
            "info": _INFO,
            "paths": {key: value for kind in kinds for key, value in _paths(kind).items()},
            "components": {"schemas": self._reachable(kinds)},
        }

    def _reachable(self, kinds: list[ResourceType]) -> Json:
        wanted = {(each.group, each.version, each.kind) for each in kinds}
        return prune(self._schemas, wanted)

    def _answer2(self, accept: str) -> Answer:
        if not accept or "json" in accept or "*/*" in accept:
            return Answer(self._make("v2", self._version2))
        if "protobuf" not in accept:
            raise not_acceptable(["application/json", PROTOBUF])
        self._made.setdefault("v2.pb", to_protobuf(self._version2()))
        return Answer(self._made["v2.pb"], content_type=PROTOBUF)

    def _version2(self) -> Json:
        paths = {key: value for kind in ALL for key, value in _paths(kind).items()}
        return version2(self._schemas, paths, _INFO)


def _root(kind: ResourceType) -> str:
    return f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"


def _paths(kind: ResourceType) -> Json:
    scope = "/namespaces/{namespace}" if kind.namespaced else ""
    collection = f"{_root(kind)}{scope}/{kind.plural}"
    found: Json = {collection: {"post": _operation(kind, "create")}} if "create" in kind.verbs else {}
    if kind.stored:
        verbs = {"get": "read", "put": "replace", "patch": "patch", "delete": "delete"}
        found[f"{collection}/{{name}}"] = {verb: _operation(kind, word) for verb, word in verbs.items()}
    return found


def _operation(kind: ResourceType, word: str) -> Json:
    version = kind.version.capitalize()
    group = (kind.group.split(".")[0] or "core").capitalize()
    scope = "Namespaced" if kind.namespaced else ""
    parameters = [
        {"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": True}}
        for name in _PARAMETERS
    ]
    return {
        "description": f"{word} a {kind.kind}",
        "operationId": f"{word}{group}{version}{scope}{kind.kind}",
        "parameters": parameters if word != "read" else parameters[:1],
        "responses": {"200": {"description": "OK"}},
        "x-kubernetes-group-version-kind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
    }

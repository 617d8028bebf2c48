"""Discovery: which groups, versions and resources there are, in the old form and aggregated, and the version."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.local.api.encoding.rendering import Answer, encode_json
from podrunner.local.api.resources import ALL, ResourceType, Subresource, group_versions

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["VERSION", "answer", "knows_version"]

Json = dict[str, Any]

KUBERNETES = "1.34.4"
"""The release whose API is served; its OpenAPI documents are in ``data``."""

VERSION: Json = {
    "major": "1",
    "minor": "34",
    "emulationMajor": "1",
    "emulationMinor": "34",
    "minCompatibilityMajor": "1",
    "minCompatibilityMinor": "33",
    "gitVersion": f"v{KUBERNETES}+podrunner",
    "gitCommit": "",
    "gitTreeState": "clean",
    "buildDate": "2026-01-01T00:00:00Z",
    "goVersion": "none",
    "compiler": "python",
    "platform": "linux/amd64",
}

_AGGREGATED = "apidiscovery.k8s.io"


def answer(path: str, accept: str) -> Answer | None:
    """Return the discovery document of a path, or None if the path is none of discovery's."""
    path = path.rstrip("/")
    version = _aggregated_version(accept)
    if version and path in {"/api", "/apis"}:
        return Answer(
            encode_json(_aggregated(path, version)),
            content_type=f"application/json;g={_AGGREGATED};v={version};as=APIGroupDiscoveryList",
        )
    document = _document(path)
    return None if document is None else Answer(encode_json(document))


def knows_version(path: str) -> bool:
    """Return whether the path lies in a group and version that is served."""
    parts = path.strip("/").split("/")
    if parts[:2] == ["api", "v1"]:
        return True
    return parts[0] == "apis" and len(parts) > 2 and parts[2] in group_versions().get(parts[1], ())


def _aggregated_version(accept: str) -> str:
    """Return the aggregated form's version that is asked for, "" for the old form."""
    for clause in accept.split(","):
        parameters = {part.strip() for part in clause.split(";")[1:]}
        if {f"g={_AGGREGATED}", "as=APIGroupDiscoveryList"} <= parameters:
            return next((each for each in ("v2", "v2beta1") if f"v={each}" in parameters), "")
    return ""


def _document(path: str) -> Json | None:
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [_group(name) for name in group_versions()],
        }
    if path == "/api/v1":
        return _resource_list("", "v1")
    parts = path.removeprefix("/apis/").split("/")
    if not path.startswith("/apis/") or parts[0] not in group_versions():
        return None
    if len(parts) == 1:
        return {"kind": "APIGroup", "apiVersion": "v1", **_group(parts[0])}
    known = len(parts) == 2 and parts[1] in group_versions()[parts[0]]
    return _resource_list(parts[0], parts[1]) if known else None


def _group(name: str) -> Json:
    versions = [{"groupVersion": f"{name}/{each}", "version": each} for each in group_versions()[name]]
    return {"name": name, "versions": versions, "preferredVersion": versions[0]}


def _types(group: str, version: str) -> Iterable[ResourceType]:
    return (each for each in ALL if (each.group, each.version) == (group, version))


def _resource_list(group: str, version: str) -> Json:
    resources = [entry for each in _types(group, version) for entry in _entries(each)]
    name = f"{group}/{version}" if group else version
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": name, "resources": resources}


def _entries(kind: ResourceType) -> Iterable[Json]:
    entry: Json = {
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    yield entry
    for subresource in kind.subresources:
        yield _subresource_entry(kind, subresource)


def _subresource_entry(kind: ResourceType, subresource: Subresource) -> Json:
    entry: Json = {
        "name": f"{kind.plural}/{subresource.name}",
        "singularName": "",
        "namespaced": kind.namespaced,
        "kind": subresource.kind,
        "verbs": list(subresource.verbs),
    }
    return (
        {**entry, "group": subresource.group, "version": subresource.version} if subresource.group else entry
    )


def _aggregated(path: str, version: str) -> Json:
    groups = [("", ["v1"])] if path == "/api" else list(group_versions().items())
    items = [_aggregated_group(name, versions) for name, versions in groups]
    return {
        "kind": "APIGroupDiscoveryList",
        "apiVersion": f"{_AGGREGATED}/{version}",
        "metadata": {},
        "items": items,
    }


def _aggregated_group(name: str, versions: list[str]) -> Json:
    meta = {"name": name, "creationTimestamp": None} if name else {"creationTimestamp": None}
    served = [
        {
            "version": each,
            "freshness": "Current",
            "resources": [_aggregated_type(kind) for kind in _types(name, each)],
        }
        for each in versions
    ]
    return {"metadata": meta, "versions": served}


def _aggregated_type(kind: ResourceType) -> Json:
    found: Json = {
        "resource": kind.plural,
        "responseKind": {"group": kind.group, "version": kind.version, "kind": kind.kind},
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.short_names:
        found["shortNames"] = list(kind.short_names)
    if kind.categories:
        found["categories"] = list(kind.categories)
    if kind.subresources:
        found["subresources"] = [
            _aggregated_subresource(kind, subresource) for subresource in kind.subresources
        ]
    return found


def _aggregated_subresource(kind: ResourceType, subresource: Subresource) -> Json:
    group, version = (
        (subresource.group, subresource.version) if subresource.group else (kind.group, kind.version)
    )
    answer_kind = {"group": group, "version": version, "kind": subresource.kind}
    return {"subresource": subresource.name, "responseKind": answer_kind, "verbs": list(subresource.verbs)}

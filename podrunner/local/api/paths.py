"""Parses request paths: the resource, object or subresource that a path names. Nothing is looked up in the store."""

from __future__ import annotations

from dataclasses import dataclass

from podrunner.local.api.resources import BY_PATH, ResourceType, Subresource

__all__ = ["Target", "parse_path"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a path under ``/api`` or ``/apis`` names.

    Attributes:
        type: Kind of object.
        namespace: Namespace, "" for all of them or for cluster-scoped kinds.
        name: Name of one object, "" for the collection.
        subresource: Subresource, None for the object itself.
        watch: Whether the path is of the old ``/watch/`` form.
    """

    type: ResourceType
    namespace: str = ""
    name: str = ""
    subresource: Subresource | None = None
    watch: bool = False


def parse_path(path: str) -> Target | None:
    """Return the target of a path, or None if no such resource is served."""
    parts = path.strip("/").split("/")
    if parts[0] == "api" and len(parts) > 2:
        return _parse_rest("", parts[1], parts[2:])
    if parts[0] == "apis" and len(parts) > 3:
        return _parse_rest(parts[1], parts[2], parts[3:])
    return None


def _parse_rest(group: str, version: str, rest: list[str]) -> Target | None:
    watch = rest[0] == "watch" and len(rest) > 1
    if watch:
        rest = rest[1:]
    if rest[0] == "namespaces" and len(rest) > 2 and (group, version, rest[2]) in BY_PATH:
        return _target(BY_PATH[group, version, rest[2]], rest[1], rest[3:], watch=watch)
    found = BY_PATH.get((group, version, rest[0]))
    return _target(found, "", rest[1:], watch=watch) if found else None


def _target(found: ResourceType, namespace: str, rest: list[str], *, watch: bool) -> Target | None:
    if bool(namespace) > found.namespaced or len(rest) > 2 or (found.namespaced and rest and not namespace):
        return None
    name = rest[0] if rest else ""
    if len(rest) < 2:
        return Target(found, namespace, name, watch=watch)
    subresource = found.subresource(rest[1])
    return Target(found, namespace, name, subresource) if subresource else None

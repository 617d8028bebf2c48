"""Kubernetes' OpenAPI schemas: reading them, finding one, and leaving some out."""

from __future__ import annotations

import gzip
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["VERSION", "Schemas", "load_schemas", "prune", "reference"]

VERSION = "1.34.4"
"""The version of Kubernetes that the schemas are of."""

Schemas = dict[str, Any]
"""Name → OpenAPI schema."""

_REF = "#/components/schemas/"
_ALSO = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
)


def load_schemas() -> Schemas:
    """Return the schemas of pods and of all other kinds that LocalCluster serves, by name."""
    packed = files("podrunner.schema.data").joinpath("openapi.json.gz").read_bytes()
    schemas: Schemas = msgspec.json.decode(gzip.decompress(packed))
    return schemas


def reference(schema: Schemas) -> str | None:
    """Return the name of the schema that a field's schema refers to; None if it says itself what the field is."""
    if "allOf" in schema:
        schema = schema["allOf"][0]
    name: str | None = schema.get("$ref")
    return name.removeprefix(_REF) if name else None


def prune(schemas: Schemas, kinds: Iterable[tuple[str, str, str]]) -> Schemas:
    """Return the schemas of some kinds and their lists, and what they refer to.

    Args:
        schemas: Name → schema.
        kinds: (group, version, kind) of each kind that is served.
    """
    wanted = {*kinds}
    wanted |= {(group, version, f"{kind}List") for group, version, kind in wanted}
    todo = [name for name, schema in schemas.items() if wanted & set(_kinds(schema)) and not _shared(schema)]
    todo += [name for name in _ALSO if name in schemas]
    kept: Schemas = {}
    while todo:
        name = todo.pop()
        if name not in kept:
            kept[name] = schemas[name]
            todo.extend(_references(schemas[name]))
    return dict(sorted(kept.items()))


def _kinds(schema: Any) -> Iterator[tuple[str, str, str]]:
    for each in schema.get("x-kubernetes-group-version-kind", ()):
        yield each["group"], each["version"], each["kind"]


def _shared(schema: Any) -> bool:
    """Return whether a schema belongs to every group, as ``DeleteOptions`` does."""
    return len(schema.get("x-kubernetes-group-version-kind", ())) > 1


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        reference = value.get("$ref")
        if isinstance(reference, str):
            yield reference.removeprefix(_REF)
        for each in value.values():
            yield from _references(each)
    elif isinstance(value, list):
        for each in value:
            yield from _references(each)

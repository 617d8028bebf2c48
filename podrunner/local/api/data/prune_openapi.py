"""Make ``openapi.json.gz`` from the OpenAPI documents that Kubernetes publishes.

Kept are the schemas of the kinds that LocalCluster serves and all that these refer to, with their descriptions, which
``kubectl explain`` shows. Paths are not kept: they are made from the table of resources. Run it as README.md says.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["main", "prune"]

Schemas = dict[str, Any]

_REF = "#/components/schemas/"
_ALSO = (
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
    "io.k8s.apimachinery.pkg.apis.meta.v1.Status",
    "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent",
)


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


def main(folder: Path, target: Path) -> None:
    """Read ``*_openapi.json`` below ``folder``, write ``target``."""
    from podrunner.local.api.resources import ALL

    schemas: Schemas = {}
    for path in sorted(folder.glob("*_openapi.json")):
        schemas.update(json.loads(path.read_text()).get("components", {}).get("schemas", {}))
    kinds = {(each.group, each.version, each.kind) for each in ALL} | {
        (subresource.group or each.group, subresource.version or each.version, subresource.kind)
        for each in ALL
        for subresource in each.subresources
    }
    text = json.dumps(prune(schemas, kinds), separators=(",", ":"), sort_keys=True)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

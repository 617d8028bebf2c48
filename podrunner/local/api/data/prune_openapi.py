"""Make ``openapi.json.gz`` from the OpenAPI documents that Kubernetes publishes.

Kept are the schemas of the kinds that LocalCluster serves and all that these refer to, with their descriptions, which
``kubectl explain`` shows. Paths are not kept: they are made from the table of resources. Run it as
``podrunner/schema/data/README.md`` says.
"""

from __future__ import annotations

import gzip
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.schema.openapi import prune

if TYPE_CHECKING:
    from podrunner.schema.openapi import Schemas

__all__ = ["main"]


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

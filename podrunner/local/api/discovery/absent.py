"""Lists of kinds that no LocalCluster has: empty, where kubectl asks for them without looking at discovery.

Discovery does not name these kinds, and none can be made: ``kubectl get deployments`` says that the server has
no such type.
"""

from __future__ import annotations

import re

from podrunner.local.api.encoding.rendering import Answer, encode_json

__all__ = ["KINDS", "answer"]

KINDS: dict[tuple[str, str], str] = {
    ("/api/v1", "replicationcontrollers"): "ReplicationControllerList",
    ("/apis/apps/v1", "daemonsets"): "DaemonSetList",
    ("/apis/apps/v1", "deployments"): "DeploymentList",
    ("/apis/apps/v1", "replicasets"): "ReplicaSetList",
    ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions"): "CustomResourceDefinitionList",
}
"""(path of group and version, plural) → kind of the list. ``cluster-info dump`` reads the first four (kubectl's
``clusterinfo_dump.go``), ``create`` of a review the last (cli-runtime's ``query_param_verifier.go``)."""

_COLLECTION = re.compile(r"(/api/v1|/apis/[^/]+/[^/]+)(?:/namespaces/[^/]+)?/([^/]+)")


def answer(path: str, *, version: str) -> Answer | None:
    """Return the empty list of a path; None if the path is none of these kinds.

    Args:
        path: The path.
        version: The store's present resourceVersion.
    """
    match = _COLLECTION.fullmatch(path)
    kind = KINDS.get((match[1], match[2])) if match else None
    if match is None or kind is None:
        return None
    api_version = match[1].removeprefix("/apis/").removeprefix("/api/")
    metadata = {"resourceVersion": version}
    return Answer(encode_json({"kind": kind, "apiVersion": api_version, "metadata": metadata, "items": []}))

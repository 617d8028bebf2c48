"""What the stub server says about itself: other clients ask which resources there are before they use one."""

from __future__ import annotations

from typing import Any, Final

__all__ = ["DISCOVERY"]

_VERBS: Final = ("create", "delete", "get", "list", "patch", "update", "watch")
DISCOVERY: Final[dict[str, dict[str, Any]]] = {
    "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.4"},
    "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
    "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": []},
    "/api/v1": {
        "kind": "APIResourceList",
        "groupVersion": "v1",
        "resources": [
            {
                "name": "pods",
                "singularName": "pod",
                "namespaced": True,
                "kind": "Pod",
                "verbs": _VERBS,
                "shortNames": ["po"],
            }
        ],
    },
}
"""The answers, by path."""

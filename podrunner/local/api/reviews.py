"""Reviews of a client's own identity and rights. A LocalCluster's only user has every right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.local.api.encoding.decoding import of_kind

if TYPE_CHECKING:
    from podrunner.local.api.paths import Target

__all__ = ["answer"]

Json = dict[str, Any]

USER: Json = {"username": "podrunner-local", "groups": ["system:masters", "system:authenticated"]}

_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


def answer(target: Target, body: Any) -> Json:
    """Return the review with its status filled in."""
    review = of_kind(body, target)
    review["metadata"] = {**review["metadata"], "creationTimestamp": None}
    review["status"] = _status(target.type.plural)
    return review


def _status(plural: str) -> Json:
    if plural == "selfsubjectreviews":
        return {"userInfo": USER}
    if plural == "selfsubjectrulesreviews":
        paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        return {"resourceRules": [_EVERYTHING], "nonResourceRules": [paths], "incomplete": False}
    return {"allowed": True}

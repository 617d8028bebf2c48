"""Reviews of tokens, and of a client's own identity and rights. Every user of a LocalCluster has every right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from podrunner.local.api.encoding.decoding import of_kind
from podrunner.local.api.status import StatusError
from podrunner.local.api.tokens import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from podrunner.local.api.paths import Target

__all__ = ["answer", "user_info"]

Json = dict[str, Any]

_AUTHENTICATED = "system:authenticated"
_SERVICE_ACCOUNT = "system:serviceaccount:"
_EVERYTHING = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}


def answer(target: Target, body: Any, *, own: Json, user_of: Callable[[str], str]) -> Json:
    """Return the review with its status filled in.

    Args:
        target: Which review.
        body: The review that was sent.
        own: The client's own identity.
        user_of: Returns the user of an ``Authorization`` header; raises StatusError for a token that is not valid.
    """
    review = of_kind(body, target)
    review["metadata"] = {**review["metadata"], "creationTimestamp": None}
    review["status"] = _status(target.type.plural, review, own, user_of)
    return review


def _status(plural: str, review: Json, own: Json, user_of: Callable[[str], str]) -> Json:
    if plural == "selfsubjectreviews":
        return {"userInfo": own}
    if plural == "tokenreviews":
        return _token_status(review, user_of)
    if plural == "selfsubjectrulesreviews":
        paths = {"verbs": ["*"], "nonResourceURLs": ["*"]}
        return {"resourceRules": [_EVERYTHING], "nonResourceRules": [paths], "incomplete": False}
    return {"allowed": True}


def _token_status(review: Json, user_of: Callable[[str], str]) -> Json:
    """Say whose token it is. The words for a wrong one are apiserver's (``authentication/request/bearertoken``)."""
    spec = review.get("spec")
    token = spec.get("token") if isinstance(spec, dict) else None
    try:
        user = user_of(f"Bearer {token}" if isinstance(token, str) else "")
    except StatusError:
        return {"user": {}, "error": "invalid bearer token"}
    return {"authenticated": True, "user": user_info(user, {})}


def user_info(user: str, headers: Mapping[str, str]) -> Json:
    """Return a user's name and groups, as Kubernetes' authenticators name them; of whom it impersonates, if it does."""
    if acted := headers.get("Impersonate-User"):
        return _impersonated(acted, headers)
    if user == ADMIN:
        return {"username": user, "groups": ["system:masters", _AUTHENTICATED]}
    return {"username": user, "groups": _groups_of(user)}


def _groups_of(user: str) -> list[str]:
    if not user.startswith(_SERVICE_ACCOUNT):
        return [_AUTHENTICATED]
    namespace = user.removeprefix(_SERVICE_ACCOUNT).partition(":")[0]
    return ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", _AUTHENTICATED]


def _impersonated(user: str, headers: Mapping[str, str]) -> Json:
    """Return what the ``Impersonate-*`` headers say (apiserver's ``endpoints/filters/impersonation.go``)."""
    prefix = "impersonate-extra-"
    pairs = [(name.lower(), value) for name, value in headers.items()]
    groups = [value for name, value in pairs if name == "impersonate-group"]
    if not groups and user.startswith(_SERVICE_ACCOUNT):
        groups = _groups_of(user)
    if _AUTHENTICATED not in groups:
        groups.append(_AUTHENTICATED)
    info: Json = {"username": user, "groups": groups}
    if uid := headers.get("Impersonate-Uid"):
        info["uid"] = uid
    extra: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.startswith(prefix):
            extra.setdefault(unquote(name.removeprefix(prefix)), []).append(value)
    return {**info, "extra": extra} if extra else info

"""What a refusal's error says beside the server's words: whose credentials they were, and which right is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar
from urllib.parse import parse_qs

from podrunner.errors import ApiError, ForbiddenError, UnauthorizedError
from podrunner.kube.rights import is_about_rights

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["hinted", "needed_right"]

E = TypeVar("E", bound=ApiError)

_VERBS: Mapping[str, str] = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_SHOWN = "`examples/rbac.yaml` and the page *Run on a real cluster* list all rights that a runner needs"


def hinted(error: E, *, target: str, credentials_of: str) -> E:
    """Say on a 401 whose credentials were refused, and on a 403 which right is needed. Other errors stay as they are.

    Args:
        error: The refusal.
        target: Path and query that were asked for.
        credentials_of: Where the credentials come from; "": not known.
    """
    if isinstance(error, UnauthorizedError) and credentials_of:
        error.credentials_of = credentials_of
        error.args = (f"{error} (credentials of {credentials_of})", *error.args[1:])
    if isinstance(error, ForbiddenError) and (is_about_rights(error) or not error.reason):
        error.add_note(f"Needed: {needed_right(error.method, target)}; {_SHOWN}.")
    return error


def needed_right(method: str, target: str) -> str:
    """Return the right that a request needs, in RBAC's words: ``create pods/exec in namespace jobs``."""
    path, _, query = target.partition("?")
    parts = path.strip("/").split("/")
    rest = parts[2:] if parts[0] == "api" else parts[3:]
    namespace = rest[1] if rest[:1] == ["namespaces"] and len(rest) > 2 else ""
    resource, name, subresource = (*(rest[2:] if namespace else rest), "", "", "")[:3]
    read = "watch" if "watch" in parse_qs(query) else "get" if name else "list"
    verb = _VERBS.get(method, read)
    what = f"{resource}/{subresource}" if subresource else resource
    group = f" of {parts[1]}" if parts[0] == "apis" else ""
    where = f"namespace {namespace}" if namespace else "the whole cluster"
    return f"{verb} {what}{group} in {where}"

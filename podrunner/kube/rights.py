"""Which kinds of requests were allowed before: a right that is missing now may be one that is not known yet.

An API server that has just started serves before it has read all bindings, and refuses what it will allow a moment
later. Whether to try again is decided in ``answers``, how often in ``retry``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

if TYPE_CHECKING:
    from podrunner.errors import ForbiddenError

__all__ = ["KnownRights", "is_about_rights"]


_READS_RIGHTS_WITHIN_S = 30.0
"""An API server that starts has read all role bindings after a few seconds, on a busy machine after some more."""


class KnownRights:
    """Remembers what was allowed: by verb, resource, namespace, and whether one object was meant."""

    __slots__ = ("_allowed", "_may_not_be_read_until_s", "_newest")

    def __init__(self) -> None:
        self._allowed: set[tuple[str, ...]] = set()
        self._newest: dict[str, str] = {}
        self._may_not_be_read_until_s = float("-inf")

    def note(self, method: str, target: str) -> None:
        """A request was allowed."""
        newest = self._newest.get(method)
        if newest is not None and _are_beside(newest, target):
            return  # the same right
        self._newest[method] = target
        self._allowed.add(_right(method, target))

    def interrupted(self, now_s: float) -> None:
        """A request got no answer: the server may be starting anew, and not know any right for a while."""
        self._may_not_be_read_until_s = now_s + _READS_RIGHTS_WITHIN_S

    def judge(self, error: ForbiddenError, target: str, *, now_s: float) -> None:
        """Says on the error whether it refuses a right that was there before, or that the server may not know yet.

        Args:
            error: The refusal.
            target: Path and query that were asked for.
            now_s: The present time on the clock of :meth:`interrupted`.
        """
        known = _right(error.method, target) in self._allowed
        starting = bool(self._allowed) and now_s < self._may_not_be_read_until_s
        error.was_allowed = is_about_rights(error) and (known or starting)


_PODS = re.compile("/api/v1/namespaces/[^/]+/pods")
_SECOND_VERB = re.compile(r'pods "[^"]*" is forbidden: (RBAC: .*)?', re.DOTALL)


def is_about_rights(error: ForbiddenError) -> bool:
    """Whether the authorizer refuses, not admission: by its message.

    They stand in apiserver's endpoints/handlers/responsewriters/errors.go; of the verb ``create``, which exec needs
    beside ``get`` since 1.35, in pkg/registry/core/pod/rest/authorize.go.
    """
    said = error.server_message
    return ('User "' in said and " cannot " in said) or bool(
        error.path.endswith("/exec") and _SECOND_VERB.fullmatch(said)
    )


def _are_beside(target: str, other: str) -> bool:
    """Whether two targets are the same, or two pods of one namespace: a short look, which may miss it."""
    if target == other:
        return True
    collection, _, _ = target.rpartition("/")
    is_pod = _PODS.fullmatch(collection) is not None and "?" not in target + other
    return is_pod and other.rpartition("/")[0] == collection


def _right(method: str, target: str) -> tuple[str, ...]:
    """What a right is about. An object's name is left out: …/pods/NAME/log. To watch is a verb of its own."""
    path, _, query = target.partition("?")
    parts = path.split("/")
    plural = parts.index("namespaces") + 2 if "namespaces" in parts[:5] else len(parts)
    return (
        "WATCH" if method == "GET" and "watch" in parse_qs(query) else method,
        *parts[: plural + 1],
        *("*" for _ in parts[plural + 1 : plural + 2]),
        *parts[plural + 2 :],
    )

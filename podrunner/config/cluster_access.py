"""Which settings lose their effect when another cluster is chosen.

What belongs here: the rule that a later layer of settings and ``RunnerConfig.with_changes`` share. Pure.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["without_old_access"]


def without_old_access(given: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings without those about access to a cluster that changes replace.

    A new ``cluster`` drops ``kubeconfig`` and ``context``; a new ``kubeconfig`` or ``context`` means
    ``cluster="kubeconfig"``.

    Args:
        given: The settings so far.
        changes: The settings that win over them; they are not part of the result.
    """
    if "cluster" in changes:
        return {name: value for name, value in given.items() if name not in {"kubeconfig", "context"}}
    if any(changes.get(name) is not None for name in ("kubeconfig", "context")):
        return {**given, "cluster": "kubeconfig"}
    return dict(given)

"""How a pod may end, by name: lives that a script plays on a LocalCluster, so that a test need not bring them about."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from podrunner.errors import UsageError
from podrunner.local import Lifecycle

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["LIVES", "life_named", "matches"]

_KEY: Final = "podrunner.io/key"
_ATTEMPT: Final = "podrunner.io/attempt"
_RUN_S: Final = 0.1

LIVES: Final[Mapping[str, Lifecycle]] = MappingProxyType(
    {
        "succeeded": Lifecycle(running_s=_RUN_S),
        "failed": Lifecycle(running_s=_RUN_S, exit_code=1),
        "oom": Lifecycle(running_s=_RUN_S, exit_code=137, reason="OOMKilled"),
        "evicted": Lifecycle(
            running_s=_RUN_S, pod_reason="Evicted", pod_message="The node was low on resource: memory."
        ),
        "preempted": Lifecycle(
            running_s=_RUN_S,
            pod_reason="Preempting",
            pod_message="Preempted in order to admit a critical pod",
        ),
        "node-lost": Lifecycle(running_s=_RUN_S, pod_reason="NodeLost", pod_message="Node is unresponsive"),
        "node-shutdown": Lifecycle(
            running_s=_RUN_S,
            pod_reason="Terminated",
            pod_message="Pod was terminated in response to imminent node shutdown.",
        ),
        "image": Lifecycle(waiting_reason="ImagePullBackOff", waiting_message="manifest unknown"),
        "config": Lifecycle(
            waiting_reason="CreateContainerConfigError", waiting_message='configmap "settings" not found'
        ),
        "unschedulable": Lifecycle(unschedulable="0/3 nodes are available: 3 Insufficient memory."),
        "endless": Lifecycle(running_s=None),
    }
)
"""The lives by their names. ``exit N`` is one too: it ends by itself with that exit code."""


def life_named(life: str | Lifecycle, changes: Mapping[str, Any] | None = None) -> Lifecycle:
    """Return the life of a name.

    Args:
        life: The name of one of :data:`LIVES`, ``exit N``, or a life.
        changes: Fields of :class:`~podrunner.Lifecycle` that are otherwise; None: none.

    Raises:
        UsageError: There is no such life, or no such field.
    """
    known = {field.name for field in fields(Lifecycle)}
    if unknown := set(changes or {}) - known:
        raise UsageError(f"a life has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    return replace(life if isinstance(life, Lifecycle) else _named(life), **(changes or {}))


def _named(name: str) -> Lifecycle:
    word, _, code = name.partition(" ")
    if word == "exit" and code.isdecimal() and int(code) <= 255:
        return Lifecycle(running_s=_RUN_S, exit_code=int(code))
    try:
        return LIVES[name]
    except KeyError:
        raise UsageError(f"there is no life {name!r}; there are {', '.join(LIVES)} and 'exit N'") from None


def matches(
    key: Mapping[str, object] | None, *, attempt: int | None, labels: Mapping[str, str] | None
) -> Callable[[Mapping[str, Any]], bool]:
    """Return a function that says of a pod whether a script is its.

    Args:
        key: Parts of the key of its workload; None: any.
        attempt: Which attempt it is; None: any.
        labels: Labels that it has; None: any.
    """
    parts = {name: str(value) for name, value in (key or {}).items()}

    def is_its(pod: Mapping[str, Any]) -> bool:
        metadata = pod["metadata"]
        annotations, own = metadata.get("annotations") or {}, metadata.get("labels") or {}
        identity = json.loads(annotations.get(_KEY) or "{}")
        is_attempt = attempt is None or annotations.get(_ATTEMPT) == str(attempt)
        return is_attempt and parts.items() <= identity.items() and (labels or {}).items() <= own.items()

    return is_its

"""The user's ``pod_mutation_hook`` as a pod hook of podrunner's.

Airflow's hook changes a ``V1Pod`` of the kubernetes client in place. The client is imported only where a hook is
defined: a pod that no hook sees is never converted, so no field that the client does not know is lost.

What belongs here: finding the hook, and the conversion. Which of its changes stand is podrunner's own rule: name,
namespace and identity of the pod are set again afterwards.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PodHook", "mutating", "pod_hook_of"]

PodHook: TypeAlias = "Callable[[dict[str, Any]], dict[str, Any]]"
"""What ``PodRunner`` takes: changes a manifest."""
_log = logging.getLogger(__name__)


def pod_hook_of(settings: Any) -> PodHook | None:
    """Return the hook of ``airflow_local_settings``, or of a plugin for ``airflow.policy``; None: there is none.

    Args:
        settings: The module ``airflow.settings``.

    Raises:
        ConfigError: There is one, and the package ``kubernetes`` is not installed.
    """
    if not settings.get_policy_plugin_manager().hook.pod_mutation_hook.get_hookimpls():
        return None
    return mutating(settings.pod_mutation_hook)


def mutating(mutate: Callable[[Any], Any]) -> PodHook:
    """Return the pod hook that a function of a ``V1Pod`` is.

    Args:
        mutate: Changes the pod in place; what it returns is passed over, as in Airflow.

    Raises:
        ConfigError: The package ``kubernetes`` is not installed.
    """
    try:
        from kubernetes.client import ApiClient, Configuration, V1Pod
    except ImportError as error:
        problem = "pod_mutation_hook wants a V1Pod, and the package kubernetes is not installed"
        raise ConfigError(problem) from error
    # A configuration of its own: the process-wide one may hold the cluster's credentials.
    client: Any = ApiClient(configuration=Configuration())

    def hook(manifest: dict[str, Any]) -> dict[str, Any]:
        pod = _model_of(manifest, client, V1Pod)
        try:
            mutate(pod)
        except Exception:
            _log.exception("pod_mutation_hook failed for pod %s", manifest["metadata"]["name"])
            raise
        written: dict[str, Any] = client.sanitize_for_serialization(pod)
        return written

    return hook


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the client reads an object from."""

    data: str


def _model_of(manifest: dict[str, Any], client: Any, model: Any) -> Any:
    """Return the model of a manifest; the client has another way to make it since version 37."""
    if hasattr(model, "from_dict"):
        return model.from_dict(manifest)
    return client.deserialize(_Answer(json.dumps(manifest)), model)

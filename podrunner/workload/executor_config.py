"""Converting a task's own settings (Airflow's ``executor_config``) to attributes of a workload."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.errors import SpecError
from podrunner.kubernetes_models import manifest_of
from podrunner.workload.validation import unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["settings_of"]

GCP_SERVICE_ACCOUNT = "iam.cloud.google.com/service-account"

_AS_THEY_ARE = {
    "image": "image",
    "image_pull_policy": "image_pull_policy",
    "node_selectors": "node_selector",
    "affinity": "affinity",
    "tolerations": "tolerations",
    "annotations": "annotations",
    "volumes": "volumes",
    "volume_mounts": "volume_mounts",
    "labels": "labels",
}
_RESOURCES = {
    "request_cpu": "cpu_request",
    "limit_cpu": "cpu_limit",
    "request_memory": "memory_request",
    "limit_memory": "memory_limit",
    "limit_gpu": "gpu",
}
_KNOWN = (*_AS_THEY_ARE, *_RESOURCES, "gcp_service_account_key")
_TOP_LEVEL = ("KubernetesExecutor", "pod_override", "pod_template_file")
_PLACE = "Workload.airflow.executor_config"


def settings_of(executor_config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the attributes of a workload that ``executor_config`` sets.

    Args:
        executor_config: ``{"KubernetesExecutor": {…}}`` or the inner mapping, as in 1.10; ``{"pod_override": …}``, as
            in 2.x; or both. Settings that are None or empty count as not given, as in Airflow.

    Raises:
        SpecError: It has an unknown setting.
    """
    direct = {name: value for name, value in executor_config.items() if name not in _TOP_LEVEL}
    settings = _classic({**direct, **(executor_config.get("KubernetesExecutor") or {})})
    override = executor_config.get("pod_override")
    if override is not None:
        settings["pod_override"] = _override_of(override)
    template = executor_config.get("pod_template_file")
    if template is not None:
        settings["pod_template"] = _as_path(template)
    return settings


def _as_path(template: Any) -> Any:
    return Path(template) if isinstance(template, str) else template


def _classic(given: Mapping[str, Any]) -> dict[str, Any]:
    for name in given:
        if name not in _KNOWN:
            raise unknown_name(name, (*_KNOWN, *_TOP_LEVEL), place=_PLACE)
    wanted = {name: value for name, value in given.items() if value not in (None, "", {}, [], ())}
    settings = {field: wanted[name] for name, field in _AS_THEY_ARE.items() if name in wanted}
    resources = {field: wanted[name] for name, field in _RESOURCES.items() if name in wanted}
    if resources:
        settings["resources"] = resources
    if "gcp_service_account_key" in wanted:
        # 1.10 adds it to the task's annotations, or to the configuration's where the task has none.
        settings["identity_annotations"] = {GCP_SERVICE_ACCOUNT: wanted["gcp_service_account_key"]}
    return settings


def _override_of(model: Any) -> dict[str, Any]:
    manifest = manifest_of(model)
    if not isinstance(manifest, dict):
        problem = "must be a manifest or a V1Pod"
        raise SpecError(problem, field=f"{_PLACE}.pod_override", value=type(model).__name__)
    return manifest

"""The hash by which a later run of an attempt sees whether it is given the same workload.

Hashed is what the workload itself says about what is run. What says how it is run or found does not count, nor does
anything of the configuration: a scheduler that restarts with a new image or another toleration hands in the same
workloads, and their outcomes are to be given to it, not refused.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Final

import msgspec

from podrunner.builder.labels import MANIFEST_HASH
from podrunner.workload.task_workload import said_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.workload import Workload

__all__ = ["is_another_workload", "manifest_hash"]

_FORM: Final = "2:"
"""Prefix of a hash: of which form of a workload it is. Hashes of different forms cannot be compared."""

_HASHED: Final = frozenset(
    {
        "args",
        "command",
        "container_name",
        "credentials",
        "env",
        "fs_group",
        "image",
        "init_containers",
        "overrides",
        "pod_override",
        "pod_template",
        "result_path",
        "run_as_user",
        "secret_env",
        "sidecars",
        "task_workload",
        "volume_mounts",
        "volumes",
        "working_dir",
    }
)
NOT_HASHED: Final = frozenset(
    {
        "active_deadline_s",
        "affinity",
        "annotations",
        "identity_annotations",
        "identity_labels",
        "image_pull_policy",
        "image_pull_secrets",
        "key",
        "labels",
        "log_path",
        "name",
        "namespace",
        "node_selector",
        "priority_class_name",
        "resources",
        "scheduling_gates",
        "service_account_name",
        "termination_grace_period_s",
        "tolerations",
    }
)
"""Fields that say how a workload is named, labelled, placed and limited. A new field belongs to one of the two sets."""

_UNSET: Final[tuple[Any, ...]] = (None, (), {})


def manifest_hash(workload: Workload) -> str | None:
    """Return ``2:`` and the SHA-256, in hexadecimal digits, of what a workload says about what is run.

    Of credentials the names count, not the values: passwords change, and a hash of one would help to guess it. None if
    the workload cannot be written as JSON; then no pod can be made of it either.
    """
    given = {name: getattr(workload, name) for name in workload.model_fields_set & _HASHED}
    said = {name: value for name, value in given.items() if value not in _UNSET}
    if "credentials" in said:
        said["credentials"] = sorted(said["credentials"])
    if "task_workload" in said:
        said["task_workload"] = said_in(said["task_workload"].get_secret_value())
    try:
        canonical = msgspec.json.encode(said, order="sorted")
    except (TypeError, ValueError, OverflowError, RecursionError):
        return None
    return _FORM + hashlib.sha256(canonical).hexdigest()


def is_another_workload(annotations: Mapping[str, str] | None, manifest_hash: str | None) -> bool:
    """Whether a pod was certainly made of another workload.

    False if that cannot be known: the pod was made by a version of podrunner that hashed otherwise or not at all.

    Args:
        annotations: The pod's annotations.
        manifest_hash: The hash of the workload at hand.
    """
    stored = (annotations or {}).get(MANIFEST_HASH)
    if stored is None or manifest_hash is None or not stored.startswith(_FORM):
        return False
    return stored != manifest_hash

"""The labels and annotations by which a runner finds and adopts a pod.

The launcher adds them just before the create request; adoption and garbage collection read them back.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.builder.labels import (
    ATTEMPT,
    DEFAULT_CONTAINER,
    KEY,
    LOG_PATH,
    MANAGED_BY,
    MANAGER,
    MANIFEST_HASH,
    OUTCOME,
    OWNER,
    RELAUNCH,
    REPORTED,
    SCOPE,
    STARTED,
    VERDICT,
    safe_label,
)
from podrunner.errors import SpecError
from podrunner.workload import WorkloadKey
from podrunner.workload.log_path import checked_log_path, default_log_path

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["OwnershipMetadata", "read_ownership", "with_ownership"]

_NOT_THE_USERS = frozenset({MANIFEST_HASH, OUTCOME, RELAUNCH, REPORTED, STARTED, VERDICT})
"""Annotations that a new pod has only if podrunner sets them. A template that was copied from a pod of an earlier run
may have them, and then the new pod would count as reported."""

MAX_ANNOTATIONS_BYTES = 256 * 1024
"""Names and values of all annotations together (Kubernetes: ``TotalAnnotationSizeLimitB``)."""
_KEPT_FREE_BYTES = 9 * 1024
"""For what is written to the pod at its end: two records of at most 4 KiB, their names, and the category."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnershipMetadata:
    """The workload of a pod, and the runner that the pod belongs to.

    Attributes:
        key: The workload's identity and attempt.
        owner: The runner that the pod belongs to.
        scope: Runners of this scope may adopt it.
        log_path: Where its log goes, below the log folder.
        main_container: The container whose end is the pod's; None: no annotation names it.
    """

    key: WorkloadKey
    owner: str
    scope: str
    log_path: str
    main_container: str | None = None


def with_ownership(
    manifest: Mapping[str, Any],
    *,
    owner: str,
    scope: str,
    key: WorkloadKey,
    log_path: str | None = None,
    main_container: str | None = None,
    manifest_hash: str | None = None,
) -> dict[str, Any]:
    """Return a pod with the labels and annotations of its owner.

    Args:
        manifest: The pod; it is left as it is.
        owner: The runner that makes it.
        scope: The runner's scope.
        key: The workload's identity and attempt.
        log_path: Where the log goes, below the log folder; None: made of the key.
        main_container: Name of the main container; None: the one that an annotation names, else the first.
        manifest_hash: What :attr:`PodPlan.manifest_hash` says; None: no annotation says it.

    Returns:
        A new manifest; it shares all but the metadata with the old one.

    Raises:
        SpecError: The annotations would be larger than Kubernetes allows.
    """
    metadata = manifest["metadata"]
    annotations = metadata.get("annotations") or {}
    main = main_container or annotations.get(DEFAULT_CONTAINER) or manifest["spec"]["containers"][0]["name"]
    all_annotations = {
        **{name: value for name, value in annotations.items() if name not in _NOT_THE_USERS},
        DEFAULT_CONTAINER: main,
        KEY: key.identity,
        ATTEMPT: str(key.attempt),
        OWNER: owner,
        SCOPE: scope,
        LOG_PATH: default_log_path(key) if log_path is None else log_path,
    }
    if key.relaunch:
        all_annotations[RELAUNCH] = str(key.relaunch)
    if manifest_hash is not None:
        all_annotations[MANIFEST_HASH] = manifest_hash
    _check_size(all_annotations)
    labels = {**(metadata.get("labels") or {}), **_labels(owner, scope)}
    return {**manifest, "metadata": {**metadata, "labels": labels, "annotations": all_annotations}}


def _labels(owner: str, scope: str) -> dict[str, str]:
    return {MANAGED_BY: MANAGER, OWNER: safe_label(owner), SCOPE: safe_label(scope)}


def _check_size(annotations: Mapping[str, str]) -> None:
    size = len("".join(annotations)) + len("".join(annotations.values()).encode())
    limit = MAX_ANNOTATIONS_BYTES - _KEPT_FREE_BYTES
    if size > limit:
        problem = f"the annotations are larger than {limit} bytes together"
        raise SpecError(problem, field="metadata.annotations", value=f"{size} bytes")


def read_ownership(
    labels: Mapping[str, str] | None, annotations: Mapping[str, str] | None
) -> OwnershipMetadata | None:
    """Return what a pod's labels and annotations say about its owner.

    Args:
        labels: The pod's labels.
        annotations: The pod's annotations.

    Returns:
        The metadata; None if the pod is not podrunner's, or an annotation is missing or malformed.
    """
    if (labels or {}).get(MANAGED_BY) != MANAGER or not annotations:
        return None
    try:
        return _read(annotations)
    except (KeyError, ValueError, SpecError):
        return None


def _read(annotations: Mapping[str, str]) -> OwnershipMetadata:
    relaunch = int(annotations.get(RELAUNCH, 0))
    key = WorkloadKey(_parts(annotations[KEY]), attempt=int(annotations[ATTEMPT]), relaunch=relaunch)
    return OwnershipMetadata(
        key=key,
        owner=annotations[OWNER],
        scope=annotations[SCOPE],
        log_path=checked_log_path(annotations.get(LOG_PATH) or default_log_path(key)),
        main_container=annotations.get(DEFAULT_CONTAINER),
    )


def _parts(identity: str) -> dict[str, str]:
    """Return the parts of an identity; a number is none of ours: a key writes its digits as text."""
    parts = json.loads(identity)
    if not isinstance(parts, dict) or not all(isinstance(value, str) for value in parts.values()):
        raise ValueError("is not a key: an object whose values are text")
    return parts

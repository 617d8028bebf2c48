"""The arguments of the workload's constructors as type checkers see them.

pydantic accepts more than the types of the attributes say: a list where the attribute is a tuple, a mapping where it is
a model. Here stands what callers may give; a test compares the names with those of the models.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Required, TypeAlias, TypedDict

from podrunner.kubernetes_models import KubernetesModel, KubernetesObject
from podrunner.workload.resources import Resources

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import SecretStr

    from podrunner.workload.key import KeyLike

__all__ = ["ResourcesLike", "WorkloadArguments"]

ResourcesLike: TypeAlias = Resources | Mapping[str, Any] | KubernetesModel
"""Resources, their attributes as a mapping, or a ``V1ResourceRequirements``."""


class WorkloadArguments(TypedDict, total=False):
    """The arguments of ``Workload``; they are described there."""

    key: Required[KeyLike]
    command: Sequence[str] | None
    args: Sequence[str]
    image: str | None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None
    image_pull_secrets: Sequence[str]
    env: Mapping[str, str]
    secret_env: Mapping[str, tuple[str, str]]
    credentials: Mapping[str, str | SecretStr]
    working_dir: str | None
    resources: ResourcesLike | None
    namespace: str | None
    name: str | None
    container_name: str | None
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node_selector: Mapping[str, str]
    affinity: KubernetesObject
    tolerations: Sequence[KubernetesObject]
    volumes: Sequence[KubernetesObject]
    volume_mounts: Sequence[KubernetesObject]
    init_containers: Sequence[KubernetesObject]
    sidecars: Sequence[KubernetesObject]
    service_account_name: str | None
    priority_class_name: str | None
    run_as_user: int | None
    fs_group: int | None
    scheduling_gates: Sequence[str]
    active_deadline_s: int | None
    termination_grace_period_s: int | None
    pod_override: KubernetesObject
    overrides: KubernetesObject
    pod_template: KubernetesObject | Path | None
    log_path: str | None
    result_path: str | None
    identity_labels: Mapping[str, str]
    identity_annotations: Mapping[str, str]
    task_workload: str | SecretStr | None

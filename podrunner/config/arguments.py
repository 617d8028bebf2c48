"""The arguments of the settings' constructors as type checkers see them.

pydantic accepts more than the types of the attributes say: a list where the attribute is a tuple, a mapping where it is
a model, text where it is a path. Here stands what callers may give; a test compares the names with those of the models.
Settings whose attributes have plain types only need no class here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Required, TypeAlias, TypedDict

if TYPE_CHECKING:
    from pydantic import SecretStr

    from podrunner.config.airflow.settings import (
        AirflowSettings,
        DagsFromClaim,
        DagsFromGit,
        DagsFromHostPath,
        DagsInImage,
        LogsInEmptyDir,
        LogsOnClaim,
        LogsOnHostPath,
    )
    from podrunner.config.failure_policy import (
        CategoryName,
        FailureRule,
        FaultName,
        OnExitCodes,
        OnPodCondition,
    )
    from podrunner.config.local import LocalSettings
    from podrunner.config.policies import (
        LogSettings,
        PendingPolicy,
        RetrySettings,
        RunRetrySettings,
        TcpKeepalive,
        WatchSettings,
    )
    from podrunner.kubernetes_models import KubernetesObject
    from podrunner.workload.arguments import ResourcesLike

__all__ = [
    "AirflowArguments",
    "DagsFromGitArguments",
    "FailureRuleArguments",
    "LogArguments",
    "OnExitCodesArguments",
    "PendingArguments",
    "RunnerConfigArguments",
]

PathLike: TypeAlias = str | os.PathLike[str]
Nested: TypeAlias = Mapping[str, Any]
"""Settings below a setting, as a parsed file gives them."""


class DagsFromGitArguments(TypedDict, total=False):
    """The arguments of ``DagsFromGit``; they are described there."""

    kind: Literal["git"]
    repo: Required[str]
    branch: str
    rev: str | None
    subpath: str
    mount_point: Required[str]
    root: str
    dest: str
    depth: int
    username: str | None
    password: str | SecretStr | None
    credentials_secret: str | None
    ssh_key_secret: str | None
    known_hosts_configmap: str | None
    image: str
    container_name: str
    run_as_user: int | None


class AirflowArguments(TypedDict, total=False):
    """The arguments of ``AirflowSettings``; they are described there."""

    home: str
    dags_folder: str
    base_log_folder: str
    executor: str
    sql_alchemy_conn: str | SecretStr | None
    configmap: str | None
    local_settings_configmap: str | None
    dags: DagsInImage | DagsFromClaim | DagsFromHostPath | DagsFromGit | Nested
    logs: LogsInEmptyDir | LogsOnClaim | LogsOnHostPath | Nested
    worker_uuid: str | None
    version: str | None
    task_workload_in_secret: bool


class OnExitCodesArguments(TypedDict, total=False):
    """The arguments of ``OnExitCodes``; they are described there."""

    container: str | None
    operator: Literal["In", "NotIn"]
    values: Required[Sequence[int]]


class FailureRuleArguments(TypedDict, total=False):
    """The arguments of ``FailureRule``; they are described there."""

    name: Required[str]
    action: Required[Literal["retry", "fail", "default"]]
    on_exit_codes: OnExitCodes | Nested | None
    on_pod_conditions: Sequence[OnPodCondition | Nested]
    on_reasons: Sequence[str]
    on_categories: Sequence[CategoryName]
    on_faults: Sequence[FaultName]


class PendingArguments(TypedDict, total=False):
    """The arguments of ``PendingPolicy``; they are described there."""

    fatal_reasons: Sequence[str]
    image_grace_s: float
    config_grace_s: float
    crash_grace_s: float | None
    creating_grace_s: float | None
    unschedulable_grace_s: float | None
    startup_timeout_s: float | None


class LogArguments(TypedDict, total=False):
    """The arguments of ``LogSettings``; they are described there."""

    folder: PathLike | None
    follow: Literal["all", "on-demand", "end", "off"]
    containers: Literal["main", "all"] | Sequence[str]
    timestamps: bool
    max_file_bytes: int | None
    compress: bool
    tail_lines_on_failure: int
    drain_timeout_s: float
    server_url: str | None
    server_secret_key: str | SecretStr | None
    max_follows: int
    turn_s: float


class RunnerConfigArguments(TypedDict, total=False):
    """The arguments of ``RunnerConfig``; they are described there."""

    cluster: Literal["auto", "local", "in-cluster", "kubeconfig"]
    kubeconfig: PathLike | None
    context: str | None
    local: LocalSettings | Nested
    verify_ssl: bool
    ssl_ca_cert: PathLike | None
    transport: Literal["auto", "aiohttp", "httpx"]
    request_timeout_s: float
    exec_plugin_timeout_s: float
    connect_timeout_s: float
    connections: int
    tcp_keepalive: TcpKeepalive | Nested

    namespace: str
    namespaces: Sequence[str]
    all_namespaces: bool
    owner: str | None
    scope: str

    image: str | None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None
    image_pull_secrets: Sequence[str]
    service_account_name: str | None
    env: Mapping[str, str]
    secret_env: Mapping[str, tuple[str, str] | str]
    credentials: Mapping[str, str | SecretStr]
    env_from_secrets: Sequence[str]
    env_from_configmaps: Sequence[str]
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    node_selector: Mapping[str, str]
    affinity: KubernetesObject
    tolerations: Sequence[KubernetesObject]
    resources: ResourcesLike | None
    run_as_user: int | None
    fs_group: int | None
    priority_class_name: str | None
    scheduling_gates: Sequence[str]
    init_containers: Sequence[KubernetesObject]
    sidecars: Sequence[KubernetesObject]
    result_sidecar_image: str | None
    volumes: Sequence[KubernetesObject]
    volume_mounts: Sequence[KubernetesObject]
    pod_template: KubernetesObject | os.PathLike[str] | None
    container_name: str

    airflow: AirflowSettings | Nested | None

    delete_pods: bool
    delete_pods_on_failure: bool
    kept_pods_max_age_s: float | None
    kept_pods_max_count: int | None
    kept_pods_sweep_every_s: float
    delete_grace_period_s: int | None
    max_creates_in_flight: int | None
    max_active_pods: int | None
    create_retry: RetrySettings | Nested
    retry: RetrySettings | Nested
    run_retry: RunRetrySettings | Nested
    pending: PendingPolicy | Nested
    run_timeout_s: float | None
    node_lost_grace_s: float | None
    force_delete_lost: bool
    failure_policy: Sequence[FailureRule | Nested]
    watch: WatchSettings | Nested
    logs: LogSettings | Nested
    submit_queue_size: int
    event_queue_size: int
    outcome_delivery: Literal["taken", "acknowledged"]
    max_undelivered_pods: int
    outcome_finalizer: bool
    reported_attempt: Literal["reuse", "error", "rerun"]
    adopt_every_s: float | None
    lease_duration_s: float

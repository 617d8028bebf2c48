"""RunnerConfig: all settings of a runner, as one frozen value.

What belongs here: the settings, their defaults, their bounds, and which of them exclude each other. Reading files and
the environment does not belong here: the constructors at the end import the readers when they are called, and these
know nothing of this module; they take the class that they build.

Two rules keep every configuration writable in every format: a setting may be None only where None is its
default (TOML has no null), and free-form parts of a pod are plain JSON data.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Self

from pydantic import BeforeValidator, Field, PlainSerializer, ValidationInfo, field_validator, model_validator

from podrunner.config.airflow.settings import AirflowSettings
from podrunner.config.cluster_access import without_old_access
from podrunner.config.failure_policy import FailurePolicy
from podrunner.config.findings import report_findings
from podrunner.config.frozen import Secret, Settings, at_defaults
from podrunner.config.kubernetes_names import (
    AnnotationKey,
    EnvName,
    LabelKey,
    LabelValue,
    Namespace,
    ObjectName,
    PlainText,
    SecretKey,
)
from podrunner.config.local import LocalSettings
from podrunner.config.policies import (
    LogSettings,
    PendingPolicy,
    PositiveSeconds,
    RetrySettings,
    RunRetrySettings,
    Seconds,
    TcpKeepalive,
    WatchSettings,
)
from podrunner.kubernetes_models import manifest_of
from podrunner.workload import Resources

if TYPE_CHECKING:
    import os
    from typing import Unpack

    from podrunner.config.arguments import RunnerConfigArguments

__all__ = ["LOCAL_IMAGE", "RunnerConfig", "SecretRef"]

LOCAL_IMAGE = "localhost/this-machine"
"""The image of pods on a LocalCluster when none is named: the programs of this machine."""

JsonObject = Annotated[dict[str, Any], BeforeValidator(manifest_of)]
"""An object of the Kubernetes API, as in a manifest; a client's model is converted."""


class SecretRef(NamedTuple):
    """One key of a Kubernetes Secret; written ``secret=key`` in files, as Airflow does.

    Attributes:
        secret: Name of the Secret.
        key: The key in it.
    """

    secret: ObjectName
    key: SecretKey


def _parsed_ref(value: object) -> object:
    if isinstance(value, Mapping):
        return (
            tuple(value.get(part) for part in SecretRef._fields)
            if {*value} == {*SecretRef._fields}
            else value
        )
    if not isinstance(value, str):
        return value
    secret, equals, key = value.partition("=")
    if not equals or not secret.strip() or not key.strip():
        raise ValueError("not a reference to a Secret; Write it as 'secret-name=key'")
    return secret.strip(), key.strip()


_SecretRef = Annotated[
    SecretRef,
    BeforeValidator(_parsed_ref),
    PlainSerializer(lambda ref: f"{ref[0]}={ref[1]}", return_type=str),
]


class RunnerConfig(Settings):
    """The whole configuration of a runner. Every setting has a default: ``RunnerConfig()`` works.

    Attributes:
        cluster: Which Kubernetes: ``in-cluster`` (the service account of the pod we run in), ``kubeconfig``,
            ``local`` (an embedded LocalCluster: pods are processes of this machine), or ``auto``: in-cluster if we
            are in one, else a kubeconfig if there is one, else an error. Never ``local``, which has to be named.
        kubeconfig: The kubeconfig's path; None: ``$KUBECONFIG``, then ``~/.kube/config``.
        context: Its context; None: its current one.
        local: The LocalCluster of ``cluster="local"``.
        verify_ssl: Whether the server's certificate is checked.
        ssl_ca_cert: A file of CA certificates that replaces the access's own; None keeps that.
        transport: The HTTP client: ``auto`` takes aiohttp on asyncio and httpx on trio.
        request_timeout_s: Seconds that one request may take.
        exec_plugin_timeout_s: Seconds that a kubeconfig's exec plugin may take; then it is killed.
        connect_timeout_s: Seconds that opening a connection may take.
        connections: Connections to the API server that requests share. Creates, deletions and reads have at most three
            quarters of them each; Leases have two more, and each stream (watch, followed log, exec) its own.
        tcp_keepalive: Probes on these connections.
        namespace: The namespace of pods whose workload sets none. Where it is not set: that of the kubeconfig's
            context or of the service account, if there is one; ``default`` in a LocalCluster, and with Airflow's
            settings.
        namespaces: All namespaces that the runner uses and watches; empty: just ``namespace``.
        all_namespaces: Watch the whole cluster by one watch (needs cluster-wide rights).
        owner: Name of this runner, stamped on its pods; None: a new one each time.
        scope: Runners of one scope may adopt each other's pods.
        image: Image of the main container if the workload sets none. None: each workload must set one
            (with ``cluster="local"`` the programs of this machine are the default).
        image_pull_policy: ``Always``, ``IfNotPresent`` or ``Never``; None: Kubernetes' own rule.
        image_pull_secrets: Names of Secrets with registry credentials.
        service_account_name: The pods' service account; None: the namespace's default.
        env: Variables of the main container, in plain text.
        secret_env: Variables from Secrets, name to ``secret=key``.
        credentials: Variables whose values are secret: they go into a Secret that the pod owns, never into
            the pod.
        env_from_secrets: Secrets whose every key becomes a variable.
        env_from_configmaps: ConfigMaps whose every key becomes a variable.
        labels: Labels of each pod; a workload's labels win over them, podrunner's own over both.
        annotations: Annotations of each pod, used where the workload brings none.
        node_selector: Labels that a node must have, used where the workload brings none.
        affinity: A pod's ``affinity``; empty: none.
        tolerations: A pod's ``tolerations``.
        resources: Requests and limits of the main container where the workload brings none; None: none.
        run_as_user: User id of the pod's processes; None: the image's.
        fs_group: Group id of the pod's volumes; None: none.
        priority_class_name: PriorityClass of the pods; None: the cluster's default.
        scheduling_gates: Names of gates that hold scheduling back until they are removed from the pod.
        init_containers: Containers that run before the main one (as in a pod's ``initContainers``).
        sidecars: Containers that run beside the main one and do not decide the outcome; they become init
            containers with ``restartPolicy: Always``.
        result_sidecar_image: Image of the container from which a workload's ``result_path`` is read; it needs ``sh``,
            ``sleep``, ``wc`` and ``cat``. None: the main container's image.
        volumes: Volumes of the pod (as in ``volumes``).
        volume_mounts: Mounts of the main container (as in ``volumeMounts``).
        pod_template: A pod onto which everything is merged, as an object or the Path of a YAML or JSON file (read when
            the configuration is created); None: an empty one.
        container_name: Name of the main container.
        airflow: What makes the pods Airflow workers; None: they are not.
        delete_pods: Whether finished pods are deleted, after their log is read.
        delete_pods_on_failure: Whether also those that failed; otherwise they stay for inspection.
        kept_pods_max_age_s: Seconds after its end for which a pod that is kept may stay; then it is deleted. None: for
            ever.
        kept_pods_max_count: Kept pods of the scope at most; beyond that the oldest are deleted. None: any number.
        kept_pods_sweep_every_s: Seconds between two garbage collections of kept pods, if one of the two limits is set.
        delete_grace_period_s: Seconds between SIGTERM and SIGKILL when a pod is deleted; None: the pod's own.
        max_creates_in_flight: Upper bound of creates at once; None: found by podrunner (additive increase,
            multiplicative decrease).
        max_active_pods: Upper bound of pods that are not finished; None: no limit.
        create_retry: Retries of creates.
        retry: Retries of all other requests.
        run_retry: When workloads that are run are tried again.
        pending: Deadlines of pods that do not start.
        run_timeout_s: Seconds that a pod may run before it is ended; None: no limit.
        node_lost_grace_s: Seconds that a node may be silent about a pod (phase ``Unknown``, ``NodeLost``, or a deletion
            that hangs, beyond the pod's own grace period) until the pod counts as lost; None: 300, for which Kubernetes
            itself tolerates an unreachable node.
        force_delete_lost: Whether a lost pod is deleted with grace period 0, so that it does not stay ``Terminating``
            until its node comes back. If the node is only unreachable, it still runs the pod, beside its successor.
        failure_policy: Rules on which failures may be tried again; the first that applies decides. Empty:
            podrunner's own verdict.
        watch: How podrunner watches its pods.
        logs: Which logs are collected, and where to.
        submit_queue_size: Submissions that may wait; one takes a few kilobytes (its manifest).
        event_queue_size: Events that wait for a slow reader of ``events()`` before they are coalesced per
            pod.
        outcome_delivery: When an outcome counts as delivered; a pod is deleted, or marked as reported, only then.
            ``taken``: when its reader comes back for more, or ``wait`` has returned it. ``acknowledged``: only when
            the scheduler calls ``acknowledge``.
        max_undelivered_pods: Pods at most whose outcome is not delivered yet; beyond that no pod is created until some
            are, but one that a caller waits for. They hold no place of ``max_active_pods``.
        outcome_finalizer: Whether each pod bears the finalizer ``podrunner.io/outcome`` until its outcome is delivered,
            so that no other client's deletion, and no garbage collector, can take it before. Costs one request more
            per pod.
        reported_attempt: What becomes of a workload whose attempt has ended already, if its pod is still there and its
            outcome was decided by an earlier runner. ``reuse``: the handle has that outcome. ``error``: the call
            raises. ``rerun``: the pod is deleted and the attempt is run again.
        adopt_every_s: Seconds between two searches for pods of runners that are gone: they are adopted and reported by
            events. None: only when ``adopt`` is called.
        lease_duration_s: Seconds without renewal after which a runner counts as gone, and its pods may be
            adopted.
    """

    cluster: Literal["auto", "local", "in-cluster", "kubeconfig"] = "auto"
    kubeconfig: Path | None = None
    context: PlainText | None = None
    local: LocalSettings = at_defaults(LocalSettings)
    verify_ssl: bool = True
    ssl_ca_cert: Path | None = None
    transport: Literal["auto", "aiohttp", "httpx"] = "auto"
    request_timeout_s: PositiveSeconds = 30.0
    exec_plugin_timeout_s: PositiveSeconds = 60.0
    connect_timeout_s: PositiveSeconds = 10.0
    connections: int = Field(default=32, ge=1, le=10_000)
    tcp_keepalive: TcpKeepalive = at_defaults(TcpKeepalive)

    namespace: Namespace = "default"
    namespaces: tuple[Namespace, ...] = ()
    all_namespaces: bool = False
    owner: PlainText | None = None
    scope: PlainText = "default"

    image: PlainText | None = Field(default=None, validate_default=True)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: tuple[ObjectName, ...] = ()
    service_account_name: ObjectName | None = None
    env: dict[EnvName, str] = Field(default_factory=dict)
    secret_env: dict[EnvName, _SecretRef] = Field(default_factory=dict)
    credentials: dict[EnvName, Secret] = Field(default_factory=dict)
    env_from_secrets: tuple[ObjectName, ...] = ()
    env_from_configmaps: tuple[ObjectName, ...] = ()
    labels: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    annotations: dict[AnnotationKey, str] = Field(default_factory=dict)
    node_selector: dict[LabelKey, LabelValue] = Field(default_factory=dict)
    affinity: JsonObject = Field(default_factory=dict)
    tolerations: tuple[JsonObject, ...] = ()
    resources: Resources | None = None
    run_as_user: int | None = Field(default=None, ge=0)
    fs_group: int | None = Field(default=None, ge=0)
    priority_class_name: ObjectName | None = None
    scheduling_gates: tuple[LabelKey, ...] = ()
    init_containers: tuple[JsonObject, ...] = ()
    sidecars: tuple[JsonObject, ...] = ()
    result_sidecar_image: PlainText | None = None
    volumes: tuple[JsonObject, ...] = ()
    volume_mounts: tuple[JsonObject, ...] = ()
    pod_template: JsonObject | None = None
    container_name: ObjectName = "base"

    airflow: AirflowSettings | None = None

    delete_pods: bool = True
    delete_pods_on_failure: bool = False
    kept_pods_max_age_s: Seconds | None = None
    kept_pods_max_count: int | None = Field(default=None, ge=0)
    kept_pods_sweep_every_s: PositiveSeconds = 300.0
    delete_grace_period_s: int | None = Field(default=None, ge=0)
    max_creates_in_flight: int | None = Field(default=None, ge=1)
    max_active_pods: int | None = Field(default=None, ge=1)
    create_retry: RetrySettings = at_defaults(RetrySettings)
    retry: RetrySettings = at_defaults(RetrySettings)
    run_retry: RunRetrySettings = at_defaults(RunRetrySettings)
    pending: PendingPolicy = at_defaults(PendingPolicy)
    run_timeout_s: PositiveSeconds | None = None
    node_lost_grace_s: Seconds | None = None
    force_delete_lost: bool = False
    failure_policy: FailurePolicy = ()
    watch: WatchSettings = at_defaults(WatchSettings)
    logs: LogSettings = at_defaults(LogSettings)
    submit_queue_size: int = Field(default=100_000, ge=1)
    event_queue_size: int = Field(default=10_000, ge=1)
    outcome_delivery: Literal["taken", "acknowledged"] = "taken"
    max_undelivered_pods: int = Field(default=5_000, ge=1)
    outcome_finalizer: bool = False
    reported_attempt: Literal["reuse", "error", "rerun"] = "reuse"
    adopt_every_s: PositiveSeconds | None = None
    lease_duration_s: float = Field(default=60.0, ge=1)

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[RunnerConfigArguments]) -> None: ...

    def with_changes(self, **changes: Any) -> RunnerConfig:
        """Return this configuration with some settings replaced, validated as a whole.

        A new ``cluster`` drops the old one's ``kubeconfig`` and ``context``; a new ``kubeconfig`` or
        ``context`` chooses ``cluster="kubeconfig"``.

        Raises:
            ConfigError: As the constructor.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**without_old_access(given, changes) | changes)

    @property
    def watched_namespaces(self) -> tuple[str, ...]:
        """All namespaces in use, without repetition; ``namespace`` comes first."""
        return tuple(dict.fromkeys((self.namespace, *self.namespaces)))

    @field_validator("image")
    @classmethod
    def _image_for_local(cls, image: str | None, info: ValidationInfo) -> str | None:
        return LOCAL_IMAGE if image is None and info.data.get("cluster") == "local" else image

    @field_validator("pod_template", mode="before")
    @classmethod
    def _loaded(cls, template: object) -> object:
        if isinstance(template, str):
            raise ValueError("a pod template is a mapping or a Path; Write Path(...) around the file's name")  # noqa: TRY004 - pydantic passes only a ValueError on
        if isinstance(template, Path):
            from podrunner.config.pod_template import load_pod_template

            return load_pod_template(template)
        return template

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        twice = sorted(
            (self.env.keys() & self.secret_env.keys())
            | (self.env.keys() & self.credentials.keys())
            | (self.secret_env.keys() & self.credentials.keys())
        )
        if twice:
            raise ValueError(
                f"variable {twice[0]} is set in two of env, secret_env and credentials; Keep one"
            )
        if self.all_namespaces and self.namespaces:
            raise ValueError("all_namespaces and namespaces exclude each other; Keep one")
        if self.cluster in {"local", "in-cluster"} and (self.kubeconfig or self.context):
            given = "kubeconfig" if self.kubeconfig else "context"
            raise ValueError(
                f"cluster = {self.cluster!r} and {given} exclude each other; Use cluster = 'kubeconfig'"
            )
        return self

    @classmethod
    def from_airflow_cfg(
        cls,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        allow_commands: bool = False,
        strict: bool = False,
    ) -> RunnerConfig:
        """Read an ``airflow.cfg`` of Airflow 1.10 or later.

        ``PODRUNNER_*`` variables win over ``AIRFLOW__SECTION__KEY`` variables, these over the file, the file
        over defaults. Each finding that is odd but harmless is issued as a :class:`~podrunner.config.ConfigWarning`.

        Args:
            path: The file.
            environ: The environment to read; None: this process's.
            overrides: Settings that win over all sources, by their dotted names: ``{"cluster": "local"}``.
            allow_commands: Run the commands that ``…_cmd`` options name. Without it such an option is an
                error, if its value is needed.
            strict: Make each warning an error.

        Raises:
            ConfigError: The file cannot be read, or a value in it is wrong.
        """
        from podrunner.config.airflow.cfg import read_airflow_cfg

        builder = read_airflow_cfg(
            path, cls, environ=environ, overrides=overrides, allow_commands=allow_commands
        )
        config = builder.build()
        report_findings(builder.findings, strict=strict, stacklevel=2)
        return config

    @classmethod
    def from_airflow_conf(
        cls,
        sections: Mapping[str, Mapping[str, Any]],
        *,
        overrides: Mapping[str, Any] | None = None,
        strict: bool = False,
    ) -> RunnerConfig:
        """Read a configuration that Airflow itself has read, in a process of Airflow's.

        The sections are read as those of an ``airflow.cfg``; ``[podrunner]`` holds settings of podrunner's own
        (``AIRFLOW__PODRUNNER__LOGS__FOLDER`` is ``logs.folder``), which win over Airflow's.

        Args:
            sections: Section → option → value: ``airflow.configuration.conf.as_dict(display_sensitive=True)``.
            overrides: Settings that win over all sources, by their dotted names.
            strict: Make each warning an error.

        Raises:
            ConfigError: A value is wrong.
        """
        from podrunner.config.airflow.cfg import read_airflow_conf

        builder = read_airflow_conf(sections, cls, overrides=overrides)
        config = builder.build()
        report_findings(builder.findings, strict=strict, stacklevel=2)
        return config

    @classmethod
    def from_file(
        cls,
        path: str | os.PathLike[str],
        *,
        environ: Mapping[str, str] | None = None,
        overrides: Mapping[str, Any] | None = None,
        allow_commands: bool = False,
        strict: bool = False,
    ) -> RunnerConfig:
        """Read podrunner's own TOML or YAML file, or an ``airflow.cfg``.

        The suffix decides: ``.toml``, ``.yaml``, ``.yml``, ``.json``, ``.cfg``, ``.ini``. ``PODRUNNER_*`` variables
        win over the file.

        Args:
            path: The file.
            environ: The environment to read; None: this process's.
            overrides: Settings that win over all sources, by their dotted names: ``{"cluster": "local"}``.
            allow_commands: For an ``airflow.cfg``: see :meth:`from_airflow_cfg`.
            strict: Make each warning an error.

        Raises:
            ConfigError: The file cannot be read, or a value in it is wrong.
        """
        from podrunner.config.files import read_file

        builder = read_file(path, cls, environ=environ, overrides=overrides, allow_commands=allow_commands)
        config = builder.build()
        report_findings(builder.findings, strict=strict, stacklevel=2)
        return config

    @classmethod
    def from_environ(cls, *, environ: Mapping[str, str] | None = None) -> RunnerConfig:
        """Read ``PODRUNNER_*`` variables only.

        The name is the setting's in capitals; ``__`` leads into nested settings: ``PODRUNNER_NAMESPACE``,
        ``PODRUNNER_WATCH__PAGE_SIZE``. Lists and mappings are JSON.

        Args:
            environ: The environment to read; None: this process's.

        Raises:
            ConfigError: A variable names no setting, or its value does not fit.
        """
        from podrunner.config.environment import read_environ

        return read_environ(cls, environ).build()

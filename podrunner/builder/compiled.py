"""Template and configuration, joined once for all pods that are built from them.

All these pods share the parts of a compiled pod, so they are never changed. The configuration's values win over the
template's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.builder.airflow import CONNECTION, is_template_all, worker_env, worker_mounts, worker_volumes
from podrunner.builder.env import Env, all_of, env_from, from_secrets, in_order, plain, referring, resolved
from podrunner.builder.git_sync import FS_GROUP
from podrunner.builder.labels import safe_label
from podrunner.builder.named import joined
from podrunner.builder.resources import resource_requirements
from podrunner.builder.shape import check_settings
from podrunner.builder.template import Template, opened
from podrunner.config import AirflowLine, AirflowSettings, DagsFromGit, RunnerConfig
from podrunner.merge.json_value import clone
from podrunner.workload.airflow import version_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Compiled", "compiled", "containers", "sidecars"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compiled:
    """The parts that all pods of a configuration and a template have in common.

    Attributes:
        labels: Labels that a workload may replace.
        identity_labels: Labels that it may not.
        version_label: Airflow's version, for those workers that bear it.
        template_annotations: Annotations of the template.
        annotations: Annotations of the configuration, for workloads without their own.
        metadata: The rest of the metadata.
        outcome_finalizer: Whether the pod bears podrunner's own finalizer.
        spec: The spec, but for containers and volumes.
        main: The main container, but for its variables.
        before: Containers before it.
        after: Containers after it.
        init: Init containers before and after git-sync.
        git: What git-sync clones; None: nothing.
        sidecars: Native sidecars: they start after the init containers.
        result_image: Image of the container from which results are read; None: the main container's.
        volumes: Volumes.
        first_env: Variables that come before a workload's.
        last_env: Variables that come after a workload's; the workload's value wins all the same.
        referring: Names of the configuration's variables whose values refer to others.
        env: All together, for workloads without variables.
        credentials: Variables of the main container whose values go into the pod's own Secret.
        git_password: git-sync's password, for the same Secret; None: it needs none.
        warnings: What has no effect, one sentence each.
    """

    labels: dict[str, str]
    identity_labels: dict[str, str]
    version_label: dict[str, str]
    template_annotations: dict[str, str]
    annotations: dict[str, str]
    metadata: dict[str, Any]
    outcome_finalizer: bool
    spec: dict[str, Any]
    main: dict[str, Any]
    before: list[dict[str, Any]]
    after: list[dict[str, Any]]
    init: tuple[list[dict[str, Any]], list[dict[str, Any]]]
    git: DagsFromGit | None
    sidecars: list[dict[str, Any]]
    result_image: str | None
    volumes: list[dict[str, Any]]
    first_env: Env
    last_env: Env
    referring: frozenset[str]
    env: Env
    credentials: dict[str, str]
    git_password: str | None
    warnings: tuple[str, ...]


def compiled(
    config: RunnerConfig,
    template: Mapping[str, Any] | None,
    *,
    container_name: str | None = None,
    owner: str | None = None,
) -> Compiled:
    """Return a configuration joined onto a template.

    Args:
        config: The configuration.
        template: A pod; None: an empty one.
        container_name: Name that the main container must have; None: the configuration decides.
        owner: The runner's name: Airflow's ``worker_uuid`` where the configuration has none; None: unknown.

    Raises:
        SpecError: The template does not have a pod's shape, or an element of a list has no name.
    """
    airflow = config.airflow
    all_in_it = is_template_all(airflow, template)
    named = container_name is not None or "container_name" in config.model_fields_set
    insist = named and not all_in_it
    start = opened(
        template,
        container=container_name or config.container_name,
        insist=insist,
        of_airflow=all_in_it,
        place="pod_template" if template is config.pod_template else "Workload.pod_template",
    )
    template_init = start.spec.pop("initContainers", None) or []
    first_env, last_env = _env(config, start, template_all=all_in_it)
    return Compiled(
        labels={**start.labels, **config.labels},
        identity_labels=_identity_labels(airflow, owner),
        version_label=version_label(airflow.version) if airflow is not None and airflow.version else {},
        template_annotations=start.annotations,
        annotations=dict(config.annotations),
        metadata=start.metadata,
        outcome_finalizer=config.outcome_finalizer,
        volumes=_volumes(config, start, template_all=all_in_it),
        spec=_spec(config, start),
        main=_main(config, start, template_all=all_in_it),
        before=start.before,
        after=start.after,
        init=(template_init, containers(config.init_containers, field="init_containers")),
        git=airflow.dags if airflow is not None and isinstance(airflow.dags, DagsFromGit) else None,
        sidecars=sidecars(config.sidecars, field="sidecars"),
        result_image=config.result_sidecar_image,
        first_env=first_env,
        last_env=last_env,
        referring=referring(config.env),
        env=resolved(in_order(first_env, last_env), referring(config.env)),
        credentials=_credentials(config),
        git_password=_git_password(airflow),
        warnings=(*start.warnings, *check_settings(config), *_warnings(airflow)),
    )


def containers(objects: Iterable[Mapping[str, Any]], *, field: str) -> list[dict[str, Any]]:
    """Return copies of containers; each must have a name."""
    return joined([], clone(list(objects)), field=field)


def sidecars(objects: Iterable[Mapping[str, Any]], *, field: str) -> list[dict[str, Any]]:
    """Return containers as native sidecars: init containers that keep running (KEP-753)."""
    return [{**container, "restartPolicy": "Always"} for container in containers(objects, field=field)]


def _identity_labels(airflow: AirflowSettings | None, owner: str | None) -> dict[str, str]:
    uuid = airflow.worker_uuid or owner if airflow is not None else None
    return {"airflow-worker": safe_label(uuid)} if uuid is not None else {}


def _warnings(airflow: AirflowSettings | None) -> tuple[str, ...]:
    if airflow is None or airflow.sql_alchemy_conn is None or airflow.line is not AirflowLine.V3:
        return ()
    return (
        "airflow.sql_alchemy_conn has no effect: workers of Airflow 3 never get the database's connection",
    )


def _volumes(config: RunnerConfig, start: Template, *, template_all: bool) -> list[dict[str, Any]]:
    worker = worker_volumes(config.airflow, template_all=template_all) if config.airflow is not None else []
    volumes = joined(start.spec.pop("volumes", None) or [], worker, field="airflow")
    return joined(volumes, clone(config.volumes), field="volumes")


def _env(config: RunnerConfig, start: Template, *, template_all: bool) -> tuple[Env, Env]:
    """Return the variables before and after those of a workload. Airflow's own win over the configuration's plain ones.

    An empty variable reserves the position of a credential: its Secret is named after the pod, which is not known yet.
    """
    template = all_of(start.main.pop("env", None) or [])
    airflow = worker_env(config.airflow, template_all=template_all) if config.airflow is not None else {}
    secret: Env = {name: {} for name in _credentials(config)}
    connection = {name: secret.pop(name) for name in (CONNECTION,) if name in secret}
    last = {**airflow, **connection, **from_secrets(config.secret_env), **secret}
    return {**template, **plain(config.env)}, last


def _spec(config: RunnerConfig, start: Template) -> dict[str, Any]:
    wanted = {
        "serviceAccountName": config.service_account_name,
        "priorityClassName": config.priority_class_name,
        "nodeSelector": dict(config.node_selector),
        "affinity": clone(config.affinity),
        "tolerations": clone(list(config.tolerations)),
        "imagePullSecrets": _named(start.spec, "imagePullSecrets", config.image_pull_secrets),
        "schedulingGates": _named(start.spec, "schedulingGates", config.scheduling_gates),
        "securityContext": _security(config, start),
    }
    given = {name: value for name, value in wanted.items() if value not in (None, {}, [])}
    return {"restartPolicy": "Never", **start.spec, **given}


def _named(spec: dict[str, Any], field: str, names: Iterable[str]) -> list[dict[str, Any]]:
    return joined(spec.get(field) or [], [{"name": name} for name in names], field=field)


def _security(config: RunnerConfig, start: Template) -> dict[str, Any]:
    security: dict[str, Any] = dict(start.spec.get("securityContext") or {})
    if config.run_as_user is not None:
        security["runAsUser"] = config.run_as_user
    if config.fs_group is not None:
        security["fsGroup"] = config.fs_group
    if _has_ssh_key(config.airflow):
        security.setdefault("fsGroup", FS_GROUP)
    return security


def _has_ssh_key(airflow: AirflowSettings | None) -> bool:
    dags = airflow.dags if airflow is not None else None
    return isinstance(dags, DagsFromGit) and dags.ssh_key_secret is not None


def _main(config: RunnerConfig, start: Template, *, template_all: bool) -> dict[str, Any]:
    worker = worker_mounts(config.airflow, template_all=template_all) if config.airflow is not None else []
    mounts = joined(start.main.pop("volumeMounts", None) or [], worker, key="mountPath", field="airflow")
    wanted = {
        "image": config.image,
        "imagePullPolicy": config.image_pull_policy,
        "resources": resource_requirements(config.resources) if config.resources is not None else None,
        "envFrom": [
            *(start.main.get("envFrom") or []),
            *env_from(config.env_from_secrets, config.env_from_configmaps),
        ],
        "volumeMounts": joined(mounts, clone(config.volume_mounts), key="mountPath", field="volume_mounts"),
    }
    return {**start.main, **{name: value for name, value in wanted.items() if value}}


def _credentials(config: RunnerConfig) -> dict[str, str]:
    credentials = {name: value.get_secret_value() for name, value in config.credentials.items()}
    airflow = config.airflow
    if airflow is not None and airflow.sql_alchemy_conn is not None and airflow.line is not AirflowLine.V3:
        brought = airflow.configmap is not None or CONNECTION in config.secret_env
        if not brought:
            credentials.setdefault(CONNECTION, airflow.sql_alchemy_conn.get_secret_value())
    return credentials


def _git_password(airflow: AirflowSettings | None) -> str | None:
    dags = airflow.dags if airflow is not None else None
    given = dags.password if isinstance(dags, DagsFromGit) else None
    return None if given is None else given.get_secret_value()

"""Building the plan of a workload's pod: the steps, in order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from podrunner.builder.airflow import DAGS_VOLUME, VERSIONED, check_line, with_hidden_task
from podrunner.builder.assembler import PodAssembler
from podrunner.builder.compiled import Compiled, compiled
from podrunner.builder.env import Env, from_own_secret, from_secrets, in_order, plain, referring, resolved
from podrunner.builder.git_sync import PASSWORD_KEY, clone_container
from podrunner.builder.hook import Identify, PodHook, with_hook
from podrunner.builder.labels import (
    DEFAULT_CONTAINER,
    OUTCOME_FINALIZER,
    RESULT_PATH,
    check_label_keys,
    safe_labels,
)
from podrunner.builder.manifest_hash import manifest_hash
from podrunner.builder.names import name_of, secret_key, secret_name
from podrunner.builder.overrides import checked_namespace, overridden, settle
from podrunner.builder.plan import PodPlan
from podrunner.builder.pod_override import with_pod_override
from podrunner.builder.result import RESULT_CONTAINER, fill_image
from podrunner.builder.secret import credentials_secret
from podrunner.builder.shape import (
    CHECKED_SETTINGS,
    check_between,
    check_settings,
    check_without_volumes,
)
from podrunner.errors import SpecError
from podrunner.merge.json_value import clone
from podrunner.workload import Workload, WorkloadKey

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig

__all__ = ["PodBuilder", "PodHook", "build_plan", "build_pod", "check_config", "pod_name"]

_OF_OTHER_PODS = CHECKED_SETTINGS | {
    "container_name",
    "overrides",
    "pod_override",
    "pod_template",
    "result_path",
}
"""Fields of workloads whose pods have other containers, volumes and mounts than the configuration's."""


def build_pod(config: RunnerConfig, workload: Workload) -> dict[str, Any]:
    """Build the manifest of a workload's pod.

    Args:
        config: The configuration.
        workload: What to run.

    Returns:
        The manifest, which the caller may change. It holds no credentials: it refers to a Secret, which
        :func:`build_plan` returns.

    Raises:
        SpecError: Template, configuration and workload together make no pod.
    """
    manifest: dict[str, Any] = clone(build_plan(config, workload).manifest)
    return manifest


def build_plan(config: RunnerConfig, workload: Workload) -> PodPlan:
    """Build a workload's pod and its Secret. For many workloads use one :class:`PodBuilder`.

    Raises:
        SpecError: Template, configuration and workload together make no pod.
    """
    return PodBuilder(config).build(workload)


def pod_name(config: RunnerConfig, key: WorkloadKey | Workload) -> str:
    """Return the name that a workload's pod has, or will have.

    Args:
        config: The configuration.
        key: The workload's key; or the workload, if it sets ``name``, as one of an Airflow task does.
    """
    del config  # no setting changes names today
    return name_of(key) if isinstance(key, WorkloadKey) else name_of(key.key, key.name)


def check_config(config: RunnerConfig) -> tuple[str, ...]:
    """Check what a configuration gives to every pod; return warnings, one sentence each.

    A mount without a volume is a warning, since workloads may bring the volume.

    Raises:
        SpecError: No pod can be made of it: a field of the template or of another setting is unknown or of the wrong
            type, or a name stands twice.
    """
    builder = PodBuilder(config)
    bare = Workload(key={"of": "check_config"}, image=config.image or "unset.invalid/image")
    plan = builder.draft(bare)
    return (*plan.warnings, *check_without_volumes(plan.manifest, config=config, workload=bare))


class PodBuilder:
    """Builds the pods of one configuration; the parts that they share are prepared and checked once."""

    __slots__ = ("_compiled", "_config", "_hook", "_is_sound", "_owner")

    def __init__(
        self, config: RunnerConfig, *, owner: str | None = None, pod_hook: PodHook | None = None
    ) -> None:
        """Prepare the configuration.

        Args:
            config: The configuration.
            owner: The runner's name, for the label ``airflow-worker`` of Airflow's workers; None: only a
                ``worker_uuid`` in the configuration or the task makes that label.
            pod_hook: Called with each finished pod. It sees name, namespace and identity, and cannot change them.

        Raises:
            SpecError: The configuration's template does not have a pod's shape.
        """
        self._config = config
        self._hook = pod_hook
        self._owner = owner
        self._is_sound = False
        self._compiled = compiled(config, config.pod_template, owner=owner)

    def build(self, workload: Workload) -> PodPlan:
        """Build a workload's pod and its Secret.

        Raises:
            SpecError: Template, configuration and workload together make no pod.
        """
        plan = self.draft(workload)
        given = workload.model_fields_set & _OF_OTHER_PODS
        is_plain = self._hook is None and not any(getattr(workload, field) for field in given)
        if is_plain and self._is_sound:
            return plan
        check_between(plan.manifest, config=self._config, workload=workload)
        self._is_sound = self._is_sound or is_plain
        return plan

    def draft(self, workload: Workload) -> PodPlan:
        """Build a pod whose fields need not fit together, since further settings are to come; else as ``build``."""
        check_line(self._config.airflow, workload)
        found = check_settings(workload, place="Workload.")
        namespace = checked_namespace(self._config, workload)
        common = self._common(workload)
        name = name_of(workload.key, workload.name)
        hidden = with_hidden_task(self._config.airflow, workload)
        credentials = _secret_values(common, hidden)
        pod, main, warnings = self._changed(_assembled(common, hidden, name), workload, common.main["name"])
        identify = partial(_identify, common=common, workload=workload, name=name)
        pod, further = self._hooked(pod, identify, namespace)
        if workload.overrides or self._hook is not None:
            settle(pod, workload.overrides, main=main)
        identify(pod)
        if namespace != self._config.namespace:
            pod["metadata"]["namespace"] = namespace
        _check_container(pod, main, what="main")
        if workload.result_path is not None:
            _check_container(pod, RESULT_CONTAINER, what="result's")
        return PodPlan(
            manifest=pod,
            secret=credentials_secret(name, credentials),
            key=workload.key,
            namespace=namespace,
            main_container=main,
            log_path=workload.relative_log_path,
            warnings=(*common.warnings, *found, *warnings, *further),
            manifest_hash=manifest_hash(workload),
        )

    def _common(self, workload: Workload) -> Compiled:
        if workload.pod_template is None and workload.container_name in {None, self._compiled.main["name"]}:
            return self._compiled
        template = self._config.pod_template if workload.pod_template is None else workload.pod_template
        return compiled(self._config, template, container_name=workload.container_name, owner=self._owner)

    def _changed(
        self, pod: dict[str, Any], workload: Workload, main: str
    ) -> tuple[dict[str, Any], str, tuple[str, ...]]:
        """Apply Airflow's override and the overrides; return the main container's name too."""
        warnings: tuple[str, ...] = ()
        if workload.pod_override:
            pod, main, warnings = with_pod_override(pod, workload.pod_override, main=main)
        if workload.overrides:
            pod, further = overridden(pod, workload.overrides)
            _check_changed(pod)
            warnings += further
        if workload.result_path is not None:
            fill_image(pod, main)
        return pod, main, warnings

    def _hooked(
        self, pod: dict[str, Any], identify: Identify, namespace: str
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        if self._hook is None:
            return pod, ()
        changed, warnings = with_hook(pod, self._hook, identify=identify, namespace=namespace)
        _check_changed(changed)
        return changed, warnings


def _check_changed(pod: dict[str, Any]) -> None:
    """Check that the pod still has what the builder changes in it."""
    for field in ("metadata", "spec"):
        if pod.get(field) is None:
            raise SpecError("is gone: an override or hook took it out", field=field)


def _assembled(common: Compiled, workload: Workload, name: str) -> dict[str, Any]:
    assembler = PodAssembler(common)
    assembler.apply(workload)
    env = _env(common, workload, secret_name(name))
    if env:
        assembler.main["env"] = list(env.values())
    assembler.spec["containers"] = [*common.before, assembler.main, *assembler.after]
    init = _init_containers(common, assembler, secret_name(name))
    if init:
        assembler.spec["initContainers"] = init
    if assembler.volumes:
        assembler.spec["volumes"] = assembler.volumes
    annotations = {**common.template_annotations, **assembler.annotations}
    if common.before:
        annotations[DEFAULT_CONTAINER] = common.main["name"]
    metadata = {**common.metadata, "labels": assembler.labels, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": assembler.spec}


def _env(common: Compiled, workload: Workload, secret: str) -> Env:
    own = (
        plain(workload.env),
        from_secrets(workload.secret_env),
        from_own_secret(workload.credentials, secret),
    )
    if not any(own) and not common.credentials:
        return common.env
    credentials = from_own_secret(common.credentials, secret)
    # A workload's plain variables come before Airflow's; all its values win, whatever their position.
    joined = in_order(common.first_env, own[0], common.last_env, credentials, *own)
    return resolved(joined, common.referring | referring(workload.env))


def _secret_values(common: Compiled, workload: Workload) -> dict[str, str]:
    """Return the values of the pod's Secret by key, without variables that the workload sets in another way."""
    if not (common.credentials or workload.credentials or common.git_password):
        return {}
    brought = workload.env.keys() | workload.secret_env.keys()
    values = {name: value for name, value in common.credentials.items() if name not in brought}
    values |= {name: value.get_secret_value() for name, value in workload.credentials.items()}
    keyed = {secret_key(name): value for name, value in values.items()}
    return keyed if common.git_password is None else {**keyed, PASSWORD_KEY: common.git_password}


def _init_containers(common: Compiled, assembler: PodAssembler, secret: str) -> list[dict[str, Any]]:
    clone_dags = common.git
    git = [] if clone_dags is None else [clone_container(clone_dags, dags_volume=DAGS_VOLUME, secret=secret)]
    return [*common.init[0], *git, *assembler.init, *assembler.sidecars]


def _identify(pod: dict[str, Any], common: Compiled, workload: Workload, *, name: str) -> None:
    """Set the name, the identity's labels and annotations, and our finalizer, over everything else."""
    check_label_keys(workload.identity_labels, field="Workload.identity_labels")
    given = pod["metadata"]
    labels = {
        **(given.pop("labels", None) or {}),
        **common.identity_labels,
        **(common.version_label if VERSIONED in workload.identity_labels else {}),
        **safe_labels(workload.identity_labels),
    }
    annotations = {**(given.pop("annotations", None) or {}), **workload.identity_annotations}
    if workload.result_path is not None:
        annotations[RESULT_PATH] = workload.result_path
    finalizers = _finalizers(given.pop("finalizers", None) or [], ours=common.outcome_finalizer)
    metadata: dict[str, Any] = {**given, "name": name}
    if finalizers:
        metadata["finalizers"] = finalizers
    if labels:
        metadata["labels"] = labels
    if annotations:
        metadata["annotations"] = annotations
    pod["metadata"] = metadata


def _finalizers(given: list[str], *, ours: bool) -> list[str]:
    """Return the user's finalizers, and ours only if the configuration asks for it: a copied one would stay."""
    others = [name for name in given if name != OUTCOME_FINALIZER]
    return [*others, OUTCOME_FINALIZER] if ours else others


def _check_container(pod: dict[str, Any], name: str, *, what: str) -> None:
    for container in pod["spec"].get("containers") or []:
        if container.get("name") == name:
            if not container.get("image"):
                problem = "no image: name one in the workload, the configuration or the template"
                raise SpecError(problem, field=f"spec.containers[{name}].image")
            return
    raise SpecError(
        f"the {what} container is gone: an override or hook took it out", field=f"spec.containers[{name}]"
    )

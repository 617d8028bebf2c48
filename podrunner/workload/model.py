"""The workload: what to run, as one value that a scheduler submits."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from podrunner.errors import SpecError
from podrunner.kubernetes_models import manifest_of
from podrunner.workload.airflow import AirflowTask, from_airflow, of_attempt
from podrunner.workload.files import read_document, read_pod_template
from podrunner.workload.key import WorkloadKey
from podrunner.workload.log_path import checked_log_path, default_log_path, log_path_of_attempt
from podrunner.workload.resources import Resources
from podrunner.workload.result_path import checked_result_path
from podrunner.workload.task_workload import check_sdk_workload
from podrunner.workload.validation import CheckedModel, unknown_name

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime
    from typing import Unpack

    from podrunner.workload.arguments import WorkloadArguments

__all__ = ["SecretKey", "Workload"]


# Kubernetes' relaxed rule (KEP-4369); before 1.30 it accepted no spaces and few punctuation characters.
_VARIABLE = re.compile(r"[ -<>-~]+")


def _no_lone_text(value: Any) -> Any:
    """Refuse a string, which Python would take as a sequence of characters."""
    if isinstance(value, str):
        raise ValueError('must be a list of words, as ["sh", "-c", "…"]')  # noqa: TRY004 - pydantic passes on only this
    return value


def _some_words(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value or not value[0]:
        raise ValueError("must name a program; leave it out to run the image's own entry point")
    return value


def _variable_name(value: str) -> str:
    if not _VARIABLE.fullmatch(value):
        raise ValueError("must be printable ASCII without '='")
    return value


def _loaded(value: Any) -> Any:
    return read_pod_template(value) if isinstance(value, Path) else manifest_of(value)


def _of_a_task(value: SecretStr) -> SecretStr:
    check_sdk_workload(value.get_secret_value())
    return value


Words = Annotated[tuple[str, ...], BeforeValidator(_no_lone_text)]
Command = Annotated[Words, AfterValidator(_some_words)]
Text = Annotated[str, Field(min_length=1)]
Variable = Annotated[str, AfterValidator(_variable_name)]
SecretKey = tuple[Text, Text]
"""Name of a Secret, and a key in it."""
Object = Annotated[dict[str, Any], BeforeValidator(manifest_of)]
"""An object of the Kubernetes API, as in a manifest; a client's model is converted."""
Objects = tuple[Object, ...]


class Workload(CheckedModel):
    """One attempt to run a program in a pod.

    Values here win over the configuration's. ``labels``, ``env``, ``secret_env``, ``credentials``, volumes, mounts,
    init containers and sidecars add to the configuration's (one of the same name replaces it); ``annotations``,
    ``node_selector``, ``affinity`` and ``tolerations`` replace the configuration's as a whole.

    Attributes:
        key: Identity and attempt; a plain mapping is read as the parts of a first attempt.
        command: The program and its first arguments. None runs the image's own entry point.
        args: Further arguments.
        image: None: the configuration's.
        image_pull_policy: None: the configuration's.
        image_pull_secrets: Names of Secrets, beside the configuration's.
        env: Plain environment variables.
        secret_env: Environment variables from Secrets that exist: name → (Secret, key).
        credentials: Environment variables whose values are secret: they go into a Secret that the pod owns.
        working_dir: None: the image's.
        resources: None: the configuration's.
        namespace: None: the configuration's.
        name: The beginning of the pod's name, any text (it is made safe); None: made from the key.
        container_name: Name of the main container; None: the template's first, else ``base``.
        labels: Labels; values are made safe where Kubernetes would refuse them.
        annotations: Annotations; any text.
        node_selector: Labels that the node must have.
        affinity: An ``Affinity`` object.
        tolerations: ``Toleration`` objects.
        volumes: ``Volume`` objects.
        volume_mounts: ``VolumeMount`` objects of the main container.
        init_containers: ``Container`` objects that run before.
        sidecars: ``Container`` objects that run beside (native sidecars, Kubernetes 1.29).
        service_account_name: None: the configuration's.
        priority_class_name: None: the configuration's.
        run_as_user: User id of all containers; None: the configuration's.
        fs_group: Group id that owns mounted volumes; None: the configuration's.
        scheduling_gates: Names of gates that keep the pod from being scheduled.
        active_deadline_s: Seconds after which the kubelet ends the pod; None: never.
        termination_grace_period_s: Seconds between SIGTERM and SIGKILL; None: the cluster's default (30).
        pod_override: A pod that is merged onto this one as Airflow does it: volumes, variables, mounts and ports are
            appended, containers are matched by position, and what is empty or false keeps the value that is there. It
            wins over the fields above.
        overrides: A strategic merge patch onto the finished pod; it wins over everything but the identity.
        pod_template: A pod to start from, as an object or the path of a file (read when the workload is
            created); None: the configuration's.
        log_path: Path of the log below the log folder; None: made from the key.
        result_path: A file that the main container writes, in a folder of its own: it is read when that container has
            ended with 0, and becomes ``Outcome.result``. None: there is none.
        identity_labels: Labels that win over all others, such as Airflow's ``dag_id``; values are made safe.
        identity_annotations: Annotations that win over all others.
        task_workload: The workload of a task of Airflow 3, or of a callback or connection test, as JSON: the arguments
            become the Task SDK's, with this in them, before ``args``. It holds a token, so it is shown in no
            representation.
    """

    key: WorkloadKey
    command: Command | None = None
    args: Words = ()
    image: Text | None = None
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    image_pull_secrets: Words = ()
    env: dict[Variable, str] = Field(default_factory=dict)
    secret_env: dict[Variable, SecretKey] = Field(default_factory=dict)
    credentials: dict[Variable, SecretStr] = Field(default_factory=dict)
    working_dir: Text | None = None
    resources: Resources | None = None
    namespace: Text | None = None
    name: str | None = None
    container_name: Text | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    node_selector: dict[str, str] = Field(default_factory=dict)
    affinity: Object = Field(default_factory=dict)
    tolerations: Objects = ()
    volumes: Objects = ()
    volume_mounts: Objects = ()
    init_containers: Objects = ()
    sidecars: Objects = ()
    service_account_name: Text | None = None
    priority_class_name: Text | None = None
    run_as_user: Annotated[int, Field(ge=0)] | None = None
    fs_group: Annotated[int, Field(ge=0)] | None = None
    scheduling_gates: Words = ()
    active_deadline_s: Annotated[int, Field(ge=1)] | None = None
    termination_grace_period_s: Annotated[int, Field(ge=0)] | None = None
    pod_override: Object = Field(default_factory=dict)
    overrides: Object = Field(default_factory=dict)
    pod_template: Annotated[dict[str, Any], BeforeValidator(_loaded)] | None = None
    log_path: Annotated[str, AfterValidator(checked_log_path)] | None = None
    result_path: Annotated[str, AfterValidator(checked_result_path)] | None = None
    identity_labels: dict[str, str] = Field(default_factory=dict)
    identity_annotations: dict[str, str] = Field(default_factory=dict)
    task_workload: Annotated[SecretStr, AfterValidator(_of_a_task)] | None = None

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[WorkloadArguments]) -> None: ...

    @property
    def relative_log_path(self) -> str:
        """``log_path``, or the path made from the key."""
        return self.log_path if self.log_path is not None else default_log_path(self.key)

    def of_try(self, key: WorkloadKey) -> Workload:
        """Return this workload as another try: a later attempt, or a relaunch of one.

        The attempt's number is updated in the log path, and in Airflow's ``try_number`` among the identity's labels and
        annotations.

        Args:
            key: The same identity, with the attempt and relaunch of the other try.

        Raises:
            SpecError: It is another attempt of a task of Airflow 3, for which Airflow itself makes the workload.
        """
        changes: dict[str, Any] = {"key": key}
        if key.attempt != self.key.attempt:
            if self.task_workload is not None:
                problem = "is one of a single try: Airflow 3 makes another for each try"
                raise SpecError(problem, field="Workload.task_workload", value=f"try {self.key.attempt}")
            changes["identity_labels"] = of_attempt(self.identity_labels, key.attempt)
            changes["identity_annotations"] = of_attempt(self.identity_annotations, key.attempt)
            if self.log_path is not None:
                changes["log_path"] = log_path_of_attempt(self.log_path, key.attempt, before=self.key.attempt)
        return self.model_copy(update=changes)

    @classmethod
    def airflow(  # noqa: PLR0913 - a task of Airflow has that many parts
        cls,
        *,
        dag_id: str | None = None,
        task_id: str | None = None,
        execution_date: str | datetime | None = None,
        run_id: str | None = None,
        try_number: int | None = None,
        map_index: int | None = None,
        pool: str | None = None,
        dag_file: str | None = None,
        airflow_version: str | None = None,
        task_workload: Any = None,
        executor_config: Mapping[str, Any] | None = None,
        worker_uuid: str | None = None,
        extra_args: Sequence[str] = (),
        result_path: str | None = None,
    ) -> Workload:
        """Return the workload of one try of an Airflow task, with Airflow's command, labels and log path.

        Args:
            dag_id: The DAG; None: that of ``task_workload``, as for the next five.
            task_id: The task.
            execution_date: The run's logical date; selects the form of 1.10 if no ``run_id`` is given.
            run_id: The run; selects the form of 2.x.
            try_number: From 1, which is the default.
            map_index: Index of a mapped task; -1: it is not mapped, which is the default.
            pool: Airflow's pool; None: ``default_pool`` in 1.10, and left to Airflow later.
            dag_file: Path of the DAG's file in the container; None: Airflow looks in its DAGs folder.
            airflow_version: The version in the image: it overrides the choice of the form, and becomes a
                label. None: the configuration's ``airflow.version`` becomes the label.
            task_workload: The task's workload for the Task SDK, which Airflow 3 needs: the ``ExecuteTask`` that Airflow
                hands to its executors, or the same as JSON text or as a mapping. Pool and file are in it.
            executor_config: The task's own settings: of 1.10 (``{"KubernetesExecutor": {"image": …}}``, or the inner
                mapping), or of 2.x and 3.x (``{"pod_override": …}``, a manifest or a model of the kubernetes client);
                None: those of an ``ExecuteTask``.
            worker_uuid: Value of the label ``airflow-worker``; None: the configuration's.
            extra_args: Appended to the command.
            result_path: See the attribute; Airflow's own sidecar reads ``/airflow/xcom/return.json``.

        Raises:
            SpecError: The task, its date, run or workload is missing, two arguments contradict each other, or
                ``executor_config`` has an unknown setting.
        """
        task = AirflowTask(
            dag_id=dag_id,
            task_id=task_id,
            execution_date=execution_date,
            run_id=run_id,
            try_number=try_number,
            map_index=map_index,
            pool=pool,
            dag_file=dag_file,
            airflow_version=airflow_version,
            task_workload=task_workload,
            executor_config=executor_config,
            worker_uuid=worker_uuid,
            extra_args=tuple(extra_args),
            result_path=result_path,
        )
        return cls(**from_airflow(task))

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Workload:
        """Return the workload that plain data describes, as a file holds it.

        Args:
            document: The attributes above or, if ``dag_id`` is among the names or ``task_workload`` is there without
                a ``key``, the parameters of ``airflow``.

        Raises:
            SpecError: A name is unknown, or a value is missing or malformed; ``field`` is its path.
        """
        if "dag_id" not in document and ("task_workload" not in document or "key" in document):
            return cls(**document)
        for name in document:
            if name not in AirflowTask.model_fields:
                raise unknown_name(name, AirflowTask.model_fields, place="Workload.airflow")
        return cls(**from_airflow(AirflowTask(**document)))

    @classmethod
    def from_file(cls, path: Path | str) -> Workload:
        """Read a workload from a JSON or YAML file; see ``from_dict`` for its content.

        A ``pod_template`` in it is an object, or a path relative to the file.

        Raises:
            SpecError: The file cannot be read, or does not hold a workload.
        """
        place = Path(path)
        document = read_document(place)
        template = document.get("pod_template")
        if isinstance(template, str):
            document["pod_template"] = place.parent / template
        try:
            return cls.from_dict(document)
        except SpecError as error:
            field = f"{place}: {error.field}" if error.field else str(place)
            raise SpecError(error.problem, field=field, value=error.value) from None

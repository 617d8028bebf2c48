"""Settings of Airflow's worker pods: the source of the DAGs, the log volume, the worker's configuration.

What belongs here: the data that turns a pod into an Airflow worker. Reading an ``airflow.cfg`` does not belong here
(``cfg.py``), nor do the settings of every pod (``podrunner.config.model``). Pure data.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal
from urllib.parse import parse_qs, urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from podrunner.config.airflow.version import AirflowLine, line_of
from podrunner.config.frozen import Secret, Settings, at_defaults
from podrunner.config.kubernetes_names import AbsolutePath, LabelValue, ObjectName, PlainText, RelativePath
from podrunner.redaction import looks_secret

if TYPE_CHECKING:
    from typing import Unpack

    from podrunner.config.arguments import AirflowArguments, DagsFromGitArguments

__all__ = [
    "AirflowSettings",
    "DagSource",
    "DagsFromClaim",
    "DagsFromGit",
    "DagsFromHostPath",
    "DagsInImage",
    "LogVolume",
    "LogsInEmptyDir",
    "LogsOnClaim",
    "LogsOnHostPath",
]


class DagsInImage(Settings):
    """The DAGs are in the worker's image (or come by the pod template): no volume is added."""

    kind: Literal["image"] = "image"


class DagsFromClaim(Settings):
    """The DAGs are on a persistent volume.

    Attributes:
        kind: ``claim``.
        claim: Name of the PersistentVolumeClaim, mounted read-only as volume ``airflow-dags``.
        subpath: Folder inside the volume; None: its root.
        mount_point: Where the worker mounts it; None: at the DAG folder.
    """

    kind: Literal["claim"] = "claim"
    claim: ObjectName
    subpath: RelativePath | None = None
    mount_point: AbsolutePath | None = None


class DagsFromHostPath(Settings):
    """The DAGs are in a folder of the node.

    Attributes:
        kind: ``host-path``.
        path: The folder on the node, mounted read-only as volume ``airflow-dags``.
        subpath: Folder inside it; None: the folder itself.
        mount_point: Where the worker mounts it; None: at the DAG folder.
    """

    kind: Literal["host-path"] = "host-path"
    path: AbsolutePath
    subpath: RelativePath | None = None
    mount_point: AbsolutePath | None = None


class DagsFromGit(Settings):
    """The DAGs are cloned by a git-sync init container before each task.

    Attributes:
        kind: ``git``.
        repo: URL of the repository, without credentials.
        branch: Branch to clone.
        rev: Commit or tag to check out; None: the branch's head.
        subpath: Folder of the DAGs inside the repository; "": its root.
        mount_point: Where the worker mounts the clone; the DAG folder is ``<mount_point>/<dest>/<subpath>``.
        root: Where the init container mounts the clone.
        dest: Name under which git-sync publishes it.
        depth: Commits of history to fetch; 0: all.
        username: User for https, or None.
        password: Password or token for https, or None. It goes into a Secret that the pod owns.
        credentials_secret: A Secret with keys ``GIT_SYNC_USERNAME`` and ``GIT_SYNC_PASSWORD``, instead of
            both above.
        ssh_key_secret: A Secret whose key ``gitSshKey`` is the private key for ssh, or None.
        known_hosts_configmap: A ConfigMap whose key ``known_hosts`` lists the hosts' keys, or None.
        image: The git-sync image.
        container_name: Name of the init container.
        run_as_user: User id of the init container; None: the image's own.
    """

    kind: Literal["git"] = "git"
    repo: PlainText
    branch: PlainText = "master"
    rev: PlainText | None = None
    subpath: RelativePath = ""
    mount_point: AbsolutePath
    root: AbsolutePath = "/git"
    dest: RelativePath = "repo"
    depth: int = Field(default=1, ge=0)
    username: PlainText | None = None
    password: Secret | None = None
    credentials_secret: ObjectName | None = None
    ssh_key_secret: ObjectName | None = None
    known_hosts_configmap: ObjectName | None = None
    image: PlainText = "k8s.gcr.io/git-sync:v3.1.1"
    container_name: ObjectName = "git-sync-clone"
    run_as_user: int | None = Field(default=None, ge=0)

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[DagsFromGitArguments]) -> None: ...

    @field_validator("repo")
    @classmethod
    def _without_password(cls, repo: str) -> str:
        if re.match(r"[a-z+]+://[^/@]*:[^/@]*@", repo):
            raise ValueError("the URL holds a password; Give it as username and password")
        if any(looks_secret(name) for name in parse_qs(urlsplit(repo).query)):
            raise ValueError("the URL's query holds a credential; Give it as username and password")
        return repo

    @model_validator(mode="after")
    def _one_credential(self) -> DagsFromGit:
        ways = {
            "username/password": self.username is not None or self.password is not None,
            "credentials_secret": self.credentials_secret is not None,
            "ssh_key_secret": self.ssh_key_secret is not None,
        }
        given = [name for name, is_given in ways.items() if is_given]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; Keep one")
        return self


DagSource = Annotated[
    DagsInImage | DagsFromClaim | DagsFromHostPath | DagsFromGit, Field(discriminator="kind")
]


class LogsInEmptyDir(Settings):
    """The worker's log folder is an emptyDir: what it holds goes with the pod."""

    kind: Literal["empty-dir"] = "empty-dir"


class LogsOnClaim(Settings):
    """The worker's log folder is on a persistent volume.

    Attributes:
        kind: ``claim``.
        claim: Name of the PersistentVolumeClaim, mounted as volume ``airflow-logs``.
        subpath: Folder inside the volume; None: its root.
    """

    kind: Literal["claim"] = "claim"
    claim: ObjectName
    subpath: RelativePath | None = None


class LogsOnHostPath(Settings):
    """The worker's log folder is a folder of the node.

    Attributes:
        kind: ``host-path``.
        path: The folder on the node, mounted as volume ``airflow-logs``.
        subpath: Folder inside it; None: the folder itself.
    """

    kind: Literal["host-path"] = "host-path"
    path: AbsolutePath
    subpath: RelativePath | None = None


LogVolume = Annotated[LogsInEmptyDir | LogsOnClaim | LogsOnHostPath, Field(discriminator="kind")]


def _known_version(version: str) -> str:
    line_of(version)
    return version


AirflowVersion = Annotated[str, AfterValidator(_known_version)]


class AirflowSettings(Settings):
    """What makes a pod an Airflow worker.

    Beside a pod template, and in Airflow 2 and 3, the template is the whole pod: of these settings only those that are
    not at their defaults are added to it.

    Attributes:
        home: ``AIRFLOW_HOME`` inside the worker.
        dags_folder: The DAG folder inside the worker; left out: ``<home>/dags``.
        base_log_folder: The log folder inside the worker; left out: ``<home>/logs``.
        executor: ``AIRFLOW__CORE__EXECUTOR`` inside the worker.
        sql_alchemy_conn: Connection string of Airflow's database, or None. It reaches the worker through a
            Secret that the pod owns, and only if ``configmap`` is None and no secret variable of that name is
            set.
        configmap: A ConfigMap whose key ``airflow.cfg`` is mounted as the worker's configuration, or None.
        local_settings_configmap: A ConfigMap whose key ``airflow_local_settings.py`` is mounted under
            ``<home>/config``, or None.
        dags: Where the DAGs come from.
        logs: What the worker's log folder is.
        worker_uuid: Value of the label ``airflow-worker``, the scheduler's identity; None: no such label.
        version: The version in the worker's image, such as ``2.9.2``, or just its line (``1.10``, ``2`` or ``3``): it
            decides what a worker's pod is made of. None: not known; without a pod template it is then that of 1.10.
        task_workload_in_secret: Whether the workload of a task of Airflow 3, which holds the task's token, goes into
            the Secret that the pod owns. As in Airflow, it stands in the arguments otherwise, where all who may read
            pods see it. Costs one request more per pod.
    """

    home: AbsolutePath = "/opt/airflow"
    dags_folder: AbsolutePath = Field(default_factory=lambda given: _under_home(given, "dags"))
    base_log_folder: AbsolutePath = Field(default_factory=lambda given: _under_home(given, "logs"))
    executor: PlainText = "LocalExecutor"
    sql_alchemy_conn: Secret | None = None
    configmap: ObjectName | None = None
    local_settings_configmap: ObjectName | None = None
    dags: DagSource = at_defaults(DagsInImage)
    logs: LogVolume = at_defaults(LogsInEmptyDir)
    worker_uuid: LabelValue | None = None
    version: AirflowVersion | None = None
    task_workload_in_secret: bool = False

    @property
    def line(self) -> AirflowLine | None:
        """The line of ``version``; None: it is not known."""
        return None if self.version is None else line_of(self.version)

    if TYPE_CHECKING:

        def __init__(self, **arguments: Unpack[AirflowArguments]) -> None: ...


def _under_home(given: dict[str, Any], folder: str) -> str:
    """Return a folder below the home, which pydantic validated before it (absent if it was refused)."""
    return f"{given.get('home', '').rstrip('/')}/{folder}"

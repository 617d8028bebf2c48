"""The table of Airflow's options: default, podrunner's setting, effect. Loading and the documentation share it.

What belongs here: facts, one row per option. How several options become one setting does not belong here
(``conversion.py``, ``volumes.py``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

__all__ = [
    "FREE_SECTIONS",
    "KUBERNETES_SECTIONS",
    "OPTIONS",
    "SENSITIVE",
    "FreeSection",
    "Kind",
    "Option",
    "options_of",
]

KUBERNETES_SECTIONS = ("kubernetes_executor", "kubernetes")
"""The section of Airflow 2.5 and later, and its name before; the first wins where both set an option."""

Kind = Literal["text", "flag", "integer", "csv", "json object", "json list"]


@dataclass(frozen=True, slots=True)
class Option:
    """One option of Airflow.

    Attributes:
        key: Its name.
        default: Airflow's own default, as text; "" is none.
        setting: podrunner's settings, dotted, with ', ' between them; None: the option has no meaning here.
        effect: What it does, or, if it has no meaning here, its replacement.
        kind: How the text is read.
        decided: A function of ``conversion.py`` or ``volumes.py`` decides what becomes of the value; otherwise it goes
            into the setting as it is.
        since: The Airflow version that brought it, ``1.10.4`` for all before; ``provider``: Airflow 2 and
            later.
        section: ``kubernetes`` (both names of that section), or the sections where it stands, newest first.
        aliases: Older names.
        own_default: podrunner's default holds where the file does not set the option, not Airflow's.
        later_default: Airflow's default in later versions, where that is another.
    """

    key: str
    default: str
    setting: str | None
    effect: str
    kind: Kind = "text"
    decided: bool = False
    since: str = "1.10.4"
    section: tuple[str, ...] = KUBERNETES_SECTIONS
    aliases: tuple[str, ...] = ()
    own_default: bool = False
    later_default: str = ""

    @property
    def is_direct(self) -> bool:
        """Whether the value goes into the setting as it is."""
        return self.setting is not None and not self.decided


@dataclass(frozen=True, slots=True)
class FreeSection:
    """A section whose keys are the user's own.

    Attributes:
        name: The section.
        setting: podrunner's setting that takes its entries.
        effect: What it does.
    """

    name: str
    setting: str
    effect: str


FREE_SECTIONS = (
    FreeSection("kubernetes_secrets", "secret_env", "`NAME = secret=key`: a variable from a Secret"),
    FreeSection("kubernetes_environment_variables", "env", "variables of the worker, in plain text"),
    FreeSection(
        "kubernetes_node_selectors", "node_selector", "the node selector, where the task brings none"
    ),
    FreeSection("kubernetes_annotations", "annotations", "annotations, where the task brings none"),
    FreeSection("kubernetes_labels", "labels", "labels; the task's win, then those of its identity"),
)

SENSITIVE = frozenset({"sql_alchemy_conn", "git_password"})
"""Options that may also be written ``<key>_cmd`` and ``<key>_secret``, as in Airflow's own list."""

# Each option is a row: the formatter would give each argument a line.
# fmt: off
OPTIONS: tuple[Option, ...] = (
    # Where Airflow's files are, and its database
    Option("airflow_home", "~/airflow", "airflow.home",
           "`AIRFLOW_HOME` of the worker; the variable `AIRFLOW_HOME` wins", decided=True, section=("core",)),
    Option("dags_folder", "{AIRFLOW_HOME}/dags", "airflow.dags_folder",
           "the DAG folder of the worker", section=("core",)),
    Option("base_log_folder", "{AIRFLOW_HOME}/logs", "airflow.base_log_folder, logs.folder",
           "the log folder of the worker; podrunner collects logs into the same folder here",
           decided=True, section=("logging", "core")),
    Option("sql_alchemy_conn", "", "airflow.sql_alchemy_conn",
           "connection string, handed over in a Secret that the pod owns; not at all where "
           "`airflow_configmap` is set",
           decided=True, section=("database", "core")),
    Option("log_filename_template", "{{ ti.dag_id }}/{{ ti.task_id }}/{{ ts }}/{{ try_number }}.log", None,
           "the workload's `log_path` names the file; by default Airflow 1.10's layout",
           section=("logging", "core"),
           later_default="dag_id={{ ti.dag_id }}/run_id={{ ti.run_id }}/task_id={{ ti.task_id }}/"
                         "{% if ti.map_index >= 0 %}map_index={{ ti.map_index }}/"
                         "{% endif %}attempt={{ try_number }}.log"),

    # The worker's pod
    Option("worker_container_repository", "", "image", "image, with the tag below", decided=True),
    Option("worker_container_tag", "", "image", "the image's tag", decided=True),
    Option("worker_container_image_pull_policy", "IfNotPresent", "image_pull_policy", "`imagePullPolicy`"),
    Option("image_pull_secrets", "", "image_pull_secrets", "`imagePullSecrets`", "csv"),
    Option("worker_service_account_name", "", "service_account_name", "`serviceAccountName`"),
    Option("env_from_configmap_ref", "", "env_from_configmaps", "`envFrom` config maps", "csv"),
    Option("env_from_secret_ref", "", "env_from_secrets", "`envFrom` Secrets, before the config maps", "csv"),
    Option("affinity", "", "affinity", "`affinity`", "json object"),
    Option("tolerations", "", "tolerations", "`tolerations`", "json list"),
    Option("run_as_user", "", "run_as_user",
           "`runAsUser` of the pod (50000 by default in 1.10.11 to 1.10.15: say it)", "integer"),
    Option("fs_group", "", "fs_group", "`fsGroup` of the pod", "integer"),
    Option("pod_template_file", "", "pod_template",
           "a pod onto which all else is merged", decided=True, since="1.10.11"),
    Option("gcp_service_account_keys", "", None,
           "make the Secrets yourself (`kubectl create secret generic NAME --from-file=key.json`) and "
           "mount them by `volumes`"),

    # Configuration, DAGs and logs of the worker
    Option("airflow_configmap", "", "airflow.configmap",
           "mounted as the worker's `airflow.cfg`; the connection string is then not put into the "
           "environment"),
    Option("airflow_local_settings_configmap", "", "airflow.local_settings_configmap",
           "mounted as the worker's `airflow_local_settings.py`", since="1.10.8"),
    Option("dags_in_image", "False", "airflow.dags",
           "the image has the DAGs: no volume", "flag", decided=True),
    Option("dags_volume_claim", "", "airflow.dags", "DAGs from a persistent volume", decided=True),
    Option("dags_volume_host", "", "airflow.dags", "DAGs from a folder of the node", decided=True),
    Option("dags_volume_subpath", "", "airflow.dags.subpath", "folder in that volume", decided=True),
    Option("dags_volume_mount_point", "", "airflow.dags.mount_point",
           "where the volume is mounted, if not at the DAG folder", decided=True, since="1.10.11"),
    Option("logs_volume_claim", "", "airflow.logs", "log folder on a persistent volume", decided=True),
    Option("logs_volume_host", "", "airflow.logs", "log folder on the node", decided=True),
    Option("logs_volume_subpath", "", "airflow.logs.subpath", "folder in that volume", decided=True),

    # DAGs by git-sync
    Option("git_repo", "", "airflow.dags.repo",
           "DAGs cloned by git-sync, with the two options below", decided=True),
    Option("git_branch", "", "airflow.dags.branch", "branch to clone", decided=True),
    Option("git_dags_folder_mount_point", "", "airflow.dags.mount_point",
           "where the worker mounts the clone; without it the git options are inert", decided=True),
    Option("git_subpath", "", "airflow.dags.subpath", "the DAGs' folder in the repository", decided=True),
    Option("git_sync_rev", "", "airflow.dags.rev", "commit or tag", decided=True, since="1.10.7"),
    Option("git_user", "", "airflow.dags.username", "user for https", decided=True),
    Option("git_password", "", "airflow.dags.password",
           "password for https, handed over in a Secret that the pod owns", decided=True),
    Option("git_sync_credentials_secret", "", "airflow.dags.credentials_secret",
           "a Secret with both, instead", decided=True, since="1.10.5"),
    Option("git_ssh_key_secret_name", "", "airflow.dags.ssh_key_secret",
           "a Secret with the ssh key, instead", decided=True),
    Option("git_ssh_known_hosts_configmap_name", "", "airflow.dags.known_hosts_configmap",
           "known hosts", decided=True),
    Option("git_sync_root", "/git", "airflow.dags.root", "the init container's mount", decided=True),
    Option("git_sync_dest", "repo", "airflow.dags.dest",
           "the clone's name in it", decided=True, aliases=("git_sync_path",)),
    Option("git_sync_depth", "1", "airflow.dags.depth",
           "commits of history", "integer", decided=True, since="1.10.11"),
    Option("git_sync_container_repository", "k8s.gcr.io/git-sync", "airflow.dags.image",
           "the git-sync image", decided=True),
    Option("git_sync_container_tag", "v3.1.1", "airflow.dags.image", "its tag", decided=True),
    Option("git_sync_init_container_name", "git-sync-clone", "airflow.dags.container_name",
           "the init container's name", decided=True),
    Option("git_sync_run_as_user", "65533", "airflow.dags.run_as_user",
           "its user id", "integer", decided=True, since="1.10.5"),

    # Access to the cluster
    Option("in_cluster", "True", "cluster", "`in-cluster`; False: `kubeconfig`", "flag", decided=True),
    Option("cluster_context", "", "context", "the kubeconfig's context", decided=True),
    Option("config_file", "", "kubeconfig", "the kubeconfig", decided=True),
    Option("namespace", "default", "namespace", "where pods go"),
    Option("multi_namespace_mode", "False", "all_namespaces",
           "watch the whole cluster, or the namespaces below", "flag", decided=True, since="1.10.12"),
    Option("multi_namespace_mode_namespace_list", "", "namespaces",
           "the namespaces to watch", "csv", decided=True, since="provider"),
    Option("kube_client_request_args", "", "request_timeout_s, connect_timeout_s",
           "`_request_timeout`: seconds, or [connect, read]; other arguments have no meaning here",
           "json object", decided=True),
    Option("verify_ssl", "True", "verify_ssl", "check the server's certificate", "flag", since="provider"),
    Option("ssl_ca_cert", "", "ssl_ca_cert", "CA certificates", since="provider"),
    Option("enable_tcp_keepalive", "True", "tcp_keepalive.enabled",
           "TCP keepalive", "flag", since="provider"),
    Option("tcp_keep_idle", "120", "tcp_keepalive.idle_s",
           "seconds before the first probe", "integer", since="provider"),
    Option("tcp_keep_intvl", "30", "tcp_keepalive.interval_s",
           "seconds between probes", "integer", since="provider"),
    Option("tcp_keep_cnt", "6", "tcp_keepalive.count", "unanswered probes", "integer", since="provider"),
    Option("api_client_retry_configuration", "", "retry, create_retry",
           "urllib3's `total` (attempts after the first) and `backoff_factor` (first wait); its other "
           "keys have no meaning here",
           "json object", decided=True, since="provider"),
    Option("client_factory", "", None, "hand your own `ApiClient` to the runner", since="provider"),
    Option("async_client_factory", "", None, "hand your own `ApiClient` to the runner", since="provider"),

    # Creating and deleting pods
    Option("delete_worker_pods", "True", "delete_pods", "delete a pod when it succeeded", "flag"),
    Option("delete_worker_pods_on_failure", "False", "delete_pods_on_failure",
           "delete it also when it failed", "flag", since="1.10.11"),
    Option("delete_option_kwargs", "", "delete_grace_period_s",
           "`grace_period_seconds`; other arguments have no meaning here",
           "json object", decided=True, since="1.10.12"),
    Option("worker_pods_creation_batch_size", "1", "max_creates_in_flight",
           "an upper bound of creates at once; 1, Airflow's default, leaves it to podrunner",
           "integer", decided=True, own_default=True),
    Option("pod_creation_max_concurrency", "0", "max_creates_in_flight",
           "the same, and it wins; 0 leaves it to podrunner",
           "integer", decided=True, since="provider", own_default=True),
    Option("async_pod_creation", "False", None,
           "podrunner always creates concurrently", "flag", since="provider"),
    Option("task_publish_max_retries", "0", "create_retry.attempts",
           "retries of a create; -1: without limit; 0, Airflow's default, leaves it to podrunner",
           "integer", decided=True, since="provider", own_default=True),
    Option("pod_launch_failure_retries", "1", "run_retry.infrastructure_retries",
           "free retries of what `runner.run` runs, for pods that came to nothing before the work began",
           "integer", since="provider", own_default=True),
    Option("pod_launch_failure_excluded_container_reasons", "Error", None,
           "see `Outcome.reason` and `Outcome.retryable`", "csv", since="provider"),
    Option("worker_pod_pending_fatal_container_state_reasons",
           "CreateContainerConfigError,ErrImagePull,CreateContainerError,ImageInspectError,InvalidImageName",
           "pending.fatal_reasons",
           "waiting reasons that end a pod at once; Airflow's own list leaves it to podrunner, which "
           "gives registries and Secrets a grace time instead",
           "csv", decided=True, since="provider", own_default=True),
    Option("worker_pods_pending_timeout", "300", "pending.startup_timeout_s",
           "seconds until a pod must run (podrunner's default: no limit beyond those per cause)",
           "integer", since="provider", own_default=True),
    Option("worker_pods_pending_timeout_check_interval", "120", None,
           "podrunner watches and needs no checks", "integer", since="provider"),
    Option("worker_pods_pending_timeout_batch_size", "100", None,
           "podrunner watches and needs no checks", "integer", since="provider"),
    Option("worker_pods_queued_check_interval", "60", None,
           "podrunner watches and needs no checks", "integer", since="provider"),
    Option("logs_task_metadata", "False", None,
           "log records carry the workload's key", "flag", since="provider"),
    Option("running_pod_log_lines", "100", None,
           "logs are followed from the first line; a reader chooses how many to show",
           "integer", since="provider"),
)
# fmt: on


def options_of(section: str) -> tuple[Option, ...]:
    """Return the options that may stand in a section."""
    return tuple(option for option in OPTIONS if section in option.section)

"""Airflow's options that shape the worker pod: image, volumes, DAGs, logs, git-sync.

What belongs here: facts, one record per option.
"""

from __future__ import annotations

from podrunner.config.airflow_option_types import Option

__all__ = ["WORKER_OPTIONS"]

_PLACE = (
    Option(
        "airflow_home",
        "~/airflow",
        "airflow.home",
        "`AIRFLOW_HOME` of the worker; the variable `AIRFLOW_HOME` wins",
        direct=False,
        section=("core",),
    ),
    Option(
        "dags_folder",
        "{AIRFLOW_HOME}/dags",
        "airflow.dags_folder",
        "the DAG folder of the worker",
        section=("core",),
    ),
    Option(
        "base_log_folder",
        "{AIRFLOW_HOME}/logs",
        "airflow.base_log_folder, logs.folder",
        "the log folder of the worker; podrunner collects logs into the same folder here",
        direct=False,
        section=("logging", "core"),
    ),
    Option(
        "sql_alchemy_conn",
        "",
        "airflow.sql_alchemy_conn",
        "connection string, handed over in a Secret that the "
        "pod owns; not at all where `airflow_configmap` is set",
        direct=False,
        section=("database", "core"),
    ),
    Option(
        "log_filename_template",
        "{{ ti.dag_id }}/{{ ti.task_id }}/{{ ts }}/{{ try_number }}.log",
        None,
        "the workload's `log_path` names the file; by default Airflow 1.10's layout",
        direct=False,
        section=("logging", "core"),
        later_default="dag_id={{ ti.dag_id }}/run_id={{ ti.run_id }}/task_id={{ ti.task_id }}/"
        "{% if ti.map_index >= 0 %}map_index={{ ti.map_index }}/{% endif %}attempt={{ try_number }}.log",
    ),
)

_POD = (
    Option("worker_container_repository", "", "image", "image, with the tag below", direct=False),
    Option("worker_container_tag", "", "image", "the image's tag", direct=False),
    Option("worker_container_image_pull_policy", "IfNotPresent", "image_pull_policy", "`imagePullPolicy`"),
    Option("image_pull_secrets", "", "image_pull_secrets", "`imagePullSecrets`", "csv"),
    Option("worker_service_account_name", "", "service_account_name", "`serviceAccountName`"),
    Option("env_from_configmap_ref", "", "env_from_configmaps", "`envFrom` config maps", "csv"),
    Option("env_from_secret_ref", "", "env_from_secrets", "`envFrom` Secrets, before the config maps", "csv"),
    Option("affinity", "", "affinity", "`affinity`", "json object"),
    Option("tolerations", "", "tolerations", "`tolerations`", "json list"),
    Option(
        "run_as_user",
        "",
        "run_as_user",
        "`runAsUser` of the pod (50000 by default in 1.10.11 to 1.10.15: say it)",
        "integer",
    ),
    Option("fs_group", "", "fs_group", "`fsGroup` of the pod", "integer"),
    Option(
        "pod_template_file",
        "",
        "pod_template",
        "a pod onto which all else is merged",
        direct=False,
        since="1.10.11",
    ),
    Option(
        "gcp_service_account_keys",
        "",
        None,
        "make the Secrets yourself (`kubectl create secret generic NAME "
        "--from-file=key.json`) and mount them by `volumes`",
        direct=False,
    ),
)

_AIRFLOW = (
    Option(
        "airflow_configmap",
        "",
        "airflow.configmap",
        "mounted as the worker's `airflow.cfg`; the connection string is then not put into the environment",
    ),
    Option(
        "airflow_local_settings_configmap",
        "",
        "airflow.local_settings_configmap",
        "mounted as the worker's `airflow_local_settings.py`",
        since="1.10.8",
    ),
    Option(
        "dags_in_image", "False", "airflow.dags", "the image has the DAGs: no volume", "flag", direct=False
    ),
    Option("dags_volume_claim", "", "airflow.dags", "DAGs from a persistent volume", direct=False),
    Option("dags_volume_host", "", "airflow.dags", "DAGs from a folder of the node", direct=False),
    Option("dags_volume_subpath", "", "airflow.dags.subpath", "folder in that volume", direct=False),
    Option(
        "dags_volume_mount_point",
        "",
        "airflow.dags.mount_point",
        "where the volume is mounted, if not at the DAG folder",
        direct=False,
        since="1.10.11",
    ),
    Option("logs_volume_claim", "", "airflow.logs", "log folder on a persistent volume", direct=False),
    Option("logs_volume_host", "", "airflow.logs", "log folder on the node", direct=False),
    Option("logs_volume_subpath", "", "airflow.logs.subpath", "folder in that volume", direct=False),
)

_GIT = (
    Option(
        "git_repo",
        "",
        "airflow.dags.repo",
        "DAGs cloned by git-sync, with the two options below",
        direct=False,
    ),
    Option("git_branch", "", "airflow.dags.branch", "branch to clone", direct=False),
    Option(
        "git_dags_folder_mount_point",
        "",
        "airflow.dags.mount_point",
        "where the worker mounts the clone; without it the git options are inert",
        direct=False,
    ),
    Option("git_subpath", "", "airflow.dags.subpath", "the DAGs' folder in the repository", direct=False),
    Option("git_sync_rev", "", "airflow.dags.rev", "commit or tag", direct=False, since="1.10.7"),
    Option("git_user", "", "airflow.dags.username", "user for https", direct=False),
    Option(
        "git_password",
        "",
        "airflow.dags.password",
        "password for https, handed over in a Secret that the pod owns",
        direct=False,
    ),
    Option(
        "git_sync_credentials_secret",
        "",
        "airflow.dags.credentials_secret",
        "a Secret with both, instead",
        direct=False,
        since="1.10.5",
    ),
    Option(
        "git_ssh_key_secret_name",
        "",
        "airflow.dags.ssh_key_secret",
        "a Secret with the ssh key, instead",
        direct=False,
    ),
    Option(
        "git_ssh_known_hosts_configmap_name",
        "",
        "airflow.dags.known_hosts_configmap",
        "known hosts",
        direct=False,
    ),
    Option("git_sync_root", "/git", "airflow.dags.root", "the init container's mount", direct=False),
    Option(
        "git_sync_dest",
        "repo",
        "airflow.dags.dest",
        "the clone's name in it",
        direct=False,
        aliases=("git_sync_path",),
    ),
    Option(
        "git_sync_depth",
        "1",
        "airflow.dags.depth",
        "commits of history",
        "integer",
        direct=False,
        since="1.10.11",
    ),
    Option(
        "git_sync_container_repository",
        "k8s.gcr.io/git-sync",
        "airflow.dags.image",
        "the git-sync image",
        direct=False,
    ),
    Option("git_sync_container_tag", "v3.1.1", "airflow.dags.image", "its tag", direct=False),
    Option(
        "git_sync_init_container_name",
        "git-sync-clone",
        "airflow.dags.container_name",
        "the init container's name",
        direct=False,
    ),
    Option(
        "git_sync_run_as_user",
        "65533",
        "airflow.dags.run_as_user",
        "its user id",
        "integer",
        direct=False,
        since="1.10.5",
    ),
)

WORKER_OPTIONS: tuple[Option, ...] = (*_PLACE, *_POD, *_AIRFLOW, *_GIT)

"""Airflow's options for DAGs and logs: rows of the table.

What belongs here: facts, one row per option. Which of several sources of DAGs counts is in
``podrunner.config.airflow.volumes``.
"""

from __future__ import annotations

from podrunner.config.airflow.options.record import CORE, LOGGING, REMOVED_IN_2, Option, Place

__all__ = ["DAGS_AND_LOGS"]

_VOLUME = "spec.volumes and a mount"
_GIT = "spec.initContainers"
_BY_RUN = (
    "dag_id={{ ti.dag_id }}/run_id={{ ti.run_id }}/task_id={{ ti.task_id }}/"
    "{% if ti.map_index >= 0 %}map_index={{ ti.map_index }}/{% endif %}"
)
"""The folder of a task's logs since 2.3, before the number of the try."""

# Each option is a row: the formatter would give each argument a line.
# fmt: off
DAGS_AND_LOGS: tuple[Option, ...] = (
    Option("dags_folder", "{AIRFLOW_HOME}/dags", "airflow.dags_folder",
           "the DAG folder of the worker. Later versions leave it to the worker's own configuration",
           places=CORE, in_template=f"{_VOLUME}", reader="worker"),
    Option("dags_in_image", "False", "airflow.dags", "the image has the DAGs: no volume", "flag",
           decided=True, until=REMOVED_IN_2, in_template=_VOLUME),
    Option("dags_volume_claim", "", "airflow.dags", "DAGs from a persistent volume",
           decided=True, until=REMOVED_IN_2, in_template=_VOLUME),
    Option("dags_volume_host", "", "airflow.dags", "DAGs from a folder of the node",
           decided=True, until=REMOVED_IN_2, in_template=_VOLUME),
    Option("dags_volume_subpath", "", "airflow.dags.subpath", "folder in that volume",
           decided=True, until=REMOVED_IN_2, in_template="the mount's subPath"),
    Option("dags_volume_mount_point", "", "airflow.dags.mount_point",
           "where the volume is mounted, if not at the DAG folder",
           decided=True, since="1.10.11", until=REMOVED_IN_2, in_template="the mount's mountPath"),
    Option("logs_volume_claim", "", "airflow.logs", "log folder on a persistent volume",
           decided=True, until=REMOVED_IN_2, in_template=_VOLUME),
    Option("logs_volume_host", "", "airflow.logs", "log folder on the node",
           decided=True, until=REMOVED_IN_2, in_template=_VOLUME),
    Option("logs_volume_subpath", "", "airflow.logs.subpath", "folder in that volume",
           decided=True, until=REMOVED_IN_2, in_template="the mount's subPath"),

    Option("base_log_folder", "{AIRFLOW_HOME}/logs", "airflow.base_log_folder, logs.folder",
           "podrunner collects logs into this folder here; in 1.10 it is the log folder of the worker too",
           decided=True, places=LOGGING),
    Option("log_filename_template", "{{ ti.dag_id }}/{{ ti.task_id }}/{{ ts }}/{{ try_number }}.log", None,
           "the workload's `log_path` names the file; by default Airflow 1.10's layout",
           places=LOGGING,
           later_defaults=(f"{_BY_RUN}attempt={{{{ try_number }}}}.log",
                           f"{_BY_RUN}attempt={{{{ try_number|default(ti.try_number) }}}}.log")),
    Option("remote_logging", "False", None,
           "the worker sends its log to the remote store as in Airflow; podrunner collects the container's "
           "output and reads no remote store",
           "flag", decided=True, places=LOGGING),
    Option("remote_base_log_folder", "", None, "where the worker sends its log", places=LOGGING, reader="worker"),
    Option("remote_log_conn_id", "", None, "the connection for it", places=LOGGING, reader="worker"),
    Option("delete_local_logs", "False", None, "whether the worker removes its own copy then",
           since="2.6.0", places=LOGGING[:1], reader="worker"),
    Option("worker_log_server_port", "8793", None,
           "`logs.server_url` names the log server of workers, port included",
           since="1.10.4", places=(Place("logging", "2.2"), Place("celery", "1.10", "2.11")),
           reader="worker"),
    Option("dag_bundle_config_list", "", None, "where the worker gets its DAGs from",
           since="3.0.0", places=(Place("dag_processor"),), reader="worker"),

    # DAGs by git-sync
    Option("git_repo", "", "airflow.dags.repo", "DAGs cloned by git-sync, with the two options below",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_branch", "", "airflow.dags.branch", "branch to clone",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_dags_folder_mount_point", "", "airflow.dags.mount_point",
           "where the worker mounts the clone; without it the git options are inert",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_subpath", "", "airflow.dags.subpath", "the DAGs' folder in the repository",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_rev", "", "airflow.dags.rev", "commit or tag",
           decided=True, since="1.10.7", until=REMOVED_IN_2, in_template=_GIT),
    Option("git_user", "", "airflow.dags.username", "user for https",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_password", "", "airflow.dags.password",
           "password for https, handed over in a Secret that the pod owns",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_credentials_secret", "", "airflow.dags.credentials_secret",
           "a Secret with both, instead",
           decided=True, since="1.10.5", until=REMOVED_IN_2, in_template=_GIT),
    Option("git_ssh_key_secret_name", "", "airflow.dags.ssh_key_secret",
           "a Secret with the ssh key, instead",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_ssh_known_hosts_configmap_name", "", "airflow.dags.known_hosts_configmap", "known hosts",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_root", "/git", "airflow.dags.root", "the init container's mount",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_dest", "repo", "airflow.dags.dest", "the clone's name in it",
           decided=True, until=REMOVED_IN_2, in_template=_GIT, aliases=("git_sync_path",)),
    Option("git_sync_depth", "1", "airflow.dags.depth", "commits of history", "integer",
           decided=True, since="1.10.11", until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_container_repository", "k8s.gcr.io/git-sync", "airflow.dags.image", "the git-sync image",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_container_tag", "v3.1.1", "airflow.dags.image", "its tag",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_init_container_name", "git-sync-clone", "airflow.dags.container_name",
           "the init container's name",
           decided=True, until=REMOVED_IN_2, in_template=_GIT),
    Option("git_sync_run_as_user", "65533", "airflow.dags.run_as_user", "its user id", "integer",
           decided=True, since="1.10.5", until=REMOVED_IN_2, in_template=_GIT),
)
# fmt: on

"""Airflow's options for the worker's pod and its configuration: rows of the table.

What belongs here: facts, one row per option. DAGs and logs are in ``volumes.py``.
"""

from __future__ import annotations

from podrunner.config.airflow.options.record import CORE, DATABASE, REMOVED_IN_2, FreeSection, Option

__all__ = ["FREE_SECTIONS", "PODS"]

_BASE = "spec.containers[base]"

FREE_SECTIONS = (
    FreeSection(
        "kubernetes_secrets", "secret_env", "`NAME = secret=key`: a variable from a Secret", f"{_BASE}.env"
    ),
    FreeSection(
        "kubernetes_environment_variables", "env", "variables of the worker, in plain text", f"{_BASE}.env"
    ),
    FreeSection(
        "kubernetes_node_selectors",
        "node_selector",
        "the node selector, where the task brings none",
        "spec.nodeSelector",
    ),
    FreeSection(
        "kubernetes_annotations",
        "annotations",
        "annotations, where the task brings none",
        "metadata.annotations",
    ),
    FreeSection(
        "kubernetes_labels", "labels", "labels; the task's win, then those of its identity", "metadata.labels"
    ),
)

# Each option is a row: the formatter would give each argument a line.
# fmt: off
PODS: tuple[Option, ...] = (
    Option("airflow_home", "~/airflow", "airflow.home",
           "`AIRFLOW_HOME` of the worker, and part of other defaults; the variable `AIRFLOW_HOME` wins",
           decided=True, places=CORE),
    Option("sql_alchemy_conn", "", "airflow.sql_alchemy_conn",
           "connection string, handed over in a Secret that the pod owns; not at all where "
           "`airflow_configmap` is set. Later versions hand none over: the worker's own configuration has it",
           decided=True, places=DATABASE, in_template=f"{_BASE}.env", reader="worker"),

    Option("pod_template_file", "", "pod_template",
           "the pod, to which only the arguments, the image, the identity and the task's own settings are added",
           decided=True, since="1.10.11"),
    Option("worker_container_repository", "", "image", "image, with the tag below", decided=True),
    Option("worker_container_tag", "", "image", "the image's tag", decided=True),
    Option("worker_container_image_pull_policy", "IfNotPresent", "image_pull_policy", "`imagePullPolicy`",
           until=REMOVED_IN_2, in_template=f"{_BASE}.imagePullPolicy"),
    Option("image_pull_secrets", "", "image_pull_secrets", "`imagePullSecrets`", "csv",
           until=REMOVED_IN_2, in_template="spec.imagePullSecrets"),
    Option("worker_service_account_name", "", "service_account_name", "`serviceAccountName`",
           until=REMOVED_IN_2, in_template="spec.serviceAccountName"),
    Option("env_from_configmap_ref", "", "env_from_configmaps", "`envFrom` config maps", "csv",
           until=REMOVED_IN_2, in_template=f"{_BASE}.envFrom"),
    Option("env_from_secret_ref", "", "env_from_secrets", "`envFrom` Secrets, before the config maps", "csv",
           until=REMOVED_IN_2, in_template=f"{_BASE}.envFrom"),
    Option("affinity", "", "affinity", "`affinity`", "json object",
           until=REMOVED_IN_2, in_template="spec.affinity"),
    Option("tolerations", "", "tolerations", "`tolerations`", "json list",
           until=REMOVED_IN_2, in_template="spec.tolerations"),
    Option("run_as_user", "", "run_as_user",
           "`runAsUser` of the pod (50000 by default in 1.10.11 to 1.10.15: say it)", "integer",
           until=REMOVED_IN_2, in_template="spec.securityContext.runAsUser"),
    Option("fs_group", "", "fs_group", "`fsGroup` of the pod", "integer",
           until=REMOVED_IN_2, in_template="spec.securityContext.fsGroup"),
    Option("gcp_service_account_keys", "", None,
           "make the Secrets yourself (`kubectl create secret generic NAME --from-file=key.json`) and "
           "mount them by `volumes`",
           until=REMOVED_IN_2, in_template="spec.volumes and a mount"),

    Option("airflow_configmap", "", "airflow.configmap",
           "mounted as the worker's `airflow.cfg`; the connection string is then not put into the "
           "environment",
           until=REMOVED_IN_2, in_template="spec.volumes and a mount"),
    Option("airflow_local_settings_configmap", "", "airflow.local_settings_configmap",
           "mounted as the worker's `airflow_local_settings.py`",
           since="1.10.8", until=REMOVED_IN_2, in_template="spec.volumes and a mount"),
)
# fmt: on

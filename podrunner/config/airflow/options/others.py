"""Airflow's options outside the Kubernetes sections that matter for a worker's pod, or for who launches it.

What belongs here: facts, one row per option. Options that neither the pod nor a launcher depends on have no row.
"""

from __future__ import annotations

from podrunner.config.airflow.options.record import CORE, HYBRID, REMOVED_IN_3, Option, Place

__all__ = ["OTHERS"]

_SCHEDULER = (Place("scheduler"),)
_WORKERS = (Place("workers"),)
_SDK = (Place("sdk"),)
_TASK_IDENTITY = "the token of a task comes with its workload, from the program that makes the workload"

# Each option is a row: the formatter would give each argument a line.
# fmt: off
OTHERS: tuple[Option, ...] = (
    # Which executor, and how much of it
    Option("executor", "SequentialExecutor", None,
           "must be one that runs pods; `podrunner config check` reports any other",
           decided=True, places=CORE, later_defaults=("LocalExecutor",)),
    Option("kubernetes_queue", "kubernetes", None,
           "podrunner runs what it is given: choose by queue in the program that calls it",
           decided=True, since="2.0.0", until=REMOVED_IN_3, places=HYBRID),
    Option("parallelism", "32", None, "`max_active_pods` bounds the pods of a runner", "integer", places=CORE),
    Option("multi_team", "False", None, "use one configuration and one runner per team", "flag",
           since="3.2.0", places=CORE),
    Option("coordinators", "", None,
           "podrunner's executor for Airflow reads it; else give such workloads their own `overrides`",
           since="3.3.0", places=_SDK),
    Option("queue_to_coordinator", "", None,
           "podrunner's executor for Airflow reads it; else give such workloads their own `overrides`",
           since="3.3.0", places=_SDK),

    # How long, and how often
    Option("task_queued_timeout", "600.0", "pending.startup_timeout_s",
           "seconds until a pod must run (podrunner's default: no limit beyond those per cause)",
           "number", decided=True, since="2.6.0", places=_SCHEDULER, own_default=True),
    Option("task_queued_timeout_check_interval", "120.0", None, "podrunner watches and needs no checks",
           "number", since="2.6.0", places=_SCHEDULER),
    Option("orphaned_tasks_check_interval", "300.0", None,
           "`adopt_every_s` is the interval of adoption", "number", since="2.0.0", places=_SCHEDULER),
    Option("api_retries", "5", None, "`retry.attempts` and `create_retry.attempts` bound the attempts",
           "integer", since="2.11", provider="10.25.0", places=_WORKERS),
    Option("api_retry_wait_min", "1", None, "`retry.initial_s` is the first wait",
           "number", since="2.11", provider="10.25.0", places=_WORKERS),
    Option("api_retry_wait_max", "15", None, "`retry.max_s` is the longest wait",
           "number", since="2.11", provider="10.25.0", places=_WORKERS),

    # What workers, the webserver and the API server share
    Option("secret_key", "{SECRET_KEY}", None,
           "`logs.server_secret_key` signs requests to the log server of workers",
           places=(Place("api", "3.0.2"), Place("webserver")), reader="airflow"),
    Option("execution_api_server_url", "", None, "where the worker finds the API server",
           since="3.0.0", places=(*CORE, Place("workers")), reader="worker"),
    Option("jwt_secret", "{JWT_SECRET_KEY}", None, _TASK_IDENTITY,
           since="3.0.0", places=(Place("api_auth"),), reader="airflow"),
    Option("jwt_expiration_time", "600", None, _TASK_IDENTITY, "integer",
           since="3.0.0", places=(Place("execution_api"),), reader="airflow"),
    Option("jwt_audience", "urn:airflow.apache.org:task", None, _TASK_IDENTITY,
           since="3.0.0", places=(Place("execution_api"),), reader="airflow"),
    Option("secrets_backend", "", None, "where the worker finds connections and variables",
           since="3.0.0", places=_WORKERS, reader="worker"),
    Option("secrets_backend_kwargs", "", None, "its arguments",
           since="3.0.0", places=_WORKERS, reader="worker"),
    Option("backend", "", None,
           "podrunner has no secrets backend; only an option written `…_secret` needs one",
           since="1.10.10", places=(Place("secrets"),), reader="worker"),
)
# fmt: on

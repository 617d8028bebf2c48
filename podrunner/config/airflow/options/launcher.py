"""Airflow's options for the access to the cluster, and for creating and deleting pods: rows of the table.

What belongs here: facts, one row per option of ``[kubernetes]`` or ``[kubernetes_executor]`` that is not about the
pod itself.
"""

from __future__ import annotations

from podrunner.config.airflow.options.record import REMOVED_IN_3, Option

__all__ = ["LAUNCHER"]

_WATCHES = "podrunner watches and needs no checks"

# Each option is a row: the formatter would give each argument a line.
# fmt: off
LAUNCHER: tuple[Option, ...] = (
    # Access to the cluster
    Option("in_cluster", "True", "cluster", "`in-cluster`; False: `kubeconfig`", "flag", decided=True),
    Option("cluster_context", "", "context", "the kubeconfig's context", decided=True),
    Option("config_file", "", "kubeconfig", "the kubeconfig", decided=True),
    Option("namespace", "default", "namespace", "where pods go"),
    Option("multi_namespace_mode", "False", "all_namespaces",
           "watch the whole cluster, or the namespaces below", "flag", decided=True, since="1.10.12"),
    Option("multi_namespace_mode_namespace_list", "", "namespaces",
           "the namespaces to watch", "csv", decided=True, since="2.6.0"),
    Option("kube_client_request_args", "", "request_timeout_s, connect_timeout_s",
           "`_request_timeout`: seconds, or [connect, read]; other arguments have no meaning here",
           "json object", decided=True),
    Option("verify_ssl", "True", "verify_ssl", "check the server's certificate", "flag", since="2.1.0"),
    Option("ssl_ca_cert", "", "ssl_ca_cert", "CA certificates", since="2.6.0"),
    Option("enable_tcp_keepalive", "True", "tcp_keepalive.enabled", "TCP keepalive", "flag", since="2.0.0"),
    Option("tcp_keep_idle", "120", "tcp_keepalive.idle_s",
           "seconds before the first probe", "integer", since="2.0.0"),
    Option("tcp_keep_intvl", "30", "tcp_keepalive.interval_s",
           "seconds between probes", "integer", since="2.0.0"),
    Option("tcp_keep_cnt", "6", "tcp_keepalive.count", "unanswered probes", "integer", since="2.0.0"),
    Option("api_client_retry_configuration", "", "retry, create_retry",
           "urllib3's `total` (attempts after the first) and `backoff_factor` (first wait); its other "
           "keys have no meaning here",
           "json object", decided=True, since="2.6.0"),
    Option("client_factory", "", None, "hand your own `ApiClient` to the runner",
           since="2.11", provider="10.24.0"),
    Option("async_client_factory", "", None, "hand your own `ApiClient` to the runner",
           since="2.11", provider="10.24.0"),

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
           "integer", decided=True, since="2.11", provider="10.21.0", own_default=True),
    Option("async_pod_creation", "False", None, "podrunner always creates concurrently", "flag",
           since="2.11", provider="10.21.0"),
    Option("task_publish_max_retries", "0", "create_retry.attempts",
           "retries of a create; -1: without limit; 0, Airflow's default, leaves it to podrunner",
           "integer", decided=True, since="2.6.0", provider="8.0.0", own_default=True),
    Option("pod_launch_failure_retries", "1", "run_retry.infrastructure_retries",
           "free retries of what `runner.run` runs, for pods that came to nothing before the work began",
           "integer", since="2.11", provider="10.20.0", own_default=True),
    Option("pod_launch_failure_excluded_container_reasons", "Error", None,
           "see `Outcome.reason` and `Outcome.retryable`", "csv", since="2.11", provider="10.20.0"),
    Option("worker_pod_pending_fatal_container_state_reasons",
           "CreateContainerConfigError,ErrImagePull,CreateContainerError,ImageInspectError,InvalidImageName",
           "pending.fatal_reasons",
           "waiting reasons that end a pod at once; Airflow's own list leaves it to podrunner, which "
           "gives registries and Secrets a grace time instead",
           "csv", decided=True, since="2.6.0", provider="8.1.0", own_default=True),
    Option("worker_pods_pending_timeout", "300", "pending.startup_timeout_s",
           "seconds until a pod must run (podrunner's default: no limit beyond those per cause)",
           "integer", decided=True, since="2.1.0", until=REMOVED_IN_3, own_default=True,
           replaced_by="[scheduler] task_queued_timeout"),
    Option("worker_pods_pending_timeout_check_interval", "120", None, _WATCHES, "integer",
           since="2.1.0", until=REMOVED_IN_3, replaced_by="[scheduler] task_queued_timeout_check_interval"),
    Option("worker_pods_pending_timeout_batch_size", "100", None, _WATCHES, "integer",
           since="2.1.0", until="2.5"),
    Option("worker_pods_queued_check_interval", "60", None, _WATCHES, "integer",
           since="2.2.0", until=REMOVED_IN_3),
    Option("logs_task_metadata", "False", None, "log records carry the workload's key", "flag", since="2.7"),
    Option("running_pod_log_lines", "100", None,
           "logs are followed from the first line; a reader chooses how many to show",
           "integer", since="2.11", provider="10.20.0"),
)
# fmt: on

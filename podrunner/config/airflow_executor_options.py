"""Airflow's options that shape the executor: access to the cluster, requests, creating and deleting pods.

What belongs here: facts, one record per option.
"""

from __future__ import annotations

from podrunner.config.airflow_option_types import Option

__all__ = ["EXECUTOR_OPTIONS"]

_ACCESS = (
    Option("in_cluster", "True", "cluster", "`in-cluster`; False: `kubeconfig`", "flag", direct=False),
    Option("cluster_context", "", "context", "the kubeconfig's context", direct=False),
    Option("config_file", "", "kubeconfig", "the kubeconfig", direct=False),
    Option("namespace", "default", "namespace", "where pods go"),
    Option(
        "multi_namespace_mode",
        "False",
        "all_namespaces",
        "watch the whole cluster, or the namespaces below",
        "flag",
        direct=False,
        since="1.10.12",
    ),
    Option(
        "multi_namespace_mode_namespace_list",
        "",
        "namespaces",
        "the namespaces to watch",
        "csv",
        direct=False,
        since="provider",
    ),
    Option(
        "kube_client_request_args",
        "",
        "request_timeout_s, connect_timeout_s",
        "`_request_timeout`: seconds, or [connect, read]; other arguments have no meaning here",
        "json object",
        direct=False,
    ),
    Option("verify_ssl", "True", "verify_ssl", "check the server's certificate", "flag", since="provider"),
    Option("ssl_ca_cert", "", "ssl_ca_cert", "CA certificates", since="provider"),
    Option(
        "enable_tcp_keepalive", "True", "tcp_keepalive.enabled", "TCP keepalive", "flag", since="provider"
    ),
    Option(
        "tcp_keep_idle",
        "120",
        "tcp_keepalive.idle_s",
        "seconds before the first probe",
        "integer",
        since="provider",
    ),
    Option(
        "tcp_keep_intvl",
        "30",
        "tcp_keepalive.interval_s",
        "seconds between probes",
        "integer",
        since="provider",
    ),
    Option("tcp_keep_cnt", "6", "tcp_keepalive.count", "unanswered probes", "integer", since="provider"),
    Option(
        "api_client_retry_configuration",
        "",
        "retry, create_retry",
        "urllib3's `total` (attempts after the first) and "
        "`backoff_factor` (first wait); its other keys have no meaning here",
        "json object",
        direct=False,
        since="provider",
    ),
    Option(
        "client_factory", "", None, "hand your own `ApiClient` to the runner", direct=False, since="provider"
    ),
    Option(
        "async_client_factory",
        "",
        None,
        "hand your own `ApiClient` to the runner",
        direct=False,
        since="provider",
    ),
)

_LIFE = (
    Option("delete_worker_pods", "True", "delete_pods", "delete a pod when it succeeded", "flag"),
    Option(
        "delete_worker_pods_on_failure",
        "False",
        "delete_pods_on_failure",
        "delete it also when it failed",
        "flag",
        since="1.10.11",
    ),
    Option(
        "delete_option_kwargs",
        "",
        "delete_grace_period_s",
        "`grace_period_seconds`; other arguments have no meaning here",
        "json object",
        direct=False,
        since="1.10.12",
    ),
    Option(
        "worker_pods_creation_batch_size",
        "1",
        "max_creates_in_flight",
        "an upper bound of creates at once; 1, Airflow's default, leaves it to podrunner",
        "integer",
        direct=False,
        own_default=True,
    ),
    Option(
        "pod_creation_max_concurrency",
        "0",
        "max_creates_in_flight",
        "the same, and it wins; 0 leaves it to podrunner",
        "integer",
        direct=False,
        since="provider",
        own_default=True,
    ),
    Option(
        "async_pod_creation",
        "False",
        None,
        "podrunner always creates concurrently",
        "flag",
        direct=False,
        since="provider",
    ),
    Option(
        "task_publish_max_retries",
        "0",
        "create_retry.attempts",
        "retries of a create; -1: without limit; 0, Airflow's default, leaves it to podrunner",
        "integer",
        direct=False,
        since="provider",
        own_default=True,
    ),
    Option(
        "pod_launch_failure_retries",
        "1",
        "run_retry.infrastructure_retries",
        "free retries of what `runner.run` runs, for pods that came to nothing before the work began",
        "integer",
        since="provider",
        own_default=True,
    ),
    Option(
        "pod_launch_failure_excluded_container_reasons",
        "Error",
        None,
        "see `Outcome.reason` and `Outcome.retryable`",
        "csv",
        direct=False,
        since="provider",
    ),
    Option(
        "worker_pod_pending_fatal_container_state_reasons",
        "CreateContainerConfigError,ErrImagePull,CreateContainerError,ImageInspectError,InvalidImageName",
        "pending.fatal_reasons",
        "waiting reasons that end a pod at once; Airflow's own list leaves it to podrunner, which gives "
        "registries and Secrets a grace time instead",
        "csv",
        direct=False,
        since="provider",
        own_default=True,
    ),
    Option(
        "worker_pods_pending_timeout",
        "300",
        "pending.startup_timeout_s",
        "seconds until a pod must run (podrunner's default: no limit beyond those per cause)",
        "integer",
        since="provider",
        own_default=True,
    ),
    Option(
        "worker_pods_pending_timeout_check_interval",
        "120",
        None,
        "podrunner watches and needs no checks",
        "integer",
        direct=False,
        since="provider",
    ),
    Option(
        "worker_pods_pending_timeout_batch_size",
        "100",
        None,
        "podrunner watches and needs no checks",
        "integer",
        direct=False,
        since="provider",
    ),
    Option(
        "worker_pods_queued_check_interval",
        "60",
        None,
        "podrunner watches and needs no checks",
        "integer",
        direct=False,
        since="provider",
    ),
    Option(
        "logs_task_metadata",
        "False",
        None,
        "log records carry the workload's key",
        "flag",
        direct=False,
        since="provider",
    ),
    Option(
        "running_pod_log_lines",
        "100",
        None,
        "logs are followed from the first line; a reader chooses how many to show",
        "integer",
        direct=False,
        since="provider",
    ),
)

EXECUTOR_OPTIONS: tuple[Option, ...] = (*_ACCESS, *_LIFE)

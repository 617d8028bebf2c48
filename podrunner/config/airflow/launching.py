"""Converting Airflow's options for the launcher: access to the cluster, creating, deleting and awaiting pods.

What belongs here: one function for each group of options that make up a setting together. What shapes the pod does not
(``conversion.py``, ``volumes.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.redaction import shown_value

if TYPE_CHECKING:
    from podrunner.config.airflow.conversion import Conversion
    from podrunner.config.airflow.sources import Given
    from podrunner.config.location import SourceLocation

__all__ = ["LAUNCHER_CONVERTERS"]


def _access(conversion: Conversion) -> None:
    sources = conversion.sources
    inside = sources.value("in_cluster")
    conversion.put("cluster", "in-cluster" if inside else "kubeconfig", conversion.location("in_cluster"))
    for key, setting in (("config_file", "kubeconfig"), ("cluster_context", "context")):
        given = sources.given(key)
        if given and inside:
            conversion.warn(
                given.location,
                "has no effect beside in_cluster = True",
                remedy="Set in_cluster = False to use a kubeconfig",
            )
        elif given:
            conversion.put(setting, given.text, given.location)


def _namespaces(conversion: Conversion) -> None:
    sources = conversion.sources
    named = sources.value("multi_namespace_mode_namespace_list")
    if not sources.value("multi_namespace_mode"):
        if named:
            conversion.warn(
                conversion.location("multi_namespace_mode_namespace_list"),
                "has no effect without multi_namespace_mode = True",
                remedy="Set it, or remove the list",
            )
    elif named:
        conversion.put("namespaces", named, conversion.location("multi_namespace_mode_namespace_list"))
    else:
        conversion.put("all_namespaces", value=True, location=conversion.location("multi_namespace_mode"))


def _requests(conversion: Conversion) -> None:
    given = conversion.sources.given("kube_client_request_args")
    arguments = dict(conversion.sources.value("kube_client_request_args") or {})
    if given is None:
        return
    timeout = arguments.pop("_request_timeout", None)
    if timeout is not None:
        connect, total = _timeouts(timeout, given)
        conversion.put("request_timeout_s", total, given.location)
        conversion.put("connect_timeout_s", connect, given.location)
    _warn_of_rest(conversion, arguments, given.location)


def _timeouts(timeout: object, given: Given) -> tuple[float, float]:
    """Read ``_request_timeout``: seconds for both, or ``[connect, read]``."""
    both = [timeout, timeout] if isinstance(timeout, int | float) else timeout
    if isinstance(both, list) and len(both) == 2 and all(_is_positive(part) for part in both):
        return both[0], both[1]
    raise given.location.error(
        "_request_timeout is not a time",
        value=shown_value(timeout),
        remedy="Write seconds, or [connect, read]",
    )


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value > 0


def _deletes(conversion: Conversion) -> None:
    given = conversion.sources.given("delete_option_kwargs")
    arguments = dict(conversion.sources.value("delete_option_kwargs") or {})
    if given is None:
        return
    for name in ("grace_period_seconds", "gracePeriodSeconds"):
        if name in arguments:
            conversion.put("delete_grace_period_s", arguments.pop(name), given.location)
    _warn_of_rest(conversion, arguments, given.location)


def _retries(conversion: Conversion) -> None:
    given = conversion.sources.given("api_client_retry_configuration")
    if given is not None:
        arguments = dict(conversion.sources.value("api_client_retry_configuration"))
        for setting in ("retry", "create_retry"):
            _retry(conversion, setting, arguments, given.location)
        _warn_of_rest(
            conversion, {k: v for k, v in arguments.items() if k not in _RETRY_KEYS}, given.location
        )
    publish = conversion.sources.value("task_publish_max_retries")
    if publish:
        conversion.put(
            "create_retry.attempts",
            publish + 1 if publish > 0 else 0,
            conversion.location("task_publish_max_retries"),
        )


_RETRY_KEYS = ("total", "backoff_factor")


def _retry(conversion: Conversion, setting: str, arguments: dict[str, Any], location: SourceLocation) -> None:
    total, factor = (arguments.get(key) for key in _RETRY_KEYS)
    if total is not None:
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            raise location.error(
                "total is not a number of retries", value=shown_value(total), remedy="Write 0 or more"
            )
        conversion.put(f"{setting}.attempts", total + 1, location)
    if factor is not None:
        conversion.put(f"{setting}.initial_s", factor, location)


def _creates(conversion: Conversion) -> None:
    """Bound the creates in flight, unless the option is at Airflow's default (one per loop, or automatic)."""
    for key, automatic in (("worker_pods_creation_batch_size", 1), ("pod_creation_max_concurrency", 0)):
        value = conversion.sources.value(key)
        if value is not None and value != automatic:
            conversion.put("max_creates_in_flight", value, conversion.location(key))


def _pending_timeout(conversion: Conversion) -> None:
    """Take the longer of the two options that bound the start of a pod, as Airflow 2.6 and later do."""
    keys = ("worker_pods_pending_timeout", "task_queued_timeout")
    given = [(conversion.sources.value(key), key) for key in keys if conversion.sources.given(key)]
    if given:
        value, key = max(given)
        conversion.put("pending.startup_timeout_s", value, conversion.location(key))


def _fatal_reasons(conversion: Conversion) -> None:
    """Take the list unless it is Airflow's own, which would end a pod before its own Secret has been created."""
    key = "worker_pod_pending_fatal_container_state_reasons"
    reasons, default = conversion.sources.value(key), conversion.sources.default_of(key).text
    if {*reasons} != {*default.split(",")}:
        conversion.put("pending.fatal_reasons", reasons, conversion.location(key))


def _warn_of_rest(conversion: Conversion, arguments: dict[str, Any], location: SourceLocation) -> None:
    if arguments:
        conversion.warn(location, f"{', '.join(arguments)}: no meaning for podrunner")


LAUNCHER_CONVERTERS = (
    _access,
    _namespaces,
    _requests,
    _retries,
    _creates,
    _deletes,
    _fatal_reasons,
    _pending_timeout,
)

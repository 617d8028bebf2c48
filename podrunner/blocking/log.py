"""One pod's log, once, for code without an event loop and without a runner: an API server's request, a command.

What bounds it in time belongs here: it runs in a thread of its own, which is left behind if it does not end in time.
How the log is read is :mod:`podrunner.logs.once`.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from typing import TYPE_CHECKING

import anyio

from podrunner.blocking.bridge import refuse_in_event_loop
from podrunner.builder import pod_name
from podrunner.builder.overrides import namespace_of
from podrunner.errors import UsageError
from podrunner.kube import connect
from podrunner.kube.namespace import with_namespace_of_cluster
from podrunner.logs.once import read_pod_log
from podrunner.runner.local_cluster import on_kubeconfig
from podrunner.runner.retries import RetryPolicy
from podrunner.workload import Workload, WorkloadKey

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from podrunner.config import RunnerConfig
    from podrunner.logs import LogDocument

__all__ = ["read_log"]


def read_log(
    config: RunnerConfig,
    key: WorkloadKey | Workload | Sequence[WorkloadKey | Workload],
    *,
    namespace: str | None = None,
    container: str | None = None,
    tail: int | None = 1000,
    timeout_s: float = 5.0,
) -> LogDocument:
    """Read the log of a workload's pod as it is now, by a connection of its own: no runner need be open.

    It returns or raises within ``timeout_s``, whatever the server does. What a runner collects into files is not read.
    Of an attempt that a run has launched again, it is the log of the newest pod.

    Args:
        config: How to reach the cluster.
        key: The workload's key; or the workload, if it sets ``name`` or ``namespace``, as one of an Airflow task does.
            A key with a ``relaunch`` means the pod of that launch alone. Or several, one launched after the other for
            the same work under keys of their own: it is the log of the newest pod of all.
        namespace: The pod's namespace; None: that of the workload, which its overrides may name, else the
            configuration's.
        container: Which container; None: the main one.
        tail: Only the last so many lines; None: all.
        timeout_s: Seconds that it may take.

    Returns:
        The log. If the container has not started yet, there are no lines, and the header says why.

    Raises:
        LogError: There is no such pod: it is not created yet, or is deleted.
        TimeoutError: The time is over.
        ApiError: The server refuses.
        TransportError: The server cannot be reached.
        ConfigError: The cluster cannot be reached as configured.
        UsageError: The cluster is a LocalCluster that no other process shares, or no key is given.
        CallFromEventLoopError: An event loop runs in this thread.
    """
    refuse_in_event_loop()
    config = with_namespace_of_cluster(_without_start(config))
    in_order = [key] if isinstance(key, WorkloadKey | Workload) else list(key)
    if not in_order:
        raise UsageError("read_log needs a key or a workload, and was given an empty sequence")
    first = in_order[0]
    place = namespace or (namespace_of(config, first) if isinstance(first, Workload) else config.namespace)
    launches = {launch: name for each in in_order for launch, name in _launches(config, each).items()}
    name = next(iter(launches.values()))

    async def read() -> LogDocument:
        with anyio.fail_after(timeout_s):
            async with connect(config) as client:
                return await read_pod_log(client, place, launches, container=container, tail=tail)

    result: Future[LogDocument] = Future()
    threading.Thread(target=_run, args=(read, result), name="podrunner-read-log", daemon=True).start()
    try:
        return result.result(timeout_s)
    except TimeoutError as error:
        raise TimeoutError(f"the log of pod {place}/{name} was not read in {timeout_s:g} s") from error


def _launches(config: RunnerConfig, given: WorkloadKey | Workload) -> dict[WorkloadKey, str]:
    """Returns the keys of an attempt's launches with their pods' names: as many as a run makes at most."""
    first = given.key if isinstance(given, Workload) else given
    last = max(config.run_retry.infrastructure_retries, RetryPolicy().infrastructure_retries)
    numbers = [first.relaunch] if first.relaunch else range(last + 1)
    keys = [WorkloadKey(first.parts, first.attempt, relaunch=number) for number in numbers]
    return {key: pod_name(config, _of_launch(given, key)) for key in keys}


def _of_launch(given: WorkloadKey | Workload, key: WorkloadKey) -> WorkloadKey | Workload:
    return given.model_copy(update={"key": key}) if isinstance(given, Workload) else key


def _without_start(config: RunnerConfig) -> RunnerConfig:
    """Returns a configuration that reaches a LocalCluster which runs already: reading starts none."""
    if config.cluster != "local":
        return config
    if config.local.folder is None:
        raise UsageError(
            "this LocalCluster is the runner's own: set local.folder, by which other processes find it"
        )
    return on_kubeconfig(config, config.local.folder / "kubeconfig")


def _run(read: Callable[[], Awaitable[LogDocument]], result: Future[LogDocument]) -> None:
    try:
        result.set_result(anyio.run(read))
    except BaseException as error:  # noqa: BLE001  # raised in the caller's thread, if it still waits
        result.set_exception(error)

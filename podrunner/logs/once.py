"""A pod's log as it is now, by few requests and without a runner: is it there, has it begun, what does it say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.builder import read_ownership
from podrunner.errors import LogError, NotFoundError
from podrunner.logs.container_state import container_view
from podrunner.logs.reader import LogDocument, read_lines
from podrunner.outcome import printer_status

if TYPE_CHECKING:
    from collections.abc import Mapping

    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod
    from podrunner.workload import WorkloadKey

__all__ = ["read_pod_log"]

_OVER = frozenset({"Succeeded", "Failed"})


async def read_pod_log(
    client: KubeClient,
    namespace: str,
    launches: Mapping[WorkloadKey, str],
    *,
    container: str | None,
    tail: int | None,
) -> LogDocument:
    """Reads the log of the newest pod of an attempt.

    Args:
        client: The API server.
        namespace: The pod's namespace.
        launches: The keys of the attempt's launches, in their order, and the names of their pods.
        container: Which container; None: the main one.
        tail: Only the last so many lines; None: all.

    Raises:
        LogError: There is no such pod, or it has no such container.
        ApiError: The server refuses.
        TransportError: The server cannot be reached.
    """
    where = f"pod {namespace}/{next(iter(launches.values()))}"
    try:
        pod, main = await _newest(client, namespace, launches)
        name = pod.metadata.name
        where = f"pod {namespace}/{name}"
        wanted = container or main
        _check_container(pod, wanted)
        if not container_view(pod, wanted, gone=False).started:
            status = printer_status(pod)
            return LogDocument("pod", f"*** Container {wanted} of {where} has not started yet: {status}", ())
        lines = await read_lines(client, namespace, name, container=wanted, tail_lines=tail)
    except NotFoundError as error:
        raise LogError(f"no log: {where} does not exist: it is not created yet, or is deleted") from error
    return LogDocument("pod", f"*** Reading the log of {where} from the API server", tuple(lines))


async def _newest(client: KubeClient, namespace: str, launches: Mapping[WorkloadKey, str]) -> tuple[Pod, str]:
    """Returns the pod of the last launch that has one, and its main container's name.

    Pods of earlier launches may be retained or deleted. While one is neither over nor being deleted, there is no later
    one.
    """
    found: tuple[Pod, str] | None = None
    missing: NotFoundError | None = None
    for key, name in launches.items():
        try:
            pod = await client.read_pod(namespace, name)
        except NotFoundError as error:
            missing = error
            continue
        found = pod, _main_container(pod, key)
        if pod.status.phase not in _OVER and pod.metadata.deletion_timestamp is None:
            break
    if found is None:
        assert missing is not None, "there is one launch at least"
        raise missing
    return found


def _main_container(pod: Pod, key: WorkloadKey) -> str:
    meta = pod.metadata
    found = read_ownership(meta.labels, meta.annotations)
    if found is None or found.key != key:
        raise LogError(f"no log: pod {meta.namespace}/{meta.name} is not the one of {key}")
    containers = pod.spec.containers or ()
    return found.main_container or (containers[0].name if containers else "base")


def _check_container(pod: Pod, name: str) -> None:
    names = [spec.name for spec in (*(pod.spec.containers or ()), *(pod.spec.init_containers or ()))]
    if name not in names:
        raise LogError(f"no log: pod {pod.metadata.name} has no container {name!r}, only {', '.join(names)}")

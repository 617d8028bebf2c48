"""A pod's log as it is now, by two requests and without a runner: is it there, has it begun, what does it say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.builder import read_ownership
from podrunner.errors import LogError, NotFoundError
from podrunner.logs.container_state import container_view
from podrunner.logs.reader import LogDocument, read_lines
from podrunner.outcome import printer_status

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod
    from podrunner.workload import WorkloadKey

__all__ = ["read_pod_log"]


async def read_pod_log(
    client: KubeClient,
    namespace: str,
    name: str,
    *,
    key: WorkloadKey,
    container: str | None,
    tail: int | None,
) -> LogDocument:
    """Reads the log of a workload's pod.

    Args:
        client: The API server.
        namespace: The pod's namespace.
        name: The pod's name.
        key: Whose pod it must be.
        container: Which container; None: the main one.
        tail: Only the last so many lines; None: all.

    Raises:
        LogError: There is no such pod, or it has no such container.
        ApiError: The server refuses.
        TransportError: The server cannot be reached.
    """
    where = f"pod {namespace}/{name}"
    try:
        pod = await client.read_pod(namespace, name)
        main = _main_container(pod, key)
        wanted = container or main
        _check_container(pod, wanted)
        if not container_view(pod, wanted, gone=False).started:
            status = printer_status(pod)
            return LogDocument("pod", f"*** Container {wanted} of {where} has not started yet: {status}", ())
        lines = await read_lines(client, namespace, name, container=wanted, tail_lines=tail)
    except NotFoundError as error:
        raise LogError(f"no log: {where} does not exist: it is not created yet, or is deleted") from error
    return LogDocument("pod", f"*** Reading the log of {where} from the API server", tuple(lines))


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

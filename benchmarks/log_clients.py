"""Clients of Kubernetes, each reading logs in its documented way, for ``log_peers.py``. Never tuned down.

A contender is a context: entering opens the client (and launches pods, where it takes a launch to have a log), and
gives what is then measured. Each gives stamped lines; the raw ones give bytes.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import podrunner


@dataclass(frozen=True)
class Place:
    """The source of the logs: a namespace, whose name has their length, and a folder for files."""

    kubeconfig: Path
    namespace: str

    @property
    def are_over(self) -> bool:
        return self.namespace.startswith("over-")


Lines = Callable[[int], Awaitable[Any]]
"""Returns an asynchronous iterable of the log lines of the pod with that number."""
AsyncContender = Callable[[Place, int], AbstractAsyncContextManager[Lines]]
Contender = Callable[[Place], AbstractContextManager[Callable[[], Iterable[Any]]]]


def _config(place: Place, pods: int) -> podrunner.RunnerConfig:
    return podrunner.RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=place.kubeconfig,
        namespace=place.namespace,
        image="scripted",
        delete_pods=False,
        logs={"follow": "off", "max_follows": 2 * pods + 2},
        watch={"streaming_lists": "off"},
    )


def _workloads(pods: int) -> list[podrunner.Workload]:
    return [podrunner.Workload(key={"n": str(number)}, command=["true"]) for number in range(pods)]


async def _launched(runner: podrunner.AsyncPodRunner, place: Place, pods: int) -> list[podrunner.AsyncPod]:
    """Launch pods, and wait until only reading their logs remains."""
    async with runner.events() as events:
        launched, known = await runner.launch_many(_workloads(pods)), set()
        while len(known) < pods:
            batch = await events.next_batch()
            known |= {event.name for event in batch if event.status in {"Running", "Completed"}}
    if place.are_over:
        await runner.wait_all()
    return launched


@asynccontextmanager
async def podrunner_async(place: Place, pods: int) -> AsyncIterator[Lines]:
    async with podrunner.AsyncPodRunner(_config(place, pods), on_exit="detach") as runner:
        launched = await _launched(runner, place, pods)

        async def lines(number: int) -> Any:
            return launched[number].logs(timestamps=True)

        yield lines


@contextmanager
def podrunner_blocking(place: Place) -> Iterator[Callable[[], Iterable[str]]]:
    with podrunner.PodRunner(_config(place, 1), on_exit="detach") as runner:
        [pod] = runner.launch_many(_workloads(1))
        runner.wait_all()
        yield lambda: pod.logs(timestamps=True)


@contextmanager
def kubectl(place: Place) -> Iterator[Callable[[], Iterable[str]]]:
    """Write each line to /dev/null; the exit code shows errors."""
    command = [
        shutil.which("kubectl"),
        f"--kubeconfig={place.kubeconfig}",
        "logs",
        "pod-0",
        "-f",
        "--timestamps",
    ]
    cache = f"--cache-dir={place.kubeconfig.parent}"
    yield lambda: subprocess.run([*command, cache], stdout=subprocess.DEVNULL, check=True) and ()


@contextmanager
def kubernetes(place: Place) -> Iterator[Callable[[], Iterable[str]]]:
    from kubernetes import client, config, watch

    with config.new_client_from_config(str(place.kubeconfig)) as opened:
        read = client.CoreV1Api(opened).read_namespaced_pod_log
        yield lambda: watch.Watch().stream(read, "pod-0", place.namespace, timestamps=True)


@contextmanager
def kubernetes_raw(place: Place) -> Iterator[Callable[[], Iterable[bytes]]]:
    from kubernetes import client, config

    with config.new_client_from_config(str(place.kubeconfig)) as opened:
        read = client.CoreV1Api(opened).read_namespaced_pod_log
        yield lambda: read("pod-0", place.namespace, follow=True, timestamps=True, _preload_content=False)


@asynccontextmanager
async def _kubernetes_asyncio(place: Place, pods: int) -> AsyncIterator[Any]:
    from kubernetes_asyncio import client, config

    configuration = client.Configuration()
    configuration.connection_pool_maxsize = max(pods, configuration.connection_pool_maxsize)
    await config.load_kube_config(str(place.kubeconfig), client_configuration=configuration)
    async with client.ApiClient(configuration) as opened:
        yield client.CoreV1Api(opened).read_namespaced_pod_log


@asynccontextmanager
async def kubernetes_asyncio(place: Place, pods: int) -> AsyncIterator[Lines]:
    from kubernetes_asyncio import watch

    async with _kubernetes_asyncio(place, pods) as read:

        async def lines(number: int) -> Any:
            return watch.Watch().stream(read, f"pod-{number}", place.namespace, timestamps=True)

        yield lines


@asynccontextmanager
async def kubernetes_asyncio_raw(place: Place, pods: int) -> AsyncIterator[Lines]:
    async with _kubernetes_asyncio(place, pods) as read:

        async def lines(number: int) -> Any:
            options = {"follow": True, "timestamps": True, "_preload_content": False}
            return (await read(f"pod-{number}", place.namespace, **options)).content

        yield lines


def _kr8s_pod(number: int, place: Place) -> dict[str, Any]:
    return {"metadata": {"name": f"pod-{number}", "namespace": place.namespace}}


@asynccontextmanager
async def kr8s_async(place: Place, pods: int) -> AsyncIterator[Lines]:
    del pods
    import kr8s.asyncio
    from kr8s.asyncio.objects import Pod

    api = await kr8s.asyncio.api(kubeconfig=str(place.kubeconfig))

    async def lines(number: int) -> Any:
        return (await Pod(_kr8s_pod(number, place), api=api)).logs(follow=True, timestamps=True)

    yield lines


@contextmanager
def kr8s_blocking(place: Place) -> Iterator[Callable[[], Iterable[str]]]:
    import kr8s
    from kr8s.objects import Pod

    pod = Pod(_kr8s_pod(0, place), api=kr8s.api(kubeconfig=str(place.kubeconfig)))
    yield lambda: pod.logs(follow=True, timestamps=True)


@asynccontextmanager
async def lightkube_async(place: Place, pods: int) -> AsyncIterator[Lines]:
    del pods
    import lightkube

    client = lightkube.AsyncClient(lightkube.KubeConfig.from_file(str(place.kubeconfig)))

    async def lines(number: int) -> Any:
        return client.log(f"pod-{number}", follow=True, timestamps=True)

    yield lines
    await client.close()


@contextmanager
def lightkube_blocking(place: Place) -> Iterator[Callable[[], Iterable[str]]]:
    import lightkube

    client = lightkube.Client(lightkube.KubeConfig.from_file(str(place.kubeconfig)))
    yield lambda: client.log("pod-0", follow=True, timestamps=True)


ASYNC: dict[str, AsyncContender] = {
    "podrunner async": podrunner_async,
    "kubernetes-asyncio": kubernetes_asyncio,
    "kubernetes-asyncio raw (bytes)": kubernetes_asyncio_raw,
    "kr8s async": kr8s_async,
    "lightkube async": lightkube_async,
}
BLOCKING: dict[str, Contender] = {
    "podrunner blocking": podrunner_blocking,
    "kubectl": kubectl,
    "kubernetes": kubernetes,
    "kubernetes raw (bytes)": kubernetes_raw,
    "kr8s blocking": kr8s_blocking,
    "lightkube blocking": lightkube_blocking,
}

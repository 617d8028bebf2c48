"""Clients of Kubernetes, each reading logs in its documented way, for ``log_reading.py``. Never tuned down.

A contender is a context: entering opens the client (and launches pods, where it takes a launch to have a log), and
gives what is then measured: a function that reads the log of the pod with a number. Each gives stamped lines; the raw
ones give bytes.
"""

from __future__ import annotations

import json
import os
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
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import podrunner


@dataclass(frozen=True)
class Place:
    """The source of the logs: a namespace, whose name has their length, and a folder for files."""

    kubeconfig: Path
    namespace: str

    @property
    def server(self) -> str:
        return json.loads(self.kubeconfig.read_text())["clusters"][0]["cluster"]["server"]

    @property
    def are_over(self) -> bool:
        return self.namespace.startswith("over-")


Lines = Callable[[int], Awaitable[Any]]
"""Returns an asynchronous iterable of the log lines of the pod with that number."""
BlockingLines = Callable[[int], Iterable[Any]]
AsyncContender = Callable[[Place, int], AbstractAsyncContextManager[Lines]]
Contender = Callable[[Place, int], AbstractContextManager[BlockingLines]]


def _config(place: Place, pods: int) -> podrunner.RunnerConfig:
    import podrunner

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
    import podrunner

    return [podrunner.Workload(key={"n": str(number)}, command=["true"]) for number in range(pods)]


async def _launched(runner: podrunner.AsyncPodRunner, place: Place, pods: int) -> list[podrunner.AsyncPod]:
    """Launch pods, and wait until only reading their logs remains."""
    async with runner.events() as events:
        launched, known = await runner.launch_many(_workloads(pods)), set()
        while len(known) < pods:
            batch = await events.next_batch()
            known |= {event.name for event in batch if event.status in {"Running", "Completed"}}
    if place.are_over:
        for pod in launched:
            await pod.wait()
        await runner.wait_all()
    return launched


@asynccontextmanager
async def podrunner_async(place: Place, pods: int) -> AsyncIterator[Lines]:
    import podrunner

    async with podrunner.AsyncPodRunner(_config(place, pods), on_exit="detach") as runner:
        launched = await _launched(runner, place, pods)

        async def lines(number: int) -> Any:
            return launched[number].logs(timestamps=True)

        yield lines


@contextmanager
def podrunner_blocking(place: Place, pods: int) -> Iterator[BlockingLines]:
    import podrunner

    with podrunner.PodRunner(_config(place, pods), on_exit="detach") as runner:
        launched = runner.launch_many(_workloads(pods))
        for pod in launched:
            pod.wait()
        runner.wait_all()
        yield lambda number: launched[number].logs(timestamps=True)


@contextmanager
def kubectl(place: Place, pods: int) -> Iterator[BlockingLines]:
    """Write each line to /dev/null; the exit code shows errors."""
    del pods
    command = [shutil.which("kubectl"), f"--kubeconfig={place.kubeconfig}", "logs", "-f", "--timestamps"]
    cache = f"--cache-dir={place.kubeconfig.parent}"

    def lines(number: int) -> Iterable[str]:
        subprocess.run([*command, cache, f"pod-{number}"], stdout=subprocess.DEVNULL, check=True)
        return ()

    yield lines


@contextmanager
def _kubernetes(place: Place, pods: int) -> Iterator[Any]:
    from kubernetes import client, config

    configuration = client.Configuration()
    config.load_kube_config(str(place.kubeconfig), client_configuration=configuration)
    configuration.connection_pool_maxsize = max(pods, configuration.connection_pool_maxsize)
    with client.ApiClient(configuration) as opened:
        yield client.CoreV1Api(opened).read_namespaced_pod_log


@contextmanager
def kubernetes(place: Place, pods: int) -> Iterator[BlockingLines]:
    from kubernetes import watch

    with _kubernetes(place, pods) as read:
        yield lambda number: watch.Watch().stream(read, f"pod-{number}", place.namespace, timestamps=True)


@contextmanager
def kubernetes_raw(place: Place, pods: int) -> Iterator[BlockingLines]:
    options = {"follow": True, "timestamps": True, "_preload_content": False}
    with _kubernetes(place, pods) as read:
        yield lambda number: read(f"pod-{number}", place.namespace, **options)


def openapi(package: str, *, raw: bool = False) -> AsyncContender:
    """Return a contender of a client that is generated from the OpenAPI document, with asyncio."""

    @asynccontextmanager
    async def contender(place: Place, pods: int) -> AsyncIterator[Lines]:
        client, config, watch = (import_module(f"{package}.{each}") for each in ("client", "config", "watch"))
        configuration = client.Configuration()
        configuration.connection_pool_maxsize = max(pods, configuration.connection_pool_maxsize)
        await config.load_kube_config(str(place.kubeconfig), client_configuration=configuration)
        async with client.ApiClient(configuration) as opened:
            v1 = client.CoreV1Api(opened)

            async def lines(number: int) -> Any:
                name = f"pod-{number}"
                if raw:
                    return (await _raw_log(v1, name, place.namespace)).content
                return watch.Watch().stream(
                    v1.read_namespaced_pod_log, name, place.namespace, timestamps=True
                )

            yield lines

    return contender


async def _raw_log(v1: Any, *arguments: str) -> Any:
    """Return aiohttp's answer: the two generations of the generated client have each a way of their own."""
    options = {"follow": True, "timestamps": True}
    if read := getattr(v1, "read_namespaced_pod_log_without_preload_content", None):
        return await read(*arguments, **options)
    return await v1.read_namespaced_pod_log(*arguments, **options, _preload_content=False)


def _kr8s_pod(number: int, place: Place) -> dict[str, Any]:
    return {"metadata": {"name": f"pod-{number}", "namespace": place.namespace}}


@asynccontextmanager
async def bare_aiohttp(place: Place, pods: int) -> AsyncIterator[Lines]:
    """No client: what the HTTP library and splitting lines take, and nothing is promised."""
    del pods
    import aiohttp

    server = place.server
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def lines(number: int) -> Any:
            return _lines_of(session, f"{server}/api/v1/namespaces/{place.namespace}/pods/pod-{number}/log")

        yield lines


@asynccontextmanager
async def floor_log(place: Place, pods: int) -> AsyncIterator[Lines]:
    del pods
    import floor

    async def lines(number: int) -> Any:
        path = f"/api/v1/namespaces/{place.namespace}/pods/pod-{number}/log?follow=true&timestamps=true"
        return floor.log_lines(place.server, path)

    yield lines


async def _lines_of(session: Any, url: str) -> AsyncIterator[str]:
    rest = b""
    async with session.get(url, params={"follow": "true", "timestamps": "true"}) as response:
        async for piece in response.content.iter_any():
            *lines, rest = (rest + piece).split(b"\n")
            for line in lines:
                yield line.decode()


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
def kr8s_blocking(place: Place, pods: int) -> Iterator[BlockingLines]:
    del pods
    import kr8s
    from kr8s.objects import Pod

    api = kr8s.api(kubeconfig=str(place.kubeconfig))
    yield lambda number: Pod(_kr8s_pod(number, place), api=api).logs(follow=True, timestamps=True)


@asynccontextmanager
async def lightkube_async(place: Place, pods: int) -> AsyncIterator[Lines]:
    """Without a time limit: its pool has 100 connections, for which the other logs wait."""
    del pods
    import httpx2
    import lightkube

    config = lightkube.KubeConfig.from_file(str(place.kubeconfig))
    client = lightkube.AsyncClient(config, timeout=httpx2.Timeout(None))

    async def lines(number: int) -> Any:
        return client.log(f"pod-{number}", follow=True, timestamps=True)

    yield lines
    await client.close()


@contextmanager
def lightkube_blocking(place: Place, pods: int) -> Iterator[BlockingLines]:
    del pods
    import httpx2
    import lightkube

    config = lightkube.KubeConfig.from_file(str(place.kubeconfig))
    client = lightkube.Client(config, timeout=httpx2.Timeout(None))
    yield lambda number: client.log(f"pod-{number}", follow=True, timestamps=True)


@asynccontextmanager
async def kubex(place: Place, pods: int) -> AsyncIterator[Lines]:
    from kubex.api import Api
    from kubex.client import create_client
    from kubex.client.client import ClientChoice
    from kubex.client.options import ClientOptions
    from kubex.k8s.v1_37.core.v1.pod import Pod

    os.environ["KUBECONFIG"] = str(place.kubeconfig)
    options = ClientOptions(pool_size=pods + 1, timeout=None)
    async with await create_client(client_class=ClientChoice("aiohttp"), options=options) as client:
        api = Api(Pod, client=client, namespace=place.namespace)

        async def lines(number: int) -> Any:
            return api.logs.stream(f"pod-{number}", timestamps=True)

        yield lines


# The Watch of kubernetes.aio 37.0.2 asks for a log again when it has ended, without end: it has its raw way only.
ASYNC: dict[str, AsyncContender] = {
    "podrunner": podrunner_async,
    "floor": floor_log,
    "bare aiohttp": bare_aiohttp,
    "kubex": kubex,
    "kubernetes-asyncio": openapi("kubernetes_asyncio"),
    "kubernetes-asyncio raw": openapi("kubernetes_asyncio", raw=True),
    "kubernetes.aio raw": openapi("kubernetes.aio", raw=True),
    "lightkube": lightkube_async,
    "kr8s": kr8s_async,
}
BLOCKING: dict[str, Contender] = {
    "podrunner blocking": podrunner_blocking,
    "kubernetes": kubernetes,
    "kubernetes raw": kubernetes_raw,
    "lightkube blocking": lightkube_blocking,
    "kr8s blocking": kr8s_blocking,
    "kubectl": kubectl,
}

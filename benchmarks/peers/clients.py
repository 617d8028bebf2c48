"""The clients that are compared, each as its documentation shows it, or by its fastest documented way (``raw``).

One class per contender, with the same few methods. What none of these clients gives (one launch per attempt, one
outcome with its cause, delivery across crashes) is not asked of them: they create a pod, read a watch, and delete.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

AT_ONCE = 32
"""Requests under way, of each contender."""
PODS = "/api/v1/namespaces/default/pods"
Event = tuple[str, str, str]
"""Type, name of the pod, phase."""


def manifest(name: str) -> dict[str, Any]:
    container = {
        "name": "base",
        "image": "registry.example.com/data/worker:1",
        "command": ["/usr/bin/worker", "run", "--task", name],
        "env": [{"name": "RUN_ID", "value": "r"}, {"name": "LOG_LEVEL", "value": "INFO"}],
    }
    labels = {"app.kubernetes.io/managed-by": "bench", "example.com/task": name}
    annotations = {"example.com/key": json.dumps({"run": "r", "n": name}), "local.podrunner.io/script": "{}"}
    meta = {"name": name, "namespace": "default", "labels": labels, "annotations": annotations}
    spec = {"restartPolicy": "Never", "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": meta, "spec": spec}


class Client:
    """What each contender does.

    Args:
        url: Of the API server.
        kubeconfig: A kubeconfig for it.
    """

    def __init__(self, url: str, kubeconfig: str) -> None:
        self.url, self.kubeconfig = url, kubeconfig

    async def open(self) -> None:
        raise NotImplementedError

    async def create(self, name: str) -> None:
        raise NotImplementedError

    async def delete(self, name: str) -> None:
        raise NotImplementedError

    def watch(self) -> AsyncIterator[Event]:
        raise NotImplementedError

    async def list(self) -> Any:
        raise NotImplementedError

    async def close(self) -> None:
        pass


class BareAiohttp(Client):
    """An aiohttp session, lines split by hand, three fields decoded by msgspec. It keeps nothing."""

    async def open(self) -> None:
        import aiohttp
        import msgspec

        meta = msgspec.defstruct("Meta", [("name", str)])
        status = msgspec.defstruct("Status", [("phase", str)])
        pod = msgspec.defstruct("Pod", [("metadata", meta), ("status", status)])
        event = msgspec.defstruct("Event", [("type", str), ("object", pod)])
        self._event = msgspec.json.Decoder(event).decode
        self._list = msgspec.json.Decoder(msgspec.defstruct("List", [("items", list[pod])])).decode
        self._encode = msgspec.json.encode
        self._session = aiohttp.ClientSession(
            self.url,
            connector=aiohttp.TCPConnector(limit=AT_ONCE + 1),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"Authorization": "Bearer t", "Content-Type": "application/json"},
            timeout=aiohttp.ClientTimeout(None),
        )

    async def create(self, name: str) -> None:
        async with self._session.post(PODS, data=self._encode(manifest(name))) as answer:
            await answer.read()

    async def delete(self, name: str) -> None:
        async with self._session.delete(f"{PODS}/{name}") as answer:
            await answer.read()

    async def watch(self) -> AsyncIterator[Event]:
        async with self._session.get(f"{PODS}?watch=1") as answer:
            rest = b""
            async for data in answer.content.iter_any():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    event = self._event(line)
                    yield event.type, event.object.metadata.name, event.object.status.phase

    async def list(self) -> Any:
        async with self._session.get(PODS) as answer:
            return self._list(await answer.read()).items

    async def close(self) -> None:
        await self._session.close()


class OpenApi(Client):
    """A client that is generated from the OpenAPI document, with asyncio: kubernetes-asyncio, or kubernetes.aio."""

    package = "kubernetes_asyncio"
    raw = False

    async def open(self) -> None:
        from importlib import import_module

        self._watch = import_module(f"{self.package}.watch")
        client = import_module(f"{self.package}.client")
        await import_module(f"{self.package}.config").load_kube_config(self.kubeconfig)
        settings = client.Configuration.get_default_copy()
        settings.connection_pool_maxsize = AT_ONCE + 1
        self._api = client.ApiClient(settings)
        self._v1 = client.CoreV1Api(self._api)

    async def create(self, name: str) -> None:
        await self._done("create_namespaced_pod", "default", manifest(name))

    async def delete(self, name: str) -> None:
        await self._done("delete_namespaced_pod", name, "default")

    async def _done(self, call: str, *arguments: Any) -> None:
        if self.raw:
            await (await self._raw(call, *arguments)).read()
        else:
            await getattr(self._v1, call)(*arguments)

    async def _raw(self, call: str, *arguments: Any, **options: Any) -> Any:
        """Return aiohttp's answer: the two generations of the generated client have each a way of their own."""
        if method := getattr(self._v1, f"{call}_without_preload_content", None):
            return await method(*arguments, **options)
        return await getattr(self._v1, call)(*arguments, **options, _preload_content=False)

    async def watch(self) -> AsyncIterator[Event]:
        if self.raw:
            answer, rest = await self._raw("list_namespaced_pod", "default", watch=True), b""
            while data := await answer.content.readany():
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    event = json.loads(line)
                    yield (
                        event["type"],
                        event["object"]["metadata"]["name"],
                        event["object"]["status"]["phase"],
                    )
        else:
            async with self._watch.Watch() as watch:
                async for event in watch.stream(
                    self._v1.list_namespaced_pod, "default", timeout_seconds=3600
                ):
                    yield event["type"], event["object"].metadata.name, event["object"].status.phase

    async def list(self) -> Any:
        if self.raw:
            return json.loads(await (await self._raw("list_namespaced_pod", "default")).read())["items"]
        return (await self._v1.list_namespaced_pod("default")).items

    async def close(self) -> None:
        await self._api.close()


class OpenApiRaw(OpenApi):
    raw = True


class KubernetesAio(OpenApi):
    package = "kubernetes.aio"


class KubernetesAioRaw(KubernetesAio):
    raw = True


class KubernetesSync(Client):
    """The official client: blocking, in a pool of threads, with the watch in a thread of its own."""

    async def open(self) -> None:
        from kubernetes import client, config, watch

        config.load_kube_config(self.kubeconfig)
        settings = client.Configuration.get_default_copy()
        settings.connection_pool_maxsize = AT_ONCE + 1
        self._watch = watch
        self._v1 = client.CoreV1Api(client.ApiClient(settings))
        self._pool = ThreadPoolExecutor(AT_ONCE)

    async def create(self, name: str) -> None:
        await self._called(self._v1.create_namespaced_pod, "default", manifest(name))

    async def delete(self, name: str) -> None:
        await self._called(self._v1.delete_namespaced_pod, name, "default")

    async def _called(self, call: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *arguments)

    async def watch(self) -> AsyncIterator[Event]:
        loop, events = asyncio.get_running_loop(), asyncio.Queue[Event]()

        def read() -> None:
            for event in self._watch.Watch().stream(
                self._v1.list_namespaced_pod, "default", timeout_seconds=3600
            ):
                found = event["type"], event["object"].metadata.name, event["object"].status.phase
                loop.call_soon_threadsafe(events.put_nowait, found)

        threading.Thread(target=read, daemon=True).start()
        while True:
            yield await events.get()

    async def list(self) -> Any:
        return (await self._called(self._v1.list_namespaced_pod, "default")).items

    async def close(self) -> None:
        self._pool.shutdown(wait=False)


class Kr8s(Client):
    async def open(self) -> None:
        import kr8s.asyncio
        from kr8s.asyncio.objects import Pod

        self._api = await kr8s.asyncio.api(kubeconfig=self.kubeconfig, namespace="default")
        self._pod = Pod

    async def create(self, name: str) -> None:
        pod = await self._pod(manifest(name), api=self._api)
        await pod.create()

    async def delete(self, name: str) -> None:
        pod = await self._pod({"metadata": {"name": name, "namespace": "default"}}, api=self._api)
        await pod.delete()

    async def watch(self) -> AsyncIterator[Event]:
        async for kind, pod in self._api.watch("pods", namespace="default"):
            yield kind, pod.name, pod.status.phase

    async def list(self) -> Any:
        return [pod async for pod in self._api.get("pods", namespace="default")]


class Lightkube(Client):
    async def open(self) -> None:
        from lightkube import AsyncClient, KubeConfig
        from lightkube.resources.core_v1 import Pod

        self._client = AsyncClient(config=KubeConfig.from_file(self.kubeconfig), namespace="default")
        self._pod = Pod

    async def create(self, name: str) -> None:
        await self._client.create(self._pod.from_dict(manifest(name)))

    async def delete(self, name: str) -> None:
        await self._client.delete(self._pod, name)

    async def watch(self) -> AsyncIterator[Event]:
        async for kind, pod in self._client.watch(self._pod):
            yield kind, pod.metadata.name, pod.status.phase

    async def list(self) -> Any:
        return [pod async for pod in self._client.list(self._pod)]

    async def close(self) -> None:
        await self._client.close()


class Kubex(Client):
    async def open(self) -> None:
        from kubex.api import Api
        from kubex.client import create_client
        from kubex.client.client import ClientChoice
        from kubex.client.options import ClientOptions
        from kubex.k8s.v1_37.core.v1.pod import Pod

        os.environ["KUBECONFIG"] = self.kubeconfig
        options = ClientOptions(pool_size=AT_ONCE + 1, timeout=None)
        self._client = await create_client(client_class=ClientChoice("aiohttp"), options=options)
        await self._client.__aenter__()
        self._api = Api(Pod, client=self._client, namespace="default")
        self._pod = Pod

    async def create(self, name: str) -> None:
        await self._api.create(self._pod.model_validate(manifest(name)))

    async def delete(self, name: str) -> None:
        await self._api.delete(name)

    async def watch(self) -> AsyncIterator[Event]:
        async for event in self._api.watch():
            yield event.type.value, event.object.metadata.name, event.object.status.phase

    async def list(self) -> Any:
        return (await self._api.list()).items

    async def close(self) -> None:
        await self._client.__aexit__(None, None, None)


CLIENTS: dict[str, type[Client]] = {
    "bare aiohttp": BareAiohttp,
    "kubex": Kubex,
    "kubernetes-asyncio": OpenApi,
    "kubernetes-asyncio raw": OpenApiRaw,
    "kubernetes.aio": KubernetesAio,
    "kubernetes.aio raw": KubernetesAioRaw,
    "kubernetes": KubernetesSync,
    "lightkube": Lightkube,
    "kr8s": Kr8s,
}
IMPORTS = {
    "podrunner": "import podrunner; podrunner.AsyncPodRunner; podrunner.RunnerConfig",
    "bare aiohttp": "import aiohttp",
    "kubex": "import kubex.client, kubex.api; from kubex.k8s.v1_37.core.v1.pod import Pod",
    "kubernetes-asyncio": "import kubernetes_asyncio.client, kubernetes_asyncio.config, kubernetes_asyncio.watch",
    "kubernetes.aio": "import kubernetes.aio.client, kubernetes.aio.config, kubernetes.aio.watch",
    "kubernetes": "import kubernetes.client, kubernetes.config, kubernetes.watch",
    "lightkube": "import lightkube; from lightkube.resources.core_v1 import Pod",
    "kr8s": "import kr8s.asyncio; from kr8s.asyncio.objects import Pod",
}
"""What a program imports to do the walk."""

"""A client of its own process: asks a hostile server once, and says what came of it and how much memory it took.

``python -m tests.contract.transport.hostile_client URL TRANSPORT LOOP VERB``
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from random import Random

import anyio
from podrunner.config import RunnerConfig, WatchSettings
from podrunner.errors import PodrunnerError
from podrunner.kube import KubeClient, connect, explicit_access
from podrunner.watch import Reflector

STATUS = Path("/proc/self/status")


def memory_bytes(field: str) -> int:
    """The resident memory now (VmRSS), or at its highest (VmHWM)."""
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


def begin_measuring() -> int:
    """Let the highest begin anew; return the memory now."""
    Path("/proc/self/clear_refs").write_text("5")
    return memory_bytes("VmRSS")


async def read(client: KubeClient) -> None:
    await client.read_pod("n", "a")


async def create(client: KubeClient) -> None:
    await client.create_pod("n", {"metadata": {"name": "a"}})


async def watch(client: KubeClient) -> None:
    async with client.watch_pods("n", resource_version="1") as stream:
        async for _ in stream:
            pass


async def log(client: KubeClient) -> None:
    size = 0
    async with client.stream_log("n", "a") as batches:
        async for batch in batches:
            size += len(batch)
            if size > 512 * 1024 * 1024:
                raise PodrunnerError("512 MiB were read, a piece at a time")


async def exec_(client: KubeClient) -> None:
    await client.run_exec("n", "a", ["cat", "/dev/zero"])


async def list_(client: KubeClient, streaming: str = "off") -> None:
    settings = WatchSettings(streaming_lists=streaming, stale_after_s=1000)
    reflector = Reflector(
        client,
        namespace="n",
        label_selector="",
        settings=settings,
        random=Random(1),
        sink=lambda _: None,
    )
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(reflector.run)
        while (error := reflector.health().error) is None:
            await anyio.sleep(0.01)
        tasks.cancel_scope.cancel()
    raise PodrunnerError(error)


VERBS = {
    "read": read,
    "create": create,
    "watch": watch,
    "log": log,
    "exec": exec_,
    "list": list_,
    "streaming-list": partial(list_, streaming="on"),
}


async def main(url: str, transport: str, verb: str) -> None:
    config = RunnerConfig(transport=transport, request_timeout_s=60)
    async with connect(config, access=explicit_access(url)) as client:
        await client.server_version()
        before = begin_measuring()
        try:
            await VERBS[verb](client)
        except PodrunnerError as error:
            said = f"{type(error).__name__}: {error}"
        else:
            said = ""
        sys.stdout.write(json.dumps({"grown": memory_bytes("VmHWM") - before, "said": said}))


if __name__ == "__main__":
    anyio.run(main, sys.argv[1], sys.argv[2], sys.argv[4], backend=sys.argv[3])

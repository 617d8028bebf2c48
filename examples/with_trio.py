"""The runner on trio. Needs podrunner[trio]."""

from __future__ import annotations

import podrunner
import trio


async def main() -> None:
    """Run two pods at once, and read their logs as they are written."""

    async def follow(text: str) -> None:
        pod = await runner.launch(podrunner.Workload(key={"say": text}, command=["echo", text]))
        async for line in pod.logs():
            print(line)

    async with podrunner.AsyncPodRunner(podrunner.RunnerConfig(cluster="local")) as runner:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow, "one")
                nursery.start_soon(follow, "two")


trio.run(main)

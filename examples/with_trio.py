"""The same runner on trio. Needs podrunner[trio]."""

from __future__ import annotations

import podrunner
import trio


async def main() -> None:
    """Run two pods side by side, and read their logs as they are written."""

    async def follow(word: str) -> None:
        pod = await runner.launch(podrunner.Workload(key={"say": word}, command=["echo", word]))
        async for line in pod.logs():
            print(line)

    async with podrunner.AsyncPodRunner(podrunner.RunnerConfig(cluster="local")) as runner:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(follow, "one")
                nursery.start_soon(follow, "two")


trio.run(main)

"""One runner for the pods of several teams, each in a namespace of its own. Needs podrunner[local], and no cluster."""

from __future__ import annotations

import asyncio
from collections import Counter

import podrunner
from podrunner.kube import connect

TEAMS = ("team-a", "team-b", "team-c")


async def create_namespaces(config: podrunner.RunnerConfig) -> None:
    """Do what an administrator has done on a real cluster."""
    async with connect(config) as client:
        for team in TEAMS:
            await client.call("POST", "/api/v1/namespaces", body={"metadata": {"name": team}})


async def main() -> None:
    """Run four tasks for each team."""
    async with podrunner.LocalCluster() as cluster:
        config = podrunner.RunnerConfig(
            kubeconfig=cluster.kubeconfig,
            image="busybox",
            namespaces=TEAMS,  # one watch for each; all_namespaces=True: one for all, with cluster-wide rights
        )
        await create_namespaces(config)
        tasks = [
            podrunner.Workload(key={"team": team, "task": n}, namespace=team, command=["true"])
            for team in TEAMS
            for n in range(4)
        ]
        async with podrunner.AsyncPodRunner(config) as runner:
            # group=: a team with a thousand tasks does not delay the others.
            batch = await runner.submit_many(tasks, group=lambda task: task.key.parts["team"])
            ended = Counter([pod.namespace async for pod in runner.as_completed(batch)])
    print(dict(sorted(ended.items())))  # {'team-a': 4, 'team-b': 4, 'team-c': 4}


asyncio.run(main())

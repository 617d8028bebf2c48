"""Function calls of a pod's whole walk, by the part of the program that makes them.

It makes the profile that docs/reference/speed.md shows.

Run: ``python benchmarks/walk_calls.py [--pods N] [--json]``. cProfile counts them in this process, against the stub
server; unlike times, they hardly change from run to run. ``--stats FILE`` counts what another program has written::

    python -m cProfile -o FILE benchmarks/kwok_walk.py --contender podrunner --kubeconfig KUBECONFIG --pods 1000
    python benchmarks/walk_calls.py --stats FILE --pods 1000

Calls of functions in C belong to the part that calls them. *Share of time* is that under the profiler, which makes
calls dearer than they are.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import json
import pstats
from collections import Counter
from pathlib import PurePath
from typing import Any

import pod_stub
import whole_walk

PARTS = (
    ("podrunner.ownership", "the Lease"),
    ("podrunner.kube.wire", "reading the watch"),
    ("podrunner.kube", "requests: launcher and kube"),
    ("podrunner.launcher", "requests: launcher and kube"),
    ("podrunner.watch", "reading the watch"),
    ("podrunner.outcome", "judging: outcome and lifecycle"),
    ("podrunner.runner.lifecycle", "judging: outcome and lifecycle"),
    ("podrunner.runner.states", "judging: outcome and lifecycle"),
    ("podrunner.runner", "supervision, events, tasks"),
    ("podrunner.builder", "building the pod"),
    ("podrunner.workload", "building the pod"),
    ("podrunner.config", "building the pod"),
    ("podrunner", "podrunner, the rest"),
    ("aiohttp", "aiohttp and yarl"),
    ("aiosignal", "aiohttp and yarl"),
    ("frozenlist", "aiohttp and yarl"),
    ("multidict", "aiohttp and yarl"),
    ("yarl", "aiohttp and yarl"),
    ("asyncio", "asyncio and anyio"),
    ("anyio", "asyncio and anyio"),
    ("selectors", "asyncio and anyio"),
)
"""The part of a module: the first row that fits."""
OTHER = "the rest of Python"


def main() -> None:
    arguments = _parsed()
    if arguments.stats:
        stats = pstats.Stats(arguments.stats)
    else:
        with pod_stub.started(ends=True) as url:
            stats = pstats.Stats(asyncio.run(_profile(url, arguments.pods)))
    found = by_part(stats, arguments.pods)
    if arguments.json:
        print(json.dumps(found))
        return
    print("| Part | Calls per pod | Share of calls | Share of time |\n|---|--:|--:|--:|")
    whole = [sum(of[number] for of in found.values()) for number in range(2)]
    for name, (calls, took) in found.items():
        print(f"| {name} | {calls:,.0f} | {calls / whole[0]:.0%} | {took / whole[1]:.0%} |")
    print(f"| all | {whole[0]:,.0f} | | |")


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pods", type=int, default=1000)
    parser.add_argument("--stats", metavar="FILE", help="count this file of cProfile, of so many pods")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


async def _profile(url: str, pods: int) -> cProfile.Profile:
    """Profile the whole walk of the async face, without its start."""
    import podrunner

    profile = cProfile.Profile()
    async with podrunner.AsyncPodRunner(whole_walk.config_of(url)) as runner:
        await runner.launch_many(whole_walk.workloads_of("warm", 50))
        await runner.wait_all()
        workloads = whole_walk.workloads_of("walk", pods)
        profile.enable()
        launched = await runner.launch_many(workloads)
        assert all([(await pod.wait()).succeeded for pod in launched])
        await runner.wait_all()
        profile.disable()
    return profile


WAITING = "'poll' of 'select."
"""What asyncio waits in: no work, though a profiler counts its time."""


def by_part(stats: pstats.Stats, pods: int) -> dict[str, tuple[float, float]]:
    """Return calls per pod and microseconds per pod of each part, most calls first."""
    calls: Counter[str] = Counter()
    took: Counter[str] = Counter()
    for (file, _, name), (_, count, own_s, _, callers) in stats.stats.items():  # type: ignore[attr-defined]
        if WAITING in name:
            continue
        if file == "~" and callers:
            for (caller, _, _), (_, of, of_s, _) in callers.items():
                calls[part_of(caller)] += of
                took[part_of(caller)] += of_s
        else:
            calls[part_of(file)] += count
            took[part_of(file)] += own_s
    return {name: (count / pods, took[name] / pods * 1e6) for name, count in calls.most_common()}


def part_of(file: str) -> str:
    """Return the part that a source file belongs to."""
    path = PurePath(file).with_suffix("").parts
    for module, part in PARTS:
        names: Any = tuple(module.split("."))
        if any(path[at : at + len(names)] == names for at in range(len(path))):
            return part
    return OTHER


if __name__ == "__main__":
    main()

"""podrunner beside other clients of Kubernetes: a pod's whole walk, the watch, a list, memory per pod, import, logs.

Run: ``nox -s bench-peers`` (an environment of its own, with the versions in ``requirements.txt``), or in such an
environment ``python benchmarks/peers/compare.py [--rounds N] [--pods N] [--listed N] [--log-lines N] [--log-pods N]
[--to docs/benchmarks]``.
Each measurement is a process of its own, against the stub server of ``podrunner bench`` in another one; the contenders
alternate over the rounds, and of each figure the best counts. Compare figures within one run only.

*walk*: create, watch the pod through its five stages, delete it when it succeeded, until it is gone; 32 at once.
*watch*: read the events of many pods, each of 6 KB. *list*: read as many in one answer; and what the client's own
objects of them hold. *logs*: see ``log_reading.py``.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import http.client
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import urlsplit

import clients
import log_reading

sys.path.insert(0, str(Path(__file__).parents[1]))

OURS = ("podrunner", "podrunner blocking")
CONTENDERS = (*OURS, "floor", *clients.CLIENTS)
EVERY_NAME = tuple(dict.fromkeys((*CONTENDERS, *log_reading.CONTENDERS)))
PAGE = Path(__file__).parents[2] / "docs" / "benchmarks" / "peers.md"
WARM = 20
PACKAGES = ("kubernetes", "kubernetes-asyncio", "kubex", "lightkube", "kr8s", "httptools")
TITLES = {
    "walk": ("The whole walk of a pod: client's CPU", "µs"),
    "watch": ("A watch event of 6 KB: client's CPU", "µs"),
    "list": ("A listed pod: client's CPU", "µs"),
    "held": ("A listed pod that is kept: memory", "KB"),
    "import": ("The import: CPU", "ms"),
    "import memory": ("The import: memory", "MB"),
}
"""Each measure: the title of its picture, and the unit."""


def main() -> None:
    arguments = _parsed()
    if arguments.child:
        measure, name, url, number = arguments.child
        asyncio.run(_printed_figures(measure, name, url, int(number)))
    found = figures(arguments)
    if arguments.to is None:
        print(json.dumps(found, indent=2))
    else:
        written(found, arguments.to)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pods", type=int, default=600, help="of the walk")
    parser.add_argument("--listed", type=int, default=2_000, help="of the watch and the list")
    parser.add_argument("--log-lines", type=int, default=600_000, help="of the one log: 59 MB")
    parser.add_argument("--log-pods", type=int, default=500, help="of the logs that are read at once")
    parser.add_argument("--contenders", nargs="+", choices=EVERY_NAME, default=EVERY_NAME)
    parser.add_argument("--to", type=Path, help="folder of the results")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    return parser.parse_args()


def figures(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the best of each figure of each contender, and what each round measured."""
    rounds: list[dict[str, dict[str, float]]] = []
    logs: list[log_reading.Figures] = []
    for number in range(arguments.rounds):
        print(f"round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
        rounds.append(_round(arguments))
        logs.append(
            log_reading.round_of(
                arguments.contenders,
                lines=arguments.log_lines,
                pods=arguments.log_pods,
                memory=number == 0,
            )
        )
    best: dict[str, dict[str, float]] = {measure: {} for measure in (*TITLES, "pods/s")}
    for measure, of in best.items():
        least = max if measure == "pods/s" else min
        for name in rounds[0].get(measure, {}):
            of[name] = least(each[measure][name] for each in rounds)
    from podrunner.bench.report import machine

    about = machine()
    about["versions"] |= {name: version(name) for name in PACKAGES}
    about["versions"] |= log_reading.kubectl_version()
    return {
        "machine": about,
        "pods": arguments.pods,
        "listed": arguments.listed,
        "best": best,
        "rounds": rounds,
        "logs": {
            "lines": arguments.log_lines,
            "pods": arguments.log_pods,
            "pod_lines": log_reading.POD_LINES,
            "best": log_reading.best_of(logs),
            "rounds": logs,
        },
    }


def _round(arguments: argparse.Namespace) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {measure: {} for measure in (*TITLES, "pods/s")}
    with _stub() as url:
        for name in _of(arguments.contenders):
            took = _child("walk", name, url, arguments.pods)
            found["walk"][name], found["pods/s"][name] = took["us"], took["pods_per_s"]
    with _stub() as url:
        _fill(url, arguments.listed)
        for name in _of(arguments.contenders):
            if name == OURS[1]:
                continue  # the blocking face has the watch of the other one
            found["watch"][name] = _child("watch", name, url, arguments.listed)["us"]
            took = _child("list", name, url, arguments.listed)
            found["list"][name], found["held"][name] = took["us"], took["held_kb"]
    for name, program in clients.IMPORTS.items():
        if name in arguments.contenders:
            found["import"][name], found["import memory"][name] = _import(program)
    return found


def _of(names: Sequence[str]) -> list[str]:
    """Return those that walk: some clients are measured by their logs only."""
    return [name for name in names if name in CONTENDERS]


@contextmanager
def _stub():
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "podrunner.bench.serve", "stub", folder]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
            kubeconfig = json.loads(Path(process.stdout.readline().strip()).read_text())
            yield kubeconfig["clusters"][0]["cluster"]["server"]
            process.stdin.close()


def _fill(url: str, pods: int) -> None:
    """Create pods that run for ever."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc)
    for number in range(pods):
        pod = clients.manifest(f"listed-{number}")
        pod["metadata"]["annotations"]["local.podrunner.io/script"] = '{"held": true}'
        connection.request("POST", clients.PODS, json.dumps(pod))
        connection.getresponse().read()
    connection.close()
    time.sleep(0.5)  # until the last one runs


def _child(measure: str, name: str, url: str, number: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--child", measure, name, url, str(number)]
    environ = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=200, env=environ)
    return json.loads(done.stdout.splitlines()[-1])


def _import(program: str) -> tuple[float, float]:
    """Return the CPU milliseconds and the megabytes that an import adds to a bare interpreter."""
    report = (
        "import resource;u=resource.getrusage(resource.RUSAGE_SELF);"
        "s=dict(l.split(':',1) for l in open('/proc/self/status'));"
        "print((u.ru_utime+u.ru_stime)*1e3,int(s['VmHWM'].split()[0])/1e3)"
    )
    cpu, memory = zip(*(_printed(f"{code}\n{report}") for code in ("", program)), strict=True)
    return cpu[1] - cpu[0], memory[1] - memory[0]


def _printed(program: str) -> tuple[float, ...]:
    done = subprocess.run([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True)
    return tuple(map(float, done.stdout.split()))


# --- in a child ----------------------------------------------------------------------------------------------------


async def _printed_figures(measure: str, name: str, url: str, number: int) -> None:
    """Print the figures, and end at once: not every client ends a watch that is left."""
    print(json.dumps(await MEASURES[measure](name, url, number)), flush=True)
    os._exit(0)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _kubeconfig(url: str) -> str:
    from podrunner.bench.serve import write_kubeconfig

    return str(write_kubeconfig(Path(tempfile.mkdtemp()), url))


async def _opened(name: str, url: str) -> clients.Client:
    if name == "floor":
        import floor

        made: clients.Client = floor.Floor(url, _kubeconfig(url))
    else:
        made = clients.CLIENTS[name](url, _kubeconfig(url))
    await made.open()
    return made


async def walk(name: str, url: str, pods: int) -> dict[str, float]:
    if name in OURS:
        return await (
            _our_walk(url, pods) if name == OURS[0] else asyncio.to_thread(_our_blocking_walk, url, pods)
        )
    walking = _Walk(await _opened(name, url))
    await walking.go("warm", WARM)
    began, used = time.perf_counter(), cpu_s()
    await walking.go("walk", pods)
    return _per_pod(pods, began, used)


def _per_pod(pods: int, began: float, used: float) -> dict[str, float]:
    return {"us": (cpu_s() - used) / pods * 1e6, "pods_per_s": pods / (time.perf_counter() - began)}


class _Walk:
    """Creates pods, deletes each that succeeded, and waits until all are gone."""

    def __init__(self, client: clients.Client) -> None:
        self._client = client
        self._over: asyncio.Queue[str] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._left: set[str] = set()
        self._watching = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        async for kind, name, phase in self._client.watch():
            if kind == "DELETED":
                self._left.discard(name)
                if not self._left:
                    self._gone.set()
            elif kind == "MODIFIED" and phase == "Succeeded":
                self._over.put_nowait(name)

    async def go(self, prefix: str, pods: int) -> None:
        await asyncio.sleep(0.3)  # until the watch is open
        self._left = {f"{prefix}-{os.getpid()}-{number}" for number in range(pods)}
        self._gone.clear()
        names = iter(sorted(self._left))
        deleting = [asyncio.create_task(self._delete()) for _ in range(clients.AT_ONCE // 2)]
        await asyncio.gather(*(self._create(names) for _ in range(clients.AT_ONCE // 2)))
        while not self._gone.is_set():
            if self._watching.done():
                self._watching.result()
            await asyncio.wait(
                [asyncio.ensure_future(self._gone.wait()), self._watching], return_when="FIRST_COMPLETED"
            )
        for _ in deleting:
            self._over.put_nowait("")
        await asyncio.gather(*deleting)

    async def _create(self, names: Any) -> None:
        for name in names:
            await self._client.create(name)

    async def _delete(self) -> None:
        while name := await self._over.get():
            await self._client.delete(name)


def _our_config(url: str) -> Any:
    import podrunner

    return podrunner.RunnerConfig(
        cluster="kubeconfig",
        kubeconfig=_kubeconfig(url),
        image="registry.example.com/data/worker:1",
        env={"RUN_ID": "r", "LOG_LEVEL": "INFO"},
        logs={"follow": "off"},
    )


def _workloads(prefix: str, pods: int) -> list[Any]:
    import podrunner

    return [
        podrunner.Workload(
            key={"run": f"{prefix}-{os.getpid()}", "n": str(number)},
            command=["/usr/bin/worker", "run", "--task", str(number)],
            annotations={"local.podrunner.io/script": "{}"},
        )
        for number in range(pods)
    ]


async def _our_walk(url: str, pods: int) -> dict[str, float]:
    import podrunner

    async with podrunner.AsyncPodRunner(_our_config(url)) as runner:
        await runner.launch_many(_workloads("warm", WARM))
        await runner.wait_all()
        workloads = _workloads("walk", pods)
        began, used = time.perf_counter(), cpu_s()
        launched = await runner.launch_many(workloads)
        assert all([(await pod.wait()).succeeded for pod in launched])
        await runner.wait_all()
        return _per_pod(pods, began, used)


def _our_blocking_walk(url: str, pods: int) -> dict[str, float]:
    import podrunner

    with podrunner.PodRunner(_our_config(url)) as runner:
        runner.launch_many(_workloads("warm", WARM))
        runner.wait_all()
        workloads = _workloads("walk", pods)
        began, used = time.perf_counter(), cpu_s()
        assert all(pod.wait().succeeded for pod in runner.launch_many(workloads))
        runner.wait_all()
        return _per_pod(pods, began, used)


async def watch(name: str, url: str, pods: int) -> dict[str, float]:
    if name == OURS[0]:
        return await _our_reflector(url, pods, streaming="on")
    client = await _opened(name, url)
    used, read = cpu_s(), 0
    async for kind, _, _ in client.watch():
        read += kind == "ADDED"
        if read == pods:
            break
    return {"us": (cpu_s() - used) / pods * 1e6}


async def list_pods(name: str, url: str, pods: int) -> dict[str, float]:
    if name == OURS[0]:
        return await _our_reflector(url, pods, streaming="off")
    client = await _opened(name, url)
    gc.collect()
    before, used = _anonymous(), cpu_s()
    listed = await client.list()
    used = cpu_s() - used
    assert len(listed) == pods
    gc.collect()
    return {"us": used / pods * 1e6, "held_kb": (_anonymous() - before) / pods / 1e3}


def _anonymous() -> int:
    """Return the bytes of memory of this process that no file backs."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


async def _our_reflector(url: str, pods: int, *, streaming: str) -> dict[str, float]:
    """The watch of a runner, with its store: what a runner does before it looks at a pod."""
    from podrunner.config import WatchSettings
    from podrunner.kube import connect
    from podrunner.watch import Reflector

    async with connect(_our_config(url)) as client:
        reflector = Reflector(
            client,
            namespace="default",
            label_selector="app.kubernetes.io/managed-by=bench",
            settings=WatchSettings(streaming_lists=streaming),
            random=Random(1),
            sink=lambda _: None,
        )
        gc.collect()
        before, used = _anonymous(), cpu_s()
        task = asyncio.create_task(reflector.run())
        while len(reflector.store) < pods:  # noqa: ASYNC110  # the store tells no one of its size
            await asyncio.sleep(0.005)
        used = cpu_s() - used
        gc.collect()
        held = _anonymous() - before
        task.cancel()
        return {"us": used / pods * 1e6, "held_kb": held / pods / 1e3}


MEASURES: dict[str, Callable[[str, str, int], Any]] = {"walk": walk, "watch": watch, "list": list_pods}


# --- results -------------------------------------------------------------------------------------------------------


def pictures(found: dict[str, Any]) -> dict[str, str]:
    """Return the pictures by the names of their files."""
    from podrunner.bench.svg import bars

    drawn = {
        f"peers-{measure.replace(' ', '-')}.svg": bars(
            title,
            dict(sorted(found["best"][measure].items(), key=lambda item: item[1])),
            unit=unit,
            chief="podrunner",
        )
        for measure, (title, unit) in TITLES.items()
    }
    return drawn | (log_reading.pictures(found["logs"]) if "logs" in found else {})


def tables(found: dict[str, Any]) -> list[str]:
    """Return the tables of the page, with a row for each contender: of everything else, and of logs."""
    best: dict[str, dict[str, float]] = found["best"]
    bare = best["walk"]["bare aiohttp"]
    head = (
        "| | walk, µs | times bare | pods/s | watch, µs | list, µs | held, KB | import, ms | import, MB |\n"
    )
    rows = [head + "|---|" + "--:|" * 8]
    for name, us in sorted(best["walk"].items(), key=lambda item: item[1]):
        cells = [_cell(best[each].get(name)) for each in ("watch", "list", "held", "import", "import memory")]
        rows.append(
            f"| {name} | {us:,.0f} | {us / bare:.2f} | {best['pods/s'][name]:,.0f} | {' | '.join(cells)} |"
        )
    said = (
        f"{found['pods']} pods in each walk, {found['listed']} listed ones; rounds: {len(found['rounds'])}."
    )
    logs = log_reading.table(found["logs"]) if "logs" in found else "Not measured in this run."
    return [said + "\n\n" + "\n".join(rows), logs]


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def written(found: dict[str, Any], folder: Path) -> None:
    """Write the figures and the pictures, and put the tables into the page, or into a copy of it."""
    import page_of_results

    if not (folder / PAGE.name).exists():
        shutil.copy(PAGE, folder)
    (folder / "peers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, picture in pictures(found).items():
        (folder / name).write_text(picture, encoding="utf-8")
    page_of_results.fill(folder / PAGE.name, [*tables(found), page_of_results.machine_line(found["machine"])])


if __name__ == "__main__":
    main()

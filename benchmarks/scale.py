"""One runner with many pods: 10,000 live at once, and the cost of an event with 1,000, 10,000 and 100,000 tracked.

Run: ``python benchmarks/scale.py [--pods N] [--tracked N …] [--rounds N] [--to docs/benchmarks]``. With ``--to`` it
writes the figures (``scale.json``), the pictures and the page of the documentation there; else it prints them.

*Live*: a stub server in another process holds all pods until each runs, then lets each end in the planned order.
*Tracked*: no network. A transport in this process answers creates and hands in watch events as bytes, so that what is
measured is the runner: an event that changes nothing, the whole end of a pod (event, outcome, delivery, deletion), and
all events of pods that are launched when the others are there, from the first to the deletion.
Each measurement is a process of its own; the sizes alternate over the rounds, and the minimum counts.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).parent))

import page_of_results
from podrunner import AsyncPodRunner, EventKind, RunnerConfig, Workload
from podrunner.bench.measure import measured
from podrunner.bench.plan import Plan, Target
from podrunner.bench.report import document, machine
from podrunner.bench.stub_pods import admitted, status_of
from podrunner.bench.svg import bars, lines
from podrunner.kube import KubeClient, Request, Response

EVENTS, ENDS, REPEATS = 4_000, 1_000, 3
"""Events that change nothing, and pods that end, in each measurement; and how often each is repeated in a process."""
BATCH = 64 * 1024
JSON = {"content-type": "application/json"}
NOW = "2026-01-01T10:00:00Z"
LIFE = 7
"""Events of a pod's life: three while it waits, one when it runs, one that changes nothing, its end, its deletion."""
ROWS = ("an event that changes nothing", "the end of a pod", "any event of a pod's life, on average")


def main() -> None:
    arguments = _parsed()
    if arguments.child:
        kind, number = arguments.child
        print(json.dumps(live(int(number), arguments.ends_s) if kind == "live" else tracked(int(number))))
        return
    found = figures(arguments)
    if arguments.to is None:
        print(json.dumps(found, indent=2))
        return
    written(found, arguments.to)


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=10_000, help="live at once")
    parser.add_argument("--ends-s", type=float, default=40, help="seconds over which the live pods end")
    parser.add_argument("--tracked", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--rounds", type=int, default=2, help="of the tracked pods")
    parser.add_argument("--to", type=Path, help="folder of the results")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    return parser.parse_args()


def figures(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return all figures: ``live`` as of ``podrunner bench --json``, ``tracked`` by the number of pods."""
    rounds: dict[int, list[dict[str, Any]]] = {number: [] for number in arguments.tracked}
    for _ in range(arguments.rounds):
        for number, found in rounds.items():
            found.append(_child("tracked", number, arguments))
    best = {
        number: {name: min(each[name] for each in found) for name in found[0]}
        for number, found in rounds.items()
    }
    return {
        "machine": machine(),
        "live": _child("live", arguments.pods, arguments),
        "tracked": {str(number): of for number, of in best.items()},
    }


def _child(kind: str, number: int, arguments: argparse.Namespace) -> dict[str, Any]:
    command = [sys.executable, __file__, "--ends-s", str(arguments.ends_s), "--child", kind, str(number)]
    print(f"{kind} {number:,} …", file=sys.stderr, flush=True)
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, timeout=1_500)
    return json.loads(done.stdout.splitlines()[-1])


# --- live ----------------------------------------------------------------------------------------------------------


def live(pods: int, ends_s: float) -> dict[str, Any]:
    """Return the figures of a run whose pods are all live at once."""
    plan = Plan(
        target=Target.STUB,
        run="scale",
        pods=pods,
        concurrency=pods,
        held=True,
        running_s=ends_s / 2,
        time_limit_s=1_200,
    )
    return document(asyncio.run(measured(plan)))


# --- tracked -------------------------------------------------------------------------------------------------------


class Server:
    """A transport whose server is in this process: creates, deletes, Leases, an empty list, and one watch."""

    def __init__(self) -> None:
        self.metas: list[tuple[bytes, str]] = []
        self._batches: asyncio.Queue[bytes] = asyncio.Queue()
        self._read = asyncio.Event()
        self._versions = iter(range(1000, 1 << 62))

    async def request(self, request: Request) -> Response:
        body = msgspec.json.decode(request.body) if request.body else {}
        if request.path.endswith("/pods") and request.method == "POST":
            uid = f"00000000-0000-4000-8000-{len(self.metas):012d}"
            self.metas.append((request.body, uid))
            return _response(201, self._pod(len(self.metas) - 1, status_of(0, name="", image="", now=NOW)))
        if "/leases" in request.path and request.method in {"POST", "PUT"}:
            body["metadata"] |= {"uid": "lease", "resourceVersion": str(next(self._versions))}
            return _response(200, body)
        if request.method == "DELETE" and "/pods/" in request.path:
            number = int(request.path.rpartition("/")[2].split("-")[1])
            pod = self._pod(number, _over())
            self._batches.put_nowait(_line("DELETED", pod))
            return _response(200, pod)
        meta = {"resourceVersion": str(next(self._versions))}
        return _response(200, {"kind": "List", "apiVersion": "v1", "metadata": meta, "items": []})

    @asynccontextmanager
    async def stream(self, _request: Request):
        yield Stream(self._batches, self._read)

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        pass

    def _pod(self, number: int, status: dict[str, Any]) -> dict[str, Any]:
        manifest, uid = self.metas[number]
        pod = admitted(msgspec.json.decode(manifest), namespace="default", uid=uid, now=NOW)
        pod["metadata"]["resourceVersion"] = str(next(self._versions))
        pod["spec"]["nodeName"] = "node-1"
        return {**pod, "status": status}

    def events(self, numbers: list[int], status: dict[str, Any], *, kind: str = "MODIFIED") -> list[bytes]:
        """Return an event of each pod, in batches as a network delivers them."""
        data = b"".join(_line(kind, self._pod(number, status)) for number in numbers)
        return [data[at : at + BATCH] for at in range(0, len(data), BATCH)]

    async def send(self, batches: list[bytes]) -> None:
        """Hand batches to the watch; return when it has taken the last one in and asks for more."""
        for batch in batches:
            self._batches.put_nowait(batch)
        while True:
            self._read.clear()
            if self._batches.empty():
                break
            await self._read.wait()
        await asyncio.sleep(0)


class Stream:
    status = 200
    headers = JSON

    def __init__(self, batches: asyncio.Queue[bytes], read: asyncio.Event) -> None:
        self._batches, self._asked = batches, read

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        self._asked.set()
        return await self._batches.get()


def _response(status: int, document: dict[str, Any]) -> Response:
    return Response(status, JSON, msgspec.json.encode(document))


def _line(kind: str, pod: dict[str, Any]) -> bytes:
    return msgspec.json.encode({"type": kind, "object": pod}) + b"\n"


def _runs() -> dict[str, Any]:
    return status_of(3, name="base", image="x", now=NOW, started=NOW)


def _over() -> dict[str, Any]:
    return status_of(4, name="base", image="x", now=NOW, started=NOW)


def tracked(pods: int) -> dict[str, float]:
    """Return the CPU time of an event, and of a pod's end, when so many pods are tracked: microseconds."""
    return asyncio.run(_tracked(pods))


async def _tracked(pods: int) -> dict[str, float]:
    server, random = Server(), Random(1)
    config = RunnerConfig(image="x", logs={"follow": "off"}, watch={"streaming_lists": "off"})
    runner = AsyncPodRunner(config, client=KubeClient(server))
    await runner.__aenter__()  # never closed: the process ends first
    await runner.wait_synced()
    reader = Reader(runner)
    for first in range(0, pods, 5_000):
        await runner.launch_many(_workload(number) for number in range(first, min(first + 5_000, pods)))
        added = list(range(first, min(first + 5_000, pods)))
        await server.send(server.events(added, _runs(), kind="ADDED"))
    await reader.until(EventKind.STATUS_CHANGED, pods)
    found: dict[str, list[float]] = {name: [] for name in ROWS}
    numbers = list(range(pods))
    random.shuffle(numbers)
    for _ in range(REPEATS):
        ending, numbers = numbers[: min(ENDS, pods // 5)], numbers[min(ENDS, pods // 5) :]
        batches = server.events([random.choice(numbers) for _ in range(EVENTS)], _runs())
        began = time.process_time()
        await server.send(batches)
        found[ROWS[0]].append((time.process_time() - began) / EVENTS * 1e6)
        batches = server.events(ending, _over())
        began, gone = time.process_time(), reader.count[EventKind.DELETED]
        await server.send(batches)
        await reader.until(EventKind.DELETED, gone + len(ending))
        found[ROWS[1]].append((time.process_time() - began) / len(ending) * 1e6)
        found[ROWS[2]].append(await _life(runner, server, reader))
    print(json.dumps({name: min(values) for name, values in found.items()}), flush=True)
    os._exit(0)


async def _life(runner: AsyncPodRunner, server: Server, reader: Reader) -> float:
    """Return the CPU time of an event of pods that are launched now and live to their end: microseconds."""
    first = len(server.metas)
    added = list(range(first, first + ENDS))
    await runner.launch_many(_workload(number) for number in added)
    steps = [
        (0, "ADDED"),
        (1, "MODIFIED"),
        (2, "MODIFIED"),
        (3, "MODIFIED"),
        (3, "MODIFIED"),
        (4, "MODIFIED"),
    ]
    given = [server.events(added, _status(step), kind=kind) for step, kind in steps]
    began, gone = time.process_time(), reader.count[EventKind.DELETED]
    for batches in given:
        await server.send(batches)
    await reader.until(EventKind.DELETED, gone + ENDS)
    return (time.process_time() - began) / (ENDS * LIFE) * 1e6


def _status(step: int) -> dict[str, Any]:
    return status_of(step, name="base", image="x", now=NOW, started=NOW if step > 2 else "")


def _workload(number: int) -> Workload:
    return Workload(key={"bench": "scale", "n": str(number)}, command=["true"], name=f"scale-{number}")


class Reader:
    """Reads the events of a runner, so that outcomes are delivered, and counts them."""

    def __init__(self, runner: AsyncPodRunner) -> None:
        self.count = dict.fromkeys(EventKind, 0)
        self._news = asyncio.Event()
        self._task = asyncio.create_task(self._read(runner))

    async def _read(self, runner: AsyncPodRunner) -> None:
        async with runner.events() as events:
            async for event in events:
                self.count[event.kind] += 1
                self._news.set()

    async def until(self, kind: EventKind, count: int) -> None:
        while self.count[kind] < count:
            self._news.clear()
            await self._news.wait()


# --- results -------------------------------------------------------------------------------------------------------


def growth(found: dict[str, Any]) -> dict[str, list[tuple[float, float]]]:
    """Return for each kind of event its cost with more pods, as a multiple of that with the fewest."""
    tracked_pods = {int(number): of for number, of in found["tracked"].items()}
    least = tracked_pods[min(tracked_pods)]
    return {
        name: [(number, of[name] / least[name]) for number, of in sorted(tracked_pods.items())]
        for name in ROWS
    }


def pictures(found: dict[str, Any]) -> dict[str, str]:
    """Return the pictures by the names of their files."""
    alive = found["live"]
    delivery = [(seconds * 1e3, share) for seconds, share in alive["outcome_delivered"]]
    over_time = {
        "live pods": [(at_s, count) for at_s, count, _ in alive["live"]],
        "outcomes": [(at_s, count) for at_s, _, count in alive["live"]],
    }
    pods = alive["plan"]["pods"]
    return {
        "scale-growth.svg": lines(
            "CPU per event, as a multiple of that with the fewest pods",
            growth(found),
            x_name="pods that are tracked",
            y_name="multiple",
            log_x=True,
        ),
        "scale-live.svg": lines(
            f"{pods:,} pods live in one runner", over_time, x_name="seconds", y_name="pods"
        ),
        "scale-delivery.svg": lines(
            "From the server's event to the outcome in hand",
            {"outcomes": delivery},
            x_name="milliseconds",
            y_name="% that took no longer",
        ),
        "scale-cpu.svg": bars("CPU per event, microseconds", _costs(found), unit="µs"),
    }


def _costs(found: dict[str, Any]) -> dict[str, float]:
    return {
        f"{'event' if name == ROWS[0] else 'end'}, {int(number):,} pods": of[name]
        for name in ROWS
        for number, of in found["tracked"].items()
    }


def tables(found: dict[str, Any]) -> list[str]:
    """Return the tables of the page."""
    alive, stages = found["live"], found["live"]["stages"]
    delivery = stages["outcome delivered"]
    pods, all_live = alive["plan"]["pods"], alive["all_live"]
    facts = {
        "outcomes, each as planned": f"{alive['pods']['outcomes']:,} of {pods:,}",
        "memory per live pod": f"{all_live['memory'] / pods / 1e3:.1f} KB",
        "memory, peak": f"{alive['memory']['peak'] / 1e6:.0f} MB",
        "CPU per pod, until all are live": f"{all_live['cpu_s'] / pods * 1e6:,.0f} µs",
        "CPU per pod, whole life": f"{alive['cpu_us_per_pod']:,.0f} µs",
        "CPU while all are live and nothing happens": f"{all_live['idle_cpu_s_per_s'] * 100:.1f} % of a core",
        "API calls per pod": f"{alive['api_calls_per_pod']:.2f}",
        "event to delivered outcome, p50": f"{delivery['p50'] * 1e3:.1f} ms",
        "event to delivered outcome, p99": f"{delivery['p99'] * 1e3:.1f} ms",
    }
    of_live = "| | |\n|---|--:|\n" + "\n".join(f"| {name} | {value} |" for name, value in facts.items())
    sizes = [int(number) for number in found["tracked"]]
    columns = " | ".join(f"{number:,} pods" for number in sizes)
    head = f"| µs CPU | {columns} | growth |\n|---|{'--:|' * (len(sizes) + 1)}\n"
    rows = [
        f"| {name} | {' | '.join(f'{of[name]:,.1f}' for of in found['tracked'].values())} "
        f"| {growth(found)[name][-1][1]:.2f} times |"
        for name in ROWS
    ]
    return [of_live, head + "\n".join(rows)]


def written(found: dict[str, Any], folder: Path) -> None:
    """Write the figures and the pictures, and put the tables into the page."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scale.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    for name, picture in pictures(found).items():
        (folder / name).write_text(picture, encoding="utf-8")
    page_of_results.fill(
        folder / "scale.md", [*tables(found), page_of_results.machine_line(found["machine"])]
    )


if __name__ == "__main__":
    main()

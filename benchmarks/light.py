"""What podrunner costs before it does anything, and what a live pod costs: CPU, memory, modules of fresh processes.

Run: ``python benchmarks/light.py [--rounds N] [--pods N] [--against FOLDER] [--json] [PROGRAM …]``. Rounds alternate
between the programs; the minimum of the CPU time counts, and its ratio to a bare ``import aiohttp``. ``--against``
measures another checkout of podrunner in the same rounds. Compare figures within one run only. The byte code is
compiled beforehand, as an installer does: else each process would measure Python's compiler.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pod_stub

BASE = "import aiohttp"
LIBRARIES = "aiohttp, pydantic, …"
"""What podrunner is built on: aiohttp, anyio, msgspec, and pydantic with one model of one field."""

STEP = 1000
OTHER = ", the other"

REPORT = """
import resource, sys
usage = resource.getrusage(resource.RUSAGE_SELF)
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print("\\n", json.dumps({
    "cpu_ms": (usage.ru_utime + usage.ru_stime) * 1000,
    "peak_mib": int(status["VmHWM"].split()[0]) / 1024,  # ru_maxrss would begin with the parent's
    "modules": len(sys.modules),
}), flush=True)
"""

COMMAND = """
import sys
sys.argv = ["podrunner", *{arguments}]
from podrunner.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""

OPEN = """
import asyncio, json, os
from podrunner import AsyncPodRunner, RunnerConfig
from podrunner.kube import connect, explicit_access

def report():
{report}

async def main():
    config = RunnerConfig(image="x", logs={{"follow": "off"}}, max_active_pods=1_000_000)
    async with connect(config, access=explicit_access({url!r}, token="benchmark")) as client:
        async with AsyncPodRunner(config, client=client) as runner:
            await runner.wait_synced()
            {body}
            os._exit(0)  # closing is another measure

asyncio.run(main())
"""

LIVE = """
async def live(runner, first, last):
    from podrunner import Workload
    workloads = [Workload(key={"dag": "example", "n": str(n)}, command=["true"]) for n in range(first, last)]
    pods = list(await runner.launch_many(workloads))
    while any(pod.status != "Running" for pod in pods):
        runner.poll_events()
        await asyncio.sleep(0.2)
    runner.poll_events()
    import gc
    gc.collect()

def anonymous():
    for line in open("/proc/self/smaps_rollup"):
        if line.startswith("Anonymous:"):
            return int(line.split()[1]) * 1024
"""

MEASURE_LIVE = """
            import tracemalloc
            await live(runner, 0, 100)
            tracemalloc.start() if {traced} else None
            before = tracemalloc.get_traced_memory()[0] if {traced} else anonymous()
            for first in range(100, 100 + {pods}, {at_once}):
                await live(runner, first, min(first + {at_once}, 100 + {pods}))
            after = tracemalloc.get_traced_memory()[0] if {traced} else anonymous()
            print("\\n", json.dumps({{"bytes_per_pod": (after - before) / {pods}}}), flush=True)
"""


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip().splitlines())


def programs(url: str, kubeconfig: Path) -> dict[str, str]:
    """Return the programs that are measured, each of which prints its own figures."""
    report = f"import json\n{REPORT}"
    libraries = (
        "import aiohttp, anyio, msgspec\nfrom pydantic import BaseModel\nclass Model(BaseModel): x: int = 1\n"
    )
    get = ["get", "--kubeconfig", str(kubeconfig)]
    return {
        "python": report,
        BASE: f"import aiohttp\n{report}",
        LIBRARIES: f"{libraries}Model()\n{report}",
        "import podrunner": f"import podrunner\n{report}",
        "import of all its names": f"from podrunner import *\n{report}",
        "podrunner --version": COMMAND.format(arguments=["--version"]) + report,
        "podrunner get": COMMAND.format(arguments=get) + report,
        "open runner": OPEN.format(report=_indented(REPORT), url=url, body="report()"),
    }


def run(program: str, environ: dict[str, str]) -> dict[str, Any]:
    """Run a program in a fresh process; return the figures of its last line."""
    command = [sys.executable, "-c", program]
    with tempfile.TemporaryDirectory() as empty:  # python -c imports from its folder first
        done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False, cwd=empty)
    if done.returncode:
        sys.exit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def measure(
    programs: dict[str, str], environs: dict[str, dict[str, str]], rounds: int
) -> dict[str, dict[str, float]]:
    """Alternate between the programs, so that other load of the machine affects all of them."""
    runs = {
        f"{name}{suffix}": (program, environ)
        for name, program in programs.items()
        for suffix, environ in environs.items()
        if not suffix or "podrunner" in program
    }
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in runs}
    for program, environ in runs.values():
        run(program, environ)  # compiles what it imports, fills the disk cache
    for _ in range(rounds):
        for name, (program, environ) in runs.items():
            found[name].append(run(program, environ))
    return {name: _summary(samples) for name, samples in found.items()}


def _summary(samples: list[dict[str, Any]]) -> dict[str, float]:
    cpu = [sample["cpu_ms"] for sample in samples]
    peak = statistics.median(sample["peak_mib"] for sample in samples)
    return {
        "cpu_ms_min": min(cpu),
        "cpu_ms_median": statistics.median(cpu),
        "peak_mib": peak,
        "modules": samples[-1]["modules"],
    }


def live_pods(environ: dict[str, str], pods: int, *, traced: bool, at_once: int | None = None) -> float:
    """Return the bytes that each of many running pods holds: those that Python allocated, or the process's memory.

    Args:
        environ: The variables of the process.
        pods: How many.
        traced: Whether what Python allocated is counted.
        at_once: How many are launched by one call, after those before run; None: all.
    """
    with pod_stub.started() as url:
        body = MEASURE_LIVE.format(pods=pods, traced=traced, at_once=at_once or pods).strip()
        program = LIVE + OPEN.format(report="    pass", url=url, body=body)
        return run(program, environ)["bytes_per_pod"]


def measure_live(environ: dict[str, str], pods: int) -> dict[str, float]:
    """Return the bytes that each of many running pods holds, by each way of counting."""
    return {
        "allocated": live_pods(environ, pods, traced=True),
        f"resident, launched {STEP} at a time": live_pods(environ, pods, traced=False, at_once=STEP),
        "resident, launched at once": live_pods(environ, pods, traced=False),
    }


def _is_wanted(name: str, given: list[str]) -> bool:
    return not given or name in given or name == BASE


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "--pods", type=int, default=10_000, help="live pods in one runner; 0: do not measure that"
    )
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="another checkout of podrunner, measured in the same rounds",
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, pod_stub.started() as url:
        kubeconfig = pod_stub.write_kubeconfig(Path(folder) / "kubeconfig", url)
        environ = {**os.environ, "PYTHONPYCACHEPREFIX": folder}
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        wanted = {
            name: text
            for name, text in programs(url, kubeconfig).items()
            if _is_wanted(name, options.programs)
        }
        environs = {"": environ}
        if options.against is not None:
            environs[OTHER] = {**environ, "PYTHONPATH": str(options.against.resolve())}
        costs = measure(wanted, environs, options.rounds)
        pods = {
            kind + suffix: held
            for suffix, environ in environs.items()
            for kind, held in (measure_live(environ, options.pods) if options.pods else {}).items()
        }
    if options.json:
        print(json.dumps({"processes": costs, "live_pod": pods}))
        return
    base = costs[BASE]["cpu_ms_min"]
    print(f"{'':26} {'CPU ms min':>10} {'median':>8} {'ratio':>6} {'peak MiB':>9} {'modules':>8}")
    for name, cost in costs.items():
        print(
            f"{name:26} {cost['cpu_ms_min']:10.0f} {cost['cpu_ms_median']:8.0f} {cost['cpu_ms_min'] / base:6.2f} "
            f"{cost['peak_mib']:9.1f} {cost['modules']:8}"
        )
    for kind, held in pods.items():
        print(f"one of {options.pods} live pods: {held:.0f} bytes {kind}")


if __name__ == "__main__":
    main()

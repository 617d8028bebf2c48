"""Measures ``import podrunner``: CPU seconds and memory, against an empty interpreter.

Run: ``python benchmarks/import_time.py [--rounds N] [--json] [MODULE …]``. Each import runs in a process of its own,
and rounds alternate between the modules; the minimum and the median are printed. Compare figures within one run only.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from dataclasses import asdict, dataclass

MODULES = (
    "podrunner",
    "podrunner.kube",
    "podrunner.kube.aiohttp_transport",
    "podrunner.kube.httpx_transport",
    "podrunner.local",
    "kubernetes_asyncio",
)

HEAVY = ("aiohttp", "httpx", "kubernetes_asyncio", "tenacity", "pydantic", "anyio", "yaml", "asyncio", "ssl")

PROBE = """
import json, resource, sys
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss
cpu, rss = used()
modules = len(sys.modules)
__import__({name!r})
cpu_after, rss_after = used()
print(json.dumps({{
    "cpu_ms": (cpu_after - cpu) * 1000,
    "memory_mib": (rss_after - rss) / 1024,
    "modules": len(sys.modules) - modules,
    "heavy": [name for name in {heavy!r} if name in sys.modules],
}}))
"""


@dataclass(frozen=True)
class Cost:
    """The cost of one import. CPU is user + system; memory is what the process's peak grew by."""

    module: str
    cpu_ms_min: float
    cpu_ms_median: float
    memory_mib: float
    modules: int
    imports: list[str]


def measure_once(module: str) -> dict[str, object]:
    """Import a module in a fresh interpreter, without the user's site customisation."""
    probe = PROBE.format(name=module, heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"cannot import {module}: {done.stderr.strip().splitlines()[-1]}")
    return json.loads(done.stdout)


def measure(modules: list[str], rounds: int) -> list[Cost]:
    """Alternate between the modules, so that other load of the machine affects all of them."""
    samples: dict[str, list[dict]] = {module: [] for module in modules}
    for module in modules:
        measure_once(module)  # writes the byte code, fills the disk cache
    for _ in range(rounds):
        for module in modules:
            samples[module].append(measure_once(module))
    return [summary(module, found) for module, found in samples.items()]


def summary(module: str, found: list[dict]) -> Cost:
    """Sum up the rounds of one module."""
    cpu = [sample["cpu_ms"] for sample in found]
    memory = statistics.median(sample["memory_mib"] for sample in found)
    last = found[-1]
    return Cost(module, min(cpu), statistics.median(cpu), memory, last["modules"], last["heavy"])


def main() -> None:
    """Measure and print a table, or JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", default=list(MODULES), metavar="MODULE")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    costs = measure(options.modules, max(1, options.rounds))
    if options.json:
        print(json.dumps([asdict(cost) for cost in costs], indent=2))
        return
    print(f"{'import':36} {'CPU ms min':>10} {'median':>8} {'MiB':>6} {'modules':>8}  with")
    for cost in costs:
        print(
            f"{cost.module:36} {cost.cpu_ms_min:10.0f} {cost.cpu_ms_median:8.0f} {cost.memory_mib:6.1f} "
            f"{cost.modules:8}  {', '.join(cost.imports)}"
        )


if __name__ == "__main__":
    main()

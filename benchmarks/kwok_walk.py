"""The whole walk on a real API server: podrunner, a bare aiohttp session, and Airflow's executors, in turns of one run.

Run beside a node; with an interpreter that has Airflow and the provider (``nox -s airflow`` makes one), these too::

    python tests/cluster/up.py -- .nox/airflow-run-3.3.2/bin/python benchmarks/kwok_walk.py --json figures.json

kwok plays the kubelet: its pods run for half a second. Each contender has a process of its own. Figures of one run may
be compared with one another only. Nothing is asserted but that no pod is lost.

With ``--at-once 2 8 32 128`` it measures podrunner alone, at so many creates at once: pods per second, until the
machine, on which the server runs too, has no time left.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import importlib.util
import json
import os
import resource
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import airflow_executors
import bare_walk

HERE = Path(__file__).parent
LIBRARY = ("bare", "podrunner")
AIRFLOWS = ("podrunner", "provider-sync", "provider-async")
WARM = 20
SUMMARY = (
    ("creates/s", lambda one: one["pods"] / one["created_s"] if "created_s" in one else None),
    ("pods/s", lambda one: one["pods"] / one["deleted_s"]),
    ("client CPU ms per pod", lambda one: one["own_cpu_s"] / one["pods"] * 1e3),
    ("client CPU ms per pod: its children", lambda one: one.get("children_cpu_s", 0.0) / one["pods"] * 1e3),
    ("API server and etcd, CPU ms per pod", lambda one: one["server_cpu_s"] / one["pods"] * 1e3),
    ("memory, MB", lambda one: one["memory_bytes"] / 1e6),
)
AT_ONCE = "at once: "
LIMIT = (*SUMMARY[:3], SUMMARY[4], ("machine's CPU in use, %", lambda one: one["busy"] * 100))


def main() -> int:
    arguments = _parsed()
    if arguments.contender:
        print(json.dumps(_run(arguments)))
        return 0
    folder = os.environ.get("PODRUNNER_TEST_NODE")
    if not folder:
        print("needs a node: python tests/cluster/up.py -- python benchmarks/kwok_walk.py")
        return 0
    rounds = _measure(Path(folder), arguments)
    if arguments.at_once:
        print(table(summary(rounds, LIMIT)))
        return 0
    figures = {
        "pods": arguments.pods,
        "airflow_pods": arguments.airflow_pods,
        "rounds": rounds,
        "summary": summary(rounds),
    }
    print(table(figures["summary"]))
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    return 0


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pods", type=int, default=5000)
    parser.add_argument("--airflow-pods", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write all figures into this file")
    parser.add_argument("--at-once", type=int, nargs="+", default=[], help="numbers of creates at once")
    parser.add_argument("--contender", choices=LIBRARY, help=argparse.SUPPRESS)
    parser.add_argument("--kubeconfig", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _measure(node: Path, arguments: argparse.Namespace) -> list[dict[str, Any]]:
    sys.path.insert(0, str(HERE.parent / "tests" / "cluster"))
    import httpx
    from control import Control
    from node import ADMIN_TOKEN, URL
    from simulated import PLACEMENT, simulated_node

    control, kubeconfig, found = Control(node), node / "admin.kubeconfig", []
    headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
    with (
        httpx.Client(base_url=URL, headers=headers, verify=False, trust_env=False) as admin,
        simulated_node(control, admin),
        tempfile.TemporaryDirectory() as home,
    ):
        admin.post("/api/v1/namespaces", json={"metadata": {"name": airflow_executors.NAMESPACE}})
        template = airflow_executors.template(PLACEMENT)
        Path(home, "pod_template.json").write_text(json.dumps(template), encoding="utf-8")
        for number in range(arguments.rounds):
            for contender in airflow_executors.in_turns(contenders(arguments.at_once), number):
                before = sum(control.cpu_s(daemon) for daemon in airflow_executors.DAEMONS)
                busy_s, all_s = _machine_s()
                if contender.startswith("airflow: "):
                    name = contender.removeprefix("airflow: ")
                    figures = airflow_executors.drive(name, arguments.airflow_pods, Path(home), kubeconfig)
                else:
                    figures = _child(contender, arguments.pods, kubeconfig)
                used = sum(control.cpu_s(daemon) for daemon in airflow_executors.DAEMONS) - before
                busy, whole = (
                    after - then for after, then in zip(_machine_s(), (busy_s, all_s), strict=True)
                )
                facts = {"server_cpu_s": used, "busy": busy / whole}
                found.append({"round": number, "contender": contender, **figures, **facts})
                print(json.dumps(found[-1]), flush=True)
    return found


def _machine_s() -> tuple[float, float]:
    """Return the machine's CPU time that was used, and all of it, in ticks (``/proc/stat``)."""
    ticks = [
        int(word) for word in Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()[1:9]
    ]
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)  # idle, and idle while a disk works


def contenders(at_once: list[int]) -> list[str]:
    """Return those that this interpreter has; of several numbers of creates at once, podrunner with each."""
    if at_once:
        return [f"{AT_ONCE}{number}" for number in at_once]
    airflow = AIRFLOWS if importlib.util.find_spec("airflow") else ()
    return [*LIBRARY, *(f"airflow: {name}" for name in airflow)]


def _child(contender: str, pods: int, kubeconfig: Path) -> dict[str, Any]:
    name, _, number = contender.partition(AT_ONCE)
    given = ["--contender", name or "podrunner", "--kubeconfig", str(kubeconfig), "--pods", str(pods)]
    given += ["--at-once", number] if number else []
    done = subprocess.run(
        [sys.executable, __file__, *given], stdout=subprocess.PIPE, text=True, check=True, timeout=1200
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def summary(rounds: list[dict[str, Any]], figures: Any = SUMMARY) -> dict[str, dict[str, float | None]]:
    """Return the median of each figure, by figure and contender."""
    names = sorted({one["contender"] for one in rounds}, key=_in_order)
    return {name: {contender: _median(of, rounds, contender) for contender in names} for name, of in figures}


def _in_order(name: str) -> tuple[int, str]:
    return int(name.removeprefix(AT_ONCE)) if name.startswith(AT_ONCE) else 0, name


def _median(of: Any, rounds: list[dict[str, Any]], contender: str) -> float | None:
    found = [figure for one in rounds if one["contender"] == contender and (figure := of(one)) is not None]
    return statistics.median(found) if found else None


def table(figures: dict[str, dict[str, float | None]]) -> str:
    """Return the summary as a table of Markdown."""
    names = list(next(iter(figures.values())))
    lines = [f"| | {' | '.join(names)} |", f"|---|{'--:|' * len(names)}"]
    for figure, of in figures.items():
        cells = ["" if value is None else f"{value:,.3g}" for value in of.values()]
        lines.append(f"| {figure} | {' | '.join(cells)} |")
    return "\n".join(lines)


# --- one contender, in its own process --------------------------------------------------------------------------------


def _run(arguments: argparse.Namespace) -> dict[str, float]:
    if arguments.contender == "bare":
        return asyncio.run(_bare(arguments.kubeconfig, arguments.pods))
    concurrency = arguments.at_once[0] if arguments.at_once else None
    return asyncio.run(_podrunner(arguments.kubeconfig, arguments.pods, concurrency))


class _Stopwatch:
    def __init__(self) -> None:
        self._began, self._cpu = time.perf_counter(), _cpu_s()

    def s(self) -> float:
        return time.perf_counter() - self._began

    def figures(self, pods: int) -> dict[str, float]:
        return {
            "pods": pods,
            "deleted_s": self.s(),
            "own_cpu_s": _cpu_s() - self._cpu,
            "memory_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        }


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _placement() -> dict[str, Any]:
    sys.path.insert(0, str(HERE.parent / "tests" / "cluster"))
    from simulated import PLACEMENT

    return PLACEMENT


async def _podrunner(kubeconfig: Path, pods: int, concurrency: int | None) -> dict[str, float]:
    import podrunner

    config = podrunner.RunnerConfig(
        kubeconfig=kubeconfig,
        namespace=airflow_executors.NAMESPACE,
        image="simulated",
        logs={"follow": "off"},
        resources=podrunner.Resources(cpu_request="1m", memory_request="1Mi"),
        **_placement(),
    )

    def workloads(name: str, number: int) -> list[podrunner.Workload]:
        run = f"{name}-{time.time_ns()}"
        return [podrunner.Workload(key={"run": run, "n": str(n)}, command=["worker"]) for n in range(number)]

    async with podrunner.AsyncPodRunner(config) as runner:
        await runner.launch_many(workloads("warm", WARM))
        await runner.wait_all()
        stopwatch = _Stopwatch()
        batch = await runner.launch_many(workloads("walk", pods), concurrency=concurrency)
        created_s = stopwatch.s()
        assert all([(await pod.wait()).succeeded for pod in batch])
        await runner.wait_all()
        return {**stopwatch.figures(pods), "created_s": created_s}


async def _bare(kubeconfig: Path, pods: int) -> dict[str, float]:
    access = _access(kubeconfig)
    placement = _placement()
    base = {"name": "base", "image": "simulated", "resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    spec = {
        "restartPolicy": "Never",
        "nodeSelector": placement["node_selector"],
        "tolerations": placement["tolerations"],
        "containers": [{**base, "command": ["worker"]}],
    }
    path = f"/api/v1/namespaces/{airflow_executors.NAMESPACE}/pods"
    async with bare_walk.opened(access.pop("url"), path, spec=spec, **access) as walk:
        await walk.go(WARM)
        stopwatch = _Stopwatch()
        await walk.go(pods)
        return {**stopwatch.figures(pods), "created_s": walk.created_s}


def _access(kubeconfig: Path) -> dict[str, Any]:
    """Return address, headers and TLS settings of a kubeconfig with one cluster, its authority and a token."""
    import yaml

    loaded = yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))
    cluster, user = loaded["clusters"][0]["cluster"], loaded["users"][0]["user"]
    authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
    return {
        "url": cluster["server"],
        "headers": {"Authorization": f"Bearer {user['token']}"},
        "ssl": ssl.create_default_context(cadata=authority),
    }


if __name__ == "__main__":
    if failed := main():  # an exit without failure would end run.py
        sys.exit(failed)

"""Ctrl-C twice, and SIGTERM during the close, end a program only when nothing that it started runs any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.processes.closing.left import in_cluster, listed, running
from tests.processes.delivery.campaign import Place
from tests.support.waiting import until_blocking

PODS = 4
GRACE_S = 120
"""The pods' processes would use it up: a close takes until the test lets them end."""

PROGRAM = """
import asyncio, os, signal, sys
from podrunner import AsyncPodRunner, PodRunner, RunnerConfig, Workload

face, kubeconfig, namespace, on_exit, pods, grace_s, script = sys.argv[1:]
config = RunnerConfig(
    cluster="kubeconfig", kubeconfig=kubeconfig, namespace=namespace, image="localhost/any", logs={"follow": "off"}
)
workloads = [
    Workload(
        key={"n": str(n)},
        command=["sh", "-c", script],
        termination_grace_period_s=int(grace_s),
    )
    for n in range(int(pods))
]


async def use():
    if face == "asyncio-sigterm":
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    async with AsyncPodRunner(config, on_exit=on_exit) as runner:
        await runner.launch_many(workloads)
        print("launched", flush=True)
        await runner.wait_all()


def terminated(*_):
    raise SystemExit(143)


if face.startswith("asyncio"):
    asyncio.run(use())
elif face == "trio":
    import trio

    trio.run(use)
else:
    signal.signal(signal.SIGTERM, terminated)
    with PodRunner(config, on_exit=on_exit) as runner:
        runner.launch_many(workloads)
        print("launched", flush=True)
        runner.wait_all()
"""

CASES = [
    ("asyncio", "cancel", (signal.SIGINT, signal.SIGINT)),
    ("asyncio", "drain", (signal.SIGINT, signal.SIGINT)),
    ("asyncio-sigterm", "drain", (signal.SIGTERM, signal.SIGTERM, signal.SIGTERM)),
    ("trio", "cancel", (signal.SIGINT, signal.SIGINT, signal.SIGINT)),
    ("blocking", "drain", (signal.SIGINT, signal.SIGINT, signal.SIGINT)),
    ("blocking", "cancel", (signal.SIGINT, signal.SIGTERM)),
]

pytestmark = [pytest.mark.processes, pytest.mark.timeout(300)]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts Python with arguments, where Ctrl-C works even if the tests run in the background of a shell."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **environment: str) -> subprocess.Popen[str]:
        path = os.pathsep.join(each for each in sys.path if each)
        env = {**os.environ, "PYTHONPATH": path, "TMPDIR": str(tmp_path), **environment}
        heard = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=env,
            )
        finally:
            signal.signal(signal.SIGINT, heard)
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


def is_being_closed(place: Place) -> bool:
    """Whether a pod is being ended."""
    with place.open_http() as http:
        pods = listed(http, place)
    return any(
        "deletionTimestamp" in pod["metadata"] or pod["spec"].get("activeDeadlineSeconds") == 1
        for pod in pods
    )


class Gate:
    """What the processes of the pods say, and what lets them end: files of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._go = folder / "go"

    @property
    def script(self) -> str:
        return f"trap '' TERM; : > {self._folder}/up-$HOSTNAME; until [ -e {self._go} ]; do sleep 0.1; done"

    def until_up(self, place: Place, count: int) -> None:
        """Wait until so many processes ignore SIGTERM, and the API server says so."""
        until_blocking(lambda: len(list(self._folder.glob("up-*"))) == count, within_s=60)
        until_blocking(lambda: all_run(place, count), within_s=60)

    def open(self) -> None:
        self._go.touch()


@pytest.fixture
def gate(tmp_path_factory: pytest.TempPathFactory) -> Gate:
    return Gate(tmp_path_factory.mktemp("gate"))


def all_run(place: Place, count: int) -> bool:
    with place.open_http() as http:
        phases = [pod.get("status", {}).get("phase") for pod in listed(http, place)]
    return phases == ["Running"] * count


@pytest.mark.parametrize(("face", "on_exit", "signals"), CASES)
def test_signals_during_the_close_leave_nothing(
    place: Place, tmp_path: Path, start, gate: Gate, face: str, on_exit: str, signals: tuple[int, ...]
):
    """H3: the first ends the block, the others come while the runner is closed for that."""
    arguments = (face, place.kubeconfig, place.namespace, on_exit, PODS, GRACE_S, gate.script)
    process = start("-c", PROGRAM, *map(str, arguments))
    assert process.stdout.readline() == "launched\n"
    gate.until_up(place, PODS)
    process.send_signal(signals[0])
    until_blocking(lambda: is_being_closed(place), within_s=60)
    for number in signals[1:]:
        process.send_signal(number)
        time.sleep(0.3)
    assert process.poll() is None
    gate.open()
    _, errors = process.communicate(timeout=100)
    assert process.returncode != 0
    assert in_cluster(place) == [], errors
    assert list(tmp_path.iterdir()) == [], errors


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_during_the_close_of_the_command_leave_nothing(place: Place, start, gate: Gate, number: int):
    """H3: of ``podrunner run``."""
    access = ("--kubeconfig", str(place.kubeconfig), "--namespace", place.namespace)
    settings = {"PODRUNNER_IMAGE": "localhost/any", "PODRUNNER_DELETE_GRACE_PERIOD_S": str(GRACE_S)}
    process = start("-m", "podrunner", "run", *access, "--", "sh", "-c", gate.script, **settings)
    gate.until_up(place, 1)
    process.send_signal(number)
    until_blocking(lambda: is_being_closed(place), within_s=60)
    for _ in range(2):
        process.send_signal(number)
        time.sleep(0.3)
    assert process.poll() is None
    with place.open_http() as http:
        assert running(http, place)
    gate.open()
    _, errors = process.communicate(timeout=100)
    assert process.returncode == 128 + number
    assert in_cluster(place) == [], errors

"""Plays a round: starts the schedulers one after the other, and returns what is left for the judge."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import httpx
import msgspec
import yaml
from tests.processes.delivery.journal import read_lines
from tests.processes.delivery.judge import Exhibits, judge
from tests.processes.delivery.plan import Round
from tests.processes.delivery.scheduler import FENCED, Settings
from tests.processes.delivery.witness import Witness
from tests.support.waiting import until_blocking

__all__ = ["Place", "Played", "Scene", "local_cluster", "play", "report"]

ROOT = Path(__file__).parents[3]
LIFE_WITHIN_S = 240.0
"""More than a scheduler needs on a busy machine: one that has not ended by then waits for what never comes."""

MOST_LIVES = 20

SHOWN = 5
"""Violations of each rule that are shown: one bug breaks a rule for many attempts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a round is played.

    Attributes:
        kubeconfig: The schedulers' access.
        namespace: Where the pods are; nothing else is in it.
        image: An image with ``python3``.
        open_http: Makes a client with the administrator's rights.
    """

    kubeconfig: Path
    namespace: str
    image: str
    open_http: Callable[[], httpx.Client]


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A round that was played.

    Attributes:
        exhibits: What the judge compares.
        ends: How each life ended: ``killed``, ``fenced`` or ``done``.
        took_s: How long it took.
    """

    exhibits: Exhibits
    ends: list[str]
    took_s: float


@contextmanager
def local_cluster(folder: Path) -> Iterator[Callable[[], Place]]:
    """Run ``podrunner local up`` as a process; what is given makes a fresh namespace in it."""
    kubeconfig = folder / "kubeconfig"
    command = [sys.executable, "-m", "podrunner", "local", "up", "--kubeconfig", str(kubeconfig)]
    with (folder / "cluster.err").open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
    try:
        until_blocking(kubeconfig.exists, within_s=60)
        yield lambda: _fresh_place(kubeconfig)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def _fresh_place(kubeconfig: Path) -> Place:
    document = yaml.safe_load(kubeconfig.read_text())
    url, token = document["clusters"][0]["cluster"]["server"], document["users"][0]["user"]["token"]

    def open_http() -> httpx.Client:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        return httpx.Client(base_url=url, headers=headers, verify=False, trust_env=False, timeout=30)

    namespace = f"round-{uuid.uuid4().hex[:10]}"
    with open_http() as http:
        body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
        http.post("/api/v1/namespaces", json=body).raise_for_status()
        account = f"/api/v1/namespaces/{namespace}/serviceaccounts/default"
        until_blocking(lambda: http.get(account).status_code == 200)
    return Place(kubeconfig=kubeconfig, namespace=namespace, image="localhost/any", open_http=open_http)


def play(plan: Round, place: Place, folder: Path) -> Played:
    """Play a round.

    Args:
        plan: The round.
        place: Where.
        folder: An empty folder of this machine, which the pods can write to.

    Raises:
        AssertionError: A scheduler failed, or did not end.
    """
    began = time.monotonic()
    scene = Scene(plan, place, folder)
    ends: list[str] = []
    with Witness(place.open_http, place.namespace) as witness:
        while "done" not in ends:
            assert len(ends) < MOST_LIVES, ends
            ends.append(scene.run(ends.count("killed")))  # one that lost its Lease lives again
        witness.catch_up()
    return Played(exhibits=scene.exhibits(witness), ends=ends, took_s=time.monotonic() - began)


def report(played: Played) -> str:
    """Return what was wrong in a round, in words, and how it is played again."""
    plan = played.exhibits.plan
    lines = [f"{plan}; its schedulers: {', '.join(played.ends)}; SEED={plan.seed} plays it again"]
    for rule, broken in groupby(judge(played.exhibits), key=lambda violation: violation.rule):
        listed = list(broken)
        lines.append(f"{rule}: {len(listed)} times")
        lines += [f"    {violation.place}: {violation.said}" for violation in listed[:SHOWN]]
    return "\n".join(lines)


class Scene:
    """A round in its folder: starts its schedulers.

    Args:
        plan: The round.
        place: Where.
        folder: An empty folder of this machine, which the pods can write to.
    """

    def __init__(self, plan: Round, place: Place, folder: Path) -> None:
        self._plan = plan
        self._place = place
        self._folder = folder
        self._started = 0
        (folder / "effects").mkdir(mode=0o777)

    def run(self, life: int) -> str:
        """Run a scheduler to its end: ``killed``, ``fenced`` or ``done``.

        Raises:
            AssertionError: It failed, or did not end.
        """
        with self.started(life) as process:
            try:
                code = process.wait(LIFE_WITHIN_S)
            except subprocess.TimeoutExpired:
                raise AssertionError(f"scheduler {self._started} did not end; {self._said()}") from None
        known = {-signal.SIGKILL: "killed", FENCED: "fenced", 0: "done"}
        assert code in known, f"scheduler {self._started} ended with {code}; {self._said()}"
        return known[code]

    @contextmanager
    def started(self, life: int) -> Iterator[subprocess.Popen[bytes]]:
        """Start a scheduler; kill it at the end, if it still runs."""
        self._started += 1
        file = self._folder / f"scheduler-{self._started}.json"
        file.write_bytes(msgspec.json.encode(self._settings(life)))
        with self._errors.open("wb") as errors:
            command = [sys.executable, "-m", "tests.processes.delivery.scheduler", str(file)]
            process = subprocess.Popen(command, cwd=ROOT, stdout=errors, stderr=errors)
        try:
            yield process
        finally:
            process.kill()
            process.wait()

    def exhibits(self, witness: Witness) -> Exhibits:
        """Return what the judge compares."""
        return Exhibits(
            plan=self._plan,
            journal=read_lines(self._folder / "journal"),
            effects=read_lines(self._folder / "effects" / "effects"),
            pods=list(witness.pods.values()),
            logs=_logs(self._folder / "logs"),
        )

    def _settings(self, life: int) -> Settings:
        return Settings(
            plan=self._plan,
            life=life,
            kubeconfig=str(self._place.kubeconfig),
            namespace=self._place.namespace,
            image=self._place.image,
            folder=str(self._folder),
        )

    @property
    def _errors(self) -> Path:
        return self._folder / f"scheduler-{self._started}.err"

    def _said(self) -> str:
        return f"it said: {self._errors.read_text(errors='replace')[-4000:]}"


def _logs(folder: Path) -> dict[tuple[int, int], list[str]]:
    """Return the lines of ``ROUND/TASK/ATTEMPT.log``."""
    return {
        (int(path.parent.name), int(path.stem)): path.read_text().splitlines()
        for path in folder.glob("*/*/*.log")
    }

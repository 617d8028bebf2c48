"""The examples of ``docs/how-to/deliver-outcomes.md``, killed at random moments, as their users' schedulers are.

``ROUNDS=20`` plays more sequences of kills than the one of CI; ``SEED=17`` plays that one alone.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
import yaml
from tests.processes.delivery.campaign import Place, local_cluster
from tests.processes.delivery.plan import LEASE_S, OVER_S
from tests.processes.delivery.witness import Witness
from tests.support.waiting import until_blocking

EXAMPLES = Path(__file__).parents[3] / "examples"
ROUNDS = [int(os.environ["SEED"])] if "SEED" in os.environ else range(int(os.environ.get("ROUNDS", "1")))
TRUE_ENDS = {
    ("extract", 1): ("succeeded", 0),
    ("load", 1): ("failed", 1),
    ("load", 2): ("succeeded", 0),
    ("mail", 1): ("succeeded", 0),
    ("report", 1): ("succeeded", 0),
}
WITHIN_S = 120.0
"""More than a life needs on a busy machine."""

# In front of the container's shell on its PATH: whatever an example runs leaves its effect first. The longest task goes
# on when the first life has ended: it is not over before it is killed.
NOTING_SHELL = """#!/bin/sh
echo "$POD_UID" >> /effects/effects
[ "$2" != "sleep 2" ] || until [ -e /effects/go ]; do sleep 0.1; done
exec /bin/sh "$@"
"""

pytestmark = [pytest.mark.processes, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Place]]:
    """Makes a fresh namespace in a LocalCluster of another process."""
    with local_cluster(tmp_path_factory.mktemp("cluster")) as fresh:
        yield fresh


@dataclass(frozen=True)
class Kill:
    """When an example is killed.

    Attributes:
        after_s: How long after ``since`` is true.
        since: Asked from the time on at which the example has begun.
    """

    after_s: float
    since: Callable[[], bool]


class Scene:
    """An example in a folder of its own, with a configuration that leads to a cluster.

    Args:
        example: Its name.
        place: The cluster.
        folder: An empty folder.
    """

    def __init__(self, example: str, place: Place, folder: Path) -> None:
        self._folder = folder
        self._command = [sys.executable, str(EXAMPLES / f"{example}.py"), "podrunner.toml"]
        self._effects = folder / "effects"
        self._effects.mkdir(mode=0o777)
        shell = self._effects / "sh"
        shell.write_text(NOTING_SHELL)
        shell.chmod(0o755)
        (folder / "template.yaml").write_text(yaml.safe_dump(self._template()))
        settings = {
            "cluster": "kubeconfig",
            "kubeconfig": str(place.kubeconfig),
            "namespace": place.namespace,
            "image": place.image,
            "pod_template": "template.yaml",
            "lease_duration_s": LEASE_S,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        (folder / "podrunner.toml").write_text("\n".join(lines))

    def _template(self) -> dict[str, object]:
        uid = {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}}
        path = {"name": "PATH", "value": "/effects:/usr/bin:/bin"}
        container = {
            "name": "base",
            "env": [uid, path],
            "volumeMounts": [{"name": "effects", "mountPath": "/effects"}],
        }
        volume = {"name": "effects", "hostPath": {"path": str(self._effects), "type": "Directory"}}
        return {"spec": {"containers": [container], "volumes": [volume]}}

    def run(self, kill: Kill | None = None) -> bool:
        """Run the example to its end, or until it is killed. Returns whether it ended by itself."""
        with (self._folder / "stderr").open("ab") as errors:
            process = subprocess.Popen(
                self._command, cwd=self._folder, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        assert process.stdout is not None
        with process.stdout as said:
            try:
                assert said.readline().endswith(" attempts to do\n"), self._said()
                if kill is not None:
                    until_blocking(lambda: kill.since() or process.poll() is not None, within_s=WITHIN_S)
                    time.sleep(kill.after_s)
                    process.kill()
                code = process.wait(WITHIN_S)
            finally:
                process.kill()
                process.wait()
                (self._effects / "go").touch()
        assert code in {0, -signal.SIGKILL}, self._said()
        return code == 0

    def outcomes(self) -> list[tuple[str, str, int, str, int]]:
        """Return the rows: UID, task, attempt, category and exit code."""
        with sqlite3.connect(self._folder / "scheduler.db") as db:
            return db.execute("SELECT uid, task, attempt, category, exit_code FROM outcomes").fetchall()

    def effects(self) -> Counter[str]:
        """Return how often each pod's program began, by UID."""
        return Counter((self._effects / "effects").read_text().split())

    def _said(self) -> str:
        return (self._folder / "stderr").read_text(errors="replace")[-4000:]


def kills(seed: int, witness: Witness) -> Iterator[Kill]:
    """Yield when each life is killed.

    The first while its pods run and end; then, in either order, one that waits for the Lease of the life before it, and
    one that has just taken pods over, as outcomes come in.
    """
    random = Random(seed)
    yield Kill(random.uniform(0.0, 1.5), since=lambda: bool(witness.pods))
    for is_waiting in random.sample([True, False], 2):
        before = owners(witness)
        yield Kill(random.uniform(0.0, 1.0), since=lambda: is_waiting or owners(witness) > before)  # noqa: B023


def owners(witness: Witness) -> int:
    """Return how often a pod got an owner."""
    return sum(len(pod.owners) for pod in list(witness.pods.values()))


@pytest.mark.parametrize("seed", ROUNDS)
@pytest.mark.parametrize("example", ["deliver_taken", "deliver_acknowledged"])
def test_an_example_that_is_killed_delivers_each_outcome_once(
    cluster: Callable[[], Place], tmp_path: Path, example: str, seed: int
) -> None:
    """H1: each attempt has one pod and one effect, its outcome is stored once and true, and nothing is left."""
    place = cluster()
    scene = Scene(example, place, tmp_path)
    with Witness(place.open_http, place.namespace) as witness:
        first, *_ = [scene.run(kill) for kill in kills(seed, witness)]
        assert not first, "the first life was not killed"
        assert scene.run()
        witness.catch_up()
        if not all(pod.gone for pod in witness.pods.values()):
            time.sleep(OVER_S)  # what a life had stored before it was killed can be adopted now
            assert scene.run()
            witness.catch_up()
    rows = scene.outcomes()
    assert {(task, attempt): (category, code) for _, task, attempt, category, code in rows} == TRUE_ENDS
    assert Counter(row[1:3] for row in rows) == Counter(list(TRUE_ENDS))
    assert {row[0] for row in rows} == set(witness.pods), "an attempt had another pod"
    assert scene.effects() == Counter(list(witness.pods)), "an attempt ran again"
    assert [pod.name for pod in witness.pods.values() if not pod.gone] == []

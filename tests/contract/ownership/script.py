"""A script as a user writes it, to be run again: ``python script.py SETTINGS``.

SETTINGS is a JSON file with ``face``, ``shell`` (what its workload runs), ``job`` (its key; without: a fixed one), and
``config``, what its RunnerConfig is made of. It runs one workload, and prints one line of JSON: the
pod's UID, its outcome's category and exit code, and ``replayed``; or the error's class and words.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import anyio
from podrunner import AsyncPodRunner, Outcome, PodRunner, RunnerConfig, Workload
from podrunner.errors import PodrunnerError

LAUNCHED = "launched"


def say(**what: Any) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


def say_outcome(pod: Any, outcome: Outcome) -> None:
    say(
        uid=pod.uid,
        category=str(outcome.category),
        exit_code=outcome.exit_code,
        replayed=pod.replayed,
    )


def blocking(config: RunnerConfig, workload: Workload) -> None:
    """Launch, wait."""
    with PodRunner(config) as runner:
        pod = runner.launch(workload)
        say(uid=pod.uid, state=LAUNCHED)
        say_outcome(pod, pod.wait())


async def asynchronous(config: RunnerConfig, workload: Workload) -> None:
    """Submit, wait."""
    async with AsyncPodRunner(config) as runner:
        pod = runner.submit(workload)
        while not (pod.uid or pod.launch_error):
            await anyio.sleep(0.01)
        say(uid=pod.uid, state=LAUNCHED)
        say_outcome(pod, await pod.wait())


def main() -> None:
    settings = json.loads(Path(sys.argv[1]).read_text())
    config = RunnerConfig(cluster="kubeconfig", **settings["config"])
    workload = Workload(key={"job": settings.get("job", "nightly")}, command=["sh", "-c", settings["shell"]])
    try:
        if settings["face"] == "blocking":
            blocking(config, workload)
        else:
            anyio.run(asynchronous, config, workload)
    except PodrunnerError as error:
        say(error=type(error).__name__, message=str(error))


if __name__ == "__main__":
    main()

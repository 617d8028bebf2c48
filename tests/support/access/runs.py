"""Run kubectl and podrunner on one case, and say what became of it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from podrunner.config import RunnerConfig
from podrunner.errors import PodrunnerError
from podrunner.kube import connect, open_access
from podrunner.kube.namespace import with_namespace_of_cluster
from tests.support.access.case import Case, Place

TIMEOUT_S = 30.0


@dataclass(frozen=True)
class Verdict:
    """What became of a request for pods.

    Attributes:
        error: What was said; "" if it worked.
        sent: What arrived at the server last.
        asked: What a plugin was asked with, if it wrote that down.
    """

    error: str
    sent: tuple[str, ...]
    asked: Any


def prepared(case: Case, folder: Path, server: Any) -> Place:
    """Write a case's files into a new folder."""
    folder.mkdir(parents=True)
    home = folder / "home"
    home.mkdir()
    path = os.pathsep.join([str(folder / "bin"), "/usr/bin", "/bin"])
    place = Place(folder, server, {"HOME": str(home), "PATH": path})
    case.make(place)
    server.seen.clear()
    server.wanted = case.wanted
    return place


def _verdict(place: Place, error: str) -> Verdict:
    asked = place.folder / "asked"
    return Verdict(
        error,
        tuple(place.server.seen[-1]) if place.server.seen and not error else (),
        json.loads(asked.read_text()) if asked.exists() else None,
    )


def run_kubectl(binary: Path, place: Place, cache: Path) -> Verdict:
    """Run ``kubectl get pods``."""
    command = [str(binary), "get", "pods", "--request-timeout=5s", f"--cache-dir={cache}"]
    done = subprocess.run(
        command,
        env=place.environ,
        cwd=place.folder / "home",
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    return _verdict(place, done.stdout + done.stderr if done.returncode else "")


async def run_podrunner(place: Place) -> Verdict:
    """List pods as a runner does."""
    service_account = place.folder / "none"
    try:
        config = with_namespace_of_cluster(
            RunnerConfig(cluster="kubeconfig"), environ=place.environ, service_account=service_account
        )
        access = await open_access(config, environ=place.environ, service_account=service_account)
        async with connect(config, access=access) as client:
            await client.list_pods(config.namespace)
    except PodrunnerError as error:
        return _verdict(place, str(error))
    return _verdict(place, "")

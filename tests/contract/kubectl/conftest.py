"""The fixtures of the kubectl contract: a stock kubectl against the cluster under test.

``PODRUNNER_KUBECTL`` names the programs, separated by colons; without it they are found on PATH: ``kubectl`` and names
with a version. The newest runs all tests; the oldest also runs those of streams, because kubectl up to 1.30
uses SPDY for them and later versions use WebSockets.
"""

from __future__ import annotations

import json
import os
import pty
import re
import select
import subprocess
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

OLDEST = (1, 27)
TIMEOUT_S = 150.0
READY = "trap 'exit 0' TERM INT; echo ready; while :; do sleep 0.1; done"
"""A shell script that prints ``ready`` when it runs, and ends at once on SIGTERM."""


@dataclass(frozen=True, slots=True)
class Result:
    """The exit code and the output of one command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


@dataclass(frozen=True, slots=True)
class Kubectl:
    """One kubectl with a kubeconfig and a namespace."""

    binary: Path
    version: tuple[int, int]
    environment: dict[str, str]
    image: str
    namespace: str = "default"

    def command(self, *arguments: str) -> list[str]:
        return [str(self.binary), "--namespace", self.namespace, *arguments]

    def run(self, *arguments: str, stdin: str = "") -> Result:
        done = subprocess.run(
            self.command(*arguments),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            env=self.environment,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def __call__(self, *arguments: str, stdin: str = "") -> str:
        """Return the standard output of a command that must succeed."""
        result = self.run(*arguments, stdin=stdin)
        assert result.code == 0, f"kubectl {' '.join(arguments)}: {result.err}"
        return result.out

    def fails(self, *arguments: str, stdin: str = "") -> str:
        """Return the standard error of a command that must fail."""
        result = self.run(*arguments, stdin=stdin)
        assert result.code != 0, f"kubectl {' '.join(arguments)} succeeded: {result.out}"
        return result.err.strip()

    def json(self, *arguments: str) -> Any:
        return json.loads(self(*arguments, "-o", "json"))

    def start(self, *arguments: str, **options: Any) -> subprocess.Popen[str]:
        """Start a command without waiting for it; read its ``stdout``, end it with ``terminate``."""
        return subprocess.Popen(
            self.command(*arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environment,
            **options,
        )

    def pod(self, name: str, script: str = READY, *, labels: str = "", wait: str = "condition=Ready") -> str:
        """Start a pod that runs a shell script and is not restarted, wait for it, and return its name.

        A script that says ``ready`` has said so by then.
        """
        labelled = ["--labels", labels] if labels else []
        self(
            "run",
            name,
            "--image",
            self.image,
            "--restart=Never",
            *labelled,
            "--command",
            "--",
            "sh",
            "-c",
            script,
        )
        self("wait", f"--for={wait}", f"pod/{name}", "--timeout=45s")
        deadline = time.monotonic() + 40
        while "echo ready;" in script and "ready\n" not in self("logs", name):
            assert time.monotonic() < deadline
        return name


class Terminal:
    """A kubectl that runs in a pseudo-terminal."""

    def __init__(self, kubectl: Kubectl, *arguments: str, rows: int = 24, columns: int = 80) -> None:
        self.master, slave = pty.openpty()
        subprocess.run(["stty", "rows", str(rows), "cols", str(columns)], stdin=slave, check=True)
        self.process = subprocess.Popen(
            kubectl.command(*arguments), stdin=slave, stdout=slave, stderr=slave, env=kubectl.environment
        )
        os.close(slave)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, pattern: str, timeout_s: float = 40) -> re.Match[str]:
        deadline = time.monotonic() + timeout_s
        while not (match := re.search(pattern, self.seen)):
            assert time.monotonic() < deadline, f"no {pattern!r} in {self.seen!r}"
            if select.select([self.master], [], [], 0.2)[0]:
                try:
                    self.seen += os.read(self.master, 4096).decode(errors="replace")
                except OSError:
                    assert re.search(pattern, self.seen), f"no {pattern!r} in {self.seen!r}"
        return match

    def close(self) -> int:
        return self.process.wait(timeout=40)

    def clear(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def _candidates() -> list[Path]:
    if given := os.environ.get("PODRUNNER_KUBECTL"):
        return [Path(each) for each in given.split(":")]
    folders = [Path(each) for each in os.environ.get("PATH", "").split(":") if each]
    named = re.compile(r"kubectl([.-]v?\d+\.\d+(\.\d+)?)?")
    found = [path for folder in folders if folder.is_dir() for path in folder.glob("kubectl*")]
    siblings = [
        each for path in found if path.name == "kubectl" for each in path.resolve().parent.glob("kubectl*")
    ]
    return [path for path in [*found, *siblings] if named.fullmatch(path.name) and os.access(path, os.X_OK)]


def _version(binary: Path) -> tuple[int, int] | None:
    done = subprocess.run(
        [str(binary), "version", "--client", "-o", "json"],
        capture_output=True,
        timeout=TIMEOUT_S,
        check=False,
    )
    try:
        version = json.loads(done.stdout)["clientVersion"]
        return int(version["major"]), int(re.match(r"\d+", version["minor"])[0])
    except (ValueError, KeyError, TypeError):
        return None


@cache
def installed() -> dict[tuple[int, int], Path]:
    """Return every kubectl that is new enough, by version. Programs that call another kubectl come last."""
    found: dict[tuple[int, int], Path] = {}
    for path in sorted(set(_candidates()), key=lambda path: (path.name == "kubectl", path)):
        version = _version(path)
        if version is not None and version >= OLDEST:
            found.setdefault(version, path)
    return dict(sorted(found.items()))


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run tests of ``any_kubectl`` with the oldest and the newest kubectl; on a real cluster with the newest only.

    On a real cluster, the tests prove that its server gives the answers that they expect of a LocalCluster.
    """
    if "any_version" in metafunc.fixturenames:
        versions = list(installed())
        if os.environ.get("PODRUNNER_TEST_KUBECONFIG"):
            versions = versions[-1:]
        chosen = list(dict.fromkeys([*versions[:1], *versions[-1:]])) or [None]
        metafunc.parametrize(
            "any_version",
            chosen,
            ids=lambda each: "none" if each is None else f"1.{each[1]}",
            scope="session",
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kubectl)


def _wanted(version: tuple[int, int] | None) -> tuple[tuple[int, int], Path]:
    if not installed():
        pytest.skip("no kubectl 1.27 or newer: put one on PATH, or name it in PODRUNNER_KUBECTL")
    version = version or list(installed())[-1]
    return version, installed()[version]


@pytest.fixture(scope="session")
def newest_kubectl() -> Path:
    """Return the program, for tests that need no cluster."""
    return _wanted(None)[1]


@pytest.fixture(scope="session")
def make_kubectl(cluster: Any, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Kubectl]:
    """Return a function that makes a kubectl with its own home folder."""
    home = tmp_path_factory.mktemp("kubectl")
    environment = {
        "HOME": str(home),
        "PATH": os.environ["PATH"],
        "KUBECONFIG": str(cluster.kubeconfig),
        "TERM": "xterm",
    }

    def make(version: tuple[int, int] | None = None) -> Kubectl:
        found, binary = _wanted(version)
        return Kubectl(binary, found, environment, cluster.image)

    return make


@pytest.fixture
def terminal() -> Iterator[Callable[..., Terminal]]:
    """Return a function that runs a kubectl in a pseudo-terminal."""
    made: list[Terminal] = []

    def start(kubectl: Kubectl, *arguments: str, **size: int) -> Terminal:
        made.append(Terminal(kubectl, *arguments, **size))
        return made[-1]

    yield start
    for each in made:
        each.clear()


@contextmanager
def _own_namespace(kubectl: Kubectl) -> Iterator[Kubectl]:
    name = f"kubectl-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", name)
    try:
        yield replace(kubectl, namespace=name)
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@pytest.fixture(scope="class")
def kubectl(make_kubectl: Callable[..., Kubectl]) -> Iterator[Kubectl]:
    """Return the newest kubectl, in a namespace of the test class."""
    with _own_namespace(make_kubectl()) as made:
        yield made


@pytest.fixture(scope="class")
def any_kubectl(
    make_kubectl: Callable[..., Kubectl], any_version: tuple[int, int] | None
) -> Iterator[Kubectl]:
    """Return the oldest and the newest kubectl, each in its own namespace."""
    with _own_namespace(make_kubectl(any_version)) as made:
        yield made

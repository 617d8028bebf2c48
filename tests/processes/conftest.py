"""A kubelet with a store of its own, and a way to wait for what happens without polling."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.api.storage.store import Store
from podrunner.local.kubelet import ApiAccess, Kubelet, LogOptions, Timing

FAST = Timing(
    crash_loop_base_s=0.05,
    crash_loop_max_s=0.2,
    image_base_s=0.1,
    image_max_s=0.2,
    config_retry_s=5.0,
    memory_poll_s=0.02,
)
PATIENCE_S = 45.0
"""For what takes a fraction of a second: a busy machine may well take a process off the CPU for seconds."""


def pod(name: str, command: list[str] | None = None, **fields: Any) -> dict[str, Any]:
    """A pod of one container ``main``; names of container fields go to the container, others to the spec."""
    own = {key: fields.pop(key) for key in tuple(fields) if key in _CONTAINER_FIELDS}
    container = {"name": "main", "image": "busybox", "imagePullPolicy": "IfNotPresent", **own}
    if command is not None:
        container["command"] = command
    metadata = {"name": name, "namespace": "default", **fields.pop("metadata", {})}
    spec = {
        "containers": [container],
        "restartPolicy": "Never",
        "terminationGracePeriodSeconds": 30,
        **fields,
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": spec,
        "status": {"phase": "Pending"},
    }


_CONTAINER_FIELDS = {
    "args",
    "env",
    "envFrom",
    "image",
    "imagePullPolicy",
    "lifecycle",
    "livenessProbe",
    "readinessProbe",
    "resources",
    "startupProbe",
    "stdin",
    "stdinOnce",
    "terminationMessagePolicy",
    "tty",
    "volumeMounts",
    "workingDir",
}


class Lab:
    """A kubelet under test."""

    python = sys.executable

    def __init__(self, folder: Path, **options: Any) -> None:
        self.folder = folder
        self.store = Store()
        self.events = EventRecorder(self.store)
        settings = {"timing": FAST, "api": ApiAccess(port=6443, token="the-token", ca="CA"), **options}
        self.kubelet = Kubelet(self.store, self.events, folder=folder, **settings)

    def run(self, name: str, command: list[str] | None = None, **fields: Any) -> dict[str, Any]:
        """Create a pod."""
        return self.store.create("pods", pod(name, command, **fields))

    async def until(self, name: str, rule: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The pod, as soon as a rule holds of it."""
        found: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

        def look(_: str, obj: dict[str, Any]) -> None:
            if obj["metadata"]["name"] == name and rule(obj) and not found.done():
                found.set_result(obj)

        undo = self.store.subscribe("pods", look)
        try:
            current = self.store.find("pods", "default", name)
            if current is not None:
                look("", current)
            async with asyncio.timeout(PATIENCE_S):
                return await found
        except TimeoutError:
            raise AssertionError(
                f"it did not come to that: {self.store.find('pods', 'default', name)}"
            ) from None
        finally:
            undo()

    async def phase(self, name: str, *phases: str) -> dict[str, Any]:
        """The pod in one of these phases."""
        return await self.until(name, lambda obj: obj["status"].get("phase") in phases)

    async def ended(self, name: str) -> dict[str, Any]:
        """The end of container ``main``."""
        obj = await self.phase(name, "Succeeded", "Failed")
        return obj["status"]["containerStatuses"][0]["state"]["terminated"]

    async def waiting(self, name: str, reason: str) -> str:
        """The message of a container that waits for a reason."""

        def message(obj: dict[str, Any]) -> str | None:
            for each in obj["status"].get("containerStatuses", []):
                state = each["state"].get("waiting", {})
                if state.get("reason") == reason:
                    return state.get("message", "")
            return None

        return message(await self.until(name, lambda obj: message(obj) is not None)) or ""

    async def gone(self, name: str) -> None:
        """Until the pod is removed."""
        removed = asyncio.Event()
        undo = self.store.subscribe(
            "pods",
            lambda kind, obj: (
                removed.set() if kind == "DELETED" and obj["metadata"]["name"] == name else None
            ),
        )
        try:
            if self.store.find("pods", "default", name) is not None:
                async with asyncio.timeout(PATIENCE_S):
                    await removed.wait()
        finally:
            undo()

    def delete(self, name: str, grace_s: int = 30) -> None:
        """As the API server deletes a pod."""

        def mark(obj: dict[str, Any]) -> dict[str, Any]:
            obj["metadata"] |= {
                "deletionTimestamp": "2026-01-01T00:00:00Z",
                "deletionGracePeriodSeconds": grace_s,
            }
            return obj

        self.store.update("pods", "default", name, mark)

    async def log(self, name: str, container: str = "main", **options: Any) -> str:
        """The container's log."""
        obj = self.store.get("pods", "default", name)
        pieces = [piece async for piece in self.kubelet.read_log(obj, container, LogOptions(**options))]
        return b"".join(pieces).decode()

    async def output(self, name: str, command: list[str] | None = None, **fields: Any) -> str:
        """What a pod writes until it ends."""
        self.run(name, command, **fields)
        await self.phase(name, "Succeeded", "Failed")
        return await self.log(name)

    async def exec(
        self, name: str, argv: list[str], *, stdin: bytes | None = None, tty: bool = False
    ) -> tuple[int, str]:
        """Exit code and output of a program run in container ``main``."""
        obj = self.store.get("pods", "default", name)
        process = await self.kubelet.exec(obj, "main", argv, stdin=stdin is not None, tty=tty)
        if stdin is not None:
            await process.write_stdin(stdin)
            await process.close_stdin()
        output = b""
        while (piece := await process.read()) is not None:
            output += piece[1]
        return await process.wait(), output.decode()

    def recorded(self, name: str) -> list[tuple[str, str]]:
        """Reasons and messages of the events about a pod, in order."""
        events = self.store.list("events")
        return [
            (each["reason"], each["message"]) for each in events if each["involvedObject"]["name"] == name
        ]


@pytest.fixture
def new_pod() -> Callable[..., dict[str, Any]]:
    """Makes pods."""
    return pod


@pytest_asyncio.fixture
async def make_lab(tmp_path: Path) -> AsyncIterator[Callable[..., Any]]:
    """Starts kubelets, and stops them at the end."""
    labs: list[Lab] = []

    async def make(**options: Any) -> Lab:
        lab = Lab(tmp_path / f"cluster{len(labs)}", **options)
        await lab.kubelet.start()
        labs.append(lab)
        return lab

    yield make
    for lab in labs:
        await lab.kubelet.stop()


@pytest_asyncio.fixture
async def lab(make_lab: Callable[..., Any]) -> Lab:
    """A kubelet with the best isolation that this machine gives."""
    return await make_lab()


@pytest_asyncio.fixture(params=["auto", "none"])
async def any_lab(request: pytest.FixtureRequest, make_lab: Callable[..., Any]) -> Lab:
    """The same test with and without namespaces."""
    return await make_lab(isolation=request.param)


@pytest.fixture
def needs_namespaces(lab: Lab) -> None:
    """Skips where the system gives no namespaces."""
    if lab.kubelet.node.isolation == "none":
        pytest.skip("this system gives no namespaces")


@pytest.fixture
def needs_root() -> None:
    """Skips for an ordinary user."""
    if os.geteuid() != 0:
        pytest.skip("needs root")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that an ordinary user may reach and write to."""
    folder = Path(tempfile.mkdtemp(prefix="podrunner-test-"))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def interpreter_for(uid: int | None) -> str:
    """This interpreter, or the system's of the same version if another user may not run this one."""
    if (
        uid is None
        or Path(sys.executable).resolve().stat().st_uid != 0
        or not _closed(Path(sys.executable).resolve())
    ):
        return sys.executable
    same = f"/usr/bin/python3.{sys.version_info.minor}"
    if not os.access(same, os.X_OK):
        pytest.skip("an ordinary user may run no interpreter of this version here")
    return same


def _closed(path: Path) -> bool:
    return any(not folder.stat().st_mode & 0o001 for folder in path.parents)


@pytest.fixture
def start_python() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a script in a process of its own, perhaps as an ordinary user."""
    started: list[subprocess.Popen[str]] = []

    def start(script: str, *arguments: str, uid: int | None = None) -> subprocess.Popen[str]:
        if uid is not None and os.geteuid() != 0:
            pytest.skip("needs root to become another user")
        path = os.pathsep.join(each for each in sys.path if each)
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        options: dict[str, Any] = {} if uid is None else {"user": uid, "group": uid, "extra_groups": []}
        command = [interpreter_for(uid), "-c", script, *arguments]
        started.append(
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd="/", **options)
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()

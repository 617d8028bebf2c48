"""The servers that a benchmark starts: each in a process of its own, so that its CPU time is counted apart.

The child serves until its standard input ends, so it never outlives its parent, however that ends. A line on its
standard input asks for its figures, which it prints as one line of JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anyio
import anyio.to_thread

from podrunner.bench.serve import RELEASE
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from podrunner.bench.plan import Target

__all__ = ["BenchServer", "served"]

_STARTS_WITHIN_S: Final = 30.0
_ENDS_WITHIN_S: Final = 15.0


class BenchServer:
    """A server in a child process.

    Args:
        process: The child; it has printed the path of its kubeconfig.
        kubeconfig: That path.

    Attributes:
        kubeconfig: A kubeconfig for the server.
    """

    def __init__(self, process: subprocess.Popen[str], kubeconfig: Path) -> None:
        self._process = process
        self.kubeconfig = kubeconfig

    async def figures(self) -> dict[str, Any]:
        """Return its ``cpu_s``, what is ``left`` (pods, Leases), and when each pod ``passed`` its stages."""
        return await self._asked("figures\n")

    async def release(self) -> None:
        """Let the pods of a stub that are held run on."""
        await self._asked(RELEASE)

    async def _asked(self, line: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(
            await anyio.to_thread.run_sync(self._ask, line, abandon_on_cancel=True)
        )
        return answer

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()
        return self._process.stdout.readline()


@asynccontextmanager
async def served(target: Target) -> AsyncIterator[BenchServer]:
    """Start a server of this kind, ``stub`` or ``local``; the end of the context ends it.

    Raises:
        UsageError: It did not start.
    """
    with tempfile.TemporaryDirectory(prefix="podrunner-bench-") as folder:
        process = _start(target, folder)
        try:
            yield BenchServer(process, await _ready(process))
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.to_thread.run_sync(_stop, process)


def _start(target: Target, folder: str) -> subprocess.Popen[str]:
    """Start the child in a process group of its own: Ctrl-C must not end it before its pods are deleted."""
    command = [sys.executable, "-m", "podrunner.bench.serve", target, folder]
    return subprocess.Popen(  # noqa: S603  # this interpreter, and a module of ours
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    )


async def _ready(process: subprocess.Popen[str]) -> Path:
    assert process.stdout is not None
    line = ""
    with anyio.move_on_after(_STARTS_WITHIN_S):
        line = await anyio.to_thread.run_sync(process.stdout.readline, abandon_on_cancel=True)
    if not line:
        raise UsageError(f"the server to measure against did not start within {_STARTS_WITHIN_S:.0f} s")
    return Path(line.strip())


def _stop(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.close()
        process.wait(_ENDS_WITHIN_S)
    except (BrokenPipeError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()
    finally:
        process.stdout.close()

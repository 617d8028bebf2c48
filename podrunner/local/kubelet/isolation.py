"""The isolation of containers that works on this machine: found by trying, once per cluster."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

from podrunner.local.kubelet.process import Shim, StartError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Isolation", "IsolationChoice", "choose_isolation"]

IsolationChoice = Literal["auto", "namespaces", "none"]
PATIENCE_S = 20.0
"""How long a trial container may take; a loaded machine needs some tenths of a second."""


class Isolation(StrEnum):
    """How containers are kept apart from the machine."""

    ROOT = "root"
    """Mount, PID and UTS namespaces, made by root."""
    USER = "user"
    """The same in a user namespace, made by an ordinary user."""
    NONE = "none"
    """Plain processes; mount paths are rewritten."""


async def choose_isolation(wanted: IsolationChoice) -> Isolation:
    """Return the best isolation that works.

    Args:
        wanted: ``auto``: namespaces where they work; ``namespaces``: nothing less; ``none``: do not try.

    Raises:
        RuntimeError: ``namespaces`` was asked for, and the system refuses them; with the reasons.
        ValueError: ``wanted`` is none of the three.
    """
    if wanted not in {"auto", "namespaces", "none"}:
        raise ValueError(f'isolation is "auto", "namespaces" or "none", not {wanted!r}')
    reasons = []
    for candidate in candidates(wanted, platform=sys.platform, uid=os.geteuid()):
        if (reason := await _refusal(candidate)) is None:
            return candidate
        reasons.append(f"{candidate}: {reason}")
    if wanted == "namespaces":
        raise RuntimeError(f"this system gives no namespaces ({'; '.join(reasons) or sys.platform})")
    return Isolation.NONE


def candidates(wanted: IsolationChoice, *, platform: str, uid: int) -> Sequence[Isolation]:
    """Return what to try, best first."""
    if wanted == "none" or platform != "linux":
        return ()
    return (Isolation.ROOT, Isolation.USER) if uid == 0 else (Isolation.USER,)


async def _refusal(isolation: Isolation) -> str | None:
    """Return why a trial container did not run, None if it did."""
    with tempfile.TemporaryDirectory(prefix="podrunner-") as staging:
        null = os.open(os.devnull, os.O_RDWR)
        try:
            shim = Shim(asyncio.get_running_loop(), _trial(isolation, staging), (null, null, null))
        except OSError as error:
            return str(error)
        finally:
            os.close(null)
        return await _watch(shim)


async def _watch(shim: Shim) -> str | None:
    try:
        async with asyncio.timeout(PATIENCE_S):
            await shim.started
            code = await asyncio.shield(shim.exited)
    except (StartError, TimeoutError) as error:
        shim.kill()
        await shim.exited
        return str(error) or "it took too long"
    return None if code == 0 else f"exit code {code}"


def _trial(isolation: Isolation, staging: str) -> dict[str, Any]:
    """Return a container with a mount where there is no mount point, which needs more rights than any other."""
    argv = [sys.executable, "-I", "-S", "-c", "import os; os.stat('/podrunner-trial/mount')"]
    program: dict[str, Any] = {
        "argv": argv,
        "env": {},
        "cwd": "/",
        "uid": None,
        "gid": None,
        "groups": None,
        "tty": False,
    }
    return {
        "isolation": str(isolation),
        "map_uid": 0,
        "map_gid": 0,
        "hostname": "trial",
        "rootfs": "",
        "staging": staging,
        "upper": "",
        "work": "",
        "dev": True,
        "cgroups": [],
        "mounts": [("/", "/podrunner-trial/mount", True)],
        "program": program,
    }

"""``podrunner.board_app``: the board of a runner, as an ASGI application for an embedder's own service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from podrunner.blocking import PodRunner
from podrunner.dashboard.access import LOOPBACK_HOSTS, Access
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from podrunner.runner import AsyncPodRunner

__all__ = ["board_app", "check_installed"]


def board_app(
    runner: AsyncPodRunner, *, token: str | None, hosts: Collection[str] = tuple(sorted(LOOPBACK_HOSTS))
) -> Any:
    """The board over a runner's pods, as an ASGI application for a service of one's own.

    ``service.mount("/board", podrunner.board_app(runner, token=…))`` in Starlette or FastAPI.

    It shows what the runner has in memory: it costs nothing while no browser is open, and one set of changed pods for
    each that is. It changes no pod, holds none up, and delivers no outcome. It belongs on the runner's event loop.

    Args:
        runner: The runner. It may be opened later, and be closed before.
        token: What the first URL must hold (``…/board/?token=…``), in place of which the browser then has a cookie.
            None: every request is served: only behind a login of your own.
        hosts: The names by which browsers ask for it, without ports: a request by any other name is refused.

    Returns:
        The application.

    Raises:
        UsageError: podrunner[board] is not installed, or the runner is a blocking one.
    """
    check_installed()
    if isinstance(runner, PodRunner):
        raise UsageError("the board of a runner belongs on its event loop: give it an AsyncPodRunner")
    from podrunner.dashboard.app import make_app
    from podrunner.dashboard.board import Board
    from podrunner.dashboard.source import RunnerPods

    return make_app(Board(RunnerPods(runner)), Access(token, hosts=hosts))


def check_installed() -> None:
    """Check that the board's libraries are there.

    Raises:
        UsageError: One is not.
    """
    from importlib import import_module

    for name in ("starlette", "uvicorn"):
        try:
            import_module(name)
        except ModuleNotFoundError as error:
            raise UsageError(f"the board needs {name}: pip install 'podrunner[board]'") from error

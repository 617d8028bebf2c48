"""How the command ends: which exit code an error has, and what Ctrl-C and SIGTERM do.

The codes are those of sysexits.h, so that they rarely meet the codes of the programs that ``podrunner run`` runs.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import anyio
from anyio.abc import TaskStatus

from podrunner import errors

__all__ = ["EXIT_CODES", "NoSuchPodError", "exit_code", "guarded", "run_async"]

T = TypeVar("T")


class NoSuchPodError(errors.UsageError):
    """Pods were named that are not there."""

    def __init__(self, namespace: str, names: Iterable[str]) -> None:
        super().__init__(f"no such pod in namespace {namespace}: {', '.join(names)}")


EXIT_CODES: tuple[tuple[type[BaseException], int], ...] = (
    (errors.ConfigError, 78),  # EX_CONFIG
    (errors.SpecError, 65),  # EX_DATAERR
    (errors.UnauthorizedError, 77),  # EX_NOPERM
    (errors.ForbiddenError, 77),
    (errors.NotFoundError, 66),  # EX_NOINPUT
    (NoSuchPodError, 66),
    (errors.LogError, 66),
    (errors.BadRequestError, 65),
    (errors.InvalidError, 65),
    (errors.ApiError, 76),  # EX_PROTOCOL: the server answered, and said no
    (errors.TransportError, 69),  # EX_UNAVAILABLE
    (errors.UsageError, 64),  # EX_USAGE
    (errors.PodrunnerError, 70),  # EX_SOFTWARE
)
"""The first class that fits decides."""


class TerminatedError(Exception):
    """SIGTERM arrived."""


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error of podrunner."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def guarded(command: Callable[[], object]) -> None:
    """Run a command; an error of podrunner becomes lines on standard error, one for each note, and its exit code."""
    try:
        command()
    except errors.PodrunnerError as error:
        lines = [str(error), *getattr(error, "__notes__", ())]
        sys.stderr.write("".join(f"podrunner: {line}\n" for line in lines))
        raise SystemExit(exit_code(error)) from None
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    except TerminatedError:
        raise SystemExit(128 + signal.SIGTERM) from None


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run the asynchronous body of a command to its end.

    Ctrl-C and SIGTERM cancel it first, so that its ``async with`` blocks clean up, and end it then: KeyboardInterrupt
    or TerminatedError. Until it has ended, further ones change nothing: cleaning up is bounded.
    """
    return anyio.run(_with_sigterm, main)


async def _with_sigterm(main: Callable[[], Awaitable[T]]) -> T:
    received: list[signal.Signals] = []
    result: list[T] = []
    body = anyio.CancelScope()

    async def watch(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
            task_status.started()
            async for number in signals:
                received.append(number)
                body.cancel()

    try:
        async with anyio.create_task_group() as tasks:
            await tasks.start(watch, name="podrunner-signals")
            with body:
                result.append(await main())
            tasks.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        raise _single(group) from None
    if not result and received:
        raise KeyboardInterrupt if received[0] == signal.SIGINT else TerminatedError
    return result[0]


def _single(error: BaseException) -> BaseException:
    """Take the one error out of the groups that task groups put around it."""
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return error

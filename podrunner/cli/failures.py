"""How the command ends: which exit code and which lines an error has, and what Ctrl-C and SIGTERM do.

The codes are those of sysexits.h, so that they rarely meet the codes of the programs that ``podrunner run`` runs; a
signal's are a shell's. Nothing ends in a traceback, unless ``PODRUNNER_DEBUG`` is set.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import anyio
import typer
from anyio.abc import TaskStatus

from podrunner import errors
from podrunner.cli import typer_usage
from podrunner.cli.streams import OutputError, takes_unicode
from podrunner.redaction import redact

__all__ = [
    "DEBUG",
    "EXIT_CODES",
    "CopyError",
    "Ending",
    "NoSuchPodError",
    "TerminatedError",
    "chief",
    "ending_of",
    "exit_code",
    "guarded",
    "notes_of",
    "one_line",
    "run_async",
    "say_at_the_end",
    "shortened",
]

T = TypeVar("T")

DEBUG = "PODRUNNER_DEBUG"
"""The environment variable that brings tracebacks."""

EX_MISUSE = 2
"""What shells and most commands end with if their arguments cannot be understood."""

EX_SOFTWARE, EX_IOERR = 70, 74
_LONGEST_ARGUMENT = 200
"""Characters of an argument that an error shows."""
_UNWRITABLE = (OutputError, OSError, ValueError)
"""What writing to a standard stream raises: ours, another's, and one that is closed."""


class NoSuchPodError(errors.UsageError):
    """Pods were named that are not there.

    Attributes:
        namespace: Where they are not; None: in no namespace.
        names: What was typed.
        nearest: Names of pods that are there.
    """

    def __init__(self, namespace: str | None, names: Iterable[str], *, nearest: Sequence[str] = ()) -> None:
        self.namespace = namespace
        self.names: tuple[str, ...] = tuple(names)
        self.nearest: tuple[str, ...] = tuple(nearest)
        near = f" (nearest: {', '.join(self.nearest)})" if nearest else ""
        where = "any namespace" if namespace is None else f"namespace {namespace}"
        super().__init__(f"no such pod in {where}: {', '.join(self.names)}{near}")

    @classmethod
    def of(cls, errors: Sequence[NoSuchPodError]) -> NoSuchPodError | None:
        """Return one error for several of one namespace; None: there are none."""
        if not errors:
            return None
        names = [name for error in errors for name in error.names]
        nearest = dict.fromkeys(name for error in errors for name in error.nearest)
        return cls(errors[0].namespace, names, nearest=[*nearest])


class CopyError(errors.PodrunnerError):
    """Files were not copied; nothing that is incomplete was left in their place."""


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
    (CopyError, EX_IOERR),
    (errors.PodrunnerError, EX_SOFTWARE),
)
"""The first class that fits decides."""


class TerminatedError(Exception):
    """SIGTERM arrived, or SIGHUP: the terminal is gone.

    Args:
        number: Which of them.
    """

    def __init__(self, number: signal.Signals = signal.SIGTERM) -> None:
        super().__init__(number.name)
        self.number = number


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ends.

    Attributes:
        code: The exit code.
        lines: What is written to standard error.
    """

    code: int
    lines: tuple[str, ...] = ()


def exit_code(error: BaseException) -> int:
    """Return the exit code for an error of podrunner."""
    return next(code for kind, code in EXIT_CODES if isinstance(error, kind))


def ending_of(error: BaseException) -> Ending:  # noqa: PLR0911  # a table: one return per row
    """Return how a command ends that raised this error."""
    match error:
        case KeyboardInterrupt():
            return Ending(128 + signal.SIGINT)
        case TerminatedError():
            return Ending(128 + error.number)
        case OutputError(number=errno.EPIPE):
            return Ending(128 + signal.SIGPIPE)
        case errors.PodrunnerError():
            return Ending(exit_code(error), (str(error), *notes_of(error)))
        case typer.Exit():
            return Ending(error.exit_code)
        case typer.Abort():
            # typer's prompts hide the interrupt: it is the context then, not the cause
            by_key = isinstance(error.__cause__ or error.__context__, KeyboardInterrupt)
            return Ending(128 + signal.SIGINT) if by_key else Ending(1, ("aborted",))
        case typer_usage.Error():
            return Ending(EX_MISUSE, typer_usage.lines_of(error))
        case OutputError():
            return Ending(EX_IOERR, (str(error),))
        case OSError(errno=int()):
            return Ending(EX_IOERR, (_of_file(error),))
    return Ending(EX_SOFTWARE, (_fault(error), f"{DEBUG}=1 shows where it happened. Please report it."))


def notes_of(error: BaseException) -> tuple[str, ...]:
    """Return the notes of an error, a line each."""
    return tuple(line for note in getattr(error, "__notes__", ()) for line in note.splitlines())


def _of_file(error: OSError) -> str:
    named = f"{error.filename}: " if error.filename is not None else ""
    return f"{named}{error.strerror or os.strerror(error.errno or errno.EIO)}"


def _fault(error: BaseException) -> str:
    said = redact(str(error))
    return f"a fault in podrunner: {type(error).__name__}{': ' if said else ''}{said}"


def guarded(command: Callable[[], object]) -> None:
    """Run a command; however it ends, it is an exit code and at most some lines on standard error.

    Each line begins with ``podrunner: ``. With ``PODRUNNER_DEBUG`` set, the traceback comes before them.

    Raises:
        SystemExit: The command failed, or returned an exit code.
    """
    try:
        code = command()
        sys.stdout.flush()  # a full disk or a closed pipe shows here at the latest
    except SystemExit as ended:
        code = ended.code
    except BaseException as error:  # noqa: BLE001  # the one place where each error becomes an exit code
        code = _end_with(chief(error))
    if isinstance(code, int) and code:
        raise SystemExit(code)


def _end_with(error: BaseException) -> int:
    ending = ending_of(error)
    with suppress(
        *_UNWRITABLE
    ):  # the error that ended the command counts, and there is no other place to say so
        sys.stdout.flush()
    with suppress(*_UNWRITABLE):
        if ending.lines and os.environ.get(DEBUG):
            traceback.print_exception(error)
    say_at_the_end(ending.lines)
    return ending.code


def say_at_the_end(lines: Iterable[str]) -> None:
    """Write lines to standard error, of a command that is ending anyway: a reader that has gone changes nothing."""
    with suppress(*_UNWRITABLE):
        mark = "…" if takes_unicode(sys.stderr) else "~"
        said = [shortened(one_line(line), sys.argv[1:], ellipsis=mark) for line in lines]
        sys.stderr.write("".join(f"podrunner: {line}\n" for line in said))
        sys.stderr.flush()


def shortened(line: str, arguments: Iterable[str], *, ellipsis: str = "…") -> str:
    """Return a line in which each long argument of the command that it quotes is cut in the middle."""
    for argument in arguments:
        for text in {argument, argument.partition("=")[2]}:
            for quoted in {one_line(text), one_line(repr(text)[1:-1])}:
                if len(quoted) > _LONGEST_ARGUMENT:
                    half = _LONGEST_ARGUMENT // 2
                    line = line.replace(quoted, f"{quoted[:half]}{ellipsis}{quoted[-half:]}")
    return line


def one_line(text: str) -> str:
    """Return a text in one line that moves no cursor: a server, a file or a user may have put anything into it."""
    if text.isprintable():
        return text
    words = " ".join(text.split())
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in words)


def chief(error: BaseException) -> BaseException:
    """Return the error that decides how a command ends, out of the groups that task groups put around it."""
    found = [*_leaves(error)]
    for kind in (KeyboardInterrupt, TerminatedError, OutputError, errors.PodrunnerError):
        for each in found:
            if isinstance(each, kind):
                return each
    return found[0]


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    else:
        yield error


def run_async(main: Callable[[], Awaitable[T]]) -> T:
    """Run the asynchronous body of a command to its end.

    Ctrl-C, SIGTERM and SIGHUP cancel it first, so that its ``async with`` blocks clean up, and end it then:
    KeyboardInterrupt or TerminatedError. Until it has ended, further ones change nothing: cleaning up is bounded.
    SIGHUP that the parent ignores stays ignored: that is what ``nohup`` is for.
    """
    return anyio.run(_with_signals, main)


def _ending_signals() -> tuple[signal.Signals, ...]:
    hangs_up = signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT, *([signal.SIGHUP] if hangs_up else []))


async def _with_signals(main: Callable[[], Awaitable[T]]) -> T:
    received: list[signal.Signals] = []
    result: list[T] = []
    body = anyio.CancelScope()

    async def watch(*, task_status: TaskStatus[None]) -> None:
        with anyio.open_signal_receiver(*_ending_signals()) as signals:
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
        raise chief(group) from None
    if not result and received:
        raise KeyboardInterrupt if received[0] == signal.SIGINT else TerminatedError(received[0])
    return result[0]

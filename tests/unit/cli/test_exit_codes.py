"""Each kind of failure has its own exit code, and one line on standard error."""

from __future__ import annotations

import errno
import inspect
import io
import logging
import os
import signal
import threading

import anyio
import pytest
import typer
from podrunner import errors
from podrunner.cli.failures import Ending, TerminatedError, ending_of, exit_code, guarded, run_async
from podrunner.cli.side_reports import one_line_reports
from podrunner.cli.streams import OutputError
from tests.support.signals import signal_action

CASES = [
    (errors.ConfigError("no such key"), 78),
    (errors.SpecError("no command"), 65),
    (errors.UnauthorizedError(status=401), 77),
    (errors.ForbiddenError(status=403), 77),
    (errors.QuotaExceededError(status=403), 77),
    (errors.NotFoundError(status=404), 66),
    (errors.BadRequestError(status=400), 65),
    (errors.InvalidError(status=422), 65),
    (errors.ServerError(status=500), 76),
    (errors.AlreadyExistsError(status=409), 76),
    (errors.TransportError("refused"), 69),
    (errors.RequestTimeoutError("slow"), 69),
    (errors.RunnerClosedError("closed"), 64),
    (errors.LogError("gone"), 66),
    (errors.StaleError("old"), 70),
]


@pytest.mark.parametrize(("error", "code"), CASES, ids=[type(case[0]).__name__ for case in CASES])
def test_an_error_ends_the_command_with_its_own_code_and_one_line(error, code, capsys) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(SystemExit) as end:
        guarded(fail)
    assert end.value.code == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == f"podrunner: {error}\n"


def test_every_error_of_podrunner_has_an_exit_code() -> None:
    kinds = [
        kind
        for _, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.PodrunnerError)
    ]
    assert kinds
    for kind in kinds:
        assert exit_code(kind.__new__(kind)) > 63


@pytest.mark.parametrize(
    ("number", "raised", "code"),
    [
        (signal.SIGINT, KeyboardInterrupt, 130),
        (signal.SIGTERM, TerminatedError, 143),
        (signal.SIGHUP, TerminatedError, 129),
    ],
)
def test_a_signal_lets_the_command_clean_up_before_it_ends(number, raised, code) -> None:
    cleaned = []

    async def body() -> None:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    action = signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
    with signal_action(number, action), pytest.raises(raised) as ended:
        run_async(body)
    assert cleaned == [True]
    assert ending_of(ended.value) == Ending(code)


def test_a_hang_up_that_the_parent_ignores_stays_ignored() -> None:
    """As nohup wants it."""

    async def body() -> str:
        os.kill(os.getpid(), signal.SIGHUP)
        await anyio.sleep(0.01)
        return "went on"

    with signal_action(signal.SIGHUP, signal.SIG_IGN):
        assert run_async(body) == "went on"


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, 130), (EOFError, 1)])
def test_ctrl_c_at_a_question_ends_the_command_as_ctrl_c_elsewhere(raised, code, monkeypatch) -> None:
    class Interrupted(io.StringIO):
        def readline(self, size: int | None = -1) -> str:
            raise raised

    monkeypatch.setattr("sys.stdin", Interrupted())
    with pytest.raises(SystemExit) as end:
        guarded(lambda: typer.confirm("Create 3 pods?", abort=True))
    assert end.value.code == code


@pytest.mark.parametrize(
    ("error", "code", "lines"),
    [
        (OutputError(errno.EPIPE, "output"), 141, []),
        (OutputError(errno.ENOSPC, "output"), 74, ["standard output cannot be written: No space left on device"]),
        (FileNotFoundError(2, "No such file or directory", "/no/x"), 74, ["/no/x: No such file or directory"]),
        (OSError(errno.EMFILE, "Too many open files"), 74, ["Too many open files"]),
        (typer.Exit(3), 3, []),
        (typer.Abort(), 1, ["aborted"]),
        (typer.BadParameter("write it as A=B", param_hint="--image"), 2, [
            "invalid value for --image: write it as A=B (see podrunner --help)"
        ]),
        (errors.ConfigError("one\ntwo \x1b[2J"), 78, ["one two \\x1b[2J"]),
    ],
)  # fmt: skip
def test_what_is_no_error_of_podrunner_is_a_line_and_a_code_too(error, code, lines, capsys) -> None:
    def fail() -> None:
        raise ExceptionGroup("of a task group", [error])

    with pytest.raises(SystemExit) as end:
        guarded(fail)
    assert end.value.code == code
    assert capsys.readouterr().err.splitlines() == [f"podrunner: {line}" for line in lines]


def test_a_fault_of_podrunner_names_itself_and_how_its_traceback_is_had(capsys, monkeypatch) -> None:
    def fail() -> None:
        raise KeyError("password=hunter2")

    monkeypatch.delenv("PODRUNNER_DEBUG", raising=False)
    with pytest.raises(SystemExit) as end:
        guarded(fail)
    said = capsys.readouterr().err
    assert end.value.code == 70
    assert said.splitlines()[0].startswith("podrunner: a fault in podrunner: KeyError: ")
    assert "hunter2" not in said
    assert "PODRUNNER_DEBUG=1" in said
    assert "Traceback" not in said
    monkeypatch.setenv("PODRUNNER_DEBUG", "1")
    with pytest.raises(SystemExit) as end:
        guarded(fail)
    assert end.value.code == 70
    assert "Traceback" in capsys.readouterr().err


def test_an_interruption_counts_over_what_it_causes(capsys) -> None:
    def fail() -> None:
        raise BaseExceptionGroup(
            "g", [ValueError("x"), ExceptionGroup("h", [errors.SpecError("s")]), KeyboardInterrupt()]
        )

    with pytest.raises(SystemExit) as end:
        guarded(fail)
    assert end.value.code == 130
    assert capsys.readouterr().err == ""


def test_a_code_that_the_command_returns_is_the_processs() -> None:
    guarded(lambda: 0)
    with pytest.raises(SystemExit) as end:
        guarded(lambda: 5)
    assert end.value.code == 5


def test_what_the_logs_and_the_interpreter_report_is_one_line(capsys) -> None:
    logger = logging.getLogger("without-handlers")
    logger.propagate = False  # pytest has handlers, a command has none
    with one_line_reports():
        try:
            raise ValueError("a\nb")
        except ValueError:
            logger.exception("failed on %s", "GET")
        thread = threading.Thread(target=lambda: 1 / 0)
        thread.start()
        thread.join()
    assert capsys.readouterr().err.splitlines() == [
        "podrunner: error: failed on GET: ValueError: a b",
        "podrunner: warning: an error was ignored: ZeroDivisionError: division by zero",
    ]


@pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt, 130), (TerminatedError, 143)])
def test_a_command_ended_by_a_signal_says_so_as_a_shell_does(raised, code) -> None:
    def fail() -> None:
        raise raised

    with pytest.raises(SystemExit) as end:
        guarded(fail)
    assert end.value.code == code


def test_an_error_inside_comes_out_as_itself() -> None:
    async def body() -> None:
        raise errors.ConfigError("no such file")

    with pytest.raises(errors.ConfigError, match="no such file"):
        run_async(body)

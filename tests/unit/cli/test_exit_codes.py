"""Each kind of failure has its own exit code, and one line on standard error."""

from __future__ import annotations

import inspect
import os
import signal

import anyio
import pytest
from podrunner import errors
from podrunner.cli.failures import TerminatedError, exit_code, guarded, run_async

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
    ("number", "raised"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, TerminatedError)]
)
def test_a_signal_lets_the_command_clean_up_before_it_ends(number, raised) -> None:
    cleaned = []

    async def body() -> None:
        try:
            os.kill(os.getpid(), number)
            await anyio.sleep_forever()
        finally:
            cleaned.append(True)

    with pytest.raises(raised):
        run_async(body)
    assert cleaned == [True]


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

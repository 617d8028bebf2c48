"""No input of the command ends in a traceback: arguments, files, variables, encodings, closed pipes and full disks.

``SEEDS=200`` tries more of them, ``SEED=17`` one part again; each names the input that failed.
"""

from __future__ import annotations

import io
import os
import re
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import chain, repeat
from pathlib import Path
from typing import Any

import pytest
from podrunner.cli import main
from podrunner.cli.app import app
from tests.support.cli_inputs import Input, arguments_of, draw
from tests.support.cli_words import COMMANDS, NOT_DRAWN
from tests.support.seeds import SEEDS
from typer.main import get_command

EACH = 40
CODES = {0, 1, 2, 64, 65, 66, 69, 70, 74, 76, 77, 78, 141}
TIMED_OUT = 124
"""Where ``--timeout`` is drawn, which is a second: a busy machine may take longer to ask and answer."""
LINE = re.compile(
    r"podrunner: |warning: |No resources found(?: in |\.)|No pod is held |left: "
    r"|podrunner bench will create |  |$"
)


@dataclass(frozen=True)
class End:
    """How a command ended."""

    code: int
    out: bytes
    err: bytes


@contextmanager
def answering(answers: list[bytes]):
    """Serve the answers on loopback, one a connection, then none to any further one; yield the server's URL."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        for answer in chain(answers, repeat(b"")):
            try:
                connection, _ = listener.accept()
            except OSError:  # it was shut down
                return
            with connection, suppress(OSError):
                connection.settimeout(2)
                connection.recv(65_536)
                connection.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


class Stream:
    """A standard stream of a drawn kind, and what was written to it."""

    def __init__(self, kind: str, encoding: str) -> None:
        self._parts: list[bytes] = []
        self._reader: threading.Thread | None = None
        charset, _, errors = encoding.partition(":")
        descriptor = self._open(kind)
        self.file = open(descriptor, "w", encoding=charset, errors=errors or None)  # noqa: PTH123, SIM115  # a descriptor

    def _open(self, kind: str) -> int:
        if kind in {"full", "closed"}:
            return os.open("/dev/full", os.O_WRONLY)
        reading, writing = os.pipe()
        if kind == "closed-pipe":
            os.close(reading)
            return writing
        self._reader = threading.Thread(target=self._read, args=(reading,))
        self._reader.start()
        return writing

    def _read(self, descriptor: int) -> None:
        with open(descriptor, "rb") as file:
            self._parts.append(file.read())

    def close(self) -> bytes:
        with suppress(OSError):
            self.file.close()
        if self._reader is not None:
            self._reader.join()
        return b"".join(self._parts)


def run(drawn: Input, folder: Path, monkeypatch: pytest.MonkeyPatch) -> End:
    """Run the command in this process, in a folder with the drawn files."""
    for name, content in drawn.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    out, err = Stream(drawn.stdout, drawn.encoding), Stream(drawn.stderr, drawn.encoding)
    with monkeypatch.context() as patch:
        patch.chdir(folder)
        for name in [each for each in os.environ if each.startswith(("PODRUNNER_", "AIRFLOW", "KUBE"))]:
            patch.delenv(name)
        patch.setenv("HOME", str(folder))
        for name, value in {
            "PODRUNNER_RETRY__ATTEMPTS": "1",
            "PODRUNNER_RETRY__INITIAL_CONNECT_TIMEOUT_S": "0.01",
        }.items():
            patch.setenv(name, value)
        for name, value in drawn.variables.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["podrunner", *drawn.arguments])
        patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"y\n")))
        patch.setattr(sys, "stdout", out.file)
        patch.setattr(sys, "stderr", err.file)
        code = _ended()
    return End(code, out.close(), err.close())


def _ended() -> int:
    try:
        main()
    except SystemExit as ended:
        return ended.code or 0
    return 0


@pytest.mark.parametrize("seed", SEEDS)
def test_each_input_ends_in_an_exit_code_and_lines(seed, tmp_path_factory, monkeypatch):
    for number in range(EACH):
        name = f"{seed}-{number}"
        with answering(draw(name).answers) as server:
            drawn = draw(name, server=server)
            end = run(drawn, tmp_path_factory.mktemp("input"), monkeypatch)
        shown = f"{name}: {drawn}: {end}"
        assert end.code in CODES or (end.code == TIMED_OUT and "--timeout" in drawn.arguments), shown
        assert b"Traceback" not in end.err + end.out, shown
        assert b"a fault in podrunner" not in end.err, shown
        if "exec" not in drawn.arguments:
            lines = end.err.decode(drawn.encoding.partition(":")[0], "replace").splitlines()
            assert [line for line in lines if not LINE.match(line)] == [], shown


def _commands(group: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name in group.list_commands(None):
        command = group.get_command(None, name)
        if hasattr(command, "list_commands"):
            yield from _commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


COMMAND_TREE = dict(_commands(get_command(app)))


@pytest.mark.parametrize("name", COMMAND_TREE)
def test_each_option_is_drawn_or_is_not_for_a_reason(name):
    """What is added to the command is among the random inputs, or in the list of what they leave out."""
    drawn = {word.partition("=")[0] for word in COMMANDS[name]}
    left_out = {option for key in (name, "") for option in NOT_DRAWN.get(key, ())}
    options = [each for each in COMMAND_TREE[name].params if each.param_type_name == "option"]
    missing = [
        each.opts for each in options if drawn.isdisjoint(each.opts) and left_out.isdisjoint(each.opts)
    ]
    assert missing == []


def test_the_benchmark_that_is_drawn_ends_at_its_question():
    """Else it would start a server, or wait for one."""
    assert arguments_of(1) == draw(1).arguments
    for seed in range(2_000):
        arguments = arguments_of(seed)
        if arguments[:1] == ["bench"]:
            assert "--target=cluster" in arguments
            assert not {"--yes", "-y", "stub", "local"} & {*arguments}

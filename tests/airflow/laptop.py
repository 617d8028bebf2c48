"""Airflow on a laptop: the shell commands of the how-to, run as they stand on its page.

What belongs here: reading the page, running its commands, ending them as a user would, and what they leave behind.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from installation import HERE, Installation, free_port

__all__ = ["PAGE", "Laptop", "commands_of"]

PAGE = HERE.parents[1] / "docs" / "how-to" / "run-airflow.md"
_END_S = 300
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def commands_of(heading: str) -> str:
    """Return the shell commands under a heading of the how-to, less those that install."""
    section = PAGE.read_text(encoding="utf-8").partition(f"\n{heading}\n")[2]
    section = re.split(r"^#+ ", section, maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    assert blocks, f"no commands under {heading!r} in {PAGE}"
    return "\n".join(block for block in blocks if "pip install" not in block)


@dataclass
class Laptop(Installation):
    """Airflow as the how-to starts it: with its home and a free port, else with Airflow's own defaults.

    Processes that lose their parent become children of this one, so that none is overlooked. Their variables would not
    show whose they are: Airflow writes titles over them.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        assert ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0
        self._others = {child.pid for child in psutil.Process().children()}

    @property
    def environ(self) -> dict[str, str]:
        """The variables of the user's shell."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "LOGNAME", "USER") if name in os.environ}
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "TMPDIR": str(self.home),
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port}",
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        }

    def run(self, commands: str) -> None:
        """Run commands in a shell of a terminal's kind: what is in the background has a group of its own."""
        with (self.home / "shell.out").open("ab") as output:
            self._processes["shell"] = subprocess.Popen(
                ["bash", "-o", "monitor", "-e", "-u", "-c", commands],
                cwd=self.home,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def processes(self, word: str = "") -> dict[int, str]:
        """Return the processes of this Airflow that have a word in their command, also those without a parent."""
        found = {}
        for child in psutil.Process().children():
            for process in [] if child.pid in self._others else [child, *child.children(recursive=True)]:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
                    found[process.pid] = " ".join(process.cmdline())
        return {pid: command for pid, command in found.items() if command and word in command}

    def interrupt(self, word: str) -> None:
        """Do what Ctrl-C does to a command in the foreground: SIGINT to its group."""
        commands = self.processes(word).items()
        groups = {os.getpgid(pid) for pid, command in commands if not command.startswith("bash")}
        assert groups, f"no process is called {word!r}: {self.processes()}"
        for group in groups:
            os.killpg(group, signal.SIGINT)

    def wait_gone(self, word: str = "") -> None:
        """Wait until no such process is left."""
        deadline = time.monotonic() + _END_S
        while left := self.processes(word):
            assert time.monotonic() < deadline, f"left behind after {_END_S} s: {left}"
            time.sleep(0.5)

    def stop(self) -> None:
        """Kill what is left, until two looks find nothing: a process is overlooked while its parent ends."""
        empty = 0
        while empty < 2:
            left = self.processes()
            empty = 0 if left else empty + 1
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.5)
        for process in self._processes.values():
            process.wait(_END_S)
        self._processes = {}

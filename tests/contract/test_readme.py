"""The README is correct: its Python blocks run and print what their comments say, and its commands exist."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def _printed(block: str) -> list[str]:
    """Return the expected output: the comment behind each print."""
    return re.findall(r"print\(.*\)\s+# (.+)$", block, re.MULTILINE)


@pytest.mark.processes
@pytest.mark.parametrize("block", BLOCKS, ids=["blocking", "asyncio"])
def test_a_program_of_the_readme_prints_what_its_comments_say(block: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", block], capture_output=True, text=True, timeout=150, check=False
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == _printed(block)


def _commands() -> list[str]:
    """Return each line of the README's shell blocks."""
    blocks = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_set_up_and_demo_and_tests_are_one_line_each() -> None:
    endings = [
        line.rsplit(maxsplit=1)[-1] for line in _commands() if line.startswith("python3 -m venv .venv && ")
    ]
    assert endings == ["demo", "pytest"]


@pytest.mark.processes
def test_the_render_command_of_the_readme_prints_a_pod() -> None:
    (line,) = (line for line in _commands() if " render " in line)
    arguments = line.split()[1:]
    run = subprocess.run(
        [sys.executable, "-m", "podrunner", *arguments],
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
        cwd=README.parent,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.startswith("apiVersion: v1\nkind: Pod\n")


def test_every_command_of_the_readme_exists() -> None:
    from podrunner.cli.app import app
    from typer.main import get_command

    shown = {line.split("bin/podrunner ")[1].split()[0] for line in _commands() if "bin/podrunner " in line}
    assert shown == {"demo", "render", "local"}
    assert shown <= set(get_command(app).commands)

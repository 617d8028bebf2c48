"""What the README shows is what a reader gets: its Python blocks run, and print what their comments say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
BLOCKS = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def _printed(block: str) -> list[str]:
    """The expected output: the comment behind each print."""
    return re.findall(r"print\(.*\)\s+# (.+)$", block, re.MULTILINE)


@pytest.mark.processes
@pytest.mark.parametrize("block", BLOCKS, ids=["blocking", "asyncio"])
def test_a_readers_first_program_prints_what_the_readme_says(block: str) -> None:
    run = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True, timeout=50, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout.splitlines() == _printed(block)

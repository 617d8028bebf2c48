"""The real program at hostile streams: closed pipes, full disks, closed descriptors, outputs of ASCII."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
from tests.support.cli_inputs import draw

PODRUNNER = [sys.executable, "-m", "podrunner"]
WORKLOAD = {"key": {"a": "b"}, "image": "i", "env": {"NAME": "héllo"}}
CONFIG = 'env = {A = "ü"}\n'


@pytest.fixture
def render(tmp_path) -> list[str]:
    """Return the words that print a pod, with a character that ASCII lacks."""
    (tmp_path / "w.json").write_text(json.dumps(WORKLOAD), encoding="utf-8")
    return [*PODRUNNER, "render", "--workload", str(tmp_path / "w.json"), "-o", "json"]


def shell(line: str, **variables: str) -> subprocess.CompletedProcess[bytes]:
    """Run a line of a shell."""
    return subprocess.run(
        ["bash", "-c", line], capture_output=True, env={**os.environ, **variables}, timeout=150, check=False
    )


def without_reader(words: list[str]) -> bytes:
    """Run words in a shell, into a pipe whose reader has left; return the errors, and the code that the shell saw."""
    reader, writer = os.pipe()
    os.close(reader)
    command = ["bash", "-c", f'{" ".join(words)}; echo "$?" >&2']
    try:
        return subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, timeout=150, check=False).stderr
    finally:
        os.close(writer)


def test_a_reader_that_leaves_ends_the_command_quietly(render):
    assert without_reader(render) == b"%d\n" % (128 + signal.SIGPIPE)


def test_a_reader_of_help_that_leaves_too():
    assert without_reader([*PODRUNNER, "--help"]) == b"%d\n" % (128 + signal.SIGPIPE)


@pytest.mark.parametrize("words", [["--help"], ["--version"], None], ids=["help", "version", "render"])
def test_a_full_disk_is_one_line(render, words):
    command = render if words is None else [*PODRUNNER, *words]
    ended = shell(f"{' '.join(command)} > /dev/full")
    assert ended.returncode == 74
    assert ended.stderr == b"podrunner: standard output cannot be written: No space left on device\n"


@pytest.mark.parametrize("which", [">&-", ">&- 2>&- <&-"])
def test_a_closed_stream_is_no_fault(render, which):
    assert shell(f"{' '.join(render)} {which}").returncode == 0
    ended = shell(f"{' '.join(PODRUNNER)} frob {which}")
    assert ended.returncode == 2
    assert b"Traceback" not in ended.stderr


@pytest.mark.parametrize(
    "variables",
    [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}],
)
def test_an_output_of_ascii_gets_the_same_document(render, variables):
    ended = shell(" ".join(render), **variables)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert json.loads(ended.stdout.decode("ascii"))["spec"]["containers"][0]["env"] == [
        {"name": "NAME", "value": "héllo"}
    ]


def test_an_error_on_a_full_disk_still_has_its_code():
    assert shell(f"{' '.join(PODRUNNER)} frob 2> /dev/full").returncode == 2


@pytest.mark.parametrize("seed", ["p0", "p1", "p2"])
def test_a_random_input(seed, tmp_path):
    """A few of the inputs of ``tests/unit/cli/test_random_inputs.py``, given to the real program."""
    drawn = draw(seed)
    for name, content in drawn.files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    own = {"PODRUNNER_RETRY__INITIAL_CONNECT_TIMEOUT_S": "0.01", "PYTHONIOENCODING": drawn.encoding}
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PODRUNNER_", "KUBE"))}
    ended = subprocess.run(
        [*PODRUNNER, *drawn.arguments],
        cwd=tmp_path,
        env={**kept, "HOME": str(tmp_path), **own, **drawn.variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=150,
        check=False,
    )
    assert ended.returncode in {0, 1, 2, 64, 65, 66, 69, 70, 74, 76, 77, 78}, ended
    assert b"Traceback" not in ended.stderr + ended.stdout
    assert b"a fault in podrunner" not in ended.stderr

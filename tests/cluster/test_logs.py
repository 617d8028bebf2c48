"""Logs as containerd writes them and the kubelet rotates and serves them."""

from __future__ import annotations

import sys
from pathlib import Path

import anyio
import pytest
from podrunner import AsyncPodRunner
from podrunner.errors import PodrunnerError

sys.path.insert(0, str(Path(__file__).parent))
from numbered_logs import holes, watched_rotations

pytestmark = pytest.mark.anyio

PACED = """
import os, time
print("begin", flush=True)
while not os.path.exists("/tmp/go"):
    time.sleep(0.1)
for number in range({lines}):
    os.write(1, b"%d %s\\n" % (number, b"." * {width}))
    if number % 1000 == 999:
        time.sleep(0.4)
"""
"""Each line is one write, because containerd may change files between two reads and split a line of two writes."""
STRANGE = r"""
import os, time
os.write(1, b"x" * 100_000 + b"\n")          # longer than the runtime's 16 KiB
os.write(1, b"\n\n")                         # empty
os.write(1, "gr\u00fc\u00df dich \U0001f600\n".encode())
os.write(1, b"\xff\xfe not UTF-8\n")
os.write(1, b"without an end")
"""


def paced(lines: int, width: int) -> tuple[str, ...]:
    return ("python3", "-u", "-c", PACED.format(lines=lines, width=width))


def has_begun(log: Path) -> bool:
    return log.exists() and b"begin\n" in log.read_bytes()


async def go(pod, log: Path) -> None:
    """Let the pod write once the runner follows its log: lines that rotate away before cannot be detected."""
    with anyio.fail_after(120):
        while not has_begun(log):
            await anyio.sleep(0.1)
    assert (await pod.exec(["touch", "/tmp/go"])).exit_code == 0


@pytest.mark.timeout(400)
async def test_rotation_while_it_is_followed(config, workload, node, tmp_path):
    """G3: 6 MB through a log that is rotated at 1 MiB: every line once, in order, or an explicit gap.

    The node itself may skip lines without a trace: see `numbered_logs`.
    """
    wanted = workload("", log_path="long.log").model_copy(update={"command": paced(30_000, 200)})
    with watched_rotations(node.folder / "podlogs", config.namespace) as rotations:
        async with AsyncPodRunner(config.with_changes(logs={"folder": tmp_path})) as runner:
            pod = await runner.launch(wanted)
            await go(pod, tmp_path / "long.log")
            assert (await pod.wait(200)).succeeded
            await runner.wait_all(120)
    firsts = rotations.of(pod.name.rpartition("-")[0])
    assert len(firsts) > 1, "it was rotated"
    lines = (tmp_path / "long.log").read_text().splitlines()[1:]
    assert holes(lines, count=30_000, firsts=firsts)[0] == []


async def test_a_large_log_at_the_end(config, workload, tmp_path):
    """A burst below the rotation's limit is read completely, also when it is read only at the end."""
    burst = "import os; [os.write(1, b'%d %s\\n' % (number, b'.' * 1_000)) for number in range(900)]"
    wanted = workload("", log_path="burst.log").model_copy(update={"command": ("python3", "-c", burst)})
    async with AsyncPodRunner(config.with_changes(logs={"folder": tmp_path, "follow": "end"})) as runner:
        assert (await (await runner.launch(wanted)).wait(150)).succeeded
    lines = (tmp_path / "burst.log").read_text().splitlines()
    assert [int(line.split()[0]) for line in lines] == list(range(900))


async def test_lines_of_any_shape(config, workload, tmp_path):
    """G6: no line is split, whatever it contains."""
    wanted = workload("", log_path="strange.log").model_copy(update={"command": ("python3", "-c", STRANGE)})
    async with AsyncPodRunner(config.with_changes(logs={"folder": tmp_path})) as runner:
        assert (await (await runner.launch(wanted)).wait(150)).succeeded
    lines = (tmp_path / "strange.log").read_bytes().split(b"\n")
    assert lines[:4] == [b"x" * 100_000, b"", b"", "grüß dich 😀".encode()]
    assert lines[4:6] == [b"\xff\xfe not UTF-8", b"without an end"]


@pytest.mark.disturbing
@pytest.mark.timeout(400)
async def test_the_kubelet_restarts_while_a_log_is_followed(config, workload, node, tmp_path):
    """G1: the stream breaks and is resumed, without losing or repeating a line."""
    count = "i=0; while [ $i -lt 150 ]; do echo $i; i=$((i+1)); sleep 0.1; done"
    async with AsyncPodRunner(config.with_changes(logs={"folder": tmp_path})) as runner:
        pod = await runner.launch(workload(count, log_path="count.log"))
        async with pod.logs() as lines:
            async for line in lines:
                if line == "20":
                    node.kill("kubelet")
                    node.start("kubelet")
                    break
        assert (await pod.wait(200)).succeeded
    assert (tmp_path / "count.log").read_text().split() == [str(number) for number in range(150)]


async def test_a_missing_log_does_not_change_the_outcome(config, workload):
    """G8: the log of a pod that never started cannot be read; the outcome is the same."""
    async with AsyncPodRunner(config.with_changes(pending={"image_grace_s": 0})) as runner:
        pod = await runner.launch(workload("true", image="localhost/nowhere:1", image_pull_policy="Never"))
        outcome = await pod.wait(150)
        with pytest.raises(PodrunnerError):
            await pod.read_log()
    assert outcome.category == "image"

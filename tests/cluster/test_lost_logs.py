"""Logs that are gone from a real node when they are read: lines or a gap, and no word of the kubelet's as a line."""

from __future__ import annotations

import anyio
import pytest
from podrunner import AsyncPodRunner, Category

pytestmark = pytest.mark.anyio

COUNT = 'i=0; while [ ! -e /tmp/end ]; do echo "line $i"; i=$((i+1)); sleep 0.1; done'
GREEDY = 'echo "line 0"; dd if=/dev/zero of=/scratch/x bs=1M count={size} 2>/dev/null; echo "line 1"; exec sleep 300'


def is_gap(line: str) -> bool:
    return line.startswith("*** Log gap in container base (unavailable)")


def in_order(lines: list[str]) -> bool:
    return lines == [f"line {number}" for number in range(len(lines))]


def around_the_gap(content: list[str]) -> tuple[list[str], str, list[str]]:
    """The lines before the only gap, the gap, the lines after it."""
    (at,) = [index for index, line in enumerate(content) if line.startswith("***")]
    return content[:at], content[at], content[at + 1 :]


def goes_on(lines: list[str], behind: int) -> bool:
    """Whether these are lines in order, each one behind the first ``behind``."""
    numbers = [int(line.removeprefix("line ")) for line in lines]
    return (
        numbers == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] >= behind
        if numbers
        else True
    )


@pytest.mark.timeout(400)
async def test_a_log_file_that_is_removed_while_the_pod_runs(config, workload, node, tmp_path):
    """G11: what is lost is a gap, and no word of the kubelet's is a line.

    Within ten seconds of the removal the kubelet's rotation has containerd open the file anew: a reader that comes
    before that is answered in the kubelet's words, and one that comes after it finds its last line gone.
    """
    here = config.with_changes(logs={"folder": tmp_path / "logs", "drain_timeout_s": 20})
    async with AsyncPodRunner(here) as runner:
        pod = await runner.launch(workload(COUNT, log_path="lost.log"))
        file = tmp_path / "logs" / "lost.log"
        with anyio.fail_after(120):
            while not (file.exists() and "line 5" in file.read_text()):
                await anyio.sleep(0.1)
        for path in (node.folder / "podlogs").glob(f"{pod.namespace}_{pod.name}_*/base/*.log"):
            path.unlink()
        assert (await pod.exec(["touch", "/tmp/end"])).exit_code == 0
        assert (await pod.wait(150)).succeeded
        await runner.wait_all(120)
    before, gap, after = around_the_gap(file.read_text().splitlines())
    assert in_order(before)
    if is_gap(gap):
        assert "no such file or directory" in gap
        assert not after
    else:
        assert gap.startswith("*** Log gap in container base (rotated)")
        assert "the last line read is no longer there" in gap
        assert goes_on(after, behind=len(before))


@pytest.mark.timeout(600)
async def test_the_log_of_an_evicted_pod_that_is_read_late(config, workload, tmp_path):
    """G11, P4: by the kubelet, since the pod's volume exceeded its limit; its log is read after that.

    In memory the volume would be of just that size, and could not exceed it.
    """
    volume = {"name": "scratch", "emptyDir": {"sizeLimit": "4Mi"}}
    mount = {"name": "scratch", "mountPath": "/scratch"}
    overrides = {"spec": {"volumes": [volume], "containers": [{"name": "base", "volumeMounts": [mount]}]}}
    here = config.with_changes(logs={"folder": tmp_path / "logs", "follow": "end", "drain_timeout_s": 20})
    async with AsyncPodRunner(here) as runner:
        wanted = workload(GREEDY.format(size=12), log_path="late.log", overrides=overrides)
        pod = await runner.launch(wanted)
        outcome = await pod.wait(400)
        assert outcome.category == Category.EVICTED
        await runner.wait_all(120)
    content = (tmp_path / "logs" / "late.log").read_text().splitlines()
    assert content
    lines = [line for line in content if not is_gap(line)]
    assert in_order(lines)
    assert len(lines) == 2 or is_gap(content[-1])

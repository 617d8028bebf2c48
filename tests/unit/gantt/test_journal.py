"""The journal of a run: what a runner writes of its pods, and what is read back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import anyio
import podrunner
import pytest
from podrunner.errors import RunnerClosedError, UsageError
from podrunner.gantt import journal_view, timeline
from podrunner.gantt.journal_file import header_line, read_records, record_lines
from tests.unit.gantt.lives import HOSTILE, life
from tests.unit.runner.harness import Cluster, running, until, workload


def test_records_are_read_back_as_they_were_written():
    records = [life(), life(HOSTILE.replace("\x00", ""), exit_code=3, restarts=2)]
    assert read_records(header_line("me") + record_lines(records), source="f") == records


def test_the_half_line_of_a_killed_writer_is_left_out():
    data = header_line("me") + record_lines([life()])
    assert read_records(data + b'{"key":"ha', source="f") == [life()]


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/urandom"])
def test_a_device_without_an_end_is_no_journal(path):
    with pytest.raises(UsageError, match="is no journal of podrunner"):
        timeline(path)


def test_a_second_writer_goes_on_with_the_file():
    data = header_line("one") + record_lines([life()]) + header_line("two") + record_lines([life("job=b")])
    assert [each.key for each in read_records(data, source="f")] == ["job=a", "job=b"]


def test_the_half_line_of_a_killed_writer_is_left_out_before_a_second_ones_lines_too():
    data = header_line("one") + record_lines([life()]) + b'{"key":"ha\n' + header_line("two")
    assert read_records(data + record_lines([life("job=b")]), source="f") == [life(), life("job=b")]


def test_fields_of_a_later_podrunner_are_skipped_and_missing_ones_have_their_defaults():
    data = b'{"podrunner_journal":1,"colour":"red"}\n{"key":"k","mood":"good"}\n'
    (record,) = read_records(data, source="f")
    assert (record.key, record.attempt, record.created) == ("k", 1, None)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "f is no journal of podrunner"),
        (b"hello\n", "f is no journal of podrunner"),
        (b'{"podrunner_journal":2}\n', "version 2, and this podrunner reads up to 1: update podrunner"),
        (b'{"podrunner_journal":"x"}\n', "unreadable header"),
        (b'{"podrunner_journal":1}\n{"key":1}\n', "f, line 2: "),
    ],
)
def test_what_is_no_journal_is_refused_with_the_reason(data, problem):
    with pytest.raises(UsageError, match=problem):
        read_records(data, source="f")


def read(path: Path) -> dict[str, str]:
    return {
        bar["record"]["key"]: bar["record"].get("category") or bar["record"].get("status", "")
        for row in podrunner.timeline(path).to_dict()["rows"]
        for bar in row["bars"]
    }


async def until_in_thread(condition: Callable[[], object]) -> None:
    """Wait until a worker thread has done something: in real time, as the virtual one does not wait for threads."""
    until_s = time.monotonic() + 40
    while not condition():
        assert time.monotonic() < until_s
        time.sleep(0.001)  # noqa: ASYNC251  # for the thread
        await anyio.sleep(0.1)


@pytest.mark.anyio
class TestWriting:
    async def test_a_runs_pods_are_in_it_with_their_outcomes(self, cluster: Cluster, tmp_path: Path):
        async with running(cluster, delete_pods_on_failure=True) as runner:
            with podrunner.journal(runner, tmp_path / "j"):
                pods = list(await runner.launch_many(workload(number) for number in range(3)))
                cluster.play(pods[0].name)
                cluster.play(pods[1].name, exit_code=1)
                cluster.run(pods[2].name)
                await until(lambda: pods[2].status == "Running" and pods[1].outcome and pods[0].outcome)
            found = sorted(read(tmp_path / "j").values())
            cluster.play(pods[2].name)
        assert found == ["Running", "failed", "succeeded"]

    async def test_changes_are_appended_while_the_run_goes_on(self, cluster: Cluster, tmp_path: Path):
        async with running(cluster) as runner:
            with podrunner.journal(runner, tmp_path / "j"):
                pod = await runner.launch(workload(0))
                await until_in_thread(lambda: len(read(tmp_path / "j")) == 1)
                cluster.play(pod.name)
                await until_in_thread(lambda: [*read(tmp_path / "j").values()] == ["succeeded"])

    @pytest.mark.parametrize("half", [b"", b'{"key":"ha'])
    async def test_it_goes_on_behind_what_a_killed_writer_left(
        self, cluster: Cluster, tmp_path: Path, half: bytes
    ):
        """Or one whose disk was full."""
        path = tmp_path / "j"
        path.write_bytes(header_line("killed") + record_lines([life()]) + half)
        async with running(cluster) as runner:
            with podrunner.journal(runner, path):
                await runner.launch(workload(0))
            assert len(read(path)) == 2
            assert b"\n\n" not in path.read_bytes()
            cluster.play_all()

    async def test_what_is_being_written_as_it_is_closed_is_not_the_last_word(
        self, cluster: Cluster, tmp_path: Path, monkeypatch
    ):
        """A slow disk: the records that a worker thread still holds are older than those that closing writes."""
        path, begun, go_on = tmp_path / "slow", threading.Event(), threading.Event()
        monkeypatch.setattr(journal_view, "_EVERY_S", 0.01)
        async with running(cluster) as runner:
            journal = podrunner.journal(runner, path)
            append = journal._writer._append_unless_closed

            def slow(lines: bytes) -> None:
                begun.set()
                go_on.wait(40)
                append(lines)

            monkeypatch.setattr(journal._writer, "_append_unless_closed", slow)
            pod = await runner.launch(workload())
            await until_in_thread(begun.is_set)
            cluster.play(pod.name)
            await pod.wait(5)
            journal.close()
            go_on.set()
        assert list(read(path).values()) == ["succeeded"]

    async def test_it_ends_with_the_runner_and_delivers_nothing(self, cluster: Cluster, tmp_path: Path):
        async with running(cluster) as runner:
            journal = podrunner.journal(runner, tmp_path / "j")
            pod = await runner.launch(workload(0))
            cluster.play(pod.name)
            await until(lambda: runner.health().undelivered == 1)
            await anyio.sleep(3)
            assert runner.health().undelivered == 1
            await pod
        assert [*read(tmp_path / "j").values()] == ["succeeded"]
        journal.close()

    async def test_it_sends_no_request(self, cluster: Cluster, tmp_path: Path):
        async with running(cluster) as runner:
            pod = await runner.launch(workload(0))
            cluster.run(pod.name)
            await until(lambda: pod.status == "Running")
            before = len(cluster.requests)
            with podrunner.journal(runner, tmp_path / "j"):
                await anyio.sleep(2)
            assert len(cluster.requests) == before
            cluster.play(pod.name)

    async def test_a_disk_that_fails_costs_the_journal_only(self, cluster: Cluster, tmp_path: Path, caplog):
        folder = tmp_path / "folder"
        folder.mkdir()
        async with running(cluster) as runner:
            podrunner.journal(runner, folder / "j")
            (folder / "j").unlink()
            folder.rmdir()
            pod = await runner.launch(workload(0))
            cluster.play(pod.name)
            assert (await pod).succeeded
            await until_in_thread(lambda: "cannot be written, and is given up" in caplog.text)

    async def test_a_runner_that_is_not_open_has_none(self, cluster: Cluster, tmp_path: Path):
        async with running(cluster) as runner:
            pass
        with pytest.raises(RunnerClosedError):
            podrunner.journal(runner, tmp_path / "j")

    async def test_the_pods_in_memory_are_a_timeline_too(self, cluster: Cluster):
        async with running(cluster) as runner:
            pods = list(await runner.launch_many(workload(number) for number in range(2)))
            cluster.play(pods[0].name)
            await until(lambda: runner.health().undelivered == 1)
            chart = podrunner.timeline(runner).to_dict()
            assert chart["categories"] == {"succeeded": 1, "": 1}
            cluster.play(pods[1].name)

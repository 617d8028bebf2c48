"""Log files of finished pods, and reading them back."""

from __future__ import annotations

from pathlib import Path

import pytest
from podrunner.errors import LogError
from podrunner.logs import LocalFile, LogQuery, LogReader
from podrunner.runner import EventKind, closing
from tests.support.event_loops import asyncio_only
from tests.support.fake_server import Fault
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio


anyio_backend = asyncio_only  # files are written in threads, for which virtual time does not wait


async def test_the_log_is_in_its_file_when_the_pod_is_gone(cluster: Cluster, tmp_path):
    """G4, and no cursor is left over."""
    async with running(cluster, logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="dag/task/1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name)
        await pod.wait(30)
        await until(lambda: not runner.pods())
        path = tmp_path / "dag" / "task" / "1.log"
        await until(lambda: [it.name for it in path.parent.iterdir()] == ["1.log"])
        assert path.read_text() == "hello\n"
        document = await pod.read_log()
        assert str(document) == f"*** Reading local file: {path}\nhello\n"
        assert [line async for line in pod.logs()] == ["hello"]
        assert pod.log_path == str(path)


@pytest.mark.parametrize("is_over", [True, False])
async def test_two_logs_in_one_file_are_reported(cluster: Cluster, tmp_path, *, is_over: bool):
    """G8: unless the first is over."""
    async with running(cluster, logs={"folder": tmp_path, "follow": "all"}, on_exit="cancel") as runner:
        first = await runner.launch(workload(1, log_path="out.log"))
        cluster.run(first.name)
        await until((tmp_path / "out.log").exists)
        if is_over:
            cluster.finish(first.name)
            await first.wait(30)
            await until(lambda: not cluster.pods)
        second = await runner.launch(workload(2, log_path="out.log"))
        cluster.run(second.name)
        await until(lambda: second.log_status is not None)
        troubles = [event for event in runner.poll_events() if event.kind is EventKind.LOG_TROUBLE]
        said = f"{tmp_path / 'out.log'} has the log of pod {first.name} too: give each workload a log_path of its own"
        expected = [] if is_over else [(second.name, said)]
        assert [(event.name, event.message) for event in troubles] == expected


async def test_a_log_that_cannot_be_written_does_not_fail_the_pod(cluster: Cluster, tmp_path):
    """G8."""
    (tmp_path / "dag").write_text("in the way")
    async with running(cluster, logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="dag/1.log"))
        cluster.play(pod.name)
        assert (await pod.wait(30)).succeeded
        await until(lambda: not cluster.pods)
        assert pod.log_status is not None
        assert pod.log_status.errors


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_log_that_takes_too_long_is_a_gap(cluster: Cluster, tmp_path, *, is_deleted: bool):
    """G11: also of a pod that stays: no other runner collects the log of a pod that is reported."""
    fault = Fault(lambda request: request.path.endswith("/log"), times=1_000, delay_s=600)
    cluster.faults.append(fault)
    logs = {"folder": tmp_path, "follow": "end", "drain_timeout_s": 0.1, "tail_lines_on_failure": 0}
    async with running(cluster, logs=logs, delete_pods_on_failure=is_deleted) as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await runner.wait_all(30)
    assert (tmp_path / "1.log").read_text().startswith("*** Log gap in container base (unavailable)")


async def test_without_a_file_the_pod_is_read(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z a", "2024-05-01T10:20:30.000000002Z b"]
        assert (await pod.read_log(tail_lines=1)).lines == ("b",)


async def test_a_rerun_of_an_attempt_loses_no_line_of_the_earlier_pod(cluster: Cluster, tmp_path):
    """H2, C3: what the earlier runner did not read is read first; the lines of the next pod come after it."""
    given = workload(log_path="1.log")
    async with running(cluster, on_exit="detach", logs={"follow": "off", "folder": tmp_path}) as old:
        name = (await old.launch(given)).name
    cluster.logs[name] = ["2024-05-01T10:20:30.000000001Z of the first pod"]
    cluster.play(name, 3)
    async with running(cluster, reported_attempt="rerun", logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(given)
        assert (tmp_path / "1.log").read_text() == "of the first pod\n"
        cluster.logs[name] = ["2024-05-01T10:20:31.000000001Z of the second pod"]
        cluster.play(pod.name)
        assert (await pod.wait(30)).succeeded
        await runner.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "of the first pod\nof the second pod\n"


async def test_a_rerun_of_a_reported_attempt_writes_after_the_earlier_log(cluster: Cluster, tmp_path):
    """H2, C3: nothing is overwritten, and no line is there twice."""
    given = workload(log_path="1.log")
    async with running(cluster, logs={"folder": tmp_path}) as old:
        pod = await old.launch(given)
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z of the first pod"]
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await old.wait_all(30)
        await until(lambda: "podrunner.io/told" in str(cluster.pods))
    async with running(cluster, reported_attempt="rerun", logs={"folder": tmp_path}) as runner:
        again = await runner.launch(given)
        cluster.logs[pod.name] = ["2024-05-01T10:20:31.000000001Z of the second pod"]
        cluster.play(again.name)
        assert (await again.wait(30)).succeeded
        await runner.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "of the first pod\nof the second pod\n"


async def test_a_replayed_attempt_leaves_the_log_as_it_is(cluster: Cluster, tmp_path):
    """H2, C3."""
    given = workload(log_path="1.log")
    async with running(cluster, logs={"folder": tmp_path}) as old:
        pod = await old.launch(given)
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z a line"]
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await old.wait_all(30)
        await until(lambda: "podrunner.io/told" in str(cluster.pods))
    async with running(cluster, logs={"folder": tmp_path}) as runner:
        again = await runner.launch(given)
        assert again.replayed
        assert again.log_path == str(tmp_path / "1.log")
        await runner.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "a line\n"


async def test_a_runner_without_its_lease_leaves_the_log_to_its_successor(cluster: Cluster, tmp_path):
    """A3, G1: what it still reads, it does not write: the successor may write to the same file."""
    async with running(cluster, owner="me", logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        path = tmp_path / "1.log"
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z before"]
        cluster.run(pod.name)
        await until(lambda: path.exists() and path.read_text() == "before\n")
        lease = cluster.leases["podrunner-me"]
        taken = {**lease, "spec": {**lease["spec"], "holderIdentity": "other"}}
        cluster._keep_lease("podrunner-me", taken, 200)
        runner._engine._lease.doubt()  # it is renewed now; a short one is lost while the process is off the CPU
        await until(lambda: runner.health().lease != "held")
        cursor = path.with_name(".cursors") / "1.log.cursor"
        cursor.write_text("the successor's")
        cluster.logs[pod.name] += ["2024-05-01T10:20:31.000000001Z after"]
        await pod._tracked.collector.done.wait()
    assert path.read_text() == "before\n"
    assert cursor.read_text() == "the successor's"


async def test_a_pod_that_was_taken_over_is_collected_by_the_other_runner_alone(cluster: Cluster, tmp_path):
    """A1, G1."""
    async with running(cluster, owner="me", logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z before"]
        cluster.run(pod.name)
        await until((tmp_path / "1.log").exists)
        meta = cluster.pods["default", pod.name]["metadata"]
        labels = {**meta["labels"], "podrunner.io/owner": "other"}
        annotations = {**meta["annotations"], "podrunner.io/owner": "other"}
        cluster.change(pod.name, metadata={**meta, "labels": labels, "annotations": annotations})
        await pod._tracked.collector.done.wait()
        assert runner.health().lease == "held"


async def test_a_relative_log_folder_gives_absolute_paths(cluster: Cluster, tmp_path, monkeypatch):
    """And the log is read by them, as by the path below the folder."""
    monkeypatch.chdir(tmp_path)
    async with running(cluster, logs={"folder": "logs"}, on_exit="cancel") as runner:
        pod = await runner.launch(workload(log_path="dag/1.log"))
        assert pod.log_path == str(tmp_path / "logs" / "dag" / "1.log")
    (tmp_path / "logs" / "dag").mkdir(parents=True, exist_ok=True)
    (tmp_path / "logs" / "dag" / "1.log").write_text("hello\n")
    for folder in (Path("logs"), tmp_path / "logs"):
        for path in (pod.log_path, "dag/1.log"):
            assert (await LogReader([LocalFile(folder)]).read(LogQuery(path))).lines == ("hello",)


@pytest.mark.parametrize("path", ["/etc/hostname", "{folder}/../secret.log", "{folder}"])
async def test_an_absolute_path_elsewhere_is_refused(tmp_path, path: str):
    with pytest.raises(LogError):
        await LogReader([LocalFile(tmp_path)]).read(LogQuery(path.format(folder=tmp_path)))


async def test_without_a_log_folder_the_path_is_the_one_below_it(cluster: Cluster):
    async with running(cluster, on_exit="cancel") as runner:
        assert (await runner.launch(workload(log_path="dag/1.log"))).log_path == "dag/1.log"


async def test_a_path_that_leads_elsewhere_is_no_path(cluster: Cluster, tmp_path):
    """Of an adopted pod, whose annotation any process may have written: nothing is written there."""
    async with running(cluster, logs={"folder": tmp_path}, on_exit="cancel") as runner:
        pod = await runner.launch(workload())
        pod._tracked.log_path = "../elsewhere.log"
        assert pod.log_path is None


@pytest.mark.parametrize("is_adopted", [False, True])
async def test_a_container_that_the_status_has_forgotten_has_a_log(
    cluster: Cluster, tmp_path, *, is_adopted: bool
):
    """P4: a node that came back rejects the pod, and writes a status without containers. That it ran was seen."""
    logs = {"folder": tmp_path, "follow": "end"}
    begins = {"follow": "off"} if is_adopted else logs
    async with running(cluster, logs=begins, outcome_delivery="acknowledged") as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.run(pod.name)
        await until(lambda: pod.phase == "Running")
        cluster.change(
            pod.name, status={"phase": "Failed", "reason": "NodeAffinity", "containerStatuses": None}
        )
        assert (await pod.wait(30)).started
        await runner.wait_all(30)
    if is_adopted:
        async with running(cluster, logs=logs) as successor:
            await successor.adopt()
            await successor.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "hello\n"


async def test_a_successor_reads_on_what_took_too_long(cluster: Cluster, tmp_path):
    """G11: of a pod whose outcome is not delivered, nothing is missing when the runner closes."""
    fault = Fault(lambda request: request.path.endswith("/log"), times=1_000, delay_s=600)
    cluster.faults.append(fault)
    logs = {"folder": tmp_path, "follow": "end", "drain_timeout_s": 0.1, "tail_lines_on_failure": 0}
    async with running(cluster, logs=logs, outcome_delivery="acknowledged") as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await runner.wait_all(30)
    cluster.faults.remove(fault)
    async with running(cluster, logs=logs) as successor:
        await successor.adopt()
        await successor.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "hello\n"


async def test_a_sidecar_that_is_being_deleted_when_the_runner_closes_is_a_gap(cluster: Cluster, tmp_path):
    """G11: what it still writes no runner reads: its pod is deleted, and was reported."""
    async with running(cluster, logs={"containers": "all", "folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="1.log", sidecars=[{"name": "proxy", "image": "i"}]))
        cluster.obedient = False
        cluster.change(pod.name, spec={**cluster.pods["default", pod.name]["spec"], "nodeName": "node-1"})
        ended = {"terminated": {"exitCode": 0, "startedAt": "2024-05-01T10:20:30Z"}}
        running_now = {"running": {"startedAt": "2024-05-01T10:20:30Z"}}
        cluster.tell(pod.name, "Running", init=("proxy",), proxy=running_now, base=ended)
        await pod.wait(30)
        await until(lambda: "deletionTimestamp" in cluster.pods["default", pod.name]["metadata"])
    assert (tmp_path / "1.proxy.log").read_text().startswith("*** Log gap in container proxy (unavailable)")
    assert (tmp_path / "1.log").read_text() == ""


async def test_the_log_of_an_earlier_pod_that_is_being_deleted_when_the_runner_closes_is_a_gap(
    cluster: Cluster, tmp_path
):
    """G11: a launch of its attempt makes room; no runner collects what is not read by then."""
    async with running(cluster, outcome_delivery="acknowledged") as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await runner.wait_all(30)
    cluster.hold(pod.name, "example.org/held")
    cluster.faults.append(Fault(lambda request: request.path.endswith("/log"), times=1_000, delay_s=600))
    logs = {"folder": tmp_path, "drain_timeout_s": 0.1}
    async with running(cluster, logs=logs, reported_attempt="rerun") as successor:
        successor.submit(workload(log_path="1.log"))
        await until(lambda: "deletionTimestamp" in cluster.pods["default", pod.name]["metadata"])
    assert (tmp_path / "1.log").read_text().startswith("*** Log gap in container base (unavailable)")


async def test_a_gap_for_a_pod_that_was_not_marked_in_time_goes_when_its_log_is_read_on(
    cluster: Cluster, tmp_path, monkeypatch
):
    """G4, H1: the mark was on its way when the runner left; nobody got it, and a successor reads the log."""
    monkeypatch.setattr(closing, "_CONCLUDE_WITHIN_S", 0.1)
    reading = Fault(lambda request: request.path.endswith("/log"), times=1_000, delay_s=600)
    cluster.faults.append(reading)
    marking = cluster.fail("PATCH", "/pods/", delay_s=600, times=1_000)
    logs = {"folder": tmp_path, "follow": "end", "drain_timeout_s": 0.1, "tail_lines_on_failure": 0}
    async with running(cluster, logs=logs, on_exit="detach") as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z hello"]
        cluster.play(pod.name, 3)
        await pod.wait(30)
        await until(lambda: marking.times < 1_000)
    assert (tmp_path / "1.log").read_text().startswith("*** Log gap in container base (unavailable)")
    cluster.faults.remove(reading)
    cluster.faults.remove(marking)
    async with running(cluster, logs=logs) as successor:
        assert len(await successor.adopt()) == 1
        await successor.wait_all(30)
    assert (tmp_path / "1.log").read_text() == "hello\n"


@pytest.mark.parametrize(("first", "second"), [("one", "other"), ("one", "one"), (None, None)])
async def test_a_log_whose_pod_goes_while_no_runner_is_there_gets_its_gap(
    cluster: Cluster, tmp_path, first: str | None, second: str | None
):
    """G4: the runner was detached, and gave its Lease back; the next one finds no pod."""
    path = tmp_path / "dag" / "1.log"
    async with running(cluster, owner=first, on_exit="detach", logs={"folder": tmp_path}) as runner:
        pods = [await runner.launch(workload(number, log_path=f"dag/{number}.log")) for number in (1, 2)]
        for pod in pods:
            cluster.logs[pod.name] = ["2024-05-01T10:20:30.000000001Z before"]
            cluster.run(pod.name)
        await until(lambda: all((tmp_path / f"dag/{it}.log").exists() for it in (1, 2)))
        await until(lambda: path.read_text() == "before\n")
    cluster.remove(pods[0].name)
    async with running(cluster, owner=second, on_exit="detach", logs={"folder": tmp_path}) as successor:
        await until(lambda: len(path.read_text().splitlines()) == 2)
        assert len(await successor.adopt()) == 1
        cluster.logs[pods[1].name] += ["2024-05-01T10:20:31.000000001Z after"]
        cluster.finish(pods[1].name)
        await successor.wait_all(30)
    assert (
        path.read_text().splitlines()[1].startswith("*** Log gap in container base (unavailable), after 2024")
    )
    assert (tmp_path / "dag" / "2.log").read_text() == "before\nafter\n"
    assert not (tmp_path / "dag" / ".cursors" / "1.log.cursor").exists()


async def test_without_an_unread_log_no_lease_is_left(cluster: Cluster, tmp_path):
    """H10."""
    async with running(cluster, on_exit="detach", logs={"folder": tmp_path}) as runner:
        pod = await runner.launch(workload(log_path="1.log"))
        cluster.play(pod.name)
        await pod.wait(30)
        await runner.wait_all(30)
    assert not cluster.leases

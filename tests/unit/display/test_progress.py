"""What the progress counts, of which no request and no delivery comes."""

from __future__ import annotations

import anyio
import podrunner
import pytest
from podrunner.errors import CallFromEventLoopError, RunnerClosedError
from podrunner.runner import AsyncPodRunner, ProgressCounts, RetryPolicy
from podrunner.runner.progress import eta_s
from tests.unit.runner.harness import Cluster, configured, running, until, workload


@pytest.mark.anyio
class TestCounting:
    async def test_each_pod_is_counted_where_it_stands(self, cluster: Cluster):
        async with running(cluster, delete_pods_on_failure=True) as runner:
            progress = podrunner.progress(runner, total=10)
            pods = list(await runner.launch_many(workload(number) for number in range(6)))
            cluster.play(pods[0].name)
            cluster.play(pods[1].name, exit_code=1)
            cluster.run(pods[2].name)
            cluster.wait_for_image(pods[3].name)
            cluster.wait_for_image(pods[4].name)
            await until(lambda: runner.health().undelivered == 2 and pods[4].waiting)
            await anyio.sleep(1)
            counts = progress.counts()
            assert (counts.total, counts.done, counts.failed) == (10, 2, 1)
            assert (counts.running, counts.waiting, counts.waiting_for) == (1, 3, "ImagePullBackOff")

    async def test_it_sends_no_request_and_delivers_nothing(self, cluster: Cluster):
        async with running(cluster) as runner:
            await runner.launch_many(workload(number) for number in range(3))
            cluster.play_all()
            await runner.wait_all(20)
            before = len(cluster.requests)
            progress = podrunner.progress(runner)
            assert progress.counts().done == 3
            await anyio.sleep(1)
            assert runner.health().undelivered == 3
            assert len(cluster.requests) == before

    async def test_of_many_some_are_asked_why_they_wait(self, cluster: Cluster, monkeypatch):
        """All are counted."""
        monkeypatch.setattr("podrunner.runner.progress._ASKED_AT_MOST", 50)
        async with running(cluster) as runner:
            pods = list(await runner.launch_many(workload(number) for number in range(120)))
            for pod in pods[:100]:
                cluster.wait_for_image(pod.name)
            cluster.run(pods[-1].name)
            await until(lambda: pods[-1].status == "Running")
            counts = podrunner.progress(runner).counts()
            assert (counts.running, counts.waiting) == (1, 119)
            assert counts.waiting_for == "ImagePullBackOff"

    async def test_submissions_wait_too(self, cluster: Cluster):
        async with running(cluster, max_active_pods=1, on_exit="cancel") as runner:
            progress = podrunner.progress(runner)
            for number in range(4):
                runner.submit(workload(number))
            await until(lambda: cluster.pods)
            await anyio.sleep(1)
            counts = progress.counts()
            assert (counts.total, counts.done, counts.waiting, counts.waiting_for) == (4, 0, 4, "queued")

    async def test_of_a_run_only_the_last_try_is_done(self, cluster: Cluster):
        async with running(cluster, on_exit="cancel") as runner:
            progress = podrunner.progress(runner)
            patient = RetryPolicy(attempts=2, wait=60, retry_if=lambda _: True)
            run = runner.run(workload(), retry=patient)
            await until(lambda: run.pod and run.pod.uid)
            cluster.play(run.pods[0].name, exit_code=1)
            await until(lambda: run.pods[0].done)
            await anyio.sleep(1)
            counts = progress.counts()
            assert (counts.total, counts.done, counts.waiting, counts.waiting_for) == (1, 0, 1, "next try")
            await until(lambda: len(run.pods) == 2 and run.pods[1].uid, within_s=200, every_s=1)
            cluster.play(run.pods[1].name)
            await run
            assert (progress.counts().done, progress.counts().failed) == (1, 0)

    async def test_the_time_left_follows_from_what_was_done(self, cluster: Cluster):
        """What was over before is no sign of how fast it goes."""
        async with running(cluster) as runner:
            await runner.launch(workload(0))
            cluster.play_all()
            await runner.wait_all(20)
            progress = podrunner.progress(runner, total=3)
            assert progress.counts().eta_s is None
            pod = await runner.launch(workload(1))
            await anyio.sleep(10)
            cluster.play(pod.name)
            await pod
            counts = progress.counts()
            assert counts.eta_s == pytest.approx(10, abs=1)
            assert str(counts).startswith("2/3 done, 0 failed, 0 running, 0 waiting, 0:")

    async def test_the_counts_of_a_closed_runner_stay(self, cluster: Cluster):
        async with running(cluster, on_exit="cancel") as runner:
            progress = podrunner.progress(runner)
            await runner.launch(workload())
        assert (progress.counts().done, progress.counts().failed) == (1, 1)
        with pytest.raises(RunnerClosedError):
            podrunner.progress(runner)

    async def test_once_closed_it_counts_no_more(self, cluster: Cluster):
        async with running(cluster) as runner:
            with podrunner.progress(runner) as progress:
                pass
            await runner.launch(workload())
            cluster.play_all()
            await runner.wait_all(20)
            assert progress.counts().done == 0
            assert not runner._bus._observers


def test_the_blocking_face_counts_alike(cluster, opened, act):
    with opened() as runner:
        progress = podrunner.progress(runner)
        pod = runner.launch(workload())
        assert "0/1 done, 0 failed, 0 running, 1 waiting (Pending)" in repr(progress)
        act(runner, cluster.play, pod.name)
        pod.wait(40)
        assert progress.counts().done == 1
    assert progress.counts().done == 1


@pytest.mark.anyio
async def test_the_blocking_face_in_an_event_loop_says_what_to_use():
    with pytest.raises(CallFromEventLoopError, match="AsyncPodRunner"):
        podrunner.progress(podrunner.PodRunner(configured()))


def test_a_runner_that_is_not_open_says_so():
    for runner in (AsyncPodRunner(configured()), podrunner.PodRunner(configured())):
        with pytest.raises(RunnerClosedError):
            podrunner.progress(runner)


@pytest.mark.parametrize(
    ("done", "left", "expected"), [(0, 0, 0.0), (5, 0, 0.0), (0, 5, None), (5, 10, 20.0), (10, 5, 5.0)]
)
def test_the_time_left(done, left, expected):
    assert eta_s(done=done, left=left, elapsed_s=10) == expected


def test_counts_in_words():
    counts = ProgressCounts(
        total=500,
        done=12,
        failed=3,
        running=40,
        waiting=7,
        waiting_for="Unschedulable",
        elapsed_s=1,
        eta_s=4_000,
    )
    assert str(counts) == "12/500 done, 3 failed, 40 running, 7 waiting (Unschedulable), 1:06:40 left"

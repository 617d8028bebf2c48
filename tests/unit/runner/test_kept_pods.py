"""Pods that are kept after their end are swept by age and number; adoption without being asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.ownership import RetainedPod, beyond_limits
from podrunner.runner import AsyncPodRunner
from tests.unit.runner.harness import Cluster, kinds, read_events, running, until, workload

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AGES = st.lists(st.integers(0, 1000), max_size=20)


def kept(number: int, age_s: int) -> RetainedPod:
    return RetainedPod(NOW - timedelta(seconds=age_s), "default", f"p{number}", f"uid-{number}", "me")


@given(AGES, st.none() | st.integers(0, 1000), st.none() | st.integers(0, 20))
def test_what_is_left_is_within_both_limits_and_nothing_younger_went(ages, max_age_s, max_count):
    """A4."""
    pods = [kept(number, age) for number, age in enumerate(ages)]
    swept = beyond_limits(pods, now=NOW, max_age_s=max_age_s, max_count=max_count)
    left = [pod for pod in pods if pod not in swept]
    assert swept == sorted(swept), "the oldest first"
    assert max_count is None or len(left) <= max_count
    assert max_age_s is None or all((NOW - pod.ended_at).total_seconds() <= max_age_s for pod in left)
    assert not (swept and left) or max(swept) <= min(left), "never a younger one before an older"
    needed = max(0, len(pods) - max_count) if max_count is not None else 0
    too_old = sum(1 for age in ages if max_age_s is not None and age > max_age_s)
    assert len(swept) == max(needed, too_old), "no more than the limits ask for"


async def fail_pods(cluster: Cluster, runner: AsyncPodRunner, count: int, *, first: int = 0) -> list[str]:
    """So many pods that fail, one a second, reported and kept."""
    names = []
    for number in range(first, first + count):
        pod = await runner.launch(workload(number))
        cluster.play(pod.name, exit_code=1)
        await pod.wait(5)
        names.append(pod.name)
        await anyio.sleep(1)
    return names


def there(cluster: Cluster) -> list[str]:
    return [name for _, name in cluster.pods]


pytestmark = pytest.mark.anyio
in_virtual_time = pytest.mark.parametrize(
    "anyio_backend", [pytest.param("trio", id="virtual")], indirect=True
)


@in_virtual_time
async def test_more_kept_pods_than_the_limit_are_swept_the_oldest_first(cluster: Cluster):
    """A4."""
    async with running(cluster, kept_pods_max_count=2, kept_pods_sweep_every_s=60) as runner:
        names = await fail_pods(cluster, runner, 4)
        assert there(cluster) == names
        await anyio.sleep(70)
        assert there(cluster) == names[2:]
        assert [pod.name for pod in runner.pods()] == names[2:]
        assert kinds(runner).count("deleted") == 2


@in_virtual_time
async def test_the_pods_of_a_runner_that_is_gone_are_swept_too(cluster: Cluster):
    """A4: its owner reported it and is gone."""
    async with running(cluster, owner="gone") as runner:
        await fail_pods(cluster, runner, 2)
    async with running(cluster, kept_pods_max_count=1, kept_pods_sweep_every_s=60) as runner:
        names = await fail_pods(cluster, runner, 1, first=9)
        await anyio.sleep(70)
        assert there(cluster) == names


@in_virtual_time
async def test_a_living_runners_kept_pods_are_its_own_business(cluster: Cluster):
    """A3."""
    async with running(cluster, owner="other") as other:
        names = await fail_pods(cluster, other, 2)
        async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10):
            await anyio.sleep(30)
            assert there(cluster) == names


@in_virtual_time
async def test_what_was_not_reported_is_never_swept(cluster: Cluster):
    """Promise 2: its outcome was not reported yet."""
    async with running(cluster, owner="gone") as runner:
        await runner.launch(workload())
    cluster.play_all(exit_code=1)
    async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10) as runner:
        await anyio.sleep(30)
        assert len(cluster.pods) == 1
        (pod,) = await runner.adopt()
        assert (await pod.wait(5)).exit_code == 1
        await anyio.sleep(30)
        assert not cluster.pods


@in_virtual_time
async def test_what_runs_is_never_swept(cluster: Cluster):
    """A4: whatever the mark says."""
    async with running(cluster, owner="gone") as runner:
        pod = await runner.launch(workload())
    cluster.run(pod.name)
    cluster.change(pod.name, metadata={"annotations": {"podrunner.io/told": "failed"}})
    async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10):
        await anyio.sleep(30)
        assert there(cluster) == [pod.name]


@in_virtual_time
async def test_foreign_pods_and_other_scopes_are_left_alone(cluster: Cluster):
    """W4."""
    labels = {"app.kubernetes.io/managed-by": "podrunner", "podrunner.io/scope": "default"}
    reported = {"podrunner.io/told": "failed"}
    foreign = cluster.put("foreign", labels=labels, status={"phase": "Failed"})
    cluster.change("foreign", metadata={"annotations": reported})
    async with running(cluster, scope="other") as other:
        await fail_pods(cluster, other, 1)
    async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10):
        await anyio.sleep(30)
        assert len(cluster.pods) == 2
        assert foreign["metadata"]["name"] in there(cluster)


@in_virtual_time
async def test_a_pod_of_the_same_name_that_came_since_is_not_deleted(cluster: Cluster):
    """A4: the UID is a condition of the deletion."""
    async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10) as runner:
        (name,) = await fail_pods(cluster, runner, 1)
        asked = cluster.fail("DELETE", delay_s=5)
        await until(lambda: not asked.times, within_s=30)
        cluster.remove(name)
        cluster.put(name)
        await anyio.sleep(30)
        assert there(cluster) == [name]


@in_virtual_time
async def test_a_kept_pod_whose_log_is_being_read_is_left_until_that_is_over(cluster: Cluster):
    """G4."""
    async with running(
        cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10, logs={"drain_timeout_s": 1}
    ) as runner:
        (name,) = await fail_pods(cluster, runner, 1)
        (pod,) = runner.pods()
        pod._tracked.begin_reading()
        await anyio.sleep(30)
        assert there(cluster) == [name]
        pod._tracked.end_reading()
        await anyio.sleep(30)
        assert not cluster.pods


@in_virtual_time
async def test_a_busy_server_holds_the_sweep_up_and_no_more(
    cluster: Cluster, caplog: pytest.LogCaptureFixture
):
    """A2, L7: a list, a deletion that are refused for good: the next sweep comes."""
    async with running(cluster, kept_pods_max_count=0, kept_pods_sweep_every_s=10) as runner:
        await fail_pods(cluster, runner, 2)
        cluster.fail("DELETE", status=403, body=b"{}")
        cluster.fail("GET", "/pods?", status=403, body=b"{}")
        await until(lambda: not cluster.pods, within_s=60)
        assert "was not swept" in caplog.text
        assert "sweep of kept pods failed" in caplog.text


@in_virtual_time
async def test_without_limits_nothing_is_listed(cluster: Cluster):
    """The requests per pod stay what they were."""
    async with running(cluster) as runner:
        await fail_pods(cluster, runner, 1)
        before = cluster.count("GET", "/pods?")
        await anyio.sleep(3000)
        assert cluster.count("GET", "/pods?labelSelector=app.kubernetes.io%2Fmanaged-by") == 0
        assert cluster.count("GET", "/pods?") >= before


@in_virtual_time
async def test_the_pods_of_a_runner_that_died_are_adopted_without_being_asked(cluster: Cluster):
    """A5: events report it."""
    async with running(cluster, adopt_every_s=30) as runner:
        async with running(cluster, owner="dies") as dying:
            pod = await dying.launch(workload())
        await anyio.sleep(40)
        assert kinds(runner) == ["adopted"]
        cluster.play(pod.name)
        await until(lambda: runner.health().undelivered)
        assert kinds(runner) == ["finished"]
        await until(lambda: read_events(runner) and not cluster.pods)

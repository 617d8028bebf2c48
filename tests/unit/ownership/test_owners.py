"""Whether the owner of a pod lives: a Lease that still counts says nothing until it is over or renewed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import anyio
import pytest
from podrunner.config import RetrySettings
from podrunner.kube import RequestRetry
from podrunner.ownership import OwnerAlive, OwnerGone, Owners, OwnerUnknown, ScopeReader
from podrunner.ownership.owners import LookAgain, judge_owner
from tests.support.event_loops import virtual_time
from tests.support.fake_server import EPOCH
from tests.unit.runner.harness import Cluster

anyio_backend = virtual_time
NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def lease(
    *, renewed_s_ago: float = 10, holder: str | None = "old_1", now: dt.datetime = NOW
) -> dict[str, Any]:
    renewed = now - dt.timedelta(seconds=renewed_s_ago)
    spec = {
        "holderIdentity": holder,
        "leaseDurationSeconds": 60,
        "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
    }
    return {"metadata": {"name": "podrunner-old", "resourceVersion": "1"}, "spec": spec}


ENDS = NOW + dt.timedelta(seconds=60)


@pytest.mark.parametrize(
    ("first", "now", "expected"),
    [
        (None, None, OwnerGone()),
        (lease(), None, OwnerGone()),
        (lease(), lease(holder=""), OwnerGone()),
        (lease(renewed_s_ago=65), lease(renewed_s_ago=65), OwnerGone()),
        (lease(renewed_s_ago=70), lease(renewed_s_ago=65, holder="old_2"), OwnerGone()),
        (lease(), lease(), LookAgain(1.0)),
        (lease(renewed_s_ago=64.5), lease(renewed_s_ago=64.5), LookAgain(0.5)),
        (lease(renewed_s_ago=64.999), lease(renewed_s_ago=64.999), LookAgain(0.05)),
        (lease(), lease(renewed_s_ago=0), OwnerAlive(ENDS)),
        (lease(), lease(holder="old_2"), OwnerAlive(ENDS - dt.timedelta(seconds=10))),
        (None, lease(renewed_s_ago=0), OwnerAlive(ENDS)),
    ],
    ids=[
        "never was",
        "given back and removed",
        "given back",
        "over",
        "over, of the next holder",
        "still counts",
        "over soon",
        "over at once",
        "renewed",
        "of the next holder",
        "came anew",
    ],
)
def test_the_verdict(first: Any, now: Any, expected: Any):
    """H2, A3."""
    assert judge_owner(first, now, now=NOW) == expected


def virtual_now() -> dt.datetime:
    return EPOCH + dt.timedelta(seconds=anyio.current_time())


def owners(cluster: Cluster, **retry: Any) -> Owners:
    policy = RequestRetry.of(RetrySettings(**{"attempts": 3, "initial_s": 0.1, "max_s": 0.1, **retry}))
    return Owners(
        ScopeReader(cluster.client(), scope="s", lease_namespace="default", policy=policy, now=virtual_now)
    )


def hold(cluster: Cluster, *, renewed_s_ago: float = 0) -> None:
    cluster.leases["podrunner-old"] = lease(renewed_s_ago=renewed_s_ago, now=virtual_now())


@pytest.mark.anyio
class TestSettling:
    async def test_an_owner_without_a_lease_is_gone_at_once(self):
        cluster = Cluster()
        assert await owners(cluster).settle("old") == OwnerGone()
        assert cluster.count("GET", "/leases") == 1

    async def test_a_lease_that_is_not_renewed_is_waited_out(self):
        """H2: one look a second, until its time and the clocks' difference are over."""
        cluster = Cluster()
        hold(cluster)
        began = anyio.current_time()
        assert await owners(cluster).settle("old") == OwnerGone()
        assert anyio.current_time() - began == pytest.approx(65, abs=0.2)
        assert 60 <= cluster.count("GET", "/leases") <= 70

    async def test_a_lease_that_is_renewed_is_a_living_owners(self):
        """H2: seen within a second."""
        cluster = Cluster()
        hold(cluster, renewed_s_ago=50)
        verdicts: list[Any] = []

        async def settle() -> None:
            verdicts.append(await owners(cluster).settle("old"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(settle)
            await anyio.sleep(5.5)
            assert verdicts == []
            hold(cluster)
            ends = virtual_now() + dt.timedelta(seconds=60)
            await anyio.sleep(1)
        assert verdicts == [OwnerAlive(ends)]

    async def test_a_busy_server_is_asked_again(self):
        """A2."""
        cluster = Cluster()
        cluster.fail("GET", "/leases", times=2, status=503)
        assert await owners(cluster).settle("old") == OwnerGone()

    @pytest.mark.parametrize("status", [403, 503])
    async def test_without_an_answer_no_owner_is_gone(self, status: int):
        """A2."""
        cluster = Cluster()
        cluster.fail("GET", "/leases", times=9, status=status)
        at_work = owners(cluster)
        verdict = await at_work.settle("old")
        assert isinstance(verdict, OwnerUnknown)
        assert str(status) in str(verdict.error)
        assert at_work.known("old") is None

    async def test_that_an_owner_is_gone_is_known_for_a_moment(self):
        """An owner may come back under its name."""
        cluster = Cluster()
        at_work = owners(cluster)
        assert at_work.known("old") is None
        await at_work.settle("old")
        assert at_work.known("old") == OwnerGone()
        assert at_work.known("other") is None
        await anyio.sleep(1.5)
        assert at_work.known("old") is None

    async def test_that_an_owner_lives_is_not_remembered(self):
        """It may end at any moment."""
        cluster = Cluster()
        hold(cluster, renewed_s_ago=50)
        at_work = owners(cluster)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(at_work.settle, "old")
            await anyio.sleep(2)
            hold(cluster)
        assert at_work.known("old") is None

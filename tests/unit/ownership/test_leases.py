"""Leases: which runners are alive, decided on a given time; and taking a name."""

from __future__ import annotations

import datetime as dt
from typing import Any

import anyio
import anyio.to_thread
import pytest
from podrunner.errors import ForbiddenError, OwnershipError, TransportError
from podrunner.ownership import LeaseKeeper, LeaseState, lease_name, lease_state, leases, new_owner
from podrunner.ownership.leases import is_given_back
from tests.support.event_loops import virtual_time
from tests.support.waiting import until
from tests.unit.runner.harness import Cluster

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)


def lease(
    *, holder: str | None = "me", renewed_s_ago: float | None = 10, duration_s: int = 60
) -> dict[str, Any]:
    renewed = NOW - dt.timedelta(seconds=renewed_s_ago or 0)
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration_s}
    if renewed_s_ago is not None:
        spec["renewTime"] = renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {"metadata": {"resourceVersion": "1"}, "spec": spec}


@pytest.mark.parametrize(
    ("given", "state"),
    [
        (None, LeaseState.ABSENT),
        (lease(), LeaseState.HELD),
        (lease(renewed_s_ago=60), LeaseState.HELD),
        (lease(renewed_s_ago=64), LeaseState.HELD),
        (lease(renewed_s_ago=65), LeaseState.EXPIRED),
        (lease(renewed_s_ago=-30), LeaseState.HELD),
        (lease(holder=""), LeaseState.RELEASED),
        (lease(holder=None), LeaseState.RELEASED),
        (lease(renewed_s_ago=None), LeaseState.EXPIRED),
        ({"spec": {"holderIdentity": "me", "renewTime": "yesterday"}}, LeaseState.EXPIRED),
        (
            {"spec": {"holderIdentity": "me", "renewTime": "2026-01-01T12:00:00", "leaseDurationSeconds": 9}},
            LeaseState.HELD,
        ),
    ],
)
def test_states(given, state):
    """A3: clear expiry, with the clocks' difference on the owner's side."""
    assert lease_state(given, now=NOW) is state


@pytest.mark.parametrize(
    "owner",
    [
        "me",
        "Scheduler_1.example",
        "日本",
        pytest.param("x" * 300, id="300-letters"),
        "-",
        pytest.param(new_owner(), id="new-owner"),
    ],
)
def test_a_leases_name_is_valid_for_every_owner(owner):
    name = lease_name(owner)
    assert len(name) <= 253
    assert name.isascii()
    assert name == name.lower()
    assert name[-1].isalnum()
    assert all(char.isalnum() or char == "-" for char in name)


class Clock:
    """The time of day, which follows the event loop's."""

    def __call__(self) -> dt.datetime:
        return NOW + dt.timedelta(seconds=anyio.current_time())


def keeper(cluster: Cluster, owner: str = "me") -> LeaseKeeper:
    return LeaseKeeper(cluster.client(), "default", owner=owner, scope="s", duration_s=60, now=Clock())


anyio_backend = virtual_time


@pytest.fixture
async def cluster() -> Cluster:
    return Cluster()


@pytest.mark.anyio
async def test_a_lease_is_taken_and_given_back(cluster):
    lease = keeper(cluster)
    await lease.acquire()
    spec = cluster.leases["podrunner-me"]["spec"]
    assert spec["holderIdentity"].startswith("me_")
    assert spec["leaseDurationSeconds"] == 60
    await lease.release()
    assert cluster.leases == {}
    await lease.release()


@pytest.mark.anyio
async def test_a_living_runner_of_that_name_is_not_displaced(cluster):
    """A1: two processes with one name."""
    first = keeper(cluster)
    await first.acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(first.keep)
        with pytest.raises(OwnershipError, match="another runner is called 'me'"):
            await keeper(cluster).acquire()
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_dead_runners_name_is_waited_for(cluster):
    """A5: a restart under the same name."""
    await keeper(cluster).acquire()
    began = anyio.current_time()
    await keeper(cluster).acquire()
    assert 60 <= anyio.current_time() - began <= 70


@pytest.mark.anyio
async def test_an_expired_lease_is_taken_at_once(cluster):
    await keeper(cluster).acquire()
    await anyio.sleep(3600)
    began = anyio.current_time()
    await keeper(cluster).acquire()
    assert anyio.current_time() == began


@pytest.mark.anyio
async def test_a_lease_that_goes_while_it_is_looked_at_is_made(cluster):
    await keeper(cluster).acquire()
    async with anyio.create_task_group() as group:
        group.start_soon(keeper(cluster).acquire)
        await anyio.sleep(0.5)
        cluster.leases.clear()
    assert "podrunner-me" in cluster.leases


@pytest.mark.anyio
async def test_of_two_that_wait_one_gets_it(cluster):
    """A1."""
    await keeper(cluster).acquire()
    await anyio.sleep(3600)
    results = []

    async def take() -> None:
        try:
            await keeper(cluster).acquire()
        except OwnershipError:
            results.append("lost")
        else:
            results.append("won")

    async with anyio.create_task_group() as group:
        group.start_soon(take)
        group.start_soon(take)
    assert sorted(results) == ["lost", "won"]


@pytest.mark.anyio
async def test_no_right_to_leases_is_reported(cluster):
    class Refusing(Cluster):
        def _lease(self, request):
            from tests.support.fake_server import _status

            return _status(403, "Forbidden", "leases.coordination.k8s.io is forbidden")

    with pytest.raises(ForbiddenError, match="leases"):
        await keeper(Refusing()).acquire()


@pytest.mark.anyio
async def test_a_lease_that_cannot_be_given_back_runs_out(cluster):
    lease = keeper(cluster)
    await lease.acquire()
    cluster._lease = lambda request: (_ for _ in ()).throw(AssertionError)
    from podrunner.errors import TransportError

    async def refuse(request):
        raise TransportError("no route")

    cluster.request = refuse
    await lease.release()


@pytest.mark.anyio
async def test_a_runner_that_was_stopped_past_its_lease_does_not_give_back_anothers(cluster):
    """A3: a successor of its name took it, and its pods would be adopted."""
    lease = keeper(cluster)
    await lease.acquire()
    await anyio.sleep(3600)
    successor = keeper(cluster)
    await successor.acquire()
    await lease.release()
    assert cluster.leases[lease.name]["spec"]["holderIdentity"] == successor._holder


@pytest.mark.anyio
async def test_a_lease_is_given_back_though_the_answer_to_its_renewal_was_lost(cluster):
    lease = keeper(cluster)
    await lease.acquire()
    cluster.fail("PUT", "/leases", lose_reply=True)
    with anyio.move_on_after(21):
        await lease.keep()
    await lease.release()
    assert not cluster.leases


@pytest.mark.anyio
async def test_a_lease_whose_answer_was_lost_is_ours(cluster):
    """A3: taking it again is no fight with ourselves."""
    lease = keeper(cluster)
    cluster.fail("POST", "/leases", lose_reply=True)
    with pytest.raises(TransportError):
        await lease.acquire()
    began = anyio.current_time()
    await lease.acquire()
    assert anyio.current_time() == began
    assert lease.is_held()


@pytest.mark.anyio
async def test_a_runner_that_was_stopped_past_its_lease_is_no_owner_and_renews_nothing(cluster):
    """A3: by its own clocks, before the server is asked; a stop of the process is a long silence of its loop."""
    reported: list[str] = []
    lease = keeper(cluster)
    lease.guard(reported.append)
    await lease.acquire()
    await anyio.sleep(59)
    assert lease.is_held()
    await anyio.sleep(2)
    assert not lease.is_held()
    assert not lease.is_held()
    assert reported == ["not renewed for 61 s"]
    await lease.keep()
    assert cluster.count("PUT") == 0
    assert lease_state(cluster.leases["podrunner-me"], now=Clock()()) is LeaseState.HELD, "others wait longer"
    await lease.release()
    assert cluster.leases


@pytest.mark.anyio
async def test_a_machine_that_slept_is_known_by_the_time_of_day(cluster):
    """A3: the loop's clock may stand still while a machine sleeps."""
    slept = dt.timedelta(0)
    lease = LeaseKeeper(
        cluster.client(), "default", owner="me", scope="s", duration_s=60, now=lambda: Clock()() + slept
    )
    await lease.acquire()
    assert lease.is_held()
    slept = dt.timedelta(hours=1)
    assert not lease.is_held()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("fault", "requests", "silence_s"),
    [({"lose_reply": True}, (1, 1), 6), ({"status": 500}, (2, 1), 1)],
    ids=["done", "not done"],
)
async def test_a_renewal_without_an_answer_is_looked_at_and_sent_again_if_it_was_not_done(
    cluster, fault, requests, silence_s
):
    """A3: it counts from when it was sent."""
    lease = keeper(cluster)
    await lease.acquire()
    cluster.fail("PUT", "/leases", **fault)
    async with anyio.create_task_group() as group:
        group.start_soon(lease.keep)
        await anyio.sleep(26)
        assert (cluster.count("PUT"), cluster.count("GET")) == requests
        assert lease._silence_s() == silence_s
        await anyio.sleep(600)
        assert cluster.count("GET") == 1
        assert lease.is_held()
        group.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_thread_knows_that_the_lease_is_over_before_the_event_loop_has_run(cluster, monkeypatch):
    """H4: a process that was stopped may wake in a worker thread, which must not write; it asks the monotonic clock."""
    reasons: list[str] = []
    lease = LeaseKeeper(cluster.client(), "default", owner="me", scope="s", duration_s=60, now=lambda: NOW)
    lease.guard(reasons.append)
    await lease.acquire()
    assert lease.has_time_left()
    woken = leases.time.monotonic() + 61
    monkeypatch.setattr("podrunner.ownership.leases.time.monotonic", lambda: woken)
    assert not await anyio.to_thread.run_sync(lease.has_time_left)
    assert reasons == [], "the loss is noted in the event loop"
    assert not lease.is_held()
    assert len(reasons) == 1


@pytest.mark.anyio
async def test_a_lease_that_leaves_logs_stays_without_a_holder(cluster):
    """G4: it shows the next runner whose cursor files they are; also that of the same name."""
    lease = keeper(cluster)
    await lease.acquire()
    lease.guard(lambda _: None, leaves_logs=lambda: True)
    await lease.release()
    await lease.release()
    left = cluster.leases["podrunner-me"]
    assert is_given_back(left)
    assert lease_state(left, now=NOW) is LeaseState.RELEASED
    successor = keeper(cluster)
    await successor.acquire()
    assert (successor.is_inherited, successor.uid) == (True, left["metadata"]["uid"])
    assert not lease.is_inherited
    await successor.release()
    assert not cluster.leases


@pytest.mark.anyio
async def test_a_lease_that_is_removed_while_it_is_taken_over_is_made_anew(cluster):
    """H10: by a runner that finds that its owner gave it back."""
    lease = keeper(cluster)
    await lease.acquire()
    lease.guard(lambda _: None, leaves_logs=lambda: True)
    await lease.release()
    successor = keeper(cluster)
    slow = cluster.fail("PUT", "/leases", delay_s=1.0)
    async with anyio.create_task_group() as group:
        group.start_soon(successor.acquire)
        await until(lambda: not slow.times)
        cluster.leases.clear()
    assert not successor.is_inherited
    assert cluster.leases["podrunner-me"]["spec"]["holderIdentity"] == successor._holder

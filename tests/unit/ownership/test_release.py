"""Pods of runners that will never come back lose their finalizer; those of living ones keep it."""

from __future__ import annotations

import datetime as dt
import json
from contextlib import aclosing
from typing import Any

import pytest
from podrunner.builder import with_ownership
from podrunner.builder.labels import OUTCOME_FINALIZER, OWNER
from podrunner.config import RetrySettings
from podrunner.errors import ForbiddenError
from podrunner.kube.retry import RequestRetry
from podrunner.ownership import HeldPod, LeaseState, PodReleaser, lease_name
from podrunner.workload import WorkloadKey
from tests.support.event_loops import both_in_virtual_time
from tests.support.fake_server import _status
from tests.unit.runner.harness import Cluster

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
MINE = "example.com/mine"
QUICK = RequestRetry.of(RetrySettings(attempts=3, initial_s=0.001, max_s=0.002))


class Leases(Cluster):
    """A cluster whose Leases are in one namespace."""

    where = "leases"

    def _lease(self, request):
        if f"/namespaces/{self.where}/" not in request.path:
            return _status(404, "NotFound", "leases not found")
        return super()._lease(request)


@pytest.fixture
async def cluster() -> Leases:
    return Leases()


def hold(
    cluster: Leases, name: str, *, owner: str = "gone", finalizers=(OUTCOME_FINALIZER,), **labels: str
) -> None:
    """A pod of podrunner."""
    pod = {
        "metadata": {"name": name, "labels": labels, "finalizers": list(finalizers)},
        "spec": {"containers": [{"name": "base"}]},
    }
    cluster.put(name, **with_ownership(pod, owner=owner, scope="any", key=WorkloadKey({"name": name})))


def lease(cluster: Leases, owner: str, *, renewed_s_ago: float = 0, holder: str = "x") -> None:
    renewed = (NOW - dt.timedelta(seconds=renewed_s_ago)).isoformat()
    spec = {"holderIdentity": holder, "renewTime": renewed, "leaseDurationSeconds": 60}
    cluster.leases[lease_name(owner)] = {"metadata": {"resourceVersion": "1"}, "spec": spec}


def releaser(cluster: Leases, **changes: Any) -> PodReleaser:
    options = {"lease_namespace": "leases", "policy": QUICK, "now": lambda: NOW, **changes}
    return PodReleaser(cluster.client(), **options)


async def found(cluster: Leases, *, selector: str = "", **changes: Any) -> list[HeldPod]:
    async with aclosing(releaser(cluster, **changes).held([None], label_selector=selector)) as pods:
        return [pod async for pod in pods]


def held_names(cluster: Leases) -> list[str]:
    return sorted(
        pod["metadata"]["name"]
        for pod in cluster.pods.values()
        if OUTCOME_FINALIZER in pod["metadata"].get("finalizers", ())
    )


def names(pods: list[HeldPod]) -> list[str]:
    return [pod.pod.metadata.name for pod in pods]


async def test_held_pods_are_found_with_the_state_of_their_owners_leases(cluster):
    lease(cluster, "alive")
    lease(cluster, "late", renewed_s_ago=66)
    lease(cluster, "left", holder="")
    for owner in ("alive", "late", "left", "gone"):
        hold(cluster, owner, owner=owner)
    hold(cluster, "free", finalizers=())
    cluster.put("others", metadata={"name": "others", "labels": {}, "finalizers": [OUTCOME_FINALIZER]})
    assert {
        pod.pod.metadata.name: (pod.owner, pod.lease, pod.is_abandoned) for pod in await found(cluster)
    } == {
        "alive": ("alive", LeaseState.HELD, False),
        "late": ("late", LeaseState.EXPIRED, True),
        "left": ("left", LeaseState.RELEASED, True),
        "gone": ("gone", LeaseState.ABSENT, True),
    }


async def test_a_selector_chooses_among_podrunners_own(cluster):
    hold(cluster, "a", team="x")
    hold(cluster, "b", team="y")
    cluster.put("c", metadata={"name": "c", "labels": {"team": "x"}, "finalizers": [OUTCOME_FINALIZER]})
    assert names(await found(cluster, selector="team=x")) == ["a"]


@pytest.mark.parametrize("where", ["leases", "default"])
async def test_a_lease_in_the_pods_namespace_counts_too(cluster, where):
    cluster.where = where
    lease(cluster, "alive")
    hold(cluster, "p", owner="alive")
    (pod,) = await found(cluster)
    assert not pod.is_abandoned


async def test_a_pod_that_does_not_name_its_owner_is_abandoned(cluster):
    hold(cluster, "p")
    await cluster.client().patch_pod("default", "p", {"metadata": {"annotations": {OWNER: None}}})
    assert [(pod.owner, pod.is_abandoned) for pod in await found(cluster)] == [(None, True)]


async def test_each_lease_is_read_once(cluster):
    for name in ("a", "b", "c"):
        hold(cluster, name)
    await found(cluster)
    assert cluster.count("GET", "/leases/") == 2  # in two namespaces


async def test_pods_of_gone_owners_are_released_and_nothing_else(cluster):
    lease(cluster, "alive")
    hold(cluster, "a", owner="alive")
    hold(cluster, "b", finalizers=(MINE, OUTCOME_FINALIZER))
    before = cluster.pods["default", "b"]
    done: list[HeldPod] = []
    pods = await found(cluster)
    assert names(await releaser(cluster).release(pods, on_released=done.append)) == ["b"] == names(done)
    assert held_names(cluster) == ["a"]
    after = cluster.pods["default", "b"]
    assert after["metadata"]["finalizers"] == [MINE]
    assert after["spec"] == before["spec"]
    assert after["metadata"]["annotations"] == before["metadata"]["annotations"]


async def test_pods_of_living_owners_are_released_only_if_that_is_asked_for(cluster):
    lease(cluster, "alive")
    hold(cluster, "a", owner="alive")
    pods = await found(cluster)
    assert await releaser(cluster).release(pods) == []
    assert names(await releaser(cluster).release(pods, also_held=True)) == ["a"]
    assert held_names(cluster) == []


async def test_a_pod_that_was_deleted_goes(cluster):
    hold(cluster, "a")
    cluster.remove("a")
    assert len(cluster.pods) == 1
    assert names(await releaser(cluster).release(await found(cluster))) == ["a"]
    assert cluster.pods == {}


async def test_an_owner_that_came_back_keeps_its_pods(cluster):
    hold(cluster, "a", owner="back")
    pods = await found(cluster)
    lease(cluster, "back")
    assert await releaser(cluster).release(pods) == []
    assert held_names(cluster) == ["a"]


async def test_a_pod_that_a_runner_adopts_meanwhile_keeps_its_finalizer(cluster):
    hold(cluster, "a")
    pods = await found(cluster)
    lease(cluster, "alive")
    cluster.change("a", metadata={"annotations": {OWNER: "alive"}})
    assert await releaser(cluster).release(pods) == []
    assert held_names(cluster) == ["a"]


async def test_a_status_that_changes_meanwhile_hinders_nothing(cluster):
    hold(cluster, "a")
    pods = await found(cluster)
    cluster.phase("a", "Succeeded")
    assert names(await releaser(cluster).release(pods)) == ["a"]


async def test_a_pod_that_changes_each_time_is_left(cluster):
    hold(cluster, "a")
    conflict = {"kind": "Status", "reason": "Conflict", "message": "modified"}
    cluster.fail("PATCH", status=409, body=json.dumps(conflict).encode(), times=5)
    assert await releaser(cluster).release(await found(cluster)) == []


@pytest.mark.parametrize("is_deleted", [True, False])
async def test_a_lost_answer_is_no_failure(cluster, is_deleted):
    hold(cluster, "a")
    if is_deleted:
        cluster.remove("a")
    cluster.fail("PATCH", lose_reply=True)
    assert names(await releaser(cluster).release(await found(cluster))) == ["a"]
    assert held_names(cluster) == []


async def test_a_pod_that_went_or_was_released_by_itself_is_done(cluster):
    hold(cluster, "a")
    hold(cluster, "b")
    pods = await found(cluster)
    cluster.release("a", OUTCOME_FINALIZER)
    cluster.remove("a")
    cluster.put("a")
    cluster.release("b", OUTCOME_FINALIZER)
    assert names(await releaser(cluster).release(pods)) == ["a", "b"]


async def test_what_was_released_before_a_refusal_is_known(cluster):
    for name in ("a", "b", "c"):
        hold(cluster, name)
    pods = await found(cluster)
    refusal = {"kind": "Status", "reason": "Forbidden", "message": "no"}
    cluster.fail("PATCH", part="/pods/b", status=403, body=json.dumps(refusal).encode(), times=9)
    done: list[HeldPod] = []
    with pytest.raises(ForbiddenError):
        await releaser(cluster).release(pods, on_released=done.append)
    assert names(done) == ["a"]
    assert held_names(cluster) == ["b", "c"]


async def test_a_lease_that_cannot_be_read_is_no_sign_of_a_gone_owner(cluster):
    hold(cluster, "a")
    refusal = {"kind": "Status", "reason": "Forbidden", "message": "no"}
    cluster.fail("GET", part="/leases/", status=403, body=json.dumps(refusal).encode(), times=9)
    with pytest.raises(ForbiddenError):
        await found(cluster)

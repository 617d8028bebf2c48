"""What a runner that was killed leaves behind is removed by the next one of its scope."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from pathlib import Path

import pytest
from podrunner.config import RetrySettings
from podrunner.errors import OwnershipError
from podrunner.kube import RequestRetry
from podrunner.logs import FileLogSink
from podrunner.ownership import Leftovers, ScopeReader
from podrunner.ownership.leases import lease_name
from tests.unit.runner.harness import Cluster, running, until, workload

pytestmark = pytest.mark.anyio

GONE, ANOTHER = "runner-00000000dead", "runner-00000000beef"


async def kill_one(
    cluster: Cluster, owner: str = GONE, *, ended_s: float = 3600, pods: int = 0, **settings
) -> None:
    """A runner comes, launches, and is killed: its Lease stays, and runs out."""
    async with running(cluster, owner=owner, **settings) as runner:
        await runner.launch_many(workload(number) for number in range(pods))
        lease = cluster.leases[lease_name(owner)]
        ended = dt.datetime.now(dt.UTC) - dt.timedelta(seconds=ended_s + 60)
        lease["spec"]["renewTime"] = ended.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        left = dict(lease)
    cluster.leases[lease_name(owner)] = left


async def test_its_lease_is_removed(cluster: Cluster):
    """H10: three kills with generated names, then one runner."""
    owners = [f"runner-{number:012x}" for number in range(3)]
    left = {}
    for owner in owners:
        await kill_one(cluster, owner)
        left |= cluster.leases
        cluster.leases.clear()
    assert {*map(lease_name, owners)} == {*left}
    cluster.leases |= left
    async with running(cluster, owner="next"):
        await until(lambda: [*cluster.leases] == [lease_name("next")])


async def test_the_lease_says_which_namespaces_are_used(cluster: Cluster):
    """H10: only a runner that sees all of them may judge whether pods are left."""
    async with running(cluster, owner="me", namespaces=("default", "other")):
        annotations = cluster.leases["podrunner-me"]["metadata"]["annotations"]
        assert annotations == {"podrunner.io/owner": "me", "podrunner.io/namespaces": "default,other"}


@pytest.mark.parametrize(
    ("owner", "ended_s", "settings"),
    [
        (GONE, -30, {}),
        (GONE, 10, {}),
        ("scheduler", 3600, {}),
        (GONE, 3600, {"scope": "other"}),
        (GONE, 3600, {"namespaces": ("default", "elsewhere")}),
        (GONE, 3600, {"all_namespaces": True}),
    ],
)
async def test_other_leases_stay(cluster: Cluster, owner: str, ended_s: float, settings: dict):
    """H10: live, ended a moment ago, of a given name, of another scope, of namespaces that we do not see."""
    await kill_one(cluster, owner, ended_s=ended_s, **settings)
    await kill_one(cluster, ANOTHER)
    async with running(cluster, owner="next"):
        await until(lambda: lease_name(ANOTHER) not in cluster.leases)
        assert lease_name(owner) in cluster.leases


async def test_a_lease_stays_while_its_owner_has_pods(cluster: Cluster):
    """H10: until they are adopted."""
    await kill_one(cluster, pods=1)
    async with running(cluster, owner="first"):
        await until(lambda: cluster.count("GET", f"owner%3D{GONE}"))
        assert lease_name(GONE) in cluster.leases
    async with running(cluster, owner="adopter") as runner:
        assert len(await runner.adopt()) == 1
    async with running(cluster, owner="second"):
        await until(lambda: lease_name(GONE) not in cluster.leases)


async def test_a_lease_that_is_renewed_meanwhile_stays(cluster: Cluster):
    """H10: it is deleted as it was read, or not at all."""
    await kill_one(cluster)
    left = dict(cluster.leases)
    await kill_one(cluster, ANOTHER)
    cluster.leases = left | cluster.leases
    fault = cluster.fail("DELETE", "/leases", delay_s=0.1)
    async with running(cluster, owner="next"):
        await until(lambda: not fault.times)
        cluster.leases[lease_name(GONE)]["metadata"]["resourceVersion"] = "9999"
        await until(lambda: lease_name(ANOTHER) not in cluster.leases)
        assert lease_name(GONE) in cluster.leases


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_without_the_right_it_is_said_once(cluster: Cluster, method: str, caplog):
    """H10: nothing else is affected."""
    await kill_one(cluster)
    caplog.clear()
    fault = cluster.fail(method, "/leases?" if method == "GET" else "/leases/", status=403, times=1_000_000)
    async with running(cluster, owner="next", lease_duration_s=1) as runner:
        await until(lambda: fault.times < 1_000_000)
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
    said = [message for message in caplog.messages if "left behind" in message]
    assert len(said) == 1
    assert "the right to list or delete leases is missing" in said[0]
    assert lease_name(GONE) in cluster.leases


@pytest.mark.parametrize("anyio_backend", ["asyncio"])  # virtual time does not wait for threads
async def test_cursors_beside_finished_logs_are_removed(cluster: Cluster, tmp_path: Path):
    """H10: those of its pods that are gone; the cursor of a pod that another runner took over stays."""
    await kill_one(cluster, pods=1)
    lease = cluster.leases[lease_name(GONE)]
    async with running(cluster, owner="adopter") as runner:
        await until(lambda: cluster.count("GET", f"owner%3D{GONE}"))  # it has looked: the pod is there
        (adopted,) = await runner.adopt()
        finished = FileLogSink(tmp_path / "dag" / "1.log", owner=GONE)
        await finished.open(uid="uid-of-a-pod-that-is-gone", container="base")
        taken = FileLogSink(tmp_path / "dag" / "2.log", owner=GONE)
        await taken.open(uid=adopted.uid, container="base")
    cluster.leases[lease_name(GONE)] = lease  # the adopter may have looked just after it adopted the pod
    async with running(cluster, owner="next", logs={"folder": tmp_path}):
        await until(lambda: lease_name(GONE) not in cluster.leases)
    assert not finished.cursor_path.exists()
    assert finished.path.exists()
    assert taken.cursor_path.exists()


async def test_a_runner_that_lost_its_lease_removes_nothing(cluster: Cluster):
    """H10, A3: it asks right before each deletion."""
    await kill_one(cluster)
    sent = len(cluster.requests)
    client = cluster.client()
    reader = ScopeReader(
        client,
        scope="default",
        lease_namespace="default",
        policy=RequestRetry.of(RetrySettings()),
    )

    def check() -> None:
        raise OwnershipError("the Lease is lost", namespace="default", name="me")

    class Logs:
        are_left = False

        async def search(self, owners: Mapping[str, frozenset[str]]) -> None:
            assert [*owners] == [GONE]

    leftovers = Leftovers(
        client, reader, lease_namespace="default", namespaces=("default",), logs=Logs(), before_send=check
    )
    with pytest.raises(OwnershipError):
        await leftovers.collect()
    assert lease_name(GONE) in cluster.leases
    assert not [method for _, method, _ in cluster.requests[sent:] if method != "GET"]

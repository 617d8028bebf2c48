"""A runner that lost its Lease changes nothing: its pods are a successor's."""

from __future__ import annotations

from collections.abc import Callable

import anyio
import pytest
from podrunner.errors import OwnershipError
from tests.support.fake_server import FakeServer
from tests.unit.launcher.conftest import launcher, plan, status

pytestmark = pytest.mark.anyio


def held_for(seconds: float) -> Callable[[], bool]:
    """Return what says whether the Lease is held: for so many seconds from now."""
    expires_at = anyio.current_time() + seconds
    return lambda: anyio.current_time() < expires_at


async def test_a_launch_without_the_lease_sends_nothing_and_says_why():
    """A3: the error names the pod and the runner that gave way."""
    server = FakeServer()
    with pytest.raises(
        OwnershipError, match=r"^this runner lost its lease: pod default/t-\S+ is left"
    ) as caught:
        await launcher(server, may_act=lambda: False).launch(plan())
    assert (caught.value.namespace, caught.value.name) == ("default", plan().name)
    assert caught.value.owner == "me"
    assert server.requests == []


async def test_a_lease_that_is_lost_while_a_create_waits_stops_it():
    """A3, L5: the Lease counts when the request goes out, not when it was queued."""
    server = FakeServer()
    server.fail("POST", status=429, headers={"Retry-After": "20"})
    with pytest.raises(OwnershipError):
        await launcher(server, may_act=held_for(5)).launch(plan())
    assert server.count("POST") == 1
    assert not server.pods


async def test_a_lease_that_is_lost_while_a_deletion_is_repeated_stops_it():
    """A3: the pod is left to the successor."""
    server = FakeServer()
    server.put("a")
    server.fail("DELETE", status=503, headers={"Retry-After": "20"})
    with pytest.raises(OwnershipError, match="pod default/a ") as caught:
        await launcher(server, may_act=held_for(5)).delete("default", "a")
    assert (caught.value.namespace, caught.value.name) == ("default", "a")
    assert server.count("DELETE") == 1
    assert server.pods


async def test_a_lease_that_is_lost_after_the_pod_was_made_stops_its_secret():
    """A3, C4: neither a Secret nor the deletion of the pod is sent."""
    server = FakeServer()
    server.fail("POST", delay_reply_s=10)
    with pytest.raises(OwnershipError) as caught:
        await launcher(server, may_act=held_for(5)).launch(plan(secret=True))
    assert (caught.value.namespace, caught.value.name) == ("default", plan().name)
    assert [method for _, method, _ in server.requests] == ["POST"]
    assert server.pods


async def test_a_lease_that_is_lost_before_an_earlier_secret_is_replaced_leaves_that_secret():
    """A3, C4: the Secret may be a successor's by now."""
    server = FakeServer()
    server.secrets["default", "s"] = earlier = {"metadata": {"name": "s"}}
    server.fail("POST", "/secrets", **status(409, "AlreadyExists"), delay_s=10)
    with pytest.raises(OwnershipError):
        await launcher(server, may_act=held_for(5)).launch(plan(secret=True))
    assert server.secrets["default", "s"] is earlier


async def test_a_lease_that_is_lost_while_an_earlier_secret_is_deleted_makes_no_new_one():
    """A3, C4."""
    server = FakeServer()
    server.secrets["default", "s"] = {"metadata": {"name": "s"}}
    server.fail("DELETE", "/secrets", delay_reply_s=10)
    with pytest.raises(OwnershipError):
        await launcher(server, may_act=held_for(5)).launch(plan(secret=True))
    assert not server.secrets


async def test_a_cancelled_launch_without_the_lease_leaves_its_pod_to_the_successor():
    """A3, C1: it is neither deleted nor remembered as unwanted."""
    server = FakeServer()
    server.fail("POST", delay_reply_s=10)
    at_work = launcher(server, may_act=held_for(1))
    with anyio.move_on_after(2):
        await at_work.launch(plan())
    assert server.count("GET") == server.count("DELETE") == 0
    assert not at_work.is_unwanted(await server.client().read_pod("default", plan().name))

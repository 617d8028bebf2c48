"""Creates, deletes and reads share the connections, and none holds up the others."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner.errors import TransportError
from podrunner.kube import (
    AdaptiveLimit,
    KubeClient,
    Request,
    RequestLimiter,
    Response,
    RetryAfterGate,
    VerbClass,
)
from tests.support.event_loops import both_in_virtual_time, run_in_virtual_time

pytestmark = pytest.mark.anyio


anyio_backend = both_in_virtual_time


class SlowServer:
    """Answers each request after a while, and notes how many of which were there at once."""

    def __init__(self) -> None:
        self.answered: list[str] = []
        self.at_once: dict[str, int] = {}
        self.most: dict[str, int] = {}
        self.stuck: set[str] = set()
        self.takes_s = 0.1

    async def request(self, request: Request) -> Response:
        method = request.method
        self.at_once[method] = self.at_once.get(method, 0) + 1
        self.most[method] = max(self.most.get(method, 0), self.at_once[method])
        try:
            await (anyio.sleep_forever() if method in self.stuck else anyio.sleep(self.takes_s))
        finally:
            self.at_once[method] -= 1
        self.answered.append(method)
        return Response(
            200, {}, b'{"metadata": {"name": "p", "namespace": "n", "uid": "u", "resourceVersion": "1"}}'
        )

    def stream(self, request: Request) -> Any:
        raise TransportError("no streams here", method="GET", sent=False)

    def upgrade(self, request: Request, subprotocols: object) -> Any:
        raise NotImplementedError

    async def aclose(self) -> None:
        """Nothing is open."""


@pytest.fixture
def server() -> SlowServer:
    return SlowServer()


def client_of(server: SlowServer, connections: int) -> KubeClient:
    return KubeClient(server, gate=RetryAfterGate(), lanes=RequestLimiter(connections))


POD = {"metadata": {"name": "p"}}


async def test_a_create_does_not_wait_for_a_thousand_deletions(server: SlowServer):
    client = client_of(server, 4)
    async with anyio.create_task_group() as tasks:
        for _ in range(100):
            tasks.start_soon(client.delete_pod, "n", "p")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1):
            await client.create_pod("n", POD)
        assert len(server.answered) < 12
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("connections", [1, 2, 4])
async def test_verb_classes_are_served_in_rotation(server: SlowServer, connections: int):
    """No class goes first always."""
    server.takes_s = 0.01
    client = client_of(server, connections)
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(client.create_pod, "n", POD)
            tasks.start_soon(client.delete_pod, "n", "p")
            tasks.start_soon(client.read_pod, "n", "p")
    for method in ("POST", "DELETE", "GET"):
        assert 6 <= server.answered[:30].count(method) <= 14


@pytest.mark.parametrize("flood", ["POST", "DELETE", "GET"])
async def test_a_lane_that_is_stuck_leaves_room_for_the_others(server: SlowServer, flood: str):
    server.stuck = {flood}
    client = client_of(server, 4)
    calls = {
        "POST": lambda: client.create_pod("n", POD),
        "DELETE": lambda: client.delete_pod("n", "p"),
        "GET": lambda: client.read_pod("n", "p"),
    }
    async with anyio.create_task_group() as tasks:
        for _ in range(20):
            tasks.start_soon(calls[flood])
        await anyio.wait_all_tasks_blocked()
        assert server.at_once == {flood: 3}
        with anyio.fail_after(2):
            for other in set(calls) - {flood}:
                await calls[other]()
        tasks.cancel_scope.cancel()


async def test_a_lane_alone_uses_what_there_is(server: SlowServer):
    client = client_of(server, 8)
    async with anyio.create_task_group() as tasks:
        for _ in range(12):
            tasks.start_soon(client.delete_pod, "n", "p")
    assert server.most == {"DELETE": 6}


async def test_leases_go_beside_the_lanes(server: SlowServer):
    """A3: a lease that is renewed too late is lost."""
    server.stuck = {"POST", "DELETE", "GET"}
    client = client_of(server, 1)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.delete_pod, "n", "p")
        await anyio.wait_all_tasks_blocked()
        with anyio.fail_after(1):
            await client.replace_lease("n", "l", {"metadata": {}})
        tasks.cancel_scope.cancel()


async def test_a_request_that_waits_at_the_gate_holds_no_permit(server: SlowServer):
    """L5: the gate closes while a request is queued."""
    gate = RetryAfterGate()
    limiter = RequestLimiter(1)
    client = KubeClient(server, gate=gate, lanes=limiter)
    await limiter.acquire(VerbClass.READ)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.read_pod, "n", "p")
        await anyio.wait_all_tasks_blocked()
        gate.close_for(0.5)
        limiter.release(VerbClass.READ)
        await anyio.wait_all_tasks_blocked()
        assert limiter.in_flight(VerbClass.READ) == 0
    assert server.answered == ["GET"]


async def test_waiting_in_line_does_not_make_the_server_look_slow(server: SlowServer):
    """The adaptive limit learns from the server alone."""
    now = [0.0]
    creates = AdaptiveLimit(maximum=8, initial=8, clock=lambda: now[0])
    limiter = RequestLimiter(1)
    client = KubeClient(server, gate=RetryAfterGate(), creates=creates, lanes=limiter)
    await client.create_pod("n", POD)
    await limiter.acquire(VerbClass.DELETE)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(client.create_pod, "n", POD)
        await anyio.wait_all_tasks_blocked()
        now[0] += 60
        limiter.release(VerbClass.DELETE)
    assert creates.limit == 8


async def test_a_turn_is_given_back_whatever_happens(server: SlowServer):
    """S1."""
    limiter = RequestLimiter(1)
    client = KubeClient(server, gate=RetryAfterGate(), lanes=limiter)
    server.stuck = {"GET"}
    with anyio.move_on_after(0.05):
        await client.read_pod("n", "p")
    assert limiter.in_flight(VerbClass.READ) == 0
    assert await client.delete_pod("n", "p")


async def test_a_turn_that_comes_together_with_a_cancellation_goes_to_the_next():
    limiter = RequestLimiter(1)
    await limiter.acquire(VerbClass.READ)
    got: list[VerbClass] = []

    async def wait(scope: anyio.CancelScope, verb_class: VerbClass) -> None:
        with scope:
            await limiter.acquire(verb_class)
            got.append(verb_class)

    first, second = anyio.CancelScope(), anyio.CancelScope()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(wait, first, VerbClass.READ)
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(wait, second, VerbClass.READ)
        await anyio.wait_all_tasks_blocked()
        first.cancel()
        limiter.release(VerbClass.READ)
    assert len(got) == 1
    assert sum(limiter.in_flight(verb_class) for verb_class in VerbClass) == 1
    assert not any(limiter.waiting(verb_class) for verb_class in VerbClass)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32))
def test_no_permit_is_lost_or_made_and_no_request_waits_while_one_is_free(connections: int, seed: int):
    """Whatever comes, goes and is cancelled."""
    random = Random(seed)

    async def play() -> None:
        limiter = RequestLimiter(connections)
        done = [0]

        async def one(verb_class: VerbClass) -> None:
            with anyio.move_on_after(random.choice([0.5, 5, 1000])):
                await limiter.acquire(verb_class)
                try:
                    assert sum(limiter.in_flight(each) for each in VerbClass) <= connections
                    await anyio.sleep(random.random())
                finally:
                    limiter.release(verb_class)
            done[0] += 1

        with anyio.fail_after(900):
            async with anyio.create_task_group() as tasks:
                for _ in range(40):
                    tasks.start_soon(one, random.choice(list(VerbClass)))
                    await anyio.sleep(random.random() / 10)
        assert done == [40]
        assert not any(
            limiter.in_flight(verb_class) or limiter.waiting(verb_class) for verb_class in VerbClass
        )

    run_in_virtual_time(play)


def test_no_connections_at_all_are_refused():
    with pytest.raises(ValueError, match="at least 1"):
        RequestLimiter(0)

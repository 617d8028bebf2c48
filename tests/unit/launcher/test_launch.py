"""One attempt makes one pod, whatever is lost, refused or repeated on the way."""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio.testing
from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import build_plan, read_ownership
from podrunner.config import RetrySettings, RunnerConfig
from podrunner.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    OwnershipError,
    PodrunnerError,
    ServerError,
    TransportError,
)
from podrunner.launcher import Launched, Launcher
from podrunner.workload import Workload, WorkloadKey
from tests.support.event_loops import virtual_time
from tests.support.fake_server import FakeServer

if TYPE_CHECKING:
    from podrunner.builder import PodPlan

pytestmark = pytest.mark.anyio

CONFIG = RunnerConfig(
    image="busybox", create_retry=RetrySettings(attempts=4), retry=RetrySettings(attempts=4)
)
SECRET = {"metadata": {"name": "s", "namespace": "default"}, "stringData": {"password": "hidden"}}


anyio_backend = virtual_time


def plan(name: str = "t", *, attempt: int = 1, secret: bool = False) -> PodPlan:
    from msgspec.structs import replace

    key = WorkloadKey({"task": name}, attempt=attempt)
    made = build_plan(CONFIG, Workload(key=key, command=["true"]))
    return replace(made, secret=SECRET) if secret else made


def launcher(server: FakeServer, *, owner: str = "me", waits: list[float] | None = None) -> Launcher:
    on_retry = None if waits is None else lambda _error, wait_s: waits.append(wait_s)
    return Launcher(
        server.client(), owner=owner, scope="default", config=CONFIG, random=Random(3), on_retry=on_retry
    )


def status(code: int, reason: str, message: str = "", **details: Any) -> dict[str, Any]:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}
    return {"status": code, "body": json.dumps(body).encode()}


async def test_a_launch_is_one_request():
    server = FakeServer()
    launched = await launcher(server).launch(plan())
    assert launched.created
    assert len(server.requests) == 1
    stamp = read_ownership(launched.pod.metadata.labels, launched.pod.metadata.annotations)
    assert stamp is not None
    assert (stamp.owner, stamp.key) == ("me", WorkloadKey({"task": "t"}))


async def test_the_intent_is_known_before_the_request_and_forgotten_after():
    server = FakeServer()
    server.fail("POST", delay_s=5)
    at_work = launcher(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_work.launch, plan())
        await anyio.sleep(1)
        assert [intent.key for intent in at_work.intents] == [WorkloadKey({"task": "t"})]
        assert not server.pods
    assert at_work.intents == ()


async def test_a_lost_reply_finds_its_own_pod():
    """L1: the pod was made, the answer was lost; it is looked up, not made again."""
    server = FakeServer()
    server.fail("POST", lose_reply=True)
    launched = await launcher(server).launch(plan())
    assert launched.created
    assert len(server.pods) == 1
    assert server.count("POST") == 1


async def test_a_reply_lost_on_the_way_there_is_tried_again():
    """L1: the server never saw it; the look finds nothing, then it is made."""
    server = FakeServer()
    server.fail("POST", **status(504, "Timeout"))
    launched = await launcher(server).launch(plan())
    assert launched.created
    assert [method for _, method, _ in server.requests] == ["POST", "GET", "POST"]


async def test_a_refused_connection_needs_no_look():
    server = FakeServer()
    server.fail("POST", refuse=True)
    await launcher(server).launch(plan())
    assert [method for _, method, _ in server.requests] == ["POST", "POST"]


async def test_the_same_attempt_again_finds_the_pod_of_before():
    """L1: 409, and it is ours: taken, not made."""
    server = FakeServer()
    first = await launcher(server).launch(plan())
    again = await launcher(server).launch(plan())
    assert not again.created
    assert again.pod.metadata.uid == first.pod.metadata.uid


async def test_the_next_attempt_is_another_pod():
    server = FakeServer()
    await launcher(server).launch(plan(attempt=1))
    await launcher(server).launch(plan(attempt=2))
    assert len(server.pods) == 2


@pytest.mark.parametrize("made_by", ["another client", "another runner", "another workload"])
async def test_a_name_that_somebody_else_has_is_an_error(made_by: str):
    """L2: a clear error; theirs is untouched; off: the question whose it is."""
    server = FakeServer()
    wanted = plan()
    match made_by:
        case "another client":
            server.put(wanted.name)
        case "another runner":
            await launcher(server, owner="other").launch(wanted)
        case _:
            await launcher(server).launch(wanted, key=WorkloadKey({"task": "other"}))
    before = dict(server.pods)
    with pytest.raises(OwnershipError, match="is there already") as caught:
        await launcher(server).launch(wanted)
    assert server.pods == before
    expected = {"another client": None, "another runner": "other", "another workload": "me"}
    assert caught.value.owner == expected[made_by]


@pytest.mark.parametrize(
    "trouble",
    [
        status(403, "Forbidden", 'pods "x" is forbidden: exceeded quota: compute', kind="pods"),
        status(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "compute"'),
        {"status": 429, "body": b"too many, go away", "headers": {"Retry-After": "3"}},
        {"status": 500, "body": b"<html>"},
        status(503, "ServiceUnavailable"),
    ],
    ids=["L3 quota", "L4 quota conflict", "L5 429 without JSON", "500 HTML", "503"],
)
async def test_passing_trouble_is_waited_out(trouble: dict[str, Any]):
    """L3, L4, L5: tried again with a growing wait; one pod."""
    server = FakeServer()
    server.fail("POST", times=2, **trouble)
    waits: list[float] = []
    launched = await launcher(server, waits=waits).launch(plan())
    assert launched.created
    assert len(server.pods) == 1
    assert len(waits) == 2


async def test_a_retry_after_holds_back_all_launches():
    """L5: one gate for all creates."""
    server = FakeServer()
    server.fail("POST", status=429, headers={"Retry-After": "20"})
    at_work = launcher(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_work.launch, plan("a"))
        await anyio.sleep(1)
        tasks.start_soon(at_work.launch, plan("b"))
    times = [at for at, _, _ in server.requests]
    assert min(times[1:]) - times[0] >= 20


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (status(400, "BadRequest"), BadRequestError),
        (status(422, "Invalid", "spec.containers: Required value"), InvalidError),
        (
            status(
                403, "Forbidden", 'error looking up service account default/x: serviceaccount "x" not found'
            ),
            ForbiddenError,
        ),
    ],
    ids=["400", "L6 422", "L9 403"],
)
async def test_a_refusal_is_final(answer: dict[str, Any], error: type[PodrunnerError]):
    """L6, L9: fails at once, with the server's message; off: 403 and 422 count as passing."""
    server = FakeServer()
    server.fail("POST", times=9, **answer)
    with pytest.raises(error):
        await launcher(server).launch(plan())
    assert len(server.requests) == 1


async def test_a_trouble_that_stays_is_an_error_of_this_launch_alone():
    """L7: the budget ends; others go on."""
    server = FakeServer()
    poor = plan("poor")
    server.faults.clear()
    server.fail("POST", times=4, **status(503, "ServiceUnavailable"))
    at_work = launcher(server)
    with pytest.raises(ServerError):
        await at_work.launch(poor)
    assert (await at_work.launch(plan("rich"))).created


async def test_a_pod_that_appears_after_the_launch_gave_up_is_unwanted():
    """L1, C1: the server took the request after all; the pod is recognised as unwanted."""
    server = FakeServer()
    server.fail("POST", times=1, lose_reply=True)
    server.fail("GET", times=9, refuse=True)
    at_work = launcher(server)
    with pytest.raises(TransportError):
        await at_work.launch(plan())
    server.faults.clear()
    client = server.client()
    (name,) = [name for _, name in server.pods]
    assert at_work.is_unwanted(await client.read_pod("default", name))
    server.put("another")
    assert not at_work.is_unwanted(await client.read_pod("default", "another"))
    again = await at_work.launch(plan())
    assert not at_work.is_unwanted(again.pod)


async def test_a_pod_that_goes_between_409_and_the_look_is_made_anew():
    server = FakeServer()
    server.fail("POST", times=1, **status(409, "AlreadyExists"))
    assert (await launcher(server).launch(plan())).created
    server.fail("POST", times=9, **status(409, "AlreadyExists"))
    with pytest.raises(PodrunnerError, match="AlreadyExists"):
        await launcher(server).launch(plan("other"))


@pytest.mark.parametrize("text", ["a" * 300, "Übung/../дата 🚀", "-", "x\ny"])
async def test_any_identity_becomes_a_valid_pod_that_finds_itself(text: str):
    """L10: names and labels are always valid, and reversible through annotations."""
    server = FakeServer()
    server.fail("POST", lose_reply=True)
    launched = await launcher(server, owner=text).launch(plan(text))
    stamp = read_ownership(launched.pod.metadata.labels, launched.pod.metadata.annotations)
    assert stamp is not None
    assert (stamp.key.parts["task"], stamp.owner) == (text, text)
    assert len(launched.pod.metadata.name) <= 63


class TestSecret:
    """C4: made after the pod, owned by it; off: the owner reference, and deleting the pod whose Secret is refused."""

    async def test_it_is_owned_by_the_pod(self):
        server = FakeServer()
        launched = await launcher(server).launch(plan(secret=True))
        (secret,) = server.secrets.values()
        (owner,) = secret["metadata"]["ownerReferences"]
        assert (owner["kind"], owner["uid"]) == ("Pod", launched.pod.metadata.uid)
        assert [target.partition("?")[0].rsplit("/", 1)[1] for _, _, target in server.requests] == [
            "pods",
            "secrets",
        ]

    async def test_without_a_pod_there_is_none(self):
        server = FakeServer()
        server.fail("POST", **status(422, "Invalid"))
        with pytest.raises(InvalidError):
            await launcher(server).launch(plan(secret=True))
        assert not server.secrets

    async def test_if_it_cannot_be_made_the_pod_goes(self):
        server = FakeServer()
        server.fail("POST", "/secrets", **status(403, "Forbidden"))
        with pytest.raises(ForbiddenError):
            await launcher(server).launch(plan(secret=True))
        assert not server.pods

    async def test_a_lost_reply_is_no_failure(self):
        server = FakeServer()
        server.fail("POST", "/secrets", lose_reply=True)
        await launcher(server).launch(plan(secret=True))
        assert len(server.secrets) == 1

    async def test_one_of_an_earlier_pod_is_replaced(self):
        server = FakeServer()
        server.secrets["default", "s"] = {"metadata": {"name": "s"}, "old": True}
        await launcher(server).launch(plan(secret=True))
        assert "old" not in server.secrets["default", "s"]

    async def test_the_launch_of_before_already_made_it(self):
        server = FakeServer()
        await launcher(server).launch(plan(secret=True))
        made = server.secrets["default", "s"]
        assert not (await launcher(server).launch(plan(secret=True))).created
        assert server.secrets["default", "s"] is made

    async def test_it_is_never_shown(self):
        assert "hidden" not in repr(plan(secret=True))


class TestCancel:
    """C1: a cancelled launch leaves nothing."""

    @pytest.mark.parametrize("how", ["delay_s", "delay_reply_s"])
    @pytest.mark.parametrize("secret", [False, True])
    async def test_while_the_create_is_in_flight(self, how: str, *, secret: bool):
        server = FakeServer()
        server.fail("POST", **{how: 5})
        with anyio.move_on_after(2):
            await launcher(server).launch(plan(secret=secret))
        assert not server.pods
        assert not server.secrets

    async def test_while_the_server_is_still_busy_making_it(self):
        """The pod appears only after the first look."""
        server = FakeServer()
        server.fail("POST", delay_s=60)
        at_work = launcher(server)
        stamped = at_work._stamped(plan(), WorkloadKey({"task": "t"}))

        async def late() -> None:
            await anyio.sleep(1.2)
            await server.client().create_pod("default", stamped)

        async with anyio.create_task_group() as tasks:
            with anyio.move_on_after(1):
                tasks.start_soon(late)
                await at_work.launch(plan())
            await anyio.sleep(5)
            assert not server.pods

    async def test_later_than_any_look_it_is_unwanted(self):
        server = FakeServer()
        server.fail("POST", delay_s=60)
        at_work = launcher(server)
        with anyio.move_on_after(1):
            await at_work.launch(plan())
        late = await server.client().create_pod(
            "default", at_work._stamped(plan(), WorkloadKey({"task": "t"}))
        )
        assert at_work.is_unwanted(late)

    async def test_between_two_tries(self):
        server = FakeServer()
        server.fail("POST", times=9, lose_reply=True)
        server.fail("GET", times=1, **status(503, "ServiceUnavailable"))
        with anyio.move_on_after(0.05):
            await launcher(server).launch(plan())
        assert not server.pods

    async def test_while_the_secret_is_made(self):
        server = FakeServer()
        server.fail("POST", "/secrets", delay_s=5)
        with anyio.move_on_after(2):
            await launcher(server).launch(plan(secret=True))
        assert not server.pods

    async def test_anothers_pod_is_left_alone(self):
        server = FakeServer()
        server.put(plan().name)
        server.fail("POST", delay_s=5)
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        assert len(server.pods) == 1

    async def test_cleaning_up_is_bounded_in_time(self):
        """S1: a server that is gone does not hold a cancellation up for ever."""
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("GET", times=9999, refuse=True)
        server.fail("DELETE", times=9999, refuse=True)
        began = anyio.current_time()
        for_ever = CONFIG.model_copy(update={"retry": RetrySettings(attempts=0)})
        at_work = Launcher(server.client(), owner="me", scope="default", config=for_ever)
        with anyio.move_on_after(2):
            await at_work.launch(plan())
        assert anyio.current_time() - began < 40
        assert at_work.intents == ()
        (name,) = [name for _, name in server.pods]
        server.faults.clear()
        assert at_work.is_unwanted(await server.client().read_pod("default", name))

    async def test_a_look_that_fails_is_reported(self, caplog: pytest.LogCaptureFixture):
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("GET", times=99, **status(403, "Forbidden"))
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        assert "may be left behind" in caplog.text

    async def test_a_pod_that_cannot_be_deleted_is_reported(self, caplog: pytest.LogCaptureFixture):
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("DELETE", times=9, **status(403, "Forbidden"))
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        assert "is left behind" in caplog.text


class TestDelete:
    async def test_it_is_tried_again_and_says_whether_it_was_there(self):
        server = FakeServer()
        made = server.put("a")
        server.fail("DELETE", times=2, **status(503, "ServiceUnavailable"))
        at_work = launcher(server)
        answer = await at_work.delete("default", "a", uid=made["metadata"]["uid"])
        assert (answer.found, answer.repeated) == (True, True)
        assert not await at_work.delete("default", "a")

    async def test_another_pod_of_that_name_is_spared(self):
        server = FakeServer()
        server.put("a")
        assert not await launcher(server).delete("default", "a", uid="of another time")
        assert server.pods

    async def test_a_pod_on_a_dead_node_can_be_forced(self):
        """P9: grace 0 does not wait for the node."""
        server = FakeServer()
        server.put("a", spec={"nodeName": "dead", "containers": [{"name": "base"}]})
        at_work = launcher(server)
        await at_work.delete("default", "a")
        assert server.pods
        await at_work.delete("default", "a", grace_period_s=0)
        assert not server.pods


_TROUBLE = st.sampled_from(
    [
        {"lose_reply": True},
        {"refuse": True},
        {"delay_reply_s": 40.0, "lose_reply": True},
        status(500, "InternalError"),
        status(429, "TooManyRequests"),
        status(403, "Forbidden", "exceeded quota: x"),
        status(422, "Invalid"),
    ]
)


@given(
    creates=st.lists(_TROUBLE, max_size=5),
    looks=st.lists(_TROUBLE, max_size=3),
    cancel_at=st.one_of(st.none(), st.floats(0, 20)),
)
def test_whatever_goes_wrong_there_is_one_pod_or_none(
    creates: list[dict[str, Any]], looks: list[dict[str, Any]], cancel_at: float | None
):
    """L1, C1: launched: exactly one pod; cancelled: none; failed: none, or one that is known unwanted."""

    async def scenario() -> None:
        server = FakeServer()
        for how in creates:
            server.fail("POST", **how)
        for how in looks:
            server.fail("GET", **how)
        at_work = launcher(server)
        result: Launched | PodrunnerError | None = None
        with anyio.move_on_after(cancel_at):
            try:
                result = await at_work.launch(plan())
            except PodrunnerError as error:
                result = error
        assert at_work.intents == ()
        assert len(server.pods) <= 1
        server.faults.clear()
        left = [await server.client().read_pod(*place) for place in server.pods]
        if isinstance(result, Launched):
            assert len(server.pods) == 1
        else:
            assert all(at_work.is_unwanted(pod) for pod in left)

    anyio.run(
        scenario, backend="trio", backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)}
    )

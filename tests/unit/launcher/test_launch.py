"""One attempt makes one pod, whatever is lost, refused or repeated on the way."""

from __future__ import annotations

from random import Random
from typing import Any

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.builder import build_plan, read_ownership
from podrunner.builder.labels import OUTCOME, REPORTED, VERDICT
from podrunner.config import RetrySettings
from podrunner.errors import (
    BadRequestError,
    ForbiddenError,
    InvalidError,
    PodrunnerError,
    RequestTooLargeError,
    ServerError,
    TransportError,
)
from podrunner.kube import Request, Response
from podrunner.launcher import Launched, Launcher, Occupied
from podrunner.outcome import Fault, refused_by_api
from podrunner.workload import Workload, WorkloadKey
from tests.support.event_loops import run_in_virtual_time
from tests.support.fake_server import FakeServer
from tests.unit.launcher.conftest import CONFIG, launcher, plan, status

pytestmark = pytest.mark.anyio


async def test_a_launch_is_one_request():
    server = FakeServer()
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    assert len(server.requests) == 1
    stamp = read_ownership(launched.pod.metadata.labels, launched.pod.metadata.annotations)
    assert stamp is not None
    assert (stamp.owner, stamp.key) == ("me", WorkloadKey({"task": "t"}))


async def test_the_pod_says_where_its_log_goes_and_which_container_counts():
    """A5: a successor adopts it by its annotations alone."""
    wanted = replace(plan(), log_path="dag/task/1.log", main_container="worker")
    launched = await launcher(FakeServer()).launch(wanted)
    metadata = read_ownership(launched.pod.metadata.labels, launched.pod.metadata.annotations)
    assert metadata is not None
    assert (metadata.log_path, metadata.main_container) == ("dag/task/1.log", "worker")


async def test_the_intent_is_known_before_the_request_and_forgotten_after():
    server = FakeServer()
    server.fail("POST", delay_s=5)
    at_work = launcher(server)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_work.launch, plan())
        await anyio.sleep(1)
        assert [intent.key for intent in at_work.intents] == [WorkloadKey({"task": "t"})]
        assert at_work.is_launching("default", plan().name)
        assert not at_work.is_launching("default", plan("another").name)
        assert not server.pods
    assert at_work.intents == ()
    assert not at_work.is_launching("default", plan().name)


async def test_a_lost_reply_finds_its_own_pod():
    """L1: the pod was made, the answer was lost; it is looked up, not made again."""
    server = FakeServer()
    server.fail("POST", lose_reply=True)
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    assert len(server.pods) == 1
    assert server.count("POST") == 1


async def test_a_reply_lost_on_the_way_there_is_tried_again():
    """L1: the server never saw it; the look finds nothing, then it is made."""
    server = FakeServer()
    server.fail("POST", **status(504, "Timeout"))
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    assert [method for _, method, _ in server.requests] == ["POST", "GET", "POST"]


async def test_a_connection_that_breaks_after_the_request_finds_its_own_pod():
    """L1: the request was sent, so the pod may exist: it is looked up before anything is sent again."""
    server = FakeServer()
    server.fail("POST", break_reply=True)
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    assert [method for _, method, _ in server.requests] == ["POST", "GET"]


@pytest.mark.parametrize(
    "second", [{"refuse": True}, {"status": 429, "body": b""}], ids=["refused connection", "429"]
)
async def test_a_request_that_may_have_been_taken_is_looked_up_before_each_further_try(
    second: dict[str, Any],
):
    """L1: a second try that surely was not taken says nothing about the first."""
    server = FakeServer()
    server.fail("POST", **status(504, "Timeout"))
    server.fail("POST", **second)
    await launcher(server).launch(plan())
    assert [method for _, method, _ in server.requests] == ["POST", "GET", "POST", "GET", "POST"]


async def test_a_pod_of_a_lost_request_that_appears_during_the_next_try_was_made_by_this_launch():
    """L1: the second create meets 409 because the server took the first one late."""
    server = FakeServer()
    server.fail("POST", **status(504, "Timeout"))
    server.fail("POST", **status(409, "AlreadyExists"), delay_s=60)

    async def take_the_first_late() -> None:
        await anyio.sleep(50)
        await launcher(server).launch(plan())

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(take_the_first_late)
        launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)


async def test_a_refused_connection_needs_no_read():
    server = FakeServer()
    server.fail("POST", refuse=True)
    await launcher(server).launch(plan())
    assert [method for _, method, _ in server.requests] == ["POST", "POST"]


async def test_a_pod_that_was_there_before_is_said_to_be_there_and_left_as_it_is():
    """L1, L2: whose it is, and what becomes of it, is decided elsewhere: one request, and nothing is known of it."""
    server = FakeServer()
    first = await launcher(server).launch(plan())
    again = await launcher(server).launch(plan())
    assert isinstance(first, Launched)
    assert again == Occupied(None)
    assert [method for _, method, _ in server.requests] == ["POST", "POST"]


async def test_the_next_attempt_is_another_pod():
    server = FakeServer()
    await launcher(server).launch(plan(attempt=1))
    await launcher(server).launch(plan(attempt=2))
    assert len(server.pods) == 2


@pytest.mark.parametrize(
    "made_by",
    [
        "another client",
        "another runner",
        "another workload",
        "an earlier launch that was reported",
        "an earlier process that was ending it",
        "an earlier process that settled its outcome",
    ],
)
async def test_a_pod_that_a_lost_request_did_not_make_is_not_taken_for_its_own(made_by: str):
    """L1, L2: after a lost answer the pod that is there is looked at; another one is left as it is."""
    server = FakeServer()
    wanted = plan()
    match made_by:
        case "another client":
            server.put(wanted.name)
        case "another runner":
            await launcher(server, owner="other").launch(wanted)
        case "another workload":
            await launcher(server).launch(wanted, key=WorkloadKey({"task": "other"}))
        case _:
            await launcher(server).launch(wanted)
            annotation = {"reported": REPORTED, "it": VERDICT, "outcome": OUTCOME}[
                made_by.rsplit(maxsplit=1)[-1]
            ]
            server.change(wanted.name, metadata={"annotations": {annotation: "failed"}})
    before = dict(server.pods)
    server.fail("POST", lose_reply=True)
    at_work = launcher(server)
    found = await at_work.launch(wanted)
    assert isinstance(found, Occupied)
    assert found.pod is not None
    assert found.pod.metadata.name == wanted.name
    assert server.pods == before
    assert not at_work.is_unwanted(found.pod)


async def test_a_pod_of_another_workload_is_not_taken_for_that_of_a_lost_request():
    """L1: the same key and attempt, and another command."""
    server = FakeServer()
    await launcher(server).launch(plan())
    server.fail("POST", lose_reply=True)
    other = build_plan(CONFIG, Workload(key=plan().key, command=["false"]))
    assert isinstance(await launcher(server).launch(other), Occupied)


async def test_a_launch_that_is_cancelled_while_it_looks_leaves_a_pod_that_it_did_not_make():
    """C1: after a lost answer; the pod was reported by an earlier launch."""
    server = FakeServer()
    await launcher(server).launch(plan())
    server.change(plan().name, metadata={"annotations": {REPORTED: "failed"}})
    server.fail("POST", lose_reply=True)
    server.fail("GET", delay_s=5)
    with anyio.move_on_after(2):
        await launcher(server).launch(plan())
    assert server.pods
    assert server.count("DELETE") == 0


@pytest.mark.parametrize(
    "trouble",
    [
        status(403, "Forbidden", 'pods "x" is forbidden: exceeded quota: compute', kind="pods"),
        status(409, "Conflict", 'Operation cannot be fulfilled on resourcequotas "compute"'),
        status(403, "Forbidden", 'pods "x" is forbidden: status unknown for quota: compute, resources: pods'),
        status(
            500, "InternalError", 'failed calling webhook "a.b": failed to call webhook: connection refused'
        ),
        {"status": 429, "body": b"too many, go away", "headers": {"Retry-After": "3"}},
        {"status": 500, "body": b"<html>"},
        status(503, "ServiceUnavailable"),
    ],
    ids=[
        "L3 quota",
        "L4 quota conflict",
        "L11 quota without a status",
        "webhook",
        "L5 429 without JSON",
        "500 HTML",
        "503",
    ],
)
async def test_passing_trouble_is_waited_out(trouble: dict[str, Any]):
    """L3, L4, L5, L11: tried again with a growing wait; one pod."""
    server = FakeServer()
    server.fail("POST", times=2, **trouble)
    waits: list[float] = []
    launched = await launcher(server, waits=waits).launch(plan())
    assert isinstance(launched, Launched)
    assert len(server.pods) == 1
    assert len(waits) == 2


async def waits_of_a_launch(seed: int) -> list[float]:
    server = FakeServer()
    server.fail("POST", times=3, **status(503, "ServiceUnavailable"))
    slept: list[float] = []
    reported: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    at_work = Launcher(
        server.client(),
        owner="me",
        scope="default",
        config=CONFIG,
        random=Random(seed),
        sleep=sleep,
        on_retry=lambda _error, wait_s: reported.append(wait_s),
    )
    began = anyio.current_time()
    await at_work.launch(plan())
    assert anyio.current_time() == began, "it waits by the given sleep alone"
    assert slept == reported
    return slept


async def test_the_waits_between_tries_follow_from_the_source_of_jitter():
    first, again, other = [await waits_of_a_launch(seed) for seed in (7, 7, 8)]
    assert first == again
    assert first != other


async def test_the_log_says_which_request_is_tried_again(caplog: pytest.LogCaptureFixture):
    caplog.set_level("INFO", "podrunner")
    server = FakeServer()
    wanted = plan(secret=True)
    for method, part in [("POST", "/pods"), ("POST", "/secrets"), ("DELETE", "/pods")]:
        server.fail(method, part, **status(503, "ServiceUnavailable"))
    at_work = launcher(server)
    await at_work.launch(wanted)
    await at_work.delete("default", wanted.name)
    tried = [message.partition(" failed, trying again")[0] for message in caplog.messages]
    pod = f"pod default/{wanted.name}"
    assert tried == [f"create {pod}", "create secret default/s", f"delete {pod}"]


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
            status(403, "Forbidden", 'pods "a" is forbidden: violates PodSecurity "restricted:latest"'),
            ForbiddenError,
        ),
        (status(500, "", "etcdserver: request is too large"), RequestTooLargeError),
        (
            status(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"),
            RequestTooLargeError,
        ),
    ],
    ids=["400", "L6 422", "L9 403", "L11 500", "413"],
)
async def test_a_refusal_is_final(answer: dict[str, Any], error: type[PodrunnerError]):
    """L6, L9, L11: fails at once, with the server's message."""
    server = FakeServer()
    server.fail("POST", times=9, **answer)
    with pytest.raises(error):
        await launcher(server).launch(plan())
    assert len(server.requests) == 1


LATE = [
    'pods "a" is forbidden: error looking up service account default/x: serviceaccount "x" not found',
    'pods "a" is forbidden: no PriorityClass with name urgent was found',
    'pods "a" is forbidden: pod rejected: RuntimeClass "gvisor" not found',
    'pods "a" is forbidden: insufficient quota to consume: pods',
]


@pytest.mark.parametrize("message", LATE)
async def test_what_admission_misses_may_come_a_moment_later(message: str):
    """L12: it was created just before the pod, and one server of several does not know it yet."""
    server = FakeServer()
    server.fail("POST", times=1, **status(403, "Forbidden", message))
    waits: list[float] = []
    assert isinstance(await launcher(server, waits=waits).launch(plan()), Launched)
    assert len(waits) == 1


@pytest.mark.parametrize("message", LATE)
async def test_what_admission_misses_for_long_is_final(message: str):
    """L12: a short retry, however many tries other troubles are given."""
    server = FakeServer()
    server.fail("POST", times=99, **status(403, "Forbidden", message))
    waits: list[float] = []
    with pytest.raises(ForbiddenError) as caught:
        await launcher(server, waits=waits, attempts=50).launch(plan())
    assert len(waits) == 4
    assert sum(waits) < 0.8 * (1 + 2 + 4 + 8)
    outcome = refused_by_api(caught.value)
    assert (outcome.fault, outcome.retryable) == (Fault.CONFIGURATION, False)


async def test_a_namespace_that_is_being_deleted_takes_no_pod():
    """L12: the reverse: what goes away does not come back."""
    server = FakeServer()
    message = (
        'pods "a" is forbidden: unable to create new content in namespace x because it is being terminated'
    )
    server.fail("POST", times=9, **status(403, "Forbidden", message))
    with pytest.raises(ForbiddenError):
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
    assert isinstance(await at_work.launch(plan("rich")), Launched)


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
    assert isinstance(await at_work.launch(plan()), Occupied)
    assert not at_work.is_unwanted(await client.read_pod("default", name))


async def test_a_launch_takes_no_pod_that_is_being_deleted_as_unwanted():
    """L1, C1: the request for that is under way, and would end the pod of the new launch."""
    server = FakeServer()
    server.fail("POST", times=1, lose_reply=True)
    server.fail("GET", times=9, refuse=True)
    at_work = launcher(server)
    with pytest.raises(TransportError):
        await at_work.launch(plan())
    server.faults.clear()
    ((_, name),) = server.pods
    leftover = await server.client().read_pod("default", name)
    server.fail("DELETE", delay_s=5)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(at_work.discard_unwanted, leftover)
        await anyio.sleep(1)
        launched = await at_work.launch(plan())
    assert isinstance(launched, Launched)
    ((_, remaining),) = server.pods
    assert (await server.client().read_pod("default", remaining)).metadata.uid == launched.pod.metadata.uid


async def test_a_pod_by_an_unwanted_name_that_another_client_made_is_not_unwanted():
    """L2: a name alone does not make a pod ours to delete."""
    server = FakeServer()
    server.fail("POST", times=9, **status(503, "ServiceUnavailable"))
    at_work = launcher(server)
    with pytest.raises(ServerError):
        await at_work.launch(plan())
    server.put(plan().name)
    assert not at_work.is_unwanted(await server.client().read_pod("default", plan().name))


async def test_a_pod_of_a_refused_launch_is_not_unwanted():
    """L6: the server refused that request, so the pod comes from another launch of this attempt."""
    server = FakeServer()
    server.fail("POST", **status(422, "Invalid"))
    at_work = launcher(server)
    with pytest.raises(InvalidError):
        await at_work.launch(plan())
    launched = await launcher(server).launch(plan())
    assert not at_work.is_unwanted(launched.pod)


async def test_unwanted_pods_are_remembered_in_bounds(monkeypatch: pytest.MonkeyPatch):
    """L1: the oldest is forgotten first."""
    monkeypatch.setattr("podrunner.launcher._UNWANTED_KEPT", 2)
    server = FakeServer()
    server.fail("POST", times=12, **status(503, "ServiceUnavailable"))
    at_work = launcher(server)
    for name in ("first", "second", "third"):
        with pytest.raises(ServerError):
            await at_work.launch(plan(name))
    pods = [(await launcher(server).launch(plan(name))).pod for name in ("first", "second", "third")]
    assert [at_work.is_unwanted(pod) for pod in pods] == [False, True, True]


async def test_a_pod_that_goes_between_409_and_the_look_is_not_made_anew():
    """H2: it was there, and its work may be done. The first answer was lost, so that the second 409 is looked at."""
    server = FakeServer()
    server.fail("POST", **status(504, "Timeout"))
    server.fail("POST", **status(409, "AlreadyExists"))
    assert await launcher(server).launch(plan()) == Occupied(None)
    assert server.count("POST") == 2


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
    """C4: made after the pod, owned by it."""

    async def test_it_is_owned_by_the_pod(self):
        server = FakeServer()
        launched = await launcher(server).launch(plan(secret=True))
        (secret,) = server.secrets.values()
        meta = launched.pod.metadata
        owner = {"apiVersion": "v1", "kind": "Pod", "name": meta.name, "uid": meta.uid}
        assert secret["metadata"]["ownerReferences"] == [owner]
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

    async def test_if_it_cannot_be_made_a_later_pod_of_that_name_stays(self):
        """W9: the deletion names the UID of the pod that was made."""
        server = FakeServer()
        name = plan().name
        server.fail("POST", "/secrets", **status(403, "Forbidden"), delay_s=5)

        async def replace_the_pod() -> None:
            await anyio.sleep(2)
            server.remove(name)
            server.put(name)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(replace_the_pod)
            with pytest.raises(ForbiddenError):
                await launcher(server).launch(plan(secret=True))
        assert server.pods

    async def test_the_pod_goes_even_if_the_launch_is_cancelled_meanwhile(self):
        """C1, C4: one deletion, and the failure is raised."""
        server = FakeServer()
        server.fail("POST", "/secrets", **status(403, "Forbidden"))
        server.fail("DELETE", delay_s=5)
        with pytest.raises(ForbiddenError), anyio.move_on_after(2):
            await launcher(server).launch(plan(secret=True))
        assert not server.pods
        assert server.count("DELETE") == 1

    async def test_the_deletion_of_its_pod_is_bounded_in_time(self):
        """S1: the server accepts no deletion; the launch fails nevertheless."""
        server = FakeServer()
        server.fail("POST", "/secrets", **status(403, "Forbidden"))
        server.fail("DELETE", times=9999, refuse=True)
        for_ever = CONFIG.model_copy(update={"retry": RetrySettings(attempts=0)})
        began = anyio.current_time()
        with anyio.move_on_after(1000), pytest.raises(ForbiddenError):
            await Launcher(server.client(), owner="me", scope="default", config=for_ever).launch(
                plan(secret=True)
            )
        assert anyio.current_time() - began == pytest.approx(30)

    async def test_a_lost_reply_is_no_failure(self):
        """The Secret that is there is the one that was sent: it is not replaced."""
        server = FakeServer()
        server.fail("POST", "/secrets", lose_reply=True)
        await launcher(server).launch(plan(secret=True))
        assert len(server.secrets) == 1
        assert server.count("DELETE") == 0

    async def test_one_of_an_earlier_pod_is_replaced(self):
        server = FakeServer()
        server.secrets["default", "s"] = {"metadata": {"name": "s"}, "old": True}
        await launcher(server).launch(plan(secret=True))
        assert "old" not in server.secrets["default", "s"]

    async def test_it_is_made_for_a_pod_whose_launch_did_not_come_to_it(self):
        """A taken pod waits for it otherwise."""
        server = FakeServer()
        launched = await launcher(server).launch(plan())
        await launcher(server).add_secret(plan(secret=True), launched.pod)
        (secret,) = server.secrets.values()
        assert secret["metadata"]["ownerReferences"][0]["uid"] == launched.pod.metadata.uid

    async def test_the_launch_of_before_already_made_it(self):
        server = FakeServer()
        launched = await launcher(server).launch(plan(secret=True))
        made = server.secrets["default", "s"]
        await launcher(server).add_secret(plan(secret=True), launched.pod)
        assert server.secrets["default", "s"] is made

    async def test_a_taken_pod_stays_if_it_cannot_be_made(self):
        server = FakeServer()
        launched = await launcher(server).launch(plan())
        server.fail("POST", "/secrets", **status(403, "Forbidden"))
        with pytest.raises(ForbiddenError):
            await launcher(server).add_secret(plan(secret=True), launched.pod)
        assert server.pods

    async def test_without_one_nothing_is_sent(self):
        server = FakeServer()
        launched = await launcher(server).launch(plan())
        await launcher(server).add_secret(plan(), launched.pod)
        assert len(server.requests) == 1

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

    async def test_before_anything_was_sent_there_is_nothing_to_look_for(self):
        server = FakeServer()
        server.fail("POST", refuse=True)
        at_work = launcher(server)
        with anyio.move_on_after(0.01):
            await at_work.launch(plan())
        assert [method for _, method, _ in server.requests] == ["POST"]
        launched = await launcher(server).launch(plan())
        assert not at_work.is_unwanted(launched.pod)

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

    async def test_a_read_that_fails_is_reported(self, caplog: pytest.LogCaptureFixture):
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("GET", times=99, **status(403, "Forbidden", "no reading here"))
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        assert caplog.messages[0].startswith(f"pod default/{plan().name} may be left behind: ")
        assert "no reading here" in caplog.messages[0]

    async def test_a_read_that_is_tried_again_is_logged(self, caplog: pytest.LogCaptureFixture):
        caplog.set_level("INFO", "podrunner")
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("GET", **status(503, "ServiceUnavailable"))
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        assert caplog.messages[0].startswith(f"look for pod default/{plan().name} failed, trying again")
        assert not server.pods

    async def test_a_pod_that_cannot_be_deleted_is_reported(self, caplog: pytest.LogCaptureFixture):
        server = FakeServer()
        server.fail("POST", delay_reply_s=50)
        server.fail("DELETE", times=9, **status(403, "Forbidden", "no deleting here"))
        with anyio.move_on_after(2):
            await launcher(server).launch(plan())
        (message,) = caplog.messages
        assert message.startswith(f"pod default/{plan().name} of a failed launch is left behind: ")
        assert "no deleting here" in message


class TestDelete:
    async def test_it_is_tried_again_and_says_whether_it_was_there(self):
        server = FakeServer()
        made = server.put("a")
        server.fail("DELETE", times=2, **status(503, "ServiceUnavailable"))
        at_work = launcher(server)
        answer = await at_work.delete("default", "a", uid=made["metadata"]["uid"])
        assert (answer.found, answer.repeated) == (True, True)
        assert not await at_work.delete("default", "a")

    @pytest.mark.parametrize(("failures", "repeated"), [(0, False), (1, True)])
    async def test_the_answer_has_the_pod_and_says_whether_an_earlier_request_may_have_done_it(
        self, failures: int, *, repeated: bool
    ):
        """What the pod shows after a repeated deletion may have come after the first request."""
        server = FakeServer()
        server.put("a")
        if failures:
            server.fail("DELETE", times=failures, **status(503, "ServiceUnavailable"))
        answer = await launcher(server).delete("default", "a")
        assert answer.repeated is repeated
        assert answer.pod is not None
        assert answer.pod.metadata.name == "a"

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


_FAILURES = st.sampled_from(
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
    creates=st.lists(_FAILURES, max_size=5),
    reads=st.lists(_FAILURES, max_size=3),
    cancel_at=st.one_of(st.none(), st.floats(0, 20)),
)
def test_whatever_goes_wrong_there_is_one_pod_or_none(
    creates: list[dict[str, Any]], reads: list[dict[str, Any]], cancel_at: float | None
):
    """L1, C1: launched: exactly one pod; cancelled: none; failed: none, or one that is known unwanted."""

    async def scenario() -> None:
        server = FakeServer()
        for how in creates:
            server.fail("POST", **how)
        for how in reads:
            server.fail("GET", **how)
        at_work = launcher(server)
        result: Launched | Occupied | PodrunnerError | None = None
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

    run_in_virtual_time(scenario)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"me"', b'"ne"'),
        (b"default", b"defbult"),
        (b'"uid"', b'"uie"'),
        (b"podrunner.io/key", b"podrunner.io/kex"),
    ],
    ids=["another owner's", "another namespace", "no UID", "no key"],
)
async def test_an_answer_that_shows_another_pod_is_as_good_as_lost(old: bytes, new: bytes):
    """A byte changed on the way: the pod is looked up, and there is one."""
    server = SpoilingServer(old, new)
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    (pod,) = server.pods.values()
    assert (launched.pod.metadata.uid, launched.pod.metadata.name) == (pod["metadata"]["uid"], plan().name)
    assert (server.spoilt, server.count("POST")) == (1, 1)


async def test_one_look_does_not_make_our_pod_anothers():
    """The answer to the create was lost, and the pod was changed on the way when it was looked up."""
    server = SpoilingServer(b"podrunner.io/key", b"podrunner.io/kex", method="GET")
    server.fail("POST", lose_reply=True)
    launched = await launcher(server).launch(plan())
    assert isinstance(launched, Launched)
    assert (server.spoilt, server.count("POST")) == (1, 1)


class SpoilingServer(FakeServer):
    """Changes bytes of one answer on the way."""

    def __init__(self, old: bytes, new: bytes, *, method: str = "POST") -> None:
        super().__init__()
        self._bytes = (old, new)
        self._method = method
        self.spoilt = 0

    async def request(self, request: Request) -> Response:
        answer = await super().request(request)
        if request.method == self._method and not self.spoilt:
            self.spoilt += 1
            assert self._bytes[0] in answer.body
            answer = Response(answer.status, answer.headers, answer.body.replace(*self._bytes))
        return answer

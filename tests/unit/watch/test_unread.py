"""A byte that changes on the way costs no pod its end: an event that is no JSON, another UID, a list of other pods."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import anyio
import pytest
from podrunner.watch import Kind
from podrunner.watch.unread import is_plausible
from tests.support.fake_server import FakeServer
from tests.support.pods import ended, pod, runs, waits
from tests.unit.watch.harness import Watched, soon, watching

if TYPE_CHECKING:
    from podrunner.outcome.record import Pod

pytestmark = pytest.mark.anyio

RUNNING = {"phase": "Running", "containerStatuses": [{"name": "base", "state": {"running": {}}}]}
ENDED = {
    "phase": "Failed",
    "containerStatuses": [{"name": "base", "state": {"terminated": {"exitCode": 3}}}],
}


def ours(pod: Pod) -> bool:
    """Whether a pod is ours, as a runner decides it."""
    return (pod.metadata.labels or {}).get("app") == "x" and bool((pod.metadata.annotations or {}).get("own"))


def put(server: FakeServer, name: str) -> dict[str, Any]:
    pod = server.put(name, status=RUNNING)
    return server.change(pod["metadata"]["name"], metadata={"annotations": {"own": "yes"}})


def end_spoilt(server: FakeServer, name: str, old: bytes, new: bytes) -> None:
    """Let a pod end; the event of it has other bytes on the way."""
    server.muted = True
    pod = server.change(name, status=ENDED)
    server.muted = False
    line = json.dumps({"type": "MODIFIED", "object": pod}).encode() + b"\n"
    spoilt = line.replace(old, new, 1)
    assert spoilt != line, "there is something to spoil"
    for stream in server.watches:
        stream.push(spoilt)


@pytest.mark.parametrize(
    ("record", "plausible"),
    [
        (pod("Pending", waits("base", "ContainerCreating")), True),
        (pod("Pending", runs("base")), False),
        (pod("Pending", ended("base", 3)), False),
        (pod("Pending"), False),
    ],
)
def test_a_phase_goes_back_only_with_its_containers(record: Pod, *, plausible: bool):
    """P10: a kubelet that lost a container begins anew; a phase that was lost on the way reads as Pending."""
    assert is_plausible(record, pod("Running", runs("base"))) is plausible


def phases(watched: Watched) -> dict[str, str]:
    return {pod.metadata.name: pod.status.phase for pod in watched.reflector.store}


def exit_code(pod: Pod) -> int | None:
    (status,) = pod.status.container_statuses or ()
    return None if status.state.terminated is None else status.state.terminated.exit_code


def forget(server: FakeServer) -> None:
    """Let the watch end, and its version be too old: a list follows."""
    server.muted = True
    server.put("another", labels={"app": "y"})
    server.muted = False
    server.compact()
    server.end_watches()


SPOILT = {
    "no JSON": (b'{"type"', b'{"type:'),
    "another type": (b"MODIFIED", b"MODIFHED"),
    "the type's key": (b'"type"', b'"tyqe"'),
    "another UID": (b'"uid-1"', b'"uid-9"'),
    "the UID's key": (b'"uid"', b'"uie"'),
    "another name": (b'"name": "a"', b'"name": "c"'),
    "another phase": (b"Failed", b"Fahled"),
    "the phase's key": (b'"phase"', b'"phbse"'),
    "the status's key": (b'"status"', b'"stbtus"'),
    "the containers' key": (b"containerStatuses", b"conuainerStatuses"),
    "another container": (b'[{"name": "base", "state"', b'[{"name": "bare", "state"'),
    "the end's key": (b'"terminated"', b'"terminbted"'),
    "another owner's": (b'"own"', b'"owm"'),
    "a line feed lost": (b"}\n", b"} "),
}


@pytest.mark.parametrize(("old", "new"), SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("followed", [True, False], ids=["followed", "the last"])
async def test_an_event_that_cannot_be_true_is_asked_for_again(old: bytes, new: bytes, *, followed: bool):
    """The end of a pod is seen though its event was spoilt, and others followed: by the watch, without a list."""
    server = FakeServer()
    put(server, "a")
    put(server, "b")
    async with watching(server, accept=ours) as watched:
        server.phase("b", "Running", message="the watch is proven")
        await soon()
        end_spoilt(server, "a", old, new)
        if followed:
            server.phase("b", "Succeeded")
        is_silent = (
            not followed and new == b"} "
        )  # half an event, and then nothing: as a connection that is dead
        await anyio.sleep(400 if is_silent else 5)
        assert phases(watched) == {"a": "Failed", "b": "Succeeded" if followed else "Running"}
        assert watched.known == watched.truth
        assert is_silent or watched.reflector.health().relists == 0
        assert watched.of(Kind.VANISHED, Kind.DELETED, Kind.LEFT) == []


@pytest.mark.parametrize("version", ["9999", "0x5"], ids=["in the future", "no number"])
async def test_a_version_that_was_spoilt_does_not_stop_the_watch(version: str):
    """The next watch would begin at a version that does not exist: what the server says to that leads to a list."""
    server = FakeServer()
    put(server, "a")
    put(server, "b")
    async with watching(server, accept=ours) as watched:
        true = server.pods["default", "a"]["metadata"]["resourceVersion"]
        server.muted = True
        pod = server.phase("a", "Running", message="x")
        server.muted = False
        spoilt = {**pod, "metadata": {**pod["metadata"], "resourceVersion": version}}
        server.watches[0].send("MODIFIED", spoilt)
        await soon()
        server.fail("GET", f"resourceVersion={version}", times=1000, status=400)
        server.end_watches()
        await anyio.sleep(1)
        server.change("a", status=ENDED)
        await anyio.sleep(60)
        assert true != watched.known[pod["metadata"]["uid"]]
        assert watched.known == watched.truth
        assert phases(watched)["a"] == "Failed"


async def test_an_object_that_is_unreadable_for_good_costs_few_requests():
    """Its events are asked for again some times, then a list follows, and the others are not kept waiting."""
    server = FakeServer()
    put(server, "a")
    async with watching(server, accept=ours) as watched:
        server.phase("a", "Running", message="the watch is proven")
        server.put("bad", status={"phase": 5})
        await anyio.sleep(60)
        server.change("a", status=ENDED)
        await soon()
        assert phases(watched) == {"a": "Failed"}
        assert watched.reflector.health().relists == 1
        assert server.count("GET", "watch=true") == 7
        await anyio.sleep(3600)
        assert len(server.requests) < 80


async def test_a_list_corrects_a_record_that_was_spoilt_under_its_own_version():
    server = FakeServer()
    put(server, "a")
    async with watching(server, accept=ours) as watched:
        end_spoilt(server, "a", b'"exitCode": 3', b'"exitCode": 2')
        await soon()
        forget(server)
        await anyio.sleep(60)
        assert watched.known == watched.truth
        codes = [exit_code(o.pod) for o in watched.reported if o.pod.metadata.name == "a"]
        assert codes[-2:] == [2, 3]


def spoil_list(server: FakeServer, old: bytes, new: bytes) -> None:
    """Answer the next list with other bytes."""
    pods = [*server.pods.values()]
    meta = {"resourceVersion": str(server.version)}
    body = json.dumps({"kind": "PodList", "metadata": meta, "items": pods}).encode()
    assert old in body
    server.fail("GET", "limit=", status=200, body=body.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'"uid-1"', b'"uid-7"'), (b'"own"', b'"owm"'), (b'"uid"', b'"uie"'), (b'"Failed"', b'"Fahled"')],
    ids=["another UID", "another owner's", "no UID", "another phase"],
)
async def test_a_pod_that_a_list_shows_wrongly_is_read(old: bytes, new: bytes):
    """It is neither gone nor another runner's; its end, of which no event comes any more, is seen."""
    server = FakeServer()
    put(server, "a")
    put(server, "b")
    async with watching(server, accept=ours) as watched:
        server.muted = True
        server.change("a", status=ENDED)
        server.muted = False
        server.compact()
        spoil_list(server, old, new)
        server.end_watches()
        await anyio.sleep(60)
        assert watched.of(Kind.VANISHED, Kind.DELETED, Kind.LEFT) == []
        assert phases(watched)["a"] == "Failed"
        assert [o.pod.status.phase for o in watched.reported if o.pod.metadata.uid == "uid-1"][-1] == "Failed"


@pytest.mark.parametrize(("old", "new"), [(b'"own"', b'"owm"'), (b'"uid-1"', b'"uid-7"')])
async def test_one_answer_does_not_make_a_pod_anothers_nor_gone(old: bytes, new: bytes):
    server = FakeServer()
    put(server, "a")
    async with watching(server, accept=ours) as watched:
        body = json.dumps(server.pods["default", "a"]).encode()
        server.fail("GET", "/pods/a", status=200, body=body.replace(old, new, 1))
        spoil_list(server, b'"uid-1"', b'"uid-5"')
        forget(server)
        await anyio.sleep(60)
        kinds = {o.kind for o in watched.reported if o.pod.metadata.uid == "uid-1"}
        assert kinds <= {Kind.ADDED, Kind.MODIFIED}
        assert "uid-1" in watched.known


async def test_a_pod_that_another_runner_took_over_has_left():
    """The same reads still tell the truth of one that is not ours any more."""
    server = FakeServer()
    put(server, "a")
    async with watching(server, accept=ours) as watched:
        server.change("a", metadata={"labels": {"app": "y"}})
        await anyio.sleep(5)
        assert watched.of(Kind.LEFT) == ["a"]


async def test_a_long_list_that_is_spoilt_is_had_in_smaller_pages():
    server = FakeServer()
    for number in range(40):
        put(server, f"p{number}")
        server.change(f"p{number}", metadata={"annotations": {"own": "x" * 1000}})
    async with watching(server, accept=ours) as watched:
        server.fail("GET", "limit=500", status=200, body=b'{"items": [' + b"x" * 40_000, times=1000)
        server.fail("GET", "limit=250", status=200, body=b'{"items": [' + b"x" * 20_000, times=1000)
        forget(server)
        await anyio.sleep(60)
        assert watched.reflector.health().relists == 1
        assert watched.known == watched.truth

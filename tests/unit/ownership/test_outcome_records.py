"""What is written to a pod about its end: by one request each, to this pod only, and honestly answered."""

from __future__ import annotations

import dataclasses
import json
import logging
from typing import Any

import anyio
import pytest
from podrunner.builder.labels import OUTCOME, OUTCOME_FINALIZER, REPORTED, VERDICT
from podrunner.config import RetrySettings
from podrunner.errors import OwnershipError
from podrunner.kube.retry import RequestRetry
from podrunner.outcome import Category, Fault, Outcome
from podrunner.ownership import (
    PodWrite,
    WriteStatus,
    bears_finalizer,
    is_reported,
    mark_reported,
    release_finalizer,
    stored_outcome,
    stored_verdict,
    write_outcome,
    write_verdict,
)
from tests.support.event_loops import both_in_virtual_time
from tests.support.fake_server import FakeServer

pytestmark = pytest.mark.anyio
anyio_backend = both_in_virtual_time

OUTCOME_1 = Outcome(
    category=Category.EVICTED, fault=Fault.INFRASTRUCTURE, started=True, retryable=True, reason="Evicted"
)
HOW: dict[str, Any] = {"policy": RequestRetry.of(RetrySettings())}
MINE = "example.com/mine"


@pytest.fixture
async def server() -> FakeServer:
    server = FakeServer()
    server.put("p", metadata={"name": "p", "labels": {"app": "x"}, "annotations": {"a": "b"}})
    server.hold("p", MINE)
    server.hold("p", OUTCOME_FINALIZER)
    return server


async def read(server: FakeServer):
    return await server.client().read_pod("default", "p")


def patches(server: FakeServer) -> int:
    return server.count("PATCH", "/pods/p")


async def test_the_mark_and_the_outcome_are_one_request(server):
    pod = await read(server)
    answer = await mark_reported(server.client(), pod, OUTCOME_1, **HOW)
    marked = await read(server)
    assert answer == PodWrite(WriteStatus.WRITTEN, marked)
    assert is_reported(marked)
    assert not is_reported(pod)
    assert marked.metadata.annotations[REPORTED] == "evicted"
    assert marked.metadata.annotations["a"] == "b"
    assert stored_outcome(marked) == OUTCOME_1
    assert bears_finalizer(marked)
    assert patches(server) == 1


async def test_the_mark_releases_the_pod_by_the_same_request(server):
    answer = await mark_reported(server.client(), await read(server), OUTCOME_1, release=True, **HOW)
    marked = await read(server)
    assert answer.is_written
    assert is_reported(marked)
    assert marked.metadata.finalizers == [MINE]
    assert patches(server) == 1


async def test_a_termination_message_is_read_back_whole(server):
    message = "m" * 4096
    ended = {"exitCode": 3, "message": message}
    server.phase("p", "Failed", containerStatuses=[{"name": "base", "state": {"terminated": ended}}])
    outcome = dataclasses.replace(OUTCOME_1, termination_message=message)
    await write_outcome(server.client(), await read(server), outcome, **HOW)
    assert stored_outcome(await read(server)) == outcome


async def test_an_outcome_is_no_mark(server):
    await write_outcome(server.client(), await read(server), OUTCOME_1, **HOW)
    written = await read(server)
    assert stored_outcome(written) == OUTCOME_1
    assert stored_verdict(written) is None
    assert not is_reported(written)
    assert set(written.metadata.annotations) == {"a", OUTCOME}


@pytest.mark.parametrize("end_by_deadline", [True, False])
async def test_a_verdict_ends_the_pod_only_if_asked_to(server, end_by_deadline):
    pod = await read(server)
    answer = await write_verdict(server.client(), pod, OUTCOME_1, end_by_deadline=end_by_deadline, **HOW)
    written = await read(server)
    assert answer.pod == written
    assert stored_verdict(written) == OUTCOME_1
    assert stored_outcome(written) is None
    assert set(written.metadata.annotations) == {"a", VERDICT}
    assert written.spec.active_deadline_seconds == (1 if end_by_deadline else None)
    assert patches(server) == 1


async def test_a_release_leaves_the_users_finalizers(server):
    await release_finalizer(server.client(), await read(server), **HOW)
    assert (await read(server)).metadata.finalizers == [MINE]
    assert (await release_finalizer(server.client(), await read(server), **HOW)).is_written


async def test_a_release_lets_a_deleted_pod_go(server):
    server.release("p", MINE)
    server.remove("p")
    pod = await read(server)
    assert (await release_finalizer(server.client(), pod, **HOW)).is_written
    assert server.pods == {}


def writes(pod, server, **how):
    """Each write, begun but not awaited."""
    client, how = server.client(), {**HOW, **how}
    return {
        "mark": lambda: mark_reported(client, pod, OUTCOME_1, **how),
        "release": lambda: mark_reported(client, pod, OUTCOME_1, release=True, **how),
        "outcome": lambda: write_outcome(client, pod, OUTCOME_1, **how),
        "verdict": lambda: write_verdict(client, pod, OUTCOME_1, end_by_deadline=True, **how),
        "finalizer": lambda: release_finalizer(client, pod, **how),
    }


WRITES = ["mark", "release", "outcome", "verdict", "finalizer"]


@pytest.mark.parametrize("write", WRITES)
async def test_a_pod_that_is_gone_is_no_error(server, write, caplog):
    pod = await read(server)
    for finalizer in (MINE, OUTCOME_FINALIZER):
        server.release("p", finalizer)
    server.remove("p")
    assert await writes(pod, server)[write]() == PodWrite(WriteStatus.GONE, None)
    assert caplog.records == []


@pytest.mark.parametrize("write", WRITES)
async def test_another_pod_of_that_name_is_not_written_to(server, write):
    pod = await read(server)
    for finalizer in (MINE, OUTCOME_FINALIZER):
        server.release("p", finalizer)
    server.remove("p")
    server.put("p")
    other = await read(server)
    assert await writes(pod, server)[write]() == PodWrite(WriteStatus.GONE, None)
    assert await read(server) == other


@pytest.mark.parametrize("write", WRITES)
async def test_a_server_that_knows_the_uid_as_a_precondition_says_the_same(server, write):
    words = (
        "StorageError: invalid object: Precondition failed: UID in precondition: u1, UID in object meta: u2"
    )
    server.fail("PATCH", status=409, body=status(409, "Conflict", words))
    assert await writes(await read(server), server)[write]() == PodWrite(WriteStatus.GONE, None)
    assert patches(server) == 1


def status(code: int, reason: str, message: str) -> bytes:
    return json.dumps({"kind": "Status", "code": code, "reason": reason, "message": message}).encode()


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize(("code", "reason"), [(403, "Forbidden"), (422, "Invalid")])
async def test_a_refusal_is_reported_and_not_repeated(server, write, code, reason, caplog):
    words = 'Pod "fluid" is invalid: no'
    server.fail("PATCH", status=code, body=status(code, reason, words), times=9)
    assert await writes(await read(server), server)[write]() == PodWrite(WriteStatus.REFUSED, None)
    assert patches(server) == 1
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "pod default/p was not " in record.message
    assert words in record.message


@pytest.mark.parametrize("write", WRITES)
async def test_a_runner_that_may_not_act_sends_nothing(server, write):
    def refuse() -> None:
        raise OwnershipError("lost", namespace="default", name="p")

    pod = await read(server)
    assert await writes(pod, server, before_send=refuse)[write]() == PodWrite(WriteStatus.FENCED, None)
    assert await read(server) == pod


async def test_the_fence_is_asked_before_each_try(server):
    server.fail("PATCH", status=503, times=1)
    asked = []

    def fence() -> None:
        asked.append(len(asked))
        if len(asked) == 2:
            raise OwnershipError("lost", namespace="default", name="p")

    pod = await read(server)
    answer = await write_outcome(server.client(), pod, OUTCOME_1, before_send=fence, **HOW)
    assert answer.status is WriteStatus.FENCED
    assert patches(server) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_lost_answer_is_asked_for_again(server, write):
    server.fail("PATCH", lose_reply=True, times=2)
    answer = await writes(await read(server), server)[write]()
    assert answer == PodWrite(WriteStatus.WRITTEN, await read(server), repeated=True)


@pytest.mark.parametrize("write", WRITES)
async def test_a_server_that_is_gone_is_waited_for_a_bounded_time(server, write, caplog):
    pod = await read(server)
    server.fail("PATCH", refuse=True, times=10_000)
    began = anyio.current_time()
    assert await writes(pod, server)[write]() == PodWrite(WriteStatus.FAILED, None)
    assert anyio.current_time() - began <= 10
    assert [record.levelno for record in caplog.records if "was not" in record.message] == [logging.WARNING]


async def test_a_slow_server_is_waited_for_as_long_as_said(server, caplog):
    pod = await read(server)
    server.fail("PATCH", delay_s=20)
    began = anyio.current_time()
    answer = await write_outcome(server.client(), pod, OUTCOME_1, within_s=3, **HOW)
    assert answer.status is WriteStatus.FAILED
    assert anyio.current_time() - began == 3
    assert "no answer within 3 s" in caplog.text


async def test_a_pod_that_changes_all_the_time_is_tried_again(server):
    words = 'Operation cannot be fulfilled on pods "p": the object has been modified'
    server.fail("PATCH", status=409, body=status(409, "Conflict", words), times=4)
    assert (await write_outcome(server.client(), await read(server), OUTCOME_1, **HOW)).is_written
    server.fail("PATCH", status=409, body=status(409, "Conflict", words), times=5)
    answer = await write_outcome(server.client(), await read(server), OUTCOME_1, **HOW)
    assert answer.status is WriteStatus.REFUSED


async def test_a_copy_of_a_pod_does_not_have_its_records(server):
    """A backup that restores pods, or ``kubectl create`` of one's YAML."""
    await write_outcome(server.client(), await read(server), OUTCOME_1, **HOW)
    copied = (await read(server)).metadata.annotations
    server.put("copy", metadata={"name": "copy", "labels": {"app": "x"}, "annotations": copied})
    copy = await server.client().read_pod("default", "copy")
    assert OUTCOME in copy.metadata.annotations
    assert stored_outcome(copy) is None

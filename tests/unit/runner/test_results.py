"""A workload's result: read whole before its pod goes, or missing with a reason; it decides nothing."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
from podrunner.outcome import Category
from tests.unit.runner.harness import Cluster, FakeCommand, running, until, workload

pytestmark = pytest.mark.anyio

PATH = "/airflow/xcom/return.json"
RUNS = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
WAITS = {"waiting": {"reason": "ContainerCreating"}}
SECRET = '{"token": "hunter2"}'


def ended(exit_code: int = 0) -> dict[str, Any]:
    times = {"startedAt": "2026-01-01T00:00:00Z", "finishedAt": "2026-01-01T00:00:01Z"}
    return {"terminated": {"exitCode": exit_code, "reason": "Completed", **times}}


def end_main(cluster: Cluster, name: str, exit_code: int = 0, *, beside: dict[str, Any] = RUNS) -> None:
    """The main container ends, and the one beside it is as given."""
    cluster.tell(name, "Running", **{"base": ended(exit_code), "podrunner-result": beside})


def file(text: str) -> FakeCommand:
    """What the read prints of a file: its length, and the text in two pieces."""
    data = text.encode()
    return FakeCommand(b"%d\n" % len(data), data[:3], data[3:])


async def test_the_result_comes_with_the_outcome_and_then_the_pod_goes(cluster: Cluster):
    """The file is read in the container that still runs."""
    cluster.on_exec = lambda _: file('{"rows": 3}')
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        cluster.run(pod.name)
        end_main(cluster, pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.result, outcome.result_error) == (
            Category.SUCCEEDED,
            '{"rows": 3}',
            None,
        )
        (command,) = cluster.commands
        assert (command["container"], command["command"][-1]) == ("podrunner-result", PATH)
        await until(lambda: not cluster.pods)


async def test_an_empty_file_is_a_result(cluster: Cluster):
    cluster.on_exec = lambda _: FakeCommand(b"0\n")
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name)
        outcome = await pod.wait(5)
        assert (outcome.result, outcome.result_error) == ("", None)


async def test_who_names_no_result_is_asked_for_none(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload())
        cluster.play(pod.name)
        outcome = await pod.wait(5)
        assert (outcome.result, outcome.result_error, cluster.commands) == (None, None, [])


async def test_a_failure_has_no_result(cluster: Cluster):
    """What a failed program left may be half of it."""
    async with running(cluster, delete_pods=False) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name, exit_code=3)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.result, outcome.result_error) == (Category.FAILED, None, None)
        assert cluster.commands == []
        await until(lambda: not cluster.pods)  # it would run on without an owner, whatever the policy


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (FakeCommand(exit_code=44), "left no such file"),
        (FakeCommand(stderr=b"wc: /x: Permission denied\n", exit_code=1), "wc: /x: Permission denied"),
        (FakeCommand(b"1048577\n", hangs=True, exit_code=None), "larger than 1048576 bytes"),
        (FakeCommand(b"1\n", *[bytes(32 * 1024)] * 40), "larger than 1048576 bytes"),
        (FakeCommand(b"1\n", b"\xff"), "not UTF-8"),
    ],
)
async def test_what_cannot_be_read_is_said_and_changes_nothing(
    cluster: Cluster, command: FakeCommand, why: str
):
    """One look is enough. A success stays one."""
    cluster.on_exec = lambda _: command
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.result) == (Category.SUCCEEDED, None)
        assert outcome.result_error is not None
        assert why in outcome.result_error
        assert PATH in outcome.result_error
        assert len(cluster.commands) == 1


@pytest.mark.parametrize(
    "broken",
    [
        FakeCommand(b"11\n", b'{"ro', exit_code=None),
        FakeCommand(b"11\n", b'{"ro'),
        FakeCommand(),
    ],
)
async def test_a_text_that_came_in_part_is_read_again(cluster: Cluster, broken: FakeCommand):
    """A connection may end in good order, and too early."""
    answers = [broken, file('{"rows": 3}')]
    cluster.on_exec = lambda _: answers.pop(0)
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name)
        assert (await pod.wait(5)).result == '{"rows": 3}'
        assert answers == []


async def test_a_server_in_trouble_is_asked_again_but_one_that_refuses_is_not(cluster: Cluster):
    cluster.on_exec = lambda _: file("yes")
    async with running(cluster) as runner:
        first, second = [await runner.launch(workload(number, result_path=PATH)) for number in (1, 2)]
        cluster.fail("GET", "/exec", status=500, times=2)
        end_main(cluster, first.name)
        assert (await first.wait(5)).result == "yes"
        cluster.fail("GET", "/exec", status=403)
        end_main(cluster, second.name)
        outcome = await second.wait(5)
        assert outcome.result_error is not None
        assert "403" in outcome.result_error
        assert len(cluster.commands) == 1


async def test_a_second_container_that_starts_late_is_waited_for(cluster: Cluster):
    """A short program ends before it runs."""
    cluster.on_exec = lambda _: file("yes")
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name, beside=WAITS)
        await anyio.sleep(0.05)
        assert (pod.outcome, cluster.commands) == (None, [])
        end_main(cluster, pod.name)
        assert (await pod.wait(5)).result == "yes"


@pytest.mark.parametrize("beside", [ended(143), WAITS])
async def test_a_pod_that_ended_before_the_look_says_so(cluster: Cluster, beside: dict[str, Any]):
    """The drain of the node was faster."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        cluster.tell(pod.name, "Succeeded", **{"base": ended(), "podrunner-result": beside})
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.result) == (Category.SUCCEEDED, None)
        assert "has ended" in str(outcome.result_error)


async def test_a_pod_that_vanishes_before_the_look_says_so(cluster: Cluster):
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name, beside=WAITS)
        await anyio.sleep(0.05)
        cluster.remove(pod.name)
        outcome = await pod.wait(5)
        assert (outcome.category, outcome.result) == (Category.SUCCEEDED, None)
        assert "the pod is gone" in str(outcome.result_error)


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_a_second_container_that_never_starts_is_said(cluster: Cluster):
    """Its image may be a wrong one. In virtual time."""
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name, beside=WAITS)
        outcome = await pod.wait(61)
        assert outcome.succeeded
        assert "podrunner-result did not start within 60 s" in str(outcome.result_error)
        await until(lambda: not cluster.pods)


@pytest.mark.parametrize("anyio_backend", ["trio"], indirect=True)
async def test_a_connection_that_hangs_holds_the_outcome_up_for_a_minute_at_most(cluster: Cluster):
    cluster.on_exec = lambda _: FakeCommand(b"11\n", hangs=True, exit_code=None)
    async with running(cluster, retry={"attempts": 0}) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name)
        outcome = await pod.wait(61)
        assert outcome.succeeded
        assert "within 60 s" in str(outcome.result_error)
        assert len(cluster.commands) > 1


async def test_a_successor_reads_the_result_too(cluster: Cluster):
    """The pod itself says where its result lies."""
    cluster.on_exec = lambda _: file("yes")
    async with running(cluster, owner="first") as runner:
        left = await runner.launch(workload(result_path=PATH))
        cluster.run(left.name)
    end_main(cluster, left.name)
    async with running(cluster, owner="second") as runner:
        (pod,) = await runner.adopt()
        assert (await pod.wait(5)).result == "yes"


async def test_a_result_is_in_the_outcome_alone(cluster: Cluster, caplog: pytest.LogCaptureFixture):
    """It may be secret."""
    caplog.set_level(logging.DEBUG)
    cluster.on_exec = lambda _: file(SECRET)
    async with running(cluster) as runner:
        pod = await runner.launch(workload(result_path=PATH))
        end_main(cluster, pod.name)
        outcome = await pod.wait(5)
        await until(lambda: not cluster.pods)
        assert outcome.to_dict()["result"] == SECRET
        said = [repr(outcome), str(outcome), caplog.text]
        for event in runner.poll_events():
            said += [repr(event), str(event), event.message]
        assert not any("hunter2" in text for text in said)

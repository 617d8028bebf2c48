"""Hooks look on: they see everything once, disturb nothing, deliver nothing, and cost nothing where there are none."""

from __future__ import annotations

import logging
import sys
from collections import Counter
from contextlib import asynccontextmanager
from itertools import pairwise
from random import Random

import pytest
from podrunner.errors import UsageError
from podrunner.outcome import Category
from podrunner.runner import AsyncPodRunner, EventKind, RetryPolicy, RunnerHooks, hooks
from tests.support.fake_server import Fault
from tests.unit.runner.harness import Cluster, configured, read_events, until, workload

pytestmark = pytest.mark.anyio


class Recorder(RunnerHooks):
    """Keeps whatever it is called with."""

    def __init__(self) -> None:
        self.opened, self.closed, self.events, self.moves = [], [], [], []
        self.ends, self.requests, self.retries, self.logs = [], [], [], []
        self.env: dict[str, str] = {}

    def on_open(self, runner):
        self.opened.append(runner)

    def on_close(self, runner):
        self.closed.append(runner)

    def on_event(self, event):
        self.events.append(event)

    def on_move(self, move):
        self.moves.append(move)

    def on_run_end(self, end):
        self.ends.append(end)

    def on_request(self, request):
        self.requests.append(request)

    def on_retry(self, retried):
        self.retries.append(retried)

    def on_log(self, read):
        self.logs.append(read)

    def pod_env(self, key, namespace, name):
        return self.env


class Failing(RunnerHooks):
    """Raises whenever it is called."""

    def on_event(self, event):
        raise RuntimeError("of a hook")

    def on_move(self, move):
        raise RuntimeError("of a hook")

    def pod_env(self, key, namespace, name):
        raise RuntimeError("of a hook")


@asynccontextmanager
async def hooked(cluster: Cluster, *given: RunnerHooks, log_sinks=None, **settings):
    runner = AsyncPodRunner(
        configured(**settings),
        client=cluster.client(),
        on_exit="detach",
        random=Random(1),
        hooks=given,
        log_sinks=log_sinks,
    )
    async with runner:
        await runner.wait_synced()
        yield runner


async def test_a_hook_sees_each_step_of_a_pod(cluster: Cluster):
    hook = Recorder()
    async with hooked(cluster, hook) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.uid)
        cluster.play(pod.name)
        assert (await pod.wait(5)).succeeded
        await until(lambda: read_events(runner) and not cluster.pods)
        await until(lambda: hook.moves[-1].state == "Finished")
        assert hook.opened[0].health().pods <= 1
        assert not hook.closed
    assert [(move.before, move.state) for move in hook.moves][:3] == [
        ("New", "Queued"),
        ("Queued", "Creating"),
        ("Creating", "Active"),
    ]
    assert [event.outcome.category for event in hook.events if event.outcome] == [Category.SUCCEEDED]
    asked = Counter((request.verb, request.resource, request.code) for request in hook.requests)
    assert asked["create", "pods", 201] == asked["delete", "pods", 200] == 1
    assert hook.closed == hook.opened


async def test_a_hook_delivers_no_outcome(cluster: Cluster):
    """Its pod stays until a reader took the outcome."""
    hook = Recorder()
    async with hooked(cluster, hook) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.uid)
        cluster.play(pod.name)
        await until(lambda: any(event.outcome for event in hook.events))
        await until(lambda: hook.moves[-1].state == "Undelivered")
        assert runner.health().undelivered == 1
        await until(lambda: read_events(runner) and not cluster.pods)


async def test_a_hook_that_reads_the_handle_takes_the_outcome_and_the_pod_goes_its_way(cluster: Cluster):
    """The handle is the program's own: it is read while the pod moves, and the pod is deleted as ever."""

    class Reads(Recorder):
        def on_event(self, event):
            super().on_event(event)
            assert event.outcome is None or event.pod.outcome == event.outcome

    hook = Reads()
    async with hooked(cluster, hook) as runner:
        pod = runner.submit(workload())
        await until(lambda: pod.uid)
        cluster.play(pod.name)
        await until(lambda: not cluster.pods and hook.moves[-1].state == "Finished")
        assert runner.health().undelivered == 0
    assert [event.kind for event in hook.events if event.outcome] == [EventKind.FINISHED]
    assert all(after.before == move.state for move, after in pairwise(hook.moves))


async def test_an_exception_of_a_hook_is_logged_once_and_changes_nothing(cluster: Cluster, caplog):
    other = Recorder()
    with caplog.at_level(logging.ERROR):
        async with hooked(cluster, Failing(), other) as runner:
            for number in range(2):
                pod = runner.submit(workload(number))
                await until(lambda pod=pod: pod.uid)
                cluster.play(pod.name)
                assert (await pod.wait(5)).succeeded
    said = [record.getMessage() for record in caplog.records]
    assert sorted(text.partition(";")[0] for text in said) == [
        f"hook Failing.{name} failed" for name in ("on_event", "on_move", "pod_env")
    ]
    assert sum(event.outcome is not None for event in other.events) == 2


async def test_a_run_ends_once_with_all_its_tries(cluster: Cluster):
    hook = Recorder()
    policy = RetryPolicy(attempts=2, wait=0.01, retry_if=lambda _: True)
    async with hooked(cluster, hook) as runner:
        run = runner.run(workload(), retry=policy)
        for number in range(2):
            await until(lambda number=number: len(run.pods) > number and run.pods[number].uid)
            cluster.play(run.pods[number].name, exit_code=1)
        await run.wait(5)
    assert [(end.key, end.outcome.category, end.tries) for end in hook.ends] == [
        (workload().key, Category.FAILED, 2)
    ]
    assert [event.will_retry for event in hook.events if event.outcome] == [True, False]


async def test_a_request_that_is_sent_again_says_why(cluster: Cluster):
    hook = Recorder()
    async with hooked(cluster, hook) as runner:
        cluster.faults.append(Fault(lambda request: request.method == "POST", status=503))
        await runner.launch(workload())
    assert [retried.cause for retried in hook.retries] == ["server"]
    codes = [request.code for request in hook.requests if request.verb == "create"]
    assert codes == [503, 201]


async def test_variables_of_hooks_leave_name_and_hash(cluster: Cluster):
    """A successor that launches the attempt again finds the pod by its name, and takes it for the same workload."""
    plain, hook = Cluster(), Recorder()
    hook.env = {"TRACEPARENT": "00-1-2-01", "MINE": "hook's", "PRICE": "$(MINE)"}
    given = workload(env={"MINE": "own"})
    async with hooked(plain) as runner:
        name = (await runner.launch(given)).name
    async with hooked(cluster, hook) as runner:
        assert (await runner.launch(given)).name == name
    before, after = plain.pods["default", name], cluster.pods["default", name]
    env = after["spec"]["containers"][0]["env"]
    assert env == [
        {"name": "TRACEPARENT", "value": "00-1-2-01"},
        {"name": "PRICE", "value": "$$(MINE)"},
        {"name": "MINE", "value": "own"},
    ]
    assert after["metadata"]["annotations"]["podrunner.io/traceparent"] == "00-1-2-01"
    hashes = [pod["metadata"]["annotations"]["podrunner.io/manifest-hash"] for pod in (before, after)]
    assert hashes[0] == hashes[1]


async def test_a_successor_with_another_trace_finds_the_same_pod(cluster: Cluster):
    """One launch: the pod of the attempt is taken over, and says which trace it belongs to."""
    first, second = Recorder(), Recorder()
    first.env, second.env = {"TRACEPARENT": "00-first"}, {"TRACEPARENT": "00-second"}
    async with hooked(cluster, first) as runner:
        name = (await runner.launch(workload())).name
    async with hooked(cluster, second) as runner:
        assert (await runner.launch(workload())).name == name
        assert len(cluster.pods) == 1
    adopted = next(move for move in second.moves if move.state == "Active")
    assert adopted.traceparent == "00-first"


async def test_the_plan_of_another_pod_is_left_as_it_was(cluster: Cluster):
    """The builder's parts are shared among pods."""
    hook = Recorder()
    async with hooked(cluster, hook) as runner:
        hook.env = {"ONE": "1"}
        await runner.launch(workload(1))
        hook.env = {}
        second = await runner.launch(workload(2))
    assert "env" not in cluster.pods["default", second.name]["spec"]["containers"][0]


@pytest.mark.parametrize("wrong", [object(), Recorder])
def test_what_is_no_hook_is_refused(wrong):
    with pytest.raises(UsageError, match="is no hook"):
        AsyncPodRunner(configured(), hooks=[wrong])


def test_an_asynchronous_hook_is_refused():
    class Later(RunnerHooks):
        async def on_event(self, event):
            """It would never be awaited."""

    with pytest.raises(UsageError, match=r"Later\.on_event is asynchronous"):
        AsyncPodRunner(configured(), hooks=[Later()])


async def test_without_hooks_none_of_their_code_runs(cluster: Cluster):
    """Counted: the functions of the hooks' module, and of the transport that observes, that a pod's life calls."""
    called = await _calls_of_one_life(cluster)
    assert called.total() == 0
    assert (await _calls_of_one_life(Cluster(), Recorder())).total() > 20, "the count sees the calls"


async def _calls_of_one_life(cluster: Cluster, *given: RunnerHooks) -> Counter[str]:
    rooms, called = {hooks.__file__, hooks.__file__.replace("runner/hooks", "kube/observation")}, Counter()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename in rooms:
            called[frame.f_code.co_name] += 1

    async with hooked(cluster, *given) as runner:
        sys.setprofile(note)
        try:
            pod = runner.submit(workload())
            await until(lambda: pod.uid)
            cluster.play(pod.name)
            await pod.wait(5)
            await until(lambda: read_events(runner))
        finally:
            sys.setprofile(None)
    return called

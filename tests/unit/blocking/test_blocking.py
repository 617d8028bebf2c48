"""The blocking face at work."""

from __future__ import annotations

import asyncio
import signal
import sys
import threading
import time
from collections.abc import Callable
from typing import Self

import anyio
import pytest
import trio
from podrunner.blocking import Pod, PodRunner, bridge
from podrunner.errors import CallFromEventLoopError, InvalidError, RunnerClosedError
from podrunner.outcome import Category
from tests.unit.runner.harness import configured, workload

LINE = "2024-05-01T10:20:30.000000001Z hello"


def test_the_whole_walk(cluster, opened, act):
    with opened(logs={"follow": "on-demand"}) as runner:
        pod = runner.launch(workload())
        assert (pod.phase, pod.status, pod.outcome) == ("Pending", "Pending", None)
        cluster.logs[pod.name] = [LINE]
        act(runner, cluster.play, pod.name)
        assert list(pod.logs()) == ["hello"]
        outcome = pod.wait(30)
        assert outcome.category is Category.SUCCEEDED
        runner.wait_all(30)
        assert runner.health().synced
        assert next(str(event.kind) for event in runner.poll_events() if event.is_terminal) == "finished"
        assert pod.timeline.created
        assert pod.wait() is outcome
    with pytest.raises(RunnerClosedError):
        runner.poll_events()
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_many_and_events(cluster, opened, act):
    with opened() as runner, runner.events() as events:
        batch = runner.launch_many(workload(n) for n in range(20))
        assert len(batch.launched) == 20
        assert batch[0] in runner.pods()
        act(runner, cluster.play_all)
        finished = 0
        for event in events:
            finished += event.outcome is not None
            if finished == 20:
                break
        assert events.poll(0) == []
        assert {pod.wait().category for pod in batch} == {Category.SUCCEEDED}


def test_leaving_the_events_early_loses_none(cluster, opened):
    with opened() as runner, runner.events() as events:
        runner.launch_many(workload(n) for n in range(10))
        seen = [next(iter(events)).uid for _ in range(3)]
        seen += [event.uid for event in events.next_batch(2)]
        seen += [event.uid for event in events.poll()]
        assert len(seen) == len(set(seen)) == 10


def test_handles_compare_and_tell(cluster, opened):
    with opened() as runner:
        pod = runner.submit(workload())
        assert pod == runner.submit(workload())
        assert hash(pod) == hash(runner.submit(workload()))
        assert pod.key == workload().key
        assert pod.namespace == "default"
        assert pod.log_path
        assert pod.log_status is None
        assert pod.launch_error is None
        assert repr(pod).startswith("<pod default/")
        assert runner.owner.startswith("runner-")
        runner.launch(workload())
        assert pod.uid
        assert pod.manifest()["metadata"]["name"] == pod.name
        assert runner.adopt() == []
        pod.delete()
        assert pod.wait(30).category is Category.CANCELLED


def test_log_records_and_reading_back(cluster, opened, act):
    with opened(delete_pods=False) as runner:
        pod = runner.launch(workload())
        cluster.logs[pod.name] = [LINE]
        act(runner, cluster.play, pod.name)
        with pod.logs(timestamps=True) as stream:
            assert stream.next_lines() == [LINE]
        assert [record.text for record in pod.logs().records()] == ["hello"]
        assert pod.read_log().lines == ("hello",)
        stream = pod.logs()
        assert stream.next_records()[0].text == "hello"
    stream.close()


def test_errors_come_as_they_are(cluster, opened):
    cluster.fail("POST", status=422, body=b'{"kind":"Status","reason":"Invalid","message":"bad"}')
    with opened() as runner:
        with pytest.raises(InvalidError):
            runner.launch(workload())
        with pytest.raises(TimeoutError):
            runner.launch(workload()).wait(0.01)


def test_a_body_that_fails_cancels_its_pods(cluster, opened):
    with pytest.raises(ZeroDivisionError), opened(on_exit="drain") as runner:  # noqa: PT012  # the way out
        runner.launch(workload())
        raise ZeroDivisionError
    assert not cluster.pods


def test_closing_early(cluster, opened):
    with opened() as runner:
        runner.launch(workload())
        runner.close("cancel")
        assert not cluster.pods
        with pytest.raises(RunnerClosedError):
            runner.launch(workload(2))


def test_a_runner_that_cannot_open_leaves_no_thread(cluster):
    cluster.fail(
        "POST", part="/leases", status=403, body=b'{"kind":"Status","message":"leases is forbidden"}'
    )
    cluster.leases.clear()

    class Refusing(type(cluster)):
        async def request(self, request):
            from podrunner.kube import Response

            if "/leases" in request.path:
                return Response(
                    403, {"content-type": "application/json"}, b'{"kind":"Status","message":"no leases"}'
                )
            return await super().request(request)

    with pytest.raises(Exception, match="no leases"), PodRunner(configured(), client=Refusing().client()):
        pass
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_outside_its_context_it_says_so():
    runner = PodRunner(configured())
    with pytest.raises(RunnerClosedError, match="context manager"):
        runner.health()
    runner.__exit__(None, None, None)


def test_within_an_event_loop_it_refuses(cluster, opened):
    """S2: a clear error, on asyncio and trio."""

    async def call(runner):
        runner.health()

    async def enter():
        PodRunner(configured()).__enter__()

    with opened() as runner:
        for run in (asyncio.run, trio.run):
            with pytest.raises(CallFromEventLoopError, match="AsyncPodRunner"):
                run(call(runner)) if run is asyncio.run else run(call, runner)
        with pytest.raises(CallFromEventLoopError):
            asyncio.run(enter())


def test_foreign_threads_may_call(cluster, opened):
    """S1: a pool of a scheduler's own threads."""
    with opened() as runner:
        pods = []
        threads = [
            threading.Thread(target=lambda n=n: pods.append(runner.launch(workload(n)))) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({pod.uid for pod in pods}) == 8
    assert not cluster.pods


class CtrlC:
    """Presses Ctrl-C when this thread waits for the event loop's, not a moment sooner or later, however slow both are.

    Args:
        times: How often: again when the one before was taken, and the thread waits on.
        when: What else must hold.
    """

    def __init__(self, times: int = 1, when: Callable[[], object] = lambda: True) -> None:
        self.are_taken = threading.Event()
        self._times, self._when = times, when
        self._taken = 0
        self._may_begin, self._is_over = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._press, daemon=True)

    def __enter__(self) -> Self:
        self._before = signal.signal(signal.SIGINT, self._take)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._thread.join()
        signal.signal(signal.SIGINT, self._before)

    def begin(self) -> None:
        """From now on."""
        self._may_begin.set()

    def _take(self, *_: object) -> None:
        self._taken += 1
        raise KeyboardInterrupt

    def _press(self) -> None:
        for number in range(self._times):
            while not (self._may_begin.is_set() and self._when() and self._is_waited()):
                if self._is_over.wait(0.01):
                    return
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            while self._taken == number:
                if self._is_over.wait(0.01):
                    return
        self.are_taken.set()

    def _is_waited(self) -> bool:
        """Whether the main thread waits, at the same instruction as a moment ago."""
        before = _where_it_waits()
        self._is_over.wait(0.02)
        return before is not None and before == _where_it_waits()


def _where_it_waits() -> tuple[object, int] | None:
    """The instruction at which the main thread waits for the event loop's; None: it does something else."""
    frame = top = sys._current_frames()[threading.main_thread().ident]
    while frame is not None and frame.f_code.co_filename != bridge.__file__:
        frame = frame.f_back
    is_waiting = frame is not None and top.f_code.co_filename == threading.__file__
    return (top.f_code, top.f_lasti) if is_waiting else None


def test_ctrl_c_ends_a_call_and_cancels_the_pods(cluster, opened):
    """S1: bounded, no thread and no pod is left."""
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), CtrlC() as ctrl_c, opened(on_exit="drain") as runner:  # noqa: PT012  # the way out
        pod = runner.launch(workload())
        ctrl_c.begin()
        pod.wait()
    assert time.monotonic() - began < 30
    assert not cluster.pods
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_ctrl_c_while_a_create_is_in_flight_leaves_no_pod(cluster, opened):
    """C1, S1."""
    cluster.fail("POST", delay_reply_s=30)
    with opened() as runner:
        with pytest.raises(KeyboardInterrupt), CtrlC(when=lambda: cluster.pods) as ctrl_c:  # noqa: PT012
            ctrl_c.begin()
            runner.launch(workload())
        assert not cluster.pods


def test_ctrl_c_while_leaving_cancels_what_it_waits_for(cluster, opened):
    """S1: the drain is cut short, in order."""
    with pytest.raises(KeyboardInterrupt), CtrlC() as ctrl_c, opened(on_exit="drain") as runner:  # noqa: PT012  # the way out
        runner.launch(workload())
        ctrl_c.begin()
    assert not cluster.pods
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_ctrl_c_again_and_again_while_leaving_goes_on_to_the_end(cluster, opened, monkeypatch):
    """H3: the thread ends when nothing runs any more, however often it is pressed; then it is raised, once."""
    ctrl_c, arrive = CtrlC(times=4), cluster._arrive

    async def held(request):
        while request.method == "DELETE" and "/pods" in request.path and not ctrl_c.are_taken.is_set():
            await anyio.sleep(0.01)
        return await arrive(request)

    monkeypatch.setattr(cluster, "_arrive", held)
    with pytest.raises(KeyboardInterrupt), ctrl_c, opened(on_exit="drain") as runner:  # noqa: PT012  # the way out
        runner.launch(workload())
        ctrl_c.begin()
    assert ctrl_c.are_taken.is_set()
    assert not cluster.pods
    assert not cluster.leases
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


@pytest.mark.parametrize("after_s", [0.0, 0.001, 0.01, 0.05])
def test_ctrl_c_while_it_opens_leaves_nothing(cluster, after_s: float):
    """H3: no thread, and no Lease, although the server takes its time to answer."""

    def press() -> None:
        time.sleep(after_s)
        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    cluster.fail("POST", part="/leases", delay_reply_s=5)
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012  # wherever it comes
        threading.Thread(target=press, daemon=True).start()
        with PodRunner(configured(), client=cluster.client()):
            time.sleep(60)
    assert not cluster.leases
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_a_thread_that_was_not_started_is_not_waited_for(monkeypatch, cluster):
    """H3: Ctrl-C in the instant in which it was to be."""

    def interrupt(_thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(threading.Thread, "start", interrupt)
    monkeypatch.setattr("podrunner.blocking.bridge._BEGINS_WITHIN_S", 0.01)
    runner = PodRunner(configured(), client=cluster.client())
    with pytest.raises(KeyboardInterrupt):
        runner.__enter__()


def test_what_did_not_end_is_a_note_of_ctrl_c(cluster, opened, monkeypatch):
    """H3: the names of the pods, in what is raised."""
    monkeypatch.setattr("podrunner.runner.closing._CLOSE_WITHIN_S", 0.5)
    cluster.obedient = False
    with pytest.raises(KeyboardInterrupt) as raised, CtrlC() as ctrl_c, opened(on_exit="drain") as runner:  # noqa: PT012  # the way out
        pod = runner.launch(workload())
        runner._bridge.run(cluster.run, pod.name)
        ctrl_c.begin()
    assert any(pod.name in note for note in raised.value.__notes__)
    assert not [it for it in threading.enumerate() if it.name == "podrunner"]


def test_events_carry_blocking_handles(cluster, opened, act):
    with opened() as runner, runner.events() as events:
        pod = runner.launch(workload())
        assert runner.pod(pod.key) == runner.pod(pod.uid) == pod
        act(runner, cluster.play, pod.name)
        first = next(iter(events))
        assert isinstance(first.pod, Pod)
        assert first.pod == pod
        assert first.pod.wait(30).category is Category.SUCCEEDED
        runner.wait_all(30)
        given = [*events.next_batch(), *runner.poll_events()]
        assert {type(event.pod) for event in given} == {Pod}
        finished = next(event for event in given if event.kind == "finished")
        runner.acknowledge(finished)

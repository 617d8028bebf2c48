"""Batches of the blocking face cross the threads once, and cancelling need not wait."""

from __future__ import annotations

import threading

import anyio
from podrunner.blocking import Run
from podrunner.outcome import Category
from tests.support.waiting import until_blocking
from tests.unit.runner.harness import workload


class Crossings:
    """Counts the calls of a runner that go over to its event loop."""

    def __init__(self, runner, monkeypatch):
        self.count = 0
        bridge = runner._bridge
        for name in ("call", "run"):
            monkeypatch.setattr(bridge, name, self._counted(getattr(bridge, name)))

    def _counted(self, function):
        def counted(*args, **kwargs):
            self.count += 1
            return function(*args, **kwargs)

        return counted


def test_a_batch_crosses_once(opened, monkeypatch):
    """Of 200 runs, begun one by one, each crossing had to wait for the event loop: 1.0 s of a scheduler's time."""
    with opened() as runner:
        crossings = Crossings(runner, monkeypatch)
        pods = runner.submit_many(workload(number) for number in range(20))
        runs = runner.run_many(workload(number) for number in range(20, 40))
        assert crossings.count == 2
        assert len(pods) == len(runs) == 20
        assert isinstance(runs[0], Run)
        runner.cancel_many([*pods, *runs], wait=False)
        assert crossings.count == 3
        for one in (*pods, *runs):
            assert one.wait(30).category is Category.CANCELLED


def test_cancel_and_delete_return_at_once(cluster, opened, monkeypatch):
    """While the server has not answered."""
    is_answering, arrive = threading.Event(), cluster._arrive

    async def held(request):
        while request.method == "DELETE" and not is_answering.is_set():
            await anyio.sleep(0.01)
        return await arrive(request)

    with opened() as runner:
        cancelled, deleted, run = (
            runner.launch(workload(1)),
            runner.launch(workload(2)),
            runner.run(workload(3)),
        )
        until_blocking(lambda: run.pod and run.pod.uid)
        monkeypatch.setattr(cluster, "_arrive", held)
        cancelled.cancel(wait=False)
        deleted.delete(wait=False)
        run.cancel(wait=False)
        outcomes = [one.outcome for one in (cancelled, deleted, run)]
        is_answering.set()
        assert outcomes == [None] * 3
        for one in (cancelled, deleted, run):
            assert one.wait(30).category is Category.CANCELLED

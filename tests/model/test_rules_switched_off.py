"""A rule of the code that is switched off is found: each has a counter-example, which is printed."""

from __future__ import annotations

import inspect
import textwrap
from types import FunctionType
from typing import Any

import pytest
from podrunner.launcher import Launcher
from podrunner.ownership.adoption import Adopter
from podrunner.runner import event_queue
from podrunner.runner.inputs import LogDrained, OutcomeTaken
from podrunner.runner.lifecycle import conclusion, table
from podrunner.runner.states import Delivery, Draining
from tests.model.explore import CounterExampleError, Model, explore
from tests.model.test_promises import configured

pytestmark = pytest.mark.timeout(600)


def rewritten(function: Any, old: str, new: str) -> Any:
    """Returns a function of the code with a piece of its text changed."""
    assert isinstance(function, FunctionType)
    source = textwrap.dedent(inspect.getsource(function))
    assert source.count(old) == 1, f"{old!r} is not once in {function.__qualname__}"
    names: dict[str, Any] = {}
    future = "from __future__ import annotations\n"
    exec(compile(future + source.replace(old, new), "<rewritten>", "exec"), function.__globals__, names)
    return names[function.__name__]


def found(model: Model, *, faults: int, record: Any, rule: str) -> str:
    """Returns the promise that is broken, and keeps the way there for the report."""
    with pytest.raises(CounterExampleError) as caught:
        explore(model, faults=faults)
    record("model", f"switched off: {rule}\n{caught.value}\n")
    promise: str = caught.value.promise
    return promise


def test_deleted_before_it_is_delivered(monkeypatch: pytest.MonkeyPatch, record_property):
    """H1."""
    monkeypatch.setattr(Delivery, "is_done", True)
    model = Model(configured("taken", finalizer=False))
    promise = found(
        model, faults=0, record=record_property, rule="a pod stays until its outcome is delivered"
    )
    assert promise.startswith("no outcome is lost")


def test_concluded_before_the_log_is_drained(monkeypatch: pytest.MonkeyPatch, record_property):
    def deliver(state: Draining, given: OutcomeTaken) -> Any:
        delivered = conclusion.deliver(state, given).state
        assert isinstance(delivered, Draining)
        return conclusion.conclude_drained(delivered, LogDrained())

    row = {**table.TABLE[Draining], OutcomeTaken: table.Transition(deliver)}
    monkeypatch.setattr(table, "TABLE", {**table.TABLE, Draining: row})
    model = Model(configured("acknowledged", finalizer=False))
    promise = found(model, faults=0, record=record_property, rule="a pod stays until its log is drained")
    assert promise.startswith(("every line once", "illegal input: LogDrained"))


def test_taken_as_soon_as_it_is_handed_out(monkeypatch: pytest.MonkeyPatch, record_property):
    poll = event_queue.EventQueue.poll

    def poll_and_take(queue: event_queue.EventQueue, max_events: int | None = None) -> Any:
        batch = poll(queue, max_events)
        queue._come_back()
        return batch

    monkeypatch.setattr(event_queue.EventQueue, "poll", poll_and_take)
    model = Model(configured("taken", finalizer=False))
    promise = found(model, faults=0, record=record_property, rule="taken is what a reader came back after")
    assert promise.startswith("no outcome is lost")


def test_adopted_without_compare_and_swap(monkeypatch: pytest.MonkeyPatch, record_property):
    changed = rewritten(Adopter._swap_once, "resource_version=meta.resource_version,", "")
    monkeypatch.setattr(Adopter, "_swap_once", changed)
    model = Model(configured("taken", finalizer=False), adopters=(0, 1))
    promise = found(model, faults=1, record=record_property, rule="a pod is adopted by compare-and-swap")
    assert promise.startswith(("one owner", "one launch", "no leak", "a fenced"))


def test_deleted_without_the_lease(monkeypatch: pytest.MonkeyPatch, record_property):
    """A3."""
    monkeypatch.setattr(Launcher, "_check_owner", lambda *_: None)
    model = Model(configured("taken", finalizer=False))
    promise = found(
        model, faults=1, record=record_property, rule="only who holds the Lease creates and deletes"
    )
    assert promise.startswith("a fenced runner changes nothing")


def test_an_adoption_without_the_lease(monkeypatch: pytest.MonkeyPatch, record_property):
    changed = rewritten(Adopter._swap_once, "before_send=self._before_send,", "")
    monkeypatch.setattr(Adopter, "_swap_once", changed)
    model = Model(configured("taken", finalizer=False), kinds=("pause",))
    promise = found(model, faults=2, record=record_property, rule="only who holds the Lease adopts")
    assert promise.startswith("a fenced runner changes nothing")


def test_a_launch_that_is_cancelled_does_not_look_for_its_pod(
    monkeypatch: pytest.MonkeyPatch, record_property
):
    """C2. After a lost answer it would be found all the same, as a pod that has the name of the next try."""

    async def find(*_: Any) -> None:
        return None

    monkeypatch.setattr(Launcher, "_find", find)
    model = Model(configured("taken", finalizer=False), kinds=("cancel",))
    promise = found(model, faults=1, record=record_property, rule="a cancelled launch looks for its pod")
    assert promise.startswith("no leak")


def test_what_had_not_started_is_deleted_though_it_has(monkeypatch: pytest.MonkeyPatch, record_property):
    """C2: the watch may be late."""
    changed = rewritten(Launcher.delete, "resource_version=resource_version,", "")
    monkeypatch.setattr(Launcher, "delete", changed)
    model = Model(configured("taken", finalizer=False), kinds=("cancel",))
    promise = found(
        model, faults=1, record=record_property, rule="a pod that has started is not just deleted"
    )
    assert promise.startswith(("no outcome is lost", "every line once"))

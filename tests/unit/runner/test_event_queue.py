"""What a reader of events has in hand, and when it counts as taken: the pure steps, and the queue that makes them."""

from __future__ import annotations

from collections.abc import Iterable

import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.outcome.record import Pod
from podrunner.runner import EventKind, RunnerEvent
from podrunner.runner.delivery import Deliveries, Reader, came_back, closing_counts, handed_out, left
from podrunner.runner.event_queue import EventBus, EventQueue
from podrunner.runner.inputs import Input, OutcomeTaken
from podrunner.runner.states import Draining, Removing, State, Undelivered
from podrunner.runner.tracked import TrackedPod, TrackedPods
from podrunner.workload import WorkloadKey
from tests.support.pods import ended, pod, runs
from tests.unit.runner.lives import RULES, TAKEN, active, finished, settled

# The pure steps


def test_what_is_handed_out_is_taken_when_the_reader_comes_back():
    reader = handed_out(Reader(), ["a", "b"])
    assert reader.in_hand == ("a", "b")
    assert came_back(reader) == (Reader(), ("a", "b"))
    assert came_back(Reader()) == (Reader(), ())


def test_what_is_handed_out_in_parts_is_taken_together():
    assert handed_out(handed_out(Reader(), ["a"]), iter(["b"])).in_hand == ("a", "b")


def test_a_reader_that_leaves_takes_what_it_has_in_hand_unless_it_failed():
    reader = Reader(("a",))
    assert left(reader, failed=False) == ("a",)
    assert left(reader, failed=True) == ()


@pytest.mark.parametrize(
    ("mode", "is_drain", "is_clean", "counts"),
    [
        ("taken", True, True, True),
        ("taken", True, False, False),
        ("taken", False, True, False),
        ("taken", False, False, False),
        ("acknowledged", True, True, False),
        ("acknowledged", True, False, False),
        ("acknowledged", False, True, False),
        ("acknowledged", False, False, False),
    ],
)
def test_what_closing_counts_as(mode, *, is_drain, is_clean, counts):
    assert closing_counts(mode, is_drain=is_drain, is_clean=is_clean) is counts


# The queue


def event(uid: str, kind: EventKind = EventKind.FINISHED) -> RunnerEvent:
    return RunnerEvent(kind, WorkloadKey({"n": uid or "none"}), "default", f"pod-{uid}", uid)


class Taken(list[str]):
    """Notes which outcomes were taken, in their order."""

    def __call__(self, uids: tuple[str, ...]) -> None:
        self.extend(uids)


def queue_of(*uids: str) -> tuple[EventQueue, Taken]:
    taken = Taken()
    queue = EventQueue(100, taken)
    for uid in uids:
        queue.put(event(uid))
    return queue, taken


def test_asking_for_more_takes_the_last_batch():
    queue, taken = queue_of("a", "b", "c")
    assert [each.uid for each in queue.poll(2)] == ["a", "b"]
    assert taken == []
    assert [each.uid for each in queue.poll(2)] == ["c"]
    assert taken == ["a", "b"]
    assert queue.poll() == []
    assert taken == ["a", "b", "c"]
    assert queue.poll() == []
    assert taken == ["a", "b", "c"]


def test_asking_for_nothing_is_coming_back():
    queue, taken = queue_of("a")
    queue.poll()
    assert queue.poll(0) == []
    assert taken == ["a"]


def test_what_ends_no_attempt_is_not_taken():
    """An outcome and a loss end an attempt; other events leave nothing to be done."""
    queue, taken = queue_of()
    for kind in EventKind:
        if kind not in {EventKind.FINISHED, EventKind.LOST}:
            queue.put(event("a", kind))
    queue.poll()
    queue.leave(failed=False)
    assert taken == []


LOSSES = [event("a", EventKind.LOST), event("", EventKind.LOST)]


@pytest.mark.parametrize("end", LOSSES)
def test_a_loss_is_given_again_until_it_is_taken(end: RunnerEvent):
    """A scheduler that fails over the news that an attempt is lost gets it once more."""
    bus = EventBus(100)
    first = bus.subscribe()
    bus.emit(end)
    assert first.poll() == [end]
    bus.unsubscribe(first, failed=True)
    looks_on = bus.subscribe(observe=True)
    assert looks_on.poll() == []
    second = bus.subscribe()
    assert second.poll() == [end]
    bus.unsubscribe(second)
    assert bus.subscribe().poll() == []


def test_a_loss_that_came_while_there_was_no_reader_is_given_to_the_first():
    bus = EventBus(2)
    lost = [event(uid, EventKind.LOST) for uid in "abc"]
    for each in lost:
        bus.emit(each)
    assert bus.subscribe().poll() == lost
    assert bus.queue.poll() == lost
    bus.queue.poll()
    assert bus.subscribe().poll() == []


@pytest.mark.parametrize("failed", [False, True])
def test_leaving_takes_the_last_batch_once(*, failed: bool):
    queue, taken = queue_of("a", "b")
    queue.poll(1)
    queue.leave(failed=failed)
    assert taken == ([] if failed else ["a"])
    queue.leave(failed=False)
    assert taken == ([] if failed else ["a"])


def test_what_is_put_back_is_not_taken():
    queue, taken = queue_of("a", "b", "c")
    batch = queue.poll()
    queue.put_back(batch[1:])
    queue.leave(failed=False)
    assert taken == ["a"]


def test_what_was_not_in_hand_is_put_back_in_vain():
    queue, taken = queue_of("a")
    queue.poll()
    queue.put_back([event("b"), event("a", EventKind.DELETED)])
    queue.put_back([])
    queue.leave(failed=False)
    assert taken == ["a"]


def test_a_queue_whose_reader_looks_on_takes_nothing():
    queue = EventQueue(100)
    queue.put(event("a"))
    queue.poll()
    assert queue.poll() == []
    queue.leave(failed=False)


@pytest.mark.anyio
async def test_waiting_for_more_takes_the_last_batch_before_it_waits():
    queue, taken = queue_of("a")
    assert [each.uid for each in await queue.next_batch()] == ["a"]
    with anyio.move_on_after(0.01) as scope:
        await queue.next_batch()
    assert scope.cancelled_caught
    assert taken == ["a"]
    queue.leave(failed=True)
    assert taken == ["a"]


@pytest.mark.anyio
async def test_a_wait_that_is_cancelled_loses_nothing():
    queue, taken = queue_of()
    with anyio.move_on_after(0.01):
        await queue.next_batch()
    queue.put(event("a"))
    assert [each.uid for each in await queue.next_batch()] == ["a"]
    assert taken == []


STEPS = st.one_of(
    st.tuples(st.just("put"), st.integers(0, 5)),
    st.tuples(st.just("poll"), st.none() | st.integers(0, 3)),
    st.tuples(st.just("put back"), st.integers(0, 3)),
    st.tuples(st.just("leave"), st.booleans()),
)


@given(st.lists(STEPS, max_size=30))
def test_an_outcome_is_taken_only_after_it_was_handed_out_and_never_while_it_is_in_hand(steps):
    queue, taken = queue_of()
    waiting: list[str] = []
    in_hand: list[str] = []
    expected: list[str] = []
    for number, (step, how) in enumerate(steps):
        if step == "put":
            uid = f"{how}-{number}"
            queue.put(event(uid))
            waiting.append(uid)
        elif step == "poll":
            expected += in_hand
            batch = queue.poll(how)
            in_hand = waiting[: len(waiting) if how is None else how]
            waiting = waiting[len(in_hand) :]
            assert [each.uid for each in batch] == in_hand
        elif step == "put back":
            unread = in_hand[-how:] if how else []
            queue.put_back([event(uid) for uid in unread])
            in_hand = in_hand[: len(in_hand) - len(unread)]
        else:
            queue.leave(failed=how)
            expected += [] if how else in_hand
            in_hand = []
        assert taken == expected


# Passing on


class Pods(TrackedPods):
    """Pods in given states, and what is sent to them."""

    def __init__(self, **states: State) -> None:
        super().__init__()
        self.sent: list[tuple[str, Input]] = []
        for name, state in states.items():
            tracked = TrackedPod(WorkloadKey({"n": name}), "default", name, rules=RULES)
            tracked.move(state)
            self.add(tracked, tracked.uid)

    def deliveries(self, mode) -> Deliveries:
        return Deliveries(mode, self, lambda to, given: self.sent.append((to.name, given)))


def undelivered_pods() -> Pods:
    return Pods(
        draining=settled(Draining, over("draining")),
        waiting=settled(Undelivered, over("waiting")),
        leaving=settled(Removing, over("leaving"), delivery=TAKEN),
        live=active(pod("Running", runs("base"), uid="live")),
        over=finished(over("over")),
    )


def over(uid: str) -> Pod:
    return pod("Succeeded", ended("base"), uid=uid)


def names(sent: Iterable[tuple[str, Input]]) -> list[str]:
    assert all(given_ == OutcomeTaken() for _, given_ in sent)
    return [name for name, _ in sent]


ALL = ["draining", "waiting", "leaving", "live", "over"]


@pytest.mark.parametrize(("mode", "expected"), [("taken", ["draining", "waiting"]), ("acknowledged", [])])
def test_what_readers_took_counts_by_the_mode(mode, expected):
    pods = undelivered_pods()
    pods.deliveries(mode).take([*ALL, "unknown"])
    assert names(pods.sent) == expected
    pods.sent.clear()
    for each in pods:
        pods.deliveries(mode).take_pod(each)
    assert names(pods.sent) == expected


@pytest.mark.parametrize("mode", ["taken", "acknowledged"])
def test_acknowledging_counts_in_both_modes_where_there_is_something_to_deliver(mode):
    pods = undelivered_pods()
    pods.deliveries(mode).acknowledge(iter(pods))
    assert names(pods.sent) == ["draining", "waiting"]


def test_a_reader_begins_with_what_is_not_delivered():
    pods = undelivered_pods()
    events = pods.deliveries("taken").undelivered()
    assert [each.name for each in events] == ["draining", "waiting"]
    assert all(each.kind is EventKind.FINISHED and each.outcome is not None for each in events)


@pytest.mark.parametrize("mode", ["taken", "acknowledged"])
def test_closing_passes_on_what_it_counts(mode):
    pods = undelivered_pods()
    pods.deliveries(mode).close(is_drain=True, is_clean=True)
    assert names(pods.sent) == (["draining", "waiting"] if mode == "taken" else [])
    pods.sent.clear()
    pods.deliveries(mode).close(is_drain=True, is_clean=False)
    pods.deliveries(mode).close(is_drain=False, is_clean=True)
    assert pods.sent == []


# The bus


def test_each_reader_has_a_queue_of_its_own_and_leaves_alone():
    pods = undelivered_pods()
    bus = EventBus(100)
    bus.deliver_to(pods.deliveries("taken"))
    first, second, onlooker = bus.subscribe(), bus.subscribe(), bus.subscribe(observe=True)
    assert (len(first), len(second), len(onlooker), len(bus.queue)) == (2, 2, 0, 0)
    bus.emit(event("waiting"))
    assert (len(first), len(second), len(onlooker), len(bus.queue)) == (3, 3, 1, 1)
    first.poll()
    bus.unsubscribe(first, failed=True)
    onlooker.poll()
    bus.unsubscribe(onlooker)
    assert pods.sent == []
    second.poll(1)
    bus.unsubscribe(second)
    assert names(pods.sent) == ["draining"]
    bus.emit(event("y"))
    assert (len(first), len(second), len(bus.queue)) == (0, 2, 2)
    bus.unsubscribe(second)


def test_a_bus_without_deliveries_yet_begins_empty():
    """Before the runner is open there is nothing to deliver."""
    bus = EventBus(100)
    bus.queue.put(event("a"))
    bus.queue.poll()
    bus.queue.poll()
    assert len(bus.subscribe()) == 0


def test_the_runners_own_queue_does_not_grow_if_another_reader_takes_the_outcomes():
    """What has no reader keeps the outcomes that are not delivered, the losses not taken, and the pods that live."""
    pods = undelivered_pods()
    bus = EventBus(10)
    bus.deliver_to(pods.deliveries("acknowledged"))
    reader = bus.subscribe()
    kept = [event("waiting"), event("live", EventKind.CREATED), event("gone", EventKind.LOST)]
    for each in kept:
        bus.emit(each)
    reader.poll()
    for number in range(1000):
        for kind in (EventKind.CREATED, EventKind.FINISHED, EventKind.DELETED):
            bus.emit(event(f"pod-{number}", kind))
        assert len(bus.queue) <= 20
    assert [each for each in bus.queue.poll() if each in kept] == kept


def test_outcomes_that_no_reader_took_stay_in_the_runners_own_queue():
    pods = Pods(**{f"p{number}": settled(Undelivered, over(f"p{number}")) for number in range(100)})
    bus = EventBus(10)
    bus.deliver_to(pods.deliveries("taken"))
    for number in range(100):
        bus.emit(event(f"p{number}"))
    assert len(bus.queue.poll()) == 100


def test_outcomes_without_a_pod_of_ours_stay_in_the_runners_own_queue():
    """A launch that was refused has no pod, and a replayed outcome no pod that is to be delivered."""
    pods = Pods()
    bus = EventBus(10)
    bus.deliver_to(pods.deliveries("taken"))
    replayed = msgspec.structs.replace(event("over"), replayed=True)
    for _ in range(50):
        bus.emit(event(""))
        bus.emit(replayed)
        bus.emit(event("gone", EventKind.LOST))
    assert len(bus.queue.poll()) == 150

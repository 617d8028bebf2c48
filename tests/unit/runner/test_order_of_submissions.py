"""Whose turn it is while submissions wait for room."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.runner.fair_queue import FairPriorityQueue
from tests.unit.runner.harness import Cluster, read_events, running, until, workload


def taken(line: FairPriorityQueue[str]) -> list[str]:
    return [line.take() for _ in range(len(line))]


def test_groups_take_turns():
    line: FairPriorityQueue[str] = FairPriorityQueue()
    for number in range(4):
        line.put(f"many {number}", group="many")
    line.put("few 0", group="few")
    line.put("few 1", group="few")
    assert taken(line) == ["many 0", "few 0", "many 1", "few 1", "many 2", "many 3"]


def test_a_higher_priority_goes_first():
    line: FairPriorityQueue[str] = FairPriorityQueue()
    line.put("usual")
    line.put("urgent", priority=5)
    line.put("any time", priority=-5)
    assert taken(line) == ["urgent", "usual", "any time"]


def test_what_is_put_back_is_the_next_of_its_group():
    """Its turn had come; the turns of the groups go on."""
    line: FairPriorityQueue[str] = FairPriorityQueue()
    for number in range(3):
        line.put(f"many {number}", group="many")
    line.put("few 0", group="few")
    first = line.take()
    line.put_back(first, group="many")
    line.put_back("urgent", priority=1, group="new")
    assert len(line) == 5
    assert taken(line) == ["urgent", "few 0", "many 0", "many 1", "many 2"]


def test_an_empty_queue_says_so():
    with pytest.raises(IndexError, match="the queue is empty"):
        FairPriorityQueue().take()


def test_what_is_removed_is_not_served():
    line: FairPriorityQueue[str] = FairPriorityQueue()
    for item, group in (("a 0", "a"), ("b 0", "b"), ("a 1", "a"), ("c 0", "c")):
        line.put(item, group=group)
    line.remove("a 0", group="a")
    line.remove("c 0", group="c")
    assert (len(line), list(line)) == (2, ["a 1", "b 0"])
    with pytest.raises(KeyError):
        line.remove("c 0", group="c")
    assert taken(line) == ["a 1", "b 0"]


def test_removing_the_last_costs_what_removing_the_first_does():
    """Of 100,000 submissions that are cancelled, in whatever order."""

    class Item:
        compared = 0

        def __eq__(self, other: object) -> bool:
            Item.compared += 1
            return self is other

        __hash__ = object.__hash__

    line: FairPriorityQueue[Item] = FairPriorityQueue()
    items = [Item() for _ in range(1_000)]
    for item in items:
        line.put(item)
    for item in reversed(items):
        line.remove(item)
    assert (len(line), Item.compared) == (0, 0)


@given(st.lists(st.tuples(st.integers(-2, 2), st.sampled_from("abc"))))
def test_everybody_is_served_once_by_priority_and_in_order_in_a_group(orders: list[tuple[int, str]]):
    line: FairPriorityQueue[tuple[int, str, int]] = FairPriorityQueue()
    for number, (priority, group) in enumerate(orders):
        line.put((priority, group, number), priority=priority, group=group)
    assert len(line) == len(list(line)) == len(orders)
    served = [line.take() for _ in orders]
    assert Counter(served) == Counter((p, g, n) for n, (p, g) in enumerate(orders))
    assert [p for p, _, _ in served] == sorted((p for p, _ in orders), reverse=True)
    for one in {(p, g) for p, g, _ in served}:
        numbers = [n for p, g, n in served if (p, g) == one]
        assert numbers == sorted(numbers)
    assert not line


@pytest.mark.anyio
async def test_submissions_are_created_in_that_order(cluster: Cluster):
    """Under a cap on active pods, an urgent one that came last is next."""
    async with running(cluster, max_active_pods=1) as runner:
        pods = [runner.submit(workload(number), group="many") for number in range(3)]
        await until(lambda: cluster.pods)
        urgent = runner.submit(workload(10), priority=1)
        few = runner.submit(workload(20), group="few")
        order = []
        for _ in range(5):
            await until(lambda: len(cluster.pods) == 1)
            ((_, name),) = cluster.pods
            order.append(name)
            cluster.play(name)
            await until(lambda gone=name: read_events(runner) and ("default", gone) not in cluster.pods)
        assert order == [pods[0].name, urgent.name, pods[1].name, few.name, pods[2].name]

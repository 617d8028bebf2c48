"""Schedulers that read late and die: each outcome reaches the journal, and no work begins twice.

A seed is one world in virtual time: a cluster whose pods end in every way (``world``), faults of the network, and one
or two schedulers with a journal, process after process (``scheduler``). The last ones live until all is done.
``SEEDS=1000`` plays more worlds, ``SEED=17`` one; ``PYTHONHASHSEED=0`` makes one the same each time.

Two schedulers share the journal without agreeing on whose an item is. So one may hand in an attempt while the other,
which adopted its pod, stores the outcome: that is told apart from a launch that knew of the pod (``_was_late``).
"""

from __future__ import annotations

from itertools import pairwise
from random import Random
from typing import Any

import anyio
import anyio.abc
import pytest
from podrunner.outcome import Category
from podrunner.outcome.stored import says_otherwise
from tests.simulation.delivery.faults import trouble
from tests.simulation.delivery.habits import draw_habits
from tests.simulation.delivery.journal import Entry, Item, Journal
from tests.simulation.delivery.scheduler import Process
from tests.simulation.delivery.world import SIDE, World
from tests.simulation.launching.world import play_in_virtual_time
from tests.support.seeds import SEEDS
from tests.unit.runner.harness import workload

PODS, RUNS = 8, 2
PATIENCE_S = 3600.0


class Play:
    """One world and all that happens in it.

    Args:
        seed: Decides all of it.
        mode: The configuration's ``outcome_delivery``.
    """

    def __init__(self, seed: int, mode: str) -> None:
        self.random = random = Random(f"{seed} {mode}")
        self.slots = random.choice([1, 1, 2])
        self.journal = Journal([self._item(number) for number in range(PODS + RUNS)])
        self.world = World(
            Random(random.random()),
            self.journal.holds,
            finalizer=random.random() < 0.5,
            run_timeout=random.random() < 0.5,
        )
        self.settings = {
            "outcome_delivery": mode,
            "delete_pods_on_failure": random.random() < 0.5,
            "max_undelivered_pods": random.choice([3, 5000]),
        }
        self.has_stable_names = random.random() < 0.3
        self.processes: list[Process] = []

    def _item(self, number: int) -> Item:
        is_run = number >= PODS
        has_side = self.random.random() < 0.2
        containers = [{"name": "base", "image": "i", "command": ["true"]}, SIDE]
        fields: dict[str, Any] = {"overrides": {"spec": {"containers": containers}}} if has_side else {}
        return Item(workload(number, **fields), is_run, self.random.randrange(self.slots))

    async def run(self) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self.world.live)
            tasks.start_soon(self.world.send_bookmarks)
            async with anyio.create_task_group() as troubled:
                troubled.start_soon(trouble, self.world)
                async with anyio.create_task_group() as generations:
                    for slot in range(self.slots):
                        generations.start_soon(self._keep_dying, slot, tasks)
                troubled.cancel_scope.cancel()
            self.world.faults.clear()
            for slot in range(self.slots):
                tasks.start_soon(self._live_on, slot, tasks)
            await self._done()
            tasks.cancel_scope.cancel()

    async def _keep_dying(self, slot: int, tasks: anyio.abc.TaskGroup) -> None:
        for _ in range(self.random.randint(1, 3)):
            process = self._start(slot, tasks, lives=False)
            await process.ended.wait()
            await anyio.sleep(self.random.choice([0, 1, 30]))

    async def _live_on(self, slot: int, tasks: anyio.abc.TaskGroup) -> None:
        while True:  # until it has lost its Lease
            await self._start(slot, tasks, lives=True).ended.wait()

    def _start(self, slot: int, tasks: anyio.abc.TaskGroup, *, lives: bool) -> Process:
        process = Process(
            name=f"slot-{slot}" if self.has_stable_names else f"slot-{slot}-{len(self.processes)}",
            world=self.world,
            journal=self.journal,
            slot=slot,
            habits=draw_habits(self.random, lives=lives, finalizer=self.world.finalizer),
            random=Random(self.random.random()),
            settings=self.settings,
        )
        self.processes.append(process)
        tasks.start_soon(process.live)
        return process

    async def _done(self) -> None:
        until_s = anyio.current_time() + PATIENCE_S
        while self.journal.lacking() or self.world.left_over():
            assert not self.world.violations, self.world.violations
            assert anyio.current_time() < until_s, (self.journal.lacking(), self.world.left_over())
            await anyio.sleep(1)
        assert not self.world.violations, self.world.violations
        self.check()

    # What must hold

    def check(self) -> None:
        for name, uids in self.world.created.items():
            begun = [uid for uid in uids if uid in self.world.begun]
            for uid, following in pairwise(begun):
                assert self._was_taken(uid, following) or self._was_late(following, name), (
                    f"the work of {name} began more than once: {begun}"
                )
        for entry in self.journal.entries:
            self._check_entry(entry)

    def _was_taken(self, uid: str, following: str) -> bool:
        """Whether another client deleted a pod before its outcome was stored, and nothing held it."""
        made_s = self.world.makers[following][1]
        stored_s = self.journal.stored_at.get(uid, made_s + 1)
        return uid in self.world.removed and not self.world.finalizer and stored_s > made_s

    def _was_late(self, uid: str, name: str) -> bool:
        """Whether a scheduler handed an attempt in before the other one, which had its pod, stored the outcome.

        It is no excuse if that launch knew of the pod before.
        """
        maker, made_s = self.world.makers[uid]
        key = self.world.keys[uid]
        history = [time for each in self.processes if each.name == maker for time in each.history]
        handed_in_s = max(at_s for what, at_s in history if what == key.identity and at_s <= made_s)
        stored_s = self.journal.stored_at.get(key, made_s)
        knew = self.world.seen.get((maker, name), 0) > handed_in_s
        return self.slots > 1 and handed_in_s < stored_s < made_s and not knew

    def _was_there(self, uid: str, entry: Entry) -> bool:
        """Whether there was a pod of an attempt whose launch was cancelled, as it is said, before there was one.

        What has no pod, no successor can adopt: it hands the attempt in again, perhaps before the outcome is read.
        """
        maker, made_s = self.world.makers[uid]
        is_successors = made_s > entry.handed_in_s and (maker != entry.by or self.has_stable_names)
        is_lost = uid in self.world.removed and not self.world.finalizer
        return self.world.keys[uid] == entry.key and not (is_successors or is_lost)

    def _check_entry(self, entry: Entry) -> None:
        outcome = entry.outcome
        if not entry.uid:
            assert outcome.category is Category.CANCELLED, entry
            assert not [uid for uid in self.world.begun if self._was_there(uid, entry)], entry
            return
        others = [other.outcome for other in self.journal.entries if other.uid == entry.uid]
        assert not any(says_otherwise(outcome, other) for other in others), others
        truth = self.world.truth[entry.uid]
        allowed = truth.categories
        if entry.uid in self.world.removed:
            allowed = allowed | self.world.late_reasons(entry.uid)
        if self.world.may_also_be_cancelled(entry.uid):
            allowed = allowed | {Category.CANCELLED}
        assert outcome.category in allowed, (entry, truth)
        if outcome.category in {Category.SUCCEEDED, Category.FAILED, Category.OOM_KILLED}:
            assert outcome.exit_code == truth.exit_code, (entry, truth)
        if outcome.started and "may have started" not in outcome.message:
            assert entry.uid in self.world.begun, entry


@pytest.mark.parametrize("mode", ["taken", "acknowledged"])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_outcome_is_stored_and_no_work_begins_twice(
    seed: int, mode: str, monkeypatch: pytest.MonkeyPatch
):
    """H1, H2, A1, A3, A5, C1, C3: whatever dies, whenever it reads."""
    play_in_virtual_time(lambda _: Play(seed, mode).run(), seed, monkeypatch)

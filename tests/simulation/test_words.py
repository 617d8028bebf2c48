"""In a peaceful world each outcome has the component's words and their fault; and a rule that is switched off is found.

The first test has every message of the tables once or more. The others play small worlds in which only what the rule is
about happens.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TYPE_CHECKING, Any

import anyio
import pytest
import trio
from podrunner.outcome import classify as outcome_classify
from podrunner.outcome import facts, history, rules, scheduling
from podrunner.outcome.tables import causes, nodes
from podrunner.outcome.tables.words import Word, fault_of, find
from podrunner.runner import AsyncPodRunner, EventKind
from podrunner.runner.lifecycle import ended
from tests.simulation.judge import check_whether_it_began, check_words, shown_words
from tests.simulation.words import GRACES, Saying, said_by
from tests.simulation.world import OUTAGES, World
from tests.support.event_loops import run_in_virtual_time
from tests.unit.runner.harness import configured, workload

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LIFE_S = 100.0
"""Longer than any life that a world plans."""
TABLES = {"no-image": "images", "no-container": "creation", "no-node": "placement", "refused": "refusals"}


class InTurn(Random):
    """Draws the messages of each table in turn, so that each is said."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self._next: dict[int, int] = {}

    def choice(self, seq: Sequence[Any]) -> Any:
        if not seq or not isinstance(seq[0], Saying):
            return super().choice(seq)
        number = self._next.get(id(seq), 0)
        self._next[id(seq)] = number + 1
        return seq[number % len(seq)]


async def play(world: World, pods: int, *, breaks: bool) -> None:
    """Launch pods; look at what is said of each."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(world.live)
        tasks.start_soon(world.send_bookmarks)
        config = configured(pending=GRACES, event_queue_size=100_000, lease_duration_s=36_000)
        async with AsyncPodRunner(
            config, client=world.client(), random=Random(1), on_exit="detach"
        ) as runner:
            handles = [runner.submit(workload(number)) for number in range(pods)]
            if breaks:
                await anyio.sleep(3)
                world.broken = OUTAGES["refused"]
                world.break_watches()
                await anyio.sleep(LIFE_S)
                world.broken = None
                world.restart()
            await runner.wait_all(900)
            assert all(pod.outcome is not None for pod in handles)
            check(world, runner.poll_events(), is_peaceful=not breaks)
        tasks.cancel_scope.cancel()


def check(world: World, events: Sequence[Any], *, is_peaceful: bool) -> None:
    shown = shown_words(events)
    for event in events:
        if event.kind is EventKind.FINISHED:
            truth, outcome = world.truth[event.uid], event.outcome
            assert outcome.category in truth.categories, (truth, outcome)
            check_whether_it_began(event.uid, truth, outcome)
            check_words(event.uid, truth, outcome, shown=shown[event.uid], is_peaceful=is_peaceful)


def play_in_virtual_time(world: World, pods: int, monkeypatch: pytest.MonkeyPatch, *, breaks: bool) -> None:
    monkeypatch.setattr(trio._core._run, "_ALLOW_DETERMINISTIC_SCHEDULING", True)
    trio._core._run._r.seed(1)
    run_in_virtual_time(lambda: play(world, pods, breaks=breaks))


def test_each_outcome_has_the_words_and_the_fault_that_they_mean(monkeypatch: pytest.MonkeyPatch):
    """P13, P14, P15: each message of each table, in a world where every change is seen."""
    ends = {end: len(said_by(table)) for end, table in TABLES.items()}
    world = World(InTurn(1), ends={**ends, "no-start": 9, "no-volume": 9, "unhealthy": 9})
    play_in_virtual_time(world, int(1.2 * sum(ends.values())), monkeypatch, breaks=False)
    said = {truth.words for truth in world.truth.values()}
    silent = [saying for table in TABLES.values() for saying in said_by(table) if saying.message not in said]
    assert len(silent) < 0.1 * len(said), silent


# A rule that is switched off is found


def without(words: tuple[Word, ...], said: str) -> tuple[Word, ...]:
    left = tuple(word for word in words if word.said != said)
    assert len(left) == len(words) - 1, said
    return left


def sayings(table: str, words: tuple[Word, ...], said: str) -> list[Saying]:
    """The messages of which one entry of a table alone decides whose fault they mean."""
    left = without(words, said)
    decided = [
        saying
        for saying in said_by(table)
        if (found := find(words, saying.message)) is not None and found.said == said
    ]
    return [saying for saying in decided if fault_of(left, saying.message) is not saying.fault]


def found_when_off(
    monkeypatch: pytest.MonkeyPatch,
    switch_off: Callable[[], None],
    *,
    ends: Mapping[str, int],
    said: Mapping[str, Sequence[Saying]],
    breaks: bool = False,
) -> None:
    """Play a world twice: it is as it should be, and no longer when the rule is switched off."""
    play_in_virtual_time(World(Random(1), ends=ends, said=said), 12, monkeypatch, breaks=breaks)
    switch_off()
    with pytest.raises(BaseExceptionGroup) as raised:
        play_in_virtual_time(World(Random(1), ends=ends, said=said), 12, monkeypatch, breaks=breaks)
    assert raised.group_contains(AssertionError)


@pytest.mark.parametrize(
    ("end", "table", "module", "name", "said"),
    [
        ("no-image", "images", causes, "IMAGE_WORDS", "EOF"),
        ("no-image", "images", causes, "IMAGE_WORDS", "manifest unknown"),
        ("no-image", "images", causes, "IMAGE_WORDS", "no space left on device"),
        ("no-container", "creation", causes, "CREATION_WORDS", 'secret "…" not found'),
        ("no-start", "creation", causes, "CREATION_WORDS", "executable file … not found"),
        ("no-volume", "creation", causes, "CREATION_WORDS", 'configmap "…" not found'),
        ("no-node", "placement", scheduling, "PLACEMENT_WORDS", "Insufficient …"),
        ("refused", "refusals", causes, "REJECTION_WORDS", "cannot allocate unregistered device"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_words_that_no_table_has_any_more_are_missed(  # each is a part of the rule
    monkeypatch: pytest.MonkeyPatch, end: str, table: str, module: Any, name: str, said: str
):
    """P13: the simulation's components say them."""
    words = getattr(module, name)
    drawn = sayings(table, words, said)
    assert drawn, said
    found_when_off(
        monkeypatch,
        lambda: monkeypatch.setattr(module, name, without(words, said)),
        ends={end: 1},
        said={table: drawn},
    )


@pytest.mark.parametrize("reason", ["SysctlForbidden", "NodeAffinity", "Evicted"])
def test_a_reason_that_no_table_has_any_more_is_missed(monkeypatch: pytest.MonkeyPatch, reason: str):
    """P13, P16."""
    left = {name: entry for name, entry in nodes.STATUS_REASONS.items() if name != reason}
    found_when_off(
        monkeypatch,
        lambda: monkeypatch.setattr(nodes, "STATUS_REASONS", left),
        ends={"refused": 1},
        said={"refusals": [saying for saying in said_by("refusals") if saying.reason == reason]},
    )


@pytest.mark.parametrize(
    ("ends", "module", "name", "instead", "breaks"),
    [
        ({"no-image": 1}, history, "_words", lambda *_: iter(()), False),
        ({"no-volume": 1}, ended, "explain", lambda outcome, *_, **__: outcome, False),
        ({"unhealthy": 1}, outcome_classify.__globals__, "explain", lambda outcome, *_, **__: outcome, False),
        ({"vanish": 1}, facts, "may_have_begun", lambda *_, **__: False, True),
        ({"refused": 1}, rules, "fault_of_status", lambda *_: None, False),
    ],
    ids=[
        "a back-off hides no words",
        "events explain what is given up",
        "events name the probe",
        "what went unseen may have begun",
        "words decide whose fault a refusal is",
    ],
)
def test_a_rule_that_is_switched_off_is_found(  # each is a part of the rule
    monkeypatch: pytest.MonkeyPatch,
    ends: Mapping[str, int],
    module: Any,
    name: str,
    instead: Callable[..., Any],
    *,
    breaks: bool,
):
    """P10, P14, P15."""

    def switch_off() -> None:
        if isinstance(module, dict):
            monkeypatch.setitem(module, name, instead)
        else:
            monkeypatch.setattr(module, name, instead)

    found_when_off(monkeypatch, switch_off, ends=ends, said={}, breaks=breaks)

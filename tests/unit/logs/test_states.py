"""Following a log as states: each state with each input, and random inputs that keep the promises."""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from podrunner.errors import ForbiddenError, NotFoundError, TransportError
from podrunner.logs import ContainerView, GapReason, LogBatch, LogCursor, LogGap, states
from podrunner.logs.cursor import Resumption, advance, since_time
from podrunner.logs.recent import line_key
from podrunner.logs.states import (
    TABLE,
    Attempts,
    BackingOff,
    BackoffElapsed,
    ContainerChanged,
    Delivered,
    Delivering,
    Detached,
    Done,
    Emit,
    FollowLimits,
    Input,
    LinesReceived,
    PermitGranted,
    Queued,
    Reading,
    SilenceElapsed,
    SliceElapsed,
    State,
    StreamEnded,
    StreamFailed,
    Waiting,
    start,
    step,
)
from podrunner.logs.tail_search import TailSearch
from podrunner.machine import IllegalInputError
from tests.unit.logs.conftest import stamped

DECISION = Path(__file__).parents[3] / "docs/decisions/0011-logs.md"

LIMITS = FollowLimits(idle_s=300, drain_s=10)
FRESH = LogCursor("uid-1", "base")
LINE_1, LINE_2, LINE_3 = (stamped(number) + b"\n" for number in (1, 2, 3))
AT_1, AT_2 = advance(FRESH, LINE_1), advance(FRESH, LINE_1 + LINE_2)

NOT_STARTED = ContainerView()
RUNNING = ContainerView(started=True)
RESTARTED = ContainerView(1, started=True, began_at="2024-05-01T10:20:30Z")
ENDED = ContainerView(started=True, ended=True)
OVER = ContainerView(started=True, ended=True, final=True)
GONE = ContainerView(started=True, ended=True, final=True, gone=True)
NEVER_BEGAN = ContainerView(started=True, ended=True, final=True, only_ended=True)

BROKEN = TransportError("connection reset")


def a(kind: type[State], **fields: Any) -> Any:
    """A state of that kind: of a container that runs, nothing read so far, unless the fields say otherwise."""
    cursor = fields.get("cursor", FRESH)
    usual = {
        "limits": LIMITS,
        "cursor": cursor,
        "view": RUNNING,
        "seen_running": True,
        "attempts": Attempts(0.8),
        "at_most_s": 0.8,
        "follow": True,
        "start": cursor,
        "seen": Resumption.after(fields.get("start", cursor)),
    }
    known = {name: usual[name] for name in kind.__struct_fields__ if name in usual}
    return kind(**(known | fields))


PROBE = {"follow": False, "whole": True, "is_probe": True}
MISSING = Resumption.after(AT_1, follow=False).admit(LINE_3).then

INPUTS: dict[type[Input], Input] = {
    ContainerChanged: ContainerChanged(RUNNING),
    PermitGranted: PermitGranted(),
    LinesReceived: LinesReceived(LINE_1, 5.0),
    StreamEnded: StreamEnded(b"", 5.0),
    StreamFailed: StreamFailed(BROKEN, 5.0),
    SilenceElapsed: SilenceElapsed(5.0),
    SliceElapsed: SliceElapsed(),
    Delivered: Delivered(),
    BackoffElapsed: BackoffElapsed(),
}


def test_every_input_has_an_example():
    assert INPUTS.keys() == {*get_args(Input)}


@pytest.mark.parametrize("kind", get_args(State))
@pytest.mark.parametrize("event", INPUTS.values(), ids=lambda event: type(event).__name__)
def test_an_input_that_is_not_in_the_table_raises_and_changes_nothing(kind, event):
    state = a(kind)
    before = repr(state)
    if (kind, type(event)) in TABLE:
        following, _ = step(state, event)
        assert type(following) in get_args(State)
    else:
        with pytest.raises(IllegalInputError, match=f"{type(event).__name__} in {kind.__name__}"):
            step(state, event)
    assert repr(state) == before


@pytest.mark.parametrize("kind", get_args(State))
def test_a_state_cannot_be_changed(kind):
    state = a(kind)
    for name in kind.__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(state, name, getattr(state, name))


@pytest.mark.parametrize("event", INPUTS.values(), ids=lambda event: type(event).__name__)
def test_an_input_cannot_be_changed(event):
    for name in type(event).__struct_fields__:
        with pytest.raises(AttributeError, match="immutable"):
            setattr(event, name, getattr(event, name))


def test_the_documented_table_is_the_table():
    documentation = states.__doc__ or ""
    documented = re.findall(r"^``(\w+)`` {2,}(\w+) {2,}\S", documentation, re.MULTILINE)
    assert sorted(documented) == sorted((kind.__name__, event.__name__) for kind, event in TABLE)


def test_the_decision_shows_the_same_table():
    rule = r"^={5,}[ =]+\n"
    table = re.search(f"{rule}.*?{rule}.*?{rule}", states.__doc__ or "", re.MULTILINE | re.DOTALL)
    assert table is not None
    assert table[0] in DECISION.read_text(encoding="utf-8")


# Each row of the table, with each condition


@dataclass
class Row:
    """What follows on an input.

    Attributes:
        state: The state before.
        event: The input.
        then: The kind of the state after.
        emits: The data of batches, and the reasons of gaps.
        fields: What the state after holds, where it matters.
    """

    state: Any
    event: Input
    then: type[State]
    emits: list[Any] = field(default_factory=list)
    fields: dict[str, Any] = field(default_factory=dict)


def seen_to(view: ContainerView) -> ContainerChanged:
    return ContainerChanged(view)


def complete(cursor: LogCursor) -> LogCursor:
    return replace(cursor, complete=True)


ONLY_AT_THE_END = FollowLimits(follow=False)
FORBIDDEN = ForbiddenError(status=403, server_message="pods/log is forbidden")
NOT_FOUND = NotFoundError(status=404)
WAS_DOUBTED = Attempts(0.8, doubted=AT_1)
SEARCHED = Attempts(0.8, doubted=AT_1, tail=None, was_searched=True)
TAIL = Resumption.after(AT_1, is_tail=True)
TAIL_2 = Resumption.after(AT_2, is_tail=True).admit(LINE_1).then
ALL_OLD = Resumption.after(AT_2, is_tail=True).admit(LINE_1 + LINE_2).then
OVERDUE = Attempts(0.8, gives_up_at=5.0)

ROWS: dict[str, Row] = {
    # Waiting
    "not started": Row(a(Waiting), seen_to(NOT_STARTED), Waiting),
    "started": Row(a(Waiting), seen_to(RUNNING), Queued, fields={"attempts": Attempts(0.8)}),
    "started, but read at the end only": Row(a(Waiting, limits=ONLY_AT_THE_END), seen_to(RUNNING), Waiting),
    "ended, and read at the end only": Row(a(Waiting, limits=ONLY_AT_THE_END), seen_to(ENDED), Queued),
    "over without a start": Row(
        a(Waiting, view=NOT_STARTED, seen_running=False),
        seen_to(ContainerView(final=True)),
        Done,
        fields={"cursor": FRESH},
    ),
    "over, and the status has forgotten the start": Row(
        a(Waiting, limits=ONLY_AT_THE_END), seen_to(ContainerView(final=True)), Queued
    ),
    "over, and an earlier runner has read some of it": Row(
        a(Waiting, view=NOT_STARTED, seen_running=False, cursor=AT_1),
        seen_to(ContainerView(final=True)),
        Queued,
    ),
    "read, and perhaps another run": Row(a(Waiting, cursor=complete(AT_1)), seen_to(ENDED), Waiting),
    "read, and over": Row(a(Waiting, cursor=complete(AT_1)), seen_to(OVER), Done),
    "read, and restarted": Row(
        a(Waiting, cursor=complete(AT_1)),
        seen_to(RESTARTED),
        Queued,
        fields={"cursor": LogCursor("uid-1", "base", 1)},
    ),
    "unread, and restarted": Row(a(Waiting), seen_to(RESTARTED), Queued, fields={"cursor": FRESH}),
    "read, and restarted twice": Row(
        a(Waiting, cursor=complete(FRESH)),
        seen_to(replace(RESTARTED, restart=2)),
        Queued,
        fields={"cursor": LogCursor("uid-1", "base", 1)},
    ),
    "unread, and restarted twice": Row(
        a(Waiting), seen_to(replace(RESTARTED, restart=2)), Queued, [GapReason.RESTARTED]
    ),
    "read, and restarted three times": Row(
        a(Waiting, cursor=complete(FRESH)),
        seen_to(replace(RESTARTED, restart=3)),
        Queued,
        [GapReason.RESTARTED],
        {"cursor": LogCursor("uid-1", "base", 2)},
    ),
    # Queued
    "queued, and ended": Row(a(Queued), seen_to(ENDED), Queued, fields={"view": ENDED, "run_ended": True}),
    "granted": Row(a(Queued), PermitGranted(), Reading, fields={"follow": True, "start": FRESH}),
    "granted after the end": Row(a(Queued, view=ENDED), PermitGranted(), Reading, fields={"follow": False}),
    "granted after a restart": Row(
        a(Queued, view=RESTARTED), PermitGranted(), Reading, fields={"follow": False}
    ),
    "granted too late": Row(
        a(Queued, view=replace(RESTARTED, restart=2)),
        PermitGranted(),
        Queued,
        [GapReason.RESTARTED],
        {"cursor": LogCursor("uid-1", "base", 1)},
    ),
    # Reading
    "ended meanwhile": Row(a(Reading), seen_to(ENDED), Reading, fields={"run_ended": True, "follow": True}),
    "a line": Row(a(Reading), LinesReceived(LINE_1, 5), Delivering, [LINE_1], {"cursor": AT_1}),
    "no whole line": Row(
        a(Reading), LinesReceived(b"", 5), Delivering, fields={"cursor": FRESH, "has_received": True}
    ),
    "a line that was read, and a new one": Row(
        a(Reading, cursor=AT_1), LinesReceived(LINE_1 + LINE_2, 5), Delivering, [LINE_2], {"cursor": AT_2}
    ),
    "the line that was read is missing": Row(
        a(Reading, cursor=AT_1),
        LinesReceived(LINE_3, 5),
        BackingOff,
        fields={"attempts": Attempts(1.6, doubted=AT_1), "cursor": AT_1},
    ),
    "it is missing again": Row(
        a(Reading, cursor=AT_1, attempts=WAS_DOUBTED, seen=MISSING, **PROBE),
        StreamEnded(b"", 5),
        Queued,
        [GapReason.ROTATED, LINE_3],
        fields={"attempts": Attempts(0.8), "cursor": advance(AT_1, LINE_3)},
    ),
    "it is missing, and nothing else is there": Row(
        a(Reading, cursor=AT_1, attempts=WAS_DOUBTED, **PROBE),
        StreamEnded(b"", 5),
        BackingOff,
        fields={"attempts": Attempts(1.6), "cursor": AT_1},
    ),
    "it is missing in a log that goes on, after the last run": Row(
        a(Reading, cursor=AT_1, view=OVER), LinesReceived(LINE_3, 5), BackingOff
    ),
    "it is missing after the last run": Row(
        a(Reading, cursor=AT_1, view=OVER, follow=False, seen=MISSING),
        StreamEnded(b"", 5),
        Done,
        [GapReason.ROTATED, LINE_3],
    ),
    "it is missing, and time is over": Row(
        a(Reading, cursor=AT_1, view=ENDED, attempts=OVERDUE, follow=False),
        LinesReceived(LINE_3, 5),
        Waiting,
        [GapReason.UNAVAILABLE],
    ),
    "the last lines are asked for": Row(
        a(Queued, cursor=AT_1), PermitGranted(), Reading, fields={"tail_lines": 256, "follow": True}
    ),
    "the last lines begin behind the cursor's": Row(
        a(Reading, cursor=AT_1, tail=TailSearch(), seen=TAIL),
        LinesReceived(LINE_3, 5),
        Queued,
        fields={"attempts": Attempts(0.8, tail=TailSearch().more(line_key(LINE_3)))},
    ),
    "more last lines are asked for": Row(
        a(Queued, cursor=AT_1, attempts=Attempts(0.8, tail=TailSearch().more())),
        PermitGranted(),
        Reading,
        fields={"tail_lines": 2048, "follow": False, "is_probe": True},
    ),
    "they begin with the same line": Row(
        a(Reading, cursor=AT_1, tail=TailSearch().more(line_key(LINE_3)), seen=TAIL),
        LinesReceived(LINE_3, 5),
        BackingOff,
        fields={"attempts": Attempts(1.6, doubted=AT_1, tail=None, was_searched=True)},
    ),
    "cut before the cursor's line": Row(
        a(Reading, cursor=AT_2, tail=TailSearch(), seen=TAIL_2, received=1, received_at_s=5),
        StreamFailed(BROKEN, 5),
        Queued,
        fields={"attempts": Attempts(0.8, tail=TailSearch().broke(is_before=True, window=2))},
    ),
    "cut behind it, and before a new one": Row(
        a(Reading, cursor=AT_2, tail=TailSearch(), seen=ALL_OLD, received=2, received_at_s=5),
        StreamFailed(BROKEN, 6),
        Queued,
        fields={"attempts": Attempts(0.8, tail=TailSearch().broke(is_before=True, window=2))},
    ),
    "broken while the log was quiet": Row(
        a(Reading, cursor=AT_2, tail=TailSearch(), seen=ALL_OLD, received=2, received_at_s=5),
        StreamFailed(BROKEN, 60),
        BackingOff,
        fields={"attempts": Attempts(1.6)},
    ),
    "the last lines ended before the cursor's": Row(
        a(Reading, cursor=AT_1, view=OVER, follow=False, tail=TailSearch(), seen=TAIL),
        StreamEnded(b"", 5),
        Queued,
        fields={"attempts": Attempts(0.8, tail=TailSearch().more())},
    ),
    "a search ended at the end of the log": Row(
        a(Reading, cursor=AT_2, follow=False, is_probe=True, tail=TailSearch().more(), seen=ALL_OLD),
        StreamEnded(b"", 5),
        Queued,
        fields={"attempts": Attempts(1.6, tail=TailSearch().more().ended())},
    ),
    "the whole log was cut after a search in vain": Row(
        a(Reading, cursor=AT_1, seen=TAIL, received=1, attempts=SEARCHED, **PROBE),
        StreamFailed(BROKEN, 5),
        BackingOff,
        fields={"attempts": replace(SEARCHED, delay_s=1.6)},
    ),
    "the run ended after a search in vain": Row(
        a(BackingOff, cursor=AT_1, attempts=SEARCHED),
        seen_to(ENDED),
        Queued,
        fields={"attempts": Attempts(0.8, doubted=AT_1)},
    ),
    "a followed log ended": Row(a(Reading), StreamEnded(LINE_1, 5), BackingOff, fields={"cursor": FRESH}),
    "a followed log ended with the run": Row(
        a(Reading, view=ENDED),
        StreamEnded(b"", 5),
        Queued,
        fields={"attempts": Attempts(1.6, gives_up_at=15.0)},
    ),
    "the log of an ended run ended": Row(
        a(Reading, view=ENDED, follow=False), StreamEnded(b"", 5), Waiting, fields={"cursor": complete(FRESH)}
    ),
    "the log of the last run ended": Row(a(Reading, view=OVER, follow=False), StreamEnded(b"", 5), Done),
    "the log of the run before ended": Row(
        a(Reading, view=RESTARTED, cursor=AT_1, start=FRESH, follow=False),
        StreamEnded(b"", 5),
        Queued,
        fields={"cursor": LogCursor("uid-1", "base", 1)},
    ),
    "it ended within a line": Row(
        a(Reading, view=OVER, follow=False),
        StreamEnded(LINE_1, 5),
        Queued,
        fields={"attempts": Attempts(1.6, gives_up_at=15.0, last_line=(FRESH, LINE_1))},
    ),
    "it ended within the same line": Row(
        a(Reading, view=OVER, follow=False, attempts=Attempts(0.8, last_line=(FRESH, LINE_1))),
        StreamEnded(LINE_1, 5),
        Done,
        [LINE_1],
        {"cursor": complete(AT_1)},
    ),
    "it ended within another line": Row(
        a(Reading, view=OVER, follow=False, attempts=Attempts(0.8, last_line=(FRESH, LINE_1))),
        StreamEnded(LINE_2, 5),
        BackingOff,
    ),
    "it ended without the line that was read": Row(
        a(Reading, view=ENDED, cursor=AT_1, follow=False), StreamEnded(b"", 5), BackingOff
    ),
    "it ended without that line again": Row(
        a(Reading, view=ENDED, cursor=AT_1, follow=False, attempts=WAS_DOUBTED),
        StreamEnded(b"", 5),
        Waiting,
        [GapReason.ROTATED],
    ),
    "it ended, and was perhaps the next run's": Row(
        a(Reading, view=replace(RESTARTED, restart=2), follow=False),
        StreamEnded(b"", 5),
        Queued,
        [GapReason.RESTARTED],
    ),
    "broken": Row(a(Reading), StreamFailed(BROKEN, 5), BackingOff, fields={"attempts": Attempts(1.6)}),
    "broken after progress": Row(
        a(Reading, cursor=AT_1, start=FRESH, attempts=Attempts(30.0)),
        StreamFailed(BROKEN, 5),
        BackingOff,
        fields={"attempts": Attempts(0.8), "at_most_s": math.inf},
    ),
    "broken after progress after the end": Row(
        a(Reading, view=OVER, follow=False, cursor=AT_1, start=FRESH, attempts=OVERDUE),
        StreamFailed(BROKEN, 5),
        BackingOff,
        fields={"attempts": Attempts(0.8), "at_most_s": math.inf},
    ),
    "broken after the end": Row(
        a(Reading, view=OVER, follow=False),
        StreamFailed(BROKEN, 5),
        BackingOff,
        fields={"attempts": Attempts(1.6, gives_up_at=15.0), "at_most_s": 10.0},
    ),
    "broken, and time is over": Row(
        a(Reading, view=OVER, follow=False, attempts=OVERDUE),
        StreamFailed(BROKEN, 5),
        Done,
        [GapReason.UNAVAILABLE],
        {"cursor": complete(FRESH)},
    ),
    "not found while the pod is there": Row(a(Reading, view=OVER), StreamFailed(NOT_FOUND, 5), BackingOff),
    "not found, and the pod is gone": Row(
        a(Reading, view=GONE), StreamFailed(NOT_FOUND, 5), Done, [GapReason.UNAVAILABLE]
    ),
    "not found, and it never began": Row(
        a(Reading, view=replace(NEVER_BEGAN, gone=True), seen_running=False),
        StreamFailed(NOT_FOUND, 5),
        Done,
        fields={"cursor": complete(FRESH)},
    ),
    "forbidden": Row(a(Reading), StreamFailed(FORBIDDEN, 5), Waiting, [GapReason.UNAVAILABLE]),
    "silent": Row(a(Reading), SilenceElapsed(5), BackingOff),
    "silent, and ended": Row(a(Reading, view=OVER), SilenceElapsed(5), Queued),
    "silent after the end": Row(a(Reading, view=OVER, follow=False), SilenceElapsed(5), BackingOff),
    "silent, and time is over": Row(
        a(Reading, view=OVER, follow=False, attempts=OVERDUE),
        SilenceElapsed(5),
        Done,
        [GapReason.UNAVAILABLE],
    ),
    "the slice is over, and nothing came": Row(a(Reading), SliceElapsed(), Queued),
    "the slice is over, and new lines came": Row(
        a(Reading, cursor=AT_1, start=FRESH, has_received=True), SliceElapsed(), Queued
    ),
    "the slice is over, and only old lines came": Row(
        a(Reading, has_received=True), SliceElapsed(), Reading, fields={"is_due": True}
    ),
    "two slices are over, and only old lines came": Row(
        a(Reading, has_received=True, is_due=True), SliceElapsed(), Queued
    ),
    "the slice is over for the log of an ended run": Row(
        a(Reading, view=OVER, follow=False), SliceElapsed(), Reading, fields={"is_due": True}
    ),
    # Delivering
    "ended while the sinks are busy": Row(a(Delivering), seen_to(ENDED), Delivering, fields={"view": ENDED}),
    "delivered": Row(a(Delivering), Delivered(), Reading),
    "delivered after the slice": Row(
        a(Delivering, cursor=AT_1, start=FRESH, is_due=True), Delivered(), Queued
    ),
    "old lines delivered after the slice": Row(a(Delivering, is_due=True), Delivered(), Reading),
    "the log of an ended run delivered after the slice": Row(
        a(Delivering, view=OVER, follow=False, cursor=AT_1, start=FRESH, is_due=True), Delivered(), Reading
    ),
    "the sinks are busy at the slice's end": Row(
        a(Delivering), SliceElapsed(), Delivering, fields={"is_due": True, "is_stuck": True}
    ),
    "the sinks are stuck": Row(a(Delivering, is_due=True, is_stuck=True), SliceElapsed(), Detached),
    # Detached
    "ended while detached": Row(a(Detached), seen_to(ENDED), Detached, fields={"view": ENDED}),
    "delivered at last": Row(a(Detached, cursor=AT_1), Delivered(), Queued, fields={"cursor": AT_1}),
    # BackingOff
    "ended during the wait": Row(a(BackingOff), seen_to(ENDED), Queued),
    "over during the wait after the end": Row(a(BackingOff, view=ENDED), seen_to(OVER), BackingOff),
    "the wait is over": Row(a(BackingOff), BackoffElapsed(), Queued),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_what_follows(row: Row):
    following, effects = step(row.state, row.event)
    assert type(following) is row.then
    assert [_essence(effect) for effect in effects] == row.emits
    assert {name: getattr(following, name) for name in row.fields} == row.fields


def _essence(effect: Emit) -> bytes | GapReason:
    return effect.item.data if isinstance(effect.item, LogBatch) else effect.item.reason


def test_each_row_of_the_table_is_tried():
    assert {(type(row.state), type(row.event)) for row in ROWS.values()} == TABLE.keys()


@pytest.mark.parametrize(("view", "seen"), [(NOT_STARTED, False), (RUNNING, True), (NEVER_BEGAN, False)])
def test_a_container_that_only_ended_was_not_seen_running(view: ContainerView, *, seen: bool):
    assert start(FRESH, view, LIMITS).seen_running is seen
    assert start(FRESH, view, LIMITS).view == view
    noted, _ = step(a(Queued, seen_running=False), ContainerChanged(view))
    assert noted.seen_running is seen
    assert step(a(Queued), ContainerChanged(view))[0].seen_running, "it is not forgotten"


@pytest.mark.parametrize(("cursor", "after"), [(FRESH, None), (AT_1, AT_1.stamp)])
def test_a_gap_says_after_which_line_and_why(cursor: LogCursor, after: str | None):
    _, effects = step(a(Reading, cursor=cursor), StreamFailed(FORBIDDEN, 5))
    (gap,) = [effect.item for effect in effects]
    assert isinstance(gap, LogGap)
    assert (gap.container, gap.after, gap.before, gap.restart) == ("base", after, None, 0)
    assert "pods/log is forbidden" in gap.message
    assert effects[0].cursor == cursor


WITHIN_LINE_1 = Attempts(0.8, gives_up_at=5.0, last_line=(FRESH, LINE_1))


@pytest.mark.parametrize(
    ("state", "event", "message"),
    [
        (
            a(Queued, view=replace(RESTARTED, restart=2)),
            PermitGranted(),
            "the container was restarted again meanwhile",
        ),
        (
            a(Reading, view=OVER, follow=False, attempts=OVERDUE, cursor=AT_1, start=AT_1),
            StreamFailed(BROKEN, 5),
            "connection reset",
        ),
        (
            a(Reading, view=OVER, follow=False, attempts=OVERDUE),
            SilenceElapsed(5),
            "no byte of the log came for 10 s",
        ),
        (
            a(Reading, view=OVER, follow=False, attempts=WITHIN_LINE_1),
            StreamEnded(LINE_2, 5),
            "the log ends within a line, each time elsewhere",
        ),
        (
            a(Reading, view=replace(RESTARTED, restart=2), follow=False),
            StreamEnded(b"", 5),
            "perhaps it was the next run's log that was read",
        ),
        (
            a(Reading, cursor=AT_1, view=ENDED, attempts=OVERDUE, follow=False),
            LinesReceived(LINE_3, 5),
            "the last line read is not in the log",
        ),
    ],
    ids=["restarted", "broken", "silent", "within a line", "next run", "line missing"],
)
def test_a_gap_says_in_words_why_lines_may_be_missing(state: State, event: Input, message: str):
    """G3: the sinks show this text in place of the lines."""
    _, effects = step(state, event)
    assert [effect.item.message for effect in effects if isinstance(effect.item, LogGap)] == [message]


def test_lines_and_gaps_of_a_later_run_name_their_container_and_run():
    later = LogCursor("uid-1", "base", 1)
    _, (batch,) = step(a(Reading, cursor=later, view=RESTARTED), LinesReceived(LINE_1, 5))
    assert batch.item == LogBatch("base", 1, LINE_1)
    _, (gap,) = step(a(Reading, cursor=later, view=RESTARTED), StreamFailed(FORBIDDEN, 5))
    assert isinstance(gap.item, LogGap)
    assert (gap.item.container, gap.item.restart) == ("base", 1)


def test_the_gap_of_unread_runs_names_the_last_of_them():
    _, effects = step(a(Waiting), ContainerChanged(replace(RESTARTED, restart=3)))
    assert [effect.item.message for effect in effects] == ["runs up to 1 were not read to their end"]


def test_the_backoff_is_bounded():
    state = a(Reading)
    for _ in range(20):
        state, _ = step(replace(state, view=RUNNING), StreamFailed(BROKEN, 5))
        state = a(Reading, attempts=state.attempts)
    assert state.attempts.delay_s == 30.0


# Random inputs

TROUBLES = ["within a line", "silence", "failure", "not found"]


class World:
    """One container's runs, a reader of its log, and what was emitted: everything that can happen, by choice.

    Args:
        choices: Which of the possible things happens next; "lines" when there are no more.
    """

    def __init__(self, choices: list[str]) -> None:
        self.choices = iter(choices)
        self.now_s = 0.0
        self.runs: list[list[bytes]] = [[]]
        self.kept_from = [0]
        self.view = RUNNING
        self.state: State = start(FRESH, RUNNING, LIMITS)
        self.emitted: list[LogBatch | LogGap] = []
        self.stream: list[bytes] = []
        self.cuts = 0

    # What happens to the container

    def write(self) -> None:
        number = sum(map(len, self.runs)) + 1
        self.runs[-1].append(stamped(number, second=number // 4) + b"\n")

    def rotate(self) -> None:
        self.kept_from[-1] = len(self.runs[-1])

    def restart(self) -> None:
        self.runs.append([])
        self.kept_from.append(0)
        self.see(ContainerView(len(self.runs) - 1, started=True))

    def end(self) -> None:
        self.see(replace(self.view, ended=True, final=True))

    def see(self, view: ContainerView) -> None:
        self.view = view
        self.feed(ContainerChanged(view))

    # What happens to the reader

    def feed(self, event: Input) -> None:
        self.state, effects = step(self.state, event)
        self.emitted += [effect.item for effect in effects]

    def act(self, otherwise: str = "lines") -> None:
        """Feeds one input that is possible in the present state."""
        choice = next(self.choices, otherwise)
        self.now_s += 1
        match self.state:
            case Queued():
                self.feed(PermitGranted())
                self.open()
            case Reading():
                self.read(choice)
            case Delivering():
                self.feed(SliceElapsed() if choice == "slice" else Delivered())
            case Detached():
                self.feed(Delivered())
            case BackingOff():
                self.feed(BackoffElapsed())

    def open(self) -> None:
        if isinstance(self.state, Reading):
            run = self.state.cursor.restart
            assert run >= len(self.runs) - 2, "a run is asked for that the server no longer has"
            kept = self.runs[run][self.kept_from[run] :]
            if self.state.tail_lines is not None:
                self.stream = kept[-self.state.tail_lines :]
                return
            since = b"" if self.state.whole else (since_time(self.state.cursor) or "")[:19].encode()
            self.stream = [line for line in kept if line[:19] >= since]

    def read(self, choice: str) -> None:
        lines, self.stream = self.stream[:2], self.stream[2:]
        match choice:
            case "lines" if lines:
                self.feed(LinesReceived(b"".join(lines), self.now_s))
            case "lines":
                self.feed(StreamEnded(b"", self.now_s))
            case "within a line" if lines:
                self.cuts += 1  # each time elsewhere: two answers that end at the same place count as the end
                self.feed(StreamEnded(lines[0][: 32 + self.cuts % 4] + b"\n", self.now_s))
            case "slice":
                self.feed(SliceElapsed())
                self.stream = lines + self.stream
            case "silence":
                self.feed(SilenceElapsed(self.now_s))
            case "not found":
                self.feed(StreamFailed(NOT_FOUND, self.now_s))
            case _:
                self.feed(StreamFailed(BROKEN, self.now_s))


happenings = st.integers(0, 60).flatmap(
    lambda size: st.lists(
        st.sampled_from(["write", "write", "act", "act", "act", "rotate", "restart"]),
        min_size=size,
        max_size=size,
    )
)
some_choices = st.lists(st.sampled_from(["lines", "lines", "lines", "slice", *TROUBLES]), max_size=60)


@given(happenings, some_choices, st.sampled_from(["lines", *TROUBLES]))
def test_random_inputs_give_each_line_once_or_a_gap_and_come_to_an_end(script, choices, in_the_end):
    """No line twice, none lost without a gap, no gap for nothing; it ends with the container."""
    world = World(choices)
    world.see(RUNNING)
    for name in script:
        getattr(world, name)()
    world.end()
    steps = 0
    while not isinstance(world.state, Done):
        world.act(in_the_end)
        steps += 1
        assert steps < 2000, "it does not come to an end"
    assert world.state.cursor.complete
    check(world, script)


def check(world: World, script: list[str]) -> None:
    truth = [line for run in world.runs for line in run]
    position, is_gap_before = 0, False
    for item in world.emitted:
        if isinstance(item, LogGap):
            assert item.reason in causes(script), "a gap for nothing"
            is_gap_before = True
            continue
        for line in item.data.splitlines(keepends=True):
            at = truth.index(line)
            assert at >= position, "a line twice, or out of order"
            assert is_gap_before or rotated_unseen(world, range(position, at)), "a line is lost without a gap"
            position, is_gap_before = at + 1, False
    assert is_gap_before or rotated_unseen(world, range(position, len(truth))), (
        "the end is lost without a gap"
    )


def rotated_unseen(world: World, missing: range) -> bool:
    """Whether the missing lines had rotated away before the first line of their run was read: that leaves no trace."""
    ends = list(itertools.accumulate(map(len, world.runs)))
    for at in missing:
        run = next(run for run, end in enumerate(ends) if at < end)
        begin = ends[run] - len(world.runs[run])
        if missing.start > begin or at - begin >= world.kept_from[run]:
            return False
    return True


def causes(script: list[str]) -> set[GapReason]:
    return {
        GapReason.UNAVAILABLE,
        *([GapReason.ROTATED] if "rotate" in script else []),
        *([GapReason.RESTARTED] if "restart" in script else []),
    }

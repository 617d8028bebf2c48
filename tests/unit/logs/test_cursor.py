"""Where a reader stands, and how it goes on."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs.cursor import LogCursor, Resumption, advance, next_run, since_time, stamp_ns
from podrunner.logs.record import GapReason, LogGap

FRESH = LogCursor("uid-1", "base")


def text(*stamps: tuple[int, int]) -> bytes:
    return b"".join(b"2024-05-01T10:20:%02d.%09dZ n\n" % stamp for stamp in stamps)


def test_the_cursor_counts_the_lines_of_its_stamp():
    cursor = advance(FRESH, text((1, 5), (1, 7), (1, 7)))
    assert (cursor.stamp, cursor.lines) == ("2024-05-01T10:20:01.000000007Z", 2)
    assert advance(cursor, text((1, 7))).lines == 3
    assert advance(cursor, text((1, 8))).lines == 1


def test_lines_without_a_stamp_do_not_move_the_cursor():
    assert advance(FRESH, b"rpc error: not found\n") is FRESH


def test_a_line_without_a_stamp_before_one_with_a_stamp_does_not_hide_it():
    assert advance(FRESH, b"\n" + text((1, 5))) == advance(FRESH, text((1, 5)))


@pytest.mark.parametrize("line", ["Größe".encode(), b"\xff\x00", "字".encode()])
def test_a_line_with_any_bytes_moves_the_cursor(line):
    """G5, G6: its stamp is read without its text, which may be cut within a character."""
    assert advance(FRESH, b"2024-05-01T10:20:01.000000005Z " + line + b"\n") == advance(FRESH, text((1, 5)))


@pytest.mark.parametrize(
    ("stamp", "since"),
    [
        ("", None),
        ("2024-05-01T10:20:30.123456789Z", "2024-05-01T10:20:30Z"),
        ("2024-05-01T10:20:30.5+02:00", "2024-05-01T10:20:30+02:00"),
        ("2024-05-01T10:20:30Z", "2024-05-01T10:20:30Z"),
    ],
)
def test_the_server_is_asked_in_whole_seconds(stamp, since):
    """G2: sinceTime has no fraction."""
    assert since_time(LogCursor("u", "c", stamp=stamp)) == since


@pytest.mark.parametrize(
    ("stamp", "nanoseconds"),
    [
        ("1970-01-01T00:00:02Z", 2_000_000_000),
        ("1970-01-01T00:00:02.5Z", 2_500_000_000),
        ("1970-01-01T01:00:02.000000007+01:00", 2_000_000_007),
    ],
)
def test_a_stamp_is_so_many_nanoseconds(stamp, nanoseconds):
    assert stamp_ns(stamp) == nanoseconds


def test_stamps_of_different_spelling_compare():
    assert stamp_ns("2024-05-01T12:20:30.5+02:00") == stamp_ns("2024-05-01T10:20:30.500000000Z")
    assert stamp_ns("2024-05-01T10:20:30Z") < stamp_ns("2024-05-01T10:20:30.000000001Z")


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=12).map(sorted),
    st.data(),
)
def test_a_resumed_stream_continues_exactly_after_the_cursor(stamps, data):
    """G1, G2: no line lost, none twice, also where many lines share a stamp and however the resumed bytes are cut."""
    seen = data.draw(st.integers(0, len(stamps)))
    cursor = advance(FRESH, text(*stamps[:seen])) if seen else FRESH
    start = stamps[seen - 1][0] if seen else 0
    resumed = [stamp for stamp in stamps if stamp[0] >= start]
    resumption, got = Resumption.after(cursor), b""
    for stamp in resumed:
        lines, gap, resumption = resumption.admit(text(stamp))
        got += lines
        assert gap is None
    assert got == text(*stamps[seen:])
    assert Resumption.after(cursor).admit(text(*resumed)).lines == got


@pytest.mark.parametrize(
    ("read", "resumed", "new"),
    [
        ([(1, 5)], [(1, 4), (1, 5), (1, 5), (1, 6)], [(1, 5), (1, 6)]),
        ([(1, 5), (1, 5)], [(1, 4), (1, 5), (1, 5), (1, 6)], [(1, 6)]),
        ([(1, 5), (1, 5)], [(1, 5), (1, 5)], []),
    ],
)
def test_as_many_lines_of_the_cursors_stamp_are_dropped_as_were_read(read, resumed, new):
    """G2: wherever they stand in a batch."""
    resumption = Resumption.after(advance(FRESH, text(*read)))
    assert resumption.admit(text(*resumed))[:2] == (text(*new), None)
    assert resumption.admit(b"\n" + text(*resumed))[:2] == (text(*new), None)


def test_lines_of_the_cursors_stamp_are_found_behind_other_lines():
    """G2: the runtime may write a line without a stamp before or between them."""
    resumption = Resumption.after(advance(FRESH, text((1, 5), (1, 5))))
    lines, gap, then = resumption.admit(b"\n" + text((1, 5)) + b"rotated\n" + text((1, 5), (1, 6)))
    assert (lines, gap, then.left) == (text((1, 6)), None, 0)
    assert resumption.admit(b"\n" + text((1, 5))).then.left == 1


def test_a_stamp_in_another_spelling_is_no_later_one():
    resumption = Resumption.after(LogCursor("u", "c", stamp="2024-05-01T10:20:01.5Z", lines=1))
    lines = b"2024-05-01T10:20:01.500000000Z n\n"
    then = msgspec.structs.replace(resumption, dropped_bytes=len(lines))
    assert resumption.admit(lines) == (b"", None, then)


def test_a_gap_says_where_it_is_and_why():
    resumption = Resumption.after(LogCursor("u", "c", 3, stamp="2024-05-01T10:20:01Z", lines=1))
    assert resumption.end() == LogGap(
        "c",
        GapReason.ROTATED,
        after="2024-05-01T10:20:01Z",
        before=None,
        restart=3,
        message="the last line read is no longer there",
    )


def test_a_cursor_whose_line_rotated_away_is_a_gap():
    """G3: what is gone is said."""
    cursor = advance(FRESH, text((1, 5)))
    resumption = Resumption.after(cursor)
    lines, gap, then = resumption.admit(b"runtime says hello\n" + text((1, 2), (1, 9), (1, 10)))
    assert lines == text((1, 9), (1, 10))
    assert then.admit(text((1, 11))) == (text((1, 11)), None, then), "after the gap every line is new"
    assert gap is not None
    assert (gap.reason, gap.after, gap.before) == (
        GapReason.ROTATED,
        "2024-05-01T10:20:01.000000005Z",
        "2024-05-01T10:20:01.000000009Z",
    )
    assert "rotated" in str(gap)


def test_fewer_lines_of_the_cursors_stamp_than_were_read_are_a_gap():
    """G3: rotation cut between lines of one time stamp."""
    cursor = advance(FRESH, text((1, 5), (1, 5)))
    lines, gap, _ = Resumption.after(cursor).admit(text((1, 5), (1, 6)))
    assert lines == text((1, 6))
    assert gap is not None


def test_a_later_run_begins_at_its_beginning():
    cursor = advance(FRESH, text((1, 5)))
    assert next_run(cursor, 2, "2024-05-01T10:20:02Z") == LogCursor("uid-1", "base", 2)


def test_what_was_read_of_the_moment_in_which_a_later_run_began_is_kept():
    cursor = LogCursor("u", "c", stamp="2024-05-01T10:20:01Z", lines=2)
    kept = LogCursor("u", "c", 1, stamp="2024-05-01T10:20:01Z", lines=2, inherited=True)
    assert next_run(cursor, 1, "2024-05-01T10:20:01Z") == kept


@pytest.mark.parametrize("began_at", ["2024-05-01T10:20:01Z", ""])
def test_lines_of_a_later_run_that_were_taken_for_the_earlier_ones_are_not_read_twice(began_at):
    """The node had restarted the container before the watch reported it."""
    cursor = next_run(advance(FRESH, text((1, 5))), 1, began_at)
    assert Resumption.after(cursor).admit(text((1, 4), (1, 5), (1, 6)))[:2] == (text((1, 6)), None)
    assert Resumption.after(cursor).admit(text((1, 7)))[:2] == (text((1, 7)), None)


def test_a_log_from_which_the_cursors_line_and_all_later_ones_are_gone_is_a_gap():
    """G3: rotated just before the end."""
    resumption = Resumption.after(advance(FRESH, text((1, 5))))
    assert resumption.admit(b"") == (b"", None, resumption)
    gap = resumption.end()
    assert gap is not None
    assert (gap.after, gap.before) == ("2024-05-01T10:20:01.000000005Z", None)


def resumed(read: bytes, stream: bytes, **options: bool) -> tuple[bytes, LogGap | None]:
    """What a reader gets that read some lines, after a break, of a log to its end."""
    lines, gap, then = Resumption.after(advance(FRESH, read), follow=False, **options).admit(stream)
    held, end, _ = then.finish()
    return lines + held, gap or end


@pytest.mark.parametrize("follow", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_stamps_out_of_order_are_resumed_by_what_was_seen(follow, cut):
    """G12: stamps …100, …900, …500, break after each; a late line of the other stream."""
    lines = [text((1, 100)), text((1, 900)), text((1, 500)), text((1, 950))]
    resumption = Resumption.after(advance(FRESH, b"".join(lines[:cut])), follow=follow)
    new, gap, then = resumption.admit(b"".join(lines))
    assert (new, gap, then.is_doubtful) == (b"".join(lines[cut:]), None, False)


def test_equal_stamps_that_are_not_neighbours_are_resumed_by_what_was_seen():
    """G12: the same line once more, behind another one; in one batch and in two."""
    a, b, c = text((1, 100)), text((1, 200)), text((1, 300))
    assert resumed(a + b + a, a + b + a + c) == (c, None)
    cursor = advance(advance(FRESH, a + b), a)
    assert Resumption.after(cursor).admit(a + b + a + c)[:2] == (c, None)
    assert Resumption.after(cursor.compact()).admit(a + b + a + c)[:2] == (c, None)


def test_lines_of_one_stamp_are_told_apart_by_their_content():
    """G12: rotation took the first of them."""
    stamp = b"2024-05-01T10:20:01.000000001Z "
    one, two, three = stamp + b"one\n", stamp + b"two\n", stamp + b"three\n"
    assert resumed(one + two, two + three) == (three, None)


def test_a_clock_that_is_set_back_by_four_seconds_loses_no_line():
    """G12: the kubelet is asked from an earlier time on, since it compares stamps too."""
    before, after = text((9, 1), (10, 1)), text((6, 1), (7, 1), (11, 1))
    cursor = advance(FRESH, before)
    assert (since_time(cursor) or "") <= "2024-05-01T10:20:06Z"
    assert resumed(before, before + after) == (after, None)
    assert resumed(before + after[:33], before + after) == (after[33:], None)


def test_a_clock_that_is_set_back_further_is_a_reason_to_ask_for_the_whole_log():
    """G12: the kubelet may have passed over the first lines after that."""
    cursor = advance(FRESH, text((30, 1)))
    assert Resumption.after(cursor).admit(text((30, 1), (21, 1))).then.is_doubtful
    assert not Resumption.after(cursor).admit(text((30, 1), (26, 1))).then.is_doubtful
    whole = Resumption.after(cursor, whole=True)
    assert whole.admit(text((30, 1), (1, 1))) == (text((1, 1)), None, whole.admit(text((30, 1), (1, 1))).then)
    assert not whole.admit(text((30, 1), (1, 1))).then.is_doubtful


def test_a_gap_is_only_suspected_while_the_log_goes_on():
    """G12: a later line may have been read, if it is not among the last ones that are remembered."""
    read = text((1, 900), *((1, at) for at in range(100, 300)))
    resumption = Resumption.after(advance(advance(FRESH, read[:33]), read[33:]))
    _, gap, then = resumption.admit(text((1, 900), (1, 901)))
    assert then.is_doubtful
    assert gap is not None
    assert resumed(read, read + text((1, 400))) == (text((1, 400)), None)
    assert resumed(read, text((1, 400), (1, 901)))[0] == text((1, 400), (1, 901))


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3)), min_size=1, max_size=30), st.data())
def test_a_log_with_any_stamps_is_resumed_exactly(stamps, data):
    """G12: no line lost, none twice, no gap for nothing; from a cursor in memory and from a saved one."""
    lines = [b"2024-05-01T10:20:%02d.%09dZ %d\n" % (*stamp, at) for at, stamp in enumerate(stamps)]
    seen = data.draw(st.integers(1, len(lines)))
    cursor, rest = FRESH, lines[:seen]
    while rest:
        count = data.draw(st.integers(1, len(rest)))
        cursor, rest = advance(cursor, b"".join(rest[:count])), rest[count:]
    cursor = data.draw(st.sampled_from([cursor, cursor.compact(), saved(cursor)]))
    resumption = Resumption.after(cursor, follow=data.draw(st.booleans()))
    new, gap, then = resumption.admit(b"".join(lines))
    assert (new, gap, then.left) == (b"".join(lines[seen:]), None, 0)


def saved(cursor: LogCursor) -> LogCursor:
    return msgspec.json.decode(msgspec.json.encode(cursor.compact()), type=LogCursor)


def test_a_saved_cursor_is_small_and_holds_no_text_of_the_log():
    """G12: however long the lines are."""
    cursor = FRESH
    for at in range(200):
        cursor = advance(cursor, text((1, at))[:-1] + b" secret" * at * at + b"\n")
    content = msgspec.json.encode(cursor.compact())
    assert len(content) < 1024
    assert b"secret" not in content


@pytest.mark.parametrize("recent", [{}, {"recent": {"version": 2, "keys": "AAAA", "newest": "x", "more": 1}}])
def test_a_cursor_of_another_podrunner_is_read(recent):
    """G12: of an earlier one, without the last lines, or of a later one, in another form: by its stamp alone."""
    fields = {"uid": "u", "container": "c", "stamp": "2024-05-01T10:20:01.000000005Z", "lines": 1, **recent}
    cursor = msgspec.json.decode(msgspec.json.encode(fields), type=LogCursor)
    assert since_time(cursor) == "2024-05-01T10:20:01Z"
    assert Resumption.after(cursor).admit(text((1, 4), (1, 5), (1, 6)))[:2] == (text((1, 6)), None)
    assert Resumption.after(cursor).admit(text((1, 6))).gap is not None
    assert next_run(cursor, 1, "2024-05-01T10:20:02Z") == LogCursor("u", "c", 1)
    assert advance(cursor, text((1, 6))).recent

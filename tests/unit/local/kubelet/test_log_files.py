"""Log files: CRI format, long lines, rotation; reading them back by tail, since, limit, timestamps, follow."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.api.runtime import LogOptions
from podrunner.local.kubelet.logreader import normal_time, read_log, read_tail
from podrunner.local.kubelet.logs import MAX_LINE, LogFile, nano_time

BEGIN = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z


class Clock:
    """Nanoseconds that are set by hand."""

    def __init__(self) -> None:
        self.now = BEGIN

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def log(tmp_path, clock):
    file = LogFile(tmp_path / "c" / "0.log", now_ns=clock)
    yield file
    file.close()


def read(log, **options):
    """All that can be read now."""

    async def collect():
        return b"".join([piece async for piece in read_log(log, LogOptions(**options))])

    return asyncio.run(collect())


def test_lines_have_the_cri_format(log):
    """Time with nine digits, stream, tag, text."""
    log.write("stdout", b"one\ntw")
    log.write("stderr", b"err\n")
    log.write("stdout", b"o\n")
    lines = log.path.read_text().splitlines()
    assert lines == [
        "2026-01-01T00:00:00.000000000Z stdout F one",
        "2026-01-01T00:00:00.000000001Z stderr F err",
        "2026-01-01T00:00:00.000000002Z stdout F two",
    ]


def test_times_only_grow_even_if_the_clock_does_not(log, clock):
    """A reader may resume by time."""
    log.write("stdout", b"a\nb\n")
    clock.now -= 5_000_000_000
    log.write("stdout", b"c\n")
    times = [line.split()[0] for line in log.path.read_text().splitlines()]
    assert times == sorted(set(times))


def test_long_lines_are_cut_into_parts_and_read_back_whole(log):
    """16 KiB a part, tagged P (G6)."""
    text = b"x" * (MAX_LINE * 2 + 5)
    log.write("stdout", text[:20_000])
    log.write("stdout", text[20_000:] + b"\nshort\n")
    assert re.findall(rb" stdout ([FP]) ", log.path.read_bytes()) == [b"P", b"P", b"F", b"F"]
    assert read(log) == text + b"\nshort\n"
    assert read(log, timestamps=True).count(b"2026-") == 2


def test_an_unfinished_last_line_is_kept_without_a_newline(log):
    """As `printf` leaves it."""
    log.write("stdout", b"a\nend")
    log.close()
    assert read(log) == b"a\nend"
    log.write("stdout", b"too late")
    assert read(log) == b"a\nend"


@given(st.lists(st.binary(max_size=40), max_size=30))
def test_any_bytes_come_back_as_they_were(tmp_path_factory, pieces):
    """Empty lines, carriage returns, broken UTF-8: all of it (G5, G6)."""
    log = LogFile(tmp_path_factory.mktemp("log") / "0.log")
    for piece in pieces:
        log.write("stdout", piece)
    log.close()
    assert read(log) == b"".join(pieces)


@pytest.mark.parametrize(
    ("lines", "expected"), [(0, b""), (1, b"9\n"), (3, b"7\n8\n9\n"), (99, b"0\n1\n2\n3\n4\n5\n6\n7\n8\n9\n")]
)
def test_tail_gives_the_last_lines(log, lines, expected):
    log.write("stdout", b"".join(b"%d\n" % number for number in range(10)))
    assert read(log, tail_lines=lines) == expected


def test_tail_of_a_long_log_reads_only_its_end(log):
    """Over more than one block."""
    log.write("stdout", b"".join(b"%06d %s\n" % (number, b"x" * 90) for number in range(10_000)))
    assert read(log, tail_lines=4_000).split()[0] == b"006000"


def test_since_leaves_out_what_is_older(log, clock):
    """A line exactly at that time stays (G2)."""
    for number in range(4):
        clock.now = BEGIN + number * 1_000_000_000
        log.write("stdout", b"%d\n" % number)
    assert read(log, since_time="2026-01-01T00:00:02Z") == b"2\n3\n"
    assert read(log, since_time="2026-01-01T02:00:02.000000001+02:00") == b"3\n"
    assert read(log, since_seconds=1) == b""


def test_limit_ends_in_the_middle_of_a_line(log):
    """Timestamps count, as with a kubelet."""
    log.write("stdout", b"hello\nworld\n")
    assert read(log, limit_bytes=8) == b"hello\nwo"
    assert read(log, limit_bytes=31, timestamps=True) == b"2026-01-01T00:00:00.000000000Z "


def test_rotation_keeps_a_bounded_number_of_files(tmp_path, clock):
    """And reads serve the current one, as a kubelet does."""
    log = LogFile(tmp_path / "0.log", max_size=200, max_files=3, now_ns=clock)
    for number in range(40):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    assert len(list(tmp_path.iterdir())) == 3
    assert b"line 0\n" not in read(log)


@pytest.mark.asyncio
async def test_a_follower_sees_every_line_across_rotations(tmp_path):
    """Nothing lost as long as rotated files are kept (G3)."""
    log = LogFile(tmp_path / "0.log", max_size=300, max_files=50)
    got = []

    async def follow():
        got.extend([piece async for piece in read_log(log, LogOptions(follow=True))])

    task = asyncio.create_task(follow())
    for number in range(100):
        log.write("stdout", b"line %d\n" % number)
        if number % 7 == 0:
            await asyncio.sleep(0)
    log.close()
    await asyncio.wait_for(task, 40)
    assert b"".join(got) == b"".join(b"line %d\n" % number for number in range(100))


@pytest.mark.asyncio
async def test_a_slow_follower_goes_on_where_rotation_left_something(tmp_path):
    """What was dropped meanwhile is gone, as on a node."""
    log = LogFile(tmp_path / "0.log", max_size=100, max_files=2)
    pieces = read_log(log, LogOptions(follow=True))
    log.write("stdout", b"first\n")
    assert await anext(pieces) == b"first\n"
    for number in range(30):
        log.write("stdout", b"line %d\n" % number)
    log.close()
    rest = b"".join([piece async for piece in pieces])
    assert rest.endswith(b"line 29\n")
    assert rest.count(b"\n") < 30


@pytest.mark.asyncio
async def test_following_ends_when_the_log_is_closed(log):
    """Not before, and without polling (G7)."""
    pieces = read_log(log, LogOptions(follow=True))
    first = asyncio.create_task(anext(pieces))
    await asyncio.sleep(0)
    assert not first.done()
    log.write("stdout", b"a\n")
    assert await first == b"a\n"
    last = asyncio.create_task(anext(pieces, None))
    await asyncio.sleep(0)
    log.close()
    assert await last is None


def test_a_termination_message_takes_the_end_of_the_log(log):
    log.write("stdout", b"".join(b"%d\n" % number for number in range(200)))
    assert read_tail(log, lines=2, size=2048) == "198\n199\n"
    assert read_tail(log, lines=80, size=4) == "199\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00.000000000Z"),
        ("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00.500000000Z"),
        ("2026-01-01T01:30:00.123456789+01:30", "2026-01-01T00:00:00.123456789Z"),
    ],
)
def test_times_are_brought_into_one_form(text, expected):
    assert normal_time(text) == expected


@pytest.mark.parametrize("text", ["yesterday", "2026-01-01T00:00:00"])
def test_what_is_no_rfc_3339_time_is_refused(text):
    with pytest.raises(ValueError):
        normal_time(text)


@given(st.integers(min_value=0, max_value=4_000_000_000_000_000_000))
def test_nano_times_sort_as_their_numbers(number):
    assert nano_time(number) < nano_time(number + 1)
    assert len(nano_time(number)) == 30

"""Whole lines out of byte batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs.lines import CONTINUED, GOES_ON, LineAssembler
from podrunner.logs.record import LogBatch, LogLine

STAMP = b"2024-05-01T10:20:30.123456789Z "


@given(st.lists(st.binary(max_size=40).map(lambda text: text.replace(b"\n", b"")), max_size=8), st.data())
def test_any_cutting_of_a_stream_gives_the_same_lines(lines, data):
    """G5, G6: the batches' borders mean nothing, wherever they fall."""
    stream = b"".join(line + b"\n" for line in lines)
    assembler, got, rest = LineAssembler(), b"", stream
    while rest:
        cut = data.draw(st.integers(1, len(rest)))
        got += assembler.feed(rest[:cut])
        rest = rest[cut:]
    assert got + assembler.rest() == stream


def test_a_character_cut_in_two_is_read_whole():
    """G5: UTF-8 split across batches."""
    data = STAMP + "grüße €\n".encode()
    assembler = LineAssembler()
    pieces = [assembler.feed(data[i : i + 1]) for i in range(len(data))]
    texts = [text for piece in pieces for text in LogBatch("base", 0, piece).texts() if piece]
    assert texts == ["grüße €"]


def test_bytes_that_are_no_text_become_replacement_characters():
    """G5: a binary line is no error."""
    assert LogBatch("base", 0, STAMP + b"a\xffb\n").texts() == ["a�b"]


def test_a_line_of_a_megabyte_comes_whole():
    """G6: no limit of 16 KiB."""
    assembler = LineAssembler()
    chunks = [STAMP, *[b"x" * 16_384] * 64, b"\n"]
    got = b"".join(map(assembler.feed, chunks))
    assert LogBatch("base", 0, got).texts() == ["x" * 16_384 * 64]


def test_empty_lines_and_carriage_returns_are_kept():
    """G6: any content; only a line feed ends a line."""
    data = STAMP + b"\n" + STAMP + b"10%\r20%\r\n" + STAMP + "a\x0cb\u2028c\n".encode()
    assert LogBatch("base", 0, data).texts() == ["", "10%\r20%\r", "a\x0cb\u2028c"]


def test_output_without_a_line_end_is_handed_on_in_pieces():
    """Memory is bounded: each piece is a line with the same stamp, and says that it is a piece."""
    assembler = LineAssembler(max_line_bytes=100)
    got = b"".join([assembler.feed(STAMP), *(assembler.feed(b"y" * 50) for _ in range(5)), assembler.rest()])
    texts = LogBatch("base", 0, got).texts()
    going_on, continued = GOES_ON.decode(), CONTINUED.decode()
    assert all(text.endswith(going_on) for text in texts[:-1])
    assert all(text.startswith(continued) for text in texts[1:])
    assert "".join(text.removesuffix(going_on).removeprefix(continued) for text in texts) == "y" * 250
    assert got.count(STAMP) == got.count(b"\n") == len(texts) > 1


@given(st.data())
def test_a_line_that_is_too_long_is_cut_alike_in_each_answer(data):
    """its pieces are recognised after a break, however the bytes come; a line of just the size is whole."""
    lines = [STAMP + b"z" * size + b"\n" for size in data.draw(st.lists(st.integers(60, 200), max_size=4))]
    stream, got, assembler = b"".join(lines), b"", LineAssembler(max_line_bytes=100)
    expected = b"".join(pieces(line) for line in lines)
    while stream:
        cut = data.draw(st.integers(1, min(len(stream), 90)))
        got, stream = got + assembler.feed(stream[:cut]), stream[cut:]
    assert got + assembler.rest() == expected


def pieces(line: bytes) -> bytes:
    if len(line) <= 101:
        return line
    return line[:100] + GOES_ON + b"\n" + pieces(STAMP + CONTINUED + line[100:])


def test_the_last_line_may_have_no_end():
    assembler = LineAssembler()
    assert assembler.feed(STAMP + b"bye") == b""
    assert assembler.rest() == STAMP + b"bye\n"
    assert assembler.rest() == b""


def test_texts_and_content_with_and_without_time_stamps():
    data = STAMP + b"one\n2024-05-01T10:20:30+02:00 two\nfailed to read\n2024-05-01T10:20:30Z\n"
    batch = LogBatch("base", 1, data)
    assert batch.texts() == ["one", "two", "failed to read", ""]
    assert batch.texts(timestamps=True)[0] == "2024-05-01T10:20:30.123456789Z one"
    assert batch.content() == b"one\ntwo\nfailed to read\n\n"
    assert batch.content(timestamps=True) == data


def test_records_carry_the_containers_own_time():
    """G9: the time is the node's, not ours."""
    records = LogBatch("base", 2, STAMP + b"one\n").records()
    assert records == [LogLine("one", "2024-05-01T10:20:30.123456789Z", "base", 2)]
    assert str(records[0]) == "one"

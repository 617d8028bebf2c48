"""One log in several files: cut by size, packed, put right after a crash at any moment, and read as one."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs import FileLogSink, LogCursor
from podrunner.logs.cursor import advance
from podrunner.logs.record import LogBatch
from podrunner.logs.segments import LogFiles, compress_segment, last_segment, rotate, undo_rotation
from tests.unit.logs.conftest import stamped

FRESH = LogCursor("uid-1", "base")


def whole(path: Path, offset: int = 0) -> bytes:
    files = LogFiles(path, offset=offset)
    try:
        return b"".join(iter(files.read, b""))
    finally:
        files.close()


def names(folder: Path) -> list[str]:
    return sorted(it.name for it in folder.iterdir())


async def feed(sink: FileLogSink, cursor: LogCursor, *numbers: int) -> LogCursor:
    data = b"".join(stamped(number) + b"\n" for number in numbers)
    after = advance(cursor, data)
    await sink.write(LogBatch("base", 0, data), after)
    return after


def lines(*numbers: int) -> bytes:
    return b"".join(b"line %d\n" % number for number in numbers)


@pytest.mark.anyio
@pytest.mark.parametrize(("compress", "segment"), [(False, "1.log.1"), (True, "1.log.1.gz")])
async def test_a_file_that_would_grow_too_long_becomes_a_segment(tmp_path, compress, segment):
    sink = FileLogSink(tmp_path / "1.log", max_bytes=15, compress=compress)
    await sink.open(uid="uid-1", container="base")
    cursor = await feed(sink, FRESH, 1, 2)
    await sink.close(await feed(sink, cursor, 3))
    assert names(tmp_path) == [".cursors", "1.log", segment]
    assert sink.path.read_bytes() == lines(3)
    assert whole(sink.path) == lines(1, 2, 3)


@pytest.mark.anyio
async def test_a_batch_longer_than_a_file_may_be_is_not_cut(tmp_path):
    sink = FileLogSink(tmp_path / "1.log", max_bytes=3)
    await sink.open(uid="uid-1", container="base")
    await feed(sink, FRESH, 1, 2)
    assert names(tmp_path) == [".cursors", "1.log"]


@pytest.mark.anyio
@pytest.mark.parametrize("compress", [False, True])
async def test_a_crash_in_the_middle_of_a_cut_is_undone(tmp_path, compress):
    """The file was rotated, and the cursor is older."""
    sink = FileLogSink(tmp_path / "1.log")
    await sink.open(uid="uid-1", container="base")
    cursor = await feed(sink, FRESH, 1)
    await sink.close(cursor)
    sink._marked_at = float("inf")  # the next cursor is never written
    await feed(sink, cursor, 2)
    number = rotate(sink.path)
    if compress:
        compress_segment(sink.path, number)
    successor = FileLogSink(sink.path)
    assert await successor.open(uid="uid-1", container="base") == cursor
    await feed(successor, cursor, 2, 3)
    assert whole(sink.path) == lines(1, 2, 3)
    assert names(tmp_path) == [".cursors", "1.log"]


@pytest.mark.anyio
async def test_what_a_crash_of_the_machine_took_is_a_gap_in_the_file(tmp_path):
    """The file is shorter than the cursor says."""
    sink = FileLogSink(tmp_path / "1.log")
    await sink.open(uid="uid-1", container="base")
    cursor = await feed(sink, FRESH, 1, 2)
    await sink.close(cursor)
    sink.path.write_bytes(b"line 1\nli")
    assert await FileLogSink(sink.path).open(uid="uid-1", container="base") == cursor
    kept, gap = sink.path.read_text().rstrip("\n").rsplit("\n", 1)
    assert kept == "line 1\nli"
    assert gap.startswith("*** Log gap in container base (unavailable)")
    assert "5 bytes" in gap


def play(folder: Path, steps, crash) -> tuple[Path, bytes]:
    """Writes and cuts; files as a process that dies leaves them."""
    path, written = folder / "1.log", b""
    path.touch()
    for number, step in enumerate(steps):
        if step == "write":
            with path.open("ab") as file:
                file.write(b"%03d\n" % number)
            written += b"%03d\n" % number
        else:
            segment = rotate(path)
            path.touch()
            if step == "compress":
                compress_segment(path, segment)
    if crash == "both forms" and last_segment(path):
        last = path.with_name(f"1.log.{last_segment(path)}")
        packed = last.with_name(f"{last.name}.gz")
        if packed.exists():
            last.write_bytes(gzip.decompress(packed.read_bytes()))
    if crash == "nothing new yet" and not path.stat().st_size:
        path.unlink()
    return path, written


histories = st.lists(st.sampled_from(["write", "write", "cut", "compress"]), min_size=1, max_size=15)
crashes = st.sampled_from(["", "both forms", "nothing new yet"])


@given(histories, crashes, st.data())
def test_all_files_read_as_one_from_any_place(tmp_path_factory, steps, crash, data):
    path, written = play(tmp_path_factory.mktemp("log"), steps, crash)
    if not path.exists() and not last_segment(path):
        return
    offset = data.draw(st.integers(0, len(written) + 3))
    assert whole(path, offset) == written[offset:]


@given(histories, crashes, st.data())
def test_cuts_can_be_undone_back_to_any_part(tmp_path_factory, steps, crash, data):
    """As often as it takes, and what was before is untouched."""
    path, written = play(tmp_path_factory.mktemp("log"), steps, crash)
    number = data.draw(st.integers(0, last_segment(path)))
    undo_rotation(path, number)
    undo_rotation(path, number)
    assert last_segment(path) == number
    if path.exists() or number:
        assert written.startswith(whole(path))


def test_a_reader_goes_on_while_the_log_is_cut_and_packed(tmp_path):
    path = tmp_path / "1.log"
    path.write_bytes(b"one\n")
    files = LogFiles(path)
    assert (files.read(), files.read()) == (b"one\n", b"")
    with path.open("ab") as file:
        file.write(b"two\n")
    number = rotate(path)
    compress_segment(path, number)
    assert files.read() == b"two\n"
    assert files.read() == b""
    path.write_bytes(b"three\n")
    assert files.read() == b"three\n"
    files.close()


def test_what_is_written_between_two_looks_and_then_cut_off_is_not_missed(tmp_path, monkeypatch):
    path = tmp_path / "1.log"
    path.write_bytes(b"one\n")
    files = LogFiles(path)
    assert files.read() == b"one\n"
    look = files._is_segment

    def cut_just_now(number: int) -> bool:
        if path.exists():
            with path.open("ab") as file:
                file.write(b"two\n")
            rotate(path)
        return look(number)

    monkeypatch.setattr(files, "_is_segment", cut_just_now)
    assert files.read() == b"two\n"
    files.close()


def test_other_files_are_no_segments(tmp_path):
    for name in ("1.log", "1.log.x", "1.log.0", "11.log.5", "1.log.7.bak", "a1.log.3"):
        (tmp_path / name).touch()
    assert last_segment(tmp_path / "1.log") == 0
    with pytest.raises(FileNotFoundError):
        LogFiles(tmp_path / "2.log")

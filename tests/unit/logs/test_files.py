"""Log files: their place, and going on after a crash."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import anyio
import pytest
from podrunner.errors import LogError
from podrunner.logs import FileLogSink, GapReason, LogCursor, LogGap, container_log_path, safe_log_path
from podrunner.logs.cursor import advance
from podrunner.logs.record import LogBatch
from tests.unit.logs.conftest import stamped

FRESH = LogCursor("uid-1", "base")


def test_airflows_layout_is_met_exactly(tmp_path):
    relative = "sample_k8s/test-task001/2019-08-15T01:16:36.627731+00:00/1.log"
    assert safe_log_path(tmp_path, relative) == tmp_path.joinpath(*relative.split("/"))


@pytest.mark.parametrize(
    "path", ["../x.log", "a/../../x.log", "/etc/passwd", "a//b.log", "a/./b", "", "a\0b"]
)
def test_a_path_that_would_leave_the_folder_is_refused(path, tmp_path):
    """G10: never outside."""
    with pytest.raises(LogError):
        safe_log_path(tmp_path, path)


def test_other_containers_have_files_of_their_own():
    assert container_log_path("d/t/1.log", "base", main="base") == "d/t/1.log"
    assert container_log_path("d/t/1.log", "git-sync", main="base") == "d/t/1.git-sync.log"


async def feed(sink: FileLogSink, cursor: LogCursor, *lines: bytes) -> LogCursor:
    data = b"".join(line + b"\n" for line in lines)
    after = advance(cursor, data)
    await sink.write(LogBatch(cursor.container, cursor.restart, data), after)
    return after


@pytest.mark.anyio
async def test_a_successor_cuts_what_came_after_the_cursor(tmp_path):
    """The cursor is older than the file's end, as after a crash: the rest is written again, not twice."""
    path = tmp_path / "1.log"
    first = FileLogSink(path)
    assert await first.open(uid="uid-1", container="base") is None
    cursor = await feed(first, FRESH, stamped(1))
    await first.close(cursor)
    await anyio.to_thread.run_sync(partial(first._append_now, b"line 2\nhalf a li", cursor, mark=False))

    second = FileLogSink(path)
    assert await second.open(uid="uid-1", container="base") == cursor
    await feed(second, cursor, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"


@pytest.mark.anyio
async def test_a_crash_before_the_first_line_starts_afresh(tmp_path):
    path = tmp_path / "1.log"
    await FileLogSink(path).open(uid="uid-1", container="base")
    path.write_text("written, then killed")
    assert await FileLogSink(path).open(uid="uid-1", container="base") == FRESH
    assert path.read_text() == ""


@pytest.mark.anyio
async def test_another_pods_log_is_kept_and_appended_to(tmp_path):
    path = tmp_path / "1.log"
    old = FileLogSink(path)
    await old.open(uid="uid-0", container="base")
    await feed(old, LogCursor("uid-0", "base"), stamped(1))
    new = FileLogSink(path)
    assert await new.open(uid="uid-1", container="base") is None
    await feed(new, FRESH, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"


@pytest.mark.anyio
async def test_time_stamps_are_kept_if_wanted(tmp_path):
    sink = FileLogSink(tmp_path / "1.log", timestamps=True)
    await sink.open(uid="uid-1", container="base")
    await feed(sink, FRESH, stamped(1))
    assert sink.path.read_bytes() == stamped(1) + b"\n"


@pytest.mark.anyio
async def test_a_gap_stands_in_the_file(tmp_path):
    sink = FileLogSink(tmp_path / "1.log")
    await sink.open(uid="uid-1", container="base")
    await sink.gap(LogGap("base", GapReason.ROTATED, after="then"), FRESH)
    assert sink.path.read_text().startswith("*** Log gap in container base (rotated), after then")


@pytest.mark.anyio
async def test_a_failed_write_leaves_no_half_line(tmp_path, monkeypatch):
    sink = FileLogSink(tmp_path / "1.log")
    await sink.open(uid="uid-1", container="base")
    await feed(sink, FRESH, stamped(1))
    real_open = Path.open

    class Full:
        def __init__(self, file):
            self._file = file

        def __enter__(self):
            self._file.__enter__()
            return self

        def __exit__(self, *exc):
            return self._file.__exit__(*exc)

        def write(self, content):
            self._file.write(content[:3])
            self._file.flush()
            raise OSError(28, "No space left on device")

        def __getattr__(self, name):
            return getattr(self._file, name)

    monkeypatch.setattr(Path, "open", lambda path, mode: Full(real_open(path, mode)))
    with pytest.raises(OSError, match="No space"):
        await feed(sink, FRESH, stamped(2))
    assert sink.path.read_bytes() == b"line 1\n"


@pytest.mark.anyio
async def test_the_cursor_goes_when_the_pod_is_gone(tmp_path):
    sink = FileLogSink(tmp_path / "1.log")
    await sink.open(uid="uid-1", container="base")
    await sink.close(FRESH)
    assert sink.cursor_path.exists()
    await sink.forget()
    await sink.forget()
    assert [path.name for path in tmp_path.iterdir()] == ["1.log"]


@pytest.mark.anyio
async def test_a_torn_cursor_file_is_no_cursor(tmp_path):
    sink = FileLogSink(tmp_path / "1.log")
    sink.cursor_path.write_text('{"cursor": {"ui')
    assert await sink.open(uid="uid-1", container="base") is None

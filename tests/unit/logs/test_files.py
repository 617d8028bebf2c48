"""Log files: their place, and going on after a crash."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio
import pytest
from podrunner.errors import LogError
from podrunner.logs import FileLogSink, GapReason, LogCursor, LogGap, container_log_path, safe_log_path
from podrunner.logs.cursor import advance, next_run
from podrunner.logs.leftovers import find_cursors, remove_cursors
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
    await old.close(LogCursor("uid-0", "base", lines=1, complete=True))
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
    really_write = os.write

    def write(descriptor, content):
        if content.startswith(b"lin"):
            return really_write(descriptor, content[:3])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "write", write)
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
    sink.cursor_path.parent.mkdir()
    sink.cursor_path.write_text('{"cursor": {"ui')
    assert await sink.open(uid="uid-1", container="base") is None


# One writer


async def opened(path: Path, adoptions: int = 0, **options) -> tuple[FileLogSink, LogCursor]:
    sink = FileLogSink(path, adoptions=adoptions, **options)
    return sink, await sink.open(uid="uid-1", container="base") or FRESH


@pytest.mark.anyio
@pytest.mark.parametrize("adoptions", [1, 7])
async def test_a_writer_that_finds_a_later_owners_token_stops(tmp_path, adoptions):
    """H4: whatever it believes about its Lease: neither the log nor the cursor is touched."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path)
    cursor = await feed(old, cursor, stamped(1))
    new, found = await opened(path, adoptions)
    with pytest.raises(LogError, match="later writer"):
        await feed(old, cursor, stamped(2))
    with pytest.raises(LogError, match="later writer"):
        await old.close(cursor)
    await old.forget()
    assert found == cursor
    await feed(new, found, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"
    assert new.cursor_path.exists()


@pytest.mark.anyio
async def test_of_processes_of_one_name_the_later_one_writes(tmp_path):
    """H4: they take their pods back without a swap, so the number of openings decides."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path, 3)
    await feed(old, cursor, stamped(1))
    new, found = await opened(path, 3)
    with pytest.raises(LogError, match="later writer"):
        await feed(old, cursor, stamped(2))
    await feed(new, found, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"


@pytest.mark.anyio
async def test_an_owner_that_is_late_opens_no_log_of_a_later_owner(tmp_path):
    """H4: it was stopped between its adoption and its first line."""
    path = tmp_path / "1.log"
    new, cursor = await opened(path, 2)
    cursor = await feed(new, cursor, stamped(1))
    with pytest.raises(LogError, match="later writer"):
        await opened(path, 1)
    await feed(new, cursor, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"


@pytest.mark.anyio
@pytest.mark.parametrize("ends", ["write", "close"])
async def test_what_a_writer_wrote_between_its_last_check_and_its_stop_is_cut_off(tmp_path, ends):
    """H4: the successor goes on where its own lines end, and its token stands again in the cursor file."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path)
    cursor = await feed(old, cursor, stamped(1))
    await old.close(cursor)
    stale = old.cursor_path.read_bytes()
    new, found = await opened(path, 1)
    assert found == cursor
    found = await feed(new, found, stamped(2))
    with path.open("ab") as file:
        file.write(b"line 2\nline 3\n")
    new.cursor_path.write_bytes(stale)
    if ends == "write":
        found = await feed(new, found, stamped(3))
    await new.close(found)
    assert path.read_text() == "".join(
        f"line {number}\n" for number in ((1, 2, 3) if ends == "write" else (1, 2))
    )
    assert b'"adoptions":1' in new.cursor_path.read_bytes()


@pytest.mark.anyio
async def test_the_right_to_write_is_asked_right_before_each_write(tmp_path):
    """H4: in the thread, not only before it."""
    path, held = tmp_path / "1.log", [True]
    sink, cursor = await opened(path, may_write=lambda: held[0])
    cursor = await feed(sink, cursor, stamped(1))
    before = sink.cursor_path.read_bytes()
    held[0] = False
    with pytest.raises(LogError, match="another runner's"):
        await feed(sink, cursor, stamped(2))
    await sink.close(cursor)
    await sink.forget()
    assert path.read_text() == "line 1\n"
    assert sink.cursor_path.read_bytes() == before


@pytest.mark.anyio
async def test_a_cursor_of_an_older_version_is_taken_on(tmp_path):
    """A file that was written without a token counts as the first owner's."""
    path = tmp_path / "1.log"
    path.write_text("line 1\nline 2\n")
    (tmp_path / ".1.log.cursor").write_text(
        '{"cursor": {"uid": "uid-1", "container": "base"}, "size": 7, "parts": 0}'
    )
    await opened(path, 1)
    assert path.read_text() == "line 1\n"


@pytest.mark.anyio
async def test_a_cursor_that_cannot_be_read_just_now_is_not_taken_for_none(tmp_path, monkeypatch):
    """H8: without descriptors the log would be begun anew, and each line be there twice."""
    path = tmp_path / "1.log"
    sink, cursor = await opened(path)
    await sink.close(await feed(sink, cursor, stamped(1)))

    def fail(path):
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(Path, "read_bytes", fail)
    with pytest.raises(OSError, match="Too many"):
        await opened(path)


@pytest.mark.anyio
async def test_a_cursor_that_cannot_be_saved_is_no_failed_write(tmp_path, monkeypatch):
    """H8: the lines are in the file; given again they would be there twice. Nothing is left beside it."""
    path = tmp_path / "1.log"
    sink, cursor = await opened(path)

    def fail(self, target):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", fail)
        cursor = await feed(sink, cursor, stamped(1))
    assert path.read_text() == "line 1\n"
    assert sorted(it.name for it in tmp_path.rglob("*")) == [".cursors", "1.log", "1.log.cursor"]
    await sink.close(cursor)
    assert (await opened(path))[1] == cursor


# Where the cursor lies


@pytest.mark.anyio
async def test_nothing_beside_a_log_has_a_name_like_its_own(tmp_path):
    """Airflow shows every file that `attempt=1.log*` names, and other log servers do alike."""
    path = tmp_path / "attempt=1.log"
    sink, cursor = await opened(path)
    await feed(sink, cursor, stamped(1))
    assert list(tmp_path.glob("*attempt=1.log*")) == [path]
    assert sink.cursor_path == tmp_path / ".cursors" / "attempt=1.log.cursor"
    await sink.forget()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.anyio
async def test_the_cursor_of_another_log_of_the_folder_stays(tmp_path):
    first, cursor = await opened(tmp_path / "1.log")
    await first.close(cursor)
    second, cursor = await opened(tmp_path / "2.log")
    await second.close(cursor)
    await first.forget()
    assert second.cursor_path.exists()


@pytest.mark.anyio
async def test_a_cursor_is_saved_though_the_folder_of_cursors_just_went(tmp_path):
    """The last other log of the folder came to its end in this instant."""
    sink, cursor = await opened(tmp_path / "1.log")
    cursor = await feed(sink, cursor, stamped(1))
    sink.cursor_path.unlink()
    sink.cursor_path.parent.rmdir()
    await sink.close(cursor)
    assert sink.cursor_path.exists()


@pytest.mark.anyio
async def test_the_cursor_of_an_earlier_version_stays_where_its_writer_looks(tmp_path):
    """An upgrade repeats no line, and a process of the earlier version that wakes finds the later owner's token."""
    path = tmp_path / "1.log"
    first, cursor = await opened(path)
    cursor = await feed(first, cursor, stamped(1))
    await first.close(cursor)
    beside = tmp_path / ".1.log.cursor"
    first.cursor_path.replace(beside)
    second = FileLogSink(path, adoptions=1)
    assert await second.open(uid="uid-1", container="base") == cursor
    assert second.cursor_path == beside
    await second.close(await feed(second, cursor, stamped(2)))
    assert path.read_text() == "line 1\nline 2\n"
    assert b'"adoptions":1' in beside.read_bytes()
    await second.forget()
    assert not beside.exists()


@pytest.mark.anyio
@pytest.mark.parametrize("is_complete", [True, False])
async def test_the_unread_end_of_an_earlier_pods_log_in_the_file_is_a_gap(tmp_path, *, is_complete: bool):
    """G4: its runner was killed, it went, and the attempt is launched again with the same log."""
    path = tmp_path / "1.log"
    path.write_text("one\n")
    earlier = FileLogSink(path)
    await earlier.open(uid="uid-1", container="base")
    await earlier.close(
        LogCursor("uid-1", "base", stamp="2026-01-01T00:00:00Z", lines=1, complete=is_complete)
    )
    sink = FileLogSink(path)
    assert await sink.open(uid="uid-2", container="base") is None
    await sink.write(LogBatch("base", 0, b"2026-01-01T00:00:09Z two\n"), LogCursor("uid-2", "base", lines=1))
    first, *gaps, last = path.read_text().splitlines()
    assert (first, last) == ("one", "two")
    assert [gap.startswith("*** Log gap in container base (unavailable)") for gap in gaps] == [True] * (
        not is_complete
    )


# The gap in place of the rest


def rest_of(cursor: LogCursor) -> LogGap:
    return LogGap(cursor.container, GapReason.UNAVAILABLE, after=cursor.stamp or None, message="ended early")


@pytest.mark.anyio
@pytest.mark.parametrize("max_bytes", [None, 10])
async def test_a_gap_for_the_rest_goes_if_the_same_pods_log_is_read_on(tmp_path, max_bytes):
    """G4: the pod was about to be deleted when its runner ended, and was not: nothing is missing."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path, max_bytes=max_bytes)
    cursor = await feed(old, cursor, stamped(1))
    await old.gap(rest_of(cursor), cursor)
    await old.close(cursor)
    assert path.read_text().splitlines()[-1].startswith("*** Log gap")
    new, found = await opened(path, 1)
    assert found == cursor
    await feed(new, found, stamped(2))
    assert path.read_text() == "line 1\nline 2\n"
    assert [it.name for it in tmp_path.iterdir() if it.is_file()] == ["1.log"]


@pytest.mark.anyio
async def test_a_gap_for_the_rest_is_written_once(tmp_path):
    """G4: neither the next pod's log in the file, nor the removal of the cursor, says it again."""
    for number, ends in enumerate(("open", "remove")):
        path = tmp_path / f"{number}.log"
        old, cursor = await opened(path, owner="gone")
        cursor = await feed(old, cursor, stamped(1))
        await old.gap(rest_of(cursor), cursor)
        await old.close(cursor)
        if ends == "open":
            await FileLogSink(path, owner="other").open(uid="uid-2", container="base")
        else:
            remove_cursors(find_cursors(tmp_path, owners={"gone": {""}}), is_needed=lambda _: False)
        assert path.read_text().count("*** Log gap") == 1


@pytest.mark.anyio
async def test_a_gap_behind_which_the_log_goes_on_stays(tmp_path):
    """G3: a run whose log could not be had; a successor begins with the next one."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path)
    cursor = await feed(old, cursor, stamped(1))
    await old.gap(rest_of(cursor), cursor)
    following = next_run(cursor, 1, "")
    await old.close(following)
    new, found = await opened(path, 1)
    assert found == following
    await feed(new, found, stamped(2))
    first, gap, last = path.read_text().splitlines()
    assert (first, gap[:11], last) == ("line 1", "*** Log gap", "line 2")


@pytest.mark.anyio
async def test_a_gap_that_was_cut_off_is_written_again_if_it_comes_true_after_all(tmp_path):
    """G4: who read on was killed before the first line, and then the pod went."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path)
    cursor = await feed(old, cursor, stamped(1))
    await old.gap(rest_of(cursor), cursor)
    await old.close(cursor)
    await opened(path, 1, owner="gone")
    assert path.read_text() == "line 1\n"
    remove_cursors(find_cursors(tmp_path, owners={"gone": {""}}), is_needed=lambda _: False)
    assert path.read_text().count("*** Log gap") == 1


@pytest.mark.anyio
async def test_a_gap_behind_which_the_log_went_on_is_not_the_last_one(tmp_path):
    """G4: the writer was killed behind it, with lines of the next run that its cursor does not know yet."""
    path = tmp_path / "1.log"
    old, cursor = await opened(path, owner="gone")
    old._marked_at = float("-inf")
    await old.gap(rest_of(cursor), cursor)
    await feed(old, next_run(cursor, 1, ""), stamped(1))
    remove_cursors(find_cursors(tmp_path, owners={"gone": {""}}), is_needed=lambda _: False)
    assert [line[:11] for line in path.read_text().splitlines()] == ["*** Log gap", "line 1", "*** Log gap"]

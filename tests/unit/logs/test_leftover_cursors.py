"""Cursor files that killed runners left beside their logs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

import pytest
from podrunner.logs import FileLogSink, LogCursor
from podrunner.logs.leftovers import find_cursors, remove_cursors

pytestmark = pytest.mark.anyio


def removed(folder: Path, owners: Collection[str], *, is_needed: Callable[[str], bool], **options) -> int:
    """Removes what these runners left; returns how many files went."""
    before = sum(path.is_file() for path in folder.rglob("*"))
    stopping = {name: options.pop(name) for name in ("is_stopped",) if name in options}
    found = find_cursors(folder, owners=dict.fromkeys(owners, frozenset({""})), **options)
    remove_cursors(found, is_needed=is_needed, **stopping)
    return before - sum(path.is_file() for path in folder.rglob("*"))


async def left_by(owner: str, path: Path, uid: str) -> Path:
    """A runner opens a log, and is killed."""
    sink = FileLogSink(path, owner=owner)
    await sink.open(uid=uid, container="base")
    return sink.cursor_path


async def test_those_of_a_runner_that_is_gone_are_removed(tmp_path: Path):
    """H10: but not those of others, nor of pods that exist."""
    gone = await left_by("gone", tmp_path / "dag" / "task" / "1.log", "uid-1")
    needed = await left_by("gone", tmp_path / "dag" / "task" / "2.log", "uid-2")
    alive = await left_by("alive", tmp_path / "dag" / "other" / "1.log", "uid-3")
    assert removed(tmp_path, owners={"gone"}, is_needed=lambda uid: uid == "uid-2") == 1
    assert [path.exists() for path in (gone, needed, alive)] == [False, True, True]
    assert (tmp_path / "dag" / "task" / "1.log").exists()


async def test_whoever_opens_a_log_next_owns_its_cursor(tmp_path: Path):
    """H10: from the first moment on, before a line is written."""
    path = tmp_path / "1.log"
    first = FileLogSink(path, owner="gone")
    await first.open(uid="uid-1", container="base")
    await first.close(cursor := LogCursor("uid-1", "base", stamp="2026-01-01T00:00:00Z", lines=1))
    await left_by("successor", path, "uid-1")
    assert removed(tmp_path, owners={"gone"}, is_needed=lambda _: False) == 0
    assert await FileLogSink(path, owner="successor").open(uid="uid-1", container="base") == cursor


@pytest.mark.parametrize("place", [".cursors/1.log.cursor", ".1.log.cursor"])
@pytest.mark.parametrize("is_complete", [True, False])
async def test_a_log_that_a_killed_runner_had_not_read_to_its_end_gets_a_gap(
    tmp_path: Path, place: str, *, is_complete: bool
):
    """G4: the pod went before another runner could read on, and none ever will."""
    path = tmp_path / "1.log"
    cursor = LogCursor("uid-1", "base", stamp="2026-01-01T00:00:00Z", lines=1, complete=is_complete)
    sink = FileLogSink(path, owner="gone")
    await sink.open(uid="uid-1", container="base")
    await sink.close(cursor)
    path.write_bytes(b"one\ntwo\nhal")  # what came after the cursor was saved counts
    (tmp_path / place).parent.mkdir(exist_ok=True)
    sink.cursor_path.rename(tmp_path / place)
    assert removed(tmp_path, owners={"gone"}, is_needed=lambda _: False) == 1
    *lines, last = path.read_text().splitlines()
    if is_complete:
        assert [*lines, last] == ["one", "two", "hal"]
    else:
        assert lines == ["one", "two", "hal"]
        assert last.startswith(
            "*** Log gap in container base (unavailable), after 2026-01-01T00:00:00Z, before the end"
        )


async def test_a_log_that_was_removed_is_not_made_again(tmp_path: Path):
    await left_by("gone", tmp_path / "1.log", "uid-1")
    (tmp_path / "1.log").unlink()
    assert removed(tmp_path, owners={"gone"}, is_needed=lambda _: False) == 1
    assert not (tmp_path / "1.log").exists()


async def test_what_never_became_a_cursor_is_removed_when_it_is_old(tmp_path: Path):
    """H10: the process was killed between two steps."""
    partial = tmp_path / "dag" / ".cursor-abc"
    partial.parent.mkdir()
    partial.touch()
    written_s = partial.stat().st_mtime
    assert removed(tmp_path, owners=(), is_needed=lambda _: False, now_s=written_s + 59) == 0
    assert removed(tmp_path, owners=(), is_needed=lambda _: False, now_s=written_s + 61) == 1
    assert not partial.exists()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff", b'{"owner": 1}', b'{"cursor": {"uid": "u"}}'])
async def test_what_is_no_cursor_of_a_known_owner_stays(tmp_path: Path, content: bytes):
    """H10: also files of earlier versions, which name no owner."""
    file = tmp_path / ".1.log.cursor"
    file.write_bytes(content)
    assert removed(tmp_path, owners={"gone"}, is_needed=lambda _: False) == 0
    assert file.exists()


async def test_links_out_of_the_folder_are_not_followed(tmp_path: Path):
    """H10."""
    outside = await left_by("gone", tmp_path / "outside" / "1.log", "uid-1")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "link").symlink_to(tmp_path / "outside")
    assert removed(tmp_path / "logs", owners={"gone"}, is_needed=lambda _: False) == 0
    assert outside.exists()


async def test_it_ends_when_it_is_stopped(tmp_path: Path):
    """A runner that is closed does not wait for a large folder."""
    left = [await left_by("gone", tmp_path / f"{number}.log", "uid-1") for number in range(5)]
    asked = iter([False, False, True])
    assert removed(tmp_path, {"gone"}, is_needed=lambda _: False, is_stopped=lambda: next(asked)) == 2
    assert sum(path.exists() for path in left) == 3


async def test_a_cursor_that_was_written_since_is_left_alone(tmp_path: Path):
    """H10: a process of the same name has come meanwhile, and writes to the same log."""
    path = tmp_path / "1.log"
    await left_by("gone", path, "uid-1")
    found = find_cursors(tmp_path, owners={"gone": {""}})
    cursor = await left_by("gone", path, "uid-2")
    before = path.read_text()
    assert remove_cursors(found, is_needed=lambda _: False) == []
    assert cursor.exists()
    assert path.read_text() == before


@pytest.mark.parametrize(
    ("lease", "namespace", "is_found"),
    [
        ("ours", "a", True),
        ("another", "a", False),
        ("", "a", False),
        ("ours", "b", False),
        ("ours", "", True),
    ],
)
async def test_a_cursor_of_another_cluster_or_namespace_is_not_judged(
    tmp_path: Path, lease: str, namespace: str, *, is_found: bool
):
    """H10: its runner has the same name, and its pod is none that we see."""
    sink = FileLogSink(tmp_path / "1.log", owner="scheduler", lease=lease, namespace=namespace)
    await sink.open(uid="uid-1", container="base")
    found = find_cursors(tmp_path, owners={"scheduler": {"ours"}}, namespaces=("a",))
    assert bool(found) is is_found


async def test_a_gap_is_not_written_again_if_the_cursor_stayed(tmp_path: Path):
    """G4: its writer was killed before it removed the cursor file."""
    path = tmp_path / "1.log"
    cursor = await left_by("gone", path, "uid-1")
    content = cursor.read_bytes()
    for _ in range(2):
        cursor.parent.mkdir(exist_ok=True)
        cursor.write_bytes(content)
        assert removed(tmp_path, {"gone"}, is_needed=lambda _: False) == 1
    assert path.read_text().count("*** Log gap") == 1


async def test_a_folder_that_is_not_there_has_none(tmp_path: Path):
    assert removed(tmp_path / "none", owners={"gone"}, is_needed=lambda _: False) == 0

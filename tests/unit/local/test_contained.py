"""Nothing outside a folder is read, written or removed through it, whatever paths say and whatever lies in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from podrunner.local.contained import ContainedFolder


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with a file that must stay as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "file").write_text("precious")
    return folder


@pytest.fixture
def files(tmp_path: Path) -> ContainedFolder:
    """The folder."""
    root = tmp_path / "root"
    root.mkdir()
    return ContainedFolder(root)


def intact(outside: Path) -> bool:
    return {each.name: each.read_text() for each in outside.iterdir()} == {"file": "precious"}


@pytest.mark.parametrize("path", ["../outside/file", "a/../../outside/file", "/etc/passwd", ".", "a\0b"])
def test_a_path_that_leads_out_is_refused(files, outside, path):
    where = files.path / path
    for act in (
        lambda: files.write(where, b"x"),
        lambda: files.create(where),
        lambda: files.open(where),
        lambda: files.make_folder(where),
        lambda: files.remove(where),
        lambda: files.rename(where, "x"),
    ):
        with pytest.raises(OSError, match="does not stay below"):
            act()
    files.remove_tree(where)
    assert intact(outside)


def test_no_link_on_the_way_is_followed(files, outside):
    (files.path / "link").symlink_to(outside)
    where = files.path / "link" / "file"
    for act in (
        lambda: files.write(where, b"x"),
        lambda: files.create(where),
        lambda: files.open(where),
        lambda: files.make_folder(files.path / "link" / "new"),
        lambda: files.make_folder(files.path / "link"),
        lambda: files.remove(where),
        lambda: files.rename(where, "x"),
        lambda: files.names(files.path / "link"),
    ):
        with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
            act()
    files.remove_tree(where)
    assert intact(outside)


def test_a_link_in_the_place_of_a_file_is_replaced_and_never_read(files, outside):
    link = files.path / "link"
    link.symlink_to(outside / "file")
    with pytest.raises(OSError, match="symbolic links"):
        files.read(link, 10)
    files.write(link, b"x")
    assert (link.is_symlink(), link.read_bytes()) == (False, b"x")
    (files.path / ".fresh.new").symlink_to(outside / "file")
    files.write(files.path / "fresh", b"x")
    (files.path / "log").symlink_to(outside / "file")
    with files.create(files.path / "log") as log:
        log.write(b"x")
    assert intact(outside)


def test_a_hard_link_is_not_written_through(files, outside):
    os.link(outside / "file", files.path / "log")
    with files.create(files.path / "log") as log:
        log.write(b"x")
    files.write(files.path / "log", b"y")
    assert intact(outside)


def test_a_pipe_is_refused_without_waiting_for_a_writer(files):
    os.mkfifo(files.path / "pipe")
    with pytest.raises(OSError, match="not an ordinary file"):
        files.read(files.path / "pipe", 10)


def test_a_file_has_its_mode_and_the_folders_above_it(files):
    files.write(files.path / "a" / "b" / "c", b"x", mode=0o640)
    assert (files.path / "a/b/c").stat().st_mode & 0o777 == 0o640
    files.make_folder(files.path / "d", mode=0o2777)
    assert (files.path / "d").stat().st_mode & 0o7777 == 0o2777
    assert files.names(files.path / "a") == ["b"]
    assert files.names(files.path / "none") == []


def test_a_tree_is_removed_and_nothing_that_its_links_name(files, outside):
    tree = files.path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "file").touch()
    (tree / "a" / "link").symlink_to(outside)
    (tree / "a" / "b" / "link").symlink_to(outside / "file")
    os.mkfifo(tree / "pipe")
    files.remove_tree(tree)
    assert (tree.exists(), intact(outside)) == (False, True)
    tree.symlink_to(outside)
    files.remove_tree(tree)
    assert (os.path.lexists(tree), intact(outside)) == (False, True)
    files.remove_tree(tree)


def test_a_tree_of_any_depth_is_removed(files):
    """Deeper than the longest path, than Python's stack and than the open files of a process."""
    tree = files.path / "tree"
    tree.mkdir()
    deepest = os.open(tree, os.O_RDONLY)
    for _ in range(3000):
        os.mkdir("d", dir_fd=deepest)
        below = os.open("d", os.O_RDONLY, dir_fd=deepest)
        os.close(deepest)
        deepest = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=deepest))
    os.close(deepest)
    files.remove_tree(tree)
    assert not tree.exists()


def test_a_tree_whose_owner_lost_all_rights_is_removed(files):
    """Run as an ordinary user it shows that the rights are restored first."""
    tree = files.path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "b" / "file").touch()
    for folder in (tree / "a" / "b", tree / "a", tree):
        folder.chmod(0)
    files.remove_tree(tree)
    assert not tree.exists()


def test_what_cannot_be_removed_is_logged(files, outside, caplog):
    (files.path / "link").symlink_to(outside)
    files.remove_tree(files.path / "link" / "file")
    assert "could not be removed" in caplog.text
    assert intact(outside)


def test_the_folder_itself_may_be_no_link(files, outside, tmp_path):
    (tmp_path / "alias").symlink_to(outside)
    with pytest.raises(OSError, match=r"Not a directory|symbolic links"):
        ContainedFolder(tmp_path / "alias").write(tmp_path / "alias" / "file", b"x")
    assert intact(outside)

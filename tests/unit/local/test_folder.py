"""The folders of clusters: each its own, none left."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import pytest
from podrunner.local.folder import ClusterFolder

LONG_AGO = 1_000_000_000


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def left_behind(parent: Path, name: str, *, age: int = LONG_AGO) -> Path:
    """What a killed cluster leaves."""
    folder = parent / f"podrunner-local-{name}"
    folder.mkdir()
    (folder / "kubeconfig").write_text("a token")
    (folder / ".lock").touch()
    if age:
        os.utime(folder / ".lock", (age, age))
    return folder


def test_a_temporary_folder_is_removed_at_the_end(temporary):
    with ClusterFolder(None) as folder:
        assert folder.path.parent == temporary
    assert list(temporary.iterdir()) == []


def test_the_next_cluster_removes_what_a_killed_one_left(temporary):
    dead = left_behind(temporary, "dead")
    with ClusterFolder(None):
        assert not dead.exists()


def test_the_folder_of_a_living_cluster_stays(temporary):
    alive = left_behind(temporary, "alive")
    with (alive / ".lock").open("r+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with ClusterFolder(None):
            assert (alive / "kubeconfig").exists()


def test_the_folder_of_a_cluster_that_is_just_starting_stays(temporary):
    young = left_behind(temporary, "young", age=0)
    with ClusterFolder(None):
        assert young.exists()


def test_a_folder_of_ones_own_stays_and_nothing_else_is_touched(temporary):
    dead = left_behind(temporary, "dead")
    with ClusterFolder(temporary / "mine") as folder:
        assert folder.path.is_dir()
    assert (dead.exists(), folder.path.is_dir()) == (True, True)

"""The folders of clusters: each its own, none left."""

from __future__ import annotations

import errno
import fcntl
import os
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from podrunner.errors import UsageError
from podrunner.local.folder import ClusterFolder
from podrunner.local.kubeconfig import write_private

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


@pytest.mark.parametrize("content", [[], [".lock", "kubeconfig"]])
def test_a_clusters_folder_that_others_may_look_into_becomes_private(temporary, caplog, content):
    mine = temporary / "mine"
    mine.mkdir()
    for name in content:
        (mine / name).touch()
    mine.chmod(0o755)
    with ClusterFolder(mine) as folder:
        assert folder.path.stat().st_mode & 0o777 == 0o700
    assert "had mode 0755; it is private now" in caplog.text


def test_an_open_folder_with_something_else_in_it_is_refused_and_keeps_its_mode(temporary):
    mine = temporary / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    mine.chmod(0o755)
    with pytest.raises(UsageError, match="other users may look into"), ClusterFolder(mine):
        pass
    assert mine.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("name", [".lock", "kubeconfig", "pods", "pv", "kubelet.pid"])
def test_a_link_where_a_cluster_writes_is_refused(temporary, name):
    mine = temporary / "mine"
    mine.mkdir(mode=0o700)
    (mine / name).symlink_to(temporary / "elsewhere")
    with pytest.raises(UsageError, match=f"{name} is a link"), ClusterFolder(mine):
        pass
    assert not (temporary / "elsewhere").exists()


@pytest.mark.parametrize("name", ["", "pv"])
def test_a_folder_of_another_user_is_refused(temporary, name):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    mine = temporary / "mine"
    (mine / "pv").mkdir(parents=True)
    mine.chmod(0o700)
    os.chown(mine / name, 65534, 65534)
    with pytest.raises(UsageError, match="belongs to another user"), ClusterFolder(mine):
        pass


def test_a_private_file_is_never_written_through_a_link(tmp_path):
    secret, elsewhere = tmp_path / "kubeconfig", tmp_path / "elsewhere"
    elsewhere.write_text("precious")
    (tmp_path / f".kubeconfig.{os.getpid()}").symlink_to(elsewhere)
    write_private(secret, "a token")
    assert (secret.read_text(), secret.stat().st_mode & 0o777) == ("a token", 0o600)
    assert elsewhere.read_text() == "precious"


def open_files() -> list[str]:
    """What the descriptors of this process lead to."""
    found = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # closed meanwhile
            found.append(str(descriptor.readlink()))
    return found


def test_a_folder_that_cannot_be_locked_is_removed(temporary, monkeypatch):
    """On a file system without locks, say; the descriptor is closed too."""

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(OSError, match="No locks"):
        ClusterFolder(None).__enter__()
    assert list(temporary.iterdir()) == []
    # Looked for by their path: how many there are changes with whatever else is closed in this process.
    assert [path for path in open_files() if path.startswith(str(temporary))] == []

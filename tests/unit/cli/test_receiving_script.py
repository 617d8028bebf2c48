"""The script that takes a copy in a container, with the programs of this machine and with busybox's."""

from __future__ import annotations

import io
import os
import subprocess
from pathlib import Path

import pytest
from podrunner.cli.archive import pack
from podrunner.cli.copy import _RECEIVE  # the script is no interface; what it does in a shell is

BUSYBOX = Path("/bin/busybox")


@pytest.fixture(params=["this machine's", "busybox"])
def programs(request, tmp_path) -> str:
    """The search path of the container."""
    if request.param != "busybox":
        return os.environ["PATH"]
    if not BUSYBOX.exists():
        pytest.skip("there is no busybox on this machine")
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("sh", "mkdir", "rm", "tar", "cp", "mv"):
        (folder / name).symlink_to(BUSYBOX)
    return str(folder)


@pytest.fixture
def receive(programs, tmp_path):
    """Send a tree or a file; returns the exit code."""
    (tmp_path / "root").mkdir()

    def receive(source: Path, target: str, name: str, *, cut: int | None = None) -> int:
        stream = io.BytesIO()
        pack(source, stream)
        return subprocess.run(
            ["sh", "-c", _RECEIVE, "sh", target, name, ".podrunner-cp-1"],
            input=stream.getvalue()[:cut],
            capture_output=True,
            env={"PATH": programs},
            cwd=tmp_path / "root",
            timeout=50,
            check=False,
        ).returncode

    return receive


@pytest.fixture
def tree(tmp_path) -> Path:
    made = tmp_path / "a tree"
    (made / "sub").mkdir(parents=True)
    (made / "sub" / ("long" * 40)).write_text("x")
    (made / "file").write_text("new")
    (made / "link").symlink_to("file")
    return made


def _there(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_a_tree_goes_into_a_folder_under_a_new_name_and_over_itself(receive, tree, tmp_path) -> None:
    root, whole = tmp_path / "root", _there(tree)
    (root / "work").mkdir()
    for _ in range(2):  # the second time each file is replaced, links too
        assert receive(tree, "work", "a tree") == 0
        assert _there(root / "work" / "a tree") == whole
    assert receive(tree, "new", "a tree") == 0
    assert receive(tree, "work/", "") == 0
    assert receive(tree / "file", "work/", "file") == 0
    assert _there(root / "new") == whole
    assert _there(root / "work") == sorted([*whole, "a tree", *(f"a tree/{each}" for each in whole)])


@pytest.mark.parametrize("cut", [0, 512, 1024, 1536, 2048])
def test_a_stream_that_breaks_off_leaves_nothing(receive, tree, tmp_path, cut) -> None:
    """Also between two files, where tar itself sees a good end."""
    assert receive(tree, "new", "a tree", cut=cut) != 0
    assert _there(tmp_path / "root") == []


def test_a_file_and_a_folder_do_not_take_each_others_place(receive, tree, tmp_path) -> None:
    root = tmp_path / "root"
    (root / "file").write_text("old")
    (root / "folder" / "file").mkdir(parents=True)
    before = _there(root)
    assert receive(tree, "file", "a tree") != 0
    assert receive(tree / "file", "folder", "file") != 0
    assert receive(tree / "file", "nope/", "file") != 0
    assert (_there(root), (root / "file").read_text()) == (before, "old")
    assert receive(tree / "file", "file", "file") == 0
    assert (root / "file").read_text() == "new"

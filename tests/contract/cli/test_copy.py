"""cp, as people type it: what arrives is what was there, or nothing."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from podrunner import Pod, PodRunner, Workload
from tests.contract.cli.conftest import PODRUNNER

pytestmark = pytest.mark.skipif(
    not hasattr(tarfile, "data_filter"), reason="Python before 3.11.4 cannot unpack safely; cp says so"
)

NAME = "shelf"
ENDLESS_BYTES = 1 << 40
"""A sparse file of this size takes no place, and no test waits for its end."""


@pytest.fixture
def pod(config) -> Iterator[Pod]:
    """A pod that runs until the test is over, with a folder ``work`` where its commands start."""
    command = ["sh", "-c", 'trap "exit 0" TERM; mkdir -p work; echo ready; while :; do sleep 0.1; done']
    with PodRunner(config, on_exit="cancel") as runner:
        pod = runner.launch(Workload(key={"run": NAME}, command=command))
        with pod.logs() as lines:
            assert str(next(iter(lines))) == "ready"
        yield pod


@pytest.fixture
def tree(tmp_path) -> Path:
    """A folder with what file names and tar formats stumble over."""
    made = tmp_path / "a tree"
    (made / "sub" / "empty").mkdir(parents=True)
    (made / "zero").touch()
    (made / "-v").write_text("an option?")
    (made / "sub" / "with space, ö and\nnewline").write_text("text")
    (made / "sub" / ("long" * 50)).write_text("beyond the 100 characters of tar's own header")
    (made / "sub" / "big").write_bytes(os.urandom(3_000_001))
    (made / "run").write_text("#!/bin/sh\n")
    (made / "run").chmod(0o755)
    (made / "link").symlink_to("sub/big")
    return made


def _content(folder: Path) -> dict[str, tuple[str, bool]]:
    """Each path below a folder: what it holds, and whether it can be executed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = (f"link to {path.readlink()}", False)
        elif path.is_dir():
            found[name] = ("folder", False)
        else:
            can_run = bool(path.stat().st_mode & stat.S_IXUSR)
            found[name] = (hashlib.sha256(path.read_bytes()).hexdigest(), can_run)
    return found


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _in_pod(pod: Pod, *command: str) -> str:
    return pod.exec([*command]).stdout.decode()


def test_a_folder_goes_there_and_back(here, cluster, config, pod, tree, tmp_path) -> None:
    """The same as kubectl brings, which leaves out links and modes."""
    there = here("cp", str(tree), f"{NAME}:work")
    assert (there.returncode, there.stdout, there.stderr) == (0, "", "")
    back = here("cp", f"{NAME}:work/a tree", str(tmp_path / "back"))
    assert (back.returncode, back.stdout, back.stderr) == (0, "", "")
    assert _content(tmp_path / "back") == _content(tree)
    if shutil.which("kubectl") is None:
        return
    peer = ["kubectl", "--kubeconfig", str(cluster.kubeconfig), "-n", config.namespace, "cp"]
    target = str(tmp_path / "peer")
    subprocess.run([*peer, f"{pod.name}:work/a tree", target], check=True, capture_output=True, timeout=150)
    files = {name: what for name, (what, _) in _content(tree).items() if not what.startswith("link")}
    assert {name: what for name, (what, _) in _content(tmp_path / "peer").items() if name in files} == files


def test_a_folder_that_is_there_is_added_to(here, pod, tree, tmp_path) -> None:
    """As cp -r: into a folder under the own name, or (with /.) its content; files there are replaced."""
    for _ in range(2):
        assert here("cp", f"{tree}/.", f"{NAME}:work").returncode == 0
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "zero").write_text("is replaced")
    (tmp_path / "there" / "other").write_text("stays")
    assert here("cp", f"{NAME}:work/.", str(tmp_path / "there")).returncode == 0
    assert _content(tmp_path / "there") == _content(tree) | {
        "other": (hashlib.sha256(b"stays").hexdigest(), False)
    }
    assert here("cp", f"{NAME}:work/zero", str(tmp_path / "there")).returncode == 0
    assert sorted(path.name for path in (tmp_path / "there").iterdir() if path.name.startswith(".")) == []
    assert here("cp", f"{NAME}:work/sub", str(tmp_path / "there" / "zero")).returncode == 74


def test_one_file_by_the_standard_streams(here, pod) -> None:
    assert here("cp", "-", f"{NAME}:work/from stdin", input="line\n" * 10_000).returncode == 0
    out = here("cp", f"{NAME}:work/from stdin", "-")
    assert (out.returncode, out.stdout, out.stderr) == (0, "line\n" * 10_000, "")
    assert here("cp", f"{NAME}:work", "-").returncode == 64


def test_what_cannot_be_copied_is_said_and_leaves_nothing(here, pod, tmp_path) -> None:
    file = tmp_path / "file"
    file.write_text("x")
    before = sorted(tmp_path.iterdir())
    ends = [
        here("cp", f"{NAME}:work/nope", str(tmp_path / "new")),
        here("cp", str(file), f"{NAME}:nope/deeper/file"),
        here("cp", str(tmp_path / "nope"), f"{NAME}:work"),
        here("cp", f"{NAME}:work", str(tmp_path / "no" / "folder")),
    ]
    assert [end.returncode for end in ends] == [74] * 4
    assert all(end.stderr.count("\n") == 1 for end in ends), ends
    assert all("nope" in end.stderr or "no folder" in end.stderr for end in ends), ends
    assert sorted(tmp_path.iterdir()) == before
    assert _in_pod(pod, "ls", "-A", "work") == ""


def test_a_link_that_leads_outside_is_left_out_and_named(here, pod, tmp_path) -> None:
    _in_pod(pod, "sh", "-c", "ln -s /etc/passwd work/out; echo x > work/file")
    ended = here("cp", f"{NAME}:work", str(tmp_path / "new"))
    assert (ended.returncode, [path.name for path in (tmp_path / "new").iterdir()]) == (1, ["file"])
    assert "out: it is a link that leads outside" in ended.stderr


def test_a_transfer_that_is_interrupted_leaves_nothing(environment, pod, tmp_path) -> None:
    """Neither here nor in the container; files of any size are streamed."""
    here, endless = tmp_path / "there", tmp_path / "endless"
    here.mkdir()
    endless.touch()
    os.truncate(endless, ENDLESS_BYTES)
    _in_pod(pod, "truncate", "-s", str(ENDLESS_BYTES), "endless")

    def interrupted(*words: str, begun: Callable[[], bool]) -> int:
        process = subprocess.Popen([*PODRUNNER, "cp", *words], env=environment, stderr=subprocess.DEVNULL)
        try:
            _until(begun)
            process.send_signal(signal.SIGINT)
            return process.wait(timeout=100)
        finally:
            process.kill()

    assert interrupted(f"{NAME}:endless", str(here), begun=lambda: any(here.rglob("content"))) == 130
    assert list(here.iterdir()) == []
    partial = ["sh", "-c", "ls work/.podrunner-cp-*/content"]
    assert interrupted(str(endless), f"{NAME}:work", begun=lambda: "content" in _in_pod(pod, *partial)) == 130
    _until(lambda: _in_pod(pod, "ls", "-A", "work") == "")

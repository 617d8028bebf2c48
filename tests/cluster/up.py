"""Run a command beside a real Kubernetes node: ``python tests/cluster/up.py [--folder DIR] -- COMMAND…``.

The outer process finds or builds the programs and images, makes the namespaces, and cleans up what outlives them.
The inner one (the first process of the new PID namespace) starts the node, runs the command with
``PODRUNNER_TEST_KUBECONFIG`` and ``PODRUNNER_TEST_NODE`` set, and ends with the command's exit code.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import images
from node import RealNode, requirements
from programs import Programs, find_or_build

CGROUPS = Path("/sys/fs/cgroup")
CGROUP_ROOT = "podrunner-test-node"
SYSCTLS = ("kernel/panic", "kernel/panic_on_oops", "vm/overcommit_memory")
SKIPPED = 75
"""EX_TEMPFAIL: this machine cannot run a node; the message says what it lacks."""


def main() -> int:
    arguments = _parse()
    if arguments.inner:
        return _inside(arguments.folder, arguments.command)
    lacking = requirements()
    if lacking:
        print(f"no real node here: {', '.join(lacking)} missing", file=sys.stderr)
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _folder(arguments.folder) as folder, _restored_sysctls(), _own_cgroups():
        images.make_all(folder / "images")
        os.environ["KUBEBUILDER_ASSETS"] = str(find_or_build().folder)
        return _in_namespaces(folder, arguments.command)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    arguments.command = [
        word for word in arguments.command if word != "--" or arguments.command.index(word) > 0
    ]
    return arguments


# -- outside


def _in_namespaces(folder: Path, command: list[str]) -> int:
    unshare = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    inner = [sys.executable, __file__, "--inner", "--folder", str(folder), "--", *command]
    child = subprocess.Popen([*unshare, "--mount-proc", *inner])
    try:
        return child.wait()
    except BaseException:
        child.terminate()  # unshare's --kill-child ends the namespace's first process, and so all of them
        try:
            child.wait(timeout=20)
        except subprocess.TimeoutExpired:
            child.kill()
        raise


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    folder = Path(tempfile.mkdtemp(prefix="podrunner-node-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _restored_sysctls() -> Iterator[None]:
    """The kubelet sets these machine-wide."""
    before = {name: (Path("/proc/sys") / name).read_text() for name in SYSCTLS}
    try:
        yield
    finally:
        for name, value in before.items():
            (Path("/proc/sys") / name).write_text(value)


@contextmanager
def _own_cgroups() -> Iterator[None]:
    """A cgroup of our own in each hierarchy, with everything of the node below it; empty when the node is gone."""
    roots = [folder / CGROUP_ROOT for folder in _hierarchies()]
    for root in roots:
        _remove_cgroup(root)
        root.mkdir()
        _inherit_cpuset(root)
    try:
        yield
    finally:
        for root in roots:
            _remove_cgroup(root)


def _hierarchies() -> list[Path]:
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists()]


def _inherit_cpuset(root: Path) -> None:
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (root / name).exists() and not (root / name).read_text().strip():
            (root / name).write_text((root.parent / name).read_text())


def _remove_cgroup(root: Path) -> None:
    for folder, _, _ in os.walk(root, topdown=False):
        Path(folder).rmdir()


# -- inside


def _inside(folder: Path, command: list[str]) -> int:
    subprocess.run(["mount", "--make-rshared", "/"], check=True)  # the kubelet passes mounts on to containers
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    programs = Programs(Path(os.environ["KUBEBUILDER_ASSETS"]), "this run")
    node = RealNode(folder, programs, cgroup_root=f"/{CGROUP_ROOT}")
    try:
        node.start(sorted((folder / "images").glob("*.tar")))
        print(f"the node is Ready; logs in {folder}/log", flush=True)
        return subprocess.run(command, env=_environment(node, programs), check=False).returncode
    finally:
        node.stop()


def _environment(node: RealNode, programs: Programs) -> dict[str, str]:
    path = f"{programs.folder}:{os.environ['PATH']}"
    return {
        **os.environ,
        "PATH": path,
        "PODRUNNER_TEST_KUBECONFIG": str(node.kubeconfig),
        "PODRUNNER_TEST_NODE": str(node.folder),
    }


if __name__ == "__main__":
    sys.exit(main())

"""Run a command beside a real Kubernetes node: ``python tests/cluster/up.py [--folder DIR] -- COMMAND…``.

There are three processes. The outer one finds or builds the programs and images and makes the namespaces. Its
janitor outlives it, however it ends, and removes what outlives the namespaces: cgroups and the folder. The inner
one, the first process of the new PID namespace, starts the node, runs the command with
``PODRUNNER_TEST_KUBECONFIG`` and ``PODRUNNER_TEST_NODE`` set, and ends with the command's exit code.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import images
from control import ControlServer
from janitor import CGROUP, CGROUP_PREFIX, make_cgroups, remove_leftovers, watching
from node import RealNode, requirements
from programs import Programs, find_or_build

SKIPPED = 75
"""EX_TEMPFAIL: this machine cannot run a node; the message says what it lacks."""

KERNEL_SETTINGS = {
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxbytes": "25000000",
    "kernel/keys/root_maxkeys": "1000000",
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
}
"""Settings that the kubelet changes for the whole machine if they differ (pkg/util/sysctl); it sees files instead."""

OWN_FOLDERS = ("/run", "/var/log", "/var/lib")
"""Folders that containerd, CNI and the kubelet write to whatever their settings; the node sees empty ones."""

_PR_SET_PDEATHSIG = 1
_ENDS_WITHIN_S = 30


def main() -> int:
    arguments = _parse()
    if arguments.inner:
        return _as_first_process(lambda: _inside(arguments.folder, arguments.command))
    lacking = requirements()
    if lacking:
        print(f"no real node here: {', '.join(lacking)} missing", file=sys.stderr)
        return SKIPPED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with _folder(arguments.folder) as folder:
        remove_leftovers()
        os.environ["KUBEBUILDER_ASSETS"] = str(find_or_build().folder)
        images.make_all(folder / "images")
        make_cgroups()
        return _in_namespaces(folder, arguments.command)


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--inner", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    if arguments.command[:1] == ["--"]:
        del arguments.command[0]
    return arguments


# -- outside


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    """Yield the node's folder, with a janitor; a temporary folder is removed at the end, a given one is not."""
    folder = given or Path(tempfile.mkdtemp(prefix="podrunner-node-"))
    folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    if any(folder.is_relative_to(path) for path in OWN_FOLDERS):
        raise SystemExit(
            f"{folder}: the node gets its own {', '.join(OWN_FOLDERS)}; choose a folder elsewhere"
        )
    with watching(remove=None if given else folder):
        yield folder


def _in_namespaces(folder: Path, command: list[str]) -> int:
    unshare = ["unshare", "--net", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    inner = [sys.executable, __file__, "--inner", "--folder", str(folder), "--", *command]
    dying = partial(_die_with, os.getpid())
    child = subprocess.Popen([*unshare, "--mount-proc", *inner], preexec_fn=dying)  # noqa: PLW1509  # no threads here
    try:
        return child.wait()
    except KeyboardInterrupt:
        _end(child)
        return 128 + signal.SIGINT
    except BaseException:
        _end(child)
        raise


def _die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; the namespace ends with ``unshare``."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _end(child: subprocess.Popen[bytes]) -> None:
    """Ask the namespace's first process to end; ``unshare`` itself ignores signals."""
    with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
        for first in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split():
            os.kill(int(first), signal.SIGTERM)
    try:
        child.wait(timeout=_ENDS_WITHIN_S)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


# -- inside


def _as_first_process(work: Callable[[], int]) -> int:
    """Run ``work`` in a child; as the first of its PID namespace, reap orphaned processes until the child ends."""
    child = os.fork()
    if child == 0:
        try:
            os._exit(work())
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        except KeyboardInterrupt:
            os._exit(128 + signal.SIGINT)
        except BaseException:  # noqa: BLE001  # print it, then end
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the child has it too
    signal.signal(signal.SIGTERM, lambda *_: os.kill(child, signal.SIGTERM))
    while True:
        ended, status = os.wait()
        if ended == child:
            return os.waitstatus_to_exitcode(status) & 0xFF


def _inside(folder: Path, command: list[str]) -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    _own_mounts(folder)
    programs = Programs(Path(os.environ["KUBEBUILDER_ASSETS"]), "this run")
    node = RealNode(folder, programs, cgroup_root=f"/{CGROUP_PREFIX}{os.environ[CGROUP]}")
    try:
        node.start(sorted((folder / "images").glob("*.tar")))
        print(f"the node is Ready; logs in {folder}/log", flush=True)
        with ControlServer(folder, node.verbs):
            return subprocess.run(command, env=_environment(node, programs), check=False).returncode
    finally:
        node.stop()


def _own_mounts(folder: Path) -> None:
    """Mount empty folders for the daemons' files, and files for their kernel settings; both end with the namespace."""
    for path in OWN_FOLDERS:
        _run("mount", "-t", "tmpfs", "-o", "mode=755", "node", path)
    settings = folder / "sysctl"
    settings.mkdir(exist_ok=True)
    for name, value in KERNEL_SETTINGS.items():
        file = settings / name.replace("/", ".")
        file.write_text(value + "\n")
        _run("mount", "--bind", str(file), f"/proc/sys/{name}")
    _run("mount", "--make-rshared", "/")  # the kubelet passes mounts on to containers


def _run(*command: str) -> None:
    subprocess.run(command, check=True)


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

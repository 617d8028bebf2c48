"""The shim by itself, over its socket: frames in, frames out, in both arrangements.

It is started by this test's interpreter, so that coverage is measured in it too.
"""

from __future__ import annotations

import marshal
import os
import signal
import socket
import subprocess
import sys
from dataclasses import dataclass

import pytest
from podrunner.local.kubelet.process import SHIM

pytestmark = pytest.mark.processes

DRIVER = """
import os, sys
leave = os._exit
def save_and_leave(code):
    coverage = sys.modules.get("coverage")
    measuring = coverage.Coverage.current() if coverage else None
    if measuring:
        measuring.stop()
        measuring.save()
    leave(code)
os._exit = save_and_leave
sys.path.append(sys.argv.pop())
from shim.serve import main
sys.exit(main())
"""

PROGRAM = {
    "env": {"PATH": os.environ["PATH"]},
    "cwd": "/",
    "uid": None,
    "gid": None,
    "groups": None,
    "tty": False,
}


@dataclass
class Shim:
    """A shim under test."""

    process: subprocess.Popen[bytes]
    control: socket.socket

    def frame(self):
        """Kind, number, value and text of the next frame; None at the end."""
        data = self.control.recv(12, socket.MSG_WAITALL)
        if not data:
            return None
        kind, number, value = (
            data[:4].decode(),
            *(int.from_bytes(data[at : at + 4], "little") for at in (4, 8)),
        )
        text = self.control.recv(value, socket.MSG_WAITALL).decode() if kind == "FAIL" else ""
        return kind, number, value, text

    def send(self, kind, number=0, value=0, fds=()):
        frame = kind.encode() + number.to_bytes(4, "little") + value.to_bytes(4, "little")
        socket.send_fds(self.control, [frame], list(fds))

    def exec(self, number, argv, output):
        """Start another program with its output in a file."""
        spec = in_memory({**PROGRAM, "argv": argv})
        null = os.open(os.devnull, os.O_RDONLY)
        with output.open("wb") as out:
            self.send("EXEC", number, fds=(spec, null, out.fileno(), out.fileno()))
        os.close(spec)
        os.close(null)


def in_memory(spec):
    fd = os.memfd_create("spec")
    os.write(fd, marshal.dumps(spec))
    return fd


@pytest.fixture(params=["none", "best"])
def isolation(request):
    if request.param == "none":
        return "none"
    return "root" if os.geteuid() == 0 else "user"


@pytest.fixture
def start(tmp_path, isolation):
    """Starts shims."""
    started = []

    def begin(argv, *, mounts=(), **changes):
        for name in ("staging", "upper", "work"):
            (tmp_path / name).mkdir(exist_ok=True)
        program = {**PROGRAM, "argv": argv, **changes.pop("program", {})}
        spec = {
            "isolation": isolation,
            "map_uid": 0,
            "map_gid": 0,
            "hostname": "h",
            "rootfs": "",
            "dev": True,
            "cgroups": [],
        }
        spec |= {name: str(tmp_path / name) for name in ("staging", "upper", "work")}
        ours, theirs = socket.socketpair()
        fd = in_memory({**spec, "mounts": list(mounts), "program": program, **changes})
        process = subprocess.Popen(
            [sys.executable, "-c", DRIVER, str(fd), str(theirs.fileno()), str(SHIM.parent)],
            pass_fds=(fd, theirs.fileno()),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        theirs.close()
        os.close(fd)
        started.append(Shim(process, ours))
        return started[-1]

    yield begin
    for shim in started:
        shim.control.close()
        shim.process.stdout.close()
        shim.process.wait(40)


@pytest.fixture
def namespaced(isolation):
    if isolation == "none":
        pytest.skip("about namespaces")


def test_a_program_is_reported_from_start_to_end(start):
    shim = start(["sh", "-c", "echo hi; exit 5"])
    assert shim.frame()[:2] == ("STRT", 0)
    assert shim.process.stdout.read() == b"hi\n"
    assert shim.frame() == ("EXIT", 0, 5, "")
    assert shim.process.wait(40) == 5
    assert shim.frame() is None


def test_signals_are_passed_on(start):
    shim = start(["sleep", "1000"])
    shim.frame()
    shim.send("SIGN", value=signal.SIGTERM)
    assert shim.frame() == ("EXIT", 0, 143, "")


def test_kill_ends_everything(start):
    shim = start(["sh", "-c", "trap '' TERM; (setsid sleep 1000 &) ; sleep 1000"])
    shim.frame()
    shim.send("KILL")
    assert shim.frame() == ("EXIT", 0, 137, "")
    assert shim.process.stdout.read() == b""


def test_a_closed_socket_ends_everything(start):
    """The kubelet is gone."""
    shim = start(["sh", "-c", "trap '' TERM; sleep 1000"])
    shim.frame()
    shim.control.shutdown(socket.SHUT_RDWR)
    assert shim.process.wait(40) == 137


def test_a_shim_without_a_kubelet_does_not_start_anything(start, tmp_path):
    shim = start(["touch", str(tmp_path / "never")])
    shim.control.close()
    assert shim.process.wait(40) in {0, 137}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"argv": ["no-such-program"]}, "executable file not found in $PATH"),
        ({"argv": ["/no/such/program"]}, "No such file or directory"),
        ({"argv": ["/etc/passwd"]}, "Permission denied"),
        ({"argv": ["passwd"], "env": {"PATH": "/etc"}}, "permission denied"),
        ({"argv": ["true"], "cwd": "/no/such/folder"}, 'chdir to cwd ("/no/such/folder")'),
        ({"argv": [1]}, "TypeError"),
    ],
)
def test_what_cannot_be_started_is_reported(start, changes, words):
    shim = start(["x"], program=changes)
    kind, number, _, text = shim.frame()
    assert (kind, number) == ("FAIL", 0)
    assert words in text
    assert shim.process.wait(40) == 128


def test_further_programs_run_beside_the_first(start, tmp_path):
    """Each with its own end; one may fail, one may be killed with its group."""
    shim = start(["sleep", "1000"])
    shim.frame()
    shim.exec(1, ["sh", "-c", "echo one; exit 3"], tmp_path / "one")
    assert [shim.frame()[0], shim.frame()] == ["STRT", ("EXIT", 1, 3, "")]
    assert (tmp_path / "one").read_text() == "one\n"
    shim.exec(2, ["no-such-program"], tmp_path / "two")
    assert shim.frame()[:2] == ("FAIL", 2)
    shim.exec(3, ["sh", "-c", "sleep 1000; true"], tmp_path / "three")
    assert shim.frame()[:2] == ("STRT", 3)
    shim.send("SIGX", 3, signal.SIGKILL)
    assert shim.frame() == ("EXIT", 3, 137, "")
    shim.send("KILL")
    assert shim.frame() == ("EXIT", 0, 137, "")


def test_orphans_are_reaped(start):
    """Daemons that end do not stay as zombies: a signal reaches a zombie, and nothing that was reaped."""
    daemon = "pid=$(sleep 0.05 >/dev/null & echo $!)"
    wait = "for i in $(seq 600); do kill -0 $pid 2>/dev/null || { echo reaped; exit; }; sleep 0.05; done"
    shim = start(["sh", "-c", f"{daemon}; {wait}"])
    shim.frame()
    assert shim.process.stdout.read() == b"reaped\n"


def test_users_and_groups_are_taken_on(start, isolation):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    shim = start(["id"], program={"uid": 12, "gid": 34, "groups": [56]})
    assert b"uid=12" in (text := shim.process.stdout.read())
    assert b"gid=34" in text
    assert b"56" in text


@pytest.mark.usefixtures("namespaced")
def test_mounts_are_made_where_nothing_was(start, tmp_path):
    """Below a folder of the machine, at the root, on a file, read-only, in each other: without touching the machine."""
    volume, base = tmp_path / "volume", tmp_path / "machine"
    volume.mkdir()
    (volume / "f").write_text("data")
    (volume / "in").mkdir()
    base.mkdir()
    (base / "kept").write_text("kept")
    (base / "link").symlink_to("kept")
    mounts = [
        (str(volume), f"{base}/made/deep", False),
        (str(volume), "/of-podrunner-shim", True),
        (str(volume / "f"), f"{base}/file", False),
        (str(volume), "/of-podrunner-shim/in", False),
    ]
    script = f"cat {base}/made/deep/f {base}/kept {base}/link {base}/file; "
    script += "touch /of-podrunner-shim/no || echo; ls /of-podrunner-shim/in; hostname"
    shim = start(["sh", "-c", script], mounts=mounts)
    shim.frame()
    assert shim.process.stdout.read() == b"datakeptkeptdata\nf\nin\nh\n"
    assert sorted(path.name for path in base.iterdir()) == ["kept", "link"]


@pytest.mark.usefixtures("namespaced")
def test_a_mount_that_cannot_be_made_is_reported(start, tmp_path):
    shim = start(["true"], mounts=[(str(tmp_path / "no-such-source"), "/x", False)])
    kind, _, _, text = shim.frame()
    assert kind == "FAIL"
    assert "No such file or directory" in text
    assert shim.process.wait(40) == 128


@pytest.mark.usefixtures("namespaced")
def test_another_root_has_proc_dev_and_its_links_followed_inside(start, tmp_path):
    """A mount point behind an absolute link lands in the new root, not on the machine."""
    root = tmp_path / "root"
    for name in ("bin", "usr", "lib", "lib64", "etc", "real"):
        (root / name).mkdir(parents=True)
    (root / "link").symlink_to("/real")
    (root / "up").symlink_to("../../../real")
    volume = tmp_path / "volume"
    volume.mkdir()
    (volume / "f").write_text("data")
    mounts = [(f"/{name}", f"/{name}", True) for name in ("bin", "usr", "lib", "lib64")]
    mounts += [(str(volume), "/link/v", False), (str(volume), "/up/w", False)]
    script = "ls /real; cat /real/v/f /real/w/f; test -e /proc/self/status && test -c /dev/null && echo ok"
    shim = start(["/bin/sh", "-c", script], mounts=mounts, rootfs=str(root))
    assert shim.frame()[0] == "STRT"
    assert shim.process.stdout.read() == b"v\nw\ndatadataok\n"


def test_a_terminal_becomes_the_programs_own(start, isolation, tmp_path):
    shim = start(["sleep", "1000"])
    shim.frame()
    master, slave = os.openpty()
    spec = in_memory({**PROGRAM, "argv": ["sh", "-c", "tty && echo yes"], "tty": True})
    shim.send("EXEC", 1, fds=(spec, slave, slave, slave))
    os.close(spec)
    os.close(slave)
    assert shim.frame()[0] == "STRT"
    assert shim.frame() == ("EXIT", 1, 0, "")
    assert b"yes" in all_of(master)
    os.close(master)


def all_of(master):
    """What a terminal shows until no process has it open any more."""
    shown = b""
    while True:
        try:
            shown += os.read(master, 1000)
        except OSError:
            return shown

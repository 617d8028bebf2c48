"""Process 1 of a container, and the two arrangements around it."""

# pathlib and contextlib would delay the start of every container (PTH, SIM105); the spec comes from the parent process
# (S302).
# ruff: noqa: PTH112, PTH123, PTH208, SIM105, S302, FBT003

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py itself costs 9 ms: it imports enum
import _socket  # likewise: socket.py costs 15 ms
import marshal
import os
import select
import sys

from .filesystem import FileSystem
from .programs import exit_code, start
from .syscalls import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    CLONE_NEWUTS,
    FRAME,
    LINUX,
    MAX_FDS,
    MS_PRIVATE,
    MS_REC,
    PR_SET_CHILD_SUBREAPER,
    SIGKILL,
    SIGTERM,
    _ulong,
    check,
    die_with_parent,
    hung_up,
    load_libc,
    mount,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Spec = dict[str, Any]


class Init:
    """Process 1 of the container: starts, signals, reaps and reports."""

    def __init__(self, spec: Spec, control: Any, libc: Any) -> None:
        self.spec = spec
        self.control = control
        self.libc = libc
        self.programs: dict[int, int] = {}  # pid → number; number 0 is the container's own program
        self.main: int = 0
        self.cgroups: list[int] = [os.open(path, os.O_WRONLY) for path in spec["cgroups"]]
        self.orphaned: bool = False
        self.null: int = os.open("/dev/null", os.O_RDWR)
        self.alone: bool = spec["isolation"] != "none"

    def run(self) -> int:
        """Serve until the container's program ends; return its exit code."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        _signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        _signal.signal(_signal.SIGCHLD, lambda *_: None)
        self.main = start(self.spec["program"], (0, 1, 2), self.cgroups, self.libc)
        self.programs[self.main] = 0
        let_go_of_streams(self.null)
        self.tell(b"STRT", 0, self.main)
        return self.serve(woken)

    def serve(self, woken: int) -> int:
        """Loop over commands of the kubelet and ends of children."""
        poll = select.poll()
        poll.register(woken, select.POLLIN)
        poll.register(self.control, select.POLLIN)
        while True:
            ready = [fd for fd, _ in poll.poll()]
            if woken in ready:
                drain(woken)
            code = self.reap()
            if code is not None:
                return code
            if self.orphaned:
                return 128 + SIGKILL
            if self.control.fileno() in ready and not self.obey():
                return 128 + SIGKILL

    def on_parents_death(self, *_: object) -> None:
        """Note that the kubelet is gone, though another process may hold its end of the socket."""
        self.orphaned = True

    def reap(self) -> int | None:
        """Reap ended processes; return the exit code of the container's program if it is among them."""
        ended = None
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return ended
            if pid == 0:
                return ended
            number = self.programs.pop(pid, None)
            if number == 0:
                ended = exit_code(status)
            elif number is not None:
                self.tell(b"EXIT", number, exit_code(status))

    def obey(self) -> bool:
        """Carry out one command; return False if the container is to end at once."""
        try:
            frame, fds = receive(self.control)
        except ConnectionError:
            frame, fds = b"", []
        kind, number, value = (
            frame[:4],
            int.from_bytes(frame[4:8], "little"),
            int.from_bytes(frame[8:12], "little"),
        )
        if kind == b"SIGN":
            signal_quietly(self.main, value)
        elif kind == b"EXEC":
            self.start_another(number, fds)
        elif kind == b"SIGX":
            self.signal_another(number, value)
        for fd in fds:
            os.close(fd)
        return kind not in {b"", b"KILL"}

    def start_another(self, number: int, fds: list[int]) -> None:
        """Start a program beside the container's own."""
        try:
            spec = marshal.loads(read_all(fds[0]))
            pid = start(spec, (fds[1], fds[2], fds[3]), self.cgroups, self.libc)
        except OSError as error:
            self.fail(number, error)
            return
        self.programs[pid] = number
        self.tell(b"STRT", number, pid)

    def signal_another(self, number: int, value: int) -> None:
        """Send a signal to a program started by ``EXEC`` and to its session's process group."""
        for pid, each in self.programs.items():
            if each == number:
                signal_quietly(-pid, value)

    def fail(self, number: int, error: OSError) -> None:
        """Report a failure: errno, a space, the message."""
        text = f"{error.errno or 0} {error.strerror}".encode()
        self.tell(b"FAIL", number, len(text), text)

    def tell(self, kind: bytes, number: int, value: int, text: bytes = b"") -> None:
        """Send a frame; a kubelet that does not listen is no error."""
        try:
            self.control.sendall(kind + number.to_bytes(4, "little") + value.to_bytes(4, "little") + text)
        except OSError:
            pass

    def end(self) -> None:
        """Kill and reap what is left."""
        if self.alone:
            signal_quietly(-1, SIGKILL)
        else:
            kill_descendants(os.getpid())
            for pid in (self.main, *self.programs):
                signal_quietly(
                    -pid, SIGKILL
                )  # what is left to do where there is no /proc to find descendants in
        while True:
            try:
                os.waitpid(-1, 0)
            except OSError:
                return


def signal_quietly(pid: int, number: int) -> None:
    """Send a signal; a process that is gone is no error."""
    try:
        os.kill(pid, number)
    except OSError:
        pass


def kill_descendants(top: int) -> None:
    """Kill everything below a process, also what is forked meanwhile; orphans come to ``top`` as their subreaper."""
    while found := descendants(top):
        for pid in found:
            signal_quietly(pid, SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except OSError:
            return
        select.select([], [], [], 0.002)


def descendants(top: int) -> list[int]:
    """Living processes below ``top``; where there is no /proc, none (their process groups must do)."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc") if os.path.isdir("/proc/self") else ():
        if name.isdigit() and (parent := parent_of(name)):
            children.setdefault(parent, []).append(int(name))
    found, queue = [], [top]
    while queue:
        below = children.get(queue.pop(), [])
        found += below
        queue += below
    return found


def parent_of(pid: str) -> int:
    """Parent of a process, 0 if it is gone or a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0
    return 0 if fields[0] == b"Z" else int(fields[1])


def let_go_of_streams(null: int) -> None:
    """Close the container's streams here: their end must be seen when the program's own are closed."""
    for fd in (0, 1, 2):
        os.dup2(null, fd)
    os.close(null)


def drain(fd: int) -> None:
    """Empty the wake-up pipe."""
    try:
        os.read(fd, 4096)
    except BlockingIOError:
        pass


def read_all(fd: int) -> bytes:
    """Read a spec from its start."""
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def receive(control: Any) -> tuple[bytes, list[int]]:
    """Receive one frame with its file descriptors; empty if the kubelet is gone."""
    frame, fds = b"", b""
    while len(frame) < FRAME:
        data, ancillary, *_ = control.recvmsg(FRAME - len(frame), _socket.CMSG_SPACE(4 * MAX_FDS))
        if not data:
            return b"", []
        frame += data
        fds += b"".join(message for _, _, message in ancillary)
    numbers = [int.from_bytes(fds[at : at + 4], sys.byteorder) for at in range(0, len(fds) - 3, 4)]
    for fd in numbers:
        os.set_inheritable(fd, False)
    return frame, numbers


def serve_container(init: Init) -> int:
    """Run the container to its end; failures are reported, and answered with exit code 128."""
    try:
        code = init.run()
    except OSError as error:
        init.fail(0, error)
        return 128
    init.end()
    init.tell(b"EXIT", 0, code)
    return code


def in_namespaces(spec: Spec, control: Any, libc: Any) -> int:
    """Run the container in the two-process arrangement; return the exit code."""
    enter_namespaces(spec, libc)
    alive, held = os.pipe()  # closed by the outer process's death
    null = os.open("/dev/null", os.O_RDWR)  # now: the inner process is about to replace /dev for both
    inner = os.fork()
    if inner == 0:
        os.close(held)
        os._exit(be_process_one(spec, control, libc, alive))
    os.close(alive)
    control.close()
    let_go_of_streams(null)
    return exit_code(os.waitpid(inner, 0)[1])


def be_process_one(spec: Spec, control: Any, libc: Any, alive: int) -> int:
    """Run the inner process of the arrangement."""
    init = Init(spec, control, libc)
    try:
        die_with_parent(libc)
        poll = select.poll()
        poll.register(alive, 0)
        if poll.poll(0):
            return (
                128 + SIGKILL
            )  # the outer process died before the kernel was asked for its parent-death signal
        name = spec["hostname"].encode()[:63]
        check(libc.sethostname(name, len(name)), "sethostname")
        FileSystem(libc, spec["rootfs"], spec["staging"]).build(spec)
    except OSError as error:
        init.fail(0, error)
        return 128
    return serve_container(init)


def enter_namespaces(spec: Spec, libc: Any) -> None:
    """Leave the machine's namespaces; for an ordinary user by way of a user namespace."""
    user = CLONE_NEWUSER if spec["isolation"] == "user" else 0
    flags = user | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWPID
    uid, gid = os.geteuid(), os.getegid()
    check(libc.unshare(flags), "unshare")
    if user:
        write_file("/proc/self/uid_map", f"{spec['map_uid']} {uid} 1")
        write_file("/proc/self/setgroups", "deny")
        write_file("/proc/self/gid_map", f"{spec['map_gid']} {gid} 1")
    mount(libc, "none", "/", flags=MS_REC | MS_PRIVATE)


def write_file(path: str, text: str) -> None:
    """Write a file of /proc in one go."""
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def without_namespaces(spec: Spec, control: Any, libc: Any) -> int:
    """Run the container in the one-process arrangement; return the exit code."""
    init = Init(spec, control, libc)
    if LINUX:
        check(libc.prctl(PR_SET_CHILD_SUBREAPER, _ulong(1), 0, 0, 0), "prctl")
        _signal.signal(SIGTERM, init.on_parents_death)
        die_with_parent(libc, SIGTERM)
    if is_orphan(spec, control):
        return 128 + SIGKILL
    return serve_container(init)


def is_orphan(spec: Spec, control: Any) -> bool:
    """Return whether the kubelet ended before the kernel was asked for the parent-death signal."""
    return hung_up(control) or os.getppid() != spec.get("parent", os.getppid())


def main() -> int:
    """Read the spec and arrange the container."""
    spec_fd, control_fd = int(sys.argv[1]), int(sys.argv[2])
    control = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, control_fd)
    os.set_inheritable(control_fd, False)
    spec = marshal.loads(read_all(spec_fd))
    os.close(spec_fd)
    libc = load_libc()
    if spec["isolation"] != "none":
        die_with_parent(libc)
        if is_orphan(spec, control):
            return 128 + SIGKILL
    arrange = without_namespaces if spec["isolation"] == "none" else in_namespaces
    try:
        return arrange(spec, control, libc)
    except OSError as error:
        Init({**spec, "cgroups": []}, control, libc).fail(0, error)
        return 128

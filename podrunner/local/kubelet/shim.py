"""The program that stands between the kubelet and a container's processes.

It is started as ``python -I -S shim.py SPEC_FD CONTROL_FD``, imports nothing of podrunner and little of Python
(each import delays every container), builds the container's surroundings as the spec says, starts the program and
then serves: it passes signals on, starts further programs (``kubectl exec``) as its own children, reaps orphans, and
reports. Which surroundings a container gets is decided in ``container.py``; here they are only made.

Two arrangements:

* *namespaces*: this process (the outer one) dies with the kubelet (``PR_SET_PDEATHSIG``); its child is process 1 of
  a PID namespace, dies with the outer one, and the kernel ends everything in the namespace with process 1.
* *none*: this process is a child subreaper, so that daemonised descendants come back to it, and it kills them all
  when the program ends, when it is told to, or when the control socket closes because the kubelet is gone.

The spec is a ``marshal`` dict (same interpreter on both ends, no import); frames on the control socket are 12 bytes,
``kind(4) id(4) value(4)``; ``FAIL`` carries ``value`` bytes of text. Kubelet to shim: ``SIGN`` value=signal,
``KILL``, ``EXEC`` id=number with the spec and three streams as file descriptors. Shim to kubelet: ``STRT``, ``EXIT``
value=code, ``FAIL``.
"""

# pathlib and contextlib would delay the start of every container (PTH, SIM105); the spec comes from our own parent
# (S302); to execute a given program is what this is for (S606).
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH113, PTH114, PTH115, PTH116, PTH120, PTH123, PTH208, PTH211
# ruff: noqa: SIM105, S302, S606, FBT003

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py itself costs 9 ms: it imports enum
import _socket  # likewise: socket.py costs 15 ms
import errno
import marshal
import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Spec = dict[str, Any]

LINUX = sys.platform == "linux"
FRAME = 12
MAX_FDS = 4

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x4000000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = (
    1,
    2,
    4,
    8,
    32,
    4096,
    16384,
    1 << 18,
)
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41, "riscv64": 41, "ppc64le": 203, "s390x": 217, "armv7l": 218}
TIOCSCTTY = 0x540E if LINUX else 0x20007461
SIGKILL, SIGTERM = 9, 15

DEVICES = (
    "null",
    "zero",
    "full",
    "random",
    "urandom",
    "tty",
    "pts",
    "shm",
    "fuse",
    "kvm",
    "dri",
    "kfd",
    "infiniband",
)
LINKS = (
    ("/proc/self/fd", "fd"),
    ("fd/0", "stdin"),
    ("fd/1", "stdout"),
    ("fd/2", "stderr"),
    ("pts/ptmx", "ptmx"),
)


class ShimError(Exception):
    """The surroundings could not be made; the text is for the container's status."""


# --- system calls -----------------------------------------------------------------------------------------------


def load_libc() -> Any:
    """The C library, for what Python 3.11's ``os`` has no function for."""
    import ctypes

    return ctypes.CDLL(None, use_errno=True)


def check(result: int, what: str) -> None:
    """Raise if a call of libc failed."""
    if result < 0:
        import ctypes

        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def mount(libc: Any, source: str, target: str, *, kind: str = "", flags: int = 0, data: str = "") -> None:
    """Mount, as the system call of that name."""
    arguments = (source.encode(), target.encode(), kind.encode() or None, flags, data.encode() or None)
    check(
        libc.mount(arguments[0], arguments[1], arguments[2], _ulong(flags), arguments[4]), f"mount {target}"
    )


def _ulong(value: int) -> Any:
    import ctypes

    return ctypes.c_ulong(value)


def die_with_parent(libc: Any) -> None:
    """Ask the kernel to kill this process when the thread that started it ends."""
    if LINUX:
        check(libc.prctl(PR_SET_PDEATHSIG, _ulong(SIGKILL), 0, 0, 0), "prctl")


def hung_up(control: Any) -> bool:
    """Whether the other end of the control socket is closed."""
    poll = select.poll()
    poll.register(control, 0)
    return bool(poll.poll(0))


# --- the container's file system --------------------------------------------------------------------------------


class FileSystem:
    """Makes the mounts of one container in a mount namespace of its own.

    Where a mount point is missing and may not be made (it would appear on the machine), the nearest folder above it
    is mimicked: a tmpfs over it, with its entries bound back (the idea is snapd's "writable mimic").
    """

    def __init__(self, libc: Any, root: str, staging: str) -> None:
        self.libc = libc
        self.root = root
        self.staging = staging  # an empty folder of the kubelet's, to build another root on
        self.owned: list[str] = []  # folders in which mount points may simply be made

    def build(self, spec: Spec) -> None:
        """All of it, in order."""
        sources = [os.open(source, os.O_PATH) for source, *_ in spec["mounts"]]
        if self.root:
            self.overlay_or_bind(spec)
        if spec["dev"]:
            self.make_dev()
        for fd, (_, target, readonly) in zip(sources, spec["mounts"], strict=True):
            self.bind_volume(fd, target, readonly=readonly)
        for fd in sources:
            os.close(fd)
        self.mount_proc()
        if self.root:
            self.enter()

    def overlay_or_bind(self, spec: Spec) -> None:
        """The image's root file system, its changes kept apart where overlayfs is allowed."""
        layers = f"lowerdir={self.root},upperdir={spec['upper']},workdir={spec['work']}"
        try:
            mount(self.libc, "overlay", self.staging, kind="overlay", data=layers)
        except OSError:
            mount(self.libc, self.root, self.staging, flags=MS_BIND | MS_REC)
        self.root = self.staging
        self.owned.append(self.root)
        for name in ("/dev", "/proc", "/sys"):
            os.makedirs(self.root + name, exist_ok=True)
        mount(self.libc, "/sys", self.root + "/sys", flags=MS_BIND | MS_REC)
        self.bind_file("/etc/resolv.conf", self.root + "/etc/resolv.conf")

    def bind_file(self, source: str, target: str) -> None:
        """Bind one file of the machine, where it is there."""
        if os.path.exists(source):
            os.makedirs(os.path.dirname(target), exist_ok=True)
            touch(target)
            mount(self.libc, source, target, flags=MS_BIND)

    def make_dev(self) -> None:
        """A /dev as containers have it; the machine's own is never written to."""
        dev, found = self.root + "/dev", open_devices()
        mount(self.libc, "tmpfs", dev, kind="tmpfs", flags=MS_NOSUID, data="mode=755,size=65536k")
        self.owned.append(dev)
        for name, fd in found:
            self.bind_fd(fd, f"{dev}/{name}")
            os.close(fd)
        for target, name in LINKS:
            os.symlink(target, f"{dev}/{name}")

    def bind_fd(self, fd: int, target: str) -> None:
        """Bind what ``fd`` stands for onto a mount point that is made for it."""
        make_like(fd, target)
        mount(self.libc, f"/proc/self/fd/{fd}", target, flags=MS_BIND | MS_REC)

    def bind_volume(self, fd: int, target: str, *, readonly: bool) -> None:
        """One volume mount."""
        target = self.resolve(target)
        self.make_room(target)
        target = self.resolve_under_root(target)
        self.bind_fd(fd, target)
        if readonly:
            remount_readonly(self.libc, target)
        else:
            self.owned.append(target)

    def resolve_under_root(self, target: str) -> str:
        """The target below a root that ``make_room`` may just have changed."""
        if self.root and not is_below(target, self.root):
            return self.root + target
        return target

    def resolve(self, target: str) -> str:
        """The target with the links of its existing part followed inside the root."""
        if not self.root:
            return os.path.realpath(target)
        path, parts, hops = self.root, [part for part in target.split("/") if part], 0
        while parts:
            part = parts.pop(0)
            step = f"{path}/{part}" if part != ".." else os.path.dirname(path)
            if not is_below(step, self.root):
                step = self.root
            if os.path.islink(step) and hops < 40:
                hops += 1
                link = os.readlink(step)
                parts = [each for each in link.split("/") if each and each != "."] + parts
                path = self.root if link.startswith("/") else path
            else:
                path = step
        return path

    def make_room(self, target: str) -> None:
        """See to it that the mount point can be made without touching the machine."""
        if os.path.lexists(target):
            return
        above = os.path.dirname(target)
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        if any(is_below(above, own) for own in self.owned) and os.access(above, os.W_OK):
            return
        if above == "/":
            self.mimic_root()
        else:
            self.mimic(above)

    def mimic(self, folder: str) -> None:
        """Put a tmpfs over a folder, and its entries back into it."""
        kept, info = open_entries(folder), os.stat(folder)
        mount(
            self.libc, "tmpfs", folder, kind="tmpfs", flags=MS_NODEV, data=f"mode={info.st_mode & 0o7777:o}"
        )
        try:
            os.chown(folder, info.st_uid, info.st_gid)
        except OSError:
            pass  # an owner that this user namespace does not know
        self.owned.append(folder)
        self.put_back(kept, folder)

    def put_back(self, kept: list[tuple[str, int, str]], folder: str) -> None:
        """Entries as ``open_entries`` gave them."""
        for name, fd, link in kept:
            if link:
                os.symlink(link, f"{folder}/{name}")
            else:
                self.bind_fd(fd, f"{folder}/{name}")
                os.close(fd)

    def mimic_root(self) -> None:
        """As ``mimic`` for ``/``, which cannot be mounted over: a new root that is moved into at the end."""
        new = self.staging
        mount(self.libc, "tmpfs", new, kind="tmpfs", data="mode=755")
        kept = [entry for entry in open_entries("/") if entry[0] != "proc"]
        self.put_back(kept, new)
        os.mkdir(new + "/proc")
        self.root, self.owned = new, [new + own for own in self.owned] + [new]

    def mount_proc(self) -> None:
        """A /proc of the PID namespace; the machine's own where the kernel refuses (masked /proc)."""
        proc = self.root + "/proc"
        os.makedirs(proc, exist_ok=True)
        try:
            mount(self.libc, "proc", proc, kind="proc", flags=MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError:
            if self.root:
                mount(self.libc, "/proc", proc, flags=MS_BIND | MS_REC)

    def enter(self) -> None:
        """Make the new root the root, and let go of the old one."""
        os.chdir(self.root)
        number = PIVOT_ROOT[os.uname().machine]
        check(self.libc.syscall(number, b".", b"."), "pivot_root")
        check(self.libc.umount2(b".", MNT_DETACH), "umount2")
        os.chdir("/")


def is_below(path: str, folder: str) -> bool:
    """Whether a path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def touch(path: str) -> None:
    """Make a file, if it is not there."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def make_like(fd: int, target: str) -> None:
    """A mount point of the kind that ``fd`` needs: a folder or a file."""
    if os.path.lexists(target):
        return
    folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
    os.makedirs(target if folder else os.path.dirname(target), exist_ok=True)
    if not folder:
        touch(target)


def open_entries(folder: str) -> list[tuple[str, int, str]]:
    """The entries of a folder: name, handle, and target of a link; those that may not be seen are left out."""
    try:
        names = os.listdir(folder)
    except PermissionError:
        return []
    return [entry for name in names if (entry := open_entry(folder, name)) is not None]


def open_entry(folder: str, name: str) -> tuple[str, int, str] | None:
    """One entry, or None if it went away."""
    path = f"{folder}/{name}"
    try:
        if os.path.islink(path):
            return name, -1, os.readlink(path)
        return name, os.open(path, os.O_PATH | os.O_NOFOLLOW), ""
    except OSError:
        return None


def open_devices() -> list[tuple[str, int]]:
    """Handles of the devices that a container sees, with the machine's GPUs."""
    names = [name for name in os.listdir("/dev") if name in DEVICES or name.startswith("nvidia")]
    opened = [(name, open_entry("/dev", name)) for name in names]
    return [(name, entry[1]) for name, entry in opened if entry is not None and entry[1] >= 0]


def remount_readonly(libc: Any, target: str) -> None:
    """Read-only, with the flags that are locked in a user namespace kept."""
    kept = os.statvfs(target).f_flag & (MS_NOSUID | MS_NODEV | MS_NOEXEC | 1024 | 2048)
    mount(libc, "none", target, flags=MS_BIND | MS_REMOUNT | MS_RDONLY | kept)


# --- programs ---------------------------------------------------------------------------------------------------


def start(spec: Spec, streams: tuple[int, int, int], cgroups: list[int], libc: Any) -> int:
    """Start a program; its pid. OSError with errno if it cannot be executed."""
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become(spec, streams, cgroups, libc)
        except OSError as error:
            os.write(tell, (error.errno or errno.EINVAL).to_bytes(4, "little") + str(error.strerror).encode())
        except BaseException as error:  # noqa: BLE001 - the parent must hear of anything at all
            os.write(tell, errno.EINVAL.to_bytes(4, "little") + repr(error).encode())
        os._exit(127)
    os.close(tell)
    answer = os.read(told, 4096)
    os.close(told)
    if answer:
        os.waitpid(pid, 0)
        raise OSError(int.from_bytes(answer[:4], "little"), answer[4:].decode())
    return pid


def become(spec: Spec, streams: tuple[int, int, int], cgroups: list[int], libc: Any) -> None:
    """Turn this process into the program. Does not return."""
    os.setsid()
    take_streams(spec, streams)
    for fd in cgroups:
        os.write(fd, b"0")
    os.umask(0o022)
    enter_folder(spec["cwd"])
    drop_privileges(spec)
    die_with_parent(libc)
    for number in (13, 25):  # Python ignores SIGPIPE and SIGXFSZ; programs expect the defaults
        _signal.signal(number, _signal.SIG_DFL)
    _signal.set_wakeup_fd(-1)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    execute(spec["argv"], spec["env"])


def take_streams(spec: Spec, streams: tuple[int, int, int]) -> None:
    """Put the three streams in their places, and take the terminal."""
    high = [os.dup(fd) for fd in streams]
    for fd, place in zip(high, (0, 1, 2), strict=True):
        os.dup2(fd, place)
        os.close(fd)
    if spec["tty"]:
        import fcntl

        fcntl.ioctl(0, TIOCSCTTY, 0)


def enter_folder(folder: str) -> None:
    """Change to the working directory."""
    try:
        os.chdir(folder)
    except OSError as error:
        raise OSError(
            error.errno, f'chdir to cwd ("{folder}") set in config.json failed: {error.strerror}'
        ) from None


def drop_privileges(spec: Spec) -> None:
    """Become the container's user, as far as that is another."""
    if spec["groups"] is not None:
        os.setgroups(spec["groups"])
    if spec["gid"] is not None:
        os.setresgid(spec["gid"], spec["gid"], spec["gid"]) if LINUX else os.setgid(spec["gid"])
    if spec["uid"] is not None:
        os.setresuid(spec["uid"], spec["uid"], spec["uid"]) if LINUX else os.setuid(spec["uid"])


def execute(argv: list[str], env: dict[str, str]) -> None:
    """Execute, looking for the program in the container's own PATH. Returns never; raises OSError."""
    name, seen = argv[0], errno.ENOENT
    if "/" in name:
        os.execve(name, argv, env)
    for folder in env.get("PATH", "").split(":"):
        path = f"{folder or '.'}/{name}"
        try:
            os.execve(path, argv, env)
        except OSError as error:
            if os.path.isfile(path):
                seen = error.errno or seen
    message = "executable file not found in $PATH" if seen == errno.ENOENT else os.strerror(seen).lower()
    raise OSError(seen, message)


def exit_code(status: int) -> int:
    """A wait status as a container's exit code: 128 + signal for a killed one."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


# --- serving ----------------------------------------------------------------------------------------------------


class Init:
    """Process 1 of the container: starts, signals, reaps and reports."""

    def __init__(self, spec: Spec, control: Any, libc: Any) -> None:
        self.spec = spec
        self.control = control
        self.libc = libc
        self.programs: dict[int, int] = {}  # pid → number; number 0 is the container's own program
        self.main = 0
        self.cgroups = [os.open(path, os.O_WRONLY) for path in spec["cgroups"]]
        self.null = os.open("/dev/null", os.O_RDWR)
        self.alone = spec["isolation"] != "none"

    def run(self) -> int:
        """Serve until the container's program ends; its exit code."""
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
        """The loop: commands of the kubelet, ends of children."""
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
            if self.control.fileno() in ready and not self.obey():
                return 128 + SIGKILL

    def reap(self) -> int | None:
        """Bury the dead; the exit code of the container's program if it is among them."""
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
        """One command; False if the container is to end at once."""
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
        """A program beside the container's own."""
        try:
            spec = marshal.loads(read_all(fds[0]))
            pid = start(spec, (fds[1], fds[2], fds[3]), self.cgroups, self.libc)
        except OSError as error:
            self.fail(number, error)
            return
        self.programs[pid] = number
        self.tell(b"STRT", number, pid)

    def signal_another(self, number: int, value: int) -> None:
        """A signal for a program started by ``EXEC``, and for its session's process group."""
        for pid, each in self.programs.items():
            if each == number:
                signal_quietly(-pid, value)

    def fail(self, number: int, error: OSError) -> None:
        """Report what went wrong: errno, a space, the words."""
        text = f"{error.errno or 0} {error.strerror}".encode()
        self.tell(b"FAIL", number, len(text), text)

    def tell(self, kind: bytes, number: int, value: int, text: bytes = b"") -> None:
        """Send a frame; nobody listening is no error."""
        try:
            self.control.sendall(kind + number.to_bytes(4, "little") + value.to_bytes(4, "little") + text)
        except OSError:
            pass

    def end(self) -> None:
        """Kill what is left, and bury it."""
        if self.alone:
            signal_quietly(-1, SIGKILL)
        else:
            kill_descendants(os.getpid())
            for pid in (self.main, *self.programs):
                signal_quietly(-pid, SIGKILL)  # what counts where there is no /proc to find descendants in
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
    """Hold the container's streams open no longer: their end must be seen when the program's own are closed."""
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
    """A spec, from its start."""
    os.lseek(fd, 0, os.SEEK_SET)
    parts = []
    while part := os.read(fd, 1 << 20):
        parts.append(part)
    return b"".join(parts)


def receive(control: Any) -> tuple[bytes, list[int]]:
    """One frame with its file descriptors; empty if the kubelet is gone."""
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


# --- arrangements -----------------------------------------------------------------------------------------------


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
    """The two-process arrangement; the exit code."""
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
    """The inner process of the arrangement."""
    init = Init(spec, control, libc)
    try:
        die_with_parent(libc)
        poll = select.poll()
        poll.register(alive, 0)
        if poll.poll(0):
            return 128 + SIGKILL  # the outer process died before it could be said that we die with it
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
    """The one-process arrangement; the exit code."""
    if LINUX:
        check(libc.prctl(PR_SET_CHILD_SUBREAPER, _ulong(1), 0, 0, 0), "prctl")
    return serve_container(Init(spec, control, libc))


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
    if hung_up(control):
        return 128 + SIGKILL
    arrange = without_namespaces if spec["isolation"] == "none" else in_namespaces
    try:
        return arrange(spec, control, libc)
    except OSError as error:
        Init({**spec, "cgroups": []}, control, libc).fail(0, error)
        return 128


if __name__ == "__main__":
    sys.exit(main())

"""System calls that Python's ``os`` has no function for, and their constants."""

# pathlib and contextlib would delay the start of every container; so would signal and socket, which import enum.

from __future__ import annotations

import os
import select
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

LINUX = sys.platform == "linux"
FRAME = 12
MAX_FDS = 4

# linux/sched.h, linux/mount.h, linux/prctl.h
CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWUSER, CLONE_NEWPID = 0x20000, 0x4000000, 0x10000000, 0x20000000
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 32, 4096, 16384, 1 << 18
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


def load_libc() -> Any:
    """Return the C library, for what Python 3.11's ``os`` has no function for."""
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


def die_with_parent(libc: Any, number: int = SIGKILL) -> None:
    """Ask the kernel for a signal when the thread that started this process ends."""
    if LINUX:
        check(libc.prctl(PR_SET_PDEATHSIG, _ulong(number), 0, 0, 0), "prctl")


def hung_up(control: Any) -> bool:
    """Return whether the other end of the control socket is closed."""
    poll = select.poll()
    poll.register(control, 0)
    return bool(poll.poll(0))

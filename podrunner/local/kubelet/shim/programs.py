"""Starting a program in its container: streams, user, working directory, execution."""

# pathlib would delay the start of every container (PTH); to execute a given program is what this is for (S606).
# ruff: noqa: PTH113, S606

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # signal.py itself costs 9 ms: it imports enum
import errno
import os

from .syscalls import LINUX, TIOCSCTTY, die_with_parent

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Spec = dict[str, Any]


def start(spec: Spec, streams: tuple[int, int, int], cgroups: list[int], libc: Any) -> int:
    """Start a program; its pid. OSError with errno if it cannot be executed."""
    read_end, write_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            become(spec, streams, cgroups, libc)
        except OSError as error:
            os.write(
                write_end, (error.errno or errno.EINVAL).to_bytes(4, "little") + str(error.strerror).encode()
            )
        except BaseException as error:  # noqa: BLE001 - the parent reports any failure
            os.write(write_end, errno.EINVAL.to_bytes(4, "little") + repr(error).encode())
        os._exit(127)
    os.close(write_end)
    answer = os.read(read_end, 4096)
    os.close(read_end)
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
    _signal.set_wakeup_fd(-1)
    restore_signals()
    execute(spec["argv"], spec["env"])


def restore_signals() -> None:
    """Give the program the default of each signal, as a container runtime does.

    Python ignores SIGPIPE and SIGXFSZ; a cluster started by nohup, or in the background of a script, inherits an
    ignored SIGHUP or SIGINT.
    """
    for number in _signal.valid_signals() - {_signal.SIGKILL, _signal.SIGSTOP}:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


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
    """Return a wait status as a container's exit code: 128 + signal for a killed one."""
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code

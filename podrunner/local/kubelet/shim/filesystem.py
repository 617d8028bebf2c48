"""The file system that a container sees: volumes, a /dev and /proc of its own, perhaps another root."""

# pathlib and contextlib would delay the start of every container.
# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH116, PTH120, PTH208, PTH211, SIM105

from __future__ import annotations

import os

from .syscalls import (
    DEVICES,
    LINKS,
    MNT_DETACH,
    MS_BIND,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_RDONLY,
    MS_REC,
    MS_REMOUNT,
    PIVOT_ROOT,
    check,
    mount,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Spec = dict[str, Any]


class FileSystem:
    """Makes the mounts of one container in a mount namespace of its own.

    Where a mount point is missing and may not be made (it would appear on the machine), the nearest folder above it
    is mimicked: a tmpfs over it, with its entries bound back (the idea is snapd's "writable mimic").
    """

    def __init__(self, libc: Any, root: str, staging: str) -> None:
        self.libc = libc
        self.root: str = root
        self.staging = staging  # an empty folder of the kubelet's, to build another root on
        self.ours: dict[str, bool] = {}  # folder → whether mount points may simply be made in it

    def build(self, spec: Spec) -> None:
        """Build the whole file system."""
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
        """Mount the image's root file system, its changes kept apart where overlayfs is allowed."""
        layers = f"lowerdir={self.root},upperdir={spec['upper']},workdir={spec['work']}"
        try:
            mount(self.libc, "overlay", self.staging, kind="overlay", data=layers)
        except OSError:
            mount(self.libc, self.root, self.staging, flags=MS_BIND | MS_REC)
        self.root = self.staging
        self.ours[self.root] = True
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
        """Make a /dev as containers have it; the machine's own is never written to."""
        dev, found = self.root + "/dev", open_devices()
        mount(self.libc, "tmpfs", dev, kind="tmpfs", flags=MS_NOSUID, data="mode=755,size=65536k")
        self.ours[dev] = True
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
        """Make one volume mount."""
        target = self.resolve(target)
        self.make_room(target)
        target = self.resolve_under_root(target)
        self.bind_fd(fd, target)
        if readonly:
            remount_readonly(self.libc, target)
        else:
            self.ours[target] = True

    def resolve_under_root(self, target: str) -> str:
        """Return the target below a root that ``make_room`` may just have changed."""
        if self.root and not is_below(target, self.root):
            return self.root + target
        return target

    def resolve(self, target: str) -> str:
        """Return the target with the links of its existing part followed inside the root."""
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
        """Prepare a mount point without touching the machine's files."""
        if os.path.lexists(target):
            return
        above = os.path.dirname(target)
        while not os.path.isdir(above):
            above = os.path.dirname(above)
        if self.is_ours(above) and os.access(above, os.W_OK):
            return
        if above == "/":
            self.mimic_root()
        else:
            self.mimic(above)

    def is_ours(self, folder: str) -> bool:
        """Return whether a folder is the container's own: what is bound back into a mimic is the machine's."""
        known = [each for each in self.ours if is_below(folder, each)]
        return bool(known) and self.ours[max(known, key=len)]

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
        self.ours[folder] = True
        self.put_back(kept, folder)

    def put_back(self, kept: list[tuple[str, int, str]], folder: str) -> None:
        """Entries as ``open_entries`` gave them."""
        for name, fd, link in kept:
            if link:
                os.symlink(link, f"{folder}/{name}")
            else:
                self.bind_fd(fd, f"{folder}/{name}")
                self.ours.setdefault(f"{folder}/{name}", False)
                os.close(fd)

    def mimic_root(self) -> None:
        """As ``mimic`` for ``/``, which cannot be mounted over: a new root that is moved into at the end."""
        new = self.staging
        self.ours = {new: True, **{new + folder: own for folder, own in self.ours.items()}}
        mount(self.libc, "tmpfs", new, kind="tmpfs", data="mode=755")
        kept = [entry for entry in open_entries("/") if entry[0] != "proc"]
        self.put_back(kept, new)
        os.mkdir(new + "/proc")
        self.root = new

    def mount_proc(self) -> None:
        """Mount a /proc of the PID namespace; the machine's own where the kernel refuses (masked /proc)."""
        proc = self.root + "/proc"
        os.makedirs(proc, exist_ok=True)
        try:
            mount(self.libc, "proc", proc, kind="proc", flags=MS_NOSUID | MS_NODEV | MS_NOEXEC)
        except OSError:
            if self.root:
                mount(self.libc, "/proc", proc, flags=MS_BIND | MS_REC)

    def enter(self) -> None:
        """Make the new root the root, and unmount the old one."""
        os.chdir(self.root)
        number = PIVOT_ROOT[os.uname().machine]
        check(self.libc.syscall(number, b".", b"."), "pivot_root")
        check(self.libc.umount2(b".", MNT_DETACH), "umount2")
        os.chdir("/")


def is_below(path: str, folder: str) -> bool:
    """Return whether a path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/") + "/")


def touch(path: str) -> None:
    """Make a file, if it is not there."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o644))


def make_like(fd: int, target: str) -> None:
    """Make a mount point of the kind that ``fd`` needs: a folder or a file."""
    if os.path.lexists(target):
        return
    folder = os.fstat(fd).st_mode & 0o170000 == 0o040000
    os.makedirs(target if folder else os.path.dirname(target), exist_ok=True)
    if not folder:
        touch(target)


def open_entries(folder: str) -> list[tuple[str, int, str]]:
    """Return the entries of a folder: name, handle, and target of a link; those that may not be seen are left out."""
    try:
        names = os.listdir(folder)
    except PermissionError:
        return []
    return [entry for name in names if (entry := open_entry(folder, name)) is not None]


def open_entry(folder: str, name: str) -> tuple[str, int, str] | None:
    """Return one entry, or None if it went away."""
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

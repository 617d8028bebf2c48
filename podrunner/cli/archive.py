"""Files and folders as a tar stream, both ways. A stream that comes from a container is not trusted.

Nothing outside the folder that is given is written, whatever the stream says: names that lead out of it, names through
a link, links that lead out and special files are left out. Synchronous; where the bytes come from does not belong here.
"""

from __future__ import annotations

import os
import posixpath
import stat
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from typing import IO

__all__ = ["COMPLETE", "CONTENT", "Copied", "pack", "unpack", "unpack_file"]

BLOCK_BYTES = 64 * tarfile.BLOCKSIZE
"""Bytes that are read and written at once: 32 KiB, as exec's messages."""

CONTENT, COMPLETE = "content", "complete"
"""Names in a stream that goes to a container: what is copied, and the mark that all of it was sent."""

_LONGEST_NAME = 4096
"""Linux' PATH_MAX: beyond it, names and links cannot be followed to see where they lead."""


@dataclass
class Copied:
    """What was copied.

    Attributes:
        files: Files.
        size: Their bytes.
        left_out: Names that were not copied, each with the reason.
    """

    files: int = 0
    size: int = 0
    left_out: list[str] = field(default_factory=list)

    def took(self, member: tarfile.TarInfo) -> None:
        """Count a file."""
        if member.isfile():
            self.files += 1
            self.size += member.size


def unpack(stream: IO[bytes], folder: Path, *, top: str) -> Copied:
    """Unpack a stream as ``folder/content``: a file, or a folder with what is in it.

    Args:
        stream: The stream; it need not be seekable.
        folder: A folder that is empty and private.
        top: The name in the stream that becomes ``content``; "": its root.

    Raises:
        tarfile.TarError: It is no tar stream, or it breaks off.
    """
    copied = Copied()
    root = folder / CONTENT
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK_BYTES) as tar:
        for member in tar:
            name = _below(member.name, top)
            problem = "it was not asked for" if name is None else _take(tar, member, root, name, top)
            if problem is None:
                copied.took(member)
            else:
                copied.left_out.append(f"{member.name}: {problem}")
    return copied


def _below(name: str, top: str) -> str | None:
    """Return a member's name below the top, "" for the top itself; None: it is not below it."""
    parts = posixpath.normpath(name)
    if top:
        before, _, parts = parts.partition("/")
        if before != top:
            return None
    found = "" if parts == "." else parts
    return None if found.startswith("/") or ".." in found.split("/") else found


def _take(tar: tarfile.TarFile, member: tarfile.TarInfo, root: Path, name: str, top: str) -> str | None:
    """Unpack one member; say why not, if it is left out."""
    if len(os.fsencode(root / name)) > _LONGEST_NAME or _goes_through_link(root, name):
        return "its name leads through a link, or is too long"
    if not name and not (member.isfile() or member.isdir()):
        to = f" (a link to {member.linkname})" if member.issym() else ""
        return f"it is neither a file nor a folder{to}"
    base = root if name else root.parent
    linked = _below(member.linkname, top) if member.islnk() else member.linkname
    if linked is None or (member.islnk() and _is_link(root, linked)):
        return "it is a link that leads outside"
    moved = member.replace(name=name or root.name, linkname=linked, deep=False)
    try:
        safe = tarfile.data_filter(moved, str(base))
    except tarfile.FilterError as error:
        return _reason(error)
    if name and not root.is_dir():
        return "it is in no folder"
    tar.extract(safe, base, filter="fully_trusted")  # which it is by now
    return None


def _goes_through_link(root: Path, name: str) -> bool:
    """Whether a folder on the way is a link. No real tree says so, and the links' own check is not needed then."""
    folder = root
    for part in ["", *name.split("/")][:-1]:
        folder /= part
        if folder.is_symlink():
            return True
    return False


def _is_link(root: Path, name: str) -> bool:
    """Whether a hard link's target is a symbolic link: seen from another place, that may lead outside."""
    return _goes_through_link(root, name) or (root / name).is_symlink()


def _reason(error: tarfile.FilterError) -> str:
    if isinstance(error, tarfile.SpecialFileError):
        return "it is a device, a pipe or a socket"
    if isinstance(error, tarfile.AbsoluteLinkError | tarfile.LinkOutsideDestinationError):
        return "it is a link that leads outside"
    return "its name leads outside"


def unpack_file(stream: IO[bytes], target: IO[bytes]) -> Copied:
    """Write the one file of a stream to an open file.

    Raises:
        tarfile.TarError: It is no tar stream, or it breaks off.
        UsageError: It is a folder or a link.
    """
    copied = Copied()
    with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK_BYTES) as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() else None
            if content is None:
                raise UsageError(f"{member.name} is no file: only one file can be written to standard output")
            while data := content.read(BLOCK_BYTES):
                target.write(data)
            copied.took(member)
    return copied


def pack(source: Path | IO[bytes], stream: IO[bytes]) -> Copied:
    """Write a file or a folder as a tar stream: ``content``, and at its end ``complete``.

    GNU's format, which busybox reads too: it passes over pax headers, with the long names in them. Owners are left to
    the container.

    Args:
        source: A path, or an open file at its beginning.
        stream: Where to; it need not be seekable.

    Raises:
        OSError: The source cannot be read.
    """
    copied = Copied()

    def taken(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        if not (member.isfile() or member.isdir() or member.issym() or member.islnk()):
            copied.left_out.append(f"{member.name}: it is a device or a pipe")
            return None
        copied.took(member)
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return member

    with tarfile.open(
        fileobj=stream, mode="w|", bufsize=BLOCK_BYTES, format=tarfile.GNU_FORMAT, dereference=False
    ) as tar:
        if isinstance(source, Path):
            _check(source)
            tar.add(source.resolve(), arcname=CONTENT, filter=taken)
        else:
            member = _of_open_file(source)
            tar.addfile(member, source)
            copied.took(member)
        tar.addfile(tarfile.TarInfo(COMPLETE))
    return copied


def _check(source: Path) -> None:
    mode = source.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise UsageError(f"{source} is neither a file nor a folder")


def _of_open_file(source: IO[bytes]) -> tarfile.TarInfo:
    member = tarfile.TarInfo(CONTENT)
    member.size = source.seek(0, os.SEEK_END)
    member.mode = 0o644
    source.seek(0)
    return member

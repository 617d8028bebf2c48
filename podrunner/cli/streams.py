"""Standard streams as the command needs them: a missing character, a full disk and a closed pipe are no surprise.

What a failed write means for the exit code is decided in ``failures``.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

__all__ = ["OutputError", "discard", "own_streams", "takes_unicode"]


class OutputError(Exception):
    """Standard output or standard error could not be written.

    No OSError: the libraries that parse arguments and draw help end the process at a BrokenPipeError of their own
    accord, each with another exit code.

    Attributes:
        number: The ``errno``: EPIPE if the reader has gone.
    """

    def __init__(self, number: int, stream: str) -> None:
        self.number = number
        super().__init__(f"standard {stream} cannot be written: {os.strerror(number)}")


class _Descriptor(io.FileIO):
    """A descriptor whose writes fail with OutputError, and wait where it does not block.

    Attributes:
        discards: Whether what is written is dropped.
    """

    def __init__(self, number: int, stream: str) -> None:
        super().__init__(number, "wb", closefd=False)
        self._stream = stream
        self.discards: bool = False

    def write(self, data: Buffer, /) -> int:
        """Write some of the data."""
        while not self.discards:
            try:
                written = super().write(data)
            except OSError as error:
                raise OutputError(error.errno or errno.EIO, self._stream) from None
            if written is not None:  # None: a program that shares the terminal or pipe made it non-blocking
                return written
            select.select([], [self.fileno()], [])
        return memoryview(data).nbytes


@contextmanager
def own_streams() -> Iterator[None]:
    """Replace the standard streams for the time of a command; those without a descriptor stay.

    One that is closed is opened on the null device: the next file would take its descriptor, and be written to.
    """
    _open_closed_descriptors()
    before = sys.stdin, sys.stdout, sys.stderr
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # as long as the process
    sys.stdout, sys.stderr = _of(sys.stdout, 1, "output"), _of(sys.stderr, 2, "error")
    try:
        yield
    finally:
        for stream in (sys.stdout, sys.stderr):
            discard(stream)
        sys.stdin, sys.stdout, sys.stderr = before


def _open_closed_descriptors() -> None:
    """The system gives the lowest free descriptor to what is opened next: 0, 1 or 2, if one of them is closed."""
    while (opened := os.open(os.devnull, os.O_RDWR)) < 3:
        os.set_inheritable(opened, True)  # the system's own name for it
    os.close(opened)


def _of(stream: TextIO | None, number: int, name: str) -> TextIO:
    try:
        number = number if stream is None else stream.fileno()
    except (OSError, ValueError):  # a test's, in memory
        assert stream is not None
        return stream
    encoding = "utf-8" if stream is None else stream.encoding
    errors = "strict" if stream is None else stream.errors
    by_line = stream is not None and (name == "error" or stream.isatty())
    return io.TextIOWrapper(
        io.BufferedWriter(_Descriptor(number, name)),
        encoding,
        errors if errors in {"ignore", "replace", "xmlcharrefreplace"} else "backslashreplace",
        line_buffering=by_line,
    )


def discard(stream: TextIO) -> None:
    """Drop what is buffered and all that follows: the interpreter would try to write it once more when it ends."""
    raw = getattr(getattr(stream, "buffer", None), "raw", None)
    if isinstance(raw, _Descriptor):
        raw.discards = True


def takes_unicode(stream: TextIO) -> bool:
    """Whether a stream can show every character."""
    return (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")

"""What the terminal is: its width, whether it shows colours, whether it is one at all."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import MutableMapping
from typing import TextIO

from podrunner.cli.streams import takes_unicode

__all__ = ["drop_odd_sizes", "ellipsis_of", "is_terminal", "shows_colour", "table_width"]

_is_size = re.compile(r"[1-9][0-9]{0,4}").fullmatch


def drop_odd_sizes(environ: MutableMapping[str, str]) -> None:
    """Remove ``COLUMNS`` and ``LINES`` where they name no size of a terminal: the terminal's own counts then.

    rich reads ``²`` as a digit that is no number, and 0 as a terminal without room.
    """
    for name in ("COLUMNS", "LINES"):
        if name in environ and not _is_size(environ[name]):
            del environ[name]


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that moves its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def shows_colour(stream: TextIO) -> bool:
    """Whether colours are written to a stream: a terminal, unless ``NO_COLOR`` is set (https://no-color.org)."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def table_width(stream: TextIO) -> int | None:
    """Return the cells of a line; None: the reader is a file or a program, which gets whole lines.

    ``COLUMNS`` decides where it is set, as ``watch podrunner get`` sets it.
    """
    if stream.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(20, shutil.get_terminal_size().columns)
    return None


def ellipsis_of(stream: TextIO | None = None) -> str:
    """Return what stands for text that is cut off, in the stream's encoding."""
    return "…" if takes_unicode(stream or sys.stdout) else "~"

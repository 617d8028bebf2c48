"""What the terminal is: its width, whether it shows colours, whether it is one at all."""

from __future__ import annotations

import os
import shutil
import sys
from typing import TextIO

from podrunner.cli.streams import takes_unicode

__all__ = ["ellipsis_of", "is_terminal", "shows_colour", "table_width"]


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

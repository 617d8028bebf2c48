"""Lines of a container that are safe on a terminal. Pure.

A program may write anything. Colours pass; sequences that move the cursor, set the title, fill the clipboard or make
the terminal answer are shown instead of being obeyed. A file or a pipe gets the log as it was written.
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["Controls", "shown"]

_CONTROL: Final = re.compile(rb"(\x1b\[[0-9;:]*m)|[\x00-\x07\x0b-\x0c\x0e-\x1f\x7f]|\xc2[\x80-\x9f]")
"""SGR (ECMA-48, 8.3.117), which passes; and control characters of C0 and of C1 but for tab, line end, CR and backspace,
with which programs draw their progress within a line."""
_BEGUN: Final = re.compile(rb"(?:\x1b(?:\[[0-9;:]{0,64})?|\xc2)\Z")
"""What may be the beginning of a sequence."""


def shown(data: bytes) -> bytes:
    """Return whole lines with control characters in caret notation, ``^[]0;title^G``; those of C1 as escapes."""
    return _CONTROL.sub(_replaced, data)


def _replaced(found: re.Match[bytes]) -> bytes:
    if found[1]:
        return found[1]
    code = found[0][-1]
    return b"\\x%02x" % code if code >= 0x80 else b"^" + bytes([code ^ 0x40])


class Controls:
    """Replaces control characters in a log that comes in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return what can be written of all that has come; a sequence that may be incomplete waits for more."""
        whole = self._rest + data
        begun = _BEGUN.search(whole)
        cut = begun.start() if begun else len(whole)
        self._rest = whole[cut:]
        return shown(whole[:cut])

    def rest(self) -> bytes:
        """Return what still waits, at the log's end."""
        rest, self._rest = self._rest, b""
        return shown(rest)

"""Which ports ``podrunner port-forward`` connects: the words of the command line, read. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["LOOPBACK", "PortPair", "read_pairs"]

LOOPBACK = "127.0.0.1"
_MAX_PORT = 65_535


class PortPair(NamedTuple):
    """A port of this machine, and the port in the pod that it leads to. 0: a free port of this machine."""

    local: int
    remote: int

    def __str__(self) -> str:
        """Show where it leads, in kubectl's words."""
        return f"{LOOPBACK}:{self.local} -> {self.remote}"


def read_pairs(words: Iterable[str]) -> list[PortPair]:
    """Read ``LOCAL:REMOTE``, ``REMOTE`` (the same port here) and ``:REMOTE`` or ``0:REMOTE`` (a free one).

    Raises:
        UsageError: A word is none of these, or a port of this machine stands twice.
    """
    pairs = [_pair(word) for word in words]
    taken = [pair.local for pair in pairs if pair.local]
    if twice := {local for local in taken if taken.count(local) > 1}:
        raise UsageError(f"port {min(twice)} of this machine cannot lead to two ports")
    return pairs


def _pair(word: str) -> PortPair:
    before, colon, after = word.partition(":")
    remote = _port(after if colon else before, least=1)
    local = remote if not colon else _port(before or "0", least=0)
    if remote is None or local is None:
        raise UsageError(f"write ports as LOCAL:REMOTE, REMOTE or 0:REMOTE, not {word!r}")
    return PortPair(local, remote)


def _port(text: str, *, least: int) -> int | None:
    if not (text.isascii() and text.isdigit()):
        return None
    return number if least <= (number := int(text[:6])) <= _MAX_PORT else None

"""Which of a log's last lines to ask for, so that the cursor's line is among them. Pure.

``tailLines`` names a position in the node's file: the kubelet seeks it from the end of the file, before it compares any
time (``findTailLineStartIndex`` in k8s.io/cri-client pkg/logs/tail.go). ``sinceTime`` names a time, in whole seconds:
it passes over lines that were stamped after the node's clock was set back, and if a connection carries less than a
second of lines, it never comes to new ones, however often it is made.

How many lines there are behind the cursor's is not known: few, mostly. So the number is searched for: more, if the
cursor's line did not come; fewer, if the connection broke before. Only what comes behind the cursor's line is new, so
that a wrong number costs a request and no line.
"""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["TailSearch"]

_FIRST_LINES: Final = 256
_GROWTH: Final = 8
_MAX_LINES: Final = 4_000_000
"""More lines than a log file has: the kubelet rotates at 10 MiB by default, and containerd's prefix has 40 bytes."""
_MAX_TRIES: Final = 48
"""The search takes two steps for each power of two; more tries mean that the log grows faster than it is read."""
_EXHAUSTED_TRIES: Final = 8
"""What it counts if no number is left: a connection that does not carry two lines is not tried for long."""


class TailSearch(msgspec.Struct, frozen=True):
    """A search for the cursor's line by its position from the end.

    Attributes:
        lines: How many of the last lines to ask for.
        too_few: So many did not hold the cursor's line.
        too_many: With so many, the connection broke before the cursor's line; 0: unknown.
        step: By how much the number grows, if ``too_many`` is not known.
        tries: How many requests were made since a new line came.
        first: What the first line of the last answer that began behind the cursor's line is recognised by.
        stride: By how much the number grows in a search that trusts no time stamp; 0: it does not.
        is_guess: Whether the cursor's line is only supposed to be near the end of the log: as long as nothing speaks
            against it, the connection can follow the log. A search is made by answers that end.
    """

    lines: int = _FIRST_LINES
    too_few: int = 0
    too_many: int = 0
    step: int = (_GROWTH - 1) * _FIRST_LINES
    tries: int = 0
    first: bytes = b""
    stride: int = 0
    is_guess: bool = True

    @property
    def is_over(self) -> bool:
        """Whether no position is left that is to be tried: the whole log has to be asked for."""
        return self.lines > _MAX_LINES or self.tries > _MAX_TRIES

    def more(self, first: bytes = b"") -> TailSearch:
        """After an answer that began behind the cursor's line.

        Args:
            first: What its first line is recognised by. If it was the first one of an answer with fewer lines too, the
                file begins with it.
        """
        if first and first == self.first:
            return TailSearch(_MAX_LINES + 1)
        if self.too_many - self.lines > 1:
            return self._between(self.lines, self.too_many, first)
        return TailSearch(
            self.lines + self.step,
            too_few=self.lines,
            step=self.stride or _GROWTH * self.step,
            tries=self.tries + 1,
            first=first,
            stride=self.stride,
            is_guess=False,
        )

    def broke(self, *, is_before: bool, window: int) -> TailSearch:
        """After a connection that broke before it came to the cursor's line, or to a new one.

        Lines that are not remembered, and no later than the last ones, are old ones, mostly. But they are new ones if
        the node's clock was set back. If a search among fewer lines ends without success, another one goes on from the
        end of the log, in strides that cannot pass over the remembered lines.

        Args:
            is_before: Whether it is certain that the answer began before the cursor's line.
            window: How many lines before the cursor's are remembered.
        """
        if self.stride and not is_before:
            return self.more()
        if self.lines - self.too_few > 1:
            return self._between(self.too_few, self.lines)
        stride = max(window // 2, 1)
        tries = self.tries + _EXHAUSTED_TRIES
        return TailSearch(stride, step=stride, tries=tries, stride=stride, is_guess=False)

    def moved(self, received: int) -> TailSearch:
        """After a connection that came to the cursor's line, and on to the last of so many received lines."""
        if self.is_guess:
            return msgspec.structs.replace(self, tries=0)
        left = max(self.lines - received + 1, 1)
        return TailSearch(left, step=max(left // 8, 16), is_guess=False)

    def ended(self) -> TailSearch:
        """After an answer that held the cursor's line and came to the end of the log: so many lines can be carried."""
        lines = min(self.lines, _FIRST_LINES)
        return TailSearch(lines, step=(_GROWTH - 1) * lines, tries=self.tries)

    def _between(self, too_few: int, too_many: int, first: bytes = b"") -> TailSearch:
        return msgspec.structs.replace(
            self,
            lines=(too_few + too_many) // 2,
            too_few=too_few,
            too_many=too_many,
            tries=self.tries + 1,
            first=first,
            is_guess=False,
        )

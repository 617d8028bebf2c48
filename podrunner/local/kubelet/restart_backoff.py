"""Growing waits, as client-go's ``flowcontrol.Backoff`` grows them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["RestartBackoff"]


@dataclass(slots=True)
class RestartBackoff:
    """The wait before a thing that failed is tried again: none at first, then doubling.

    Attributes:
        base_s: The first wait.
        max_s: The longest one. After twice this without a failure the first wait counts again.
    """

    base_s: float
    max_s: float
    _wait_s: float = 0.0
    _since: float | None = None

    def failed(self, at: float) -> float:
        """Record a failure at a time; return the wait that follows it."""
        if self._since is None or at - self._since > 2 * self.max_s:
            self._wait_s = 0.0
            due = 0.0
        else:
            due = self._wait_s
        self._wait_s = min(self._wait_s * 2 or self.base_s, self.max_s)
        self._since = at + due
        return due

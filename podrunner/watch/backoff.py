"""How long the reflector waits after a failure. Pure; the random source is handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from random import Random

    from podrunner.config.policies import WatchSettings

__all__ = ["WatchBackoff"]

_DOUBLINGS = 32
"""More doublings than any setting needs; without a bound a week of failures would overflow a float."""


class WatchBackoff:
    """Waits that double from failure to failure, jittered, and start short again only after a healthy time.

    Half of each wait is fixed and half random: a hundred runners do not come back in the same instant, and none comes
    back at once.
    """

    def __init__(self, settings: WatchSettings, random: Random) -> None:
        self._settings = settings
        self._random = random
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures since the last healthy time."""
        return self._failures

    def recovered(self) -> None:
        """Start short again."""
        self._failures = 0

    def wait_s(self, *, healthy_s: float = 0.0, asked_s: float | None = None) -> float:
        """Count a failure and return the seconds to wait.

        Args:
            healthy_s: How long all was well before it.
            asked_s: What the server asked for (``Retry-After``); never undercut.
        """
        settings = self._settings
        if healthy_s >= settings.backoff_reset_s:
            self.recovered()
        full_s = min(
            settings.backoff_max_s, settings.backoff_initial_s * 2.0 ** min(self._failures, _DOUBLINGS)
        )
        self._failures += 1
        return max(full_s * (0.5 + 0.5 * self._random.random()), asked_s or 0.0)

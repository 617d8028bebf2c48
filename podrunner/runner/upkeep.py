"""What a runner does from time to time beside its pods: adopt what others left, sweep what is kept for too long.

How it is done is the business of ``podrunner.ownership``.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import anyio

from podrunner.errors import OwnershipError, PodrunnerError, RunnerClosedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.ownership import RetainedPods
    from podrunner.runner.background import Background

__all__ = ["Upkeep"]

_logger = logging.getLogger(__name__)

# Share of the period that is random, so that runners that were started together do not list together.
_JITTER: Final = 0.1


class Upkeep:
    """The recurring jobs of one runner.

    Args:
        config: Says which there are, and how often.
        namespaces: The namespaces that the runner watches; None: all.
        adopt: Adopts.
        kept: Sweeps.
        random: Spreads the runners.
    """

    def __init__(
        self,
        config: RunnerConfig,
        namespaces: Sequence[str | None],
        *,
        adopt: Callable[[], Awaitable[Any]],
        retained: RetainedPods,
        random: Random,
    ) -> None:
        self._config = config
        self._namespaces = namespaces
        self._adopt = adopt
        self._retained = retained
        self._random = random

    def start(self, group: Background) -> None:
        """Starts the jobs that the configuration wants."""
        config = self._config
        if config.adopt_every_s is not None:
            group.start_soon(self._repeat, self._adopt, config.adopt_every_s, "adoption", name="adoption")
        if config.kept_pods_max_age_s is not None or config.kept_pods_max_count is not None:
            every_s = config.kept_pods_sweep_every_s
            group.start_soon(self._repeat, self._sweep, every_s, "sweep of kept pods", name="sweep")

    async def _sweep(self) -> None:
        config = self._config
        swept = await self._retained.collect_garbage(
            self._namespaces, max_age_s=config.kept_pods_max_age_s, max_count=config.kept_pods_max_count
        )
        if swept:
            _logger.info("%d kept pods were swept", swept)

    async def _repeat(self, job: Callable[[], Awaitable[Any]], every_s: float, what: str) -> None:
        """Does the job again and again, the first time after one period, until the runner may not act any more."""
        while True:
            await anyio.sleep(every_s * (1 + _JITTER * (2 * self._random.random() - 1)))
            try:
                await job()
            except (OwnershipError, RunnerClosedError) as error:
                _logger.info("no more %s: %s", what, error)
                return
            except PodrunnerError as error:
                _logger.warning("%s failed, to be tried again: %s", what, error)

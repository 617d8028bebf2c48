"""What a runner does from time to time beside its pods: adoption, garbage collection, reporting stale watches.

How pods are adopted and which retained pods are garbage is decided in ``podrunner.ownership``.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

import anyio

from podrunner.errors import OwnershipError, PodrunnerError, RunnerClosedError
from podrunner.ownership import CLOCK_SKEW_S

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Sequence
    from random import Random

    from podrunner.config import RunnerConfig
    from podrunner.ownership import Leftovers, RetainedPods
    from podrunner.runner.tasks import SupervisedTasks
    from podrunner.watch import WatchHealth

__all__ = ["PeriodicTasks"]

_logger = logging.getLogger(__name__)

# Share of the period that is random, so that runners that were started together do not list together.
_JITTER: Final = 0.1
# How often the watches' health is checked, at most and at least; in between, by ``watch.stale_after_s``: two checks are
# soon after it.
_STALENESS_S: Final = (0.1, 1.0)
_CHECKS_PER_STALENESS: Final = 8
# A connection that was silent for too long counts as interrupted since its last sign, for the moment until it is opened
# anew. So only what is stale at two checks in a row is reported.
_STALE_CHECKS: Final = 2
# A killed runner's Lease runs out, and as much time again passes before it is removed.
_LEASES_TO_BE_OLD: Final = 2


class PeriodicTasks:
    """The recurring jobs of one runner.

    Args:
        config: Says which there are, and how often.
        namespaces: The namespaces that the runner watches; None: all.
        adopt: Adopts.
        retained: Collects retained pods that are garbage.
        leftovers: Collects what killed runners left behind.
        watches: Returns the health of all watches.
        report_staleness: Called once when a watch is stale, with the reason in words, and once with None when it no
            longer is.
        note_time: Called about once a second: it notices if the process was stopped.
        random: Spreads the runners.
    """

    def __init__(  # noqa: PLR0913  # the engine wires it
        self,
        config: RunnerConfig,
        namespaces: Sequence[str | None],
        *,
        adopt: Callable[[], Awaitable[Any]],
        retained: RetainedPods,
        leftovers: Leftovers,
        watches: Callable[[], Iterable[WatchHealth]],
        report_staleness: Callable[[WatchHealth, str | None], None],
        note_time: Callable[[], None],
        random: Random,
    ) -> None:
        self._config = config
        self._namespaces = namespaces
        self._adopt = adopt
        self._retained = retained
        self._leftovers = leftovers
        self._watches = watches
        self._report_staleness = report_staleness
        self._note_time = note_time
        self._random = random

    def start(self, tasks: SupervisedTasks) -> None:
        """Starts the jobs that the configuration wants."""
        config = self._config
        tasks.start_soon(self._check_staleness, name="staleness", repeats=True)
        tasks.start_soon(self._collect_leftovers, name="leftovers", repeats=True)
        if config.adopt_every_s is not None:
            tasks.start_soon(
                self._repeat, self._adopt, config.adopt_every_s, "adoption", name="adoption", repeats=True
            )
        if config.kept_pods_max_age_s is not None or config.kept_pods_max_count is not None:
            every_s = config.kept_pods_sweep_every_s
            what = "sweep of kept pods"  # as the settings call it
            tasks.start_soon(self._repeat, self._collect_garbage, every_s, what, name=what, repeats=True)

    async def _check_staleness(self) -> None:
        """Checks the watches about once a second, for ever."""
        checks: Counter[str | None] = Counter()
        shortest_s, longest_s = _STALENESS_S
        every_s = min(longest_s, max(shortest_s, self._config.watch.stale_after_s / _CHECKS_PER_STALENESS))
        while True:
            await anyio.sleep(every_s)
            self._note_time()
            for watch in self._watches():
                before = checks[watch.namespace]
                checks[watch.namespace] = before + 1 if watch.stale else 0
                if before >= _STALE_CHECKS and not watch.stale:
                    self._report_staleness(watch, None)
                elif before + 1 == _STALE_CHECKS and watch.stale:
                    why = f"the watch has been interrupted for {watch.interrupted_s:.0f} s: {watch.error}"
                    self._report_staleness(watch, why)

    async def _collect_garbage(self) -> None:
        config = self._config
        deleted = await self._retained.collect_garbage(
            self._namespaces, max_age_s=config.kept_pods_max_age_s, max_count=config.kept_pods_max_count
        )
        if deleted:
            _logger.info("%d kept pods were swept", deleted)

    async def _collect_leftovers(self) -> None:
        """Looks at once, and then as often as a Lease may have become old: a runner may be open for moments only."""
        every_s = _LEASES_TO_BE_OLD * self._config.lease_duration_s + CLOCK_SKEW_S
        await self._once(self._leftovers.collect, "removal of leftovers")
        await self._repeat(self._leftovers.collect, every_s, "removal of leftovers")

    async def _repeat(self, job: Callable[[], Awaitable[Any]], every_s: float, what: str) -> None:
        """Does the job again and again, the first time after one period, until the runner may not act any more."""
        while True:
            await anyio.sleep(every_s * (1 + _JITTER * (2 * self._random.random() - 1)))
            if not await self._once(job, what):
                return

    async def _once(self, job: Callable[[], Awaitable[Any]], what: str) -> bool:
        """Does the job; False: the runner may not act any more."""
        try:
            await job()
        except (OwnershipError, RunnerClosedError) as error:
            _logger.info("no more %s: %s", what, error)
            return False
        except PodrunnerError as error:
            _logger.warning("%s failed, to be tried again: %s", what, error)
        return True

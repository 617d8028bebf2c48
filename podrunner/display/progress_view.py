"""``podrunner.progress``: counts of a runner's pods, and a display that follows them."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol, Self, TypeVar

import anyio

from podrunner.blocking import PodRunner, runner_behind
from podrunner.errors import UsageError
from podrunner.runner.progress import close_tally, open_tally, start_beside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from types import TracebackType

    from podrunner.blocking.bridge import Bridge
    from podrunner.runner import AsyncPodRunner
    from podrunner.runner.progress import ProgressCounts, Tally

__all__ = ["Progress", "ProgressDisplay", "progress"]

T = TypeVar("T")

_logger = logging.getLogger(__name__)

# Between two events nothing but the time goes on.
_AT_LEAST_EVERY_S: Final = 1.0
# What showing may take of the event loop's time, however slow the display and however many pods there are.
_SHARE_OF_THE_LOOP: Final = 0.05


class ProgressDisplay(Protocol):
    """What shows the counts. Its methods are called on the runner's event loop, and must not block it."""

    def show(self, counts: ProgressCounts) -> None:
        """Shows the counts as they are now."""
        ...

    def close(self) -> None:
        """Nothing more will come."""
        ...


def progress(runner: AsyncPodRunner | PodRunner, *, total: int | None = None) -> Progress:
    """How far a runner's work has come: done, running, waiting and for what, failed, time left.

    It counts from the events and records that the runner has in memory, and delivers no outcome.

    Args:
        runner: The runner, which is open.
        total: How many pods or runs there will be; None: as many as the runner knows of at the time.

    Raises:
        RunnerClosedError: The runner is not open.
        CallFromEventLoopError: The blocking face was called from a running event loop.
    """
    asynchronous, bridge = runner_behind(runner) if isinstance(runner, PodRunner) else (runner, None)
    call = partial(open_tally, asynchronous, total=total)
    return Progress(asynchronous, call() if bridge is None else bridge.run(call), bridge)


class Progress:
    """The progress of a runner, counted from now on: made by :func:`progress`.

    For both faces: nothing here waits. Use it as a context manager, or close it, to end the counting earlier than the
    runner does.
    """

    def __init__(self, runner: AsyncPodRunner, tally: Tally, bridge: Bridge | None) -> None:
        self._runner = runner
        self._tally = tally
        self._bridge = bridge

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<progress {self.counts()}>"

    def counts(self) -> ProgressCounts:
        """The counts as they are now. ``str`` of them is one line."""
        return self._call(self._tally.counts)

    def close(self) -> None:
        """Ends the counting; the counts stay as they are."""
        self._call(partial(close_tally, self._runner, self._tally))

    @contextmanager
    def show(self, display: ProgressDisplay, *, every_s: float = 0.2) -> Iterator[Progress]:
        """Shows the counts while its block runs: ``with progress.show(display):``, and at its end once more.

        A display that fails is given up, and logged; nothing else comes of it.

        Args:
            display: What shows them; it is closed at the end.
            every_s: Seconds between two times at least.
        """
        follower = _Follower(self._tally, display, every_s=every_s)
        try:
            self._call(partial(start_beside, self._runner, follower.run))
            yield self
        finally:
            self._call(follower.finish)

    def tqdm(self, **options: Any) -> AbstractContextManager[Progress]:
        """Shows the counts as a bar of tqdm while its block runs: ``with progress.tqdm():``. Needs podrunner[progress].

        Args:
            **options: For the bar, as of ``tqdm.auto.tqdm``: ``desc``, ``file``, ``disable``, …

        Raises:
            UsageError: tqdm is not installed.
        """
        with _explained("tqdm"):
            from podrunner.display.tqdm_bar import TqdmBar
        return self.show(TqdmBar(**options))

    def rich(self, **options: Any) -> AbstractContextManager[Progress]:
        """Shows the counts as a bar of rich while its block runs: ``with progress.rich():``. Needs podrunner[progress].

        Args:
            **options: As of ``rich.progress.Progress``: ``console``, ``transient``, …

        Raises:
            UsageError: rich is not installed.
        """
        with _explained("rich"):
            from podrunner.display.rich_bar import RichBar
        return self.show(RichBar(**options))

    def _call(self, function: Callable[[], T]) -> T:
        return function() if self._bridge is None else self._bridge.run_if_open(function)


@contextmanager
def _explained(package: str) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise UsageError(f"a bar of {package} needs it: pip install 'podrunner[progress]'") from error


class _Follower:
    """Shows the counts again whenever an event came, at its own pace.

    Args:
        tally: The counts.
        display: What shows them.
        every_s: Seconds between two times at least.
    """

    def __init__(self, tally: Tally, display: ProgressDisplay, *, every_s: float) -> None:
        self._tally = tally
        self._display = display
        self._every_s = every_s
        self._is_over = False
        self._scope: anyio.CancelScope | None = None

    async def run(self) -> None:
        """Shows them until it is finished, or the display fails."""
        with anyio.CancelScope() as self._scope:
            while not self._is_over:
                began_s = anyio.current_time()
                self._show()
                took_s = anyio.current_time() - began_s
                with anyio.move_on_after(_AT_LEAST_EVERY_S):
                    await self._tally.changed()
                await anyio.sleep(max(self._every_s, took_s / _SHARE_OF_THE_LOOP))

    def finish(self) -> None:
        """Shows the last counts, and closes the display."""
        if self._scope is not None:
            self._scope.cancel()
        if not self._is_over:
            self._show()
        self._is_over = True
        self._try(self._display.close)

    def _show(self) -> None:
        if not self._try(partial(self._display.show, self._tally.counts())):
            self._is_over = True

    def _try(self, act: Callable[[], None]) -> bool:
        try:
            act()
        except Exception:  # of the display, which the runner must not suffer from
            _logger.exception("the display of the progress failed, and is given up")
            return False
        return True

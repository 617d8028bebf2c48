"""The progress as a bar of rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from podrunner.runner.progress import ProgressCounts

__all__ = ["RichBar"]


class RichBar:
    """A bar of rich. Pods that are over are its length; what runs, waits and failed stands behind it.

    Args:
        **options: As of ``rich.progress.Progress``.
    """

    def __init__(self, **options: Any) -> None:
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._progress = Progress(*columns, **options)
        self._task = self._progress.add_task("", total=None)
        self._progress.start()

    def show(self, counts: ProgressCounts) -> None:
        """Shows the counts."""
        self._progress.update(
            self._task, total=counts.total, completed=counts.done, description=str(counts).partition(", ")[2]
        )

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._progress.stop()

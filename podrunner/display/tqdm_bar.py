"""The progress as a bar of tqdm: in a terminal, or as a widget in a notebook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tqdm.auto import tqdm

if TYPE_CHECKING:
    from podrunner.runner.progress import ProgressCounts

__all__ = ["TqdmBar"]


class TqdmBar:
    """A bar of tqdm. Pods that are over are its length; what runs, waits and failed stands behind it.

    Args:
        **options: As of ``tqdm.auto.tqdm``.
    """

    def __init__(self, **options: Any) -> None:
        self._bar = tqdm(**{"unit": "pod", **options})

    def show(self, counts: ProgressCounts) -> None:
        """Shows the counts."""
        self._bar.total, self._bar.n = counts.total, counts.done
        self._bar.set_postfix_str(counts.state(), refresh=False)
        self._bar.refresh()

    def close(self) -> None:
        """Leaves the bar as it is."""
        self._bar.close()

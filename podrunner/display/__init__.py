"""What a runner does, shown to people: the counts of its progress, and bars that show them.

What belongs here: a thin layer over :mod:`podrunner.runner.progress` for both faces, and adapters of tqdm and rich,
which are imported when they are used. Nothing here delivers an outcome or sends a request.
"""

from __future__ import annotations

from podrunner.display.progress_view import Progress, ProgressDisplay, progress
from podrunner.runner.progress import ProgressCounts

__all__ = ["Progress", "ProgressCounts", "ProgressDisplay", "progress"]

"""The lives of pods as a Gantt chart: records of their stages, a journal of them, a layout, and renderers.

What belongs here: plain records (``records``), their file (``journal_file``), the pure layout (``layout``), and thin
renderers: HTML, SVG, PNG and text. What a stage or a category means does not: that is ``podrunner.outcome``. Nothing
here sends a request or delivers an outcome.
"""

from __future__ import annotations

from podrunner.gantt.chart import TimelineChart, timeline
from podrunner.gantt.journal_view import RunJournal, journal

__all__ = ["RunJournal", "TimelineChart", "journal", "timeline"]

"""Saying why a task has failed, in each place where a user looks for it.

What belongs here: the scheduler's log and the task's event log. When a dispatch has failed is decided in
``dispatches.py``.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from airflow.models import Log
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner.integrations.airflow.interface import BaseExecutor

if TYPE_CHECKING:
    from collections.abc import Hashable

    from podrunner import Outcome
    from podrunner.errors import PodrunnerError

__all__ = ["ExplainingExecutor"]

_RECENT_ROWS = 1000


class ExplainingExecutor(BaseExecutor):
    """An executor that says why a task has failed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._recent_rows: deque[Log] = deque(maxlen=_RECENT_ROWS)

    def log_task_event(self, *, event: str, extra: str, ti_key: Hashable) -> None:
        """Add a row to the task instance's event log."""
        if not isinstance(ti_key, TaskInstanceKey):
            return
        # The scheduler hands a generator to SQLAlchemy, which knows its rows by weak references only.
        row = Log(event=event, task_instance=ti_key, extra=extra)
        self._recent_rows.append(row)
        self._task_event_logs.append(row)

    def explain(self, key: Hashable, cause: Outcome | PodrunnerError) -> None:
        """Report a failure, with its cause in the scheduler's log and in the task's event log."""
        self.log.warning("%s: %s", key, cause)
        self.log_task_event(event="pod failed", extra=str(cause), ti_key=key)
        self.fail(key, info=str(cause))

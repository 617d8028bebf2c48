"""Saying why a task has failed, in each place where a user looks for it.

What belongs here: the scheduler's log and the task's event log. When a dispatch has failed is decided in
``dispatches.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.models import Log
from airflow.models.taskinstancekey import TaskInstanceKey

from podrunner.integrations.airflow.interface import BaseExecutor
from podrunner.integrations.airflow.sentences import explained, storable

if TYPE_CHECKING:
    from collections.abc import Hashable

    from podrunner import Outcome
    from podrunner.errors import PodrunnerError

__all__ = ["ExplainingExecutor"]


class ExplainingExecutor(BaseExecutor):
    """An executor that says why a task has failed."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._rows: list[Log] = []
        self._older_rows: list[Log] = []

    def log_task_event(self, *, event: str, extra: str, ti_key: Hashable) -> None:
        """Add a row to the task instance's event log."""
        if not isinstance(ti_key, TaskInstanceKey):
            return
        # The scheduler hands a generator to SQLAlchemy, which knows its rows by weak references only.
        row = Log(event=event, task_instance=ti_key, extra=storable(extra))
        self._rows.append(row)
        self._task_event_logs.append(row)

    def forget_stored_rows(self) -> None:
        """Forget the rows of the last but one heartbeat, which are stored; called once in each."""
        self._older_rows, self._rows = self._rows, []

    def note_killed_child(self, key: Hashable, outcome: Outcome) -> None:
        """Say that a pod that ended well lacked memory.

        Airflow runs the task in a child of the container's process. Where the kernel kills only the child, the task has
        failed, and its pod has not.
        """
        if outcome.succeeded and outcome.reason == "OOMKilled":
            self.log.warning("%s: %s", key, outcome.message)
            self.log_task_event(event="out of memory", extra=outcome.message, ti_key=key)

    def explain(self, key: Hashable, cause: Outcome | PodrunnerError | str) -> None:
        """Report a failure, with its cause in the scheduler's log and in the task's event log."""
        self.log.warning("%s: %s", key, explained(cause))
        self.log_task_event(event="pod failed", extra=explained(cause), ti_key=key)
        self.fail(key, info=storable(str(cause)))

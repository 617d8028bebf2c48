"""The part of Airflow's base executor that is used here, with types.

Airflow is installed only where it runs: type checkers read the class below, and Airflow's own is taken at run time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["BaseExecutor"]

if TYPE_CHECKING:
    import logging
    from collections import deque
    from collections.abc import Hashable

    class BaseExecutor:
        """``airflow.executors.base_executor.BaseExecutor`` of Airflow 3.

        Attributes:
            conf: The configuration, a team's where there are teams.
            job_id: The scheduler job; set before ``start``.
            team_name: The team; None: there are none.
            log: The logger.
            queued_tasks: Task instances that wait for ``_process_workloads``, by their keys.
            queued_callbacks: Callbacks that do.
            queued_connection_tests: Connection tests that do.
            running: Keys of what is being executed.
            parallelism: How many of them there may be.
        """

        conf: Any
        job_id: Any
        team_name: str | None
        log: logging.Logger
        queued_tasks: dict[Any, Any]
        queued_callbacks: dict[Any, Any]
        queued_connection_tests: dict[Any, Any]
        running: set[Any]
        parallelism: int
        _task_event_logs: deque[Any]

        def __init__(self, *args: Any, **kwargs: Any) -> None: ...

        def fail(self, key: Hashable, info: Any = None) -> None:
            """Report a failure."""

        def queue_workload(self, workload: Any, session: Any) -> None:
            """Add a workload to the queue of its kind."""

        def success(self, key: Hashable, info: Any = None) -> None:
            """Report a success."""

        def running_state(self, key: Hashable, info: Any = None) -> None:
            """Report that a callback runs."""

        def fail_connection_test(self, key: Hashable) -> None:
            """Forget a connection test that has taken too long."""

else:
    from airflow.executors.base_executor import BaseExecutor

"""As much of Airflow 3 as the executor imports, so that it is tested where Airflow is not installed.

What belongs here: stand-ins with Airflow's names and behaviour. What the executor does with them stands in the tests.
"""

from __future__ import annotations

import importlib
import logging
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple

__all__ = [
    "CallbackKey",
    "ConnectionTestKey",
    "ExecuteTask",
    "TaskInstance",
    "TaskInstanceKey",
    "executor_module",
]

_OURS = "podrunner.integrations.airflow"


class TaskInstanceKey(NamedTuple):
    """Airflow's."""

    dag_id: str
    task_id: str
    run_id: str
    try_number: int = 1
    map_index: int = -1

    @property
    def primary(self) -> tuple[str, str, str, int]:
        return self.dag_id, self.task_id, self.run_id, self.map_index


class TaskInstance:
    """A task instance as the scheduler hands it over, in both of its forms."""

    def __init__(self, key: TaskInstanceKey, dispatch: str | None) -> None:
        self.key = key
        self.dag_id, self.task_id, self.run_id, self.try_number, self.map_index = key
        self.external_executor_id = dispatch
        self.priority_weight = 1
        self.queue = "default"
        self.executor_config: dict[str, Any] = {}


@dataclass(frozen=True)
class CallbackKey:
    """Airflow's."""

    id: str

    def __str__(self) -> str:
        return self.id


@dataclass(frozen=True)
class ConnectionTestKey:
    """Airflow's."""

    id: str

    def __str__(self) -> str:
        return self.id


@dataclass
class ExecuteTask:
    """Airflow's workload of a task; ``text``: its JSON."""

    ti: Any
    text: str = "{}"
    token: str = "t"

    @property
    def key(self) -> TaskInstanceKey:
        key: TaskInstanceKey = self.ti.key
        return key

    def model_dump_json(self) -> str:
        return self.text


@dataclass
class Log:
    """Airflow's row of a task's event log."""

    event: str
    task_instance: Any
    extra: str


class Conf:
    """Airflow's configuration."""

    team_name: str | None = None

    def __init__(self) -> None:
        self.sections: dict[str, dict[str, str]] = {
            "database": {"sql_alchemy_conn": "sqlite:////nowhere/airflow.db"},
            "logging": {"base_log_folder": "/nowhere"},
            "scheduler": {"orphaned_tasks_check_interval": "300.0"},
        }

    def get(self, section: str, option: str, fallback: Any = None) -> Any:
        return self.sections.get(section, {}).get(option, fallback)

    def getint(self, section: str, option: str) -> int:
        return int(self.get(section, option, 30))

    def as_dict(self, *, display_sensitive: bool) -> dict[str, dict[str, str]]:
        assert not display_sensitive
        return self.sections


@dataclass
class BaseExecutor:
    """Airflow's base, as far as the executor uses it."""

    job_id: Any = "7"
    team_name: str | None = None
    conf: Any = field(default_factory=Conf)
    queued_tasks: dict[Any, Any] = field(default_factory=dict)
    queued_callbacks: dict[Any, Any] = field(default_factory=dict)
    queued_connection_tests: dict[Any, Any] = field(default_factory=dict)
    running: set[Any] = field(default_factory=set)
    event_buffer: dict[Any, Any] = field(default_factory=dict)
    _task_event_logs: deque[Any] = field(default_factory=deque)

    log = logging.getLogger("airflow")

    def fail(self, key: Any, info: Any = None) -> None:
        self._change(key, "failed", info)

    def success(self, key: Any, info: Any = None) -> None:
        self._change(key, "success", info)

    def running_state(self, key: Any, info: Any = None) -> None:
        self.event_buffer[key] = "running", info

    def queue_workload(self, workload: Any, session: Any) -> None:
        del session
        queue = self.queued_tasks if isinstance(workload, ExecuteTask) else self.queued_callbacks
        queue[workload.key] = workload

    def fail_connection_test(self, key: Any) -> None:
        self.queued_connection_tests.pop(key, None)
        self.running.discard(key)

    def _change(self, key: Any, state: str, info: Any) -> None:
        self.running.discard(key)
        self.event_buffer[key] = state, info


def _stand_ins() -> dict[str, dict[str, Any]]:
    hooks = SimpleNamespace(pod_mutation_hook=SimpleNamespace(get_hookimpls=list))
    settings = ModuleType("airflow.settings")
    vars(settings)["get_policy_plugin_manager"] = lambda: SimpleNamespace(hook=hooks)
    nothing = object()
    return {
        "airflow": {"__version__": "3.3.2", "settings": settings},
        "airflow.configuration": {"AIRFLOW_HOME": "/nowhere", "conf": Conf()},
        "airflow.executors": {},
        "airflow.executors.base_executor": {"BaseExecutor": BaseExecutor},
        "airflow.executors.workloads": {},
        "airflow.executors.workloads.task": {"ExecuteTask": ExecuteTask},
        "airflow.jobs": {},
        "airflow.jobs.job": {"Job": nothing},
        "airflow.models": {"Log": Log},
        "airflow.models.callback": {"CallbackKey": CallbackKey},
        "airflow.models.connection_test": {"ConnectionTestKey": ConnectionTestKey},
        "airflow.models.taskinstance": {"TaskInstance": TaskInstance},
        "airflow.models.taskinstancekey": {"TaskInstanceKey": TaskInstanceKey},
        "airflow.settings": vars(settings),
        "airflow.utils": {},
        "airflow.utils.helpers": {
            "log_filename_template_renderer": lambda: (
                lambda *, ti, try_number: f"{ti.task_id}/{try_number}.log"
            )
        },
        "airflow.utils.session": {"create_session": nothing},
        "airflow.utils.state": {"JobState": nothing, "State": nothing, "TaskInstanceState": nothing},
        "sqlalchemy": {"or_": nothing, "select": nothing},
    }


@contextmanager
def executor_module() -> Iterator[Any]:
    """Import the module ``executor`` on the stand-ins; forget all of it afterwards."""
    before = dict(sys.modules)
    for name, content in _stand_ins().items():
        module = ModuleType(name)
        vars(module).update({given: value for given, value in content.items() if given != "__name__"})
        sys.modules[name] = module
    try:
        yield importlib.import_module(f"{_OURS}.executor")
    finally:
        for name in [
            name
            for name in sys.modules
            if name not in before and name.startswith(("airflow", "sqlalchemy", _OURS))
        ]:
            del sys.modules[name]
        sys.modules.update({name: module for name, module in before.items() if name in _stand_ins()})

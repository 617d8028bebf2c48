"""A real Airflow on this machine for the tests: its processes, its REST API, and a LocalCluster or another cluster.

What belongs here: starting, killing and asking. What is expected stands in the tests.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Installation", "free_port"]

HERE = Path(__file__).parent
_SOON_S = 600
"""A limit for what does not come, on a busy machine too; a quiet one needs a tenth of it at most."""
_REQUEST_TIMEOUT_S = 120  # the first call of the execution API can block the API server for half a minute
_LOCKED_S = 60  # another process that has the database may be off the CPU; SQLite's 5 s end a scheduler then
_PARSED_WITHIN_S = 300  # importing Airflow and the models of Kubernetes takes long on a busy machine
_END = {"success", "failed"}
_PAGE = 100
"""As many things as Airflow gives in one answer at most (``[api] maximum_page_limit``)."""


def free_port() -> int:
    """Return a port of this machine that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Installation:
    """One Airflow: a folder, a database, and processes.

    Attributes:
        home: ``AIRFLOW_HOME``, a fresh folder.
        executor: The executor's import path.
        settings: Further variables of all processes.
        port: The API server's.
        log_ports: Those of the log servers of workers and triggerers.
    """

    home: Path
    executor: str = "podrunner.integrations.airflow.LocalPodRunnerExecutor"
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    log_ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _token: str | None = None

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self._secret = secrets.token_hex(64)

    # --- processes -----------------------------------------------------------------------------------------------

    @property
    def environ(self) -> dict[str, str]:
        """The variables of each process."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AIRFLOW", "PODRUNNER_", "KUBE", "COVERAGE"))
        }
        url = f"http://127.0.0.1:{self.port}"
        return {
            **kept,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{kept.get('PATH', '')}",
            "AIRFLOW_HOME": str(self.home),
            "AIRFLOW__CORE__EXECUTOR": self.executor,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(HERE / "dags"),
            "AIRFLOW__CORE__AUTH_MANAGER": (
                "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager"
            ),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{url}/execution/",
            "AIRFLOW__CORE__PARALLELISM": "256",
            "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "256",
            "AIRFLOW__API__BASE_URL": url,
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": self._secret[:32],
            "AIRFLOW__API_AUTH__JWT_SECRET": self._secret,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.home}/airflow.db?timeout={_LOCKED_S}",
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "False",
            "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": str(_PARSED_WITHIN_S),
            "AIRFLOW__DAG_PROCESSOR__DAG_FILE_PROCESSOR_TIMEOUT": str(_PARSED_WITHIN_S),
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": str(_PARSED_WITHIN_S),
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": str(_REQUEST_TIMEOUT_S),
            "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(self.log_ports[0]),
            "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(self.log_ports[1]),
            **self.settings,
        }

    @property
    def worker_environ(self) -> dict[str, str]:
        """The variables of a worker: without the connection of the database and without the secrets."""
        return {
            name: value
            for name, value in self.environ.items()
            if name.startswith("AIRFLOW") and not any(word in name for word in ("SECRET", "SQL_ALCHEMY"))
        }

    def migrate(self) -> None:
        """Make the database."""
        self.command("db", "migrate")

    def start(self, *parts: str) -> None:
        """Start processes: ``api-server``, ``scheduler``, ``dag-processor``, ``triggerer``."""
        for part in parts:
            with (self.home / f"{part}.out").open("ab") as output:
                self._processes[part] = subprocess.Popen(
                    [sys.executable, "-m", "airflow", part.partition("#")[0]],
                    env=self.environ,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )

    def pid(self, part: str) -> int:
        """Return a process's id."""
        return self._processes[part].pid

    def kill(self, part: str) -> None:
        """Kill a process as a power failure would: it and all of its session, at once."""
        self._signal(self._processes.pop(part), signal.SIGKILL)

    def wait_killed(self, part: str, *, timeout_s: float = _SOON_S) -> None:
        """Wait until a process has killed itself."""
        assert self._processes.pop(part).wait(timeout_s) == -signal.SIGKILL

    def pause(self, part: str) -> None:
        """Stop a process as a suspended machine would."""
        self._signal(self._processes[part], signal.SIGSTOP)

    def go_on(self, part: str) -> None:
        """Let it go on."""
        self._signal(self._processes[part], signal.SIGCONT)

    def stop(self) -> None:
        """Stop all processes, and kill those that do not end within half a minute."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + 30
        for process in self._processes.values():
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(max(0.1, deadline - time.monotonic()))
            self._signal(process, signal.SIGKILL)
        self._processes = {}

    @staticmethod
    def _signal(process: subprocess.Popen[bytes], number: int) -> None:
        try:
            os.killpg(process.pid, number)
        except ProcessLookupError:
            return
        finally:
            if number == signal.SIGKILL:
                process.wait(30)

    def command(self, *arguments: str, **environ: str) -> str:
        """Run one command of Airflow's, with further variables; return what it has printed."""
        done = subprocess.run(
            [sys.executable, "-m", "airflow", *arguments],
            env={**self.environ, **environ},
            capture_output=True,
            text=True,
            timeout=2 * _SOON_S,
            check=False,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return done.stdout

    def output(self, part: str) -> str:
        """Return what a process has printed so far."""
        return (self.home / f"{part}.out").read_text(encoding="utf-8", errors="replace")

    # --- the REST API --------------------------------------------------------------------------------------------

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send one request and return its answer; of a header's name each ``_`` is a ``-``."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json",
                **{name.replace("_", "-"): value for name, value in headers.items()},
            },
        )
        if self._token is not None:
            request.add_header("Authorization", f"Bearer {self._token}")
        with urllib.request.urlopen(request, timeout=_REQUEST_TIMEOUT_S) as answer:
            return json.loads(answer.read())

    def wait_ready(self, *dags: str, timeout_s: float = _SOON_S) -> None:
        """Wait until the API server answers and knows the DAGs; unpause them."""
        self.until(self._logged_in, timeout_s, "the API server answers")
        for dag in dags:
            self.until(lambda dag=dag: self._is_known(dag), timeout_s, f"{dag} is known")
            self.call("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False})

    def _logged_in(self) -> bool:
        try:
            self._token = self.call("GET", "/auth/token")["access_token"]
        except (OSError, ValueError):
            return False
        return True

    def _is_known(self, dag: str) -> bool:
        try:
            self.call("GET", f"/api/v2/dags/{dag}")
        except urllib.error.HTTPError:
            return False
        return True

    def wait_until(self, condition: Callable[[], Any], what: str, *, timeout_s: float = _SOON_S) -> None:
        """Wait until a condition holds while all processes run."""
        self.until(condition, timeout_s, what)

    def trigger(self, dag: str, conf: dict[str, Any] | None = None) -> str:
        """Trigger a DAG; return the run's id."""
        body = {"logical_date": None, "conf": conf or {}}
        return str(self.call("POST", f"/api/v2/dags/{dag}/dagRuns", body)["dag_run_id"])

    def wait_run(self, dag: str, run: str, *, timeout_s: float = 2 * _SOON_S) -> str:
        """Wait until a run has ended; return its state."""
        state = ""

        def over() -> bool:
            nonlocal state
            state = self.call("GET", f"/api/v2/dags/{dag}/dagRuns/{run}")["state"]
            return state in _END

        self.until(over, timeout_s, f"{dag} {run} is over")
        return state

    def task_instances(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the task instances of a run."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances?limit={_PAGE}"
        found: list[dict[str, Any]] = []
        while True:
            answer = self.call("GET", f"{path}&offset={len(found)}")
            found += answer["task_instances"]
            if not answer["task_instances"] or len(found) >= answer["total_entries"]:
                return found

    def wait_states(
        self, dag: str, run: str, wanted: dict[str, set[str]], *, timeout_s: float = _SOON_S
    ) -> None:
        """Wait until each of the tasks named has one of its states."""
        self.until(
            lambda: all(
                ti["state"] in wanted[ti["task_id"]]
                for ti in self.task_instances(dag, run)
                if ti["task_id"] in wanted
            ),
            timeout_s,
            f"{dag} {run}: {wanted}",
        )

    def log(self, dag: str, run: str, ti: dict[str, Any], try_number: int) -> list[str]:
        """Return the lines that Airflow's page shows of a try's log."""
        path = f"/api/v2/dags/{dag}/dagRuns/{run}/taskInstances/{ti['task_id']}/logs/{try_number}"
        answer = self.call("GET", f"{path}?full_content=true&map_index={ti['map_index']}")
        return [line["event"] if isinstance(line, dict) else line for line in answer["content"]]

    def events(self, dag: str, run: str) -> list[dict[str, Any]]:
        """Return the event log of a run's task instances."""
        rows = self.call("GET", f"/api/v2/eventLogs?dag_id={dag}&limit=1000&order_by=-when")["event_logs"]
        return [row for row in rows if row["run_id"] == run]

    def until(self, condition: Any, timeout_s: float, what: str) -> None:
        """Wait for a condition; no process may end meanwhile."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            gone = [part for part, process in self._processes.items() if process.poll() is not None]
            assert not gone, f"{gone[0]} has ended: {self.output(gone[0])[-3000:]}"
            assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
            time.sleep(0.5)

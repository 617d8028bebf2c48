"""A PostgreSQL server of the tests' own, for what needs several schedulers: Airflow runs only one on SQLite.

The server runs as an ordinary user, with a data folder of its own, and is reached by a unix socket only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["Postgres", "programs"]

_START_WITHIN_S = 300.0


def programs() -> Path | None:
    """Return the folder with Debian's newest ``initdb`` or the one on PATH; None: there is no PostgreSQL."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = str(debian[-1]) if debian else shutil.which("initdb")
    return Path(found).parent if found else None


class Postgres:
    """One server with an empty database ``airflow``.

    Args:
        folder: Where ``initdb`` is.
    """

    def __init__(self, folder: Path) -> None:
        self._programs = folder
        # Short, as the path of a unix socket must be, and open to the server's user.
        self._home = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as: dict[str, Any] = {"cwd": self._home}
        if os.geteuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self._home, "postgres")
            self._as["user"] = "postgres"
        self._run("initdb", "-D", str(self._data), "-A", "trust", "-U", "airflow", "-N")
        with (self._home / "output").open("wb") as output:
            self._server = subprocess.Popen(
                [
                    self._programs / "postgres",
                    *("-D", self._data, "-k", self._home),
                    *("-c", "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=200"),
                ],
                stdout=output,
                stderr=subprocess.STDOUT,
                **self._as,
            )
        self._wait_ready()
        self._run("createdb", "-h", str(self._home), "-U", "airflow", "airflow")

    @property
    def _data(self) -> Path:
        return self._home / "data"

    @property
    def settings(self) -> dict[str, str]:
        """Airflow's variables for the database."""
        place = f"airflow@/airflow?host={self._home}"
        return {
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg://{place}",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC": f"postgresql+psycopg_async://{place}",
        }

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
            **self._as,
        )
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + _START_WITHIN_S
        asked = [self._programs / "pg_isready", "-q", "-h", self._home, "-U", "airflow"]
        while subprocess.run(asked, check=False).returncode != 0:
            assert self._server.poll() is None, (self._home / "output").read_text()
            assert time.monotonic() < deadline, "PostgreSQL does not answer"
            time.sleep(0.2)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        import psycopg

        with psycopg.connect(host=str(self._home), user="airflow", dbname="airflow") as connection:
            return connection.execute(statement).fetchall()  # type: ignore[arg-type]

    def stop(self) -> None:
        """End the server and remove its data."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait(120)
        shutil.rmtree(self._home)

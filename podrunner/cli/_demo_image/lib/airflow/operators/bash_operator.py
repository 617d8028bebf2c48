"""Tasks that run a shell command."""

from __future__ import annotations

import subprocess
from typing import Any

from airflow import BaseOperator


class BashOperator(BaseOperator):
    """Runs ``bash_command`` in a shell; any exit code but 0 fails the task."""

    def __init__(self, *, bash_command: str, **settings: Any) -> None:
        super().__init__(**settings)
        self.bash_command: str = bash_command

    def execute(self) -> None:
        """Run the command."""
        subprocess.run(["sh", "-c", self.bash_command], check=True)

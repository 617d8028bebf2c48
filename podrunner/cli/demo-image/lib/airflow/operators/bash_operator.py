"""Tasks that run a shell command."""

import subprocess

from airflow import BaseOperator


class BashOperator(BaseOperator):
    """Runs ``bash_command`` in a shell; any exit code but 0 fails the task."""

    def __init__(self, *, bash_command, **settings):
        super().__init__(**settings)
        self.bash_command = bash_command

    def execute(self):
        """Run the command."""
        subprocess.run(["sh", "-c", self.bash_command], check=True)

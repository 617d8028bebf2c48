"""What is called when a deadline is missed."""

import os
import time
from pathlib import Path


def note(name, **_):
    path = Path(os.environ["AIRFLOW_HOME"], name)
    with path.open("a") as notes:
        notes.write(f"{os.environ.get('HOSTNAME')}\n")


def take_time(name, **_):
    home = Path(os.environ["AIRFLOW_HOME"])
    (home / f"{name}-began").touch()
    for _ in range(600):
        if (home / f"{name}-enough").exists():
            return
        time.sleep(0.5)
    raise TimeoutError(name)


def fail(name, **_):
    raise LookupError(f"nothing to say of {name}")

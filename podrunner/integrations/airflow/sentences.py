"""The text in which a failure is explained to users of Airflow. Pure; where it is shown is decided in ``causes.py``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner import Outcome
    from podrunner.errors import PodrunnerError

__all__ = ["explained", "storable"]

_LONGEST_LOG = 4000
"""Characters of a log in a row of the event log: a traceback that Airflow's worker writes as one line of JSON fits."""
_TOKEN = re.compile(r"(?<![A-Za-z])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?")


def storable(text: str) -> str:
    """Return text as every database can store it.

    PostgreSQL refuses NUL, and UTF-8 has no half of a surrogate pair. What a container printed may have both, and a row
    that cannot be stored takes the others of its heartbeat with it, or ends the scheduler.
    """
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()


def explained(cause: Outcome | PodrunnerError | str) -> str:
    """Return the cause of a failure, with the last lines of the container's log where they were kept.

    A worker that cannot start has no log in Airflow: these lines are all that is left of it once its pod is deleted.
    Tokens are left out: what the container printed is not checked by Airflow.
    """
    tail = getattr(cause, "log_tail", ())
    if not tail:
        return storable(str(cause))
    lines = _TOKEN.sub("***", "\n".join(tail))
    shown = lines if len(lines) <= _LONGEST_LOG else f"…{lines[-_LONGEST_LOG:]}"
    return storable(f"{cause}\nThe last lines of its log:\n{shown}")

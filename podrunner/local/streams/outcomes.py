"""How a command's end is reported to the client on its error channel. Pure.

The words and fields are those of the kubelet's ``remotecommand`` package; clients read the exit code from the cause of
type ``ExitCode``.
"""

from __future__ import annotations

import json
from typing import Any

from podrunner.local.api.status import StatusError, status_body

__all__ = ["error_message", "exit_status", "failure_status", "success_status"]


def success_status() -> dict[str, Any]:
    """Return the status of a command that ended with 0, or of an attach that came to its end."""
    return {"metadata": {}, "status": "Success"}


def exit_status(code: int) -> dict[str, Any]:
    """Return the status of a command that ended with ``code``."""
    if code == 0:
        return success_status()
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }


def failure_status(problem: Exception) -> dict[str, Any]:
    """Return the status of a command that could not be started, or was lost."""
    if isinstance(problem, StatusError):
        return problem.body()
    words = f"error executing command in container: {problem}"
    return status_body(
        "Failure",
        code=500,
        reason="InternalError",
        message=f"Internal error occurred: {words}",
        details={"causes": [{"message": words}]},
    )


def error_message(status: dict[str, Any], *, as_status: bool) -> bytes:
    """Return the bytes for the error channel: a Status object, or (protocols before v4) only the text of a failure."""
    if as_status:
        return json.dumps(status, separators=(",", ":")).encode()
    return str(status.get("message", "")).encode()

"""The outcome of a workload if the API server refused its pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from podrunner.errors import ApiError, QuotaExceededError, RequestTooLargeError, TransportError
from podrunner.outcome.category import Category, Fault
from podrunner.outcome.messages import shorten
from podrunner.outcome.result import Evidence, Outcome
from podrunner.outcome.tables.answers import answer

if TYPE_CHECKING:
    from podrunner.errors import PodrunnerError

__all__ = ["refused_by_api"]


def refused_by_api(error: PodrunnerError) -> Outcome:
    """Return a failed create as an outcome: not started, with the server's own message.

    Args:
        error: What the launch raised. ``podrunner.outcome.tables.answers`` says whose fault an answer is: mostly the
            configuration's. A server or network that failed until the tries were used up is the infrastructure's, and
            retryable.
    """
    fault = _fault(error)
    return Outcome(
        category=Category.REJECTED_BY_API,
        fault=fault,
        started=False,
        retryable=fault is Fault.INFRASTRUCTURE,
        reason=_reason(error),
        message=shorten(str(error)),
        evidence=(Evidence(source="api", reason=_reason(error), message=shorten(_words(error))),),
    )


def _fault(error: PodrunnerError) -> Fault:
    """Return whose fault an error is. Its class comes first: it was made of the whole message, which is cut by now."""
    if isinstance(error, QuotaExceededError | TransportError):
        return Fault.INFRASTRUCTURE
    if isinstance(error, ApiError) and not isinstance(error, RequestTooLargeError):
        found = answer(error.status, error.server_message)
        return Fault.UNKNOWN if found is None else found.fault
    return Fault.CONFIGURATION


def _reason(error: PodrunnerError) -> str:
    if isinstance(error, ApiError):
        return error.reason or str(error.status)
    return type(error).__name__


def _words(error: PodrunnerError) -> str:
    return error.server_message if isinstance(error, ApiError) else str(error)

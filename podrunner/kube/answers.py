"""The one place where an answer of the API server becomes an exception, and where it is decided whether to try again.

Any body is survived: no body, HTML of a proxy, half a document, another JSON than a ``Status``. How long to wait
between tries does not belong here (``retry``).
"""

from __future__ import annotations

import re
from datetime import UTC
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from podrunner.errors import (
    AlreadyExistsError,
    ApiError,
    BadRequestError,
    ConflictError,
    ForbiddenError,
    GoneError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
    RequestTooLargeError,
    ServerError,
    TooManyRequestsError,
    TransportError,
    UnauthorizedError,
    UnreachableError,
)
from podrunner.kube.gate import MAX_CLOSED_S
from podrunner.outcome.tables.answers import Follows, answer
from podrunner.redaction import redact, redacted

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = [
    "TransientKind",
    "answer_error",
    "has_cause",
    "is_of_another_uid",
    "is_transient",
    "retry_after_s",
    "status_error",
    "transient_kind",
]

_CLASSES: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: GoneError,
    422: InvalidError,
    429: TooManyRequestsError,
}

_CODES: Mapping[str, int] = {
    "AlreadyExists": 409,
    "BadRequest": 400,
    "Conflict": 409,
    "Expired": 410,
    "Forbidden": 403,
    "Gone": 410,
    "Invalid": 422,
    "NotFound": 404,
    "ServiceUnavailable": 503,
    "Timeout": 504,
    "TooManyRequests": 429,
    "Unauthorized": 401,
}
"""Codes of ``Status`` reasons (apimachinery's meta/v1 StatusReason), for a Status that has no code."""


class TransientKind(StrEnum):
    """Why a request failed that may succeed when it is tried again. Each has its own backoff and budget."""

    CONNECTION = "connection"
    UNREACHABLE = "unreachable"
    THROTTLED = "throttled"
    SERVER = "server"
    QUOTA = "quota"
    RIGHTS = "rights"
    ADMISSION = "admission"
    CONFLICT = "conflict"


def transient_kind(error: BaseException) -> TransientKind | None:  # noqa: PLR0911  # a table: one return per row
    """Return the kind of a transient error; None if trying again cannot help."""
    match error:
        case UnreachableError():
            return TransientKind.UNREACHABLE
        case TransportError():
            return TransientKind.CONNECTION
        case TooManyRequestsError():
            return TransientKind.THROTTLED
        case QuotaExceededError():
            return TransientKind.QUOTA
        case ForbiddenError(was_allowed=True):
            return TransientKind.RIGHTS
        case RequestTooLargeError():
            return None
        case ApiError() if _follows(error.status, error.server_message) is Follows.SHORTLY:
            return TransientKind.ADMISSION
        case ConflictError() if _about_quota(error):
            return TransientKind.CONFLICT
        case ApiError(status=status) if status == 408 or (status >= 500 and status != 501):
            return TransientKind.SERVER
    return None


def is_transient(error: BaseException) -> bool:
    """Say whether the same request may succeed later. The one predicate of all retries.

    True: no connection or no answer, 408, 429, 5xx (but 501, and what is too large), 403 of an exhausted quota, of a
    right that was there before, or of an object that admission misses and that may have been made a moment ago, 409 of
    a quota's counter.
    False: everything else, so also 400, 401 (credentials were refreshed once before), 403, 404, 409, 410, 413, 422.
    ``podrunner.outcome.tables.answers`` has the words of the server that tell these apart.
    """
    return transient_kind(error) is not None


def _about_quota(error: ApiError) -> bool:
    """Recognise a conflict on a ResourceQuota's counter, which parallel creates cause (kubernetes issue 67761)."""
    return error.details.get("kind") == "resourcequotas" or "resourcequotas" in error.server_message


def is_of_another_uid(error: ConflictError) -> bool:
    """Whether a precondition on the UID failed. The words are those of apiserver's storage and registry."""
    message = error.server_message
    return "UID in precondition:" in message or "the UID in the precondition" in message


def has_cause(error: ApiError, reason: str) -> bool:
    """Whether the details of a refusal name this reason among the causes."""
    causes = error.details.get("causes")
    listed = causes if isinstance(causes, list) else []
    return any(isinstance(cause, dict) and cause.get("reason") == reason for cause in listed)


def answer_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    method: str,
    path: str,
    now_s: float,
    secrets: Iterable[str] = (),
) -> ApiError:
    """Make the exception for an answer that is no success.

    Args:
        status: HTTP status code.
        headers: Headers, looked up without regard to case.
        body: What there is of the body; any bytes.
        method: Method of the request.
        path: Path of the request, without query.
        now_s: The time in seconds since the epoch, for a ``Retry-After`` that names a date.
        secrets: The credentials that were sent: a server may quote them.
    """
    document = _document(body)
    message = document.get("message")
    details = _mapping(document.get("details"))
    shown = message if isinstance(message, str) and message else _plain(body)
    if not shown and 300 <= status < 400:
        shown = f"redirected to {headers.get('Location', 'nowhere')}, which is not followed"
    wait_s = _asked_by_header(headers.get("Retry-After"), now_s=now_s)
    return _error(
        status,
        _text(document.get("reason")),
        shown,
        details=details,
        method=method,
        path=path,
        wait_s=wait_s if wait_s is not None else _seconds(details.get("retryAfterSeconds")),
        secrets=secrets,
    )


def status_error(document: object, *, method: str, path: str, secrets: Iterable[str] = ()) -> ApiError:
    """Make the exception for a ``Status`` object that came inside a stream (an ERROR event of a watch).

    Args:
        document: The object.
        method: Method of the request.
        path: Path of the request, without query.
        secrets: The credentials that were sent: a server may quote them.
    """
    fields = _mapping(document)
    reason = _text(fields.get("reason"))
    code = fields.get("code")
    status = code if isinstance(code, int) else _CODES.get(reason, 500)
    details = _mapping(fields.get("details"))
    return _error(
        status,
        reason,
        _text(fields.get("message")),
        details=details,
        method=method,
        path=path,
        wait_s=_seconds(details.get("retryAfterSeconds")),
        secrets=secrets,
    )


def _error(
    status: int,
    reason: str,
    message: str,
    *,
    details: Mapping[str, Any],
    method: str,
    path: str,
    wait_s: float | None,
    secrets: Iterable[str],
) -> ApiError:
    """Make the error; the one place where a wait that the server asked for is limited."""
    kind = _class(status, reason, message)
    known = tuple(secrets)
    said = redact(message, secrets=known)
    if wait_s is not None and wait_s > MAX_CLOSED_S:
        said = (
            f"{said} (the server asks to wait {_shown(wait_s)} s, which is limited to {MAX_CLOSED_S:.0f} s)"
        )
        wait_s = MAX_CLOSED_S
    return kind(
        status=status,
        reason=redact(reason, secrets=known),
        server_message=said.strip(),
        details=redacted(details, secrets=known),
        method=method,
        path=path,
        retry_after_s=wait_s,
    )


def _class(status: int, reason: str, message: str) -> type[ApiError]:
    follows = _follows(status, message)
    if follows is Follows.QUOTA:
        return QuotaExceededError
    if status == 413 or (status == 500 and follows is Follows.NEVER):
        return RequestTooLargeError
    if status == 409 and reason == "AlreadyExists":
        return AlreadyExistsError
    if status >= 500:
        return ServerError
    return _CLASSES.get(status, ApiError)


def _follows(status: int, message: str) -> Follows | None:
    found = answer(status, message)
    return None if found is None else found.follows


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        return _mapping(msgspec.json.decode(body))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _plain(body: bytes) -> str:
    """Return a body that is no Status as text, without markup."""
    text = body[:16_384].decode("utf-8", "replace")
    if text.lstrip().startswith("<"):
        text = re.sub(r"(?s)<(style|script)\b.*?</\1>|<[^<>]*>", " ", text)
    return " ".join(text.split())


def retry_after_s(header: str | None, *, now_s: float) -> float | None:
    """Read a ``Retry-After`` header (RFC 9110, 10.2.3): seconds or a date, at most ``gate.MAX_CLOSED_S``.

    None if there is none that makes sense.
    """
    asked_s = _asked_by_header(header, now_s=now_s)
    return None if asked_s is None else min(asked_s, MAX_CLOSED_S)


def _asked_by_header(header: str | None, *, now_s: float) -> float | None:
    text = (header or "").strip()[:64]  # the longest date has 33 characters
    if text.replace(".", "", 1).isdecimal():
        return _seconds(float(text))
    return _until(text, now_s=now_s) if text else None


def _until(text: str, *, now_s: float) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        date = parsedate_to_datetime(text)
        # A date without a zone is GMT, as the RFC demands.
        moment = date if date.tzinfo is not None else date.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now_s)
    except (ValueError, OverflowError, TypeError, IndexError):  # the parser raises all of them for garbage
        return None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:  # NaN is not above 0
        return None
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def _shown(seconds: float) -> str:
    return f"{seconds:.0f}" if seconds < 1e12 else "more than 10^12"

"""Refusals, as a Kubernetes API server words them.

Every refusal is a :class:`StatusError` that knows its HTTP code and its ``kind: Status`` body. The constructors
here hold the wording (that of apimachinery's ``api/errors``); which rule was broken is decided elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

__all__ = [
    "FieldError",
    "StatusError",
    "already_exists",
    "bad_request",
    "conflict",
    "expired",
    "forbidden",
    "invalid",
    "method_not_allowed",
    "no_such_resource",
    "not_acceptable",
    "not_found",
    "qualified",
    "status_body",
    "success",
    "too_large",
    "unauthorized",
    "unsupported_media_type",
]


class StatusError(Exception):
    """A request is refused.

    Attributes:
        code: HTTP status code.
        reason: Kubernetes' machine-readable reason (``NotFound``).
        message: The text for users.
        details: ``details`` of the Status body; empty if there are none.
        generic: Whether it is about the path, not an object: ``details`` is then there, and empty.
        list_continue: Token that goes on with a list that is too old, "" if there is none.
    """

    def __init__(
        self, code: int, reason: str, message: str, *, details: Mapping[str, Any] | None = None
    ) -> None:
        self.code = code
        self.reason = reason
        self.message = message
        self.details: dict[str, Any] = dict(details or {})
        self.generic = False
        self.list_continue = ""
        super().__init__(f"{code} {reason}: {message}")

    def body(self) -> dict[str, Any]:
        """The ``Status`` object to send."""
        fields = {"code": self.code, "reason": self.reason, "message": self.message}
        if self.details or self.generic:
            fields["details"] = self.details
        body = status_body("Failure", **fields)
        if self.list_continue:
            body["metadata"] = {"continue": self.list_continue}
        return body


@dataclass(frozen=True, slots=True)
class FieldError:
    """One broken rule of one field, as apimachinery's ``field.Error``.

    Attributes:
        reason: ``FieldValueRequired``, ``FieldValueInvalid`` …
        field: Path such as ``spec.containers[0].image``.
        message: Words without the path, as they stand in ``details.causes``.
    """

    reason: str
    field: str
    message: str

    def __str__(self) -> str:
        return f"{self.field}: {self.message}"


def status_body(status: str, **fields: Any) -> dict[str, Any]:
    """A ``Status`` object; fields that are empty are left out."""
    body: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": status}
    order = ("message", "reason", "details", "code")  # as Go writes them
    body.update(
        {name: fields[name] for name in order if fields.get(name) or (name == "details" and name in fields)}
    )
    return body


def success(details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The ``Status`` of a delete that removed an object."""
    return status_body("Success", details=dict(details or {}))


def qualified(resource: str, group: str) -> str:
    """Return plural and group: ``pods``, ``leases.coordination.k8s.io``."""
    return f"{resource}.{group}" if group else resource


def _about(name: str, group: str, kind: str) -> dict[str, Any]:
    details = {"name": name, "group": group, "kind": kind}
    return {key: value for key, value in details.items() if value}


def not_found(resource: str, name: str, *, group: str = "") -> StatusError:
    """404: no object of that name."""
    message = f'{qualified(resource, group)} "{name}" not found'
    return StatusError(404, "NotFound", message, details=_about(name, group, resource))


def already_exists(resource: str, name: str, *, group: str = "") -> StatusError:
    """409: the name is taken."""
    message = f'{qualified(resource, group)} "{name}" already exists'
    return StatusError(409, "AlreadyExists", message, details=_about(name, group, resource))


MODIFIED = "the object has been modified; please apply your changes to the latest version and try again"


def conflict(resource: str, name: str, *, group: str = "", why: str = MODIFIED) -> StatusError:
    """409: another writer was faster, or a precondition does not hold."""
    message = f'Operation cannot be fulfilled on {qualified(resource, group)} "{name}": {why}'
    return StatusError(409, "Conflict", message, details=_about(name, group, resource))


def forbidden(resource: str, name: str, why: str, *, group: str = "") -> StatusError:
    """403: admission refuses."""
    named = f'{qualified(resource, group)} "{name}"' if name else qualified(resource, group)
    return StatusError(
        403, "Forbidden", f"{named} is forbidden: {why}", details=_about(name, group, resource)
    )


def invalid(kind: str, name: str, errors: Iterable[FieldError], *, group: str = "") -> StatusError:
    """422: the object breaks rules; each is a cause."""
    found = list(errors)
    shown = str(found[0]) if len(found) == 1 else f"[{', '.join(map(str, found))}]"
    causes = [{"reason": each.reason, "message": each.message, "field": each.field} for each in found]
    details = {**_about(name, group, kind), "causes": causes}
    return StatusError(
        422, "Invalid", f'{kind}{_in_group(group)} "{name}" is invalid: {shown}', details=details
    )


def _in_group(group: str) -> str:
    return f".{group}" if group else ""


def bad_request(message: str) -> StatusError:
    """400: the request cannot be read."""
    return StatusError(400, "BadRequest", message)


def unauthorized() -> StatusError:
    """401: no token, or an unknown one."""
    return StatusError(401, "Unauthorized", "Unauthorized")


def method_not_allowed() -> StatusError:
    """405: the resource has no such verb."""
    return _generic(
        405, "MethodNotAllowed", "the server does not allow this method on the requested resource"
    )


def no_such_resource() -> StatusError:
    """404: the group and version are served, but no such resource in it."""
    return _generic(404, "NotFound", "the server could not find the requested resource")


def _generic(code: int, reason: str, message: str) -> StatusError:
    error = StatusError(code, reason, message)
    error.generic = True
    return error


def not_acceptable(accepted: Sequence[str]) -> StatusError:
    """406: none of the media types asked for is served."""
    return StatusError(
        406, "NotAcceptable", f"only the following media types are accepted: {', '.join(accepted)}"
    )


def unsupported_media_type(accepted: Sequence[str]) -> StatusError:
    """415: the body is in a format that the server does not read."""
    words = "the body of the request was in an unknown format - accepted media types include"
    return StatusError(415, "UnsupportedMediaType", f"{words}: {', '.join(accepted)}")


def too_large(limit: int) -> StatusError:
    """413: the body is larger than ``limit`` bytes."""
    return StatusError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {limit}")


def expired(message: str) -> StatusError:
    """410: that version is compacted away."""
    return StatusError(410, "Expired", message)

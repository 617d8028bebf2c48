"""Every error that podrunner raises.

One root, :class:`PodrunnerError`, which is never raised itself. The sub-roots say which party is at fault: the
configuration's (:class:`ConfigError`), the workload's (:class:`SpecError`), the API server's answer
(:class:`ApiError`), the way to it (:class:`TransportError`), the caller's order of calls (:class:`UsageError`),
or podrunner's knowledge being out of date (:class:`StaleError`). Translation of HTTP answers into these classes
does not belong here; it lives in one place, ``podrunner.kube``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Mapping, Sequence

__all__ = [
    "AlreadyExistsError",
    "ApiError",
    "AttemptEndedError",
    "AttemptOwnedError",
    "BadRequestError",
    "CallFromEventLoopError",
    "CloseTimeoutError",
    "ConfigError",
    "ConflictError",
    "ExecError",
    "ForbiddenError",
    "GoneError",
    "InvalidError",
    "KeyReusedError",
    "LogError",
    "NotDoneError",
    "NotFoundError",
    "OwnershipError",
    "PodFailedError",
    "PodrunnerError",
    "QueueFullError",
    "QuotaExceededError",
    "RequestTimeoutError",
    "RequestTooLargeError",
    "RunnerClosedError",
    "ServerError",
    "SpecError",
    "StaleError",
    "TooManyRequestsError",
    "TransportError",
    "UnauthorizedError",
    "UnknownPodError",
    "UnreachableError",
    "UsageError",
]

_PODS_SHOWN = 20
"""Pods that an error's text names at most; its field has all."""


class PodrunnerError(Exception):
    """The root of all errors of podrunner. Never raised itself."""


class ConfigError(PodrunnerError):
    """A setting is missing, unknown, malformed or contradicts another.

    Attributes:
        source: The file, or ``environment``, or ``RunnerConfig(...)``; None if there is none.
        section: The section of the file (``kubernetes``), or None.
        key: The option's name, as written, or None.
        value: The offending value, shortened, ``***`` where it may be a secret; None if there is none.
        remedy: What would be right, in one sentence; None if nothing can be said.
    """

    def __init__(
        self,
        problem: str,
        *,
        source: str | None = None,
        section: str | None = None,
        key: str | None = None,
        value: str | None = None,
        remedy: str | None = None,
    ) -> None:
        self.problem = problem
        self.source = source
        self.section = section
        self.key = key
        self.value: str | None = _given(value)
        self.remedy = remedy
        super().__init__(_config_message(self))


def _given(shown: str | None) -> str | None:
    """Return a value as it is shown; None for one that is not there (a text "None" is shown with quotation marks)."""
    return None if shown == repr(None) else shown


def _config_message(error: ConfigError) -> str:
    place = error.key or ""
    if error.section:
        place = f"[{error.section}] {place}".rstrip()
    where = ": ".join(part for part in (error.source, place) if part)
    shown = f" (value: {error.value})" if error.value is not None else ""
    remedy = f". {error.remedy}" if error.remedy else ""
    return f"{where + ': ' if where else ''}{error.problem}{shown}{remedy}"


class SpecError(PodrunnerError):
    """A workload, a pod template or an override cannot become a valid pod.

    Attributes:
        field: Path of the field, as ``spec.containers[0].image`` or ``Workload.command``; None if there is none.
        value: The offending value, shortened; None if there is none.
    """

    def __init__(self, problem: str, *, field: str | None = None, value: str | None = None) -> None:
        self.problem = problem
        self.field = field
        self.value: str | None = _given(value)
        shown = f" (value: {self.value})" if self.value is not None else ""
        super().__init__(f"{field + ': ' if field else ''}{problem}{shown}")


class TransportError(PodrunnerError):
    """The API server could not be reached, or the connection broke.

    Attributes:
        method: HTTP method of the request, or None outside a request.
        url: Where it went, without query and credentials, or None.
        sent: Whether the request may have reached the server: a create that may have been sent is looked up,
            never just sent again.
    """

    def __init__(
        self, message: str, *, method: str | None = None, url: str | None = None, sent: bool = True
    ) -> None:
        self.method = method
        self.url = url
        self.sent = sent
        super().__init__(message)


class RequestTimeoutError(TransportError):
    """No answer came in time."""


class UnreachableError(TransportError):
    """No Kubernetes API server has answered yet at this address: refused, not resolved, not trusted, another server.

    A connection that is not made in time is one, too. It is raised until the first answer of an API server; later
    failures of the same connection are plain :class:`TransportError`. Opening a runner goes on trying for
    ``retry.initial_connect_timeout_s``.

    Attributes:
        server: The API server's URL, without credentials.
        source: Where the URL comes from: the kubeconfig and its context, the service account, ``explicit``.
    """

    def __init__(
        self,
        message: str,
        *,
        server: str,
        source: str,
        method: str | None = None,
        url: str | None = None,
        sent: bool = True,
    ) -> None:
        self.server = server
        self.source = source
        super().__init__(message, method=method, url=url, sent=sent)


class ApiError(PodrunnerError):
    """The API server answered with an error.

    Attributes:
        status: HTTP status code.
        reason: The machine-readable ``reason`` of the server's ``Status`` (``NotFound``), or "" if it gave none.
        server_message: The server's own message, bounded and redacted.
        details: The ``details`` of the ``Status``: ``name``, ``kind``, ``causes``; empty if there are none.
        method: HTTP method of the request.
        path: Path of the request, without query.
        retry_after_s: Seconds that the server asked to wait, or None.
    """

    def __init__(
        self,
        *,
        status: int,
        reason: str = "",
        server_message: str = "",
        details: Mapping[str, Any] | None = None,
        method: str = "",
        path: str = "",
        retry_after_s: float | None = None,
    ) -> None:
        self.status = status
        self.reason = reason
        self.server_message = server_message
        self.details: Mapping[str, Any] = details or {}
        self.method = method
        self.path = path
        self.retry_after_s = retry_after_s
        named = f" {reason}" if reason else ""
        super().__init__(f"{method} {path}: {status}{named}: {server_message or '(no message)'}")


class BadRequestError(ApiError):
    """400: the server cannot read the request."""


class UnauthorizedError(ApiError):
    """401: the credentials are missing, wrong or expired, also after one refresh.

    Attributes:
        credentials_of: Where the credentials come from: the kubeconfig, its context and the user's entry, or the
            service account; "" if that is not known.
    """

    credentials_of: str = ""


class ForbiddenError(ApiError):
    """403: RBAC or admission refuses; the message says which.

    Attributes:
        was_allowed: Whether it is a right that is missing, and the same kind of request had been allowed before, or any
            request had been and one got no answer a moment ago: an API server that has just started answers so until
            it has read the rights.
    """

    was_allowed: bool = False


class QuotaExceededError(ForbiddenError):
    """403 of a ResourceQuota: transient, space comes back when other pods end."""


class NotFoundError(ApiError):
    """404: no such object."""


class ConflictError(ApiError):
    """409: the object changed meanwhile, or a quota's counter did."""


class AlreadyExistsError(ConflictError):
    """409 ``AlreadyExists``: an object of that name is there."""


class GoneError(ApiError):
    """410: the resourceVersion or continue token is too old."""


class RequestTooLargeError(ApiError):
    """413, or the 500 of a server whose database refuses the object: it is too large, and never becomes smaller."""


class InvalidError(ApiError):
    """422: the object breaks a rule; ``details["causes"]`` names the fields."""


class TooManyRequestsError(ApiError):
    """429: throttled; ``retry_after_s`` if the server said how long."""


class ServerError(ApiError):
    """5xx: the server, or something before it, failed."""


class ExecError(PodrunnerError):
    """A command could not be run in a container (the command's own exit code is not an error).

    Attributes:
        reason: The server's reason, or "" if it gave none.
    """

    def __init__(self, message: str, *, reason: str = "") -> None:
        self.reason = reason
        super().__init__(message)


class LogError(PodrunnerError):
    """A log could not be read or written. It never decides about a workload's outcome."""


class StaleError(PodrunnerError):
    """What podrunner knows is older than it may be: the watch is interrupted.

    Attributes:
        age_s: Seconds since the last sign of life of the watch, or None if it was never in step.
    """

    def __init__(self, message: str, *, age_s: float | None = None) -> None:
        self.age_s = age_s
        super().__init__(message)


class OwnershipError(PodrunnerError):
    """A pod of that name is there, and it is not ours; it is left untouched.

    Attributes:
        namespace: Its namespace.
        name: Its name.
        owner: The owner it names, or None.
    """

    def __init__(self, message: str, *, namespace: str, name: str, owner: str | None = None) -> None:
        self.namespace = namespace
        self.name = name
        self.owner = owner
        super().__init__(message)


class AttemptOwnedError(OwnershipError):
    """The attempt's pod is there, and belongs to another runner that is alive, or may be; it is left untouched.

    Attributes:
        lease_ends: When that runner's Lease ends unless it is renewed; None: not known.
    """

    def __init__(
        self,
        message: str,
        *,
        namespace: str,
        name: str,
        owner: str | None = None,
        lease_ends: dt.datetime | None = None,
    ) -> None:
        self.lease_ends = lease_ends
        super().__init__(message, namespace=namespace, name=name, owner=owner)


class AttemptEndedError(OwnershipError):
    """The attempt was run by an earlier runner, and has ended; its pod is left untouched.

    Raised if ``reported_attempt`` is ``error``, or if the pod was made of another workload than the one at hand.

    Attributes:
        category: The category of its outcome.
    """

    def __init__(
        self, message: str, *, namespace: str, name: str, category: str, owner: str | None = None
    ) -> None:
        self.category = category
        super().__init__(message, namespace=namespace, name=name, owner=owner)


class PodFailedError(PodrunnerError):
    """A pod ended otherwise than by success. Raised by ``Outcome.raise_for_failure``, and by nothing else.

    The last lines of its log are a note of the error, so that a traceback shows them.

    Attributes:
        category: The outcome's category, such as ``oom-killed``.
        fault: The party at fault, such as ``workload``; None if it is not known.
        cause: One sentence for people.
        started: Whether the main container ever ran.
        retryable: Whether the same pod, tried again unchanged, may end better.
        exit_code: The exit code of the container that decided, or None.
        log_tail: The last lines of that container's log, if they were kept.
    """

    def __init__(
        self,
        *,
        category: str,
        fault: str | None,
        cause: str,
        started: bool,
        retryable: bool,
        exit_code: int | None = None,
        log_tail: Sequence[str] = (),
    ) -> None:
        self.category = category
        self.fault = fault
        self.cause = cause
        self.started = started
        self.retryable = retryable
        self.exit_code = exit_code
        self.log_tail: tuple[str, ...] = tuple(log_tail)
        at_fault = f" (fault: {fault})" if fault else ""
        super().__init__(f"{category}{at_fault}: {cause}" if cause else f"{category}{at_fault}")
        if self.log_tail:
            self.add_note("\n".join(("The last lines of its log:", *self.log_tail)))


class CloseTimeoutError(PodrunnerError):
    """A runner was closed, and pods did not end in the time for it. They may run on until another runner adopts them.

    Attributes:
        pods: The pods, each as ``namespace/name``.
    """

    def __init__(self, pods: Sequence[str]) -> None:
        self.pods: tuple[str, ...] = tuple(pods)
        shown = ", ".join(self.pods[:_PODS_SHOWN])
        more = f" and {len(self.pods) - _PODS_SHOWN} more" if len(self.pods) > _PODS_SHOWN else ""
        super().__init__(
            f"the runner is closed, and {len(self.pods)} pods had not ended in the time for it: {shown}{more}"
        )


class UsageError(PodrunnerError):
    """The caller's order of calls is wrong; the message says what would be right."""


class RunnerClosedError(UsageError):
    """The runner is not open (not yet entered, or closed). The message says what was called, and what to do."""


class NotDoneError(UsageError):
    """The outcome of a pod or run was asked for (``result``) that has none yet."""


class KeyReusedError(UsageError):
    """A key was launched here with one workload, and is launched again with another one. The first goes on untouched.

    Attributes:
        key: The key, with its attempt, in words.
        pod: The first one's pod, as ``namespace/name``; "" if it has none yet.
    """

    def __init__(self, *, key: str, pod: str = "") -> None:
        self.key = key
        self.pod = pod
        of = f" (pod {pod})" if pod else ""
        super().__init__(
            f"{key} was launched here already{of}, with another command, environment, image or volumes: a key and "
            "attempt stand for one workload; use another key, or the next attempt"
        )


class CallFromEventLoopError(UsageError):
    """The blocking face was called from a running event loop; use ``AsyncPodRunner`` there."""


class UnknownPodError(UsageError, LookupError):
    """This runner tracks no pod of that key or UID.

    Attributes:
        which: The key or UID.
    """

    def __init__(self, message: str, *, which: object) -> None:
        self.which = which
        super().__init__(message)


class QueueFullError(UsageError):
    """A bounded queue is full.

    Attributes:
        limit: How many it holds.
    """

    def __init__(self, message: str, *, limit: int) -> None:
        self.limit = limit
        super().__init__(message)


def called_after_close(call: str = "") -> RunnerClosedError:
    """Return the error of a call that comes after the close.

    Args:
        call: What was called, as ``launch``; "": not known.
    """
    what = f"`{call}` was called" if call else "the runner was called"
    return RunnerClosedError(
        f"{what} after the runner was closed (by `close`, or at the end of its `with` block): make the call inside "
        "the block, or in the block of a new runner; handles still have the outcomes that came before"
    )

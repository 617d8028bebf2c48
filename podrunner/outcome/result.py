"""The result of a pod that is over: :class:`Outcome`, with its timings and evidence.

Records only. How they come about does not belong here.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace
from datetime import datetime, timedelta
from operator import attrgetter
from typing import TYPE_CHECKING, Any, Final, Self

from podrunner.errors import PodFailedError
from podrunner.markup import Facts, html_table, rich_table
from podrunner.outcome.category import Category, Fault

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["Evidence", "Outcome", "Timings", "later_by", "parse_time", "timed"]


def parse_time(text: str | None) -> datetime | None:
    """Read an RFC 3339 time as the API server writes it; None for nothing, and for what is no time or has no zone."""
    try:
        found = datetime.fromisoformat(text) if text else None
    except ValueError:
        return None
    return found if found is not None and found.tzinfo is not None else None


def later_by(moment: datetime, seconds: float) -> datetime | None:
    """Return the time so many seconds later, or earlier if they are negative; None: it is in no year from 1 to 9999."""
    try:
        return moment + timedelta(seconds=seconds)
    except OverflowError:
        return None


def _seconds_between(first: str | None, second: str | None) -> float | None:
    start, end = parse_time(first), parse_time(second)
    if start is None or end is None:
        return None
    return max(0.0, (end - start).total_seconds())


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """When the stages of a pod's life were, by the cluster's clocks: RFC 3339, None where it is not known.

    Attributes:
        created: The API server took the pod.
        scheduled: The scheduler bound it to a node.
        started: The main container's process started (its last start, if it was restarted).
        finished: The main container's process ended.
        measured_queue_s: ``queue_s`` by the runner's monotonic clock, to a millisecond; None where it did not see both
            ends, or where they contradict the cluster's stamps.
        measured_run_s: ``run_s`` in the same way.
        cpu_core_s: The CPU that the pod asked for, in cores, times the seconds that its main container ran; None where
            those are not known, or the outcome was read from a retained pod.
        memory_byte_s: Likewise of memory, in bytes.
        gpu_s: Likewise of GPUs, or shares of them.
    """

    created: str | None = None
    scheduled: str | None = None
    started: str | None = None
    finished: str | None = None
    measured_queue_s: float | None = field(default=None, compare=False)
    measured_run_s: float | None = field(default=None, compare=False)
    cpu_core_s: float | None = field(default=None, compare=False)
    memory_byte_s: float | None = field(default=None, compare=False)
    gpu_s: float | None = field(default=None, compare=False)

    @property
    def created_at(self) -> datetime | None:
        """``created`` as a datetime with its time zone; None where it is not known."""
        return parse_time(self.created)

    @property
    def scheduled_at(self) -> datetime | None:
        """``scheduled`` as a datetime with its time zone; None where it is not known."""
        return parse_time(self.scheduled)

    @property
    def started_at(self) -> datetime | None:
        """``started`` as a datetime with its time zone; None where it is not known."""
        return parse_time(self.started)

    @property
    def finished_at(self) -> datetime | None:
        """``finished`` as a datetime with its time zone; None where it is not known."""
        return parse_time(self.finished)

    @property
    def queue_s(self) -> float | None:
        """Seconds from creation to the start of the main container, or None. Never negative: clocks differ."""
        measured = self.measured_queue_s
        return _seconds_between(self.created, self.started) if measured is None else measured

    @property
    def run_s(self) -> float | None:
        """Seconds that the main container ran, or None."""
        measured = self.measured_run_s
        return _seconds_between(self.started, self.finished) if measured is None else measured

    def to_dict(self) -> dict[str, Any]:
        """Return the times and the derived seconds, ready for JSON."""
        return {
            "created": self.created,
            "scheduled": self.scheduled,
            "started": self.started,
            "finished": self.finished,
            "queue_s": self.queue_s,
            "run_s": self.run_s,
            "cpu_core_s": self.cpu_core_s,
            "memory_byte_s": self.memory_byte_s,
            "gpu_s": self.gpu_s,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that the cluster said and that bears on the outcome.

    Attributes:
        source: Where it was said: ``rule`` (the rule that decided), ``pod``, ``condition``, ``container``,
            ``event``, ``api``, ``failure-policy`` (the user's rule that decided on retrying), or ``record`` (how much
            evidence was left out of an outcome that was read from its pod).
        name: Which one: the condition's type, the container's name; "" for the pod itself.
        reason: The machine-readable reason, or "".
        message: The message, shortened.
        at: When, RFC 3339, or None.
    """

    source: str
    name: str = ""
    reason: str = ""
    message: str = ""
    at: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON."""
        return {
            "source": self.source,
            "name": self.name,
            "reason": self.reason,
            "message": self.message,
            "at": self.at,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The one end of a pod.

    Attributes:
        category: What became of it.
        fault: The party at fault; None for a success.
        started: Whether the main container ran, or may have: if not, a scheduler need not charge the attempt. It is
            False only where that is known: the pod never had a node, or its kubelet wrote its end.
        retryable: Whether the same pod, tried again unchanged, may end better. A workload's own failure is not
            called retryable, unless a rule of ``failure_policy`` says so: whether it is, its scheduler knows.
        exit_code: The exit code of the container that decided, or None.
        signal: The signal that ended it (exit codes 129 to 192 are read as one), or None.
        container: The container that decided, or None.
        reason: Kubernetes' own reason, if it gave one: ``OOMKilled``, ``Evicted``, ``ImagePullBackOff``.
        message: One sentence for people.
        evidence: What was said that led to this, in the order in which it weighs.
        timings: The stages of the pod's life.
        termination_message: What the main container left in its termination message file (``/dev/termination-log``, at
            most 4 KiB): a small result, or a final message; None if nothing. It decides nothing.
        result: The text of the file that the workload left at its ``result_path``, at most 1 MiB; None: it named none,
            did not succeed, or ``result_error`` says why it could not be read. It may be secret, and is not in the
            ``repr``.
        result_error: Why the result of a workload that succeeded is not here; None: nothing is missing. It does not
            change the category.
        log_tail: The last lines of the deciding container's log, if they were kept; they decide nothing.
    """

    category: Category
    fault: Fault | None
    started: bool
    retryable: bool
    exit_code: int | None = None
    signal: int | None = None
    container: str | None = None
    reason: str | None = None
    message: str = ""
    evidence: tuple[Evidence, ...] = ()
    timings: Timings = Timings()
    termination_message: str | None = None
    result: str | None = field(default=None, repr=False)
    result_error: str | None = None
    log_tail: tuple[str, ...] = ()

    @property
    def succeeded(self) -> bool:
        """Whether the workload did what it should."""
        return self.category is Category.SUCCEEDED

    def raise_for_failure(self) -> Self:
        """Return the outcome itself if it is a success; raise it as an error if it is not.

        Raises:
            PodFailedError: The pod did not succeed; it says why, and shows the last lines of the log.
        """
        if self.succeeded:
            return self
        raise PodFailedError(
            category=self.category,
            fault=self.fault,
            cause=self.message,
            started=self.started,
            retryable=self.retryable,
            exit_code=self.exit_code,
            log_tail=self.log_tail,
        )

    def __str__(self) -> str:
        """Return one line: category, fault and message."""
        fault = f" (fault: {self.fault})" if self.fault is not None else ""
        return f"{self.category}{fault}: {self.message}" if self.message else f"{self.category}{fault}"

    def _repr_html_(self) -> str:
        return html_table("outcome", self._facts())

    def __rich__(self) -> Table:
        return rich_table("outcome", self._facts())

    def _facts(self) -> Facts:
        yield from (("category", self.category), ("fault", self.fault), ("message", self.message))
        yield from (
            ("exit code", self.exit_code),
            ("container", self.container),
            ("ran s", self.timings.run_s),
        )
        yield "log", "\n".join(self.log_tail)

    def with_log_tail(self, lines: tuple[str, ...]) -> Outcome:
        """Return the same outcome with the last lines of the log."""
        return replace(self, log_tail=lines)

    def with_result(self, result: str) -> Outcome:
        """Return the same outcome with the workload's result."""
        return replace(self, result=result)

    def without_result(self, why: str) -> Outcome:
        """Return the same outcome with the reason why the workload's result is missing."""
        return replace(self, result_error=why)

    def to_dict(self) -> dict[str, Any]:
        """Return everything, the result included, ready for JSON."""
        return {
            "category": str(self.category),
            "fault": None if self.fault is None else str(self.fault),
            "started": self.started,
            "retryable": self.retryable,
            "exit_code": self.exit_code,
            "signal": self.signal,
            "container": self.container,
            "reason": self.reason,
            "message": self.message,
            "evidence": [item.to_dict() for item in self.evidence],
            "timings": self.timings.to_dict(),
            "termination_message": self.termination_message,
            "result": self.result,
            "result_error": self.result_error,
            "log_tail": list(self.log_tail),
        }


_NAMES: Final = tuple(each.name for each in fields(Outcome))
_values_of: Final = attrgetter(*_NAMES)


def timed(outcome: Outcome, timings: Timings) -> Outcome:
    """Return an outcome with other timings: as ``dataclasses.replace``, in a tenth of its time, for each pod has it."""
    values = dict(zip(_NAMES, _values_of(outcome), strict=True))
    values["timings"] = timings
    return Outcome(**values)

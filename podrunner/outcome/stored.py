"""The compact record of an outcome that is kept in an annotation of its pod, and when one is needed.

A record is JSON with the fields of :class:`~podrunner.outcome.result.Outcome` by their own names, and ``v``, its
version. It has no log lines and no result. A result may be secret, and annotations are shown to all clients that may
read pods, many more than may run commands in them. A successor reads the result again as long as the container that
holds it runs; after that, the record says that there was one. Writing the annotation does not belong here
(``podrunner.ownership.outcome_records``).
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Final, get_type_hints

import msgspec
from msgspec.structs import asdict, replace

from podrunner.outcome.category import Category, Fault
from podrunner.outcome.containers import all_statuses
from podrunner.outcome.result import Evidence, Outcome, Timings

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from podrunner.outcome.record import Pod

__all__ = ["MAX_RECORD_BYTES", "decode_outcome", "encode_outcome", "restored", "says_otherwise"]

MAX_RECORD_BYTES: Final = 4096
"""UTF-8 bytes of a record at most. All annotations of a pod together may have 262,144."""

_VERSION: Final = 1
_READ_BYTES: Final = 4 * MAX_RECORD_BYTES
"""What is read at most: a later version may write more."""

_SHARES: Final[Mapping[str, int]] = {
    "uid": 64,
    "container": 256,
    "reason": 256,
    "message": 1024,
    "termination_message": 1024,
    "result_error": 256,
}
"""Bytes of JSON that each text keeps of a record that is too large as a whole; evidence has what these leave."""
_SHARES_OF_EVIDENCE: Final[Mapping[str, int]] = {
    "source": 32,
    "name": 64,
    "reason": 128,
    "message": 256,
    "at": 40,
}
_LONGEST_TIME: Final = 40
_CUT: Final = "…"
_NOT_KEPT: Final = "the result was read by an earlier runner, and is not kept with the pod"


_Number = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""What Kubernetes has for an exit code."""


class _Part(msgspec.Struct, frozen=True, omit_defaults=True):
    """The base of a record and its parts: what is at its default is not written."""


class _Timings(_Part, frozen=True, kw_only=True):
    """As :class:`Timings`."""

    created: str | None = None
    scheduled: str | None = None
    started: str | None = None
    finished: str | None = None


class _Evidence(_Part, frozen=True, kw_only=True):
    """As :class:`Evidence`."""

    source: str
    name: str = ""
    reason: str = ""
    message: str = ""
    at: str | None = None


class _Record(_Part, frozen=True, kw_only=True):
    """As :class:`Outcome`, with the version, and the pod that it belongs to."""

    v: Annotated[int, msgspec.Meta(ge=1)]
    uid: str | None = None
    category: Category
    fault: Fault | None = None
    started: bool
    retryable: bool
    exit_code: _Number | None = None
    signal: _Number | None = None
    container: str | None = None
    reason: str | None = None
    message: str = ""
    termination_message: str | None = None
    result_error: str | None = None
    timings: _Timings = _Timings()
    evidence: tuple[_Evidence, ...] = ()


# Writing


def encode_outcome(outcome: Outcome, *, uid: str | None = None) -> str:
    """Return the record of an outcome: JSON of at most :data:`MAX_RECORD_BYTES` bytes, whatever the outcome holds.

    What is too long is cut, and ends in "…": the evidence first, then each text to its share. Category, fault,
    ``started``, ``retryable``, exit code and signal are never cut.

    Args:
        outcome: The outcome. Its last lines of the log are left out, and so is its result: ``result_error`` says so.
        uid: The pod's UID. With it the record of a pod is not taken for the record of a copy that has its annotations.
    """
    record = _record(outcome, uid)
    text = _json(record)
    return (text if len(text) <= MAX_RECORD_BYTES else _json(_cut(record))).decode()


def _record(outcome: Outcome, uid: str | None) -> _Record:
    timings = outcome.timings
    return _Record(
        v=_VERSION,
        uid=_clean(uid),
        category=outcome.category,
        fault=outcome.fault,
        started=outcome.started,
        retryable=outcome.retryable,
        exit_code=_number(outcome.exit_code),
        signal=_number(outcome.signal),
        container=_clean(outcome.container),
        reason=_clean(outcome.reason),
        message=_clean(outcome.message) or "",
        termination_message=_clean(outcome.termination_message),
        result_error=_clean(outcome.result_error) if outcome.result is None else _NOT_KEPT,
        timings=_Timings(
            created=_clean(timings.created),
            scheduled=_clean(timings.scheduled),
            started=_clean(timings.started),
            finished=_clean(timings.finished),
        ),
        evidence=tuple(_evidence(item) for item in outcome.evidence),
    )


def _evidence(item: Evidence) -> _Evidence:
    fields = {name: _clean(getattr(item, name)) for name in _SHARES_OF_EVIDENCE}
    return _Evidence(**fields)  # type: ignore[arg-type]  # None only where the evidence has it


def _clean(text: str | None) -> str | None:
    """Return text that UTF-8 can write: lone surrogates become "?"."""
    return None if text is None else text.encode(errors="replace").decode()


def _number(value: int | None) -> int | None:
    return value if value is not None and -(2**31) <= value < 2**31 else None


def _json(part: Any) -> bytes:
    return msgspec.json.encode(part)


def _cut(record: _Record) -> _Record:
    """Return a record that fits: each text within its share, and as much of the evidence as the rest leaves."""
    timings = {name: time for name, time in asdict(record.timings).items() if _size(time) <= _LONGEST_TIME}
    bare = replace(record, **_shortened(record, _SHARES), timings=_Timings(**timings), evidence=())
    room = MAX_RECORD_BYTES - len(_json(bare)) - len(',"evidence":[]')
    return replace(bare, evidence=tuple(_fitting(record.evidence, room)))


def _fitting(evidence: tuple[_Evidence, ...], room: int) -> Iterable[_Evidence]:
    """Return the first entries, shortened, and one that says how many are left out."""
    for index, item in enumerate(evidence):
        short = replace(item, **_shortened(item, _SHARES_OF_EVIDENCE))
        note = _Evidence(source="record", message=f"{_CUT} {len(evidence) - index} more left out")
        room -= _size(short) + 1
        if room < _size(note):
            yield note
            return
        yield short


def _shortened(part: _Part, shares: Mapping[str, int]) -> dict[str, str]:
    texts = {name: getattr(part, name) for name in shares}
    return {name: _within(text, shares[name]) for name, text in texts.items() if text}


def _within(text: str, limit: int) -> str:
    """Return text whose JSON has at most so many bytes; one that is cut ends in "…"."""
    if _size(text) <= limit:
        return text
    text = text[:limit]
    length = bisect_right(range(len(text) + 1), limit, key=lambda n: _size(text[:n] + _CUT)) - 1
    return text[:length] + _CUT


def _size(part: Any) -> int:
    return len(_json(part))


# Reading


def decode_outcome(text: str | None, *, uid: str | None = None) -> Outcome | None:
    """Return the outcome of a record.

    Args:
        text: The annotation; None: there is none.
        uid: The UID of the pod that has it; None: whichever pod the record belongs to.

    Returns:
        The outcome, without result and log lines. None, and nothing raised, for what is no record, is too large, or
        belongs to another pod. Of a later version it has what this version knows; if that is not enough for an outcome
        (a category of which this version knows nothing), it is None too.
    """
    record = _decoded(text) if text is not None else None
    if record is None or (record.fault is None) != (record.category is Category.SUCCEEDED):
        return None
    is_anothers = uid is not None and record.uid is not None and record.uid != uid
    return None if is_anothers else _outcome(record)


def _decoded(text: str) -> _Record | None:
    # Not more characters than bytes: a long text is not even encoded.
    if len(text) > _READ_BYTES:
        return None
    try:
        data = text.encode()
        return _read(data) if len(data) <= _READ_BYTES else None
    # No UTF-8, no JSON, another shape, nested too deeply. msgspec's errors are ValueErrors since 0.21 only.
    except (ValueError, msgspec.MsgspecError, RecursionError):
        return None


def _read(data: bytes) -> _Record:
    try:
        return msgspec.json.decode(data, type=_Record)
    except msgspec.ValidationError:
        fields = msgspec.json.decode(data, type=dict[str, Any])
        version = fields.get("v")
        if isinstance(version, bool) or not isinstance(version, int) or version <= _VERSION:
            raise
        return msgspec.convert(_known(fields), _Record)


def _known(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of a later version that have the types which this version knows."""
    kinds = get_type_hints(_Record, include_extras=True)
    return {
        name: fields[name] for name, kind in kinds.items() if name in fields and _fits(fields[name], kind)
    }


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _outcome(record: _Record) -> Outcome:
    return Outcome(
        category=record.category,
        fault=record.fault,
        started=record.started,
        retryable=record.retryable,
        exit_code=record.exit_code,
        signal=record.signal,
        container=record.container,
        reason=record.reason,
        message=record.message,
        evidence=tuple(Evidence(**asdict(item)) for item in record.evidence),
        timings=Timings(**asdict(record.timings)),
        termination_message=record.termination_message,
        result_error=record.result_error,
    )


def restored(outcome: Outcome, pod: Pod) -> Outcome:
    """Return the outcome of a record with the whole termination message, if the record cut it and its pod still has it.

    It may be a small result, which is worth nothing in part.
    """
    cut = outcome.termination_message
    if cut is None or not cut.endswith(_CUT):
        return outcome
    ends = (status.state.terminated for status in all_statuses(pod))
    messages = (end.message for end in ends if end is not None and end.message)
    whole = next((text for text in messages if text.startswith(cut.removesuffix(_CUT))), cut)
    return dataclasses.replace(outcome, termination_message=whole)


# When a record is needed

_what_decides: Final = attrgetter(
    "category",
    "fault",
    "started",
    "retryable",
    "exit_code",
    "signal",
    "container",
    "reason",
    "termination_message",
)


def says_otherwise(settled: Outcome, alone: Outcome | None) -> bool:
    """Whether the pod by itself would tell a successor another outcome than the settled one: then it is recorded.

    Compared is what a scheduler decides by: category, fault, ``started`` (whether the attempt is charged),
    ``retryable``, exit code, signal, container, reason (rules of ``failure_policy`` read these), and the termination
    message, which may be a small result. A success, a plain exit code, an eviction that the pod's own status names
    differ in none of them and need no record; a cause that only events gave, what only an earlier record showed, and
    an end that the runner made itself do.

    Not compared are message, evidence and times: they are for people, nothing decides by them, and a request for each
    pod would be their price. Nor the log's last lines, which are read from the log again; nor the result and
    ``result_error``, since only a look into the pod's container can tell a result, and a success stays a success
    without it.

    Args:
        settled: The outcome that was settled.
        alone: What :func:`~podrunner.outcome.classify` makes of the pod's last record alone, after the same
            ``failure_policy``; None: by that record the pod is not over.
    """
    if alone is None:
        return True
    return _what_decides(settled) != _what_decides(alone)

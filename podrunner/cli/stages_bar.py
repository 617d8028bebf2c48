"""The stages of a pod's life with their durations, and a bar of them. Pure."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrunner.cli.moments import duration
from podrunner.cli.rows import main_container_of
from podrunner.outcome import main_status, timings_of
from podrunner.outcome.result import later_by, parse_time

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from podrunner.outcome.record import Event, Pod

__all__ = ["StageSpan", "bar_of", "legend_of", "stages_of"]

_LETTERS: Final = {
    "queued": "·",
    "scheduled": "░",
    "pulling": "▒",
    "starting": "▓",
    "running": "█",
    "deleting": "▞",
}
_ASCII: Final = {
    "queued": ".",
    "scheduled": "-",
    "pulling": "~",
    "starting": "+",
    "running": "#",
    "deleting": "x",
}


class StageSpan(NamedTuple):
    """A stage.

    Attributes:
        name: ``queued`` (no node yet), ``scheduled`` (the node prepares it), ``pulling`` (its images), ``starting``
            (containers are made, init containers run), ``running`` or ``deleting``.
        seconds: How long it lasted so far.
        is_present: Whether it goes on.
    """

    name: str
    seconds: float
    is_present: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON data."""
        return {"stage": self.name, "seconds": round(self.seconds, 3), "present": self.is_present}


def stages_of(pod: Pod, events: Iterable[Event], *, now: datetime, is_over: bool) -> list[StageSpan]:
    """Return the stages that a pod went through, by the cluster's clocks.

    Args:
        pod: Its record.
        events: Its events: they say when its images were pulled.
        now: The present time.
        is_over: Whether it has an outcome.
    """
    begins = sorted(_known(_begins(pod, [*events])), key=lambda begin: begin[1])
    ends = [at for _, at in begins[1:]]
    last = _end(pod, now) if is_over else now
    spans = []
    for index, (name, begin) in enumerate(begins):
        is_last = index == len(begins) - 1
        end = last if is_last else ends[index]
        is_present = is_last and (not is_over or name == "deleting")
        seconds = max(0.0, (end - begin).total_seconds())
        if name != "over":
            spans.append(StageSpan(name, seconds, is_present))
    return spans


def _begins(pod: Pod, events: Sequence[Event]) -> list[tuple[str, datetime | None]]:
    """Return when each stage began, in order; None: it did not, or that is not known. ``over`` follows the last."""
    times = timings_of(pod, main_status(pod, main_container_of(pod)))
    pulls = [_moment(event) for event in events if event.reason == "Pulling"]
    pulled = [_moment(event) for event in events if event.reason == "Pulled"]
    pull = min((at for at in pulls if at is not None), default=None)
    ready = max((at for at in pulled if at is not None), default=None) if pull is not None else None
    started = times.started_at
    if started is not None:  # an image of a later restart is not of the first start
        pull = pull if pull is not None and pull <= started else None
        ready = ready if ready is not None and pull is not None and ready <= started else None
    return [
        ("queued", times.created_at),
        ("scheduled", times.scheduled_at),
        ("pulling", pull),
        ("starting", ready),
        ("running", started),
        ("over", times.finished_at),
        ("deleting", _deletion_asked(pod)),
    ]


def _known(begins: Sequence[tuple[str, datetime | None]]) -> Iterator[tuple[str, datetime]]:
    """Give the stages that began; a container that ends while its pod is being deleted ends no stage."""
    found = {name: at for name, at in begins if at is not None}
    if "deleting" in found and "over" in found and found["over"] >= found["deleting"]:
        del found["over"]
    yield from found.items()


def _deletion_asked(pod: Pod) -> datetime | None:
    """Return when the deletion was asked for: the record has the time at which its grace period ends."""
    until = parse_time(pod.metadata.deletion_timestamp)
    return None if until is None else later_by(until, -(pod.metadata.deletion_grace_period_seconds or 0))


def _moment(event: Event) -> datetime | None:
    return parse_time(event.first_timestamp or event.event_time or event.last_timestamp)


def _end(pod: Pod, now: datetime) -> datetime:
    """Return when a pod that is over ended: its main container's end, else its last condition, else now."""
    if pod.metadata.deletion_timestamp is not None:
        return now
    times = timings_of(pod, main_status(pod, main_container_of(pod)))
    changes = [parse_time(each.last_transition_time) for each in pod.status.conditions or ()]
    return times.finished_at or max((at for at in changes if at is not None), default=now)


def bar_of(spans: Sequence[StageSpan], *, width: int, is_ascii: bool = False) -> str:
    """Return a bar of so many cells, in which each stage that lasted has one at least.

    Args:
        spans: The stages.
        width: Cells, at least as many as there are stages.
        is_ascii: Whether the terminal takes ASCII alone.
    """
    letters = _ASCII if is_ascii else _LETTERS
    lasting = [span for span in spans if span.seconds > 0]
    total = sum(span.seconds for span in lasting)
    if not lasting:
        return ""
    free = max(0, width - len(lasting))
    shares = [int(free * span.seconds / total) for span in lasting]
    shares[max(range(len(lasting)), key=lambda index: lasting[index].seconds)] += free - sum(shares)
    return "".join(letters[span.name] * (1 + share) for span, share in zip(lasting, shares, strict=True))


def legend_of(spans: Sequence[StageSpan], *, is_ascii: bool = False) -> list[str]:
    """Return the stages with their signs and durations: ``░ scheduled 2s``; the present one ends in "…"."""
    letters, goes_on = (_ASCII, "...") if is_ascii else (_LETTERS, "…")
    return [
        f"{letters[span.name]} {span.name} {duration(span.seconds)}{goes_on if span.is_present else ''}"
        for span in spans
    ]

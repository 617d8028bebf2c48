"""What earlier records of a pod showed and a later one may no longer show: whether its work began, and why it waits.

A kubelet that lost a container, and a status that was reset, forget it; a back-off hides the error before it. One
:class:`History` is kept per pod and merged with each record. Pure. What it means for the outcome is
``podrunner.outcome.facts``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from podrunner.outcome.containers import all_statuses, ever_started, main_status, unstarted_runs
from podrunner.outcome.facts import condition, deletion_asked_at
from podrunner.outcome.messages import shorten

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from podrunner.outcome.record import ContainerStatus, Pod, PodCondition, PodStatus

__all__ = ["NO_HISTORY", "History", "Words", "is_bare", "remember", "told_before"]

_BARE: Final = re.compile(
    r'Back-off pulling image "[^"]*"|back-off \S+ restarting failed container.*', re.DOTALL
)
"""Messages that say that the kubelet waits, and not for what. Since 1.32 the one of an image goes on with the error
(``ErrImagePull: …``)."""

_REPEATED: Final = re.compile(r'Back-off pulling image "[^"]*": (?P<reason>\w+): ')


class Words(NamedTuple):
    """The last message of a container that said why it waits.

    Attributes:
        container: The container.
        reason: The reason that stood with it: ``ErrImagePull``.
        message: The message.
    """

    container: str
    reason: str
    message: str


class History(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the records of one pod showed so far, the newest included. Most pods share one of two.

    Attributes:
        started: Whether the main container may have run. It never goes back.
        unstarted_runs: How many runs of the main container are known not to have started, from the first on.
        main: The main container's status in an earlier record, if the newest has none, or has forgotten its end.
        words: For each container that waits: its last telling words.
        disruption: The first true ``DisruptionTarget``, if the newest record shows none, or the kubelet's.
        deletion_asked_at: When its deletion was asked for, by the server's clock; None: it was not, or no record said.
        is_incomplete: Whether later records may have been missed: the pod is gone, and its last record was not seen.
    """

    started: bool = False
    unstarted_runs: int = 0
    main: ContainerStatus | None = None
    words: tuple[Words, ...] = ()
    disruption: PodCondition | None = None
    deletion_asked_at: datetime | None = None
    is_incomplete: bool = False


NO_HISTORY: Final = History()
_STARTED: Final = History(started=True)


def remember(
    known: History, pod: Pod, *, before: Pod | None = None, main_container: str | None = None
) -> History:
    """Return the history with one record more; a shared one where there is nothing particular.

    Args:
        known: The history so far.
        pod: The newest record.
        before: The record before, or None.
        main_container: Name of the container that decides, or None for the first.
    """
    plain = _after_a_plain_record(known, pod, before, main_container)
    return _merged(known, pod, before, main_container) if plain is None else plain


def _after_a_plain_record(
    known: History, pod: Pod, before: Pod | None, main_container: str | None
) -> History | None:
    """Return what :func:`_merged` returns where a short look shows it, as for nearly all records; else None.

    That is a pod of one container, neither deleted nor disrupted, which never failed to start and says nothing about
    why it waits.
    """
    if not _is_plain(known, pod, before):
        return None
    main = main_status(pod, main_container)
    if main is None:
        return None if pod.status.container_statuses or _tells_of_containers(before) else known
    if main.state.running is not None:
        return _STARTED
    if main.restart_count or main.last_state.terminated is not None:
        return None
    if main.state.terminated is not None:
        return known if known is _STARTED else None
    waits_plainly = main.state.waiting is None or not main.state.waiting.message
    return known if waits_plainly and not _tells_of_containers(before) else None


def _is_plain(known: History, pod: Pod, before: Pod | None) -> bool:
    if (known is not NO_HISTORY and known is not _STARTED) or pod.metadata.deletion_timestamp is not None:
        return False
    status = pod.status
    if status.init_container_statuses or len(status.container_statuses or ()) > 1:
        return False
    return not _is_disrupted(status) and (before is None or not _is_disrupted(before.status))


def _tells_of_containers(pod: Pod | None) -> bool:
    return pod is not None and bool(pod.status.container_statuses)


def _is_disrupted(status: PodStatus) -> bool:
    for item in status.conditions or ():  # noqa: SIM110  # asked of each record: a generator costs more than the look
        if item.type == "DisruptionTarget":
            return True
    return False


def _merged(known: History, pod: Pod, before: Pod | None, main_container: str | None) -> History:
    main = main_status(pod, main_container)
    earlier = None if before is None else main_status(before, main_container)
    started = known.started or ever_started(main, known.unstarted_runs)
    merged = History(
        started=started,
        unstarted_runs=0 if started else unstarted_runs(main, known.unstarted_runs),
        main=_forgotten(main, known.main) or _forgotten(main, earlier),
        words=_words(known.words, pod),
        disruption=_first_disruption(known.disruption, before, pod),
        deletion_asked_at=known.deletion_asked_at or deletion_asked_at(pod),
        is_incomplete=known.is_incomplete,
    )
    if merged == known:
        return known
    return _STARTED if merged == _STARTED else NO_HISTORY if merged == NO_HISTORY else merged


def _forgotten(main: ContainerStatus | None, earlier: ContainerStatus | None) -> ContainerStatus | None:
    """Return the earlier status of the main container if the newest does not hold what it said."""
    if earlier is None or main is None:
        return earlier
    if earlier.state.terminated is None:
        return None
    is_reset = main.state.running is None and main.state.terminated is None
    last = main.last_state.terminated
    is_lost = last is None or last.reason == "ContainerStatusUnknown"
    return earlier if is_reset and is_lost and main.restart_count <= earlier.restart_count else None


def _first_disruption(first: PodCondition | None, before: Pod | None, pod: Pod) -> PodCondition | None:
    """Return the disruption that an earlier record showed, unless the newest shows it, or calls it off."""
    now = condition(pod, "DisruptionTarget")
    if (
        now is None
        and first is None
        and (before is None or before.status.conditions == pod.status.conditions)
    ):
        return None
    earlier = first or (before and condition(before, "DisruptionTarget"))
    if earlier is None or earlier.status != "True" or (now is not None and now.status != "True"):
        return None
    return None if now is not None and now.reason == earlier.reason else earlier


# Why a container waits


def is_bare(message: str | None) -> bool:
    """Whether a waiting container's message says nothing about the cause."""
    text = (message or "").strip()
    return not text or _BARE.fullmatch(text) is not None


def _words(known: tuple[Words, ...], pod: Pod) -> tuple[Words, ...]:
    statuses = all_statuses(pod)
    if not known and all(status.state.waiting is None for status in statuses):
        return ()
    return tuple(_said_by(statuses, known))


def _said_by(statuses: Sequence[ContainerStatus], known: tuple[Words, ...]) -> Iterator[Words]:
    """Return the last telling words of each container that waits, also if this record does not say them.

    A record may lack the container's status: one from before it, which a restored server shows.
    """
    before = {words.container: words for words in known}
    if known:
        told = {status.name for status in statuses}
        yield from (words for words in known if words.container not in told)
    for status in statuses:
        waiting = status.state.waiting
        if waiting is not None and waiting.reason and not is_bare(waiting.message):
            yield _said(status.name, waiting.reason, shorten(waiting.message))
        elif waiting is not None and status.name in before:
            yield before[status.name]


def _said(container: str, reason: str, message: str) -> Words:
    """Return the words of a message; of a back-off that repeats an error, the error."""
    repeated = _REPEATED.match(message)
    if repeated is None:
        return Words(container, reason, message)
    return Words(container, repeated["reason"], message[repeated.end() :])


def told_before(history: History, container: str) -> Words | None:
    """Return the last telling words of a container that waits; None if it said none."""
    return next((words for words in history.words if words.container == container), None)

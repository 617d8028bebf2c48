"""Why a pod waits, while it waits: for people, and for a scheduler that shows it. Pure; it decides nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from podrunner.outcome.containers import all_statuses
from podrunner.outcome.facts import condition
from podrunner.outcome.history import told_before
from podrunner.outcome.messages import describe_end, sentence, shorten
from podrunner.outcome.pending import gives_up_s, waiting_for
from podrunner.outcome.stages import Place, Stage, place_of

if TYPE_CHECKING:
    from podrunner.config.policies import PendingPolicy
    from podrunner.outcome.history import History
    from podrunner.outcome.record import Pod
    from podrunner.outcome.stages import PendingClock

__all__ = ["Said", "Waiting", "is_same_cause", "waiting", "why"]

_NUMBER: Final = re.compile(r"\d+")
_PULL_FAILS: Final = re.compile("ErrImagePull|ImagePullBackOff")


class Said(NamedTuple):
    """What a pod waits for, in the cluster's words.

    Attributes:
        stage: How far it has come.
        reason: The reason: of the container that waits, or of ``PodScheduled``.
        message: The message that goes with it, or "".
        container: The container, or None if the pod as a whole waits.
    """

    stage: Stage
    reason: str
    message: str = ""
    container: str | None = None

    def __str__(self) -> str:
        """Return reason and message in one line."""
        return sentence(self.reason, self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Why a pod waits.

    Attributes:
        stage: How far it has come.
        reason: The cluster's reason: ``ImagePullBackOff``, ``Unschedulable``, ``ContainerCreating``.
        message: The message of the container that waits, or of ``PodScheduled``; "" if there is none.
        container: The container that waits; None if the pod as a whole does.
        since: When the runner first saw it wait for this.
        gives_up_at: When the runner gives it up if nothing changes (``pending``); None: it waits without a limit.
    """

    stage: Stage
    reason: str
    message: str
    container: str | None
    since: datetime
    gives_up_at: datetime | None

    def __str__(self) -> str:
        """Return reason and message in one line."""
        return sentence(self.reason, self.message)

    def to_dict(self) -> dict[str, Any]:
        """Return the fields, ready for JSON; times as RFC 3339."""
        return {
            "stage": str(self.stage),
            "reason": self.reason,
            "message": self.message,
            "container": self.container,
            "since": self.since.isoformat(),
            "gives_up_at": None if self.gives_up_at is None else self.gives_up_at.isoformat(),
        }


def why(pod: Pod, *, history: History, main_container: str | None = None) -> Said | None:
    """Say what a pod waits for; None if its main container runs, or if it is over or on its way out.

    Args:
        pod: Its last record.
        history: What its records showed so far.
        main_container: Name of the container that decides, or None for the first.
    """
    place = place_of(pod, history=history, main_container=main_container)
    if place is None:
        return None
    cause = waiting_for(pod, main_container=main_container, history=history)
    if cause is not None:
        return Said(place.stage, cause.reason, shorten(cause.message), cause.container)
    if place.container is None:
        scheduled = condition(pod, "PodScheduled")
        reason, message = ("", "") if scheduled is None else (scheduled.reason, scheduled.message)
        return Said(place.stage, reason or "Pending", shorten(message))
    return _of_container(pod, place)


def _of_container(pod: Pod, place: Place) -> Said:
    name = place.container
    status = next((each for each in all_statuses(pod) if each.name == name), None)
    state = None if status is None else status.state.waiting
    if state is None and place.stage is not Stage.CREATING:
        return Said(place.stage, "PodInitializing", container=name)
    last = None if status is None else status.last_state.terminated
    reason = "ContainerCreating" if state is None else state.reason or "ContainerCreating"
    message = "" if state is None else state.message or ""
    if not message and last is not None:
        message = describe_end(name or "", last)
    return Said(place.stage, reason, shorten(message), name)


def is_same_cause(before: tuple[Said | None, History], after: tuple[Said | None, History]) -> bool:
    """Whether two records say the same about why a pod waits, as :func:`why` says it, each with its history.

    A failed pull and the back-off after it are the same, and so are messages that differ only in numbers: a port, a
    time, how many nodes lack something.
    """
    return _key(*before) == _key(*after)


def _key(said: Said | None, history: History) -> tuple[str, str] | None:
    if said is None or not said.message:
        return None
    words = told_before(history, said.container) if said.container else None
    message = said.message if words is None else words.message
    return _PULL_FAILS.sub("ErrImagePull", said.reason), _NUMBER.sub("0", message)


def waiting(  # each is a fact that only the caller knows
    pod: Pod,
    clock: PendingClock,
    *,
    history: History,
    policy: PendingPolicy,
    main_container: str,
    now_s: float,
    now: datetime,
) -> Waiting | None:
    """Return why a pod waits; None if it does not.

    Args:
        pod: Its last record.
        clock: Since when it waits, on the caller's clock.
        history: What its records showed so far.
        policy: The graces.
        main_container: Name of the container that decides.
        now_s: The time on the caller's clock.
        now: The same time, with a date.
    """
    said = why(pod, history=history, main_container=main_container)
    if said is None:
        return None
    has_cause = clock.category is not None and clock.absent_since_s is None
    since_s = clock.category_since_s if has_cause else clock.stage_since_s
    ends_s = gives_up_s(pod, clock, policy=policy, main_container=main_container, history=history)
    return Waiting(
        stage=said.stage,
        reason=said.reason,
        message=said.message,
        container=said.container,
        since=now + timedelta(seconds=since_s - now_s),
        gives_up_at=None if ends_s is None else now + timedelta(seconds=ends_s - now_s),
    )

"""The states of a pod's life.

Frozen records, nothing else: a state holds only what is valid in it. What moves a pod from one to the next are the
inputs (:mod:`podrunner.runner.inputs`); what follows is decided in :mod:`podrunner.runner.lifecycle`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, ClassVar, TypeAlias

import msgspec

from podrunner.outcome import NO_HISTORY

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.errors import PodrunnerError
    from podrunner.outcome import History, Outcome, Said
    from podrunner.outcome.record import Pod
    from podrunner.runner.deadlines import Clocks

__all__ = [
    "Active",
    "AwaitingFinalStatus",
    "BaseState",
    "Creating",
    "Delivery",
    "Disposal",
    "Draining",
    "Enriching",
    "Finished",
    "Live",
    "LiveState",
    "New",
    "NotCreatedState",
    "Queued",
    "Recording",
    "Relinquished",
    "Removing",
    "Reporting",
    "Rules",
    "Settled",
    "SettledState",
    "Snapshot",
    "State",
    "Terminating",
    "Termination",
    "Undelivered",
    "is_gone",
    "outcome_of",
    "snapshot_of",
]


# What states are made of


class Rules(msgspec.Struct, frozen=True, gc=False):
    """What decisions about one pod depend on besides its state.

    Attributes:
        main_container: The container whose end is the pod's.
        config: The runner's configuration.
    """

    main_container: str
    config: RunnerConfig


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a pod that was created: its last record, and what only earlier records said.

    Attributes:
        pod: The newest record.
        status: It, as ``kubectl get pod`` prints it.
        first_seen_s: When the pod was first tracked, on the runner's clock. Of an adopted pod: when it was
            created, or bound.
        history: What its records showed so far.
        said: What it waits for, in the cluster's words; None: it does not wait.
    """

    pod: Pod
    status: str
    first_seen_s: float
    history: History = NO_HISTORY
    said: Said | None = None


class Termination(msgspec.Struct, frozen=True, kw_only=True):
    """That the runner itself ends a pod.

    Attributes:
        verdict: The outcome that the pod is given for it; None: the caller cancelled it.
        grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
        ended_first: Whether the answer to the request showed that the pod had ended before.
        keeps_pod: Whether the pod is ended by its deadline, so that the object stays; else it is deleted.
        by_deadline: Whether its deadline may have been lowered for that, now or before: then it is the runner's doing
            that the deadline was exceeded.
        asked_before: Whether an earlier request, also an earlier runner's or another client's, may have been accepted:
            then an answer does not show that the pod ended by itself.
    """

    verdict: Outcome | None = None
    grace_period_s: int | None = None
    ended_first: bool = False
    keeps_pod: bool = False
    by_deadline: bool = False
    asked_before: bool = False


# The states


class BaseState(msgspec.Struct, frozen=True, kw_only=True):
    """A state of a pod's life.

    Attributes:
        rules: What decisions depend on besides the state.
        is_active: Whether such a pod takes one of the ``max_active_pods``.
        is_open: Whether such a pod exists and something is still to be done about it, besides delivering its outcome.
        is_ended: Whether its outcome is there, or will not come from here.
        is_drained: Whether, besides, its log is read.
        is_done: Whether nothing more is done about it.
    """

    is_active: ClassVar[bool] = False
    is_open: ClassVar[bool] = False
    is_ended: ClassVar[bool] = False
    is_drained: ClassVar[bool] = False
    is_done: ClassVar[bool] = False

    rules: Rules

    @property
    def is_undelivered(self) -> bool:
        """Whether it has an outcome that is not delivered."""
        return False

    @property
    def waits_for_reader(self) -> bool:
        """Whether it has an outcome that only a reader delivers, and not another try of its run."""
        return False


class NotCreatedState(BaseState, frozen=True):
    """Whether there is a pod is not known."""

    snapshot: ClassVar[None] = None


class New(NotCreatedState, frozen=True):
    """Nothing was asked for yet."""


class Queued(NotCreatedState, frozen=True):
    """A submission that waits in the queue."""


class Creating(NotCreatedState, frozen=True):
    """The launch is under way; whether there is a pod is not known."""


class LiveState(BaseState, frozen=True):
    """A pod that exists and whose outcome is not decided."""

    is_active: ClassVar[bool] = True
    is_open: ClassVar[bool] = True

    snapshot: Snapshot
    clocks: Clocks


class Active(LiveState, frozen=True):
    """The pod exists and is not over.

    Attributes:
        has_deadline: Whether time alone may end it.
        next_check_s: Before this time, on the runner's clock, no deadline passes unless another record comes.
    """

    has_deadline: bool
    next_check_s: float = 0.0


class Terminating(LiveState, frozen=True):
    """The runner deletes a pod that is not over; its outcome comes when it is gone."""

    termination: Termination


class AwaitingFinalStatus(LiveState, frozen=True):
    """The pod's containers have ended; the kubelet has still to write why (decision 13).

    Attributes:
        termination: That the runner ends it; None: it does not.
    """

    termination: Termination | None


class Enriching(BaseState, frozen=True):
    """The end was seen; what else the cluster knows of it is gathered before the outcome is settled.

    Attributes:
        provisional: The outcome as the pod's status alone says it.
        termination: That the runner ended it; None: it did not.
        gone: Whether the pod is no longer there.
        judged: Of which snapshot the provisional outcome is, without a termination, and as of a pod that is there;
            None: it is another one.
    """

    is_active: ClassVar[bool] = True
    is_open: ClassVar[bool] = True

    snapshot: Snapshot
    provisional: Outcome
    termination: Termination | None
    gone: bool
    judged: Snapshot | None = None


class Recording(BaseState, frozen=True):
    """The outcome is decided; it is written to the pod first, as the pod alone would say something else.

    Attributes:
        outcome: The outcome that is settled next.
        termination: That the runner ended the pod; None: it did not.
        gone: Whether the pod is no longer there.
    """

    is_active: ClassVar[bool] = True
    is_open: ClassVar[bool] = True

    snapshot: Snapshot
    outcome: Outcome
    termination: Termination | None
    gone: bool


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How far the delivery of a settled outcome is.

    Attributes:
        is_taken: Whether a reader took it, or acknowledged it.
        has_next_try: Whether another try of the same run follows: then the outcome counts as delivered once the pod of
            that try exists, and no sooner.
    """

    is_taken: bool = False
    has_next_try: bool = False

    @property
    def is_done(self) -> bool:
        """Whether the outcome counts as delivered."""
        return self.is_taken and not self.has_next_try


class Disposal(StrEnum):
    """What becomes of a pod whose outcome is delivered and whose log is drained."""

    DELETE = "delete"
    RETAIN = "retain"


class SettledState(BaseState, frozen=True):
    """The pod has its one outcome.

    Attributes:
        outcome: It.
        gone: Whether the pod is no longer there.
        disposal: What becomes of the pod in the end.
        delivery: How far the delivery of the outcome is.
    """

    is_ended: ClassVar[bool] = True

    snapshot: Snapshot
    outcome: Outcome
    gone: bool
    disposal: Disposal
    delivery: Delivery

    @property
    def is_undelivered(self) -> bool:
        """Whether the outcome is not delivered."""
        return self.delivery.has_next_try or not self.delivery.is_taken

    @property
    def waits_for_reader(self) -> bool:
        """Whether only a reader delivers the outcome, and not another try of the run."""
        return not (self.delivery.has_next_try or self.delivery.is_taken)


class Draining(SettledState, frozen=True):
    """The rest of the log is read; beside it, the outcome is delivered."""

    is_open: ClassVar[bool] = True


class Undelivered(SettledState, frozen=True):
    """The log is read; the outcome waits for its delivery, and the pod stays until then."""

    is_drained: ClassVar[bool] = True


class Reporting(SettledState, frozen=True):
    """The pod is retained, and is being marked as reported."""

    is_open: ClassVar[bool] = True
    is_drained: ClassVar[bool] = True


class Removing(SettledState, frozen=True):
    """The pod is being deleted."""

    is_open: ClassVar[bool] = True
    is_drained: ClassVar[bool] = True


class Finished(BaseState, frozen=True):
    """Nothing more is done about the pod. It stays like this.

    Attributes:
        outcome: Its one outcome.
        snapshot: The last that was known of it; None: there never was a pod.
        gone: Whether the pod is no longer there.
        launch_error: Why it could not be created; None: it could, or the launch was cancelled.
    """

    is_ended: ClassVar[bool] = True
    is_drained: ClassVar[bool] = True
    is_done: ClassVar[bool] = True

    outcome: Outcome
    snapshot: Snapshot | None = None
    gone: bool = False
    launch_error: PodrunnerError | None = None


class Relinquished(BaseState, frozen=True):
    """The pod is another runner's, or left to one: no outcome comes from here. It stays like this.

    Attributes:
        snapshot: The last that was known of it; None: there was no pod yet.
        gone: Whether the pod was no longer there by then.
        launch_error: Why it could not be had; None: it was this runner's, or the runner gave the launch up.
    """

    is_ended: ClassVar[bool] = True
    is_drained: ClassVar[bool] = True
    is_done: ClassVar[bool] = True

    snapshot: Snapshot | None = None
    gone: bool = False
    launch_error: PodrunnerError | None = None


State: TypeAlias = (
    New
    | Queued
    | Creating
    | Active
    | Terminating
    | AwaitingFinalStatus
    | Enriching
    | Recording
    | Draining
    | Undelivered
    | Reporting
    | Removing
    | Finished
    | Relinquished
)
Live: TypeAlias = Active | Terminating | AwaitingFinalStatus
Settled: TypeAlias = Draining | Undelivered | Reporting | Removing


# Reading a state


def outcome_of(state: State) -> Outcome | None:
    """Returns the settled outcome; None while there is none."""
    return state.outcome if isinstance(state, SettledState | Finished) else None


def snapshot_of(state: State) -> Snapshot | None:
    """Returns what is known of the pod; None before it exists."""
    return state.snapshot


def is_gone(state: State) -> bool:
    """Returns whether the pod existed and is no longer there."""
    return isinstance(state, Enriching | Recording | SettledState | Finished | Relinquished) and state.gone

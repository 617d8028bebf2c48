"""Whether a workload is tried again after its pod's outcome, as which try, and after how long. Pure decisions.

Two budgets: what came to nothing before the work began, by no fault of the workload, is launched anew without charge
(another pod of the same attempt); everything else that may be tried again is charged: the next attempt. Doing it is the
business of :mod:`podrunner.runner.runs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from podrunner.errors import UsageError
from podrunner.kube import Backoff
from podrunner.outcome import Fault

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from tenacity import RetryCallState

    from podrunner.config import RunRetrySettings
    from podrunner.outcome import Outcome
    from podrunner.workload import WorkloadKey

__all__ = ["RetryPolicy", "next_try", "wait_before"]

JOB_BACKOFF: Final = Backoff(initial_s=10.0, max_s=360.0, jitter=0.5)
"""The Job controller's curve (10 s, 20 s, 40 s … six minutes at most), half of each wait at random."""


def _if_retryable(outcome: Outcome) -> bool:
    return outcome.retryable


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """When a workload is tried again. A success, and what its owner cancelled, never is.

    Attributes:
        attempts: Charged tries at most, the first included: each is an attempt of its own, as its pod says. 1: what has
            begun is not tried again.
        infrastructure_retries: Free tries of one attempt: for pods that came to nothing before the work began
            (``started`` is False) by the infrastructure's fault. They leave the attempt as it is. Once they are used
            up, such an end counts like any other.
        wait: Before the next try: seconds, a ``podrunner.kube.Backoff``, or a function such as one of tenacity's
            waits, which is given a ``RetryCallState`` (``attempt_number`` counts all tries; ``outcome.result()`` is the
            pod's :class:`Outcome`) and returns seconds. The default doubles from 10 s to six minutes, as the
            Job controller does.
        retry_if: Whether a pod that ended like this is worth a charged try. The default is the outcome's own
            ``retryable``, which leaves a workload's own failure alone; ``lambda outcome: True`` tries that again too.

    Raises:
        UsageError: A number is out of range.
    """

    attempts: int = 1
    infrastructure_retries: int = 3
    wait: float | Backoff | Callable[[RetryCallState], float] = JOB_BACKOFF
    retry_if: Callable[[Outcome], bool] = _if_retryable

    def __post_init__(self) -> None:
        if self.attempts < 1:
            raise UsageError(f"attempts must be at least 1, not {self.attempts}")
        if self.infrastructure_retries < 0:
            raise UsageError(f"infrastructure_retries must not be negative: {self.infrastructure_retries}")
        if isinstance(self.wait, int | float) and not 0 <= self.wait < float("inf"):
            raise UsageError(f"wait must be a number of seconds from 0, not {self.wait}")

    @classmethod
    def of(cls, settings: RunRetrySettings) -> RetryPolicy:
        """The policy that a configuration's ``run_retry`` says."""
        return cls(
            attempts=settings.attempts,
            infrastructure_retries=settings.infrastructure_retries,
            wait=Backoff(initial_s=settings.initial_s, max_s=settings.max_s, jitter=settings.jitter),
        )


def next_try(
    policy: RetryPolicy, outcome: Outcome, *, key: WorkloadKey, first: WorkloadKey
) -> WorkloadKey | None:
    """Decides what comes after a pod's outcome; None: nothing, the run is over.

    It knows nothing but the pod's own key, so that a restarted scheduler decides alike.

    Args:
        policy: The budgets.
        outcome: The pod's.
        key: The pod's.
        first: The key with which the run began.
    """
    if outcome.succeeded or outcome.fault is Fault.CALLER:
        return None
    is_free = not outcome.started and outcome.fault is Fault.INFRASTRUCTURE
    if is_free and key.relaunch < policy.infrastructure_retries:
        return key.next_relaunch()
    charged = key.attempt - first.attempt + 1
    return key.next_attempt() if charged < policy.attempts and policy.retry_if(outcome) else None


def wait_before(policy: RetryPolicy, outcome: Outcome, *, tries: int, random: Random) -> float:
    """Says how many seconds to wait after so many tries (≥ 1), the last of which ended like this."""
    if isinstance(policy.wait, Backoff):
        return policy.wait.wait_s(tries, random=random)
    if isinstance(policy.wait, int | float):
        return float(policy.wait)
    seconds = float(policy.wait(_call_state(outcome, tries)))
    return max(seconds, 0.0) if isfinite(seconds) else JOB_BACKOFF.max_s


def _call_state(outcome: Outcome, tries: int) -> Any:
    """What tenacity's waits look at."""
    from tenacity import AsyncRetrying, RetryCallState

    state = RetryCallState(AsyncRetrying(), None, (), {})
    state.attempt_number = tries
    state.set_result(outcome)
    return state

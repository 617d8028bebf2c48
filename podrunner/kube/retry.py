"""Try a request again after a transient error, with a backoff and a budget per kind of error.

Entered only after a first failure: retry machinery around a success costs 41 µs, half of the request itself. What may
be tried again is decided in ``answers``; ``Retry-After`` for all requests is the gate's (``gate``).
"""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final, TypeVar

import anyio

from podrunner.errors import ApiError, PodrunnerError
from podrunner.event_loop import current_time
from podrunner.kube.answers import TransientKind, is_transient, transient_kind

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from tenacity import RetryCallState

    from podrunner.config import RetrySettings

__all__ = ["Backoff", "RequestRetry", "retrying"]

T = TypeVar("T")

_TRIES_WITHOUT_RIGHTS: Final = 6
_TRIES_AT_ADMISSION: Final = 5
"""With the default waits about six seconds: what was created just before the pod is known to all servers by then."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Waits that grow twofold, with jitter.

    Attributes:
        initial_s: Seconds before the second try.
        max_s: Longest wait in seconds.
        attempts: How many tries at most, the first included; 0: without limit.
        jitter: Share of each wait that is random: 0 none, 1 all of it.
    """

    initial_s: float
    max_s: float
    attempts: int = 0
    jitter: float = 1.0

    def wait_s(self, failures: int, *, random: Random) -> float:
        """Return the seconds to wait after so many failures (≥ 1)."""
        # The exponent is bounded: 2.0**1024 would overflow in a retry without limit.
        full = min(self.max_s, self.initial_s * 2.0 ** min(failures - 1, 60))
        return full * (1 - self.jitter * random.random())

    def exhausted(self, failures: int) -> bool:
        """Say whether so many failures use the budget up."""
        return 0 < self.attempts <= failures


_INITIAL_CONNECT: Final = Backoff(initial_s=0.25, max_s=1.0)
"""While no server has answered yet: short waits, since a person or a whole scheduler waits."""


@dataclass(frozen=True, slots=True)
class RequestRetry:
    """A backoff for each kind of transient error.

    Attributes:
        backoffs: The backoffs.
        initial_connect_timeout_s: Seconds since the first try's begin after which none begins any more at a server that
            has never answered.
    """

    backoffs: Mapping[TransientKind, Backoff]
    initial_connect_timeout_s: float = 4.0

    @classmethod
    def of(cls, settings: RetrySettings) -> RequestRetry:
        """Derive the policy from the settings.

        A lost connection, throttling and a failing server take the settings as they are. A server that never answered
        is tried for ``initial_connect_timeout_s``, however often. A conflict on a quota's
        counter passes in a moment: an eighth of the waits. An exhausted quota passes when other pods end: twice the
        waits, four times the tries. A right that was there before comes back when a server has started, or never: six
        tries at most. What admission misses was created a moment ago, or is not there: five tries at most.
        """
        plain = _backoff(settings, waits=1.0, tries=1)
        return cls(
            {
                TransientKind.CONNECTION: plain,
                TransientKind.UNREACHABLE: _INITIAL_CONNECT,
                TransientKind.THROTTLED: plain,
                TransientKind.SERVER: plain,
                TransientKind.RIGHTS: _at_most(plain, _TRIES_WITHOUT_RIGHTS),
                TransientKind.ADMISSION: _at_most(plain, _TRIES_AT_ADMISSION),
                TransientKind.CONFLICT: _backoff(settings, waits=0.125, tries=1),
                TransientKind.QUOTA: _backoff(settings, waits=2.0, tries=4),
            },
            settings.initial_connect_timeout_s,
        )


def _backoff(settings: RetrySettings, *, waits: float, tries: int) -> Backoff:
    return Backoff(
        initial_s=settings.initial_s * waits,
        max_s=settings.max_s * waits,
        attempts=settings.attempts * tries,
        jitter=settings.jitter,
    )


def _at_most(backoff: Backoff, tries: int) -> Backoff:
    return replace(backoff, attempts=min(backoff.attempts or tries, tries))


async def retrying(
    call: Callable[[], Awaitable[T]],
    *,
    policy: RequestRetry,
    name: str,
    sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
    random: Random | None = None,
    on_retry: Callable[[PodrunnerError, float], None] | None = None,
    clock: Callable[[], float] = current_time,
) -> T:
    """Call until it succeeds, fails for good, or its budget is used up; then the last error is raised.

    Args:
        call: One try.
        policy: How long and how often, by kind of error.
        name: What is tried, for the log: ``create pod ns/name``.
        sleep: Waits for so many seconds.
        random: The source of jitter.
        on_retry: Called with each failure that is tried again, and the seconds until then.
        clock: Seconds that only ever grow.
    """
    began_s = clock()
    try:
        return await call()
    except PodrunnerError as error:
        if not is_transient(error):
            raise
        first = error
    source = random or Random()  # noqa: S311  # jitter guards nothing
    budget = _Budget(policy, name, random=source, on_retry=on_retry, elapsed_s=lambda: clock() - began_s)
    return await _again(call, first, budget, sleep=sleep)


async def _again(
    call: Callable[[], Awaitable[T]],
    first: PodrunnerError,
    budget: _Budget,
    *,
    sleep: Callable[[float], Awaitable[None]],
) -> T:
    from tenacity import AsyncRetrying

    pending = [first]

    async def attempt() -> T:
        if pending:  # the failure that was seen already counts as the first attempt
            raise pending.pop()
        return await call()

    loop = AsyncRetrying(
        retry=budget.retry,
        stop=budget.stop,
        wait=budget.wait,
        before_sleep=budget.report,
        sleep=sleep,
        reraise=True,
    )
    return await loop(attempt)


class _Budget:
    """What tenacity asks after each attempt."""

    def __init__(
        self,
        policy: RequestRetry,
        name: str,
        *,
        random: Random,
        on_retry: Callable[[PodrunnerError, float], None] | None,
        elapsed_s: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._name = name
        self._random = random
        self._on_retry = on_retry
        self._elapsed_s = elapsed_s
        self._failures: Counter[TransientKind] = Counter()

    def retry(self, state: RetryCallState) -> bool:
        kind = transient_kind(error) if (error := _error(state)) is not None else None
        if kind is not None:
            self._failures[kind] += 1
        return kind is not None

    def stop(self, state: RetryCallState) -> bool:
        kind, backoff = self._now(state)
        if kind is TransientKind.UNREACHABLE:
            return self._gives_up(state)
        return backoff.exhausted(self._failures[kind])

    def _gives_up(self, state: RetryCallState) -> bool:
        """Whether a server that has never answered was tried for long enough; the error says for how long."""
        limit_s = self._policy.initial_connect_timeout_s
        over = self._elapsed_s() + state.upcoming_sleep > limit_s
        if over and (error := _error(state)) is not None:
            error.add_note(f"Tried for {limit_s:g} s: retry.initial_connect_timeout_s")
        return over

    def wait(self, state: RetryCallState) -> float:
        kind, backoff = self._now(state)
        error = _error(state)
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        return max(backoff.wait_s(self._failures[kind], random=self._random), asked_s or 0.0)

    def report(self, state: RetryCallState) -> None:
        error, wait_s = _error(state), state.upcoming_sleep
        _log.info("%s failed, trying again in %.1f s: %s", self._name, wait_s, error)
        if self._on_retry is not None and isinstance(error, PodrunnerError):
            self._on_retry(error, wait_s)

    def _now(self, state: RetryCallState) -> tuple[TransientKind, Backoff]:
        error = _error(state)
        kind = transient_kind(error) if error is not None else None
        assert kind is not None, "called only after a transient error"
        return kind, self._policy.backoffs[kind]


def _error(state: RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome is not None else None

"""A Lease per runner: which runners are alive, and which are gone.

A runner renews its Lease; a pod whose owner's Lease ran out, was given back or never was may be adopted by another
runner of the same scope. A runner that did not renew in time counts itself as gone *before* the others do: by its own
clocks it stops when the Lease's time is over, while the others wait :data:`CLOCK_SKEW_S` longer. It never comes back
as the same owner, so what it knew before it was stopped, suspended or cut off is never reported beside what its
successor reports.

An embedder may take a runner for gone before its Lease is over (:mod:`podrunner.ownership.revocation`). So a runner
*doubts* its Lease when the process was stopped for some seconds, and when a pod is taken from it: then it asks the
server before it settles or changes anything (:meth:`LeaseKeeper.confirm`).

Whether a Lease is still held is a pure decision (:func:`lease_state`) on a time that is handed in.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from podrunner.builder import safe_label
from podrunner.builder.labels import MANAGED_BY, MANAGER, NAMESPACES, OWNER, SCOPE
from podrunner.errors import (
    AlreadyExistsError,
    ApiError,
    ConflictError,
    NotFoundError,
    OwnershipError,
    PodrunnerError,
)
from podrunner.event_loop import clock_of_loop, current_time, make_event

if TYPE_CHECKING:
    from podrunner.kube import KubeClient

__all__ = [
    "CLOCK_SKEW_S",
    "LeaseKeeper",
    "LeaseState",
    "WallClock",
    "given_back",
    "is_given_back",
    "lease_end",
    "lease_name",
    "lease_state",
    "new_owner",
    "renewal_of",
    "utc_now",
]

_logger = logging.getLogger(__name__)

# client-go's leader election trusts no remote clock; we do, for so far as clocks of one cluster may differ.
CLOCK_SKEW_S: Final = 5.0
_RENEWALS_PER_DURATION: Final = 3
# A renewal that failed or hangs is tried again this often per duration: one lost answer must not cost the Lease.
_TRIES_PER_DURATION: Final = 12
# Waits before each read of a Lease whose request was interrupted: the server may do it nevertheless, a moment later.
_READS_AFTER_INTERRUPTION_S: Final = (0.0, 0.5, 1.5)
# So often the time is noted; if a note is that much late, the process was stopped, or the machine slept.
_PULSE_S: Final = 1.0
_LATE_S: Final = 3.0
_LATE_AFTER_S: Final = _PULSE_S + _LATE_S

_OF_THE_HOLDER: Final = ("holderIdentity", "renewTime", "acquireTime")

WallClock = Callable[[], dt.datetime]


def utc_now() -> dt.datetime:
    """The time of day, in UTC."""
    return dt.datetime.now(dt.UTC)


def new_owner() -> str:
    """A name for a runner that was given none."""
    return f"runner-{uuid.uuid4().hex[:12]}"


def lease_name(owner: str) -> str:
    """The name of an owner's Lease: a valid object name for every owner."""
    return f"podrunner-{safe_label(owner).lower().replace('_', '-').replace('.', '-')}"


class LeaseState(StrEnum):
    """What a Lease says about its owner."""

    HELD = "held"
    """The owner is there."""
    EXPIRED = "expired"
    """It was not renewed in time."""
    RELEASED = "released"
    """It names no holder: given back."""
    ABSENT = "absent"
    """There is none: given back and removed, or never taken."""


def lease_state(
    lease: Mapping[str, Any] | None, *, now: dt.datetime, skew_s: float = CLOCK_SKEW_S
) -> LeaseState:
    """Decides whether a Lease is held.

    Args:
        lease: The Lease, or None if there is none.
        now: The present time.
        skew_s: Seconds that the clocks of runners may differ; an owner is given that much longer.
    """
    if lease is None:
        return LeaseState.ABSENT
    spec = lease.get("spec") or {}
    if not spec.get("holderIdentity"):
        return LeaseState.RELEASED
    end = lease_end(lease)
    if end is None:
        return LeaseState.EXPIRED
    return LeaseState.HELD if now < end + dt.timedelta(seconds=skew_s) else LeaseState.EXPIRED


def lease_end(lease: Mapping[str, Any]) -> dt.datetime | None:
    """Returns when a Lease ends unless it is renewed, by its holder's clock; None: it was never renewed."""
    spec = lease.get("spec") or {}
    renewed = _parse_time(spec.get("renewTime") or spec.get("acquireTime"))
    if renewed is None:
        return None
    return renewed + dt.timedelta(seconds=float(spec.get("leaseDurationSeconds") or 0))


def given_back(lease: Mapping[str, Any]) -> dict[str, Any]:
    """Returns a Lease as its holder leaves it to those who come after; its version stays, for a compare-and-swap."""
    kept = {name: value for name, value in lease["spec"].items() if name not in _OF_THE_HOLDER}
    return {**lease, "spec": kept}


def is_given_back(lease: Mapping[str, Any]) -> bool:
    """Whether a Lease is one of :func:`given_back`; one that was revoked is not: its owner may live."""
    spec = lease.get("spec") or {}
    return "leaseDurationSeconds" in spec and not any(spec.get(name) for name in _OF_THE_HOLDER)


def renewal_of(lease: Mapping[str, Any] | None) -> object:
    """Returns what each renewal of a Lease changes, and each change of its holder."""
    spec = (lease or {}).get("spec") or {}
    return spec.get("renewTime"), spec.get("holderIdentity")


def _parse_time(text: object) -> dt.datetime | None:
    try:
        parsed = dt.datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=dt.UTC)


def _format_time(moment: dt.datetime) -> str:
    # MicroTime of the API: six digits, always.
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class _Sent(NamedTuple):
    """A moment by all clocks, such as when a renewal was sent: the others count from then, not from its answer."""

    on_loop: float
    by_day: dt.datetime
    monotonic: float
    epoch_s: float = 0.0


class LeaseKeeper:
    """One runner's Lease: taken, kept, given back.

    Args:
        client: The API server.
        namespace: The Lease's namespace.
        owner: The runner's name.
        scope: The runner's scope, as a label.
        duration_s: Seconds without renewal after which the runner counts as gone.
        namespaces: The namespaces of its pods, which the Lease says; None among them: all. Empty: it does not say.
        now: The time of day.

    Attributes:
        is_inherited: Whether an earlier process of this name left it.
    """

    def __init__(
        self,
        client: KubeClient,
        namespace: str,
        *,
        owner: str,
        scope: str,
        duration_s: float,
        namespaces: Sequence[str | None] = (),
        now: WallClock = utc_now,
    ) -> None:
        self.name: str = lease_name(owner)
        self.lost: bool = False
        self.is_inherited: bool = False
        self._client = client
        self._namespace = namespace
        self._owner = owner
        self._scope = scope
        self._duration_s = duration_s
        self._loop_time: Callable[[], float] = current_time
        self._namespaces = ",".join(namespace or "*" for namespace in namespaces)
        self._now = now
        self._epoch_s: Callable[[], float] = time.time if now is utc_now else lambda: now().timestamp()
        # Two processes that were given one owner's name are still two holders.
        self._holder = f"{owner}_{uuid.uuid4().hex}"
        self._lease: dict[str, Any] | None = None
        self._renewed = _Sent(0.0, dt.datetime.min.replace(tzinfo=dt.UTC), 0.0)
        self._is_asked_for = False  # by a request without an answer, or with one that gave it
        self._is_releasing = False
        self._unanswered: _Sent | None = None  # when a renewal was sent that got no answer
        self._on_lost: Callable[[str], None] = lambda _: None
        self._leaves_logs: Callable[[], bool] = lambda: False
        self._pulse: _Sent | None = None
        self._doubted_at: float | None = None
        self._urged, self._answered = make_event(), make_event()

    async def acquire(self) -> None:
        """Takes the Lease. One that an earlier process of this name left behind is waited out.

        Raises:
            OwnershipError: A living runner has this name.
            ApiError: The server refuses Leases, such as for want of rights.
        """
        if await self._create():
            return
        try:
            await self._take_over()
        except NotFoundError as error:  # another runner has just removed what was given back
            if not await self._create():
                raise self._taken("another runner took it just now") from error

    @property
    def uid(self) -> str:
        """The Lease's UID, which no other Lease ever has; "": it is not known."""
        return str(((self._lease or {}).get("metadata") or {}).get("uid") or "")

    def guard(
        self, on_lost: Callable[[str], None], *, leaves_logs: Callable[[], bool] = lambda: False
    ) -> None:
        """Sets what the Lease asks its runner.

        Args:
            on_lost: Called once, with the reason why the Lease is lost.
            leaves_logs: Whether log files are left that are not read to their ends. Then the Lease stays when it is
                given back, without a holder: it shows the next runner whose they were.
        """
        self._on_lost, self._leaves_logs = on_lost, leaves_logs

    async def keep(self) -> None:
        """Renews until it is cancelled, or until the Lease is lost."""
        pause_s = self._duration_s / _RENEWALS_PER_DURATION
        renewed = True
        while self.is_held():
            with anyio.move_on_after(pause_s):
                await (self._urged.wait() if renewed else anyio.sleep_forever())
            self._urged = make_event()
            if self.is_held():
                renewed = await self._renew()
                pause_s = self._duration_s / (_RENEWALS_PER_DURATION if renewed else _TRIES_PER_DURATION)
                self._answer()

    def pulse(self) -> None:
        """Notes the time, each second. If that comes late, the process was stopped, and the Lease is doubted."""
        self._look_at_clocks()
        self._pulse = self._sent()

    def doubt(self) -> None:
        """Something says that the Lease may be another runner's: it is renewed at once."""
        self._doubted_at = current_time()
        self._urged.set()

    @property
    def is_doubted(self) -> bool:
        """Whether what :meth:`is_held` says is in doubt: then :meth:`confirm` waits for an answer."""
        self._look_at_clocks()
        return self._doubted_at is not None

    async def confirm(self) -> None:
        """Returns when the Lease is held without doubt, or is lost: at once, unless it is doubted."""
        if not self.is_doubted:
            return
        while self._doubted_at is not None and self.is_held():
            await self._answered.wait()

    def _look_at_clocks(self) -> None:
        """Doubts the Lease, once, if the clocks went on without us."""
        if self._pulse is not None and self._is_older(self._pulse, _LATE_AFTER_S):
            self._pulse = self._sent()
            self.doubt()

    def _answer(self) -> None:
        self._answered.set()
        self._answered = make_event()

    def is_held(self) -> bool:
        """Whether we may act, by our own clocks: to be asked before whatever only an owner may do.

        A process that was stopped or suspended for longer than the Lease's duration finds here that it is no owner.
        """
        if not self.lost and self._is_older(self._renewed, self._duration_s):
            self._lose(f"not renewed for {self._age_s(self._renewed):.0f} s")
        return not self.lost

    def has_time_left(self) -> bool:
        """Whether the Lease's time is not over. For threads: it asks the clocks of the machine, and changes nothing.

        A thread of a process that was stopped may run before the event loop does.
        """
        return not self.lost and self._silence_s() <= self._duration_s

    def _silence_s(self) -> float:
        """Seconds since the last renewal was sent. The monotonic clock may stand still while a machine sleeps."""
        return self._age_in_thread_s(self._renewed)

    def _is_older(self, moment: _Sent, age_s: float) -> bool:
        """Whether a moment is longer ago by any of the clocks: this is asked before each request."""
        return (
            time.monotonic() - moment.monotonic > age_s
            or self._loop_time() - moment.on_loop > age_s
            or self._epoch_s() - moment.epoch_s > age_s
        )

    def _age_s(self, moment: _Sent) -> float:
        return max(current_time() - moment.on_loop, self._age_in_thread_s(moment))

    def _age_in_thread_s(self, moment: _Sent) -> float:
        return max(time.monotonic() - moment.monotonic, self._epoch_s() - moment.epoch_s)

    def _lose(self, why: str) -> None:
        self.lost = True
        self._answer()
        self._on_lost(why)

    async def release(self) -> None:
        """Gives the Lease back, if it is still ours: other runners may adopt at once. A failure lets it run out.

        Also one that an interrupted request took, or takes in the next moments. It may be called again after it was
        interrupted itself.
        """
        if self.lost and not self._is_releasing:
            return
        self.lost = self._is_releasing = True  # before another runner may adopt
        try:
            if self._lease is None:
                await self._give_back_untold()
            else:
                await self._give_back(self._lease)
        except PodrunnerError as error:
            _logger.info("lease %s is left to run out: %s", self.name, error)

    async def _give_back_untold(self) -> None:
        """Deletes a Lease that was asked for without an answer, as soon as it is there."""
        for wait_s in _READS_AFTER_INTERRUPTION_S if self._is_asked_for else ():
            await anyio.sleep(wait_s)
            found = await self._read()
            if _holder(found) == self._holder and found is not None:
                await self._delete_at(found)
                return

    async def _give_back(self, known: Mapping[str, Any]) -> None:
        """Gives it back at the version that is known, or that our own last renewal gave it: never another's.

        A process that was stopped past its Lease may end before it hears that another one of its name has it now.
        """
        try:
            await self._give_back_at(known)
        except ConflictError:
            found = await self._read()
            if found is not None and _holder(found) == self._holder:
                await self._give_back_at(found)

    async def _give_back_at(self, lease: Mapping[str, Any]) -> None:
        if self._leaves_logs():
            await self._client.replace_lease(self._namespace, self.name, given_back(lease))
        else:
            await self._delete_at(lease)

    async def _delete_at(self, lease: Mapping[str, Any]) -> None:
        version = lease["metadata"]["resourceVersion"]
        await self._client.delete_lease(self._namespace, self.name, resource_version=version)

    async def _create(self) -> bool:
        sent = self._sent()
        try:
            self._lease = await self._asked(self._client.create_lease(self._namespace, self._manifest(sent)))
        except AlreadyExistsError:
            return False
        self._noterenewal_of(sent)
        return True

    async def _asked(self, asking: Awaitable[dict[str, Any]]) -> dict[str, Any]:
        """Asks for the Lease; until there is an answer, it may be ours."""
        was_asked_for, self._is_asked_for = self._is_asked_for, True
        try:
            return await asking
        except ApiError:
            self._is_asked_for = was_asked_for
            raise

    def _sent(self) -> _Sent:
        self._loop_time = clock_of_loop()
        return _Sent(self._loop_time(), self._now(), time.monotonic(), self._epoch_s())

    async def _take_over(self) -> None:
        found = await self._read()
        if _holder(found) == self._holder:
            _logger.info("lease %s is ours already: the answer was lost", self.name)
        elif lease_state(found, now=self._now()) is LeaseState.HELD:
            _logger.info("lease %s is held; waiting for it to be renewed or to run out", self.name)
            found = await self._wait_out(found)
        sent = self._sent()
        try:
            version = ((found or {}).get("metadata") or {}).get("resourceVersion")
            if version is None:
                asking = self._client.create_lease(self._namespace, self._manifest(sent))
            else:
                asking = self._client.replace_lease(self._namespace, self.name, self._manifest(sent, version))
            self._lease = await self._asked(asking)
        except ConflictError as error:
            raise self._taken("another runner took it just now") from error
        self.is_inherited = version is not None and _holder(found) != self._holder
        self._noterenewal_of(sent)

    async def _wait_out(self, found: Mapping[str, Any] | None) -> dict[str, Any] | None:
        first = renewal_of(found)
        while True:
            await anyio.sleep(1.0)
            lease = await self._read()
            if lease_state(lease, now=self._now()) is not LeaseState.HELD:
                return lease
            if renewal_of(lease) != first:
                raise self._taken("it is being renewed")

    def _taken(self, why: str) -> OwnershipError:
        return OwnershipError(
            f"another runner is called {self._owner!r}: lease {self._namespace}/{self.name}: {why}; "
            "give each runner an owner's name of its own, or none",
            namespace=self._namespace,
            name=self.name,
            owner=self._owner,
        )

    async def _read(self) -> dict[str, Any] | None:
        try:
            return await self._client.read_lease(self._namespace, self.name)
        except NotFoundError:
            return None

    async def _renew(self) -> bool:
        """Renews once, in a bounded time. False: not this time, or never again."""
        try:
            with anyio.fail_after(self._duration_s / _RENEWALS_PER_DURATION):
                if self._unanswered is not None:
                    return await self._came_through(self._unanswered) or (
                        not self.lost and await self._replace()
                    )
                return await self._replace() or (await self._is_ours() and await self._replace())
        except (PodrunnerError, TimeoutError) as error:
            _logger.warning("lease %s was not renewed: %s", self.name, str(error) or "no answer in time")
            return False

    async def _came_through(self, sent: _Sent) -> bool:
        """Reads whether the renewal without an answer was done: then it counts, from when it was sent.

        Where answers are lost this takes one request, where another renewal would be refused for its version first.
        """
        if not await self._is_ours() or _renewed_on(self._lease) != _format_time(sent.by_day):
            return False
        self._noterenewal_of(sent)
        return True

    async def _replace(self) -> bool:
        version = ((self._lease or {}).get("metadata") or {}).get("resourceVersion")
        self._unanswered = sent = self._sent()
        try:
            self._lease = await self._client.replace_lease(
                self._namespace, self.name, self._manifest(sent, version)
            )
        except ConflictError:
            self._unanswered = None
            return False
        except NotFoundError:
            self._unanswered = None
            return await self._create()
        self._noterenewal_of(sent)
        return True

    def _noterenewal_of(self, sent: _Sent) -> None:
        self._renewed = sent
        self._pulse = self._pulse or sent
        self._unanswered = None
        if self._doubted_at is not None and sent.on_loop >= self._doubted_at:
            self._doubted_at = None

    async def _is_ours(self) -> bool:
        """Reads whether the Lease is still ours; if it is another runner's, it is lost."""
        self._lease = lease = await self._read()
        if lease is not None and _holder(lease) != self._holder:
            holder = _holder(lease)
            self._lose(
                f"it is held by {holder}"
                if holder
                else "another runner took this one for gone, and revoked it"
            )
        return not self.lost

    def _manifest(self, sent: _Sent, resource_version: str | None = None) -> dict[str, Any]:
        now = _format_time(sent.by_day)
        metadata: dict[str, Any] = {
            "name": self.name,
            "namespace": self._namespace,
            "labels": {MANAGED_BY: MANAGER, SCOPE: safe_label(self._scope)},
            "annotations": {OWNER: self._owner}
            | ({NAMESPACES: self._namespaces} if self._namespaces else {}),
        }
        if resource_version is not None:
            metadata["resourceVersion"] = resource_version
        spec = {
            "holderIdentity": self._holder,
            "leaseDurationSeconds": max(1, round(self._duration_s)),
            "renewTime": now,
            "acquireTime": ((self._lease or {}).get("spec") or {}).get("acquireTime") or now,
        }
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": metadata,
            "spec": spec,
        }


def _holder(lease: Mapping[str, Any] | None) -> str | None:
    holder: str | None = ((lease or {}).get("spec") or {}).get("holderIdentity")
    return holder


def _renewed_on(lease: Mapping[str, Any] | None) -> object:
    return ((lease or {}).get("spec") or {}).get("renewTime")

"""The watch loop itself: acts on a state, follows the decisions of ``podrunner.watch.states``, for ever.

One reflector is one list and watch, of one namespace or of all. It survives any error and any object: what fails is
counted, shown in :meth:`Reflector.health`, and tried again. Time is the event loop's (``current_time``), so
that tests run it in virtual time; the random source is handed in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Protocol

import anyio

from podrunner.errors import (
    ApiError,
    ForbiddenError,
    RequestTimeoutError,
    RunnerClosedError,
    TransportError,
)
from podrunner.event_loop import current_time, make_event
from podrunner.interruption import protect
from podrunner.kube import PageGuard
from podrunner.log_fields import pod_fields
from podrunner.watch.backoff import WatchBackoff
from podrunner.watch.health import WatchHealth, WatchStatus
from podrunner.watch.states import (
    Listing,
    NoInitialEventsError,
    ShortWatchError,
    State,
    Streaming,
    StreamingLists,
    UnreadableWatchError,
    UnreadEventsError,
    VersionWentBackError,
    Watching,
    after_failure,
    after_page,
    is_back,
    is_unsupported,
)
from podrunner.watch.store import Kind, Observation, PodStore, PodView
from podrunner.watch.transform import PodTransform
from podrunner.watch.unread import UnreadEvents, contradicts, is_plausible
from podrunner.watch.verifier import DeletionVerifier, PodReader, is_conclusive

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractAsyncContextManager
    from random import Random

    from podrunner.config.policies import WatchSettings
    from podrunner.kube import PodPage, WatchEvent, WatchStream
    from podrunner.outcome.record import Pod

__all__ = ["PodListerWatcher", "Reflector"]

_log = logging.getLogger(__name__)

_SHORT_WATCH_S = 1.0
"""A watch that ends sooner counts as failed (client-go draws the same line: "very short watch")."""

_STREAMING_PATIENCE_S = 15.0
"""Seconds that a streaming list may be silent before pages are tried: a server that supports it sends at once, and one
that ignores the parameter would never say that the list is complete."""

_STREAMING_WITHIN_S = 300.0
"""Seconds that a streaming list may take, whatever it brings: 150,000 pods of 10 KB at 5 MB a second."""

_UNREADABLE_PATIENCE = 1.5
"""How often ``stale_after_s`` a watch may bring bytes and no event: what is known is stale, and reported so, before a
list brings it up to date."""

_SILENCES = 2
"""After how many silent connections in a row a list follows. A load balancer may have dropped one: it is opened anew. A
second may be that of a server whose versions went back, and which holds back all events below ours (kubernetes 107457;
``cacheWatcher.process``)."""

_ASK_TO_END = (0.9, 1.0)
"""Share of ``server_timeout_s`` that is asked for, at random, so that many watches do not end together."""


class _SilentWatchError(RequestTimeoutError):
    """A watch was silent for too long."""


_EXPECTED = (
    ApiError,
    TransportError,
    ShortWatchError,
    NoInitialEventsError,
    UnreadableWatchError,
    UnreadEventsError,
    VersionWentBackError,
)


class PodListerWatcher(PodReader, Protocol):
    """What a reflector needs of a client."""

    async def list_pods(
        self,
        namespace: str | None,
        *,
        label_selector: str = "",
        limit: int | None = None,
        continue_token: str | None = None,
    ) -> PodPage:
        """Read one page."""
        ...

    def watch_pods(
        self,
        namespace: str | None,
        *,
        label_selector: str = "",
        resource_version: str = "",
        timeout_s: float | None = None,
        send_initial_events: bool = False,
    ) -> AbstractAsyncContextManager[WatchStream]:
        """Open one watch."""
        ...


class Reflector:
    """Keeps a store of pods up to date with the server, and reports changes.

    Args:
        client: Lists, watches and reads pods.
        namespace: The namespace; None: all.
        label_selector: Which pods, as ``kubectl get -l``.
        settings: Page size, timeouts, waits.
        random: The source of jitter.
        sink: Called with each batch of observations, in order, on the event loop. It must be quick and should not
            raise; if it does, the batch is handed over once more, one by one, and what still raises is logged.
        accept: Whether a pod is ours, its labels included: those that the server selected and that are not are skipped
            and counted, and one that seems to have left the selection is asked. None: all that are selected are.
        conditions: Types of pod conditions that are held beside those that podrunner itself reads.
        texts_of: Returns texts that the process holds anyway of the pod of a namespace and name, to be shared.
    """

    def __init__(  # noqa: PLR0913  # what is watched, and what is held of it
        self,
        client: PodListerWatcher,
        *,
        namespace: str | None,
        label_selector: str,
        settings: WatchSettings,
        random: Random,
        sink: Callable[[Sequence[Observation]], None],
        accept: Callable[[Pod], bool] | None = None,
        conditions: Iterable[str] = (),
        texts_of: Callable[[str, str], Iterable[str]] | None = None,
    ) -> None:
        self._client = client
        self._namespace = namespace
        self._selector = label_selector
        self._settings = settings
        self._random = random
        self._sink = sink
        self._accept = accept
        self._store = PodStore()
        self._transform = PodTransform(conditions, texts_of=texts_of)
        self._backoff = WatchBackoff(settings, random)
        self._status = WatchStatus(current_time(), stale_after_s=settings.stale_after_s)
        self._verifier = DeletionVerifier(
            client, settings, random=random, report=self._verified, is_ours=accept or _never
        )
        self._unread = UnreadEvents()
        self._unread_backoff = WatchBackoff(settings, random)
        self._unread_since_s = float("-inf")
        self._ask_again_s = float("inf")
        self._synced = False
        self._refusal: ForbiddenError | None = None
        self._ended = False
        self._news = make_event()
        self._streaming: StreamingLists = settings.streaming_lists
        self._state: State = Listing() if self._streaming == "off" else Streaming()
        self._foreign_told = False
        self._guard = self._new_guard()
        self._halvings = 0
        self._version = ""
        self._doubted = False

    @property
    def store(self) -> PodView:
        """The pods as last known; :meth:`health` says whether that is up to date."""
        return self._store.view

    @property
    def state(self) -> State:
        """Where the loop is."""
        return self._state

    def health(self, now_s: float | None = None) -> WatchHealth:
        """Return the watch's health.

        Args:
            now_s: The event loop's time, where this is called in another thread; None: it is asked for.
        """
        return self._status.report(
            current_time() if now_s is None else now_s,
            namespace=self._namespace,
            pods=len(self._store),
            unconfirmed=len(self._verifier),
        )

    async def wait_synced(self) -> None:
        """Return once a complete list was taken in.

        Raises:
            ForbiddenError: The server refuses it for want of a right that never was there. The reflector goes on
                asking: an administrator may grant it.
            RunnerClosedError: The watch was ended before.
        """
        while not self._synced:
            if self._ended:
                raise RunnerClosedError("the watch was ended before it had a complete list")
            if self._refusal is not None:
                raise self._refusal.with_traceback(None)
            await self._news.wait()

    def _wake_waiters(self) -> None:
        self._news.set()
        self._news = make_event()

    async def run(self) -> None:
        """Watch, for ever; cancel it to end it. Begun anew, it goes on from where it was."""
        self._ended = False
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(protect, self._verifier.run, name="podrunner-watch-verify")
                while True:
                    self._state = await self._step(self._state)
        finally:
            self._ended = True
            self._wake_waiters()

    async def _step(self, state: State) -> State:
        """Act on the present state once; set the next one."""
        try:
            return await self._act(state)
        except Exception as error:  # noqa: BLE001  # the loop outlives any single error; it is counted and shown
            return await self._failed(state, error)

    async def _act(self, state: State) -> State:
        match state:
            case Streaming():
                return await self._watch(None)
            case Listing():
                return await self._list(state)
            case Watching():
                return await self._watch(state.version)

    async def _failed(self, state: State, error: Exception) -> State:
        now_s = current_time()
        healthy_s = self._status.healthy_s(now_s)
        self._status.disconnected(now_s)
        self._status.failed(error)
        outdated = self._is_outdated(now_s)
        following = after_failure(self._state, error, streaming=self._streaming, outdated=outdated)
        if isinstance(self._state, Streaming) and self._streaming == "auto" and is_unsupported(error):
            self._streaming = "off"
        if isinstance(error, _SilentWatchError | UnreadEventsError):
            # It took long enough to be no hot loop, and nothing proves the connection ill.
            self._log_failure(state, error, 0.0, needs_help=False)
            return following.state
        repeated = self._backoff.failures > 0 and healthy_s < self._settings.backoff_reset_s
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        wait_s = self._backoff.wait_s(healthy_s=healthy_s, asked_s=asked_s)
        refusal = error if isinstance(error, ForbiddenError) and not error.was_allowed else None
        self._log_failure(state, error, wait_s, needs_help=refusal is not None and self._refusal is None)
        self._refusal = refusal
        self._wake_waiters()
        if following.wait or repeated:
            await anyio.sleep(wait_s)
        return following.state

    def _is_outdated(self, now_s: float) -> bool:
        """Whether to list instead of watching on.

        Not after an outage: a watch from our version brings the ends of pods that are not there any more, which no
        list does.
        """
        status = self._status
        return status.silences >= _SILENCES or (not status.credible and status.is_stale(now_s))

    def _log_failure(self, state: State, error: Exception, wait_s: float, *, needs_help: bool) -> None:
        expected = isinstance(error, _EXPECTED)
        warned = needs_help or isinstance(error, VersionWentBackError)
        _log.log(
            logging.WARNING if warned else logging.INFO if expected else logging.ERROR,
            "watch of pods in %s: %s failed: %s; going on within %.1f s",
            self._namespace or "all namespaces",
            type(state).__name__,
            error,
            wait_s,
            exc_info=None if expected else error,
        )

    # Lists

    async def _list(self, state: Listing) -> State:
        if state.token is None:
            self._guard = self._new_guard()
        page = await self._client.list_pods(
            self._namespace,
            label_selector=self._selector,
            limit=self._page_size(state) if state.paged else None,
            continue_token=state.token,
        )
        self._guard.check(len(page.items), page.continue_token)
        self._status.skipped += page.skipped
        ours = {pod.metadata.uid: self._transform(pod) for pod in page.items if self._is_ours(pod)}
        following = after_page(state, ours, version=page.resource_version, token=page.continue_token)
        if isinstance(following, Watching):
            self._swap(state.found, following.version)
            self._halvings = max(self._halvings, state.halvings)
        return following

    def _page_size(self, state: Listing) -> int:
        halvings = max(state.halvings, self._halvings) + state.spoilt
        return max(1, self._settings.page_size >> halvings)

    def _new_guard(self) -> PageGuard:
        # A runner that knows more pods than it may list was allowed to create them.
        most = max(self._settings.max_listed_pods, 2 * len(self._store))
        return PageGuard(
            max_objects=most, page_size=self._settings.page_size, remedy="see watch.max_listed_pods"
        )

    def _swap(self, pods: dict[str, Pod], version: str) -> None:
        """Take a complete list: report the differences to what was known.

        Raises:
            VersionWentBackError: The list is older than what was known, and nothing else says so: it may be the answer
                of a server that lags behind.
        """
        rewound = is_back(version, self._version)
        if rewound and not self._doubted:
            raise self._went_back("a list", version)
        self._doubted = False
        self._version = version
        living = {uid: pod for uid, pod in pods.items() if not self._store.has_tombstone(uid)}
        self._status.listed(current_time())
        self._unread.listed()
        odd = [pod for uid, pod in living.items() if not is_plausible(pod, self._store.get(uid))]
        self._report(self._store.replace(living))
        for pod in odd:
            self._verifier.ask(Observation(Kind.MODIFIED, pod))
        self._synced = True
        self._refusal = None
        self._wake_waiters()

    def _went_back(self, what: str, version: str) -> VersionWentBackError:
        self._doubted = True
        self._status.versions_back += 1
        return VersionWentBackError(
            f"{what} has version {version}, and {self._version} was known: as after a restore of the server's data"
        )

    # Watches

    async def _watch(self, version: str | None) -> State:
        """Keep one watch until it ends; without a version it brings the list along."""
        began_s = current_time()
        ask_s = self._settings.server_timeout_s * self._random.uniform(*_ASK_TO_END)
        try:
            with anyio.CancelScope() as scope:
                async with self._open(version, ask_s) as stream:
                    self._status.connected(current_time(), listing=version is None)
                    self._guard = self._new_guard()
                    await self._drain(stream, scope)
        finally:
            unread = self._go_back_to_unread()
        if scope.cancelled_caught and unread is not None:
            raise unread
        lasted_s = current_time() - began_s
        if scope.cancelled_caught:
            raise self._given_up(lasted_s)
        return self._ended_well(lasted_s, ask_s)

    def _go_back_to_unread(self) -> UnreadEventsError | None:
        """Let the next watch begin before the first event that could not be used; return that as an error."""
        if not self._unread.pending or not isinstance(self._state, Watching):
            return None
        self._version = self._unread.ask_again(self._version)
        self._state = Watching(version=self._version)
        is_due = current_time() >= self._ask_again_s
        self._ask_again_s = float("inf")
        exhausted = self._unread.exhausted
        what = "a list follows" if exhausted else "they are asked for again"
        return UnreadEventsError(f"events cannot be used: {what}", exhausted=exhausted) if is_due else None

    def _note_unread(self) -> None:
        """An event after the present version could not be used."""
        if not isinstance(self._state, Watching):
            return  # a known pod that a streaming list lacks is read by its name
        if not self._unread.pending:
            now_s = current_time()
            self._ask_again_s = now_s + self._unread_backoff.wait_s(healthy_s=now_s - self._unread_since_s)
            self._unread_since_s = now_s
        self._unread.note(self._version)

    def _ended_early(self, lasted_s: float, ask_s: float) -> bool:
        early = lasted_s < (_SHORT_WATCH_S if self._status.proven else ask_s / 2)
        return early or self._status.unreadable or isinstance(self._state, Streaming)

    def _ended_well(self, lasted_s: float, ask_s: float) -> State:
        """Say what follows on a watch that the server ended, without an error."""
        if self._ended_early(lasted_s, ask_s):
            if not self._status.proven:
                self._status.silences += 1
            raise ShortWatchError(f"the server ended the watch after {lasted_s:.1f} s{self._brought()}")
        self._status.disconnected(current_time())
        return self._state

    def _brought(self) -> str:
        if self._status.unreadable:
            return ", and what it brought is no event"
        return "" if self._status.proven else ", without an event"

    def _open(self, version: str | None, ask_s: float) -> AbstractAsyncContextManager[WatchStream]:
        return self._client.watch_pods(
            self._namespace,
            label_selector=self._selector,
            resource_version=version or "",
            timeout_s=ask_s,
            send_initial_events=version is None,
        )

    async def _drain(self, stream: WatchStream, scope: anyio.CancelScope) -> None:
        """Take in batches; the scope ends the watch when no event comes for too long.

        Moving one deadline per batch costs a tenth of a timeout per event.
        """
        skipped = 0
        last_s = current_time() + _STREAMING_WITHIN_S
        scope.deadline = current_time() + self._patience_s()
        async for batch in stream:
            now_s = current_time()
            if stream.skipped != skipped:
                self._note_unread()
            self._status.skipped, skipped = self._status.skipped + stream.skipped - skipped, stream.skipped
            if not batch:
                if self._status.noise(now_s):
                    scope.deadline = min(scope.deadline, now_s + self._unreadable_patience_s)
            else:
                self._take(batch)
                scope.deadline = now_s + self._patience_s()
                if isinstance(self._state, Streaming):
                    scope.deadline = min(scope.deadline, last_s)
                else:
                    self._status.sign(now_s)
            if self._status.proven or self._unread.is_asking:  # others are given the time to prove themselves
                scope.deadline = min(scope.deadline, self._ask_again_s)

    @property
    def _unreadable_patience_s(self) -> float:
        return _UNREADABLE_PATIENCE * self._settings.stale_after_s

    def _patience_s(self) -> float:
        inactivity_s = self._settings.inactivity_s
        return (
            min(_STREAMING_PATIENCE_S, inactivity_s) if isinstance(self._state, Streaming) else inactivity_s
        )

    def _given_up(self, lasted_s: float) -> Exception:
        """Return the error of a watch that was ended because it brought no event for too long."""
        if isinstance(self._state, Streaming):
            return NoInitialEventsError("no complete list came through the watch")
        if self._status.unreadable:
            return UnreadableWatchError(
                f"the watch brought data for {min(lasted_s, self._unreadable_patience_s):.0f} s, and no event"
            )
        self._status.silent(current_time())
        return _SilentWatchError(
            f"the watch gave no sign of life for {self._settings.inactivity_s:.0f} s: taken for dead"
        )

    def _take(self, events: list[WatchEvent]) -> None:
        """Take a batch in. An ERROR event is raised, after the events before it are reported."""
        observations: list[Observation] = []
        known = self._version
        try:
            for event in events:
                self._take_event(event, observations)
        finally:
            if self._version is not known and isinstance(self._state, Watching):
                self._state = Watching(version=self._version)
            self._report(observations)

    def _take_event(self, event: WatchEvent, observations: list[Observation]) -> None:
        if event.status is not None:
            raise event.status
        if type(self._state) is Streaming:
            self._collect(self._state, event)
            return
        version = event.resource_version
        if is_back(version, self._version):
            raise self._went_back("an event", version)
        if event.pod is not None:
            observation = self._observe(event, event.pod)
            if observation is not None:
                observations.append(observation)
        self._version = version

    def _observe(self, event: WatchEvent, pod: Pod) -> Observation | None:
        uid = pod.metadata.uid
        known, is_ours = self._store.get(uid), self._is_ours(pod)
        was_known = known is None and (self._store.has_tombstone(uid) or uid in self._verifier.waiting)
        if contradicts(event, known, is_ours=is_ours, was_known=was_known):
            self._note_unread()
            return None
        return self._store.apply(event.type, self._transform(pod, known)) if is_ours else None

    def _collect(self, state: Streaming, event: WatchEvent) -> None:
        """Take an event of a streaming list: nothing is reported before the list is complete."""
        if event.initial_events_end:
            self._swap(state.found, event.resource_version)
            self._state = Watching(version=event.resource_version)
        elif event.pod is not None and event.type == "DELETED":
            state.found.pop(event.pod.metadata.uid, None)
        elif event.pod is not None and self._is_ours(event.pod):
            if event.pod.metadata.uid not in state.found:
                self._guard.check(1, None)
            state.found[event.pod.metadata.uid] = self._transform(event.pod)

    # Reporting

    def _is_ours(self, pod: Pod) -> bool:
        if self._accept is None or self._accept(pod):
            return True
        self._status.skipped += 1
        if not self._foreign_told:
            self._foreign_told = True
            meta = pod.metadata
            _log.warning(
                "pod %s/%s has our label but is not ours: skipped (counted; logged once)",
                meta.namespace,
                meta.name,
                extra=pod_fields(meta),
            )
        return False

    def _report(self, observations: Sequence[Observation]) -> None:
        certain = [observation for observation in observations if self._is_certain(observation)]
        if not certain:
            return
        try:
            self._sink(certain)
        except Exception:  # noqa: BLE001  # a receiver's failure must not end the watch of all other pods
            _log.exception(
                "the receiver of %d observations failed; handing them over one by one", len(certain)
            )
            for observation in certain:
                self._report_one(observation)

    def _report_one(self, observation: Observation) -> None:
        try:
            self._sink([observation])
        except Exception:  # noqa: BLE001  # likewise
            meta = observation.pod.metadata
            _log.exception(
                "the receiver failed on %s of pod %s/%s",
                observation.kind,
                meta.namespace,
                meta.name,
                extra=pod_fields(meta),
            )

    def _is_certain(self, observation: Observation) -> bool:
        is_end = observation.kind is Kind.DELETED or observation.kind is Kind.VANISHED
        if is_end and not is_conclusive(observation):
            self._verifier.ask(observation)
            return False
        if self._verifier.waiting:
            self._verifier.forget(observation.pod.metadata.uid)
        if is_end:
            self._store.add_tombstone(observation.pod)
        return True

    def _verified(self, answer: Observation) -> None:
        if answer.kind is Kind.MODIFIED:
            answer = self._store.correct(self._transform(answer.pod), answer.previous or answer.pod)
        elif answer.kind is not Kind.LEFT:
            self._store.add_tombstone(answer.pod)
        self._report_one(answer)


def _never(_: Pod) -> bool:
    """Whether a pod that is not selected is ours, where only the server's selection says which are."""
    return False

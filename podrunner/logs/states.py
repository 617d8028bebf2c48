"""The states of following one container's log, and what follows on what. Pure: the follower acts, :func:`step` decides.

Each state holds only what is valid in it. What the follower holds follows from the state: in ``Reading`` and
``Delivering`` a permit and an open stream, in ``Detached`` neither, in all others nothing. The only effect is
:class:`Emit`.

==============  ===================  ==============================================================================
in              after                goes on with
==============  ===================  ==============================================================================
``Waiting``     ContainerChanged     ``Queued`` if a run can be read; ``Done`` if the last one is; else the same
``Queued``      ContainerChanged     the same
``Queued``      PermitGranted        ``Reading``; if the run's log is gone from the server: a gap, and the next run
``Reading``     ContainerChanged     the same
``Reading``     LinesReceived        ``Delivering``; ``BackingOff`` if the lines may be the next run's
``Reading``     StreamEnded          the next run, ``Waiting`` or ``Done`` if the log is complete; else another try
``Reading``     StreamFailed         ``BackingOff``; if there is no hope: a gap, and the next run
``Reading``     SilenceElapsed       ``BackingOff`` or ``Queued``; a gap if it was the end's last try
``Reading``     SliceElapsed         ``Queued`` if the log can be left; else the same
``Delivering``  ContainerChanged     the same
``Delivering``  Delivered            ``Reading``; ``Queued`` if the time slice is over
``Delivering``  SliceElapsed         ``Detached`` if the sink took nothing for a whole slice; else the same
``Detached``    ContainerChanged     the same
``Detached``    Delivered            ``Queued``
``BackingOff``  ContainerChanged     ``Queued`` if the run ended just now; else the same
``BackingOff``  BackoffElapsed       ``Queued``
==============  ===================  ==============================================================================

Any other input raises :class:`~podrunner.machine.IllegalInputError`; ``Done`` takes none.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

import msgspec
from msgspec.structs import replace

from podrunner.errors import ForbiddenError, NotFoundError, PodrunnerError
from podrunner.logs.cursor import LogCursor, Resumption, advance, next_run
from podrunner.logs.kubelet_text import KubeletText
from podrunner.logs.record import GapReason, LogBatch, LogGap
from podrunner.machine import IllegalInputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.logs.container_state import ContainerView

__all__ = [
    "BackingOff",
    "BackoffElapsed",
    "ContainerChanged",
    "Delivered",
    "Delivering",
    "Detached",
    "Done",
    "Emit",
    "FollowLimits",
    "Input",
    "LinesReceived",
    "PermitGranted",
    "Queued",
    "Reading",
    "SilenceElapsed",
    "SliceElapsed",
    "State",
    "StreamEnded",
    "StreamFailed",
    "Waiting",
    "start",
    "step",
]

# The back-off of client-go's reflector (0.8 s doubled up to 30 s): known to be gentle to an overloaded server.
_FIRST_DELAY_S: Final = 0.8
_LAST_DELAY_S: Final = 30.0
_SHORTEST_WAIT_S: Final = 0.05


class FollowLimits(msgspec.Struct, frozen=True):
    """How long to wait for what.

    Attributes:
        idle_s: A stream on which nothing came for so many seconds is replaced: rotation and half-open connections
            stop a stream without an error. A quiet container costs one request each such span.
        drain_s: For how many seconds, after the container's end, no byte may come before the stream is given up; and
            how long a refusing server is asked again for the rest.
        follow: Whether to read while the container runs; False reads once, at its end.
        since: Only lines from that time on, RFC 3339 in whole seconds; None: all.
    """

    idle_s: float = 300.0
    drain_s: float = 10.0
    follow: bool = True
    since: str | None = None


class Emit(msgspec.Struct, frozen=True):
    """An effect: the sinks get the item, and then the reader stands at the cursor."""

    item: LogBatch | LogGap
    cursor: LogCursor


class Attempts(msgspec.Struct, frozen=True):
    """What is remembered from one connection to the next, within one run of the container.

    Attributes:
        delay_s: The back-off before the next connection, without jitter.
        gives_up_at: When the rest of an ended run's log is given up, on the caller's clock.
        doubted: Where a gap was seen once that may be the next run's log instead.
        last_line: The last line of a complete answer, if it had no line end, and where it stood.
    """

    delay_s: float
    gives_up_at: float = math.inf
    doubted: LogCursor | None = None
    last_line: tuple[LogCursor, bytes] | None = None


# States


class _Log(msgspec.Struct, frozen=True, kw_only=True):
    """What every state holds.

    Attributes:
        limits: How long to wait for what.
        cursor: The last line that was handed to the sinks.
        view: The container as it is known.
        seen_running: Whether the container was ever seen to have begun.
    """

    limits: FollowLimits
    cursor: LogCursor
    view: ContainerView
    seen_running: bool

    @property
    def run_ended(self) -> bool:
        """Whether the run of the cursor is over."""
        return self.view.restart > self.cursor.restart or self.view.ended or self.view.final

    @property
    def is_overtaken(self) -> bool:
        """Whether the server no longer has the run's log: it keeps the present run and the one before it."""
        return self.view.restart > self.cursor.restart + 1

    @property
    def never_began(self) -> bool:
        """Whether, as far as is known, there never was a log: then nothing is missing."""
        return self.view.only_ended and not self.seen_running and not self.cursor.stamp


class Waiting(_Log, frozen=True):
    """No log can be read at present: the container has not started, or its runs so far are read."""


class Done(_Log, frozen=True):
    """The last run is over and its log was read, or cannot be read any more."""


class Queued(_Log, frozen=True):
    """Waits for a permit."""

    attempts: Attempts


class BackingOff(_Log, frozen=True):
    """Waits before the next connection.

    Attributes:
        attempts: What is remembered; ``attempts.delay_s`` is to be jittered.
        at_most_s: The longest wait, in seconds.
    """

    attempts: Attempts
    at_most_s: float


class _Connected(_Log, frozen=True):
    """A stream is open.

    Attributes:
        attempts: What is remembered from earlier connections.
        follow: Whether the stream goes on until the run ends. False: the run was over when it was opened, or
            ``is_probe``.
        whole: Whether the whole log was asked for, because by a part of it a gap is only suspected.
        is_probe: Whether that is done while the run goes on: then the end of the stream is no end of the log.
        start: The cursor when the stream was opened.
        seen: What is dropped because it was read by an earlier connection.
        kubelet: What the kubelet said by this stream.
        has_received: Whether anything came, new or not.
        is_due: Whether the permit's time slice is over.
    """

    attempts: Attempts
    follow: bool
    start: LogCursor
    seen: Resumption
    whole: bool = False
    is_probe: bool = False
    kubelet: KubeletText = KubeletText()
    has_received: bool = False
    is_due: bool = False

    @property
    def has_moved(self) -> bool:
        """Whether anything new came by this stream: a reader that leaves without it makes no progress."""
        return self.cursor != self.start


class Reading(_Connected, frozen=True):
    """Waits for the server."""


class Delivering(_Connected, frozen=True):
    """Waits for the sinks.

    Attributes:
        is_stuck: Whether a time slice ended since the sinks got the lines.
    """

    is_stuck: bool = False


class Detached(_Log, frozen=True):
    """Waits for the sinks; the stream is closed meanwhile, because other readers wait for the permit."""

    attempts: Attempts


State: TypeAlias = Waiting | Queued | Reading | Delivering | Detached | BackingOff | Done


# Inputs


class ContainerChanged(msgspec.Struct, frozen=True):
    """The container is known to be in another state."""

    view: ContainerView


class PermitGranted(msgspec.Struct, frozen=True):
    """The reader may connect."""


class LinesReceived(msgspec.Struct, frozen=True):
    r"""Whole lines came, each with its ``\n``; also none, if the bytes that came complete no line."""

    lines: bytes
    now_s: float


class StreamEnded(msgspec.Struct, frozen=True):
    r"""The stream ended in good order; ``rest`` is a last line without an end, given one, or ``b""``."""

    rest: bytes
    now_s: float


class StreamFailed(msgspec.Struct, frozen=True):
    """The stream broke, or was refused."""

    error: PodrunnerError
    now_s: float


class SilenceElapsed(msgspec.Struct, frozen=True):
    """Nothing came for as long as the limits allow."""

    now_s: float


class SliceElapsed(msgspec.Struct, frozen=True):
    """Other readers wait, and the permit's time slice is over; comes again after each further slice."""


class Delivered(msgspec.Struct, frozen=True):
    """The sinks have taken everything."""


class BackoffElapsed(msgspec.Struct, frozen=True):
    """The wait is over."""


Input: TypeAlias = (
    ContainerChanged
    | PermitGranted
    | LinesReceived
    | StreamEnded
    | StreamFailed
    | SilenceElapsed
    | SliceElapsed
    | Delivered
    | BackoffElapsed
)

Step: TypeAlias = tuple[State, tuple[Emit, ...]]


def start(cursor: LogCursor, view: ContainerView, limits: FollowLimits) -> State:
    """The first state; a :class:`ContainerChanged` with the same view begins the reading."""
    return Waiting(limits=limits, cursor=cursor, view=view, seen_running=_shows_a_beginning(view))


def step(state: State, event: Input) -> Step:
    """Returns the next state, and what is to be emitted on the way.

    Raises:
        IllegalInputError: The input cannot come in this state.
    """
    transition = TABLE.get((type(state), type(event)))
    if transition is None:
        raise IllegalInputError(f"{type(event).__name__} in {type(state).__name__}")
    return transition(state, event)


# Transitions


def _look_again(state: Waiting, event: ContainerChanged) -> Step:
    return _onward(_with_view(state, event.view))


def _note_view(state: State, event: ContainerChanged) -> Step:
    return _with_view(state, event.view), ()


def _cut_backoff_short(state: BackingOff, event: ContainerChanged) -> Step:
    """The end of the run shortens the wait, once."""
    following = _with_view(state, event.view)
    ended_now = following.run_ended and not state.run_ended
    return (_as(Queued, following) if ended_now else following), ()


def _queue(state: State, _event: Input) -> Step:
    return _as(Queued, state), ()


def _connect(state: Queued, _event: PermitGranted) -> Step:
    if state.is_overtaken:
        return _give_up(state, GapReason.RESTARTED, "the container was restarted again meanwhile")
    cursor = state.cursor
    whole = bool(cursor.stamp) and state.attempts.doubted == cursor
    follow = not state.run_ended and not whole
    is_past = state.view.restart > cursor.restart
    return _as(
        Reading,
        state,
        follow=follow,
        start=cursor,
        seen=Resumption.after(cursor, follow=follow, whole=whole, is_past=is_past),
        whole=whole,
        is_probe=whole and not state.run_ended,
        kubelet=KubeletText(may_be_cut=_is_cut_off(state, whole=whole)),
    ), ()


def _is_cut_off(state: Queued, *, whole: bool) -> bool:
    """Whether older lines are not asked for."""
    return bool(state.limits.since or (state.cursor.stamp and not whole))


def _take_lines(state: Reading, event: LinesReceived) -> Step:
    lines, kubelet = state.kubelet.separate(event.lines)
    admitted = state.seen.admit(lines)
    if admitted.then.is_doubtful or (admitted.gap is not None and _is_doubtful(state)):
        return _doubt(state, event.now_s)
    effects = _emits(state.cursor, admitted.gap, admitted.lines)
    cursor = effects[-1].cursor if effects else state.cursor
    received = replace(state, cursor=cursor, seen=admitted.then, kubelet=kubelet, has_received=True)
    return _as(Delivering, received), effects


def _read_on(state: Delivering, _event: Delivered) -> Step:
    is_left = state.is_due and state.follow and state.has_moved
    return _as(Queued if is_left else Reading, state), ()


def _leave(state: Reading, _event: SliceElapsed) -> Step:
    """A log of an ended run is not left; a follower that got to nothing new yet is given one more slice."""
    if state.follow and (state.has_moved or not state.has_received or state.is_due):
        return _as(Queued, _doubting(state)), ()
    return replace(state, is_due=True), ()


def _leave_sinks(state: Delivering, _event: SliceElapsed) -> Step:
    if state.is_stuck:
        return _as(Detached, state), ()
    return replace(state, is_due=True, is_stuck=True), ()


def _end_stream(state: Reading, event: StreamEnded) -> Step:
    """A followed log proves nothing by its end; half a line is read again: it may be no more than half.

    Nor does an answer that ends with the kubelet's words.
    """
    if state.follow:
        return _reconnect(state, event.now_s)
    words = state.kubelet.end(event.rest).then.words
    if words:
        return _retry(state, words, event.now_s)
    return _end_probe(state, event) if state.is_probe else _end_run(state, event)


def _end_probe(state: Reading, event: StreamEnded) -> Step:
    """Goes on to follow the run, behind all that the whole log showed."""
    lines, gap, _ = state.seen.finish()
    effects = _emits(state.cursor, gap, lines) if lines else ()
    cursor = effects[-1].cursor if effects else state.cursor
    moved = replace(state, cursor=cursor, attempts=replace(state.attempts, doubted=None))
    following, _ = _reconnect(moved, event.now_s)
    return (_as(Queued, following) if moved.has_moved else following), effects


def _end_run(state: Reading, event: StreamEnded) -> Step:
    """Completes the log, if its last line is confirmed: only if two answers in a row end so at the same place."""
    before = state.attempts.last_line
    last_line = (state.cursor, event.rest) if event.rest else None
    state = replace(state, attempts=replace(state.attempts, last_line=last_line))
    if last_line is not None and last_line != before:
        message = "the log ends within a line, each time elsewhere"
        return _retry(state, message, event.now_s, at_once=before is None)
    admitted = state.seen.admit(event.rest)
    held, gap, _ = admitted.then.finish()
    gap = admitted.gap or gap
    if admitted.then.is_doubtful or (gap is not None and _is_doubtful(state)):
        return _doubt(state, event.now_s)
    effects = _emits(state.cursor, gap, admitted.lines + held)
    cursor = effects[-1].cursor if effects else state.cursor
    if not state.start.stamp and state.is_overtaken:
        message = "perhaps it was the next run's log that was read"
        effects = (*effects, _gap(cursor, GapReason.RESTARTED, message))
    return _complete(replace(state, cursor=cursor), effects)


def _fail_stream(state: Reading, event: StreamFailed) -> Step:
    error = event.error
    refused = isinstance(error, ForbiddenError) and not error.was_allowed
    # A kubelet that has just restarted answers 404 for pods that it has: only the pod's own end makes it final.
    is_hopeless = refused or (isinstance(error, NotFoundError) and state.view.gone)
    return _retry(state, str(error), event.now_s, is_hopeless=is_hopeless)


def _end_silence(state: Reading, event: SilenceElapsed) -> Step:
    if state.follow:
        return _reconnect(state, event.now_s)
    return _retry(state, f"no byte of the log came for {state.limits.drain_s:g} s", event.now_s)


TABLE: Final[dict[tuple[type[State], type[Input]], Callable[[Any, Any], Step]]] = {
    (Waiting, ContainerChanged): _look_again,
    (Queued, ContainerChanged): _note_view,
    (Queued, PermitGranted): _connect,
    (Reading, ContainerChanged): _note_view,
    (Reading, LinesReceived): _take_lines,
    (Reading, StreamEnded): _end_stream,
    (Reading, StreamFailed): _fail_stream,
    (Reading, SilenceElapsed): _end_silence,
    (Reading, SliceElapsed): _leave,
    (Delivering, ContainerChanged): _note_view,
    (Delivering, Delivered): _read_on,
    (Delivering, SliceElapsed): _leave_sinks,
    (Detached, ContainerChanged): _note_view,
    (Detached, Delivered): _queue,
    (BackingOff, ContainerChanged): _cut_backoff_short,
    (BackingOff, BackoffElapsed): _queue,
}
"""The transition of each state and input."""


# What the transitions share

S = TypeVar("S", bound=State)


def _as(kind: type[S], state: State, **changes: object) -> S:
    """The state of that kind, with the fields that both have in common."""
    common = {
        name: getattr(state, name) for name in kind.__struct_fields__ if name in state.__struct_fields__
    }
    return kind(**(common | changes))


def _with_view(state: S, view: ContainerView) -> S:
    return replace(state, view=view, seen_running=state.seen_running or _shows_a_beginning(view))


def _shows_a_beginning(view: ContainerView) -> bool:
    return view.started and not view.only_ended


def _onward(log: State) -> Step:
    """Where to go without a connection: to a run whose log is not complete, or to wait for one, or to the end."""
    view = log.view
    if not (view.final or (view.started and (view.ended or log.limits.follow))):
        return _as(Waiting, log), ()
    if not view.started:
        return _as(Done, log), ()
    cursor, effects = _run_to_read(log)
    if cursor.complete:
        kind: type[Done | Waiting] = Done if view.final else Waiting
        return _as(kind, log, cursor=cursor), effects
    return _as(Queued, log, cursor=cursor, attempts=Attempts(_FIRST_DELAY_S)), effects


def _run_to_read(log: State) -> tuple[LogCursor, tuple[Emit, ...]]:
    """The cursor of the earliest run that can still be read, and the gap in place of those that cannot."""
    cursor, view = log.cursor, log.view
    if log.is_overtaken:
        is_unread = view.restart > cursor.restart + 2 or not cursor.complete
        message = f"runs up to {view.restart - 2} were not read to their end"
        effects = (_gap(cursor, GapReason.RESTARTED, message),) if is_unread else ()
        return next_run(cursor, view.restart - 1, ""), effects
    if view.restart > cursor.restart and cursor.complete:
        return next_run(cursor, view.restart, view.began_at), ()
    return cursor, ()


def _complete(state: State, effects: tuple[Emit, ...] = ()) -> Step:
    following, more = _onward(replace(state, cursor=replace(state.cursor, complete=True)))
    return following, (*effects, *more)


def _give_up(state: State, reason: GapReason, message: str) -> Step:
    return _complete(state, (_gap(state.cursor, reason, message),))


def _reconnect(state: Reading, now_s: float) -> Step:
    """Another connection, though nothing went wrong: at once if the run has ended meanwhile."""
    attempts = _counted(_doubting(state), now_s)
    return (
        _as(Queued, state, attempts=attempts) if state.run_ended else _back_off(state, attempts, now_s)
    ), ()


def _retry(
    state: Reading, message: str, now_s: float, *, is_hopeless: bool = False, at_once: bool = False
) -> Step:
    """Another connection after a failure, or a gap in place of the rest."""
    attempts = _counted(state, now_s)
    if is_hopeless or now_s >= attempts.gives_up_at:
        return _complete(state) if state.never_began else _give_up(state, GapReason.UNAVAILABLE, message)
    return (_as(Queued, state, attempts=attempts) if at_once else _back_off(state, attempts, now_s)), ()


def _doubt(state: Reading, now_s: float) -> Step:
    """Asks once more before a gap is believed.

    The line where the reader stood is missing also from the log of the next run, which the server may show already
    while the watch still shows this one.
    """
    doubting = replace(state, attempts=replace(state.attempts, doubted=state.cursor))
    return _retry(doubting, "the last line read is not in the log", now_s)


def _doubting(state: Reading) -> Reading:
    """The state in which the whole log is asked for next, if it is not known whether lines that came are new."""
    if not state.seen.held or state.whole:
        return state
    return replace(state, attempts=replace(state.attempts, doubted=state.cursor))


def _is_doubtful(state: Reading) -> bool:
    is_settled = state.view.final and state.view.restart == state.cursor.restart
    return state.attempts.doubted != state.cursor and not is_settled


def _counted(state: Reading, now_s: float) -> Attempts:
    """The attempts after a connection that did not bring the log's end."""
    attempts = state.attempts
    delay_s = _FIRST_DELAY_S if state.has_moved else min(attempts.delay_s * 2, _LAST_DELAY_S)
    if state.has_moved or not state.run_ended:
        return replace(attempts, delay_s=delay_s, gives_up_at=math.inf)
    gives_up_at = min(attempts.gives_up_at, now_s + state.limits.drain_s)
    return replace(attempts, delay_s=delay_s, gives_up_at=gives_up_at)


def _back_off(state: Reading, attempts: Attempts, now_s: float) -> BackingOff:
    at_most_s = max(attempts.gives_up_at - now_s, _SHORTEST_WAIT_S)
    return _as(BackingOff, state, attempts=attempts, at_most_s=at_most_s)


def _emits(cursor: LogCursor, gap: LogGap | None, lines: bytes) -> tuple[Emit, ...]:
    gaps = () if gap is None else (Emit(gap, cursor),)
    if not lines:
        return gaps
    after = advance(cursor, lines)
    return (*gaps, Emit(LogBatch(after.container, after.restart, lines), after))


def _gap(cursor: LogCursor, reason: GapReason, message: str) -> Emit:
    after = cursor.stamp or None
    return Emit(
        LogGap(cursor.container, reason, after=after, message=message, restart=cursor.restart), cursor
    )

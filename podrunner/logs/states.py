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
``Reading``     LinesReceived        ``Delivering``; ``Queued`` if other last lines are needed; ``BackingOff`` in doubt
``Reading``     StreamEnded          the next run, ``Waiting`` or ``Done`` if the log is complete; else another try
``Reading``     StreamFailed         ``BackingOff``; ``Queued`` as above; if there is no hope: a gap, and the next run
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

from podrunner.errors import ForbiddenError, NotFoundError
from podrunner.logs.cursor import LogCursor, Resumption, advance, next_run
from podrunner.logs.inputs import (
    BackoffElapsed,
    ContainerChanged,
    Delivered,
    FollowLimits,
    Input,
    LinesReceived,
    PermitGranted,
    SilenceElapsed,
    SliceElapsed,
    StreamEnded,
    StreamFailed,
)
from podrunner.logs.kubelet_text import KubeletText
from podrunner.logs.recent import line_key
from podrunner.logs.record import GapReason, LogBatch, LogGap
from podrunner.logs.tail_search import TailSearch
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
# A connection that breaks within this time after some lines was cut while the log flowed; else the log is quiet.
_FLOWS_S: Final = 5.0


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
        tail: How many of the last lines are asked for, where the cursor's line can be recognised among them; None: the
            whole log, because the cursor's line was searched for in vain.
        was_searched: Whether the cursor's line was searched for among the last lines in vain.
        words: What the kubelet said last in place of lines; "": nothing.
    """

    delay_s: float
    gives_up_at: float = math.inf
    doubted: LogCursor | None = None
    last_line: tuple[LogCursor, bytes] | None = None
    tail: TailSearch | None = TailSearch()
    was_searched: bool = False
    words: str = ""


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
        is_probe: Whether the answer is to end though the run goes on: then its end is no end of the log.
        tail: Which of the last lines were asked for; None: those from a time on, or all.
        start: The cursor when the stream was opened.
        seen: What is dropped because it was read by an earlier connection.
        kubelet: What the kubelet said by this stream.
        received: How many lines came; of a stream that is no search for the cursor's line, 1 stands for any number.
        received_at_s: When the last of them came, on the caller's clock.
        new_bytes: How much of what came is new.
        has_received: Whether anything came, new or not.
        is_due: Whether the permit's time slice is over.
    """

    attempts: Attempts
    follow: bool
    start: LogCursor
    seen: Resumption
    tail: TailSearch | None = None
    whole: bool = False
    is_probe: bool = False
    kubelet: KubeletText = KubeletText()
    received: int = 0
    received_at_s: float = 0.0
    new_bytes: int = 0
    has_received: bool = False
    is_due: bool = False

    @property
    def has_moved(self) -> bool:
        """Whether anything new came by this stream: a reader that leaves without it makes no progress."""
        return self.cursor != self.start

    @property
    def tail_lines(self) -> int | None:
        """How many of the last lines are asked for; None: no certain number."""
        return self.tail.lines if self.tail is not None else None

    @property
    def has_resumed(self) -> bool:
        """Whether the cursor's line came, so that all that follows is new."""
        return self.seen.left == 0


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
    if not ended_now:
        return following, ()
    # A log that is not written any more can be searched again.
    attempts = replace(following.attempts, tail=TailSearch(), was_searched=False)
    return _as(Queued, following, attempts=attempts), ()


def _queue(state: State, _event: Input) -> Step:
    return _as(Queued, state), ()


def _connect(state: Queued, _event: PermitGranted) -> Step:
    if state.is_overtaken:
        return _give_up(state, GapReason.RESTARTED, "the container was restarted again meanwhile")
    cursor = state.cursor
    tail = state.attempts.tail if _may_search(cursor) else None
    whole = bool(cursor.stamp) and tail is None and state.attempts.doubted == cursor
    follow = not state.run_ended and not whole and (tail is None or tail.is_guess)
    seen = Resumption.after(
        cursor,
        follow=follow,
        whole=whole,
        is_tail=tail is not None,
        is_trusted=state.attempts.was_searched,
        is_past=state.view.restart > cursor.restart,
    )
    return _as(
        Reading,
        state,
        follow=follow,
        start=cursor,
        seen=seen,
        tail=tail,
        whole=whole,
        is_probe=not follow and not state.run_ended,
        kubelet=KubeletText(may_be_cut=_is_cut_off(state, whole=whole or tail is not None)),
    ), ()


def _is_cut_off(state: Queued, *, whole: bool) -> bool:
    """Whether lines are asked for that are not older than some time, and so perhaps the rest of one."""
    return bool(state.limits.since or (state.cursor.stamp and not whole))


def _take_lines(state: Reading, event: LinesReceived) -> Step:
    lines, kubelet = state.kubelet.separate(event.lines)
    admitted = state.seen.admit(lines)
    state = replace(state, seen=admitted.then, received=_count(state, lines), received_at_s=event.now_s)
    if admitted.then.is_short:
        return _search(state, _more(state), event.now_s)
    if admitted.then.is_doubtful or (admitted.gap is not None and _is_doubtful(state)):
        return _doubt(state, event.now_s)
    effects = _emits(state.cursor, admitted.gap, admitted.lines)
    cursor = effects[-1].cursor if effects else state.cursor
    new_bytes = state.new_bytes + len(admitted.lines)
    return _as(
        Delivering, state, cursor=cursor, kubelet=kubelet, new_bytes=new_bytes, has_received=True
    ), effects


def _count(state: Reading, lines: bytes) -> int:
    if state.tail is None:
        return 1 if lines else state.received
    return state.received + lines.count(b"\n")


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
        return _end_follow(state, event.now_s)
    words = state.kubelet.end(event.rest).then.words
    if words:
        told = replace(state, attempts=replace(state.attempts, words=words))
        return _retry(_moved(told), words, event.now_s)
    return _end_probe(state, event) if state.is_probe else _end_run(state, event)


def _end_follow(state: Reading, now_s: float) -> Step:
    """Another connection; if the cursor's line did not come, it is searched for among the last lines."""
    if state.received and not state.has_resumed and state.tail is not None:
        return _search(state, _more(state), now_s)
    return _reconnect(_moved(state), now_s)


def _end_probe(state: Reading, event: StreamEnded) -> Step:
    """Goes on to follow the run, behind all that the answer showed."""
    tail = state.tail
    if tail is not None and not state.has_resumed:
        return _search(state, _fewer(state) if event.rest else _more(state), event.now_s)
    if not state.has_resumed and event.rest:
        return _break_off(state, "the log broke off within a line", event.now_s)
    lines, gap, _ = state.seen.finish()
    effects = _emits(state.cursor, gap, lines) if lines else ()
    cursor = effects[-1].cursor if effects else state.cursor
    attempts = replace(state.attempts, doubted=None, tail=tail.ended() if tail else TailSearch())
    moved = replace(state, cursor=cursor, attempts=attempts)
    following, _ = _reconnect(moved, event.now_s)
    is_at_once = moved.has_moved or tail is not None
    return (_as(Queued, following) if is_at_once else following), effects


def _end_run(state: Reading, event: StreamEnded) -> Step:
    """Completes the log, if its last line is confirmed: only if two answers in a row end so at the same place."""
    if state.tail is not None and not state.has_resumed:
        return _search(state, _fewer(state) if event.rest else _more(state), event.now_s)
    before = state.attempts.last_line
    last_line = (state.cursor, event.rest) if event.rest else None
    state = replace(state, attempts=replace(state.attempts, last_line=last_line))
    if last_line is not None and last_line != before:
        message = "the log ends within a line, each time elsewhere"
        return _retry(_moved(state), message, event.now_s, at_once=before is None)
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
    # Why the log is not there, the kubelet has said before; that its pod is gone explains nothing.
    message = (state.attempts.words if refused or isinstance(error, NotFoundError) else "") or str(error)
    return _break_off(state, message, event.now_s, is_hopeless=is_hopeless)


def _end_silence(state: Reading, event: SilenceElapsed) -> Step:
    if state.follow:
        return _end_follow(state, event.now_s)
    return _break_off(state, f"no byte of the log came for {state.limits.drain_s:g} s", event.now_s)


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
    if not view.started and (log.cursor.complete or not (log.seen_running or log.cursor.stamp)):
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


def _break_off(state: Reading, message: str, now_s: float, *, is_hopeless: bool = False) -> Step:
    """Another connection after one that came to no orderly end, perhaps before it came to a new line."""
    may_search = _may_search(state.cursor) and not state.attempts.was_searched
    if state.received and not is_hopeless and may_search and _is_in_vain(state, now_s):
        return _search(state, _fewer(state), now_s)
    return _retry(_moved(state), message, now_s, is_hopeless=is_hopeless)


def _is_in_vain(state: Reading, now_s: float) -> bool:
    """Whether a stream was cut while old lines came, and before a new one."""
    is_flowing = state.seen.dropped_bytes > 0 and now_s - state.received_at_s < _FLOWS_S
    return not state.has_resumed or (is_flowing and not state.new_bytes)


def _may_search(cursor: LogCursor) -> bool:
    """Whether the cursor's line can be recognised among the last lines, and is one of this run's."""
    return bool(cursor.recent) and not cursor.inherited and cursor.lines <= len(cursor.recent.split())


def _more(state: Reading) -> TailSearch:
    held = state.seen.held
    first = held[0][: held[0].index(b"\n") + 1] if held else b""
    return TailSearch() if state.tail is None else state.tail.more(first and line_key(first))


def _fewer(state: Reading) -> TailSearch:
    keys = state.cursor.recent.split()
    last = b"".join(state.seen.held[-1:])
    is_known = line_key(last[last.rfind(b"\n", 0, -1) + 1 :]) in keys
    is_before = state.has_resumed or is_known
    return TailSearch() if state.tail is None else state.tail.broke(is_before=is_before, window=len(keys))


def _search(state: Reading, tail: TailSearch, now_s: float) -> Step:
    """Asks at once for so many of the last lines; if there are no more numbers to be tried, for the whole log."""
    if not tail.is_over:
        return _as(Queued, state, attempts=replace(state.attempts, tail=tail)), ()
    attempts = replace(state.attempts, tail=None, was_searched=True, doubted=state.cursor)
    return _retry(replace(state, attempts=attempts), "the last line read is not in the log", now_s)


def _moved(state: Reading) -> Reading:
    """The state in which the next connection begins at the new cursor's line."""
    if not state.has_moved:
        return state
    tail = TailSearch() if state.tail is None else state.tail.moved(state.received)
    return replace(state, attempts=replace(state.attempts, tail=tail))


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
    if state.has_moved:
        return replace(attempts, delay_s=delay_s, gives_up_at=math.inf, was_searched=False)
    if not state.run_ended:
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

"""The blocking handle of a pod, and its log as a stream of lines. Signatures and bridge calls, nothing else."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from podrunner.runner import peek_outcome, when_over
from podrunner.runner.log_stream import next_lines, next_records

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime
    from types import TracebackType

    from rich.table import Table

    from podrunner.blocking.bridge import Bridge
    from podrunner.errors import PodrunnerError
    from podrunner.kube import ExecResult
    from podrunner.logs import LogDocument, LogGap, LogLine, LogStatus
    from podrunner.outcome import Outcome, Timings, Waiting
    from podrunner.runner import AsyncLogStream, AsyncPod
    from podrunner.workload import WorkloadKey

__all__ = ["LogStream", "Pod"]


class LogStream:
    """The lines of a container's log, each once and in order.

    Iterate over it (``for line in pod.logs()``), or enter it first (``with pod.logs() as lines``) to be
    sure that leaving early ends the reading at once. A gap appears as a line that begins with ``*** Log gap``, and in
    ``gaps``.

    Attributes:
        gaps: The gaps met so far.
    """

    def __init__(self, stream: AsyncLogStream, bridge: Bridge) -> None:
        self._stream = stream
        self._bridge = bridge
        self.gaps: list[LogGap] = stream.gaps

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[str]:
        try:
            while batch := self.next_lines():
                yield from batch
        finally:
            self.close()

    def next_lines(self) -> list[str]:
        """The next lines, as many as came together, at least one; an empty list at the end.

        Raises:
            PodrunnerError: The log cannot be read at all.
        """
        return self._bridge.call(next_lines, self._stream)

    def next_records(self) -> list[LogLine | LogGap]:
        """Like :meth:`next_lines`, as records: with time stamp, container and restart; gaps as gaps."""
        return self._bridge.call(next_records, self._stream)

    def records(self) -> Iterator[LogLine | LogGap]:
        """Iterates over records instead of lines."""
        try:
            while batch := self.next_records():
                yield from batch
        finally:
            self.close()

    def close(self) -> None:
        """Ends the reading."""
        self._bridge.run_if_open(self._stream.close)


class Pod:
    """One pod of a runner. Made by :meth:`PodRunner.launch` and its siblings.

    Two handles of one pod are equal.
    """

    def __init__(self, pod: AsyncPod, bridge: Bridge) -> None:
        self._pod = pod
        self._bridge = bridge

    def __repr__(self) -> str:
        return repr(self._pod)

    def _repr_html_(self) -> str:
        return self._pod._repr_html_()  # the same of the other face

    def __rich__(self) -> Table:
        return self._pod.__rich__()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pod) and other._pod == self._pod

    def __hash__(self) -> int:
        return hash(self._pod)

    @property
    def key(self) -> WorkloadKey:
        """What the pod is for: identity and attempt."""
        return self._pod.key

    @property
    def name(self) -> str:
        """The pod's name."""
        return self._pod.name

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self._pod.namespace

    @property
    def uid(self) -> str:
        """The pod's UID; "" while it does not exist yet."""
        return self._pod.uid

    @property
    def log_path(self) -> str | None:
        """The file that its log is collected into, absolute; without ``logs.folder``, the path below a log folder.

        None: it goes nowhere.
        """
        return self._pod.log_path

    @property
    def status(self) -> str:
        """What ``kubectl get pod`` shows as its status: ``ContainerCreating``, ``Completed``, …; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        return self._bridge.run(lambda: self._pod.status)

    @property
    def phase(self) -> str:
        """The pod's phase, such as ``Pending`` or ``Running``; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        return self._bridge.run(lambda: self._pod.phase)

    @property
    def waiting(self) -> Waiting | None:
        """Why the pod waits, in the cluster's words, and when it is given up; None: it runs, is over, or is not there.

        It costs no request: the runner reads it from what the watch showed.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        return self._bridge.run(lambda: self._pod.waiting)

    @property
    def outcome(self) -> Outcome | None:
        """The pod's outcome; None while it is not over. Reading it takes it (``outcome_delivery``)."""
        outcome = peek_outcome(self._pod)
        if outcome is not None:  # it never changes: that it was taken is noted over there, and not waited for
            self._bridge.post_if_open(lambda: self._pod.outcome)
        return outcome

    @property
    def done(self) -> bool:
        """Whether it is over, or its outcome will not come from here: ``result`` then returns, or raises why."""
        return self._pod.done

    @property
    def replayed(self) -> bool:
        """Whether the pod had ended before this launch of its attempt: its outcome is that of an earlier launch."""
        return self._pod.replayed

    @property
    def launch_error(self) -> PodrunnerError | None:
        """Why the pod could not be created, or be taken over; None if it could, or is still being created."""
        return self._pod.launch_error

    @property
    def log_status(self) -> LogStatus | None:
        """How the collection of its log stands; None if nothing is collected."""
        return self._pod.log_status

    @property
    def timeline(self) -> Timings:
        """When it was created, scheduled, started and finished, as far as that has happened."""
        return self._pod.timeline

    def wait(self, timeout_s: float | None = None) -> Outcome:
        """Waits for the pod's outcome. Returning it takes it (``outcome_delivery``).

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: The time is over; the pod goes on. The message says its status, and why it waits.
            StaleError: The time is over, and nothing is known because the watch is interrupted.
            OwnershipError: Another runner took the pod over; the outcome is reported there.
            AttemptOwnedError: The pod is another runner's, and this one could not have it.
            AttemptEndedError: The attempt had ended before, as for ``launch``.
            RunnerClosedError: The runner was closed meanwhile and left the pod alone.
        """
        if timeout_s is None and not self._pod.done:
            self._bridge.wait_for(partial(when_over, self._pod))
        return self.outcome or self._bridge.call(self._pod.wait, timeout_s)

    def result(self) -> Outcome:
        """The outcome of a pod that is over, without waiting. Returning it takes it (``outcome_delivery``).

        Raises:
            NotDoneError: The pod is not over yet.
            StaleError: Nothing is known because the watch is interrupted.
            OwnershipError: As for ``wait``.
            RunnerClosedError: As for ``wait``.
        """
        return self._bridge.run_if_open(self._pod.result)

    def logs(
        self,
        *,
        follow: bool = True,
        container: str | None = None,
        since: datetime | float | None = None,
        timestamps: bool = False,
    ) -> LogStream:
        """The log as a stream of lines: ``for line in pod.logs()``.

        The reading begins with the first line asked for. While it is being read, the end of the pod does not delete it
        for ``logs.drain_timeout_s``. Of a pod that is gone, the local file is read, if there is one.

        Args:
            follow: Go on until the container is over; False: what there is now.
            container: Which container; None: the main one.
            since: Only lines from that time on, or of the last so many seconds; None: all.
            timestamps: Whether each line begins with its time stamp.

        Raises:
            LogError: There is no such container.
        """
        stream = self._bridge.run(
            self._pod.logs, follow=follow, container=container, since=since, timestamps=timestamps
        )
        return LogStream(stream, self._bridge)

    def read_log(self, *, container: str | None = None, tail_lines: int | None = None) -> LogDocument:
        """Reads the log as it is now: from the local file, else from the pod, else from the configured log server.

        Args:
            container: Which container; None: the main one.
            tail_lines: Only the last so many lines, where the pod is asked; None: all.

        Raises:
            LogError: It is nowhere.
        """
        return self._bridge.call(self._pod.read_log, container=container, tail_lines=tail_lines)

    def exec(
        self, command: Sequence[str], *, container: str | None = None, stdin: bytes | None = None
    ) -> ExecResult:
        """Runs a command in a container, to its end.

        Args:
            command: Program and arguments; no shell reads them.
            container: Which container; None: the main one.
            stdin: All that it reads; None: no standard input.

        Raises:
            ExecError: It could not be run. An exit code other than 0 is no error.
            ApiError: The server refuses, as when the container is over.
            UsageError: The pod does not exist (yet, or any more).
        """
        return self._bridge.call(self._pod.exec, command, container=container, stdin=stdin)

    def manifest(self) -> dict[str, Any]:
        """The pod as the API server has it, whole.

        Raises:
            NotFoundError: It does not exist (yet, or any more).
        """
        return self._bridge.call(self._pod.manifest)

    def cancel(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Ends the pod, wherever it is: queued, being created, pending or running.

        Its outcome follows: see ``wait``. A pod that has ended already keeps its outcome, and is deleted or
        retained as without the cancel.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: its end is reported there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        self._bridge.call(self._pod.cancel, grace_period_s=grace_period_s, wait=wait)

    def delete(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Deletes the pod, whatever the policy says. One that has not ended is cancelled.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: its end is reported there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        self._bridge.call(self._pod.delete, grace_period_s=grace_period_s, wait=wait)


def async_pod_of(pod: Pod) -> AsyncPod:
    """Returns the asynchronous handle behind a blocking one."""
    return pod._pod  # noqa: SLF001  # the handle's own room

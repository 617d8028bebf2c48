"""The handles that callers hold: of one pod, and of a run with its tries. Nothing is decided here.

Every method asks the runner that made the handle, through its :class:`~podrunner.runner.context.RunnerContext`.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.errors import (
    LogError,
    NotDoneError,
    NotFoundError,
    OwnershipError,
    RunnerClosedError,
    UsageError,
)
from podrunner.logs import (
    LogDocument,
    LogQuery,
    LogReader,
    LogStatus,
    PodLog,
    absolute_log_path,
    configured_places,
)
from podrunner.markup import Facts, html_table, rich_table
from podrunner.outcome import Outcome, Timings, Waiting, main_status, timings_of
from podrunner.runner.log_stream import AsyncLogStream, PodLogReading

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Sequence
    from datetime import datetime

    from rich.table import Table

    from podrunner.errors import PodrunnerError
    from podrunner.kube import ExecResult
    from podrunner.runner.context import RunnerContext
    from podrunner.runner.runs import Runs, TrackedRun
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import WorkloadKey

__all__ = ["AsyncPod", "AsyncRun", "peek_outcome", "tracked_of"]


class AsyncPod:
    """One pod of a runner. Made by :meth:`AsyncPodRunner.launch` and its siblings.

    Two handles of one pod are equal.
    """

    def __init__(self, tracked: TrackedPod, context: RunnerContext) -> None:
        self._tracked = tracked
        self._context = context

    def __repr__(self) -> str:
        return repr(self._tracked)

    def _repr_html_(self) -> str:
        return html_table("pod", self._facts())

    def __rich__(self) -> Table:
        return rich_table("pod", self._facts())

    def _facts(self) -> Facts:
        """What a notebook shows: without a request, and nothing of it is taken."""
        tracked = self._tracked
        yield from (("name", f"{tracked.namespace}/{tracked.name}"), ("key", tracked.key))
        yield from (("status", tracked.status or "not created"), ("outcome", tracked.outcome))
        yield from (("launch failed", tracked.launch_error), ("log", self.log_path))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncPod) and other._tracked is self._tracked

    def __hash__(self) -> int:
        return hash(id(self._tracked))

    @property
    def key(self) -> WorkloadKey:
        """What the pod is for: identity and attempt."""
        return self._tracked.key

    @property
    def name(self) -> str:
        """The pod's name."""
        return self._tracked.name

    @property
    def namespace(self) -> str:
        """The pod's namespace."""
        return self._tracked.namespace

    @property
    def uid(self) -> str:
        """The pod's UID; "" while it does not exist yet."""
        return self._tracked.uid

    @property
    def log_path(self) -> str | None:
        """The file that its log is collected into, absolute; without ``logs.folder``, the path below a log folder.

        None: it goes nowhere.
        """
        return absolute_log_path(self._context.config.logs.folder, self._tracked.log_path)

    @property
    def status(self) -> str:
        """What ``kubectl get pod`` shows as its status: ``ContainerCreating``, ``Completed``, …; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        self._context.check_fresh(self._tracked)
        return self._tracked.status

    @property
    def phase(self) -> str:
        """The pod's phase, such as ``Pending`` or ``Running``; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        self._context.check_fresh(self._tracked)
        pod = self._tracked.pod
        return pod.status.phase if pod is not None else ""

    @property
    def waiting(self) -> Waiting | None:
        """Why the pod waits, in the cluster's words, and when it is given up; None: it runs, is over, or is not there.

        It costs no request: the runner reads it from what the watch showed.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        self._context.check_fresh(self._tracked)
        return self._context.waiting(self._tracked)

    @property
    def outcome(self) -> Outcome | None:
        """The pod's outcome; None while it is not over. Reading it takes it (``outcome_delivery``)."""
        return self._context.take_outcome(self._tracked)

    @property
    def done(self) -> bool:
        """Whether it is over, or its outcome will not come from here: ``result`` then returns, or raises why."""
        return self._tracked.state.is_ended

    @property
    def replayed(self) -> bool:
        """Whether the pod had ended before this launch of its attempt: its outcome is that of an earlier launch."""
        return self._tracked.replayed

    @property
    def launch_error(self) -> PodrunnerError | None:
        """Why the pod could not be created, or be taken over; None if it could, or is still being created."""
        return self._tracked.launch_error

    @property
    def log_status(self) -> LogStatus | None:
        """How the collection of its log stands; None if nothing is collected."""
        return self._tracked.collector.status if self._tracked.collector is not None else None

    @property
    def timeline(self) -> Timings:
        """When it was created, scheduled, started and finished, as far as that has happened."""
        pod = self._tracked.pod
        if pod is None:
            return Timings()
        return timings_of(pod, main_status(pod, self._tracked.main_container))

    async def wait(self, timeout_s: float | None = None) -> Outcome:
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
        with anyio.move_on_after(timeout_s):
            await self._tracked.ended()
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise TimeoutError(
            f"pod {self.namespace}/{self.name} was not over after {timeout_s:g} s: it {self._stands()}"
        )

    def result(self) -> Outcome:
        """The outcome of a pod that is over, without waiting. Returning it takes it (``outcome_delivery``).

        Raises:
            NotDoneError: The pod is not over yet.
            StaleError: Nothing is known because the watch is interrupted.
            OwnershipError: As for ``wait``.
            RunnerClosedError: As for ``wait``.
        """
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise NotDoneError(f"pod {self.namespace}/{self.name} has no outcome yet: it {self._stands()}")

    def __await__(self) -> Generator[Any, Any, Outcome]:
        """``outcome = await pod``: as ``wait`` without a time limit."""
        return self.wait().__await__()

    def _take_outcome(self) -> Outcome | None:
        """Returns the outcome; None: there is none yet. Raises why none will come from here, or none is known."""
        outcome = self._context.take_outcome(self._tracked)
        if outcome is None and self._tracked.is_relinquished:
            self._raise_relinquished()
        if outcome is None:
            self._context.check_fresh(self._tracked)
        return outcome

    def _stands(self) -> str:
        return _stands(self._tracked, self._context)

    def logs(
        self,
        *,
        follow: bool = True,
        container: str | None = None,
        since: datetime | float | None = None,
        timestamps: bool = False,
    ) -> AsyncLogStream:
        """The log as a stream of lines: ``async for line in pod.logs()``.

        The reading begins with the first line asked for. While it is being read, the end of the pod does not
        delete it for ``logs.drain_timeout_s``. Of a pod that is gone, the local file is read, if there is
        one.

        Args:
            follow: Go on until the container is over; False: what there is now.
            container: Which container; None: the main one.
            since: Only lines from that time on, or of the last so many seconds; None: all.
            timestamps: Whether each line begins with its time stamp.

        Raises:
            LogError: There is no such container.
        """
        name = container or self._tracked.main_container
        self._check_container(name)

        reading = PodLogReading(self._tracked, self._context, name, follow=follow, since=since)
        return AsyncLogStream(reading.run, self._context.start, timestamps=timestamps)

    async def read_log(self, *, container: str | None = None, tail_lines: int | None = None) -> LogDocument:
        """Reads the log as it is now: from the local file, else from the pod, else from the configured log server.

        Args:
            container: Which container; None: the main one.
            tail_lines: Only the last so many lines, where the pod is asked; None: all.

        Raises:
            LogError: It is nowhere.
        """
        tracked = self._tracked
        query = LogQuery(
            tracked.log_path,
            tracked.namespace,
            tracked.name,
            container,
            main_container=tracked.main_container,
        )
        pod = PodLog(self._context.client, tail_lines=tail_lines, turns=self._context.limiter)
        return await LogReader(configured_places(self._context.config.logs, pod)).read(query)

    async def exec(
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
        self._context.check_connected("exec")
        self._check_there()
        return await self._context.client.run_exec(
            self.namespace,
            self.name,
            command,
            container=container or self._tracked.main_container,
            stdin=stdin,
        )

    async def manifest(self) -> dict[str, Any]:
        """The pod as the API server has it, whole.

        Raises:
            NotFoundError: It does not exist (yet, or any more).
        """
        self._context.check_connected("manifest")
        if not self.uid:
            raise NotFoundError(status=404, server_message=f"pod {self.name} does not exist yet")
        return await self._context.client.read_pod_manifest(self.namespace, self.name)

    async def cancel(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Ends the pod, wherever it is: queued, being created, pending or running.

        Its outcome follows: see ``wait``. A pod that has ended already keeps its outcome, and is deleted or
        retained as without the cancel.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's
                own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: its end is reported there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        job = partial(self._context.cancel, self._tracked, grace_period_s=grace_period_s)
        await self._carry_out(job, name=f"cancel {self.name}", wait=wait)
        self._check_ours(over=self._tracked.outcome is not None)

    async def delete(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Deletes the pod, whatever the policy says. One that has not ended is cancelled.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's
                own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: its end is reported there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        job = partial(self._context.delete, self._tracked, grace_period_s=grace_period_s)
        await self._carry_out(job, name=f"delete {self.name}", wait=wait)
        self._check_ours(over=self._tracked.is_gone or not self._tracked.uid)

    async def _carry_out(
        self, job: Callable[[], Coroutine[Any, Any, None]], *, name: str, wait: bool
    ) -> None:
        if wait:
            await job()
        else:
            self._context.begin(job, name=name)

    def _check_ours(self, *, over: bool) -> None:
        """Says that nothing was done to a pod that is another runner's, or is about to be."""
        if self._tracked.is_relinquished or (self._context.is_relinquishing and not over):
            self._raise_relinquished()

    def _raise_relinquished(self) -> None:
        if self._tracked.launch_error is not None:
            raise self._tracked.launch_error
        if self._context.is_closed:
            raise RunnerClosedError(f"the runner was closed and left pod {self.namespace}/{self.name} alone")
        why = self._context.lost_because
        whose = "another runner took over" if why is None else f"this runner lost its lease ({why}) and so"
        raise OwnershipError(
            f"{whose} pod {self.namespace}/{self.name}: its outcome is reported by the runner that adopted it",
            namespace=self.namespace,
            name=self.name,
        )

    def _check_there(self) -> None:
        if not self.uid or self._tracked.is_gone:
            when = "any more" if self._tracked.is_gone else "yet"
            raise UsageError(f"pod {self.namespace}/{self.name} does not exist {when}")

    def _check_container(self, name: str) -> None:
        pod = self._tracked.pod
        specs = (*(pod.spec.containers or ()), *(pod.spec.init_containers or ())) if pod is not None else ()
        names = [spec.name for spec in specs]
        if names and name not in names:
            raise LogError(f"pod {self.name} has no container {name!r}, only {', '.join(names)}")


def _not_done(what: str, stands: str) -> NotDoneError:
    return NotDoneError(
        f"{what} has no outcome yet: {stands}; wait for it (`wait`, `as_completed`), or ask `done`"
    )


def _stands(pod: TrackedPod, context: RunnerContext) -> str:
    """Returns where a pod stands that is not over: its status, or why it waits and until when."""
    waiting = context.waiting(pod)
    if waiting is None:
        return f"is {pod.status}" if pod.status else "is not created yet"
    if waiting.gives_up_at is None:
        return f"is {waiting}; never given up"
    left_s = (waiting.gives_up_at - context.now()).total_seconds()
    return f"is {waiting}; given up in {max(0.0, left_s):.0f} s"


class AsyncRun:
    """A workload that is run, with as many pods as its retry policy allows. Made by :meth:`AsyncPodRunner.run`.

    Each try is a pod with a handle, an outcome and events of its own. Two handles of one run are equal.
    """

    def __init__(self, run: TrackedRun, runs: Runs, context: RunnerContext) -> None:
        self._run = run
        self._runs = runs
        self._context = context

    def __repr__(self) -> str:
        return f"<run {self.key} {len(self._run.tries)} pods>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AsyncRun) and other._run is self._run

    def __hash__(self) -> int:
        return hash(id(self._run))

    @property
    def key(self) -> WorkloadKey:
        """The key of the present or last try, as ``pod.key``; before the first one, the key that was handed in."""
        return self._run.tries[-1].key if self._run.tries else self._run.workload.key

    @property
    def pods(self) -> list[AsyncPod]:
        """The pods of all tries so far that this runner made or adopted, in their order."""
        return [AsyncPod(tracked, self._context) for tracked in self._run.tries]

    @property
    def pod(self) -> AsyncPod | None:
        """The pod of the present or last try; None before the first that this runner made or adopted."""
        return AsyncPod(self._run.tries[-1], self._context) if self._run.tries else None

    @property
    def outcome(self) -> Outcome | None:
        """The outcome of the last pod; None while the run is not over, also between two tries. Reading it takes it."""
        return self._read_outcome()

    @property
    def done(self) -> bool:
        """Whether it is over, or goes on elsewhere: ``result`` then returns, or raises why."""
        return self._run.is_over

    def _read_outcome(self) -> Outcome | None:
        run = self._run
        if run.outcome is not None and run.tries:
            self._context.take_outcome(run.tries[-1])
        return run.outcome

    async def wait(self, timeout_s: float | None = None) -> Outcome:
        """Waits until the run is over: a pod succeeded, or there is no further try.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Returns:
            The outcome of the last pod. A run that was cancelled between two tries keeps that of the pod before.

        Raises:
            TimeoutError: The time is over; the run goes on.
            StaleError: The time is over, and nothing is known because the watch is interrupted.
            OwnershipError: Another runner took the pod over, and goes on with the run.
            RunnerClosedError: The runner was closed meanwhile and left the run to a successor.
        """
        with anyio.move_on_after(timeout_s):
            await self._run.ended()
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise TimeoutError(f"run {self.key} was not over after {timeout_s:g} s: {self._stands()}")

    def result(self) -> Outcome:
        """The outcome of a run that is over, without waiting. Returning it takes it (``outcome_delivery``).

        Raises:
            NotDoneError: The run is not over yet.
            StaleError: Nothing is known because the watch is interrupted.
            OwnershipError: As for ``wait``.
            RunnerClosedError: As for ``wait``.
        """
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise NotDoneError(f"run {self.key} has no outcome yet: {self._stands()}")

    def __await__(self) -> Generator[Any, Any, Outcome]:
        """``outcome = await run``: as ``wait`` without a time limit."""
        return self.wait().__await__()

    def _take_outcome(self) -> Outcome | None:
        """Returns the outcome; None: there is none yet. Raises why none will come from here, or none is known."""
        outcome, run = self._read_outcome(), self._run
        if outcome is None and run.is_relinquished:
            self._raise_relinquished()
        if outcome is None and run.tries:
            self._context.check_fresh(run.tries[-1])
        return outcome

    def _stands(self) -> str:
        last = self._run.tries[-1] if self._run.tries else None
        return "it has no pod yet" if last is None else f"pod {last.name} {_stands(last, self._context)}"

    async def cancel(self, *, grace_period_s: int | None = None, wait: bool = True) -> None:
        """Ends the run, wherever it is: the present pod is cancelled, and there is no further try.

        Args:
            grace_period_s: Seconds that the pod's processes have to end; None: the configuration's, or the pod's own.
            wait: Whether to return when the API server has accepted it; False: at once, while the runner goes on.

        Raises:
            OwnershipError: Another runner goes on with the run, or will: its end is reported there.
            RunnerClosedError: The runner was closed and left the run to a successor.
        """
        if wait:
            await self._runs.cancel(self._run, grace_period_s=grace_period_s)
        else:
            self._runs.begin_cancel(self._run, grace_period_s=grace_period_s)
        if self._run.is_relinquished or (self._context.is_relinquishing and self._run.outcome is None):
            self._raise_relinquished()

    def _raise_relinquished(self) -> None:
        lost = self._run.tries[-1].launch_error if self._run.tries else None
        if lost is not None:
            raise lost
        if self._context.is_closed:
            raise RunnerClosedError(f"the runner was closed and left run {self.key} to a successor")
        raise OwnershipError(
            f"another runner goes on with run {self.key}: its outcome is reported there",
            namespace="",
            name="",
        )


# What other parts of podrunner ask of handles, and callers do not


def tracked_of(pod: AsyncPod) -> TrackedPod:
    """Returns the pod of a handle as its runner tracks it."""
    return pod._tracked  # noqa: SLF001  # the handle's own room


def is_over(handle: AsyncPod | AsyncRun) -> bool:
    """Returns whether a pod or run is over here."""
    return handle.done


def on_end(handle: AsyncPod | AsyncRun, callback: Callable[[], object]) -> None:
    """Calls a function once, when a pod or run that is not over is over."""
    tracked = handle._tracked if isinstance(handle, AsyncPod) else handle._run  # noqa: SLF001
    tracked.on_end(callback)


def standing(handle: AsyncPod | AsyncRun) -> str:
    """Says of a pod or run that is not over how it stands.

    Raises:
        StaleError: That is not known, because the watch is interrupted.
    """
    try:
        handle.result()
    except NotDoneError as error:
        return str(error)
    return f"{handle!r} is over by now"


def peek_outcome(handle: AsyncPod | AsyncRun) -> Outcome | None:
    """Returns the outcome of a pod or run without taking it; None while there is none."""
    return handle._tracked.outcome if isinstance(handle, AsyncPod) else handle._run.outcome  # noqa: SLF001

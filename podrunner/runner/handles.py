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
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import WorkloadKey

__all__ = ["AsyncPod", "pod_stands", "tracked_of"]


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
        stamped = timings_of(pod, main_status(pod, self._tracked.main_container))
        return self._tracked.measured(stamped)

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
        if timeout_s is None or self.done:
            await self._ended()
        else:
            with anyio.move_on_after(timeout_s):
                await self._ended()
        outcome = self._take_outcome()
        if outcome is not None:
            return outcome
        raise TimeoutError(
            f"pod {self.namespace}/{self.name} was not over after {timeout_s:g} s: it {self._stands()}"
        )

    async def _ended(self) -> None:
        tracked, context = self._tracked, self._context
        if tracked.uid:
            await tracked.ended()
            return
        context.wait_begins(tracked)  # it is launched, whatever the caller has not read
        try:
            await tracked.ended()
        finally:
            context.wait_ends(tracked)

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
        return pod_stands(self._tracked, self._context)

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
        return AsyncLogStream(reading.run, self._context.start, timestamps=timestamps, rest=reading.rest)

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


def pod_stands(pod: TrackedPod, context: RunnerContext) -> str:
    """Returns where a pod stands that is not over: its status, or why it waits and until when."""
    waiting = context.waiting(pod)
    if waiting is None:
        return f"is {pod.status}" if pod.status else "is not created yet"
    if waiting.gives_up_at is None:
        return f"is {waiting}; never given up"
    left_s = (waiting.gives_up_at - context.now()).total_seconds()
    return f"is {waiting}; given up in {max(0.0, left_s):.0f} s"


# What other parts of podrunner ask of handles, and callers do not


def tracked_of(pod: AsyncPod) -> TrackedPod:
    """Returns the pod of a handle as its runner tracks it."""
    return pod._tracked  # noqa: SLF001  # the handle's own room

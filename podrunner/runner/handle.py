"""The handle of one pod: what a user holds. Every method asks the runner that made it; nothing is decided here."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.errors import LogError, NotFoundError, OwnershipError, RunnerClosedError, UsageError
from podrunner.logs import (
    ContainerFollower,
    ContainerView,
    FollowLimits,
    LocalFile,
    LogCursor,
    LogDocument,
    LogQuery,
    LogReader,
    LogStatus,
    PodLog,
    configured_places,
)
from podrunner.logs.lines import LineAssembler
from podrunner.outcome import Outcome, Timings, main_status, timings_of
from podrunner.runner.log_stream import AsyncLogStream, Put

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.errors import PodrunnerError
    from podrunner.kube import ExecResult
    from podrunner.runner.desk import Desk
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import WorkloadKey

__all__ = ["AsyncPod"]


class AsyncPod:
    """One pod of a runner. Made by :meth:`AsyncPodRunner.launch` and its siblings.

    Two handles of one pod are equal.
    """

    def __init__(self, tracked: TrackedPod, desk: Desk) -> None:
        self._tracked = tracked
        self._desk = desk

    def __repr__(self) -> str:
        return repr(self._tracked)

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
        """Where its log goes, below the log folder; None: nowhere."""
        return self._tracked.log_path

    @property
    def status(self) -> str:
        """What ``kubectl get pod`` shows as its status: ``ContainerCreating``, ``Completed``, …; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        self._desk.check_fresh(self._tracked)
        return self._tracked.status

    @property
    def phase(self) -> str:
        """The pod's phase, such as ``Pending`` or ``Running``; "" before it exists.

        Raises:
            StaleError: The watch has been interrupted for too long: what is known may be wrong.
        """
        self._desk.check_fresh(self._tracked)
        pod = self._tracked.pod
        return pod.status.phase if pod is not None else ""

    @property
    def outcome(self) -> Outcome | None:
        """The pod's outcome; None while it is not over."""
        return self._tracked.outcome

    @property
    def launch_error(self) -> PodrunnerError | None:
        """Why the pod could not be created; None if it could, or is still being created."""
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
        """Waits for the pod's outcome.

        Args:
            timeout_s: Seconds to wait at most; None: as long as it takes.

        Raises:
            TimeoutError: The time is over; the pod goes on.
            StaleError: The time is over, and nothing is known because the watch is interrupted.
            OwnershipError: Another runner took the pod over; the outcome is reported there.
            RunnerClosedError: The runner was closed meanwhile and left the pod alone.
        """
        tracked = self._tracked
        with anyio.move_on_after(timeout_s):
            await tracked.settled()
        if tracked.outcome is not None:
            return tracked.outcome
        if tracked.lost:
            self._raise_lost()
        self._desk.check_fresh(tracked)
        raise TimeoutError(f"pod {self.namespace}/{self.name} was not over after {timeout_s:g} s")

    def logs(
        self,
        *,
        follow: bool = True,
        container: str | None = None,
        since: datetime | float | None = None,
        timestamps: bool = False,
    ) -> AsyncLogStream:
        """The log as a stream of lines: ``async for line in pod.logs()``.

        The reading begins with the first line asked for. While somebody reads, the end of the pod does not
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

        async def produce(put: Put) -> None:
            await self._produce(put, name, follow=follow, since=_since_time(since))

        return AsyncLogStream(produce, self._desk.start, timestamps=timestamps)

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
        pod = PodLog(self._desk.client, tail_lines=tail_lines, turns=self._desk.log_limiter)
        return await LogReader(configured_places(self._desk.config.logs, pod)).read(query)

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
        self._check_there()
        return await self._desk.client.run_exec(
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
        if not self.uid:
            raise NotFoundError(status=404, server_message=f"pod {self.name} does not exist yet")
        return await self._desk.client.read_pod_manifest(self.namespace, self.name)

    async def cancel(self, *, grace_period_s: int | None = None) -> None:
        """Ends the pod, wherever it is: queued, being created, pending or running.

        Its outcome follows: see ``wait``.

        Returns when the API server has accepted the deletion. A pod that has ended already keeps its outcome.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's
                own.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: how it ends is told there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        await self._desk.cancel(self._tracked, grace_period_s=grace_period_s)
        self._check_left(over=self._tracked.outcome is not None)

    async def delete(self, *, grace_period_s: int | None = None) -> None:
        """Deletes the pod, whatever the policy says. One that has not ended is cancelled.

        Args:
            grace_period_s: Seconds that its processes have to end; None: the configuration's, or the pod's
                own.

        Raises:
            OwnershipError: The pod is another runner's now, or will be: how it ends is told there.
            RunnerClosedError: The runner was closed and left the pod alone.
        """
        await self._desk.delete(self._tracked, grace_period_s=grace_period_s)
        self._check_left(over=self._tracked.gone or not self._tracked.uid)

    def _check_left(self, *, over: bool) -> None:
        """Says that nothing was done to a pod that is another runner's, or is about to be."""
        if self._tracked.lost or (self._desk.leaves_alone and not over):
            self._raise_lost()

    def _raise_lost(self) -> None:
        if self._desk.is_closed:
            raise RunnerClosedError(f"the runner was closed and left pod {self.namespace}/{self.name} alone")
        why = self._desk.fenced_because
        whose = "another runner took over" if why is None else f"this runner lost its lease ({why}) and so"
        raise OwnershipError(
            f"{whose} pod {self.namespace}/{self.name}: its outcome is reported by whoever adopted it",
            namespace=self.namespace,
            name=self.name,
        )

    def _check_there(self) -> None:
        if not self.uid or self._tracked.gone:
            when = "any more" if self._tracked.gone else "yet"
            raise UsageError(f"pod {self.namespace}/{self.name} does not exist {when}")

    def _check_container(self, name: str) -> None:
        pod = self._tracked.pod
        specs = (*(pod.spec.containers or ()), *(pod.spec.init_containers or ())) if pod is not None else ()
        names = [spec.name for spec in specs]
        if names and name not in names:
            raise LogError(f"pod {self.name} has no container {name!r}, only {', '.join(names)}")

    async def _produce(self, put: Put, container: str, *, follow: bool, since: str | None) -> None:
        tracked = self._tracked
        if tracked.gone:
            await self._put_file(put, container)
            return
        tracked.begin_reading()
        try:
            await self._follow(put, container, follow=follow, since=since)
        finally:
            tracked.end_reading()

    async def _follow(self, put: Put, container: str, *, follow: bool, since: str | None) -> None:
        life = self._tracked if follow else _Now(self._tracked)
        while follow and not self._tracked.uid and self._tracked.outcome is None:
            await self._tracked.changed()
        follower = ContainerFollower(
            self._desk.client,
            self._tracked.address,
            life,
            lambda item, _: put(item),
            cursor=LogCursor(self.uid, container, restart=self._tracked.container(container).restart),
            limits=FollowLimits(drain_s=self._desk.config.logs.drain_timeout_s, since=since),
            limiter=self._desk.log_limiter,
            random=self._desk.random,
        )
        await follower.run()

    async def _put_file(self, put: Put, container: str) -> None:
        folder = self._desk.config.logs.folder
        query = LogQuery(
            self._tracked.log_path, container=container, main_container=self._tracked.main_container
        )
        if folder is None:
            raise self._no_file()
        lines = LineAssembler()
        async with LocalFile(folder).open(query) as found:
            if found is None:
                raise self._no_file()
            async for batch in found.batches:
                await put(_texts(lines.feed(batch)))
            await put(_texts(lines.rest()))

    def _no_file(self) -> LogError:
        return LogError(f"pod {self.namespace}/{self.name} is gone, and there is no local file of its log")


def _texts(lines: bytes) -> list[str]:
    return lines.decode("utf-8", "replace").split("\n")[:-1]


class _Now:
    """A pod's life cut off at the present: what there is to read now is all that there will be."""

    def __init__(self, tracked: TrackedPod) -> None:
        self._tracked = tracked

    def container(self, name: str) -> ContainerView:
        view = self._tracked.container(name)
        return ContainerView(view.restart, view.started, ended=True, final=True, gone=view.gone)

    async def changed(self) -> None:
        await self._tracked.changed()


def _since_time(since: datetime | float | None) -> str | None:
    if since is None:
        return None
    if isinstance(since, datetime):
        moment = since.astimezone(UTC)
    else:
        moment = datetime.fromtimestamp(datetime.now(UTC).timestamp() - since, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")

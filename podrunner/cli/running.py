"""How ``podrunner run`` runs a workload: with a runner that follows it to its end, or created and left to itself."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from math import ceil
from random import Random
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from podrunner.cli.controls import shown
from podrunner.cli.naming import PodIdentity
from podrunner.cli.progress import WaitProgress
from podrunner.cli.screen import is_terminal
from podrunner.errors import NotFoundError, PodrunnerError
from podrunner.kube import Backoff
from podrunner.runner import AsyncPodRunner, RetryPolicy

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome import Outcome
    from podrunner.runner import AsyncPod, AsyncRun
    from podrunner.workload import Workload

__all__ = ["AttachedRun", "Detached", "Ran", "launch_detached", "retry_policy"]

_ENDS_WITHIN_S: Final = 90
"""As long as closing a runner waits for the ends of its pods."""
_ASKED_WITHIN_S: Final = 10
"""What a command that is ending anyway waits for the answers about what it leaves."""


class Ran(NamedTuple):
    """What came of a run.

    Attributes:
        outcome: The last pod's.
        pods: All pods, in their order.
        kept: Those that are still there.
        log: The lines of all, if they were not printed.
    """

    outcome: Outcome
    pods: list[PodIdentity]
    kept: list[PodIdentity]
    namespace: str
    log: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        last = self.pods[-1]
        return {
            "key": last.key,
            "attempt": last.attempt,
            "pod": last.pod,
            "namespace": self.namespace,
            "outcome": self.outcome.to_dict(),
            "log": self.log,
            "kept": [one.pod for one in self.kept],
        }


def retry_policy(settings: RunnerConfig, retries: int) -> RetryPolicy | None:
    """Return when a failed workload is tried again; None: never.

    A number that is asked for counts whatever made the pod fail, as a user of a terminal expects.
    """
    if not retries:
        return None
    return replace(RetryPolicy.of(settings.run_retry), attempts=retries + 1, retry_if=lambda _: True)


def _longest_wait(policy: RetryPolicy | None, *, tries: int) -> str:
    """Say within which time another try follows after so many; a part of the wait may be random."""
    if policy is None or not isinstance(policy.wait, Backoff):
        return ""
    longest_s = replace(policy.wait, jitter=0.0).wait_s(tries, random=Random())  # noqa: S311  # no jitter: it decides nothing
    return f" within {ceil(longest_s)} s"


class Detached(NamedTuple):
    """A pod that is left to itself.

    Attributes:
        identity: What it is.
        namespace: Its namespace.
        had_ended: Whether it is of an earlier launch, and had ended before.
    """

    identity: PodIdentity
    namespace: str
    had_ended: bool


async def launch_detached(settings: RunnerConfig, workload: Workload) -> Detached:
    """Create the workload's pod and leave it."""
    async with (
        _opened(settings) as client,
        AsyncPodRunner(settings, client=client, on_exit="detach") as runner,
    ):
        pod = await runner.launch(workload)
        return Detached(_identity(pod), pod.namespace, pod.replayed)


@asynccontextmanager
async def _opened(settings: RunnerConfig) -> AsyncIterator[KubeClient | None]:
    """Open a client whose exec plugin may use the terminal; None: the runner starts a LocalCluster."""
    from podrunner.kube import connect

    if settings.cluster == "local":
        yield None
        return
    async with connect(settings, lends_terminal=True) as client:
        yield client


class AttachedRun:
    """Runs a workload, prints its log, and waits for its end.

    Args:
        settings: The configuration.
        workload: What is run.
        retry: When it is tried again; None: never.
        keeps_log: Whether the log's lines are collected instead of being printed.

    Attributes:
        kept: The pods that are still there once ``run`` has returned or raised.
    """

    def __init__(
        self, settings: RunnerConfig, workload: Workload, *, retry: RetryPolicy | None, keeps_log: bool
    ) -> None:
        self._settings = settings
        self._workload = workload
        self._retry = retry
        self._keeps_log = keeps_log
        self._log: list[str] = []
        self._pods: list[AsyncPod] = []
        self.kept: list[PodIdentity] = []

    async def run(self) -> Ran:
        """Run it to its end. Interrupted, it still finds out what is kept."""
        self._progress = WaitProgress(sys.stderr)
        async with _opened(self._settings) as client:
            try:
                async with AsyncPodRunner(self._settings, client=client) as runner:
                    outcome = await self._followed(runner)
            except BaseException:
                # What ends the command is said first of all: that the server does not answer either adds nothing.
                with anyio.move_on_after(_ASKED_WITHIN_S, shield=True), suppress(PodrunnerError):
                    await self._find_kept(client)
                raise
            await self._find_kept(client)
        identities = [_identity(pod) for pod in self._pods]
        return Ran(outcome, identities, self.kept, self._pods[-1].namespace, self._log)

    async def _find_kept(self, client: KubeClient | None) -> None:
        for pod in self._pods:
            if await _is_there(client, pod.namespace, pod.name):
                self.kept.append(_identity(pod))

    async def _followed(self, runner: AsyncPodRunner) -> Outcome:
        async with anyio.create_task_group() as tasks:
            if not self._keeps_log:
                tasks.start_soon(self._progress.watch, runner, name="podrunner-run-waiting")
            if self._retry is None:
                pod = await runner.launch(self._workload)
                self._pods = [pod]
                outcome = await self._to_its_end(runner, pod)
            else:
                outcome = await self._tried(runner)
            tasks.cancel_scope.cancel()
        return outcome

    async def _to_its_end(self, runner: AsyncPodRunner, pod: AsyncPod) -> Outcome:
        try:
            await self._show_log(pod)
            outcome = await pod.wait()
        except BaseException:
            await _stop(pod)
            raise
        finally:
            if pod.outcome is not None:  # whatever it is: no other command will ask for it
                runner.acknowledge(pod)
        if pod.replayed:
            self._progress.say("this attempt had ended before: its outcome is shown again")
        return outcome

    async def _tried(self, runner: AsyncPodRunner) -> Outcome:
        async with runner.events(observe=True) as events:
            run = runner.run(self._workload, retry=self._retry)
            try:
                async for event in events:
                    if event.kind in {"created", "adopted"}:
                        await self._show_log(event.pod)
                    elif event.kind == "finished" and event.will_retry:
                        within = _longest_wait(self._retry, tries=len(run.pods))
                        self._progress.say(
                            f"try {event.key.attempt}: {event.outcome}; another one follows{within}"
                        )
                    elif event.kind in {"finished", "lost"}:
                        break
                outcome = await run.wait()
            except BaseException:
                await _stop(run)
                raise
            finally:
                self._pods = run.pods
                runner.acknowledge([pod for pod in run.pods if pod.outcome is not None])
        return outcome

    async def _show_log(self, pod: AsyncPod) -> None:
        safe = _on_terminal if is_terminal(sys.stdout) else str
        async with pod.logs() as stream:
            async for line in stream:
                if self._keeps_log:
                    self._log.append(str(line))
                else:
                    self._progress.log_begins()
                    print(safe(line), flush=True)


def _on_terminal(line: object) -> str:
    return shown(str(line).encode("utf-8", "backslashreplace")).decode()


async def _stop(running: AsyncPod | AsyncRun) -> None:
    """End the pod of a command that was interrupted or that failed."""
    # Closing the runner cancels the pod again, and reports what it could not end.
    with anyio.move_on_after(_ENDS_WITHIN_S, shield=True), suppress(PodrunnerError):
        await running.cancel()
        await running.wait()


def _identity(pod: AsyncPod) -> PodIdentity:
    return PodIdentity(pod.name, dict(pod.key.parts), pod.key.attempt, pod.key.relaunch)


async def _is_there(client: KubeClient | None, namespace: str, name: str) -> bool:
    """Whether a pod stays; what a LocalCluster of the command's own had is gone with it."""
    if client is None:
        return False
    try:
        found = await client.read_pod(namespace, name)
    except NotFoundError:
        return False
    return found.metadata.deletion_timestamp is None

"""The commands that people type at pods: run, get, logs, exec, delete."""

from __future__ import annotations

import sys
import uuid
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import anyio
import typer

from podrunner.builder.labels import MANAGED_BY, MANAGER
from podrunner.cli.failures import NoSuchPodError, run_async
from podrunner.cli.options import (
    Config,
    Context,
    Kubeconfig,
    Local,
    Namespace,
    on_cluster,
    read_config,
    say_findings,
)
from podrunner.cli.output import print_json
from podrunner.cli.table import PodTable
from podrunner.config import RunnerConfig
from podrunner.errors import PodrunnerError, UsageError
from podrunner.workload import Workload

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.logs import FoundLog, LogPlace, LogQuery
    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod
    from podrunner.runner import AsyncPod, AsyncPodRunner

__all__ = ["delete", "exec_", "get", "logs", "run", "with_client"]

T = TypeVar("T")

OURS = f"{MANAGED_BY}={MANAGER}"
WORKLOAD_FAILED = 1
_ENDS_WITHIN_S = 90
"""As long as closing a runner waits for the ends of its pods."""


class Output(StrEnum):
    """How pods are shown."""

    WIDE = "wide"
    JSON = "json"
    NAME = "name"


def _variables(pairs: list[str]) -> dict[str, str]:
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"--env takes NAME=VALUE, not {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)


def _settings(
    config: Path | None, *, local: bool, kubeconfig: Path | None, context: str | None, namespace: str | None
) -> RunnerConfig:
    loaded = say_findings(read_config(config))
    return on_cluster(loaded, local=local, kubeconfig=kubeconfig, context=context, namespace=namespace)


def run(
    command: Annotated[list[str], typer.Argument(help="Program and arguments, after --.")],
    image: Annotated[str | None, typer.Option(help="Default: the configuration's.")] = None,
    name: Annotated[
        str | None, typer.Option(help="The workload's identity; default: a new one each time.")
    ] = None,
    env: Annotated[list[str] | None, typer.Option("--env", "-e", help="NAME=VALUE; may be repeated.")] = None,
    config: Config = None,
    local: Local = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
    json: Annotated[bool, typer.Option("--json", help="Print outcome and log as one JSON document.")] = False,
) -> None:
    """Run one command as a pod, follow its log, and end with its exit code.

    Exit code 1: the pod failed without an exit code of its own (the message says why).
    """
    settings = _settings(config, local=local, kubeconfig=kubeconfig, context=context, namespace=namespace)
    workload = Workload(
        key={"run": name or uuid.uuid4().hex[:8]}, command=command, image=image, env=_variables(env or [])
    )
    outcome = run_async(lambda: _run_one(settings, workload, json=json))
    raise typer.Exit(_run_code(outcome))


def _run_code(outcome: Outcome) -> int:
    if outcome.succeeded:
        return 0
    return outcome.exit_code or WORKLOAD_FAILED


async def _run_one(settings: RunnerConfig, workload: Workload, *, json: bool) -> Outcome:
    from podrunner.runner import AsyncPodRunner

    async with AsyncPodRunner(settings) as runner:
        pod = await runner.launch(workload)
        try:
            return await _follow(runner, pod, json=json)
        except BaseException:
            await _stop(pod)
            raise
        finally:
            if pod.outcome is not None:  # whatever it is: no other command will ask for it
                runner.acknowledge(pod)


async def _follow(runner: AsyncPodRunner, pod: AsyncPod, *, json: bool) -> Outcome:
    async with anyio.create_task_group() as tasks:
        if not json:
            tasks.start_soon(_say_why_it_waits, runner, name="podrunner-run-waiting")
        outcome = await _report(pod, json=json)
        tasks.cancel_scope.cancel()
    return outcome


async def _say_why_it_waits(runner: AsyncPodRunner) -> None:
    """Write what the pod waits for to standard error, each time that it is something else."""
    async with runner.events(observe=True) as events:
        async for event in events:
            if event.kind == "status-changed" and event.message:
                sys.stderr.write(f"podrunner: {event.status}: {event.message}\n")


async def _stop(pod: AsyncPod) -> None:
    """End the pod of a command that was interrupted or that failed."""
    # Closing the runner cancels the pod again, and reports what it could not end.
    with anyio.move_on_after(_ENDS_WITHIN_S, shield=True), suppress(PodrunnerError):
        await pod.cancel()
        await pod.wait()


async def _report(pod: AsyncPod, *, json: bool) -> Outcome:
    lines = []
    async with pod.logs() as stream:
        async for line in stream:
            if json:
                lines.append(str(line))
            else:
                print(line, flush=True)
    outcome = await pod.wait()
    if json:
        print_json({"pod": pod.name, "namespace": pod.namespace, "outcome": outcome.to_dict(), "log": lines})
    elif not outcome.succeeded:
        sys.stderr.write(f"podrunner: {outcome}\n")
    return outcome


def get(
    names: Annotated[list[str] | None, typer.Argument(help="Pods; default: all of podrunner's.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with each change until Ctrl-C.")
    ] = False,
    output: Annotated[Output | None, typer.Option("--output", "-o", help="Another form.")] = None,
    every: Annotated[
        bool, typer.Option("--all", "-a", help="Also pods that podrunner did not make.")
    ] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show pods as kubectl does."""
    settings = _settings(config, local=False, kubeconfig=kubeconfig, context=context, namespace=namespace)
    view = _View(settings.namespace, names or [], selector="" if every or names else OURS, output=output)
    with_client(settings, lambda client: view.show(client, watch=watch))


class _View:
    """What ``get`` shows."""

    def __init__(self, namespace: str, names: list[str], *, selector: str, output: Output | None) -> None:
        self._namespace = namespace
        self._names = set(names)
        self._selector = selector
        self._output = output
        self._table = PodTable(wide=output is Output.WIDE)

    async def show(self, client: KubeClient, *, watch: bool) -> None:
        page = await client.list_pods(self._namespace, label_selector=self._selector)
        pods = [pod for pod in page.items if self._wants(pod)]
        missing = self._names - {pod.metadata.name for pod in pods}
        if pods or not missing:
            await self._print(client, pods)
        if missing:
            raise NoSuchPodError(self._namespace, sorted(missing))
        if watch:
            await self._follow(client, page.resource_version)

    def _wants(self, pod: Pod) -> bool:
        return not self._names or pod.metadata.name in self._names

    async def _print(self, client: KubeClient, pods: list[Pod]) -> None:
        if self._output is Output.JSON:
            whole = [await client.read_pod_manifest(self._namespace, pod.metadata.name) for pod in pods]
            print_json({"apiVersion": "v1", "kind": "List", "items": whole})
            return
        if not pods:
            print(f"No resources found in {self._namespace} namespace.", file=sys.stderr)  # kubectl's words
            return
        named = self._output is Output.NAME
        for line in [f"pod/{pod.metadata.name}" for pod in pods] if named else self._table.lines(pods):
            print(line, flush=True)

    async def _follow(self, client: KubeClient, version: str) -> None:
        async with client.watch_pods(
            self._namespace, label_selector=self._selector, resource_version=version
        ) as stream:
            async for batch in stream:
                for event in batch:
                    if event.pod is not None and self._wants(event.pod):
                        print(self._table.line(event.pod), flush=True)


def logs(
    target: Annotated[str, typer.Argument(help="A pod, or the path of a log below the log folder.")],
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until the container ends.")] = False,
    container: Annotated[str | None, typer.Option("--container", "-C", help="Default: the main one.")] = None,
    timestamps: Annotated[bool, typer.Option(help="Put the node's time before each line.")] = False,
    tail: Annotated[int | None, typer.Option(min=0, help="Only the last so many lines.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the log to this file instead.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="The worker whose log server is asked.")] = None,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Print the log of a running or finished pod: from the collected file, the pod, or a worker's log server."""
    settings = _settings(config, local=False, kubeconfig=kubeconfig, context=context, namespace=namespace)
    from podrunner.logs import LogQuery

    view = _LogView(settings, follow=follow, timestamps=timestamps, tail=tail, output=output)
    if "/" in target and (settings.logs.folder is not None or settings.logs.server_url is not None):
        query = LogQuery(
            log_path=target, container=container, main_container=settings.container_name, host=host
        )
        run_async(lambda: view.show(query, None))
        return
    query = LogQuery(namespace=settings.namespace, pod=target, container=container, main_container="")
    with_client(settings, lambda client: view.show(query, client))


class _LogView:
    """Where a log is looked for, and how it is shown."""

    def __init__(
        self,
        settings: RunnerConfig,
        *,
        follow: bool,
        timestamps: bool,
        tail: int | None,
        output: Path | None,
    ) -> None:
        if follow and output is not None:
            raise UsageError("--follow shows a log as it grows, and --output writes one that is whole")
        self._logs = settings.logs
        self._follow = follow
        self._timestamps = timestamps
        self._tail = tail
        self._output = output

    async def show(self, query: LogQuery, client: KubeClient | None) -> None:
        from podrunner.logs import LogReader

        if client is None and self._follow and self._tail is not None:
            raise UsageError("--tail and --follow of a file at once: choose one")
        reader = LogReader(self._places(client))
        if self._output is not None:
            print(await reader.save(query, self._output), file=sys.stderr)
            return
        async with reader.open(query, follow=self._follow) as found:
            if found.source != "pod":  # kubectl says nothing either
                print(found.header, flush=True)
            await self._print(found)

    def _places(self, client: KubeClient | None) -> list[LogPlace]:
        from podrunner.logs import PodLog, configured_places

        if client is not None:
            return [PodLog(client, tail_lines=self._tail, timestamps=self._timestamps)]
        return configured_places(self._logs)

    async def _print(self, found: FoundLog) -> None:
        if self._tail is None or found.source == "pod":
            async for batch in found.batches:
                _write(batch)
            return
        from podrunner.logs.lines import LineAssembler

        kept: deque[bytes] = deque(maxlen=self._tail)
        lines = LineAssembler()
        async for batch in found.batches:
            kept.extend(_each(lines.feed(batch)))
        kept.extend(_each(lines.rest()))
        _write(b"".join(kept))


def _each(lines: bytes) -> list[bytes]:
    return [line + b"\n" for line in lines.split(b"\n")[:-1]]


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()


def exec_(
    pod: Annotated[str, typer.Argument(help="The pod.")],
    command: Annotated[list[str], typer.Argument(help="Program and arguments, after --.")],
    container: Annotated[str | None, typer.Option("--container", "-C", help="Default: the main one.")] = None,
    stdin: Annotated[bool, typer.Option("--stdin", "-i", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the command a terminal.")] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Run a command in a running pod, and end with its exit code."""
    from podrunner.cli.terminal import converse

    settings = _settings(config, local=False, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def talk(client: KubeClient) -> int:
        async with client.exec(
            settings.namespace, pod, command, container=container, stdin=stdin, tty=tty
        ) as session:
            return await converse(session, stdin=stdin, tty=tty)

    raise typer.Exit(with_client(settings, talk))


def delete(
    names: Annotated[list[str], typer.Argument(help="The pods.")],
    grace_period: Annotated[int | None, typer.Option(min=0, help="Seconds; default: the pod's own.")] = None,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Delete pods."""
    settings = _settings(config, local=False, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def remove(client: KubeClient) -> list[str]:
        return [
            name
            for name in names
            if not await client.delete_pod(settings.namespace, name, grace_period_s=grace_period)
        ]

    missing = with_client(settings, remove)
    for name in names:
        if name not in missing:
            print(f'pod "{name}" deleted')
    if missing:
        raise NoSuchPodError(settings.namespace, missing)


def with_client(settings: RunnerConfig, body: Callable[[KubeClient], Awaitable[T]]) -> T:
    """Run the asynchronous body of a command that needs nothing but a client."""
    from podrunner.kube import connect

    async def main() -> T:
        async with connect(settings) as client:
            return await body(client)

    return run_async(main)

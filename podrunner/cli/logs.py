"""``podrunner logs``: the log of one pod as it is, or of several pods with their names before the lines."""

from __future__ import annotations

import sys
from collections import deque
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from podrunner.cli.completing import pod_words
from podrunner.cli.connection import place_of, settings_of, with_client
from podrunner.cli.controls import Controls, shown
from podrunner.cli.failures import run_async
from podrunner.cli.moments import since_time
from podrunner.cli.naming import OURS, resolve, selector_of
from podrunner.cli.options import (
    MOST_LINES,
    NO_POD_SECRETS,
    NO_SECRETS,
    AllNamespaces,
    AllowCommands,
    Config,
    Container,
    Context,
    Kubeconfig,
    Namespace,
    Selector,
)
from podrunner.cli.screen import is_terminal
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.logs import FoundLog, LogPlace, LogQuery

__all__ = ["logs"]


def logs(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=pod_words,
            help="Pods: keys, names or @latest; or the path of a log below the log folder.",
        ),
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Stay until the containers end.")] = False,
    selector: Selector = "",
    every: Annotated[bool, typer.Option("--all", help="All of podrunner's pods in the namespace.")] = False,
    all_namespaces: AllNamespaces = False,
    container: Container = None,
    timestamps: Annotated[bool, typer.Option(help="Put the node's time before each line.")] = False,
    tail: Annotated[
        int | None, typer.Option(min=0, max=MOST_LINES, help="Only the last so many lines of each.")
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Only from then on: a duration such as 10m, or an RFC 3339 time.")
    ] = None,
    prefix: Annotated[
        bool | None, typer.Option(help="Put the pod before each line; default: with several pods.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write the log to this file instead.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON document for each line.")] = False,
    host: Annotated[str | None, typer.Option(help="The worker whose log server is asked.")] = None,
    config: Config = None,
    allow_commands: AllowCommands = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Print logs: of one pod or several, of a collected file, or of a worker's log server."""
    words = targets or []
    if not (words or selector or every):
        raise UsageError("name a pod, select pods by -l, or take --all")
    if every and words:
        raise UsageError("--all shows all pods: name none")
    path = words[0] if len(words) == 1 and "/" in words[0] and not words[0].startswith("pod/") else ""
    settings = settings_of(
        config,
        kubeconfig=kubeconfig,
        context=context,
        namespace=namespace,
        allow_commands=allow_commands,
        unread=NO_POD_SECRETS if path else NO_SECRETS,
        asks_cluster=False,
    )
    begins = None if since is None else since_time(since, now=datetime.now(UTC))
    view = _LogView(settings, follow=follow, timestamps=timestamps, tail=tail, since=begins, output=output)
    if path and (settings.logs.folder is not None or settings.logs.server_url is not None):
        view.show_file(path, container=container, host=host)
        return
    from podrunner.kube.namespace import with_namespace_of_cluster

    settings = with_namespace_of_cluster(settings)
    place = place_of(settings, namespace=namespace, everywhere=all_namespaces)
    if len(words) == 1 and not (prefix or as_json):
        wanted = _Wanted(place, words[0], selector, container)
        with_client(settings, lambda client: view.show_pod(client, wanted))
        return
    if output is not None:
        raise UsageError("--output writes the log of one pod")
    from podrunner.cli.interleaved import InterleavedLogs

    reading = InterleavedLogs(
        settings, place, container=container, follow=follow, tail=tail, since=begins, timestamps=timestamps
    )
    reading.prints(prefix=prefix is not False, as_json=as_json)
    labels = selector_of(OURS, selector)
    with_client(settings, lambda client: reading.show(client, words, selector=selector if words else labels))


class _Wanted(NamedTuple):
    """The pod whose log is shown alone, and which container of it."""

    namespace: str | None
    word: str
    selector: str
    container: str | None


class _LogView:
    """Where one log is looked for, and how it is shown."""

    def __init__(
        self,
        settings: RunnerConfig,
        *,
        follow: bool,
        timestamps: bool,
        tail: int | None,
        since: str | None,
        output: Path | None,
    ) -> None:
        if follow and output is not None:
            raise UsageError("--follow shows a log as it grows, and --output writes one that is whole")
        self._settings = settings
        self._follow = follow
        self._timestamps = timestamps
        self._tail = tail
        self._since = since
        self._output = output

    def show_file(self, path: str, *, container: str | None, host: str | None) -> None:
        """Show a log by its path below the log folder."""
        from podrunner.logs import LogQuery

        if self._since is not None:
            raise UsageError("--since is answered by a pod's node: a file has no times to go by")
        main = self._settings.container_name
        query = LogQuery(log_path=path, container=container, main_container=main, host=host)
        run_async(lambda: self._show(query, None))

    async def show_pod(self, client: KubeClient, wanted: _Wanted) -> None:
        """Show the log of a pod."""
        from podrunner.logs import LogQuery

        pod = await resolve(client, wanted.namespace, wanted.word, selector=wanted.selector)
        meta, container = pod.metadata, wanted.container
        query = LogQuery(namespace=meta.namespace, pod=meta.name, container=container, main_container="")
        await self._show(query, client)

    async def _show(self, query: LogQuery, client: KubeClient | None) -> None:
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

        if client is None:
            return configured_places(self._settings.logs)
        return [PodLog(client, tail_lines=self._tail, since_time=self._since, timestamps=self._timestamps)]

    async def _print(self, found: FoundLog) -> None:
        if self._tail is None or found.source == "pod":
            controls = Controls() if is_terminal(sys.stdout) else None
            async for batch in found.batches:
                _write(batch if controls is None else controls.feed(batch))
            if controls is not None:
                _write(controls.rest())
            return
        from podrunner.logs.lines import LineAssembler

        kept: deque[bytes] = deque(maxlen=self._tail)
        lines = LineAssembler()
        async for batch in found.batches:
            kept.extend(_each(lines.feed(batch)))
        kept.extend(_each(lines.rest()))
        _write(shown(b"".join(kept)) if is_terminal(sys.stdout) else b"".join(kept))


def _each(lines: bytes) -> list[bytes]:
    return [line + b"\n" for line in lines.split(b"\n")[:-1]]


def _write(data: bytes) -> None:
    sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()

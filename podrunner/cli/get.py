"""``podrunner get``: pods as a table that fits the terminal, as JSON, YAML or names; with ``-w`` as they change."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final, NamedTuple

import typer

from podrunner.cells import width_of
from podrunner.cli.completing import pod_words
from podrunner.cli.connection import place_of, settings_of, with_client
from podrunner.cli.failures import NoSuchPodError, one_line
from podrunner.cli.layout import fitted
from podrunner.cli.naming import OURS, identity_of, resolve, selector_of, without_kind
from podrunner.cli.options import AllNamespaces, AsJson, Config, Context, Kubeconfig, Namespace, Selector
from podrunner.cli.output import print_json
from podrunner.cli.pod_table import cells_of, coloured, columns_of, sorted_pods, table_of
from podrunner.cli.rows import PodRow, row_of
from podrunner.cli.screen import ellipsis_of, is_terminal, shows_colour, table_width
from podrunner.cli.streams import takes_unicode
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from podrunner.cli.watching import PodChange
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["get"]

_LATER_LINES: Final = {
    "NAMESPACE": 12,
    "KEY": 12,
    "TRY": 3,
    "STATUS": len("ContainerCreating"),
    "WHY": 24,
    "EXIT": 4,
    "AGE": 4,
}
"""Room for what later lines of a watch will show."""


class Output(StrEnum):
    """How pods are shown."""

    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"
    NAME = "name"


def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            autocompletion=pod_words, help="Keys, names or @latest; default: all of podrunner's pods."
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Go on with each change until Ctrl-C.")
    ] = False,
    output: Annotated[
        Output | None,
        typer.Option("--output", "-o", help="Another form; json and yaml are Kubernetes' own objects."),
    ] = None,
    selector: Selector = "",
    others: Annotated[bool, typer.Option("--others", help="Also pods that podrunner did not make.")] = False,
    all_namespaces: AllNamespaces = False,
    as_json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show pods: what they are, why they wait, and why they failed."""
    if as_json and output is not None:
        raise UsageError("--json shows what podrunner says of pods, and --output another form: choose one")
    if watch and output in {Output.JSON, Output.YAML}:
        raise UsageError("--watch shows lines: with -o wide, -o name or --json")
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)
    place = place_of(settings, namespace=namespace, everywhere=all_namespaces)
    wanted = _Choice(place, tuple(without_kind(names)), selector=selector, others=others)
    view = _View(wanted, output=output, as_json=as_json)
    if watch:
        with_client(settings, lambda client: view.follow(client, attempts=settings.retry.attempts))
    else:
        with_client(settings, view.show)


class _Choice(NamedTuple):
    """Which pods are shown."""

    namespace: str | None
    names: tuple[str, ...]
    selector: str
    others: bool

    @property
    def labels(self) -> str:
        """The labels of the pods that are listed."""
        return selector_of("" if self.others else OURS, self.selector)

    def none_found(self) -> str:
        """Return what is said where there are none: kubectl's words, and that others were not looked for."""
        where = "" if self.namespace is None else f" in {self.namespace} namespace"
        return f"No resources found{where}.{'' if self.others else ' Pods that podrunner did not make: --others'}"

    async def find(self, client: KubeClient) -> tuple[list[Pod], NoSuchPodError | None]:
        """Return the pods that are wanted, and the error about those that are not there."""
        if not self.names:
            return list((await client.list_pods(self.namespace, label_selector=self.labels)).items), None
        found: dict[tuple[str, str], Pod] = {}
        missing: list[NoSuchPodError] = []
        for word in self.names:
            try:
                pod = await resolve(client, self.namespace, word, selector=self.selector)
            except NoSuchPodError as error:
                missing.append(error)
            else:
                found[pod.metadata.namespace, pod.metadata.name] = pod
        return list(found.values()), NoSuchPodError.of(missing)


class _View:
    """How they are shown."""

    def __init__(self, choice: _Choice, *, output: Output | None, as_json: bool) -> None:
        self._choice = choice
        self._output = output
        self._as_json = as_json
        self._everywhere = choice.namespace is None

    async def show(self, client: KubeClient) -> None:
        pods, missing = await self._choice.find(client)
        if pods or missing is None:
            await self._print(client, sorted_pods(pods))
        if missing is not None:
            raise missing

    async def _print(self, client: KubeClient, pods: list[Pod]) -> None:
        now = datetime.now(UTC)
        if self._as_json:
            print_json({"pods": [row_of(pod, now=now).to_dict() for pod in pods]})
        elif self._output in {Output.JSON, Output.YAML}:
            await self._print_objects(client, pods)
        elif not pods:
            print(self._choice.none_found(), file=sys.stderr)
        elif self._output is Output.NAME:
            for pod in pods:
                print(f"pod/{pod.metadata.name}")
        else:
            rows = [row_of(pod, now=now) for pod in pods]
            wide = self._output is Output.WIDE
            lines = table_of(
                rows,
                wide=wide,
                width=table_width(sys.stdout),
                ellipsis=ellipsis_of(),
                everywhere=self._everywhere,
            )
            print("\n".join(coloured(lines, rows) if shows_colour(sys.stdout) else lines))

    async def _print_objects(self, client: KubeClient, pods: list[Pod]) -> None:
        whole = [await client.read_pod_manifest(pod.metadata.namespace, pod.metadata.name) for pod in pods]
        document = {"apiVersion": "v1", "kind": "List", "items": whole}
        if self._output is Output.JSON:
            print_json(document)
            return
        import yaml

        print(yaml.safe_dump(document, sort_keys=False, allow_unicode=takes_unicode(sys.stdout)), end="")

    async def follow(self, client: KubeClient, *, attempts: int) -> None:
        """Show the pods, then each change."""
        from podrunner.cli.watching import PodWatching

        wanted = _Wanted(await self._identities(client))
        is_table = not self._as_json and self._output is not Output.NAME and is_terminal(sys.stdout)
        screen = self._live() if is_table else None
        lines = _Lines(output=self._output, as_json=self._as_json, everywhere=self._everywhere)
        show = lines.show if screen is None else screen.show
        watching = PodWatching(
            client,
            self._choice.namespace,
            selector=self._choice.labels,
            attempts=attempts,
            on_change=lambda change: show(wanted.of(change)),
        )
        await (watching.run() if screen is None else screen.run(watching.run))

    def _live(self) -> Any:
        from podrunner.cli.live import LiveTable

        return LiveTable(wide=self._output is Output.WIDE, everywhere=self._everywhere)

    async def _identities(self, client: KubeClient) -> list[Pod]:
        if not self._choice.names:
            return []
        pods, missing = await self._choice.find(client)
        if missing is not None:
            raise missing
        return pods


class _Wanted:
    """Which pods a watch shows: those that were named, and later attempts of the same keys."""

    def __init__(self, pods: Sequence[Pod]) -> None:
        self._names = {(pod.metadata.namespace, pod.metadata.name) for pod in pods}
        self._keys = [(pod.metadata.namespace, parts) for pod in pods if (parts := identity_of(pod).parts)]

    def of(self, change: PodChange) -> PodChange:
        if not self._names:
            return change
        return change._replace(pods=tuple(pod for pod in change.pods if self._takes(pod)))

    def _takes(self, pod: Pod) -> bool:
        meta = pod.metadata
        is_named = (meta.namespace, meta.name) in self._names
        return is_named or (meta.namespace, identity_of(pod).parts) in self._keys


class _Lines:
    """A line for each change, where no cursor can be moved: a pipe, a file."""

    def __init__(self, *, output: Output | None, as_json: bool, everywhere: bool = False) -> None:
        self._output = output
        self._everywhere = everywhere
        self._as_json = as_json
        self._widths: tuple[int, ...] = ()
        self._shown: dict[str, tuple[object, ...]] = {}

    async def show(self, change: PodChange) -> None:
        if change.trouble:
            said = one_line(change.trouble)
            print(f"podrunner: warning: {said}; trying again", file=sys.stderr, flush=True)
        now = datetime.now(UTC)
        for pod in sorted_pods(change.pods):
            row = row_of(pod, now=now)
            state = (row.status, row.why, row.exit_code, row.node, change.is_gone)
            if self._shown.get(pod.metadata.uid) != state:
                self._shown[pod.metadata.uid] = state
                self._print(row, is_gone=change.is_gone)
        if change.is_list:
            present = {pod.metadata.uid for pod in change.pods}
            self._shown = {uid: state for uid, state in self._shown.items() if uid in present}

    def _print(self, row: PodRow, *, is_gone: bool) -> None:
        if self._as_json:
            document = {**row.to_dict(), "deleted": is_gone}
            print(json.dumps(document, ensure_ascii=not takes_unicode(sys.stdout)), flush=True)
        elif self._output is Output.NAME:
            print(f"pod/{row.identity.pod}", flush=True)
        else:
            for line in self._lines(row):
                print(line, flush=True)

    def _lines(self, row: PodRow) -> list[str]:
        """Return the line of a pod, after the heading at first; later lines keep the columns' places."""
        wide = self._output is Output.WIDE
        columns = columns_of(wide=wide, everywhere=self._everywhere)
        cells = cells_of(row, wide=wide, everywhere=self._everywhere)
        is_first = not self._widths
        before = self._widths or [_LATER_LINES.get(column.title, 0) for column in columns]
        self._widths = tuple(  # one long WHY does not move all later lines
            max(width, 0 if column.title == "WHY" else width_of(cell))
            for column, width, cell in zip(columns, before, cells, strict=True)
        )
        width = table_width(sys.stdout)
        lines = fitted(columns, [cells], width=width, ellipsis=ellipsis_of(), least_widths=self._widths)
        return lines if is_first else lines[1:]

"""``podrunner timeline``: the lives of pods as a Gantt chart, of a run's journal or of a cluster's pods as they are."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.naming import OURS, selector_of
from podrunner.cli.options import Config, Context, Kubeconfig, Namespace, Selector
from podrunner.cli.output import print_json
from podrunner.cli.streams import takes_unicode
from podrunner.errors import UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.gantt import TimelineChart
    from podrunner.gantt.records import PodRecord
    from podrunner.kube import KubeClient

__all__ = ["timeline"]


def timeline(
    journal: Annotated[
        Path | None,
        typer.Argument(
            help="A journal, as podrunner.journal writes it; default: the cluster's pods as they are."
        ),
    ] = None,
    html: Annotated[
        Path | None, typer.Option(help="Write one HTML page to this file: zoom, search, details.")
    ] = None,
    svg: Annotated[Path | None, typer.Option(help="Write a picture to this file.")] = None,
    png: Annotated[
        Path | None, typer.Option(help="Write a picture in pixels to this file; needs podrunner[png].")
    ] = None,
    text: Annotated[
        bool, typer.Option("--text", help="Print it as text: what it does if nothing is asked for.")
    ] = False,
    width: Annotated[
        int | None, typer.Option(min=60, help="Columns of the text; default: the terminal's.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
    selector: Selector = "",
    others: Annotated[bool, typer.Option("--others", help="Also pods that podrunner did not make.")] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Draw the lives of pods: queued, scheduled, created, running, deleted; the tries of a workload in one row."""
    if journal is not None and (selector or others or kubeconfig or context or namespace):
        raise UsageError("a journal is read from its file alone: leave out the options of the cluster")
    from podrunner.gantt import timeline as timeline_of

    if journal is not None:
        chart = timeline_of(journal)
    else:
        settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)
        chart = _of_cluster(settings, selector_of("" if others else OURS, selector))
    for path, make in ((html, chart.html), (svg, chart.svg), (png, chart.png)):
        if path is not None:
            made = make()
            path.write_bytes(made if isinstance(made, bytes) else made.encode())
            sys.stderr.write(f"podrunner: wrote {path}\n")
    if json:
        print_json(chart.to_dict())
    elif text or not (html or svg or png):
        _print_text(chart, width)


def _print_text(chart: TimelineChart, width: int | None) -> None:
    columns = width or shutil.get_terminal_size().columns
    print(chart.text(width=max(60, columns), ascii_only=not takes_unicode(sys.stdout)))


def _of_cluster(settings: RunnerConfig, selector: str) -> TimelineChart:
    from podrunner.gantt import TimelineChart

    return TimelineChart(with_client(settings, lambda client: _records(client, settings.namespace, selector)))


async def _records(client: KubeClient, namespace: str, selector: str) -> list[PodRecord]:
    from podrunner.gantt.records import record_of
    from podrunner.outcome import NO_HISTORY, remember, why

    page = await client.list_pods(namespace, label_selector=selector)
    seen_s = time.time()
    found = []
    for pod in page.items:
        said = why(pod, history=remember(NO_HISTORY, pod))
        found.append(record_of(pod, seen_s=seen_s, waits_for="" if said is None else str(said)))
    return found

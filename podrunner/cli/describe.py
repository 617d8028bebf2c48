"""``podrunner describe``: everything that the cluster knows of one pod, on one page."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from podrunner.builder.labels import MANAGED_BY, MANAGER, OWNER, SCOPE
from podrunner.cli.completing import pod_words
from podrunner.cli.connection import place_of, settings_of, with_client
from podrunner.cli.description import Description, Owner, lines_of, sorted_events
from podrunner.cli.failures import one_line
from podrunner.cli.naming import resolve, without_kind
from podrunner.cli.options import (
    MOST_LINES,
    AllNamespaces,
    AsJson,
    Config,
    Container,
    Context,
    Kubeconfig,
    Namespace,
)
from podrunner.cli.output import print_json
from podrunner.cli.rows import main_container_of, row_of
from podrunner.cli.screen import ellipsis_of, table_width
from podrunner.cli.stages_bar import stages_of
from podrunner.cli.streams import takes_unicode
from podrunner.errors import ApiError, NotFoundError, UsageError

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Event, Pod

__all__ = ["describe"]


def describe(
    names: Annotated[
        list[str],
        typer.Argument(metavar="POD", autocompletion=pod_words, help="The pod's key or name, or @latest."),
    ],
    tail: Annotated[int, typer.Option(min=0, max=MOST_LINES, help="Last lines of its log; 0: none.")] = 10,
    container: Container = None,
    all_namespaces: AllNamespaces = False,
    as_json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show one pod: outcome and evidence, owner, stages, events, and the end of its log."""
    words = without_kind(names)
    if len(words) != 1:
        raise UsageError("describe shows one pod: name one")
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)
    place = place_of(settings, namespace=namespace, everywhere=all_namespaces)

    async def look(client: KubeClient) -> Description:
        pod = await resolve(client, place, words[0])
        return await _described(client, settings, pod, container=container, tail=tail)

    described = with_client(settings, look)
    if as_json:
        print_json(described.to_dict())
        return
    is_ascii = not takes_unicode(sys.stdout)
    lines = lines_of(described, width=table_width(sys.stdout), ellipsis=ellipsis_of(), is_ascii=is_ascii)
    print("\n".join(lines))


async def _described(
    client: KubeClient, settings: RunnerConfig, pod: Pod, *, container: str | None, tail: int
) -> Description:
    now = datetime.now(UTC)
    row = row_of(pod, now=now)
    events = await _events(client, pod)
    return Description(
        row=row,
        pod=pod,
        owner=await _owner(client, settings, pod),
        stages=stages_of(pod, events, now=now, is_over=row.outcome is not None),
        events=events,
        log=await _log_tail(client, pod, container or main_container_of(pod), tail) if tail else None,
        now=now,
    )


async def _events(client: KubeClient, pod: Pod) -> list[Event]:
    """Return the pod's events; none where they may not be read, which is said."""
    meta = pod.metadata
    try:
        found = await client.list_events(meta.namespace, field_selector=f"involvedObject.uid={meta.uid}")
    except ApiError as error:
        sys.stderr.write(f"warning: no events: {one_line(str(error))}\n")
        return []
    return [*sorted_events(found)]


async def _owner(client: KubeClient, settings: RunnerConfig, pod: Pod) -> Owner:
    from podrunner.cli.detached import is_detached
    from podrunner.ownership import lease_name, lease_state

    annotations = pod.metadata.annotations or {}
    name = annotations.get(OWNER) if (pod.metadata.labels or {}).get(MANAGED_BY) == MANAGER else None
    if name is None:
        return Owner(None, None, "none", is_detached=False)
    leases = []
    for namespace in dict.fromkeys((settings.namespace, pod.metadata.namespace)):
        try:
            leases.append(await client.read_lease(namespace, lease_name(name)))
        except NotFoundError:
            continue
        except ApiError as error:
            return Owner(name, annotations.get(SCOPE), f"not known: {error}", is_detached=is_detached(pod))
    state = lease_state(leases[0] if leases else None, now=datetime.now(UTC))
    return Owner(name, annotations.get(SCOPE), str(state), is_detached=is_detached(pod))


async def _log_tail(client: KubeClient, pod: Pod, container: str | None, lines: int) -> list[str] | None:
    """Return the end of the log; None where the container has none yet, or it cannot be read, which is said."""
    from podrunner.errors import BadRequestError
    from podrunner.logs import read_lines

    meta = pod.metadata
    try:
        return await read_lines(client, meta.namespace, meta.name, container=container, tail_lines=lines)
    except BadRequestError:  # it has not started
        return None
    except ApiError as error:
        sys.stderr.write(f"warning: no log: {one_line(str(error))}\n")
        return None

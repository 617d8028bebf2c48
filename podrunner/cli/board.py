"""``podrunner board``: a read-only web page over a cluster's pods, on loopback."""

from __future__ import annotations

import secrets
import sys
from random import Random
from typing import TYPE_CHECKING, Annotated

import anyio
import typer

from podrunner.cli.connection import place_of, settings_of, with_client
from podrunner.cli.naming import OURS, selector_of
from podrunner.cli.options import AllNamespaces, Config, Context, Kubeconfig, Namespace, Selector
from podrunner.interruption import protect

if TYPE_CHECKING:
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient

__all__ = ["board"]


def board(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port on 127.0.0.1; 0: a free one.")] = 0,
    selector: Selector = "",
    others: Annotated[bool, typer.Option("--others", help="Also pods that podrunner did not make.")] = False,
    all_namespaces: AllNamespaces = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Show pods in a browser: how they are, why they wait, how they ended, their logs. Until Ctrl-C.

    It prints one URL. The URL holds a token: do not publish it, since it gives access to the pods and their logs.
    """
    from podrunner.dashboard.embedding import check_installed

    check_installed()
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)
    place = place_of(settings, namespace=namespace, everywhere=all_namespaces)
    chosen = selector_of("" if others else OURS, selector)
    with_client(
        settings, lambda client: _serve(client, settings, namespace=place, selector=chosen, port=port)
    )


async def _serve(
    client: KubeClient, settings: RunnerConfig, *, namespace: str | None, selector: str, port: int
) -> None:
    from podrunner.dashboard.access import Access
    from podrunner.dashboard.app import make_app
    from podrunner.dashboard.board import Board
    from podrunner.dashboard.server import loopback_socket, serve
    from podrunner.dashboard.source import ClusterPods

    random = Random()  # noqa: S311  # jitter, not a secret
    pods = ClusterPods(client, settings, namespace=namespace, selector=selector, random=random)
    token = secrets.token_urlsafe(32)
    shown = Board(pods)
    # The watch is patient with any failure: what will not pass is found out here.
    await client.list_pods(namespace, label_selector=selector, limit=1)
    with loopback_socket(port) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(protect, pods.reflector.run, name="podrunner-board-watch")
            await pods.reflector.wait_synced()
            address = f"http://127.0.0.1:{listener.getsockname()[1]}/?token={token}"
            print(f"The board of {namespace or 'all namespaces'}, until Ctrl-C: {address}", flush=True)
            await serve(make_app(shown, Access(token)), listener, shown.hub)
    sys.stdout.flush()

"""``podrunner exec``: a command in a running pod."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from podrunner.cli.completing import pod_words
from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.naming import resolve
from podrunner.cli.options import Config, Container, Context, Kubeconfig, Namespace

if TYPE_CHECKING:
    from podrunner.kube import KubeClient

__all__ = ["exec_"]


def exec_(
    pod: Annotated[str, typer.Argument(autocompletion=pod_words, help="The pod's key or name, or @latest.")],
    command: Annotated[list[str], typer.Argument(help="Program and arguments, after --.")],
    container: Container = None,
    stdin: Annotated[bool, typer.Option("--stdin", "-i", help="Pass standard input on.")] = False,
    tty: Annotated[bool, typer.Option("--tty", "-t", help="Give the command a terminal.")] = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Run a command in a running pod, and end with its exit code."""
    from podrunner.cli.terminal import converse

    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def talk(client: KubeClient) -> int:
        found = await resolve(client, settings.namespace, pod)
        async with client.exec(
            settings.namespace, found.metadata.name, command, container=container, stdin=stdin, tty=tty
        ) as session:
            return await converse(session, stdin=stdin, tty=tty)

    raise typer.Exit(with_client(settings, talk, reads_stdin=stdin))

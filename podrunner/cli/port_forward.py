"""``podrunner port-forward``: ports of this machine that lead into a pod, until Ctrl-C.

Each connection is a tunnel of its own, so that one that fails, or is slow, does not concern the others.
"""

from __future__ import annotations

import os
import sys
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Annotated

import anyio
import typer
from anyio.abc import SocketAttribute, SocketStream

from podrunner.cli.completing import pod_words
from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.failures import one_line
from podrunner.cli.naming import resolve
from podrunner.cli.options import AsJson, Config, Context, Kubeconfig, Namespace
from podrunner.cli.output import print_json
from podrunner.cli.ports import LOOPBACK, PortPair, read_pairs
from podrunner.errors import ApiError, NotFoundError, PodrunnerError, TransportError, UsageError

if TYPE_CHECKING:
    from anyio.abc import Listener

    from podrunner.kube import KubeClient
    from podrunner.kube.port_forward import ForwardedConnection
    from podrunner.outcome.record import Pod

__all__ = ["port_forward"]


def port_forward(
    pod: Annotated[str, typer.Argument(autocompletion=pod_words, help="The pod's key or name, or @latest.")],
    ports: Annotated[
        list[str],
        typer.Argument(metavar="[LOCAL:]REMOTE...", help="0 or nothing before the colon: a free port."),
    ],
    json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Connect ports of this machine with ports in a running pod, until Ctrl-C.

    Only programs of this machine reach them. An error of one connection is shown, and does not end the command.
    """
    pairs = read_pairs(ports)
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def main(client: KubeClient) -> None:
        found = await resolve(client, settings.namespace, pod)
        if found.status.phase != "Running":
            raise UsageError(f"pod {found.metadata.name} does not run: its phase is {found.status.phase}")
        await _Forwarding(client, found).serve(pairs, json=json)

    with_client(settings, main)


class _Forwarding:
    """Forwards the ports of one pod."""

    def __init__(self, client: KubeClient, pod: Pod) -> None:
        self._client = client
        self._namespace = pod.metadata.namespace
        self._name = pod.metadata.name

    async def serve(self, pairs: list[PortPair], *, json: bool) -> None:
        async with AsyncExitStack() as stack, anyio.create_task_group() as tasks:
            opened = [await _listen(stack, pair) for pair in pairs]
            self._say([pair for _, pair in opened], json=json)
            for listener, pair in opened:
                tasks.start_soon(self._accept, listener, pair, name=f"port-forward {pair.local}")

    def _say(self, pairs: list[PortPair], *, json: bool) -> None:
        if not json:
            print("\n".join(f"Forwarding from {pair}" for pair in pairs), flush=True)  # kubectl's words
            return
        ports = [{"local": pair.local, "remote": pair.remote, "address": LOOPBACK} for pair in pairs]
        print_json({"pod": self._name, "namespace": self._namespace, "ports": ports})
        sys.stdout.flush()

    async def _accept(self, listener: Listener[SocketStream], pair: PortPair) -> None:
        async def handle(local: SocketStream) -> None:
            async with local:
                await self._carry(local, pair)

        await listener.serve(handle)

    async def _carry(self, local: SocketStream, pair: PortPair) -> None:
        """Carry one connection. Only the pod's absence is raised: no further one could be carried."""
        from podrunner.kube.port_forward import PortForwardError

        try:
            async with self._client.port_forward(self._namespace, self._name, pair.remote) as remote:
                await _pump(local, remote)
        except NotFoundError:
            raise
        except (ApiError, PortForwardError, TransportError) as error:
            sys.stderr.write(f"podrunner: port {pair.remote}: {one_line(str(error))}\n")
        except (anyio.BrokenResourceError, anyio.ClosedResourceError):
            return  # the program at this end hung up


async def _listen(stack: AsyncExitStack, pair: PortPair) -> tuple[Listener[SocketStream], PortPair]:
    """Open a port of this machine; an error names it."""
    try:
        opened = await anyio.create_tcp_listener(local_host=LOOPBACK, local_port=pair.local)
    except OSError as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        number = cause.errno or 0
        raise OSError(number, os.strerror(number), f"{LOOPBACK}:{pair.local}") from None
    listener = await stack.enter_async_context(opened)
    return listener, pair._replace(local=int(listener.extra(SocketAttribute.local_port)))  # noqa: S610  # no Django


async def _pump(local: SocketStream, remote: ForwardedConnection) -> None:
    """Carry bytes both ways; the end of one direction is passed on, and the pod's side decides when all is over."""
    failure: Exception | None = None
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_to_pod, local, remote, tasks.cancel_scope, name="port-forward input")
        try:
            await _to_program(local, remote)
        except (PodrunnerError, anyio.BrokenResourceError, anyio.ClosedResourceError) as error:
            failure = error  # raised below: a task group would wrap it
        tasks.cancel_scope.cancel()
    if failure is not None:
        raise failure


async def _to_program(local: SocketStream, remote: ForwardedConnection) -> None:
    while data := await remote.receive():
        await local.send(data)
    await local.send_eof()
    await remote.wait_over()


async def _to_pod(local: SocketStream, remote: ForwardedConnection, connection: anyio.CancelScope) -> None:
    try:
        async for data in local:
            await remote.send(data)
        await remote.send_eof()
    except anyio.BrokenResourceError:
        connection.cancel()  # the program at this end hung up
    except TransportError:
        return  # what comes from the pod's side says why

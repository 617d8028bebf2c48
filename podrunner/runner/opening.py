"""Opening a runner: reaches the cluster, takes the Lease, starts the engine. A stack closes what was opened."""

from __future__ import annotations

import importlib
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import anyio

from podrunner.interruption import persist
from podrunner.kube import (
    KubeClient,
    RequestRetry,
    connect,
    kubeconfig_of,
    observe_requests,
    retrying,
)
from podrunner.ownership import LeaseKeeper
from podrunner.runner.engine import Engine, watched_by
from podrunner.runner.local_cluster import on_kubeconfig, open_local
from podrunner.runner.tasks import SupervisedTasks

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AsyncExitStack
    from pathlib import Path

    from podrunner.config import RunnerConfig
    from podrunner.runner.hooks import HookCalls
    from podrunner.runner.resources import RunnerResources

__all__ = ["open_client", "open_engine"]

# Imported by :mod:`podrunner.kube` at the first failure that needs them. An import opens files, and the failure may be
# that no descriptors are left: then it would be the import that fails, and the runner with it.
_IMPORTED_AT_FAILURES: Final = ("tenacity", "email.utils")


class OpenedClient(NamedTuple):
    """A client, and how other programs reach its cluster.

    Attributes:
        client: The client.
        kubeconfig: A kubeconfig for it; None: there is no single one.
    """

    client: KubeClient
    kubeconfig: Path | None


@asynccontextmanager
async def open_client(config: RunnerConfig, client: Any = None) -> AsyncIterator[OpenedClient]:
    """Opens the client that a configuration means, without a request; closes what was opened.

    Args:
        config: The configuration; ``cluster="local"`` starts a LocalCluster that lives as long as the client, or
            shares one that runs.
        client: An embedder's :class:`KubeClient`, used as it is and left open, or its kubernetes-asyncio
            ``ApiClient``, whose configuration and credentials are used; None: as configured.

    Raises:
        ConfigError: The cluster cannot be reached as configured.
    """
    if isinstance(client, KubeClient):
        yield OpenedClient(client, None)
    elif client is not None:
        async with connect(config, api_client=client) as connected:
            yield OpenedClient(connected, None)
    elif config.cluster == "local":
        async with open_local(config) as kubeconfig, connect(on_kubeconfig(config, kubeconfig)) as connected:
            yield OpenedClient(connected, kubeconfig)
    else:
        async with connect(config) as connected:
            yield OpenedClient(connected, kubeconfig_of(config))


async def open_engine(
    stack: AsyncExitStack,
    config: RunnerConfig,
    given_client: Any,
    *,
    resources: RunnerResources,
    opening: anyio.CancelScope,
) -> Engine | None:
    """Reaches the cluster, takes the Lease and starts all tasks.

    Args:
        stack: Closes all of it, in the right order.
        config: The configuration.
        given_client: An embedder's own client, which stays open; None: as configured.
        resources: What the runner has.
        opening: Cancelling it ends the opening, before a task is started.

    Returns:
        The engine; None if the opening was cancelled.

    Raises:
        PodrunnerError: The cluster cannot be reached, or it refuses the Lease.
    """
    for name in _IMPORTED_AT_FAILURES:
        importlib.import_module(name)
    with opening:
        client, kubeconfig = await stack.enter_async_context(open_client(config, given_client))
        lease = LeaseKeeper(
            client,
            config.namespace,
            owner=resources.owner,
            scope=config.scope,
            duration_s=config.lease_duration_s,
            namespaces=watched_by(config),
        )
        # Before it is taken: whether an interrupted request took it is not known.
        stack.push_async_callback(persist, lease.release)
        await retrying(lease.acquire, policy=RequestRetry.of(config.retry), name=f"take lease {lease.name}")
    if opening.cancel_called:
        return None
    tasks = SupervisedTasks(await stack.enter_async_context(anyio.create_task_group()))
    stack.callback(tasks.cancel)
    engine = Engine(client, lease, config=config, resources=resources, tasks=tasks, kubeconfig=kubeconfig)
    if resources.bus.hooks is not None:
        _attach(stack, resources.bus.hooks, engine, client, owner=resources.owner)
    engine.start()
    return engine


def _attach(
    stack: AsyncExitStack, hooks: HookCalls, engine: Engine, client: KubeClient, *, owner: str
) -> None:
    """Lets the hooks see the runner and its requests, until the stack is closed."""
    stack.enter_context(observe_requests(client, hooks.requested))
    stack.callback(hooks.closed, hooks.opened(owner, engine))

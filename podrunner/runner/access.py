"""How a runner gets its client: an embedder's own, a cluster's, or an embedded LocalCluster's. No request is made."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from podrunner.errors import ConfigError
from podrunner.kube import KubeClient, connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from podrunner.config import RunnerConfig

__all__ = ["open_client"]


@asynccontextmanager
async def open_client(config: RunnerConfig, client: Any = None) -> AsyncIterator[KubeClient]:
    """Opens the client that a configuration means; closes what was opened.

    Args:
        config: The configuration; ``cluster="local"`` starts a LocalCluster that lives as long as the client.
        client: An embedder's :class:`KubeClient`, used as it is and left open, or its kubernetes-asyncio
            ``ApiClient``, whose configuration and credentials are used; None: as configured.

    Raises:
        ConfigError: The cluster cannot be reached as configured.
    """
    if isinstance(client, KubeClient):
        yield client
    elif client is not None:
        async with connect(config, api_client=client) as connected:
            yield connected
    elif config.cluster == "local":
        async with _open_local(config) as connected:
            yield connected
    else:
        async with connect(config) as connected:
            yield connected


@asynccontextmanager
async def _open_local(config: RunnerConfig) -> AsyncIterator[KubeClient]:
    from podrunner.local import LocalCluster

    try:
        local = LocalCluster()
    except ConfigError as error:
        remedy = "Run pip install 'podrunner[local]'."
        raise ConfigError(error.problem, key="cluster", value="local", remedy=remedy) from error
    async with local as cluster:
        there = config.model_copy(update={"cluster": "kubeconfig", "kubeconfig": cluster.kubeconfig})
        async with connect(there) as connected:
            yield connected

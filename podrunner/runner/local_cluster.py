"""The LocalCluster of ``cluster="local"``: started by the runner, or shared with the process that started it."""

from __future__ import annotations

import logging
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Final

import anyio

from podrunner.errors import ConfigError, PodrunnerError
from podrunner.event_loop import current_time
from podrunner.kube import connect

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from podrunner.config import RunnerConfig
    from podrunner.local import LocalCluster

__all__ = ["on_kubeconfig", "open_local"]

_logger = logging.getLogger(__name__)

# Another process holds the folder, and its cluster does not answer: it is just starting, or ending.
_ANSWERS_WITHIN_S: Final = 20.0
_LOOK_EACH_S: Final = 0.25
_ASK_WITHIN_S: Final = 5.0


@asynccontextmanager
async def open_local(config: RunnerConfig) -> AsyncIterator[Path]:
    """Starts the cluster, or finds the one that runs in its folder; gives its kubeconfig.

    What was started here is stopped at the end; what another process started goes on.

    Raises:
        ConfigError: ``podrunner[local]`` is not installed, or the folder's cluster does not answer.
        UsageError: The folder cannot be used, or the port is taken.
    """
    async with AsyncExitStack() as stack:
        yield await _started_or_found(stack, config)


async def _started_or_found(stack: AsyncExitStack, config: RunnerConfig) -> Path:
    from podrunner.local.folder import FolderInUseError

    until = current_time() + _ANSWERS_WITHIN_S
    while True:
        try:
            cluster = await stack.enter_async_context(_new_cluster(config))
        except FolderInUseError as error:
            kubeconfig = error.folder / "kubeconfig"
            if await _answers(on_kubeconfig(config, kubeconfig)):
                _logger.info("the LocalCluster in %s is another process's, and is shared", error.folder)
                return kubeconfig
            if current_time() >= until:
                raise _silent(error.folder) from error
            await anyio.sleep(_LOOK_EACH_S)
        else:
            return cluster.kubeconfig


def _silent(folder: Path) -> ConfigError:
    return ConfigError(
        f"a process uses the folder, and no LocalCluster answers there within {_ANSWERS_WITHIN_S:.0f} s",
        key="local.folder",
        value=str(folder),
        remedy="End that process, or name another folder.",
    )


def _new_cluster(config: RunnerConfig) -> LocalCluster:
    from podrunner.local import LocalCluster

    local = config.local
    try:
        return LocalCluster(local.folder, port=local.port, images=dict(local.images))
    except ConfigError as error:
        remedy = "Run pip install 'podrunner[local]'."
        raise ConfigError(error.problem, key="cluster", value="local", remedy=remedy) from error


async def _answers(config: RunnerConfig) -> bool:
    try:
        with anyio.fail_after(_ASK_WITHIN_S):
            async with connect(config) as client:
                await client.server_version()
    except (PodrunnerError, TimeoutError):
        return False
    return True


def on_kubeconfig(config: RunnerConfig, kubeconfig: Path) -> RunnerConfig:
    """Returns the configuration with the cluster of a kubeconfig."""
    return config.model_copy(update={"cluster": "kubeconfig", "kubeconfig": kubeconfig, "context": None})

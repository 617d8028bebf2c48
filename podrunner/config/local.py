"""Settings of the LocalCluster that a runner starts, or shares with other processes. Pure data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field

from podrunner.config.frozen import Settings
from podrunner.config.kubernetes_names import PlainText

__all__ = ["LocalSettings"]


def _several(value: object) -> object:
    return (value,) if isinstance(value, str | Path) or not isinstance(value, Sequence) else value


class LocalSettings(Settings):
    """The LocalCluster of ``cluster="local"``. Other clusters do not read them.

    Attributes:
        folder: Where its volumes, logs and kubeconfig are. The first process that opens a runner with this folder
            starts the cluster; each further one uses it as long as it runs. It ends, with all its pods, when the
            process that started it closes its runner or ends; the others then find no server, and a runner that is
            opened later starts a new cluster there. None: a cluster of the runner's own, in a temporary folder.
        port: Its TCP port on 127.0.0.1; 0: a free one.
        images: Image name to the folders that are first on ``PATH`` in containers of that image; other names run with
            this machine's own programs. Those of the process that starts the cluster count.
    """

    folder: Path | None = None
    port: int = Field(default=0, ge=0, le=65_535)
    images: dict[PlainText, Annotated[tuple[Path, ...], BeforeValidator(_several)]] = Field(
        default_factory=dict
    )

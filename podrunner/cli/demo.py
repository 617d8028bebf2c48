"""``podrunner demo``: the story of one Airflow 1.10 task, from ``airflow.cfg`` to the log, for real.

This module is the command; the story is in ``story.py``, and what has to be there before it begins in ``stage.py``.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from podrunner.cli.failures import run_async
from podrunner.cli.options import (
    AllowCommands,
    Config,
    Context,
    Kubeconfig,
    on_cluster,
    read_config,
    say_findings,
)
from podrunner.cli.output import print_json
from podrunner.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.cli.stage import Stage
    from podrunner.cli.story import Story
    from podrunner.config import RunnerConfig

__all__ = ["demo"]

EXAMPLE = Path(__file__).with_name("_demo_image") / "airflow.cfg"
NODE_FOLDER = Path("/var/lib/podrunner-demo")
"""Where a real node keeps the demo's volumes."""


def demo(
    json: Annotated[bool, typer.Option("--json", help="Print the story as one JSON document.")] = False,
    local: Annotated[
        bool, typer.Option("--local", help="On a LocalCluster; the default unless --kubeconfig is given.")
    ] = False,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    config: Config = None,
    allow_commands: AllowCommands = False,
    image: Annotated[
        str | None,
        typer.Option(help="An image with python3 and sh, for a real cluster; default: the configuration's."),
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep volumes and logs here; default: a temporary folder, removed at the end."),
    ] = None,
) -> None:
    """Run one Airflow task as a worker pod: its life, a look inside, its outcome and its log."""
    if local and kubeconfig:
        raise ConfigError(
            "--local and --kubeconfig exclude each other", source="command line", remedy="Keep one"
        )
    settings = (
        say_findings(read_config(config, allow_commands=allow_commands))
        if config
        else read_config(EXAMPLE).config
    )
    if image:
        settings = settings.with_changes(image=image)
    from podrunner.cli.story import Narrator

    narrator = Narrator(silent=json)
    where = (
        f"the cluster of {kubeconfig}" if kubeconfig else "a LocalCluster: pods are processes of this machine"
    )
    narrator.say(f"On {where}.\n")
    with _work_folder(folder) as work:
        run = _on_real(settings, work, kubeconfig, context) if kubeconfig else _on_local(settings, work)

        async def main() -> Story:
            async with run as stage:
                return await stage.play(narrator)

        story = run_async(main)
    if json:
        print_json(story.to_dict())
    raise typer.Exit(0 if story.succeeded else 1)


@contextmanager
def _work_folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="podrunner-demo-") as made:
        yield Path(made)


@asynccontextmanager
async def _on_local(settings: RunnerConfig, folder: Path) -> AsyncIterator[Stage]:
    from podrunner.cli.stage import Stage, local_image
    from podrunner.kube import connect
    from podrunner.local import LocalCluster

    images = {settings.image or "": local_image(folder / "image")}
    async with LocalCluster(folder / "cluster", images=images) as cluster:
        here = on_cluster(settings, kubeconfig=cluster.kubeconfig)
        async with connect(here) as client:
            yield Stage(client, here, folder, volumes=folder / "volumes", real=False)


@asynccontextmanager
async def _on_real(
    settings: RunnerConfig, folder: Path, kubeconfig: Path, context: str | None
) -> AsyncIterator[Stage]:
    from podrunner.cli.stage import Stage
    from podrunner.kube import connect

    there = on_cluster(settings, kubeconfig=kubeconfig, context=context)
    async with connect(there) as client:
        yield Stage(client, there, folder, volumes=NODE_FOLDER, real=True)

"""``podrunner local up``: a LocalCluster in the foreground."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import anyio
import typer
from rich.console import Console
from rich.markup import escape

from podrunner.cli.failures import TerminatedError, run_async

__all__ = ["app"]

app: typer.Typer = typer.Typer(help="A Kubernetes of your own on this machine.", no_args_is_help=True)


@app.callback()
def local() -> None:
    """A Kubernetes of your own on this machine: pods are local processes."""


@app.command()
def up(
    kubeconfig: Annotated[
        Path,
        typer.Option(help="Where to write the kubeconfig (mode 0600); it is there when the cluster serves."),
    ] = Path("podrunner.kubeconfig"),
    folder: Annotated[
        Path | None,
        typer.Option(help="Keep volumes and logs here; default: a temporary folder, removed at the end."),
    ] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    strict_images: Annotated[
        bool, typer.Option(help="Unknown image names end in ErrImagePull, as on a real node.")
    ] = False,
    image: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=DIR",
            help="Containers of this image find DIR first on PATH; may be repeated, also for one name.",
        ),
    ] = None,
) -> None:
    """Serve until Ctrl-C or SIGTERM, then stop everything that runs."""
    images = _images(image or [])
    try:
        run_async(
            lambda: _serve(kubeconfig, folder=folder, port=port, strict_images=strict_images, images=images)
        )
    except (KeyboardInterrupt, TerminatedError):
        Console(stderr=True).print("stopped: no pod, no process is left")


def _images(given: list[str]) -> dict[str, list[Path]]:
    """Read ``NAME=DIR``. A name has no equals sign; a folder may."""
    images: dict[str, list[Path]] = {}
    for each in given:
        name, _, folder = each.partition("=")
        if not name or not folder:
            raise typer.BadParameter(f"write it as NAME=DIR, not {each!r}", param_hint="--image")
        if not Path(folder).is_dir():
            raise typer.BadParameter(f"{folder} is no folder", param_hint="--image")
        images.setdefault(name, []).append(Path(folder))
    return images


async def _serve(
    kubeconfig: Path, *, folder: Path | None, port: int, strict_images: bool, images: dict[str, list[Path]]
) -> None:
    from podrunner.local import LocalCluster

    async with LocalCluster(folder, port=port, strict_images=strict_images, images=images) as cluster:
        with _handed_out(cluster.kubeconfig, kubeconfig):
            _say_how(cluster.url, kubeconfig)
            await anyio.sleep_forever()


@contextmanager
def _handed_out(source: Path, target: Path) -> Iterator[None]:
    """Copy the kubeconfig in one step, so that a process that waits for the file never reads half of it."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    partial.write_bytes(source.read_bytes())
    partial.replace(target)
    try:
        yield
    finally:
        target.unlink(missing_ok=True)


def _say_how(url: str, kubeconfig: Path) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print(f"LocalCluster serves at [bold]{url}[/]. In another terminal:")
    console.print(f"\n    export KUBECONFIG={_word(kubeconfig.resolve())}\n    kubectl get pods -w\n")
    console.print(
        f"podrunner itself takes it by --kubeconfig {_word(kubeconfig)}. Ctrl-C stops it and all it runs."
    )


def _word(path: Path) -> str:
    """The path as one word for a shell, whatever is in it."""
    return escape(shlex.quote(str(path)))

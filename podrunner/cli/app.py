"""The tree of commands. Each lives in a module of its own; nothing is decided here."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from podrunner.cli import demo, local, pods, release, render

__all__ = ["app"]

app: typer.Typer = typer.Typer(
    help="Launch and monitor Kubernetes pods, on a cluster or on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # typer's callback
    if wanted:
        print(f"podrunner {version('podrunner')}")
        raise typer.Exit


@app.callback()
def podrunner(
    version: Annotated[  # its callback acts
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Launch and monitor Kubernetes pods, on a cluster or on this machine."""


app.command()(demo.demo)
app.command()(pods.run)
app.command()(pods.get)
app.command()(pods.logs)
app.command(name="exec")(pods.exec_)
app.command()(pods.delete)
app.command()(release.release)
app.command()(render.render)
app.add_typer(render.config_app, name="config")
app.add_typer(local.app, name="local")

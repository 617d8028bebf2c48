"""The tree of commands. Each lives in a module of its own, which is loaded when it is used; nothing is decided here."""

from __future__ import annotations

import os
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Annotated, Any, Final

import typer
from typer.core import TyperGroup
from typer.main import get_command

from podrunner.cli.failures import guarded
from podrunner.cli.screen import drop_odd_sizes
from podrunner.cli.side_reports import one_line_reports
from podrunner.cli.streams import own_streams
from podrunner.cli.typer_usage import Command
from podrunner.cli.version import print_version

__all__ = ["app", "run"]

_COMMANDS: Final = {
    "demo": ("demo", "demo"),
    "run": ("run", "run"),
    "get": ("get", "get"),
    "describe": ("describe", "describe"),
    "logs": ("logs", "logs"),
    "exec": ("exec", "exec_"),
    "delete": ("delete", "delete"),
    "wait": ("wait", "wait"),
    "cp": ("copy", "cp"),
    "port-forward": ("port_forward", "port_forward"),
    "release": ("release", "release"),
    "render": ("render", "render"),
    "diff": ("diff", "diff"),
    "doctor": ("doctor.command", "doctor"),
    "config": ("render", "config_app"),
    "completion": ("completion", "completion"),
    "local": ("local", "app"),
    "timeline": ("timeline", "timeline"),
    "board": ("board", "board"),
    "bench": ("bench", "bench"),
}
"""Each command, in the order of the help: its module, and the function or the group of commands there."""


class _Commands(MutableMapping[str, Any]):
    """The commands by name. The module of each is imported when it is asked for: a command pays for itself only."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            module, attribute = _COMMANDS[name]
            self._loaded[name] = _made(name, getattr(import_module(f"podrunner.cli.{module}"), attribute))
        return self._loaded[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        del self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**_COMMANDS, **self._loaded})

    def __len__(self) -> int:
        return len({**_COMMANDS, **self._loaded})


def _made(name: str, what: Any) -> Any:
    """Return the command of a function, or of a group of commands."""
    if isinstance(what, typer.Typer):
        for each in what.registered_commands:
            each.cls = Command
        group = typer.Typer(add_completion=False)
        group.add_typer(what, name=name)
        return get_command(group).commands[name]  # type: ignore[attr-defined]  # a group
    alone = typer.Typer(add_completion=False)
    alone.command(name=name, cls=Command)(what)
    return get_command(alone)


class _Group(TyperGroup):
    """The group of all commands."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands = _Commands()


app: typer.Typer = typer.Typer(
    cls=_Group,
    help="Launch and monitor Kubernetes pods, on a cluster or on this machine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:  # typer's callback
    if wanted:
        print_version()
        raise typer.Exit


@app.callback()
def podrunner(
    version: Annotated[  # its callback acts
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Launch and monitor Kubernetes pods, on a cluster or on this machine."""


def run() -> None:
    """Run the command that the process's arguments name, and end the process with its exit code."""
    drop_odd_sizes(os.environ)
    with own_streams(), one_line_reports():
        guarded(lambda: app(prog_name="podrunner", standalone_mode=False))

"""Errors of the arguments: what typer found, in one sentence and without its frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from podrunner.wrong_values import wrong_value

__all__ = ["Command", "Error", "lines_of"]

# typer's own copy of click since 0.24, click itself before: its classes are found by way of one that typer exports.
_UsageError: Any = typer.BadParameter.__bases__[0]
Error: type[Exception] = _UsageError.__bases__[0]
"""The base of all errors that typer raises about arguments."""


class Command(TyperCommand):
    """A command whose errors about its arguments name it, and which takes no empty text for the working directory."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the arguments.

        Raises:
            Error: They are wrong.
        """
        words = tuple(args)
        try:
            rest = super().parse_args(ctx, args)
        except _UsageError as error:
            error.ctx = error.ctx or ctx
            raise
        params: list[Any] = [] if ctx.resilient_parsing else self.params
        for param in params:
            if ctx.params.get(param.name) == _HERE and _has_empty(words):
                raise typer.BadParameter("it must not be empty", ctx=ctx, param=param)
        return rest


_HERE = Path()


def _has_empty(words: tuple[str, ...]) -> bool:
    """Whether a path among the words is empty, and none is the working directory."""
    values = {word.partition("=")[2] if word.startswith("-") and "=" in word else word for word in words}
    return "" in values and not any(value and Path(value) == _HERE for value in values)


def lines_of(error: Any) -> tuple[str, ...]:
    """Return the lines that say what is wrong: ``get: no such option: --frob (see podrunner get --help)``."""
    context = getattr(error, "ctx", None)
    path = getattr(context, "command_path", "podrunner")
    said = " ".join(_in_our_words(error, str(error.format_message())).split())
    if not said:  # no arguments at all, and help is shown
        return ()
    said = said[:1].lower() + said[1:] if said[1:2].islower() else said
    command = path.removeprefix("podrunner").strip()
    return (f"{command + ': ' if command else ''}{said.rstrip('.')} (see {path} --help)",)


def _in_our_words(error: Any, said: str) -> str:
    """Return the message of an error with our words for those of pydantic, with which typer reads values."""
    details: Any = getattr(error.__cause__, "errors", None)
    if details is None:
        return said
    first = details()[0]
    if first["type"] == "value_error":
        return said.replace(first["msg"], wrong_value(first["type"], first["ctx"], ""))
    if str(first.get("input")).strip(" +-").lower() == "nan":  # on the right side of no limit
        return said.replace(first["msg"], f"it {wrong_value('finite_number', {}, first['msg'])}")
    return said.replace(first["msg"], f"it {wrong_value(first['type'], first.get('ctx', {}), first['msg'])}")

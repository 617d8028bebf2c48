"""``podrunner completion``: the script with which a shell completes podrunner's words."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

__all__ = ["completion"]


class Shell(StrEnum):
    """Shells that have a script."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"


def completion(shell: Annotated[Shell, typer.Argument(help="The shell.")]) -> None:
    """Print a shell's script for completion: of commands, options, pods and contexts.

    For bash: source <(podrunner completion bash). podrunner --install-completion writes it where the shell finds it.
    """
    from typer._completion_shared import (
        get_completion_script,
    )  # what --show-completion prints, for a named shell

    print(get_completion_script(prog_name="podrunner", complete_var="_PODRUNNER_COMPLETE", shell=str(shell)))

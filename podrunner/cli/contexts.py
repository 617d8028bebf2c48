"""What a shell completes for ``--context``. As with pods' names, what cannot be read completes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["context_words"]


def context_words(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the contexts of the kubeconfig that the command line chooses, as far as they begin as typed."""
    import os

    from podrunner.errors import ConfigError

    try:
        from podrunner.kube.kubeconfig import context_names, kubeconfig_paths

        given: Path | None = ctx.params.get("kubeconfig")
        names = context_names(kubeconfig_paths(given, os.environ))
    except (ConfigError, OSError):
        return []
    return [name for name in names if name.startswith(incomplete)]

"""The ``podrunner`` command: a thin shell over the library.

What belongs here: arguments, printing, exit codes, and the demo. What does not: any decision that an embedder
would want too; that lives in the library.
"""

from __future__ import annotations

import sys

__all__ = ["main"]


def main() -> None:
    """Run the command; the entry point of the ``podrunner`` script."""
    try:
        import rich
        import typer
    except ModuleNotFoundError as error:
        sys.stderr.write(f"podrunner: the command needs {error.name}: pip install 'podrunner[cli]'\n")
        raise SystemExit(1) from None
    del rich, typer
    try:
        from podrunner.cli.app import app
        from podrunner.cli.failures import guarded
    except KeyboardInterrupt:  # while the program is still being loaded
        raise SystemExit(130) from None
    guarded(app)

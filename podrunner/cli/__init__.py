"""The ``podrunner`` command: a thin shell over the library.

What belongs here: arguments, printing, exit codes, and the demo. What does not: any decision that an embedder
would want too; that lives in the library.
"""

from __future__ import annotations

import sys
from typing import NoReturn

__all__ = ["main"]

_OBJECTS_TO_COLLECT = 100_000
"""New objects after which cyclic garbage is collected. What a short command loads is less and holds none; going through
it takes a tenth of the command's time."""


def main() -> None:
    """Run the command; the entry point of the ``podrunner`` script."""
    if sys.argv[1:] == ["--version"]:  # asked by scripts, often: the library of the command line takes longer
        from podrunner.cli.version import print_version

        try:
            print_version()
        except OSError:
            _run()  # which knows how a command ends whose output cannot be written
        return
    _run()


def _say_missing(name: str | None) -> NoReturn:
    sys.stderr.write(f"podrunner: the command needs {name}: pip install 'podrunner[cli]'\n")
    raise SystemExit(1) from None


def _run() -> None:
    import gc
    from importlib.util import find_spec

    gc.set_threshold(_OBJECTS_TO_COLLECT, *gc.get_threshold()[1:])
    try:
        import typer
    except ModuleNotFoundError as error:
        _say_missing(error.name)
    del typer
    if find_spec("rich") is None:  # it is loaded where it is used
        _say_missing("rich")
    try:
        from podrunner.cli.app import run
    except KeyboardInterrupt:  # while the program is still being loaded
        raise SystemExit(130) from None
    run()

"""``python -m podrunner`` is the ``podrunner`` command."""

from podrunner.cli import main

main()

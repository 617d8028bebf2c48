"""``python -m podrunner.cli`` is the ``podrunner`` command."""

from podrunner.cli import main

main()

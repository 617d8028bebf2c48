"""``podrunner --version``. Nothing that takes time to load belongs here."""

from __future__ import annotations

from importlib.metadata import version

__all__ = ["print_version"]


def print_version() -> None:
    """Print the name and the version of what is installed."""
    print(f"podrunner {version('podrunner')}", flush=True)

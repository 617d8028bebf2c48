"""The board of a runner inside a service of one's own: ``service.mount("/board", board.app(runner, token=…))``."""

from __future__ import annotations

from podrunner import board_app as app

__all__ = ["app"]

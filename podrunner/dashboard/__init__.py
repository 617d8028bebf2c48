"""The board: a small web page over pods, read-only. Needs podrunner[board].

What belongs here: what viewers see and who may see it. A source (a watch of its own, or a runner) knows the pods; the
hub says to each viewer which of them changed; the app serves the page, the changes and the logs. Nothing here changes a
pod, delivers an outcome or delays one. Starlette and uvicorn are imported when they are used.
"""

from __future__ import annotations

from podrunner.dashboard.embedding import board_app

__all__ = ["board_app"]

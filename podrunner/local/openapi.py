"""The published OpenAPI documents (``/openapi/v3``, ``/openapi/v2``)."""

from __future__ import annotations

from aiohttp import web

from podrunner.local.rendering import Answer

__all__ = ["OpenApi"]


class OpenApi:
    def answer(self, path: str, request: web.Request) -> Answer | None:
        return None

"""The parts of a cluster, put together on one event loop: store, verbs, controllers, API server, kubelet."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import Any

from podrunner.local.bootstrap import populate
from podrunner.local.events import EventRecorder
from podrunner.local.gc import GarbageCollector
from podrunner.local.namespaces import NamespaceController
from podrunner.local.objects import Objects
from podrunner.local.openapi import OpenApi, load_schemas
from podrunner.local.podparts import PodParts
from podrunner.local.quota import QuotaController
from podrunner.local.schema import Schema
from podrunner.local.server import ApiServer
from podrunner.local.store import Store
from podrunner.local.tokens import Tokens

__all__ = ["NODE_NAME", "ControlPlane"]

NODE_NAME = "podrunner-local"


class ControlPlane:
    """Everything that runs on the loop.

    Args:
        folder: The cluster's folder.
        token: Bearer token.
        authority: PEM text of the certificate authority, "" for none.
        kubelet_options: ``images``, ``strict_images``, ``isolation``.
    """

    def __init__(self, folder: Path, *, token: str, authority: str = "", **kubelet_options: Any) -> None:
        self.store = Store()
        self.events = EventRecorder(self.store, host=NODE_NAME)
        schemas, tokens = load_schemas(), Tokens(token)
        self.objects = Objects(self.store, Schema(schemas))
        self._controllers = (
            NamespaceController(self.store, authority=authority),
            GarbageCollector(self.store),
            QuotaController(self.store, lambda step: asyncio.get_running_loop().call_soon(step)),
        )
        self.server = ApiServer(
            self.objects, PodParts(self.objects, None, tokens), OpenApi(schemas), tokens=tokens
        )

    async def start(self, *, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Start all parts; the port."""
        populate(self.store)
        for controller in self._controllers:
            controller.start()
        return await self.server.start(host=host, port=port, tls=tls)

    async def stop(self) -> None:
        """Stop all parts, in the opposite order."""
        await self.server.stop()
        for controller in self._controllers:
            controller.stop()

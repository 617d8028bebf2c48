"""Wires the parts of a cluster on one event loop: store, verbs, controllers, API server, kubelet."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from podrunner.local.api.controllers.bootstrap import populate
from podrunner.local.api.controllers.garbage_collector import GarbageCollector
from podrunner.local.api.controllers.namespaces import NamespaceController
from podrunner.local.api.controllers.quota import QuotaController
from podrunner.local.api.discovery.openapi import OpenApi
from podrunner.local.api.pod_subresources import PodSubresources
from podrunner.local.api.registry.objects import Objects
from podrunner.local.api.server import ApiServer
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.api.storage.store import Store
from podrunner.local.api.tokens import Tokens
from podrunner.local.api.validation.schema import Schema
from podrunner.local.kubelet import ApiAccess, Kubelet
from podrunner.schema.openapi import load_schemas

if TYPE_CHECKING:
    import ssl
    from collections.abc import Mapping
    from pathlib import Path

    from podrunner.local.kubelet.isolation import IsolationChoice

__all__ = ["NODE_NAME", "ControlPlane"]

NODE_NAME = "podrunner-local"

_EXPIRE_EVERY_S = 60.0


class ControlPlane:
    """Everything that runs on the loop.

    Args:
        folder: The cluster's folder.
        token: Bearer token.
        authority: PEM text of the certificate authority, "" for none.
        images: Image name → what it means.
        strict_images: Names that are not in ``images`` cannot be pulled.
        isolation: How containers are kept apart.
        capacity: Allocatable resources of the node, over those of the machine.

    Attributes:
        store: The objects.
        events: Where events are recorded.
        objects: The verbs.
        kubelet: Runs the pods.
    """

    def __init__(
        self,
        folder: Path,
        *,
        token: str,
        authority: str = "",
        images: Mapping[str, Any] | None = None,
        strict_images: bool = False,
        isolation: IsolationChoice = "auto",
        capacity: Mapping[str, str] | None = None,
    ) -> None:
        schemas, tokens = load_schemas(), Tokens(token)
        self._token, self._authority = token, authority
        self.store: Store = Store()
        self.events: EventRecorder = EventRecorder(self.store, host=NODE_NAME)
        self.objects: Objects = Objects(self.store, Schema(schemas))
        self.kubelet: Kubelet = Kubelet(
            self.store,
            self.events,
            folder=folder,
            node_name=NODE_NAME,
            images=images,
            strict_images=strict_images,
            isolation=isolation,
            capacity=capacity,
        )
        self._controllers = (
            NamespaceController(self.store, authority=authority),
            GarbageCollector(self.store),
            QuotaController(self.store, lambda step: asyncio.get_running_loop().call_soon(step)),
        )
        subresources = PodSubresources(self.objects, self.kubelet, tokens)
        self.server: ApiServer = ApiServer(self.objects, subresources, OpenApi(schemas), tokens=tokens)
        self._expiry: asyncio.TimerHandle | None = None

    async def start(self, *, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Start all parts; return the port."""
        populate(self.store)
        self.store.compact()  # no client can have seen a version before the start
        for controller in self._controllers:
            controller.start()
        bound = await self.server.start(host=host, port=port, tls=tls)
        access = ApiAccess(host=host, port=bound, token=self._token, ca=self._authority or None)
        await self.kubelet.start(access)
        self._expire_events()
        return bound

    async def stop(self) -> None:
        """Stop all parts, in the opposite order."""
        if self._expiry is not None:
            self._expiry.cancel()
        await self.server.stop()
        await self.kubelet.stop()
        for controller in self._controllers:
            controller.stop()

    def _expire_events(self) -> None:
        self.events.expire()
        self._expiry = asyncio.get_running_loop().call_later(_EXPIRE_EVERY_S, self._expire_events)

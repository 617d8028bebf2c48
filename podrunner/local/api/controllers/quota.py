"""Keeps the ``status`` of resource quotas; what counts and how is in ``registry.quota``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podrunner.local.api.registry.quota import COUNTED, quota_status

if TYPE_CHECKING:
    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["QuotaController"]

Json = Mapping[str, Any]


class QuotaController:
    """Keeps ``status.used`` of quotas up to date.

    Args:
        store: The objects.
        soon: Runs a function on the loop's next turn.
    """

    def __init__(self, store: Store, soon: Callable[[Callable[[], None]], Any]) -> None:
        self._store = store
        self._soon = soon
        self._dirty: set[str] = set()
        self._subscriptions: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start."""
        counted = {"pods", "resourcequotas", *COUNTED.values()}
        self._subscriptions = [
            self._store.subscribe(resource, self._on_change) for resource in sorted(counted)
        ]

    def stop(self) -> None:
        """Stop."""
        while self._subscriptions:
            self._subscriptions.pop()()

    def _on_change(self, _change: str, obj: Json) -> None:
        namespace = obj["metadata"].get("namespace", "")
        if namespace in self._dirty or not any(self._quotas(namespace)):
            return
        self._dirty.add(namespace)
        self._soon(self._recount)

    def _quotas(self, namespace: str) -> Iterator[Stored]:
        return (each for each in self._store.list("resourcequotas", namespace))

    def _recount(self) -> None:
        while self._dirty:
            namespace = self._dirty.pop()
            for quota in self._quotas(namespace):
                status = quota_status(self._store, quota)
                self._store.update(
                    "resourcequotas", namespace, quota["metadata"]["name"], _with_status(status)
                )


def _with_status(status: dict[str, Any]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda quota: {**quota, "status": status}

"""The garbage collector: objects are deleted when the last of their owners is gone (``ownerReferences``).

That is background deletion. Foreground deletion waits for blocking dependents, orphan deletion keeps them: both
are finalizers that the collector removes when its part is done.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from podrunner.local.api.options import DeleteOptions
from podrunner.local.api.registry.deletion import FOREGROUND, ORPHAN, delete_object, update_object
from podrunner.local.api.resources import BY_STORAGE

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.storage.store import Store, Stored

__all__ = ["GarbageCollector"]

Json = dict[str, Any]
Place = tuple[str, str, str]
"""Resource, namespace, name."""


class GarbageCollector:
    """Follows all objects and keeps track of which owns which.

    Args:
        store: The objects.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._dependents: dict[str, set[Place]] = {}
        self._owners_of: dict[Place, frozenset[str]] = {}
        self._alive: dict[str, Place] = {}
        self._subscriptions: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start; objects that are there already are taken in."""
        for resource, kind in BY_STORAGE.items():
            if not kind.stored:
                continue
            for obj in self._store.list(resource):
                self._learn(resource, obj)
            self._subscriptions.append(self._store.subscribe(resource, self._follower(resource)))

    def stop(self) -> None:
        """Stop."""
        while self._subscriptions:
            self._subscriptions.pop()()

    def _follower(self, resource: str) -> Callable[[str, Json], None]:
        return lambda change, obj: self._on_change(resource, change, obj)

    def _on_change(self, resource: str, change: str, obj: Json) -> None:
        if change == "DELETED":
            self._forget(resource, obj)
            return
        self._learn(resource, obj)
        meta = obj["metadata"]
        if meta.get("ownerReferences") and change == "ADDED":
            self._soon(self._collect_if_unowned, _place(resource, obj))
        if meta.get("deletionTimestamp") and {FOREGROUND, ORPHAN} & set(meta.get("finalizers") or ()):
            self._soon(self._finalize, _place(resource, obj))

    @staticmethod
    def _soon(step: Callable[[Place], None], place: Place) -> None:
        """Run on the loop's next turn, never within the commit of another change."""
        asyncio.get_running_loop().call_soon(step, place)

    def _learn(self, resource: str, obj: Json) -> None:
        place, meta = _place(resource, obj), obj["metadata"]
        self._alive[meta["uid"]] = place
        owners = frozenset(each["uid"] for each in meta.get("ownerReferences") or ())
        known = self._owners_of.get(place, frozenset())
        if owners == known:
            return
        for uid in known - owners:
            self._drop(uid, place)
        for uid in owners:
            self._dependents.setdefault(uid, set()).add(place)
        self._owners_of[place] = owners

    def _drop(self, uid: str, place: Place) -> None:
        places = self._dependents.get(uid, set())
        places.discard(place)
        if not places:
            self._dependents.pop(uid, None)

    def _forget(self, resource: str, obj: Json) -> None:
        place, uid = _place(resource, obj), obj["metadata"]["uid"]
        self._alive.pop(uid, None)
        owners = self._owners_of.pop(place, frozenset())
        for owner in owners:
            self._drop(owner, place)
        for dependent in self._dependents.get(uid, ()):
            self._soon(self._collect_if_unowned, dependent)
        for owner in owners & self._alive.keys():
            self._soon(self._finalize, self._alive[owner])

    def _collect_if_unowned(self, place: Place) -> None:
        obj = self._store.find(*place)
        owners = self._owners_of.get(place)
        if obj is None or not owners or owners & self._alive.keys():
            return
        if not obj["metadata"].get("deletionTimestamp"):
            delete_object(self._store, place[0], obj, DeleteOptions())

    def _finalize(self, place: Place) -> None:
        obj = self._store.find(*place)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or ()
        if ORPHAN in finalizers:
            self._orphan(obj)
            self._done(place, ORPHAN)
        elif FOREGROUND in finalizers and not self._delete_dependents(obj):
            self._done(place, FOREGROUND)

    def _delete_dependents(self, owner: Stored) -> bool:
        """Delete what the object owns; whether something that blocks it is left."""
        blocked = False
        for place in tuple(self._dependents.get(owner["metadata"]["uid"], ())):
            dependent = self._store.find(*place)
            if dependent is None:
                continue
            if not dependent["metadata"].get("deletionTimestamp"):
                delete_object(self._store, place[0], dependent, DeleteOptions())
            blocked = blocked or (self._store.find(*place) is not None and _blocks(dependent, owner))
        return blocked

    def _orphan(self, owner: Stored) -> None:
        uid = owner["metadata"]["uid"]
        for place in tuple(self._dependents.get(uid, ())):
            self._store.update(*place, lambda obj: _disowned(obj, uid))

    def _done(self, place: Place, finalizer: str) -> None:
        update_object(self._store, *place, lambda obj: _without_finalizer(obj, finalizer))


def _place(resource: str, obj: Json) -> Place:
    meta = obj["metadata"]
    return resource, meta.get("namespace", ""), meta["name"]


def _blocks(dependent: Json, owner: Json) -> bool:
    references = dependent["metadata"].get("ownerReferences") or ()
    return any(
        each["uid"] == owner["metadata"]["uid"] and each.get("blockOwnerDeletion") for each in references
    )


def _disowned(obj: Json, uid: str) -> Json:
    meta = obj["metadata"]
    meta["ownerReferences"] = [each for each in meta.get("ownerReferences") or () if each["uid"] != uid]
    return obj


def _without_finalizer(obj: Json, finalizer: str) -> Json:
    meta = obj["metadata"]
    meta["finalizers"] = [each for each in meta.get("finalizers") or () if each != finalizer]
    return obj

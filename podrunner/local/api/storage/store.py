"""The objects of a LocalCluster, their versions and their recent history.

One writer at a time: everything runs on one event loop, and no method awaits. Objects are plain JSON dicts, never
changed once stored. History is kept per resource, bounded by count; a version older than that is *compacted*, and
asking for it is answered 410 as etcd's users know it. Rules about what may be stored do not belong here.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from podrunner.local.api.resources import BY_STORAGE
from podrunner.local.api.status import already_exists, conflict, expired, not_found

__all__ = ["Change", "Store", "Stored", "Subscriber", "copy_json", "micro_time", "rfc3339"]

Subscriber = Callable[[str, dict[str, Any]], None]
"""Called with ``ADDED``, ``MODIFIED`` or ``DELETED`` and the object, on the loop, after the commit."""

Objects = list["Stored"]
Changes = list["Change"]

Key = tuple[str, str]
"""Namespace ("" for cluster-scoped objects) and name."""

HISTORY = 5_000
"""Changes kept per resource. 1,000 pods that live at once make about 6,000; a watch that is cut off resumes within
the time of some thousand changes, or is answered 410 and lists again."""

_encode = msgspec.json.encode
_decode = msgspec.json.decode


class Stored(dict[str, Any]):
    """A stored object: a dict that remembers its JSON, so that many watchers share one encoding."""

    __slots__ = ("_json",)
    _json: bytes

    @property
    def json(self) -> bytes:
        """The object as JSON, made at first need."""
        try:
            return self._json
        except AttributeError:
            self._json = _encode(self)
            return self._json


def copy_json(obj: dict[str, Any]) -> dict[str, Any]:
    """Return a deep copy of a JSON object (6 times faster than ``copy.deepcopy`` on a pod)."""
    copied: dict[str, Any] = _decode(_encode(obj))
    return copied


def rfc3339(moment: datetime) -> str:
    """Return ``2026-01-31T12:00:00Z``, as ``metav1.Time``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def micro_time(moment: datetime) -> str:
    """Return ``2026-01-31T12:00:00.000000Z``, as ``metav1.MicroTime``."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@dataclass(frozen=True, slots=True)
class Change:
    """One committed change.

    Attributes:
        version: resourceVersion of the change.
        type: ``ADDED``, ``MODIFIED`` or ``DELETED``.
        obj: The object after the change; of a deletion, its last state with the deletion's version.
        before: The object before, None if it was not there.
    """

    version: int
    type: str
    obj: Stored
    before: Stored | None


@dataclass(slots=True)
class _Shelf:
    """The objects of one resource and what happened to them."""

    objects: dict[Key, Stored] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    compacted: int = 0
    subscribers: list[Subscriber] = field(default_factory=list)
    wakers: list[Callable[[], None]] = field(default_factory=list)


class Store:
    """All objects, by resource (plural name), namespace and name.

    Args:
        now: Clock; the default is the system's, in UTC.
        history: Changes kept per resource.
    """

    def __init__(self, *, now: Callable[[], datetime] | None = None, history: int = HISTORY) -> None:
        self.now: Callable[[], datetime] = now or _utc_now
        self._history = history
        self._version = 1
        self._shelves: dict[str, _Shelf] = {name: _Shelf() for name in BY_STORAGE}

    @property
    def version(self) -> int:
        """Version of the latest change of any object."""
        return self._version

    def get(self, resource: str, namespace: str, name: str) -> Stored:
        """Return the object; 404 if there is none."""
        found = self._shelves[resource].objects.get((namespace, name))
        if found is None:
            raise not_found(resource, name, group=BY_STORAGE[resource].group)
        return found

    def find(self, resource: str, namespace: str, name: str) -> Stored | None:
        """Return the object, or None."""
        return self._shelves[resource].objects.get((namespace, name))

    def list(self, resource: str, namespace: str | None = None) -> Objects:
        """Return the objects, by namespace and name; of all namespaces for None."""
        return _sorted(self._shelves[resource].objects, namespace)

    def list_at(self, resource: str, version: int, namespace: str | None = None) -> Objects:
        """Return the objects as they were at a version; 410 if that is compacted."""
        shelf = self._shelves[resource]
        self.check_available(resource, version)
        objects = dict(shelf.objects) if shelf.changes else shelf.objects
        for change in reversed(shelf.changes):
            if change.version <= version:
                break
            _undo(objects, change)
        return _sorted(objects, namespace)

    def create(self, resource: str, obj: dict[str, Any]) -> Stored:
        """Store a new object under its ``metadata.name``; 409 if the name is taken.

        Sets uid, creationTimestamp and resourceVersion.
        """
        shelf = self._shelves[resource]
        meta = {**obj["metadata"], "uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(self.now())}
        key = (meta.get("namespace", ""), meta["name"])
        if key in shelf.objects:
            raise already_exists(resource, key[1], group=BY_STORAGE[resource].group)
        return self._commit(resource, "ADDED", _normal(resource, obj, meta), before=None)

    def update(
        self, resource: str, namespace: str, name: str, change: Callable[[dict[str, Any]], dict[str, Any]]
    ) -> Stored:
        """Replace an object by what ``change`` makes of a copy of it; nothing happens if that is equal.

        Raises:
            StatusError: 404 if it is not there, or as ``change`` raises.
        """
        before = self.get(resource, namespace, name)
        after = change(copy_json(before))
        if after == before:
            return before
        meta = {**after["metadata"]}
        for kept in ("uid", "creationTimestamp", "name"):
            meta[kept] = before["metadata"][kept]
        return self._commit(resource, "MODIFIED", _normal(resource, after, meta), before=before)

    def remove(self, resource: str, namespace: str, name: str, *, uid: str | None = None) -> Stored:
        """Remove an object for good.

        Args:
            resource: Plural name.
            namespace: "" for cluster-scoped objects.
            name: Name of the object.
            uid: Remove only the object of this uid; None for any.

        Raises:
            StatusError: 404 if it is not there, 409 if its uid is another.
        """
        before = self.get(resource, namespace, name)
        actual = before["metadata"]["uid"]
        if uid is not None and uid != actual:
            why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
            raise conflict(resource, name, group=BY_STORAGE[resource].group, why=why)
        last = _normal(resource, before, dict(before["metadata"]))
        return self._commit(resource, "DELETED", last, before=before)

    def subscribe(self, resource: str, callback: Subscriber) -> Callable[[], None]:
        """Call ``callback`` after each change of the resource, until the returned function is called."""
        subscribers = self._shelves[resource].subscribers
        subscribers.append(callback)
        return lambda: _discard(subscribers, callback)

    def wake_on_change(self, resource: str, waker: Callable[[], None]) -> Callable[[], None]:
        """Call ``waker`` after each change, until the returned function is called. It must be cheap."""
        wakers = self._shelves[resource].wakers
        wakers.append(waker)
        return lambda: _discard(wakers, waker)

    def changes_since(self, resource: str, version: int) -> Changes:
        """Changes after a version, oldest first; 410 if some of them are compacted."""
        self.check_available(resource, version)
        changes = self._shelves[resource].changes
        if not changes or changes[-1].version <= version:
            return []
        return changes[bisect_right(changes, version, key=_version_of) :]

    def check_available(self, resource: str, version: int) -> None:
        """Raise 410 if changes after ``version`` are compacted."""
        compacted = self._shelves[resource].compacted
        if version < compacted:
            raise expired(f"too old resource version: {version} ({compacted})")

    def compact(self) -> None:
        """Drop all history: requests for an earlier version are answered 410."""
        for shelf in self._shelves.values():
            shelf.changes.clear()
            shelf.compacted = self._version

    def _commit(self, resource: str, kind: str, obj: Stored, *, before: Stored | None) -> Stored:
        self._version += 1
        meta = obj["metadata"]
        meta["resourceVersion"] = str(self._version)
        shelf = self._shelves[resource]
        key = (meta.get("namespace", ""), meta["name"])
        if kind == "DELETED":
            del shelf.objects[key]
        else:
            shelf.objects[key] = obj
        self._remember(shelf, Change(self._version, kind, obj, before))
        _announce(shelf, kind, obj)
        return obj

    def _remember(self, shelf: _Shelf, change: Change) -> None:
        shelf.changes.append(change)
        # Trimmed in steps of half the bound: deleting from a list's head costs its length.
        if len(shelf.changes) > self._history * 3 // 2:
            cut = len(shelf.changes) - self._history
            shelf.compacted = shelf.changes[cut - 1].version
            del shelf.changes[:cut]


def _announce(shelf: _Shelf, kind: str, obj: Stored) -> None:
    for waker in shelf.wakers:
        waker()
    for callback in tuple(shelf.subscribers):
        callback(kind, obj)


def _normal(resource: str, obj: dict[str, Any], meta: dict[str, Any]) -> Stored:
    """Return the object with ``kind`` and ``apiVersion`` first: list items are cut out of its JSON after them."""
    stored = BY_STORAGE[resource]
    normal = Stored(kind=stored.kind, apiVersion=stored.api_version, metadata=meta)
    normal.update((key, value) for key, value in obj.items() if key not in _TYPE_AND_META)
    return normal


_TYPE_AND_META = frozenset({"kind", "apiVersion", "metadata"})


def _undo(objects: dict[Key, Stored], change: Change) -> None:
    meta = change.obj["metadata"]
    key = (meta.get("namespace", ""), meta["name"])
    if change.before is None:
        del objects[key]
    else:
        objects[key] = change.before


def _sorted(objects: dict[Key, Stored], namespace: str | None) -> list[Stored]:
    keys: Iterator[Key] | dict[Key, Stored] = objects
    if namespace is not None:
        keys = (key for key in objects if key[0] == namespace)
    return [objects[key] for key in sorted(keys)]


def _version_of(change: Change) -> int:
    return change.version


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _discard(sequence: list[Any], value: Any) -> None:
    if value in sequence:
        sequence.remove(value)

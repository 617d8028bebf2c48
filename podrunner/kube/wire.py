"""Decode lists, watch events and objects from the wire, only the fields that podrunner reads.

An object that cannot be read does not affect the others: it is skipped and counted. What a decoded pod means does not
belong here (``podrunner.outcome``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from podrunner.errors import ApiError, SpecError, TransportError
from podrunner.kube.answers import status_error
from podrunner.kube.pages import UnreadablePageError
from podrunner.outcome.record import Event, Pod

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "Deletion",
    "ObjectPage",
    "PodPage",
    "WatchEvent",
    "decode_deletion",
    "decode_events",
    "decode_object",
    "decode_objects",
    "decode_page",
    "decode_pod",
    "decode_watch",
    "encode",
]

INITIAL_EVENTS_END = "k8s.io/initial-events-end"
"""Annotation of the bookmark that ends a streaming list (KEP-3157)."""

_LONG_PAGE_BYTES = 16 * 1024
"""A page that is longer than this, a few pods, and is spoilt on the way, may be had in smaller ones."""

T = TypeVar("T")


class PodPage(msgspec.Struct, frozen=True, gc=False):
    """One page of a list of pods.

    Attributes:
        items: The pods that could be read.
        resource_version: Version of the whole list: where a watch goes on.
        continue_token: For the next page; None: this was the last.
        skipped: How many items could not be read.
    """

    items: list[Pod]
    resource_version: str
    continue_token: str | None = None
    skipped: int = 0


class ObjectPage(msgspec.Struct, frozen=True, gc=False):
    """One page of a list of any kind, its objects whole.

    Attributes:
        items: The objects.
        continue_token: For the next page; None: this was the last.
    """

    items: list[dict[str, Any]]
    continue_token: str | None = None


class Deletion(msgspec.Struct, frozen=True, gc=False):
    """What the server answered to a deletion. False where there was nothing to delete.

    Attributes:
        found: Whether the pod was there.
        pod: The pod as it was when the deletion was accepted, marked with its ``deletionTimestamp``: kube-apiserver
            answers so, graceful or not (``ReturnDeletedObject`` of the pods' registry). None if the answer is
            something else, such as a ``Status``.
        repeated: Whether an earlier request may have been accepted, its answer lost: what the pod shows may then have
            come after that deletion.
    """

    found: bool
    pod: Pod | None = None
    repeated: bool = False

    def __bool__(self) -> bool:
        """Whether the pod was there."""
        return self.found


class WatchEvent(msgspec.Struct, frozen=True, gc=False):
    """One event of a watch.

    Attributes:
        type: ``ADDED``, ``MODIFIED``, ``DELETED``, ``BOOKMARK`` or ``ERROR``.
        pod: The pod; for ``BOOKMARK`` and ``ERROR`` None.
        resource_version: Where a new watch goes on after this event; "" for ``ERROR``.
        status: What the server complains about in an ``ERROR``, else None.
        initial_events_end: True for the bookmark that ends a streaming list.
    """

    type: str
    pod: Pod | None = None
    resource_version: str = ""
    status: ApiError | None = None
    initial_events_end: bool = False


class _ListMeta(msgspec.Struct, frozen=True, rename="camel", gc=False):
    resource_version: str = ""
    continue_: str = msgspec.field(name="continue", default="")


class _PodList(msgspec.Struct, frozen=True, gc=False):
    items: list[Pod] | None
    metadata: _ListMeta = _ListMeta()


class _RawList(msgspec.Struct, frozen=True, gc=False):
    items: list[msgspec.Raw] | None
    metadata: _ListMeta = _ListMeta()


class _WireEvent(msgspec.Struct, frozen=True, gc=False):
    type: str
    object: Pod


class _RawEvent(msgspec.Struct, frozen=True, gc=False):
    type: str
    object: msgspec.Raw


_POD = msgspec.json.Decoder(Pod)
_PODS = msgspec.json.Decoder(_PodList)
_RAW_LIST = msgspec.json.Decoder(_RawList)
_WATCH = msgspec.json.Decoder(_WireEvent)
_RAW_WATCH = msgspec.json.Decoder(_RawEvent)
_EVENT = msgspec.json.Decoder(Event)
_ANY = msgspec.json.Decoder()

# Not only ValidationError: bytes that are no UTF-8 and nesting without end raise the other two.
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def encode(manifest: object) -> bytes:
    """Encode an object for the wire; bytes go as they are.

    Raises:
        SpecError: It holds something that JSON cannot.
    """
    if isinstance(manifest, bytes):
        return manifest
    try:
        return msgspec.json.encode(manifest)
    except (TypeError, ValueError, RecursionError) as error:
        raise SpecError(f"this cannot be written as JSON: {error}") from error


def decode_pod(body: bytes) -> Pod:
    """Decode one pod.

    Raises:
        TransportError: The body is none: something between us and the server spoiled it.
    """
    return _checked(_POD, body, what="a pod")


def decode_deletion(body: bytes) -> Deletion:
    """Decode the answer to a deletion that was accepted. It was, whatever the body is: never fails."""
    try:
        pod = _POD.decode(body)
    except _UNREADABLE:
        return Deletion(found=True)
    return Deletion(found=True, pod=pod if pod.metadata.uid else None)


def decode_object(body: bytes) -> dict[str, Any]:
    """Decode any one object, whole.

    Raises:
        TransportError: The body is no JSON object.
    """
    decoded = _checked(_ANY, body, what="a JSON object")
    if not isinstance(decoded, dict):
        raise TransportError("the server's answer is not a JSON object")
    return decoded


def _checked(decoder: msgspec.json.Decoder[T], body: bytes, *, what: str) -> T:
    try:
        return decoder.decode(body)
    except _UNREADABLE as error:
        raise TransportError(f"the server's answer is not {what}: {error}") from error


def decode_page(body: bytes) -> PodPage:
    """Decode a page of pods; items that cannot be read, or that have no name and UID, are skipped and counted.

    Raises:
        TransportError: The body is no list at all, or has no version: nothing may be concluded from it.
        UnreadablePageError: It begins as one, and is long.
    """
    try:
        page = _PODS.decode(body)
    except _UNREADABLE:
        return _page_by_item(body)
    return _page(page.items or [], page.metadata, unread=0)


def decode_objects(body: bytes) -> ObjectPage:
    """Decode a page of a list; items that are no objects are left out.

    Raises:
        TransportError: The body is no list at all, or has no version: nothing may be concluded from it.
    """
    page = _checked(_RAW_LIST, body, what="a list")
    if not page.metadata.resource_version:
        raise TransportError("the server's answer is not a list: it has no resourceVersion")
    items = [item for item in _readable(_ANY, page.items or []) if isinstance(item, dict)]
    return ObjectPage(items, page.metadata.continue_ or None)


def _page_by_item(body: bytes) -> PodPage:
    try:
        page = _checked(_RAW_LIST, body, what="a list")
    except TransportError as error:
        if len(body) > _LONG_PAGE_BYTES and body.startswith(b"{"):
            raise UnreadablePageError(str(error)) from error
        raise
    raw = page.items or []
    pods = list(_readable(_POD, raw))
    return _page(pods, page.metadata, unread=len(raw) - len(pods))


def _page(pods: list[Pod], meta: _ListMeta, *, unread: int) -> PodPage:
    if not meta.resource_version:
        raise TransportError("the server's answer is not a list: it has no resourceVersion")
    known = [pod for pod in pods if pod.metadata.uid and pod.metadata.name]
    skipped = unread + len(pods) - len(known)
    return PodPage(known, meta.resource_version, meta.continue_ or None, skipped)


def _readable(decoder: msgspec.json.Decoder[T], items: Iterable[msgspec.Raw]) -> Iterable[T]:
    for item in items:
        try:
            yield decoder.decode(item)
        except _UNREADABLE:
            continue


def decode_events(body: bytes) -> list[Event]:
    """Decode a list of Events; items that cannot be read are left out.

    Raises:
        TransportError: The body is no list.
    """
    return list(_readable(_EVENT, _checked(_RAW_LIST, body, what="a list").items or []))


def decode_watch(
    lines: Iterable[bytes], *, path: str, secrets: Iterable[str] = ()
) -> tuple[list[WatchEvent], int]:
    """Decode lines of a watch into events, and count those that cannot be read. Blank lines are neither.

    Args:
        lines: The lines.
        path: Path of the request, for errors.
        secrets: The credentials that were sent, to be removed from errors.
    """
    events: list[WatchEvent] = []
    skipped = 0
    for line in lines:
        if not line:
            continue
        event = _event(line, path, secrets)
        if event is None and line.isspace():
            continue
        if event is None:
            skipped += 1
        else:
            events.append(event)
    return events, skipped


def _event(line: bytes, path: str, secrets: Iterable[str]) -> WatchEvent | None:
    try:
        wire = _WATCH.decode(line)
    except _UNREADABLE:
        return _odd_event(line, path, secrets)
    pod, meta = wire.object, wire.object.metadata
    if not meta.resource_version:  # each object has one, and an event without moves no watch on
        return _odd_event(line, path, secrets)
    if wire.type == "BOOKMARK":
        ends = INITIAL_EVENTS_END in (meta.annotations or {})
        return WatchEvent("BOOKMARK", None, meta.resource_version, initial_events_end=ends)
    if wire.type == "ERROR":
        return _odd_event(line, path, secrets)
    if not meta.uid or wire.type not in {"ADDED", "MODIFIED", "DELETED"}:
        return None
    return WatchEvent(wire.type, pod, meta.resource_version)


def _odd_event(line: bytes, path: str, secrets: Iterable[str]) -> WatchEvent | None:
    """Read an ERROR event, whose object is a Status and no pod; None for anything else."""
    try:
        wire = _RAW_WATCH.decode(line)
        if wire.type != "ERROR":
            return None
        status = status_error(_ANY.decode(wire.object), method="GET", path=path, secrets=secrets)
        return WatchEvent("ERROR", status=status)
    except _UNREADABLE:
        return None

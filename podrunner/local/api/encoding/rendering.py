"""What goes over the wire: media types, and the three views of an object (itself, a table row, its metadata only)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import yaml

from podrunner.local.api.encoding.tables import columns, row
from podrunner.local.api.status import not_acceptable
from podrunner.local.api.storage.store import Stored

if TYPE_CHECKING:
    from podrunner.local.api.resources import ResourceType
    from podrunner.local.api.storage.listing import Page

__all__ = ["Answer", "MetadataView", "ObjectView", "TableView", "View", "choose_view", "encode_json"]

encode_json: Callable[[Any], bytes] = msgspec.json.encode

JSON = "application/json"
YAML = "application/yaml"
_ACCEPTED = (JSON, YAML)
_META_GROUP = "meta.k8s.io"


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is one JSON document.

    Attributes:
        body: Its bytes.
        code: HTTP status.
        warnings: Texts for ``Warning`` headers.
        headers: Other headers.
        content_type: Media type of the body.
    """

    body: bytes
    code: int = 200
    warnings: tuple[str, ...] = ()
    headers: Mapping[str, str] | None = None
    content_type: str = JSON


Convert = Callable[[dict[str, Any]], dict[str, Any]]
"""Turns a stored object into the version that was asked for."""


class ObjectView:
    """Objects as they are."""

    def __init__(self, kind: ResourceType, convert: Convert | None = None) -> None:
        self._kind = kind
        self._convert = convert
        self._skip = len(f'"kind":"{kind.kind}","apiVersion":"{kind.api_version}",')

    def one(self, obj: dict[str, Any]) -> bytes:
        """Return one object."""
        if self._convert and obj.get("kind") == self._kind.kind:
            return encode_json(self._convert(obj))
        return obj.json if isinstance(obj, Stored) else encode_json(obj)

    def page(self, page: Page) -> bytes:
        """Return a list; like a real server's, its items carry neither kind nor apiVersion."""
        items = b",".join(b"{" + self.one(obj)[self._skip + 1 :] for obj in page.items)
        head = {
            "kind": f"{self._kind.kind}List",
            "apiVersion": self._kind.api_version,
            "metadata": page.meta(),
        }
        return encode_json(head)[:-1] + b',"items":[' + items + b"]}"

    def event(self, kind: str, obj: dict[str, Any]) -> bytes:
        """Return one watch event."""
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), self.one(obj))

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Return a watch event that only carries a version."""
        meta: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        body = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": meta}
        return b'{"type":"BOOKMARK","object":%s}\n' % encode_json(body)


class MetadataView(ObjectView):
    """Only the metadata of objects (``PartialObjectMetadata``)."""

    def one(self, obj: dict[str, Any]) -> bytes:
        """Return one object's metadata."""
        if obj.get("kind") == "Status":
            return encode_json(obj)
        return encode_json(_partial(obj))

    def page(self, page: Page) -> bytes:
        """Return a list of metadata."""
        head = {
            "kind": "PartialObjectMetadataList",
            "apiVersion": f"{_META_GROUP}/v1",
            "metadata": page.meta(),
        }
        return encode_json({**head, "items": [_partial(obj) for obj in page.items]})

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Return a watch event that only carries a version."""
        meta: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        return b'{"type":"BOOKMARK","object":%s}\n' % encode_json(_partial({"metadata": meta}))


def _partial(obj: Mapping[str, Any]) -> dict[str, Any]:
    return {"kind": "PartialObjectMetadata", "apiVersion": f"{_META_GROUP}/v1", "metadata": obj["metadata"]}


class TableView:
    """Objects as rows of a table, as kubectl prints them.

    Args:
        kind: Kind of object.
        now: Seconds since the epoch, for ages.
        include: What each row carries of its object: ``Metadata``, ``Object`` or ``None``.
    """

    def __init__(self, kind: ResourceType, now: Callable[[], float], *, include: str = "Metadata") -> None:
        self._kind = kind
        self._now = now
        self._include = include
        self._header_sent = False

    def one(self, obj: dict[str, Any]) -> bytes:
        """Return one object as a table."""
        if obj.get("kind") == "Status":
            return encode_json(obj)
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        return encode_json(self._table(meta, [obj], header=True))

    def page(self, page: Page) -> bytes:
        """Return a list as a table."""
        return encode_json(self._table(page.meta(), page.items, header=True))

    def event(self, kind: str, obj: dict[str, Any]) -> bytes:
        """Return one watch event; only the first carries column definitions."""
        if obj.get("kind") == "Status":
            return b'{"type":"%s","object":%s}\n' % (kind.encode(), encode_json(obj))
        meta = {"resourceVersion": obj["metadata"].get("resourceVersion", "")}
        table = self._table(meta, [obj], header=not self._header_sent)
        self._header_sent = True
        return b'{"type":"%s","object":%s}\n' % (kind.encode(), encode_json(table))

    def bookmark(self, version: int, annotations: dict[str, str] | None = None) -> bytes:
        """Return a watch event that only carries a version, in its only row."""
        meta: dict[str, Any] = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        table = self._table({"resourceVersion": str(version)}, [], header=False)
        table["rows"] = [{"cells": [], "object": _partial({"metadata": meta})}]
        return b'{"type":"BOOKMARK","object":%s}\n' % encode_json(table)

    def _table(
        self, meta: dict[str, Any], objects: Iterable[dict[str, Any]], *, header: bool
    ) -> dict[str, Any]:
        table: dict[str, Any] = {"kind": "Table", "apiVersion": f"{_META_GROUP}/v1", "metadata": meta}
        table["columnDefinitions"] = columns(self._kind) if header else []
        table["rows"] = [self._row(obj) for obj in objects]
        return table

    def _row(self, obj: dict[str, Any]) -> dict[str, Any]:
        made = row(self._kind, obj, now=self._now())
        if self._include == "None":
            return made
        return {**made, "object": obj if self._include == "Object" else _partial(obj)}


View = ObjectView | TableView


def choose_view(
    accept: str,
    kind: ResourceType,
    *,
    now: Callable[[], float],
    convert: Convert | None = None,
    include: str = "",
) -> View:
    """Return the view that an ``Accept`` header asks for: its first clause that is served.

    Raises:
        StatusError: 406 if none is (protobuf only, for example).
    """
    for clause in (accept or "*/*").split(","):
        media, *rest = (part.strip() for part in clause.split(";"))
        parameters = dict(part.split("=", 1) for part in rest if "=" in part)
        wanted = parameters.get("as", "")
        if media not in {JSON, YAML, "application/*", "*/*"}:
            continue
        if not wanted:
            return ObjectView(kind, convert)
        if parameters.get("g") != _META_GROUP or parameters.get("v") != "v1":
            continue
        if wanted == "Table":
            return TableView(kind, now, include=include or "Metadata")
        if wanted.startswith("PartialObjectMetadata"):
            return MetadataView(kind)
    raise not_acceptable(_ACCEPTED)


def prefers_yaml(accept: str) -> bool:
    """Return whether YAML is the first media type asked for."""
    return accept.split(",", maxsplit=1)[0].split(";", maxsplit=1)[0].strip() == YAML


def as_yaml(answer: Answer) -> Answer:
    """Return the same answer in YAML."""
    text = yaml.safe_dump(msgspec.json.decode(answer.body), sort_keys=False)
    return Answer(text.encode(), answer.code, answer.warnings, answer.headers, YAML)

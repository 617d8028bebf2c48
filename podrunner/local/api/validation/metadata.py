"""Rules of ``metadata``: names, labels, annotations, owners, finalizers (apimachinery's ``ValidateObjectMeta``)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podrunner.local.api.validation import formats
from podrunner.local.api.validation.field_errors import (
    Errors,
    forbidden_field,
    invalid_value,
    required,
    too_long,
)

if TYPE_CHECKING:
    from podrunner.local.api.status import FieldError

__all__ = ["label_errors", "metadata_errors", "metadata_update_errors"]

Json = Mapping[str, Any]

MAX_ANNOTATIONS = 256 * 1024

_LABEL_NAMED = frozenset({"namespaces", "services"})
_FREELY_NAMED = frozenset({"roles", "rolebindings", "clusterroles", "clusterrolebindings"})


def metadata_errors(storage: str, meta: Json) -> Errors:
    """Return what is wrong with the metadata of an object."""
    return [
        *_name_errors(storage, meta),
        *label_errors(meta.get("labels") or {}, "metadata.labels"),
        *_annotation_errors(meta.get("annotations") or {}),
        *_owner_errors(meta.get("ownerReferences") or ()),
        *_finalizer_errors(meta.get("finalizers") or ()),
    ]


def _name_errors(storage: str, meta: Json) -> Iterator[FieldError]:
    name = meta.get("name") or ""
    if not name:
        yield required("metadata.name", "name or generateName is required")
        return
    check: Callable[[str], tuple[str, ...]] = (
        formats.dns_label if storage in _LABEL_NAMED else formats.dns_subdomain
    )
    if storage in _FREELY_NAMED:
        check = _path_segment
    for words in check(name):
        yield invalid_value("metadata.name", name, words)


def _path_segment(text: str) -> tuple[str, ...]:
    if text in {".", ".."}:
        return (f"may not be '{text}'",)
    return tuple(f"may not contain '{letter}'" for letter in "/%" if letter in text)


def label_errors(labels: Mapping[str, str], field: str) -> Iterator[FieldError]:
    """Return what is wrong with labels, or with a node selector."""
    for key, value in labels.items():
        for words in formats.qualified_name(key):
            yield invalid_value(field, key, words)
        for words in formats.label_value(value):
            yield invalid_value(field, value, words)


def _annotation_errors(annotations: Mapping[str, str]) -> Iterator[FieldError]:
    size = 0
    for key, value in annotations.items():
        size += len(key) + len(value)
        for words in formats.qualified_name(key.lower()):
            yield invalid_value("metadata.annotations", key, words)
    if size > MAX_ANNOTATIONS:
        yield too_long("metadata.annotations", MAX_ANNOTATIONS)


def _owner_errors(owners: Any) -> Iterator[FieldError]:
    for owner in owners:
        for name in ("apiVersion", "kind", "name", "uid"):
            if not owner.get(name):
                yield invalid_value(f"metadata.ownerReferences.{name}", "", "must not be empty")
    controllers = [owner.get("name", "") for owner in owners if owner.get("controller")]
    if len(controllers) > 1:
        named = " and ".join(controllers)
        words = 'Only one reference can have Controller set to true. Found "true" in references for ' + named
        yield invalid_value("metadata.ownerReferences", list(owners), words)


def _finalizer_errors(finalizers: Any) -> Iterator[FieldError]:
    for index, finalizer in enumerate(finalizers):
        for words in formats.qualified_name(finalizer):
            yield invalid_value("metadata.finalizers", finalizer, words)
        if "/" not in finalizer and finalizer not in _STANDARD:
            words = "name is neither a standard finalizer name nor is it fully qualified"
            yield invalid_value(f"metadata.finalizers[{index}]", finalizer, words)


_STANDARD = frozenset({"kubernetes", "orphan", "foregroundDeletion"})
_FIXED = ("uid", "deletionTimestamp", "deletionGracePeriodSeconds")


def metadata_update_errors(after: Json, before: Json) -> Iterator[FieldError]:
    """Return what is wrong with a change of metadata (apimachinery's ``ValidateObjectMetaAccessorUpdate``)."""
    added = set(after.get("finalizers") or ()) - set(before.get("finalizers") or ())
    if before.get("deletionTimestamp") and added:
        listed = ", ".join(f'"{each}"' for each in sorted(added))
        words = (
            "no new finalizers can be added if the object is being deleted, "
            f"found new finalizers []string{{{listed}}}"
        )
        yield forbidden_field("metadata.finalizers", words)
    for field in _FIXED:
        if after.get(field) != before.get(field):
            yield invalid_value(f"metadata.{field}", after.get(field), "field is immutable")

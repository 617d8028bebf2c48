"""The verbs: create, get, update, patch, delete, deletecollection.

An object passes decode → defaults → admission → rules → store. One request is one step of the loop, so that what was
checked still holds when it is stored. HTTP, views and watches do not belong here.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.local.api.encoding.decoding import of_kind
from podrunner.local.api.registry.admission import admit_create
from podrunner.local.api.registry.applying import AppliedFields
from podrunner.local.api.registry.defaults import set_defaults
from podrunner.local.api.registry.deletion import delete_object, update_object
from podrunner.local.api.registry.names import generate_name
from podrunner.local.api.registry.patching import apply_patch
from podrunner.local.api.registry.strategies import keep_untouchable, prepare_create, unconditional_update
from podrunner.local.api.status import (
    FieldError,
    StatusError,
    already_exists,
    bad_request,
    conflict,
    invalid,
    not_found,
    success,
)
from podrunner.local.api.storage.listing import list_page
from podrunner.local.api.storage.store import Store, Stored, copy_json, rfc3339
from podrunner.local.api.validation.field_errors import invalid_value, required
from podrunner.local.api.validation.kinds import validate_create, validate_update

if TYPE_CHECKING:
    from collections.abc import Callable

    from podrunner.local.api.options import DeleteOptions, ListOptions, WriteOptions
    from podrunner.local.api.paths import Target
    from podrunner.local.api.validation.schema import Schema

__all__ = ["Objects", "Written"]


@dataclass(frozen=True, slots=True)
class Written:
    """What a write did.

    Attributes:
        obj: The object now, or as it would be (dry run), or the last of it.
        warnings: Texts for the client.
        created: Whether it is new.
    """

    obj: dict[str, Any]
    warnings: tuple[str, ...] = ()
    created: bool = False


class Objects:
    """The verbs over a store.

    Args:
        store: Where objects are.
        schema: What fields they may have.
    """

    def __init__(self, store: Store, schema: Schema) -> None:
        self.store = store
        self._schema = schema
        self._applied = AppliedFields()

    def get(self, target: Target) -> Stored:
        """Return the object; 404 if it is not there."""
        return self.store.get(target.type.storage, target.namespace, target.name)

    def create(self, target: Target, body: Any, options: WriteOptions) -> Written:
        """Create an object from a decoded body."""
        obj, warnings = self._read(target, body, options)
        self._place(target, obj)
        return self._create(target, obj, options, warnings)

    def _create(
        self, target: Target, obj: dict[str, Any], options: WriteOptions, warnings: tuple[str, ...]
    ) -> Written:
        meta, storage = obj["metadata"], target.type.storage
        if meta.get("resourceVersion"):
            raise StatusError(500, "", "resourceVersion should not be set on objects to be created")
        if not meta.get("name") and meta.get("generateName"):
            meta["name"] = generate_name(meta["generateName"])
        prepare_create(storage, obj, now=rfc3339(self.store.now()))
        set_defaults(storage, obj)
        admit_create(self.store, target.type, obj)
        self._check(target, obj, validate_create(storage, obj))
        if options.dry_run:
            return Written(self._as_if_created(target, obj), warnings, created=True)
        return Written(self.store.create(storage, obj), warnings, created=True)

    def update(self, target: Target, body: Any, options: WriteOptions) -> Written:
        """Replace an object, or the part of it that the target names, by a decoded body."""
        obj, warnings = self._read(target, body, options)
        self._place(target, obj)
        meta = obj["metadata"]
        if not meta.get("resourceVersion") and not unconditional_update(target.type.storage):
            raise invalid(target.type.kind, target.name, [_version_needed()], group=target.type.group)

        def change(_current: dict[str, Any]) -> dict[str, Any]:
            return obj

        return self._replace(target, change, options, warnings=warnings, named=meta)

    def patch(self, target: Target, body: Any, options: WriteOptions, *, media: str) -> Written:
        """Change an object by a patch; server-side apply creates it where it is not there."""
        storage = target.type.storage
        if media == APPLY:
            return self._apply(target, body, options)
        warnings: list[str] = []

        def change(current: dict[str, Any]) -> dict[str, Any]:
            patched = apply_patch(current, body, media=media, kind=target.type.kind)
            read, texts = self._read(target, patched, options)
            self._place(target, read)
            warnings.extend(texts)
            return read

        self.store.get(storage, target.namespace, target.name)
        return self._replace(target, change, options, warnings=warnings)

    def _apply(self, target: Target, body: Any, options: WriteOptions) -> Written:
        if not options.field_manager:
            error = required("fieldManager", "is required for apply patch")
            raise invalid("PatchOptions", "", [error], group="meta.k8s.io")
        applied = of_kind(body, target)
        self._place(target, applied)
        written = self._apply_to(target, applied, options)
        if not options.dry_run:
            self._applied.remember(written.obj["metadata"]["uid"], options.field_manager, applied)
        return written

    def _apply_to(self, target: Target, applied: dict[str, Any], options: WriteOptions) -> Written:
        present = self.store.find(target.type.storage, target.namespace, target.name)
        if present is not None:
            patch = self._applied.patch(present["metadata"]["uid"], options.field_manager, applied)
            return self.patch(target, patch, options, media=STRATEGIC)
        if target.subresource:
            raise not_found(target.type.plural, target.name, group=target.type.group)
        return self.create(target, applied, options)

    def _replace(
        self,
        target: Target,
        change: Callable[[dict[str, Any]], dict[str, Any]],
        options: WriteOptions,
        *,
        warnings: list[str] | tuple[str, ...],
        named: dict[str, Any] | None = None,
    ) -> Written:
        storage = target.type.storage
        before = self.get(target)

        def checked(current: dict[str, Any]) -> dict[str, Any]:
            wanted = named or {}
            _check_uid(target, before, wanted.get("uid"))
            after = change(current)
            self._same_version(target, after, before)
            keep_untouchable(target, after, before)
            set_defaults(storage, after)
            self._check(target, after, validate_update(target, after, before))
            return after

        if options.dry_run:
            return Written(checked(copy_json(before)), tuple(warnings))
        after = update_object(self.store, storage, target.namespace, target.name, checked)
        return Written(after, tuple(warnings))

    @staticmethod
    def _same_version(target: Target, after: dict[str, Any], before: Stored) -> None:
        meta = after["metadata"]
        wanted = meta.get("resourceVersion")
        if wanted and wanted != before["metadata"]["resourceVersion"]:
            raise conflict(target.type.plural, target.name, group=target.type.group)
        meta["resourceVersion"] = before["metadata"]["resourceVersion"]

    def delete(self, target: Target, options: DeleteOptions) -> dict[str, Any]:
        """Delete an object; its last state, or a ``Status`` for kinds that are not shown again."""
        obj = self.get(target)
        last, gone = delete_object(self.store, target.type.storage, obj, options)
        if not gone or target.type.storage in _SHOWN_WHEN_DELETED:
            return last
        meta = last["metadata"]
        group = {"group": target.type.group} if target.type.group else {}
        return success({"name": meta["name"], **group, "kind": target.type.plural, "uid": meta["uid"]})

    def delete_collection(
        self, target: Target, selected: ListOptions, options: DeleteOptions
    ) -> list[dict[str, Any]]:
        """Delete what a list selects; the objects."""
        page = list_page(self.store, target, selected)
        storage = target.type.storage
        return [delete_object(self.store, storage, obj, options)[0] for obj in page.items]

    def read_part(self, target: Target, body: Any) -> dict[str, Any]:
        """Return the body of a subresource that is not stored, with the types of its kind; 400 for wrong ones."""
        return self._schema.read(of_kind(body, target), mode="Ignore")[0]

    def read_delete_options(self, body: Any) -> dict[str, Any]:
        """Return the body of a delete; 400 for wrong types."""
        return self._schema.read_delete_options(body)

    def _read(
        self, target: Target, body: Any, options: WriteOptions
    ) -> tuple[dict[str, Any], tuple[str, ...]]:
        obj = of_kind(body, target)
        return self._schema.read(obj, mode=options.field_validation)

    @staticmethod
    def _place(target: Target, obj: dict[str, Any]) -> None:
        """Put the namespace and name of the path into the object, or refuse one that differs."""
        meta = obj["metadata"]
        if target.namespace and meta.setdefault("namespace", target.namespace) != target.namespace:
            raise bad_request(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        if not target.type.namespaced:
            meta.pop("namespace", None)
        if target.name and meta.setdefault("name", target.name) != target.name:
            raise bad_request(
                f"the name of the object ({meta['name']}) does not match the name on the URL ({target.name})"
            )

    @staticmethod
    def _check(target: Target, obj: dict[str, Any], errors: list[Any]) -> None:
        if errors:
            name = obj["metadata"].get("name", "")
            raise invalid(target.type.kind, name, errors, group=target.type.group)

    def _as_if_created(self, target: Target, obj: dict[str, Any]) -> dict[str, Any]:
        meta = obj["metadata"]
        key = (meta.get("namespace", ""), meta["name"])
        if self.store.find(target.type.storage, *key):
            raise already_exists(target.type.plural, meta["name"], group=target.type.group)
        shown = {**meta, "uid": str(uuid.uuid4()), "creationTimestamp": rfc3339(self.store.now())}
        return {**obj, "metadata": shown}


def _check_uid(target: Target, before: Stored, uid: str | None) -> None:
    actual = before["metadata"]["uid"]
    if uid and uid != actual:
        key = "/".join(part for part in (target.type.plural, target.namespace, target.name) if part)
        words = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {actual}"
        where = f"invalid object, Code: 4, Key: /registry/{key}, ResourceVersion: 0"
        why = f"StorageError: {where}, AdditionalErrorMsg: {words}"
        raise conflict(target.type.plural, target.name, group=target.type.group, why=why)


APPLY = "application/apply-patch+yaml"
STRATEGIC = "application/strategic-merge-patch+json"

_SHOWN_WHEN_DELETED = frozenset(
    {
        "pods",
        "persistentvolumeclaims",
        "persistentvolumes",
        "serviceaccounts",
        "services",
        "storageclasses",
        "resourcequotas",
        "namespaces",
    }
)


def _version_needed() -> FieldError:
    return invalid_value("metadata.resourceVersion", 0, "must be specified for an update")

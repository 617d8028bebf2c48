"""Query parameters and delete options, read strictly: a malformed one is 400, never ignored."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from podrunner.local.api.status import FieldError, bad_request, invalid

__all__ = ["DeleteOptions", "ListOptions", "WriteOptions", "read_bool", "read_int"]

Query = Mapping[str, str]

_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_INT64 = 1 << 63
_UINT64 = (1 << 64) - 1
_MAX_DIGITS = 19


def read_bool(query: Query, name: str) -> bool:
    """Return a boolean as Go's ``strconv.ParseBool`` reads it; False if absent."""
    text = query.get(name, "")
    if text in {"", "0", "f", "F", "false", "FALSE", "False"}:
        # `?watch=` counts as true in apimachinery's conversion, but no client sends it.
        return False
    if text in {"1", "t", "T", "true", "TRUE", "True"}:
        return True
    raise bad_request(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def read_int(query: Query, name: str) -> int | None:
    """Return a whole number, None if absent."""
    text = query.get(name, "")
    if not text:
        return None
    if not _INTEGER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    digits = text.lstrip("+-0")
    if len(digits) > _MAX_DIGITS or not -_INT64 <= int(text) < _INT64:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


@dataclass(frozen=True, slots=True)
class ListOptions:
    """``metav1.ListOptions``.

    Attributes:
        labels: Label selector.
        fields: Field selector.
        limit: Most objects in one page; 0 for all.
        continue_token: Where the page before ended, "" for the first.
        version: resourceVersion, "" if unset.
        version_match: ``Exact``, ``NotOlderThan`` or "".
        watch: Whether to watch.
        bookmarks: Whether the watcher knows bookmarks.
        initial_events: ``sendInitialEvents``, None if unset.
        timeout_s: Seconds until the watch ends, None for the server's choice.
    """

    labels: str = ""
    fields: str = ""
    limit: int = 0
    continue_token: str = ""
    version: str = ""
    version_match: str = ""
    watch: bool = False
    bookmarks: bool = False
    initial_events: bool | None = None
    timeout_s: int | None = None

    @classmethod
    def read(cls, query: Query) -> ListOptions:
        """From query parameters; 400 or 422 if they contradict each other."""
        options = cls(
            labels=query.get("labelSelector", ""),
            fields=query.get("fieldSelector", ""),
            limit=max(read_int(query, "limit") or 0, 0),
            continue_token=query.get("continue", ""),
            version=query.get("resourceVersion", ""),
            version_match=query.get("resourceVersionMatch", ""),
            watch=read_bool(query, "watch"),
            bookmarks=read_bool(query, "allowWatchBookmarks"),
            initial_events=read_bool(query, "sendInitialEvents") if "sendInitialEvents" in query else None,
            timeout_s=read_int(query, "timeoutSeconds"),
        )
        _check(options)
        return options

    def version_number(self) -> int:
        """Return the version as a number, 0 if unset; 400 if it is none."""
        if not self.version:
            return 0
        if not (self.version.isascii() and self.version.isdigit()):
            raise bad_request(
                f'invalid resource version: strconv.ParseUint: parsing "{self.version}": invalid syntax'
            )
        if len(self.version) > len(str(_UINT64)) or int(self.version) > _UINT64:
            words = f'strconv.ParseUint: parsing "{self.version}": value out of range'
            raise bad_request(f"invalid resource version: {words}")
        return int(self.version)


def _check(options: ListOptions) -> None:
    errors = list(_watch_errors(options) if options.watch else _list_errors(options))
    if errors:
        raise invalid("ListOptions", "", errors, group="meta.k8s.io")


def _forbidden(field: str, why: str) -> FieldError:
    return FieldError("FieldValueForbidden", field, f"Forbidden: {why}")


def _unsupported(value: str) -> FieldError:
    words = f'Unsupported value: "{value}": supported values: "Exact", "NotOlderThan", ""'
    return FieldError("FieldValueNotSupported", "resourceVersionMatch", words)


def _list_errors(options: ListOptions) -> list[FieldError]:
    match, field = options.version_match, "resourceVersionMatch"
    if options.initial_events is not None:
        return [_forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list")]
    if match and options.continue_token:
        return [_forbidden(field, "resourceVersionMatch is forbidden when continue is provided")]
    if match and not options.version:
        return [_forbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided")]
    if match not in {"", "Exact", "NotOlderThan"}:
        return [_unsupported(match)]
    if match == "Exact" and options.version == "0":
        return [_forbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"')]
    return []


def _watch_errors(options: ListOptions) -> list[FieldError]:
    match, field = options.version_match, "resourceVersionMatch"
    if options.initial_events is None:
        words = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        return [_forbidden(field, words)] if match else []
    if match != "NotOlderThan":
        return [_forbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan")]
    return []


@dataclass(frozen=True, slots=True)
class WriteOptions:
    """What creates, updates and patches take.

    Attributes:
        dry_run: Do everything but store.
        field_validation: ``Strict``, ``Warn`` or ``Ignore``.
        field_manager: Name of the writer; only server-side apply needs it.
        force: Server-side apply takes fields of others.
    """

    dry_run: bool = False
    field_validation: str = "Warn"
    field_manager: str = ""
    force: bool = False

    @classmethod
    def read(cls, query: Query) -> WriteOptions:
        """From query parameters."""
        return cls(
            dry_run=_dry_run([query["dryRun"]] if query.get("dryRun") else [], "CreateOptions"),
            field_validation=_field_validation(query.get("fieldValidation", "") or "Warn"),
            field_manager=query.get("fieldManager", ""),
            force=read_bool(query, "force"),
        )


def _field_validation(value: str) -> str:
    if value not in {"Strict", "Warn", "Ignore"}:
        words = f'Unsupported value: "{value}": supported values: "Ignore", "Strict", "Warn"'
        error = FieldError("FieldValueNotSupported", "fieldValidation", words)
        raise invalid("CreateOptions", "", [error], group="meta.k8s.io")
    return value


def _dry_run(values: list[str], kind: str) -> bool:
    if any(value != "All" for value in values):
        error = FieldError(
            "FieldValueNotSupported",
            "dryRun",
            f'Unsupported value: {_quoted(values)}: supported values: "All"',
        )
        raise invalid(kind, "", [error], group="meta.k8s.io")
    return bool(values)


def _quoted(values: list[str]) -> str:
    return "[" + ",".join(f'"{value}"' for value in values) + "]"


@dataclass(frozen=True, slots=True)
class DeleteOptions:
    """``metav1.DeleteOptions``, from the body and the query (the body wins).

    Attributes:
        grace_period_s: Seconds, None for the object's own choice.
        propagation: ``Foreground``, ``Background``, ``Orphan``, or "" for what the object's finalizers say.
        uid: Delete only the object of this uid.
        version: Delete only at this resourceVersion.
        dry_run: Do everything but delete.
    """

    grace_period_s: int | None = None
    propagation: str = ""
    uid: str | None = None
    version: str | None = None
    dry_run: bool = False

    @classmethod
    def read(cls, query: Query, body: Mapping[str, Any]) -> DeleteOptions:
        """From query parameters and a body, which may be empty."""
        grace = body.get("gracePeriodSeconds")
        preconditions = body.get("preconditions") or {}
        dry = body.get("dryRun") or ([query["dryRun"]] if query.get("dryRun") else [])
        return cls(
            grace_period_s=read_int(query, "gracePeriodSeconds") if grace is None else _grace(grace),
            propagation=_propagation(body, query),
            uid=preconditions.get("uid"),
            version=preconditions.get("resourceVersion"),
            dry_run=_dry_run(list(dry), "DeleteOptions"),
        )


def _grace(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise bad_request(
            "json: cannot unmarshal into Go struct field DeleteOptions.gracePeriodSeconds of type int64"
        )
    return value


def _propagation(body: Mapping[str, Any], query: Query) -> str:
    value = body.get("propagationPolicy") or query.get("propagationPolicy") or ""
    if value not in {"", "Foreground", "Background", "Orphan"}:
        words = f'Unsupported value: "{value}": supported values: "Foreground", "Background", "Orphan", "nil"'
        error = FieldError("FieldValueNotSupported", "propagationPolicy", words)
        raise invalid("DeleteOptions", "", [error], group="meta.k8s.io")
    if (orphan := body.get("orphanDependents")) is not None:
        return "Orphan" if orphan else "Background"
    return value

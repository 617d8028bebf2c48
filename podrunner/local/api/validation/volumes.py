"""Rules of a pod's volumes, and of the paths in them: where a file lies in a volume decides where it is written.

The words, the field paths and their peculiarities (an item of a downwardAPI volume is reported without its index, a
token's path without its source) are those of Kubernetes (``validateVolumeSource`` and below in
``pkg/apis/core/validation/validation.go``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from podrunner.local.api.status import FieldError
from podrunner.local.api.validation import formats
from podrunner.local.api.validation.field_errors import (
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
)
from podrunner.quantity import parse_quantity

__all__ = ["backstep_errors", "host_path_errors", "volume_errors"]

Json = Mapping[str, Any]
Found = Iterator[FieldError]

_MODE_WORDS = "must be a number between 0 and 0777 (octal), both inclusive"
_DUPLICATE_PATHS = "conflicting duplicate paths"
_SHORTEST_TOKEN_S = 600
_LONGEST_TOKEN_S = 1 << 32
_NEEDED = {
    "secret": "secretName",
    "configMap": "name",
    "persistentVolumeClaim": "claimName",
    "nfs": "server",
    "csi": "driver",
}
_HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)


def volume_errors(volumes: Any, names: set[str]) -> Found:
    """Return what is wrong with a pod's volumes.

    Args:
        volumes: The volumes.
        names: Their names are added here.
    """
    for index, volume in enumerate(volumes):
        path, name = f"spec.volumes[{index}]", volume.get("name") or ""
        kinds = [kind for kind in volume if kind != "name"]
        for kind in kinds[1:]:
            yield forbidden_field(f"{path}.{kind}", "may not specify more than 1 volume type")
        yield from _source_errors(volume, path)
        if not name:
            yield required(f"{path}.name")
        else:
            yield from (invalid_value(f"{path}.name", name, words) for words in formats.dns_label(name))
        if name in names:
            yield duplicate(f"{path}.name", name)
        names.add(name)


def _source_errors(volume: Json, path: str) -> Found:
    for kind, field in _NEEDED.items():
        source = volume.get(kind)
        if source is not None and not source.get(field):
            yield required(f"{path}.{kind}.{field}")
    for kind, rules in _RULES.items():
        source = volume.get(kind)
        if source is not None:
            yield from rules(source, f"{path}.{kind}")


def _empty_dir(source: Json, path: str) -> Found:
    size = source.get("sizeLimit")
    if size is not None and parse_quantity(size) < 0:
        yield forbidden_field(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")


def host_path_errors(source: Json, path: str) -> Found:
    """Return what is wrong with a ``hostPath``."""
    where, kind = source.get("path") or "", source.get("type") or ""
    if not where:
        yield required(f"{path}.path")
        return
    yield from backstep_errors(where, f"{path}.path")
    if kind not in _HOST_PATH_TYPES:
        yield not_supported(f"{path}.type", kind, _HOST_PATH_TYPES)


def _selected(source: Json, path: str) -> Found:
    """Errors of a configMap or secret volume."""
    yield from _mode_errors(source, "defaultMode", path)
    for index, item in enumerate(source.get("items") or ()):
        yield from _item_errors(item, f"{path}.items[{index}]")


def _item_errors(item: Json, at: str) -> Found:
    if not item.get("key"):
        yield required(f"{at}.key")
    yield from _path_errors(item, at)
    yield from _mode_errors(item, "mode", at)


def _path_errors(item: Json, at: str, field: str = "path") -> Found:
    if not item.get(field):
        yield required(f"{at}.{field}")
    yield from _local_errors(item.get(field) or "", f"{at}.{field}")


def _local_errors(value: str, at: str) -> Found:
    """``ValidateLocalNonReservedPath``: relative, without ``..``; names that begin with ``..`` are the kubelet's."""
    if value.startswith("/"):
        yield invalid_value(at, value, "must be a relative path")
    yield from backstep_errors(value, at)
    if value.startswith("..") and not value.startswith("../"):
        yield invalid_value(at, value, "must not start with '..'")


def backstep_errors(value: str, at: str) -> Found:
    """``validatePathNoBacksteps``: no part of the path is ``..``."""
    if ".." in value.split("/"):
        yield invalid_value(at, value, "must not contain '..'")


def _mode_errors(source: Json, field: str, at: str) -> Found:
    mode = source.get(field)
    if mode is not None and not 0 <= mode <= 0o777:
        yield invalid_value(f"{at}.{field}", mode, _MODE_WORDS)


def _downward(source: Json, path: str) -> Found:
    yield from _mode_errors(source, "defaultMode", path)
    for item in source.get("items") or ():
        yield from _downward_item(item, path)


_FIELDS = frozenset(
    {"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"}
)
_OTHER_FIELDS = frozenset(
    {
        "spec.host",
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.phase",
        "status.podIP",
        "status.podIPs",
    }
)
"""What an environment variable may refer to besides (``ConvertDownwardAPIFieldLabel``), but no file."""

_RESOURCES = (
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
)


def _downward_item(item: Json, at: str) -> Found:
    yield from _path_errors(item, at)
    field, resource = item.get("fieldRef"), item.get("resourceFieldRef")
    if field is not None:
        yield from _field_errors(field.get("fieldPath") or "", f"{at}.fieldRef.fieldPath")
        if resource is not None:
            words = "fieldRef and resourceFieldRef can not be specified simultaneously"
            yield invalid_value(at, "resource", words)
    elif resource is not None:
        yield from _resource_errors(resource, f"{at}.resourceFieldRef")
    else:
        yield required(at, "one of fieldRef and resourceFieldRef is required")
    yield from _mode_errors(item, "mode", at)


def _field_errors(value: str, at: str) -> Found:
    whole, bracket, _ = value.partition("['")
    if not value:
        yield required(at)
    elif bracket and value.endswith("']"):
        if whole not in {"metadata.annotations", "metadata.labels"}:
            yield invalid_value(at, whole, "does not support subscript")
    elif value in _OTHER_FIELDS:
        yield not_supported(at, value, sorted(_FIELDS))
    elif value not in _FIELDS:
        yield invalid_value(at, value, f"error converting fieldPath: field label not supported: {value}")


def _resource_errors(source: Json, at: str) -> Found:
    resource = source.get("resource") or ""
    if not source.get("containerName"):
        yield required(f"{at}.containerName")
    elif not resource:
        yield required(f"{at}.resource")
    elif resource not in _RESOURCES and not resource.startswith(("limits.hugepages-", "requests.hugepages-")):
        yield not_supported(f"{at}.resource", resource, _RESOURCES)


def _projected(source: Json, path: str) -> Found:
    yield from _mode_errors(source, "defaultMode", path)
    used: set[str] = set()
    for index, part in enumerate(source.get("sources") or ()):
        at = f"{path}.sources[{index}]"
        given = [kind for kind in _PROJECTED if part.get(kind) is not None]
        for kind in given:
            yield from _PROJECTED[kind](part[kind], f"{at}.{kind}", path)
        yield from _clashes(part, used, path)
        if len(given) > 1:
            yield forbidden_field(at, "may not specify more than 1 volume type per source")


def _projected_object(source: Json, at: str, _path: str) -> Found:
    if not source.get("name"):
        yield required(f"{at}.name")
    for index, item in enumerate(source.get("items") or ()):
        yield from _item_errors(item, f"{at}.items[{index}]")


def _projected_downward(source: Json, at: str, _path: str) -> Found:
    for item in source.get("items") or ():
        yield from _downward_item(item, at)


def _projected_token(source: Json, at: str, path: str) -> Found:
    seconds = source.get("expirationSeconds")
    if seconds is not None and seconds < _SHORTEST_TOKEN_S:
        words = "may not specify a duration less than 10 minutes"
        yield invalid_value(f"{at}.expirationSeconds", seconds, words)
    if seconds is not None and seconds > _LONGEST_TOKEN_S:
        words = "may not specify a duration larger than 2^32 seconds"
        yield invalid_value(f"{at}.expirationSeconds", seconds, words)
    yield from _path_errors(source, path)


def _projected_bundle(source: Json, at: str, _path: str) -> Found:
    yield from _path_errors(source, at)


def _projected_certificate(source: Json, at: str, _path: str) -> Found:
    for field in ("credentialBundlePath", "keyPath", "certificateChainPath"):
        yield from _local_errors(source.get(field) or "", f"{at}.{field}")


def _clashes(part: Json, used: set[str], path: str) -> Found:
    """Yield an error for each path that another source has taken; like Kubernetes', tokens are left out."""
    for kind in ("secret", "configMap", "downwardAPI"):
        source = part.get(kind) or {}
        for item in source.get("items") or ():
            where = item.get("path") or ""
            if where and where in used:
                yield invalid_value(path, source.get("name", "") or where, _DUPLICATE_PATHS)
            used.add(where)


_PROJECTED: dict[str, Callable[[Json, str, str], Found]] = {
    "secret": _projected_object,
    "configMap": _projected_object,
    "downwardAPI": _projected_downward,
    "serviceAccountToken": _projected_token,
    "clusterTrustBundle": _projected_bundle,
    "podCertificate": _projected_certificate,
}
_RULES: dict[str, Callable[[Json, str], Found]] = {
    "emptyDir": _empty_dir,
    "hostPath": host_path_errors,
    "secret": _selected,
    "configMap": _selected,
    "downwardAPI": _downward,
    "projected": _projected,
}

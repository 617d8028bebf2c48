"""Rules with an error message (422), by kind: what is wrong with a new object, and with a change.

Pods have their own modules; this one chooses the rules by kind, and holds those of the smaller kinds.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import FieldError
from podrunner.local.api.validation import formats
from podrunner.local.api.validation.field_errors import (
    Errors,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from podrunner.local.api.validation.metadata import metadata_errors, metadata_update_errors
from podrunner.local.api.validation.pods import pod_errors, pod_update_errors
from podrunner.local.api.validation.volumes import backstep_errors, host_path_errors
from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from podrunner.local.api.paths import Target
    from podrunner.local.api.storage.store import Stored

__all__ = ["validate_create", "validate_update"]

Json = Mapping[str, Any]
Found = Iterator[FieldError]

_IMMUTABLE = "field is immutable"
_SEALED = "field is immutable when `immutable` is set"
MAX_DATA = 1024 * 1024


def validate_create(storage: str, obj: dict[str, Any]) -> Errors:
    """Return what is wrong with a new object."""
    rules = _RULES.get(storage, _no_rules)
    return [*metadata_errors(storage, obj["metadata"]), *rules(obj)]


def validate_update(target: Target, after: dict[str, Any], before: Stored) -> Errors:
    """Return what is wrong with a changed object."""
    storage = target.type.storage
    errors = [*metadata_errors(storage, after["metadata"])]
    errors += metadata_update_errors(after["metadata"], before["metadata"])
    if target.subresource is not None:
        return errors
    rules, changes = _RULES.get(storage, _no_rules), _CHANGES.get(storage, _any_change)
    return [*errors, *rules(after), *changes(after, before)]


def _no_rules(_obj: Json) -> Found:
    return iter(())


def _any_change(_after: Json, _before: Json) -> Found:
    return iter(())


def _config_map(obj: Json) -> Found:
    text, binary = obj.get("data") or {}, obj.get("binaryData") or {}
    yield from _key_errors("data", text)
    for key in text.keys() & binary.keys():
        yield invalid_value(f"data[{key}]", key, "duplicate of key present in binaryData")
    yield from _key_errors("binaryData", binary)
    if sum(map(len, text.values())) + _size(binary) > MAX_DATA:
        yield too_long("[]", MAX_DATA)


def _key_errors(field: str, data: Mapping[str, str]) -> Found:
    for key in data:
        yield from (invalid_value(f"{field}[{key}]", key, words) for words in formats.config_key(key))


def _size(encoded: Mapping[str, str]) -> int:
    return sum(len(base64.b64decode(value)) for value in encoded.values())


_NEEDED_KEYS = {
    "kubernetes.io/dockercfg": ".dockercfg",
    "kubernetes.io/dockerconfigjson": ".dockerconfigjson",
    "kubernetes.io/ssh-auth": "ssh-privatekey",
}


def _secret(obj: Json) -> Found:
    data, kind = obj.get("data") or {}, obj.get("type", "")
    yield from _key_errors("data", data)
    if _size(data) > MAX_DATA:
        yield too_long("data", MAX_DATA)
    needed = [_NEEDED_KEYS[kind]] if kind in _NEEDED_KEYS else []
    if kind == "kubernetes.io/tls":
        needed = ["tls.crt", "tls.key"]
    yield from (required(f"data[{key}]") for key in needed if key not in data)


def _sealed(after: Json, before: Json) -> Found:
    """Yield an error for each change of an immutable config map or secret."""
    if not before.get("immutable"):
        return
    if not after.get("immutable"):
        yield forbidden_field("immutable", _SEALED)
    for field in ("data", "binaryData"):
        if after.get(field) != before.get(field):
            yield forbidden_field(field, _SEALED)


def _secret_change(after: Json, before: Json) -> Found:
    if after.get("type") != before.get("type"):
        yield invalid_value("type", after.get("type"), _IMMUTABLE)
    yield from _sealed(after, before)


_ACCESS = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
_VOLUME_MODES = ("Block", "Filesystem")


def _modes(spec: Json) -> Found:
    if not spec.get("accessModes"):
        yield required("spec.accessModes", "at least 1 access mode is required")
    for mode in spec.get("accessModes") or ():
        if mode not in _ACCESS:
            yield not_supported("spec.accessModes", mode, _ACCESS)
    if spec.get("volumeMode") not in _VOLUME_MODES:
        yield not_supported("spec.volumeMode", spec.get("volumeMode"), _VOLUME_MODES)


def _claim(obj: Json) -> Found:
    spec = obj.get("spec") or {}
    yield from _modes(spec)
    field, asked = (
        "spec.resources[storage]",
        ((spec.get("resources") or {}).get("requests") or {}).get("storage"),
    )
    if asked is None:
        yield required(field)
    elif parse_quantity(asked) <= 0:
        yield invalid_value(field, asked, "must be greater than zero")


def _claim_change(after: Json, before: Json) -> Found:
    new, old = dict(after["spec"]), dict(before["spec"])
    if not old.get("volumeName"):
        old["volumeName"] = new.get("volumeName")
        old.setdefault("storageClassName", new.get("storageClassName"))
    if (before.get("status") or {}).get("phase") == "Bound":
        new["resources"] = old.get("resources")
    if any(new.get(key) != old.get(key) for key in {*new, *old}):
        free = "resources.requests and volumeAttributesClassName for bound claims"
        yield forbidden_field("spec", f"spec is immutable after creation except {free}")


_NOT_A_SOURCE = frozenset(
    {
        "accessModes",
        "capacity",
        "claimRef",
        "mountOptions",
        "nodeAffinity",
        "persistentVolumeReclaimPolicy",
        "storageClassName",
        "volumeAttributesClassName",
        "volumeMode",
    }
)


def _volume(obj: Json) -> Found:
    spec = obj.get("spec") or {}
    yield from _modes(spec)
    if not spec.get("capacity"):
        yield required("spec.capacity")
    sources = [key for key in spec if key not in _NOT_A_SOURCE]
    if not sources:
        yield required("spec", "must specify a volume type")
    for key in sources[1:]:
        yield forbidden_field(f"spec.{key}", "may not specify more than 1 volume type")
    if spec.get("hostPath") is not None:
        yield from host_path_errors(spec["hostPath"], "spec.hostPath")
    if spec.get("local") is not None:
        yield from backstep_errors(spec["local"].get("path") or "", "spec.local.path")
    policy, policies = spec.get("persistentVolumeReclaimPolicy"), ("Delete", "Recycle", "Retain")
    if policy not in policies:
        yield not_supported("spec.persistentVolumeReclaimPolicy", policy, policies)


def _volume_change(after: Json, before: Json) -> Found:
    new, old = after["spec"], before["spec"]
    sources = {key for spec in (new, old) for key in spec if key not in _NOT_A_SOURCE}
    if any(new.get(key) != old.get(key) for key in sources):
        words = "spec.persistentvolumesource is immutable after creation"
        yield forbidden_field("spec.persistentvolumesource", words)


def _lease(obj: Json) -> Found:
    spec = obj.get("spec") or {}
    duration, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    if duration is not None and duration <= 0:
        yield invalid_value("spec.leaseDurationSeconds", duration, "must be greater than 0")
    if transitions is not None and transitions < 0:
        yield invalid_value("spec.leaseTransitions", transitions, "must be greater than or equal to 0")


def _quota(obj: Json) -> Found:
    for name, value in ((obj.get("spec") or {}).get("hard") or {}).items():
        if parse_quantity(value) < 0:
            yield invalid_value(f"spec.hard[{name}]", value, "must be greater than or equal to 0")


_HIGHEST = 1_000_000_000


def _priority_class(obj: Json) -> Found:
    value, name = obj.get("value", 0), obj["metadata"].get("name") or ""
    if name.startswith("system-"):
        words = 'priority class names with "system-" prefix are reserved for system use only'
        yield forbidden_field("metadata.name", words)
    if value > _HIGHEST:
        yield forbidden_field("value", f"maximum allowed value of a user defined priority is {_HIGHEST}")


def _fixed(*fields: str) -> Callable[[Json, Json], Found]:
    def changes(after: Json, before: Json) -> Found:
        for field in fields:
            if after.get(field) != before.get(field):
                yield invalid_value(field, after.get(field), _IMMUTABLE)

    return changes


def _storage_class(obj: Json) -> Found:
    if not obj.get("provisioner"):
        yield required("provisioner")


def _event(obj: Json) -> Found:
    involved = (obj.get("involvedObject") or {}).get("namespace") or ""
    if involved and involved != obj["metadata"].get("namespace"):
        yield invalid_value("involvedObject.namespace", involved, "does not match event.namespace")


def _binding(obj: Json) -> Found:
    reference = obj.get("roleRef") or {}
    if not reference.get("name"):
        yield required("roleRef.name")
    if reference.get("kind") not in {"Role", "ClusterRole"}:
        yield not_supported("roleRef.kind", reference.get("kind") or "", ("Role", "ClusterRole"))


_RULES: dict[str, Callable[[Json], Found]] = {
    "pods": pod_errors,
    "configmaps": _config_map,
    "secrets": _secret,
    "persistentvolumeclaims": _claim,
    "persistentvolumes": _volume,
    "leases": _lease,
    "resourcequotas": _quota,
    "priorityclasses": _priority_class,
    "storageclasses": _storage_class,
    "events": _event,
    "rolebindings": _binding,
    "clusterrolebindings": _binding,
}
_CHANGES: dict[str, Callable[[Json, Json], Found]] = {
    "pods": pod_update_errors,
    "configmaps": _sealed,
    "secrets": _secret_change,
    "persistentvolumeclaims": _claim_change,
    "persistentvolumes": _volume_change,
    "priorityclasses": _fixed("value", "preemptionPolicy"),
    "storageclasses": _fixed("parameters", "provisioner", "reclaimPolicy", "volumeBindingMode"),
    "rolebindings": _fixed("roleRef"),
    "clusterrolebindings": _fixed("roleRef"),
}

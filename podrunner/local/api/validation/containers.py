"""Rules of one container (``validateContainerCommon`` and what it calls)."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from podrunner.local.api.status import FieldError
from podrunner.local.api.validation import formats
from podrunner.local.api.validation.field_errors import (
    duplicate,
    forbidden_field,
    invalid_value,
    not_found_value,
    not_supported,
    required,
)
from podrunner.quantity import parse_quantity

__all__ = ["container_errors", "probe_errors"]

Json = Mapping[str, Any]
Found = Iterator[FieldError]

_PULL_POLICIES = ("Always", "IfNotPresent", "Never")
_MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
_PROTOCOLS = ("SCTP", "TCP", "UDP")
_NOT_NEGATIVE = "must be greater than or equal to 0"
_ONE_FIELD = "may not have more than one field specified at a time"


def container_errors(container: Json, path: str, *, volumes: Collection[str]) -> Found:
    """Return what is wrong with a container of any sort.

    Args:
        container: The container.
        path: Where it is, as ``spec.containers[0]``.
        volumes: Names of the pod's volumes.
    """
    yield from _name_errors(container, path)
    if not container.get("image"):
        yield required(f"{path}.image")
    yield from _one_of(container, "terminationMessagePolicy", path, _MESSAGE_POLICIES)
    yield from _port_errors(container.get("ports") or (), f"{path}.ports")
    yield from _env_errors(container.get("env") or (), f"{path}.env")
    yield from _env_from_errors(container.get("envFrom") or (), f"{path}.envFrom")
    yield from _mount_errors(container.get("volumeMounts") or (), f"{path}.volumeMounts", volumes)
    yield from _one_of(container, "imagePullPolicy", path, _PULL_POLICIES)
    yield from _resource_errors(container.get("resources") or {}, f"{path}.resources")


def _name_errors(container: Json, path: str) -> Found:
    name = container.get("name") or ""
    if not name:
        yield required(f"{path}.name")
        return
    for words in formats.dns_label(name):
        yield invalid_value(f"{path}.name", name, words)


def _one_of(obj: Json, field: str, path: str, supported: tuple[str, ...]) -> Found:
    value = obj.get(field)
    if value not in supported:
        yield not_supported(f"{path}.{field}", value, supported) if value else required(f"{path}.{field}")


def _port_errors(ports: Any, path: str) -> Found:
    names: set[str] = set()
    for index, port in enumerate(ports):
        at, name = f"{path}[{index}]", port.get("name") or ""
        if name:
            complaints = formats.port_name(name)
            yield from (invalid_value(f"{at}.name", name, words) for words in complaints)
            if not complaints and name in names:
                yield duplicate(f"{at}.name", name)
            names.add(name)
        yield from _port_numbers(port, at)
        yield from _one_of(port, "protocol", at, _PROTOCOLS)


def _port_numbers(port: Json, at: str) -> Found:
    if not port.get("containerPort"):
        yield required(f"{at}.containerPort")
    for field in ("containerPort", "hostPort"):
        number = port.get(field)
        if number and not 1 <= number <= 65535:
            yield invalid_value(f"{at}.{field}", number, "must be between 1 and 65535, inclusive")


def _env_errors(variables: Any, path: str) -> Found:
    for index, variable in enumerate(variables):
        at, name = f"{path}[{index}]", variable.get("name") or ""
        if not name:
            yield required(f"{at}.name")
        else:
            yield from (invalid_value(f"{at}.name", name, words) for words in formats.env_name(name))
        if variable.get("valueFrom") is not None:
            yield from _source_errors(variable, f"{at}.valueFrom")


_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef")


def _source_errors(variable: Json, at: str) -> Found:
    source = variable["valueFrom"]
    given = [name for name in _SOURCES if source.get(name) is not None]
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            yield from _key_errors(source[name], f"{at}.{name}")
    if "fieldRef" in given and not source["fieldRef"].get("fieldPath"):
        yield required(f"{at}.fieldRef.fieldPath")
    if not given:
        words = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"
        yield invalid_value(at, "", words)
    elif variable.get("value"):
        yield invalid_value(at, "", "may not be specified when `value` is not empty")
    elif len(given) > 1:
        yield invalid_value(at, "", _ONE_FIELD)


def _key_errors(reference: Json, at: str) -> Found:
    if not reference.get("name"):
        yield required(f"{at}.name")
    key = reference.get("key") or ""
    if not key:
        yield required(f"{at}.key")
        return
    for words in formats.config_key(key):
        yield invalid_value(f"{at}.key", key, words)


def _env_from_errors(sources: Any, path: str) -> Found:
    for index, source in enumerate(sources):
        at = f"{path}[{index}]"
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        prefix = source.get("prefix") or ""
        if prefix:
            yield from (invalid_value(f"{at}.prefix", prefix, words) for words in formats.env_name(prefix))
        yield from (required(f"{at}.{name}.name") for name in given if not source[name].get("name"))
        if not given:
            yield invalid_value(path, "", "must specify one of: `configMapRef` or `secretRef`")
        elif len(given) > 1:
            yield invalid_value(path, "", _ONE_FIELD)


def _mount_errors(mounts: Any, path: str, volumes: Collection[str]) -> Found:
    used: set[str] = set()
    for index, mount in enumerate(mounts):
        at, name, where = f"{path}[{index}]", mount.get("name") or "", mount.get("mountPath") or ""
        if not name:
            yield required(f"{at}.name")
        if name not in volumes:
            yield not_found_value(f"{at}.name", name)
        if not where:
            yield required(f"{at}.mountPath")
        if where in used:
            yield invalid_value(f"{at}.mountPath", where, "must be unique")
        used.add(where)
        yield from _sub_path_errors(mount, at, path)


def _sub_path_errors(mount: Json, at: str, path: str) -> Found:
    for field in ("subPath", "subPathExpr"):
        value = mount.get(field) or ""
        if value.startswith("/"):
            yield invalid_value(f"{path}.{field}", value, "must be a relative path")
        if ".." in value.split("/"):
            yield invalid_value(f"{path}.{field}", value, "must not contain '..'")
    if mount.get("subPath") and mount.get("subPathExpr"):
        words = "subPathExpr and subPath are mutually exclusive"
        yield invalid_value(f"{at}.subPathExpr", mount["subPathExpr"], words)


_STANDARD = frozenset({"cpu", "memory", "ephemeral-storage"})


def _resource_errors(resources: Json, path: str) -> Found:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    for field, amounts in (("limits", limits), ("requests", requests)):
        for name, value in amounts.items():
            yield from _amount_errors(name, value, f"{path}.{field}[{name}]")
    for name, value in requests.items():
        yield from _bound_errors(name, value, limits, path)


def _amount_errors(name: str, value: str, at: str) -> Found:
    complaints = formats.qualified_name(name)
    yield from (invalid_value(at, name, words) for words in complaints)
    if not complaints and "/" not in name and name not in _STANDARD and not name.startswith("hugepages-"):
        yield invalid_value(at, name, "must be a standard resource type or fully qualified")
        yield invalid_value(at, name, "must be a standard resource for containers")
    amount = parse_quantity(value)
    if amount < 0:
        yield invalid_value(at, value, _NOT_NEGATIVE)
    if "/" in name and amount % 1:
        yield invalid_value(at, value, "must be an integer")


def _bound_errors(name: str, value: str, limits: Json, path: str) -> Found:
    overcommit = "/" not in name and not name.startswith("hugepages-")
    if name not in limits:
        if not overcommit:
            yield required(f"{path}.limits", "Limit must be set for non overcommitable resources")
        return
    request, limit = parse_quantity(value), parse_quantity(limits[name])
    if request != limit and not overcommit:
        yield invalid_value(f"{path}.requests", value, f"must be equal to {name} limit of {limits[name]}")
    elif request > limit:
        words = f"must be less than or equal to {name} limit of {limits[name]}"
        yield invalid_value(f"{path}.requests", value, words)


_HANDLERS = ("exec", "httpGet", "tcpSocket", "grpc", "sleep")
_COUNTS = ("initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold")


def probe_errors(probe: Json, path: str) -> Found:
    """Return what is wrong with a probe."""
    given = [name for name in _HANDLERS if probe.get(name) is not None]
    for name in given[1:]:
        yield forbidden_field(f"{path}.{name}", "may not specify more than 1 handler type")
    if not given:
        yield required(path, "must specify a handler type")
    if "exec" in given and not probe["exec"].get("command"):
        yield required(f"{path}.exec.command")
    for field in _COUNTS:
        value = probe.get(field) or 0
        if value < 0:
            yield invalid_value(f"{path}.{field}", value, _NOT_NEGATIVE)

"""The environment of a container, and ``$(VAR)`` in it. Pure: what is read from the cluster is handed in.

The rules are those of the kubelet's ``makeEnvironmentVariables`` and of ``third_party/forked/golang/expansion``.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any

from podrunner.local.kubelet.amounts import divided

__all__ = [
    "CreateContainerConfigError",
    "build_environment",
    "config_map_data",
    "expand",
    "read_field",
    "read_resource",
    "secret_data",
]

Json = Mapping[str, Any]
Find = Callable[[str, str], Json | None]
"""(``configmaps`` or ``secrets``, name) → the object, or None."""

_NAME = re.compile(r"[^=\x00-\x1f\x7f]+")


class CreateContainerConfigError(Exception):
    """Something that a container refers to is not there; it waits as ``CreateContainerConfigError``."""


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace ``$(NAME)`` by its value and ``$$`` by ``$``; unknown names stay."""

    def replace(match: re.Match[str]) -> str:
        if match[0] == "$$":
            return "$"
        return variables.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", replace, text)


def build_environment(
    container: Json, pod: Json, find: Find, *, base: Mapping[str, str], capacity: Mapping[str, str]
) -> dict[str, str]:
    """Return the variables of a container: those of the cluster, ``envFrom``, ``env``.

    Args:
        container: The container.
        pod: Its pod, with the addresses in its status.
        find: Looks up config maps and secrets of the pod's namespace.
        base: Variables that any container gets; they can be referred to, and overridden.
        capacity: What the node has, for limits that are not set.

    Raises:
        CreateContainerConfigError: A config map, secret or key is not there.
    """
    variables = dict(base)
    for source in container.get("envFrom") or ():
        variables.update(_from_source(source, find))
    for entry in container.get("env") or ():
        value = _value(entry, container, pod, find=find, variables=variables, capacity=capacity)
        if value is not None:
            variables[entry["name"]] = value
    return variables


def _from_source(source: Json, find: Find) -> dict[str, str]:
    prefix = source.get("prefix", "")
    if "configMapRef" in source:
        found = _object(source["configMapRef"], find, resource="configmaps")
        data: Mapping[str, bytes] = config_map_data(found) if found else {}
    else:
        found = _object(source.get("secretRef") or {}, find, resource="secrets")
        data = secret_data(found) if found else {}
    return {
        prefix + key: value.decode(errors="surrogateescape")
        for key, value in data.items()
        if _NAME.fullmatch(key)
    }


_WORDS = {"configmaps": "configmap", "secrets": "secret"}
_KIND_NAMES = {"configmaps": "ConfigMap", "secrets": "Secret"}


def _object(reference: Json, find: Find, *, resource: str) -> Json | None:
    found = find(resource, reference.get("name", ""))
    if found is None and not reference.get("optional"):
        raise CreateContainerConfigError(f'{_WORDS[resource]} "{reference.get("name", "")}" not found')
    return found


def _value(
    entry: Json,
    container: Json,
    pod: Json,
    *,
    find: Find,
    variables: Mapping[str, str],
    capacity: Mapping[str, str],
) -> str | None:
    source = entry.get("valueFrom")
    if not source:
        return expand(entry.get("value", ""), variables)
    if "fieldRef" in source:
        return read_field(pod, source["fieldRef"]["fieldPath"])
    if "resourceFieldRef" in source:
        return read_resource(container, pod, source["resourceFieldRef"], capacity=capacity)
    if "configMapKeyRef" in source:
        return _key(source["configMapKeyRef"], pod, find, resource="configmaps")
    return _key(source.get("secretKeyRef") or {}, pod, find, resource="secrets")


def _key(reference: Json, pod: Json, find: Find, *, resource: str) -> str | None:
    found = _object(reference, find, resource=resource)
    if found is None:
        return None
    data = config_map_data(found) if resource == "configmaps" else secret_data(found)
    key = reference.get("key", "")
    if key in data:
        return data[key].decode(errors="surrogateescape")
    if reference.get("optional"):
        return None
    where = f"{pod['metadata'].get('namespace', 'default')}/{reference.get('name', '')}"
    raise CreateContainerConfigError(f"couldn't find key {key} in {_KIND_NAMES[resource]} {where}")


def config_map_data(obj: Json) -> dict[str, bytes]:
    """Return all keys of a config map."""
    text = {
        key: str(value).encode(errors="surrogateescape") for key, value in (obj.get("data") or {}).items()
    }
    return {**text, **{key: base64.b64decode(value) for key, value in (obj.get("binaryData") or {}).items()}}


def secret_data(obj: Json) -> dict[str, bytes]:
    """Return all keys of a secret."""
    return {key: base64.b64decode(value) for key, value in (obj.get("data") or {}).items()}


_SUBSCRIPT = re.compile(r"metadata\.(labels|annotations)\['(.*)'\]")


def read_field(pod: Json, path: str) -> str:
    """Return a field of the downward API.

    Raises:
        CreateContainerConfigError: There is no such field.
    """
    if match := _SUBSCRIPT.fullmatch(path):
        return str((pod["metadata"].get(match[1]) or {}).get(match[2], ""))
    if path in {"metadata.labels", "metadata.annotations"}:
        return _format_map(pod["metadata"].get(path.rpartition(".")[2]) or {})
    if path in {"status.podIPs", "status.hostIPs"}:
        return ",".join(each["ip"] for each in (pod.get("status") or {}).get(path[7:]) or ())
    if path not in _FIELDS:
        raise CreateContainerConfigError(f"unsupported fieldPath: {path}")
    found: Any = pod
    for part in path.split("."):
        found = (found or {}).get(part)
    return str(found or "")


_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.podIP",
    }
)


def _format_map(values: Mapping[str, str]) -> str:
    """Return ``key="value"`` lines, as ``fieldpath.FormatMap`` writes them."""
    quoted = (
        (key, str(value).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n"))
        for key, value in values.items()
    )
    return "\n".join(f'{key}="{value}"' for key, value in sorted(quoted))


def read_resource(container: Json, pod: Json, reference: Json, *, capacity: Mapping[str, str]) -> str:
    """Return a limit or request of a container; a limit that is not set is what the node has."""
    name = reference.get("containerName")
    every = [*(pod["spec"].get("containers") or ()), *(pod["spec"].get("initContainers") or ())]
    chosen = next((each for each in every if each["name"] == name), container)
    kind, _, resource = reference["resource"].partition(".")
    resources = chosen.get("resources") or {}
    value = (resources.get(kind) or {}).get(resource)
    if value is None:
        value = capacity.get(resource, "0") if kind == "limits" else "0"
    return divided(value, reference.get("divisor") or "1")

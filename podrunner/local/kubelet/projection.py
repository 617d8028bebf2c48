"""The files of configMap, secret, downwardAPI, token and projected volumes: their names, bytes and modes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from podrunner.local.kubelet.environment import (
    CreateContainerConfigError,
    config_map_data,
    read_field,
    read_resource,
    secret_data,
)

if TYPE_CHECKING:
    from podrunner.local.kubelet.context import ApiAccess, Node

__all__ = ["File", "MountError", "project", "token_files"]

Json = Mapping[str, Any]

DEFAULT_MODE = 0o644


@dataclass(frozen=True, slots=True)
class File:
    """A file to write; its bytes may be secret, hence absent from ``repr``."""

    data: bytes = field(repr=False)
    mode: int = DEFAULT_MODE


class MountError(Exception):
    """A volume cannot be mounted now; the message is that of the ``FailedMount`` event."""

    def __init__(self, volume: str, why: str, *, whole: bool = False) -> None:
        super().__init__(why if whole else f'MountVolume.SetUp failed for volume "{volume}" : {why}')


def project(volume: Json, pod: Json, node: Node) -> dict[str, File]:
    """Return the files of a volume.

    Raises:
        MountError: An object or key is not there and not optional.
    """
    source: Json
    if "projected" in volume:
        source = volume["projected"] or {}
        parts = source.get("sources") or ()
    else:
        kind = next(kind for kind in ("configMap", "secret", "downwardAPI") if kind in volume)
        source = volume[kind] or {}
        parts = ({kind: source},)
    mode = int(source.get("defaultMode", DEFAULT_MODE))
    files: dict[str, File] = {}
    for part in parts:
        files.update(_part(part, volume["name"], pod, node=node, mode=mode))
    return files


def _part(part: Json, volume: str, pod: Json, *, node: Node, mode: int) -> Iterator[tuple[str, File]]:
    if "configMap" in part:
        return _selected(part["configMap"], volume, pod, node=node, mode=mode, resource="configmaps")
    if "secret" in part:
        return _selected(part["secret"], volume, pod, node=node, mode=mode, resource="secrets")
    if "serviceAccountToken" in part:
        path = part["serviceAccountToken"].get("path", "token")
        return iter([(path, File(node.api.token.encode(), mode))])
    if "downwardAPI" in part:
        items = (part["downwardAPI"] or {}).get("items") or ()
        return _downward(items, volume, pod, node=node, mode=mode)
    kind = next(iter(part), "source")
    raise MountError(volume, f"LocalCluster projects no {kind!r}")


def _selected(
    source: Json, volume: str, pod: Json, *, node: Node, mode: int, resource: str
) -> Iterator[tuple[str, File]]:
    name = source.get("secretName") or source.get("name", "")
    namespace = pod["metadata"]["namespace"]
    found = node.store.find(resource, namespace, name) or _well_known(resource, name, node)
    if found is None:
        if not source.get("optional"):
            raise MountError(
                volume, f'{"configmap" if resource == "configmaps" else "secret"} "{name}" not found'
            )
        return
    data = config_map_data(found) if resource == "configmaps" else secret_data(found)
    items: Iterable[Json] = source.get("items") or [{"key": key, "path": key} for key in data]
    for item in items:
        if item["key"] in data:
            yield item["path"], File(data[item["key"]], item.get("mode", mode))
        elif not source.get("optional"):
            kind = "config" if resource == "configmaps" else "secret"
            raise MountError(volume, f"references non-existent {kind} key: {item['key']}")


def _well_known(resource: str, name: str, node: Node) -> Json | None:
    """Return ``kube-root-ca.crt``, which Kubernetes keeps in every namespace."""
    if resource == "configmaps" and name == "kube-root-ca.crt":
        return {"data": {"ca.crt": node.api.ca} if node.api.ca else {"ca.crt": ""}}
    return None


def _downward(items: Any, volume: str, pod: Json, *, node: Node, mode: int) -> Iterator[tuple[str, File]]:
    for item in items:
        try:
            if "fieldRef" in item:
                text = read_field(pod, item["fieldRef"]["fieldPath"])
            else:
                text = read_resource({"name": ""}, pod, item["resourceFieldRef"], capacity=node.capacity)
        except CreateContainerConfigError as error:
            raise MountError(volume, str(error)) from error
        yield item["path"], File(text.encode(), item.get("mode", mode))


def token_files(api: ApiAccess, pod: Json) -> dict[str, File]:
    """Return what an in-cluster client looks for."""
    files = {"token": File(api.token.encode()), "namespace": File(pod["metadata"]["namespace"].encode())}
    if api.ca:
        files["ca.crt"] = File(api.ca.encode())
    return files

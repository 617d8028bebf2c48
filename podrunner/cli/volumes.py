"""``run -v SOURCE:TARGET[:ro]``: volumes as they are typed, made volumes and mounts of a pod. Pure.

==================================  ====================================================
``/srv/data:/data[:ro]``            a folder of the node (``hostPath``)
``pvc:CLAIM:/data[:ro]``            a PersistentVolumeClaim
``secret:NAME:/etc/secret``         a Secret; read-only
``configmap:NAME:/etc/app``         a ConfigMap; read-only
``emptydir[:SIZE]:/scratch``        an empty folder that goes with the pod
``memory[:SIZE]:/dev/shm``          the same, in memory
==================================  ====================================================
"""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

from podrunner.errors import UsageError
from podrunner.quantity import parse_quantity
from podrunner.spelling import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["VolumeMounts", "volumes_of"]

_FORMS: Final = (
    "/folder/of/the/node:/target, pvc:CLAIM:/target, secret:NAME:/target, configmap:NAME:/target, "
    "emptydir[:SIZE]:/target or memory[:SIZE]:/target, with :ro at the end for read-only"
)
_NAMED: Final = ("pvc", "secret", "configmap")
_EMPTY: Final = ("emptydir", "memory")
_is_name = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?").fullmatch


class VolumeMounts(NamedTuple):
    """The volumes of a pod, and the mounts of its main container.

    Attributes:
        volumes: ``Volume`` objects.
        mounts: ``VolumeMount`` objects.
    """

    volumes: tuple[dict[str, Any], ...]
    mounts: tuple[dict[str, Any], ...]


class _Asked(NamedTuple):
    """One volume that was asked for."""

    source: dict[str, Any]
    target: str
    read_only: bool


def volumes_of(texts: Sequence[str]) -> VolumeMounts:
    """Return the volumes and mounts of what was typed; one source that is mounted twice is one volume.

    Raises:
        UsageError: A text cannot be read, or two of them have one target.
    """
    volumes: list[dict[str, Any]] = []
    mounts: list[dict[str, Any]] = []
    for text in texts:
        asked = _read(text)
        if any(mount["mountPath"] == asked.target for mount in mounts):
            raise UsageError(f"--volume {text}: another volume is mounted at {asked.target} already")
        name = _name_of(volumes, asked.source)
        read_only = {"readOnly": True} if asked.read_only else {}
        mounts.append({"name": name, "mountPath": asked.target, **read_only})
    return VolumeMounts(tuple(volumes), tuple(mounts))


def _name_of(volumes: list[dict[str, Any]], source: dict[str, Any]) -> str:
    """Return the name of the volume of a source, which is added if it is new. Empty folders are each another one."""
    found = next((volume for volume in volumes if {**source, "name": volume["name"]} == volume), None)
    if found is not None and "emptyDir" not in source:
        return str(found["name"])
    name = f"volume-{len(volumes) + 1}"
    volumes.append({"name": name, **source})
    return name


def _read(text: str) -> _Asked:
    pieces = text.split(":")
    mode = pieces.pop() if len(pieces) > 1 and pieces[-1] in {"ro", "rw"} else "rw"
    if len(pieces) < 2:
        _refuse(text, "a volume has a source and a target")
    target = _target(text, pieces.pop())
    source = _source(text, pieces)
    is_file = "secret" in source or "configMap" in source
    return _Asked(source, target, read_only=mode == "ro" or is_file)


def _target(text: str, target: str) -> str:
    if not target.startswith("/"):
        _refuse(
            text,
            f"the target {target!r} must be an absolute path in the container, and nothing but :ro follows it",
        )
    if ".." in target.split("/") or posixpath.normpath(target) == "/":
        _refuse(text, f"the target {target!r} must be a folder below /, without '..'")
    return posixpath.normpath(target)


def _source(text: str, pieces: list[str]) -> dict[str, Any]:
    kind, rest = pieces[0], pieces[1:]
    if kind.startswith("/"):
        return _node_folder(text, kind, rest)
    if kind in _NAMED:
        return _named(text, kind, rest)
    if kind in _EMPTY:
        return _empty(text, kind, rest)
    if kind.startswith((".", "~")):
        _refuse(text, f"{kind!r} is not absolute; a folder of the node is")
    if rest or not _is_name(kind):
        near = did_you_mean(kind, (*_NAMED, *_EMPTY))
        return _refuse(text, f"there is no kind {kind!r}{f'. {near}' if near else ''}")
    return _refuse(text, f"there are no named volumes; a claim is pvc:{kind}:/target")


def _node_folder(text: str, path: str, rest: list[str]) -> dict[str, Any]:
    if rest:
        _refuse(text, "a folder of the node is followed by the target and :ro alone")
    if ".." in path.split("/"):
        _refuse(text, "a folder of the node has no '..'")
    return {"hostPath": {"path": path}}


def _named(text: str, kind: str, rest: list[str]) -> dict[str, Any]:
    if len(rest) != 1 or not _is_name(rest[0]):
        _refuse(
            text, f"{kind}: is followed by the name of an object: lower-case letters, digits, '-' and '.'"
        )
    return {
        "pvc": {"persistentVolumeClaim": {"claimName": rest[0]}},
        "secret": {"secret": {"secretName": rest[0]}},
        "configmap": {"configMap": {"name": rest[0]}},
    }[kind]


def _empty(text: str, kind: str, rest: list[str]) -> dict[str, Any]:
    folder: dict[str, Any] = {"medium": "Memory"} if kind == "memory" else {}
    if len(rest) > 1 or (rest and not _is_size(rest[0])):
        _refuse(text, f"{kind}: is followed by a size such as 512Mi, or by the target at once")
    return {"emptyDir": {**folder, "sizeLimit": rest[0]} if rest else folder}


def _is_size(text: str) -> bool:
    try:
        return parse_quantity(text) > 0
    except ValueError:
        return False


def _refuse(text: str, problem: str) -> NoReturn:
    raise UsageError(f"--volume {text}: {problem}. Write it as {_FORMS}")

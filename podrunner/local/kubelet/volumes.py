"""The volumes of a pod: folders and files on disk, and where they are mounted in each container.

Where the bytes of projected objects come from is in ``projection.py``; claims are bound in ``claims.py``; the mounts
themselves are made by the shim.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.local.contained import ContainedFolder
from podrunner.local.kubelet.environment import CreateContainerConfigError, expand
from podrunner.local.kubelet.projection import File, MountError, project, token_files

if TYPE_CHECKING:
    from podrunner.local.kubelet.context import Node

__all__ = ["Mount", "MountError", "PodVolumes"]

Json = Mapping[str, Any]

logger: logging.Logger = logging.getLogger(__name__)

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
_TOKEN_FOLDER = "_token"  # noqa: S105 - a folder; no volume can have this name
_PROJECTED = ("configMap", "secret", "downwardAPI", "projected")


@dataclass(frozen=True, slots=True)
class Mount:
    """A folder or file of the machine, seen in a container.

    Attributes:
        source: Where it is.
        target: Where the container sees it.
        readonly: Whether the container may not write to it.
    """

    source: str
    target: str
    readonly: bool = False


class PodVolumes:
    """The volumes of one pod.

    Args:
        node: The node.
        folder: The pod's folder; they are made in ``volumes`` below it.
    """

    def __init__(self, node: Node, folder: Path) -> None:
        self._node = node
        self._folder = folder / "volumes"
        self._sources: dict[str, str] = {}
        self._written: dict[str, dict[str, File]] = {}
        self._readonly: set[str] = set()

    def set_up(self, pod: Json) -> None:
        """Make all volumes.

        Raises:
            MountError: Something that one of them needs is not there.
        """
        for volume in pod["spec"].get("volumes") or ():
            self._sources[volume["name"]] = str(self._make(volume, pod))
        if self._wants_token(pod):
            self._write(_TOKEN_FOLDER, token_files(self._node.api, pod))
            self._sources[""] = str(self._folder / _TOKEN_FOLDER)

    def refresh(self, pod: Json) -> None:
        """Write changes of config maps, secrets and the pod's own fields; files without a source stay as they are."""
        for volume in pod["spec"].get("volumes") or ():
            if volume["name"] in self._sources and any(kind in volume for kind in _PROJECTED):
                self._refresh(volume, pod)

    def mounts(self, container: Json, variables: Mapping[str, str]) -> list[Mount]:
        """Return what a container sees, outer mount points before those below them.

        Raises:
            CreateContainerConfigError: A subPath leads out of its volume.
        """
        found = [self._mount(each, container, variables) for each in container.get("volumeMounts") or ()]
        if "" in self._sources and all(mount.target != TOKEN_PATH for mount in found):
            found.append(Mount(self._sources[""], TOKEN_PATH, readonly=True))
        return sorted(found, key=lambda mount: mount.target.count("/"))

    def tear_down(self) -> None:
        """Remove what was made for this pod alone."""
        self._node.files.remove_tree(self._folder)

    def _refresh(self, volume: Json, pod: Json) -> None:
        try:
            self._write(volume["name"], project(volume, pod, self._node))
        except MountError:
            return
        except OSError as error:
            logger.warning("volume %r of pod %s: %s", volume["name"], pod["metadata"]["uid"], error)

    def _write(self, name: str, files: Mapping[str, File]) -> None:
        """Make a volume's folder hold just these files; one that changed is replaced in one step."""
        folder, known = self._folder / name, self._written.setdefault(name, {})
        self._node.files.make_folder(folder)
        for path in known.keys() - files.keys():
            self._node.files.remove(folder / path)
            del known[path]
        for path, file in files.items():
            if known.get(path) != file:
                self._node.files.write(_below(folder, path), file.data, mode=file.mode)
                known[path] = file

    def _make(self, volume: Json, pod: Json) -> Path:
        name: str = volume["name"]
        if any(kind in volume for kind in _PROJECTED):
            self._write(name, project(volume, pod, self._node))
            self._readonly.add(name)
            return self._folder / name
        if "hostPath" in volume:
            return host_path(volume["hostPath"], name)
        if "persistentVolumeClaim" in volume or "ephemeral" in volume:
            return self._claimed(volume, pod)
        if "emptyDir" in volume:
            return self._empty(name, pod)
        kind = next((key for key in volume if key != "name"), "volume")
        raise MountError(name, f"no volume plugin matched: LocalCluster has none for {kind!r}")

    def _empty(self, name: str, pod: Json) -> Path:
        folder, group = self._folder / name, (pod["spec"].get("securityContext") or {}).get("fsGroup")
        if group is not None and os.geteuid() == 0:
            self._node.files.make_folder(folder, mode=0o2777, owner=(-1, group))
        else:
            self._node.files.make_folder(folder, mode=0o777)
        return folder

    def _claimed(self, volume: Json, pod: Json) -> Path:
        name, namespace = volume["name"], pod["metadata"]["namespace"]
        reference = volume.get("persistentVolumeClaim") or {"claimName": f"{pod['metadata']['name']}-{name}"}
        claim = self._node.store.find("persistentvolumeclaims", namespace, reference["claimName"])
        bound = claim["spec"].get("volumeName", "") if claim else ""
        found = self._node.store.find("persistentvolumes", "", bound) if bound else None
        if found is None:
            raise MountError(
                name, f'persistentvolumeclaim "{reference["claimName"]}" is not bound', whole=True
            )
        if reference.get("readOnly"):
            self._readonly.add(name)
        return _backing(found, name)

    def _wants_token(self, pod: Json) -> bool:
        spec, store = pod["spec"], self._node.store
        account = store.find(
            "serviceaccounts", pod["metadata"]["namespace"], spec.get("serviceAccountName", "default")
        )
        default = account.get("automountServiceAccountToken") if account else None
        automount = spec.get("automountServiceAccountToken", default)
        return bool(self._node.api.token and automount is not False)

    def _mount(self, each: Json, container: Json, variables: Mapping[str, str]) -> Mount:
        source = self._sources.get(each["name"], "")
        if sub := each.get("subPath") or expand(each.get("subPathExpr", ""), variables):
            source = sub_path(source, sub, mount=each["name"], container=container["name"])
        readonly = bool(each.get("readOnly")) or each["name"] in self._readonly
        target = each["mountPath"]
        return Mount(source, os.path.normpath(target if target.startswith("/") else f"/{target}"), readonly)


def _below(folder: Path, path: str) -> Path:
    """Return where a file of a volume lies; OSError if that is not below the volume.

    The API server refuses such paths. This check does not rely on it.
    """
    if path.startswith("/") or ".." in path.split("/"):
        raise OSError(errno.EPERM, "the path of a volume's file leads out of the volume", path)
    return folder / path


def host_path(source: Json, name: str) -> Path:
    """Return a folder or file of the machine, of the type that the volume asks for.

    Raises:
        MountError: It is of another type.
    """
    path, kind = Path(source["path"]), source.get("type") or ""
    if kind == "DirectoryOrCreate" and not path.exists():
        path.mkdir(parents=True, mode=0o755)
    if kind == "FileOrCreate" and not path.exists():
        path.touch(mode=0o644)
    checks = {
        "Directory": path.is_dir,
        "File": path.is_file,
        "Socket": path.is_socket,
        "CharDevice": path.is_char_device,
    }
    checks |= {
        "BlockDevice": path.is_block_device,
        "DirectoryOrCreate": path.is_dir,
        "FileOrCreate": path.is_file,
    }
    if kind in checks and not checks[kind]():
        words = {
            "Directory": "directory",
            "DirectoryOrCreate": "directory",
            "File": "file",
            "FileOrCreate": "file",
        }
        what = words.get(kind, kind)
        raise MountError(name, f"hostPath type check failed: {path} is not a {what}")
    if not path.exists():
        # A container runtime makes the folder of an untyped hostPath; here as there.
        path.mkdir(parents=True, mode=0o755)
    return path


def _backing(volume: Json, name: str) -> Path:
    spec = volume["spec"]
    source = spec.get("hostPath") or spec.get("local")
    if source is None:
        which = volume["metadata"]["name"]
        why = f'LocalCluster mounts hostPath and local volumes, "{which}" is neither'
        raise MountError(name, f"no volume plugin matched: {why}")
    return host_path({"type": "DirectoryOrCreate", **source}, name)


def sub_path(root: str, sub: str, *, mount: str, container: str) -> str:
    """Return a place below a volume, made as a folder if it is not there.

    Raises:
        CreateContainerConfigError: It is not below the volume.
    """
    top = Path(root).resolve()
    real = Path(top, sub).resolve()
    problem = f'failed to prepare subPath for volumeMount "{mount}" of container "{container}"'
    if not real.is_relative_to(top) or ".." in Path(sub).parts:
        raise CreateContainerConfigError(problem)
    if not real.exists():
        try:
            ContainedFolder(top).make_folder(real, mode=0o777 if top.stat().st_mode & 0o002 else 0o755)
        except OSError as error:
            raise CreateContainerConfigError(f"{problem}: {error.strerror}") from error
    return str(real)

"""What an image name means on this machine.

A table names folders, environments and root file systems. By default any valid name not in it runs with the
machine's own programs; in strict mode it cannot be pulled, as on a node without that image. No processes here.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = ["Image", "ImageError", "Images", "image_id", "normal_name"]

# distribution/reference: [domain/]path[:tag][@digest]
_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-fA-F:]+\])(?::\d+)?"
_ALGORITHM = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*"
_NAME = re.compile(
    rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_COMPONENT}(?:/{_COMPONENT})*)"
    rf"(?::(?P<tag>\w[\w.-]{{0,127}}))?(?:@(?P<digest>{_ALGORITHM}:[0-9a-fA-F]{{32,}}))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a container gets from its image.

    Attributes:
        path: Folders put first on PATH.
        env: Variables under the container's own.
        working_dir: Working directory; None for a private folder.
        rootfs: A folder to be the container's root; needs namespaces. None: the machine's own files.
        entrypoint: As an image's ENTRYPOINT, used where the container has no command.
        cmd: As an image's CMD, used where the container has neither command nor args.
    """

    path: tuple[Path, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    working_dir: str | None = None
    rootfs: Path | None = None
    entrypoint: tuple[str, ...] = ()
    cmd: tuple[str, ...] = ()

    @classmethod
    def of(cls, value: Any) -> Image:
        """Make an image from an entry of a table: an Image, a folder for PATH, several, or a mapping of fields.

        Raises:
            ValueError: It is none of these.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str | Path):
            return cls(path=(Path(value).absolute(),))
        if isinstance(value, Mapping):
            return cls(**_fields(value))
        if isinstance(value, Sequence):
            return cls(path=tuple(Path(each).absolute() for each in value))
        raise ValueError(
            f"an image is an Image, a folder, a list of folders or a mapping of its fields, not {value!r}"
        )


def _fields(value: Mapping[str, Any]) -> dict[str, Any]:
    unknown = set(value) - {"path", "env", "working_dir", "rootfs", "entrypoint", "cmd"}
    if unknown:
        raise ValueError(f"unknown fields of an image: {', '.join(sorted(unknown))}")
    path = value.get("path", ())
    folders = [path] if isinstance(path, str | Path) else path
    rootfs = value.get("rootfs")
    return {
        **value,
        "path": tuple(Path(each).absolute() for each in folders),
        "rootfs": Path(rootfs).absolute() if rootfs else None,
        "entrypoint": tuple(value.get("entrypoint", ())),
        "cmd": tuple(value.get("cmd", ())),
    }


class ImageError(Exception):
    """An image cannot be pulled.

    Attributes:
        reason: As it stands in a container's waiting state: ``ErrImagePull``, ``ErrImageNeverPull``,
            ``InvalidImageName``.
    """

    def __init__(self, reason: str, message: str) -> None:
        self.reason = reason
        super().__init__(message)


def normal_name(name: str) -> str:
    """Return a name with registry, ``library/`` and tag written out.

    Raises:
        ImageError: ``InvalidImageName``.
    """
    match = _NAME.fullmatch(name)
    if match is None:
        why = "invalid reference format"
        if _NAME.fullmatch(name.lower()):
            why += f": repository name (library/{name.partition(':')[0]}) must be lowercase"
        message = f'Failed to apply default image tag "{name}": couldn\'t parse image name "{name}": {why}'
        raise ImageError("InvalidImageName", message)
    domain, path = match["domain"], match["path"]
    if domain and not (set(domain) & set(".:[") or domain == "localhost" or domain != domain.lower()):
        domain, path = None, f"{domain}/{path}"
    domain = {None: "docker.io", "index.docker.io": "docker.io"}.get(domain, domain)
    if domain == "docker.io" and "/" not in path:
        path = f"library/{path}"
    end = f"@{match['digest']}" if match["digest"] else f":{match['tag'] or 'latest'}"
    return f"{domain}/{path}{end}"


def image_id(name: str) -> str:
    """Return a stable ``imageID`` for a normal name."""
    repository = re.sub(r"(@.*|:[^:/]*)$", "", name)
    return f"{repository}@sha256:{hashlib.sha256(name.encode()).hexdigest()}"


class Images:
    """The table.

    Args:
        table: Image by name; tag ``latest`` and registry may be left out, a name ending in ``*`` stands for all that
            begin so.
        strict: Whether names outside the table cannot be pulled.
    """

    def __init__(self, table: Mapping[str, Any] | None = None, *, strict: bool = False) -> None:
        self._strict = strict
        self._exact: dict[str, Image] = {}
        self._prefixes: dict[str, Image] = {}
        for name, value in (table or {}).items():
            self.add(name, value)

    def add(self, name: str, value: Any) -> None:
        """Add or replace an entry."""
        if name.endswith("*"):
            self._prefixes[normal_name(f"{name[:-1]}x")[: -len("x:latest")]] = Image.of(value)
        else:
            self._exact[normal_name(name)] = Image.of(value)

    def find(self, name: str, policy: str) -> Image:
        """Return the image for a container.

        Raises:
            ImageError: It cannot be pulled.
        """
        normal = normal_name(name)
        found = self._exact.get(normal) or self._by_prefix(normal)
        if found is not None:
            return found
        if not self._strict:
            return Image()
        if policy == "Never":
            message = f'Container image "{name}" is not present with pull policy of Never'
            raise ImageError("ErrImageNeverPull", message)
        raise ImageError("ErrImagePull", _not_found(normal))

    def _by_prefix(self, name: str) -> Image | None:
        fitting = [prefix for prefix in self._prefixes if name.startswith(prefix)]
        return self._prefixes[max(fitting, key=len)] if fitting else None


def _not_found(name: str) -> str:
    """Return the words of containerd for a name that its registry does not know."""
    why = f'failed to resolve reference "{name}": {name}: not found'
    return f'rpc error: code = NotFound desc = failed to pull and unpack image "{name}": {why}'

"""Where a workload's log goes, relative to the log folder: never out of it, whatever a name says."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from podrunner.errors import SpecError

if TYPE_CHECKING:
    from podrunner.workload.key import WorkloadKey

__all__ = ["checked_log_path", "default_log_path", "log_path_of_attempt", "path_component"]

MAX_COMPONENT_BYTES = 200
"""File systems take 255 bytes a name; the rest is for suffixes such as ``.log.cursor``."""

# Encoded like in a URL. "%" is, so that two names never meet in one.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\%]")


def path_component(name: str) -> str:
    """Make one component of a path of any text: unchanged where that is safe, else percent-encoded.

    ``../x`` becomes ``..%2Fx``, ``..`` becomes ``%2E%2E``, an empty name ``%``; a name over 200 bytes is
    shortened, and a digest of the whole makes it unique.
    """
    encoded = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)
    if not encoded.strip("."):
        encoded = "%2E" * len(name) or "%"
    octets = encoded.encode(errors="surrogatepass")
    if len(octets) <= MAX_COMPONENT_BYTES:
        return encoded
    digest = hashlib.sha256(octets).hexdigest()[:16]
    return f"{octets[: MAX_COMPONENT_BYTES - 17].decode(errors='ignore')}-{digest}"


def default_log_path(key: WorkloadKey) -> str:
    """One folder a part of the key, and a file an attempt: ``etl/load/1.log``."""
    return "/".join([*map(path_component, key.parts.values()), f"{key.attempt}.log"])


def log_path_of_attempt(path: str, attempt: int, *, before: int) -> str:
    """Make the log path of another attempt: ``etl/load/1.log`` becomes ``etl/load/2.log``.

    Args:
        path: The path of the attempt ``before``.
        attempt: Which attempt it shall be of.
        before: Which one it is of. If its number does not end the file's name, the new one is added: ``x.log``
            becomes ``x.2.log``.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    kept = re.sub(rf"(?<!\d){before}$", "", stem)
    named = f"{kept}{attempt}" if kept != stem else f"{stem}.{attempt}"
    return f"{folder}{slash}{named}{dot}{suffix}"


def checked_log_path(path: str) -> str:
    """Refuse a path that is absolute or leads upwards.

    Raises:
        SpecError: It does.
    """
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        problem = "must be a relative path without empty parts, '.' and '..'"
        raise SpecError(problem, field="Workload.log_path", value=repr(path)[:80])
    return path

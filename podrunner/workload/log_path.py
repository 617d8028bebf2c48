"""The path of a workload's log, relative to the log folder; no name can lead out of the folder."""

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

# Encoded as in a URL; "%" too, so that two names never get the same path.
_UNSAFE = re.compile(r"[\x00-\x1f\x7f/\\%]")


def path_component(name: str) -> str:
    """Return one component of a path for any text: unchanged if that is safe, else percent-encoded.

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
    """Return a path with a folder for each part of the key and a file for each attempt: ``etl/load/1.log``."""
    return "/".join([*map(path_component, key.parts.values()), f"{key.attempt}.log"])


def log_path_of_attempt(path: str, attempt: int, *, before: int) -> str:
    """Return the log path of another attempt: ``etl/load/1.log`` becomes ``etl/load/2.log``.

    Args:
        path: The path of the attempt ``before``.
        attempt: The number of the other attempt.
        before: The number of the attempt that ``path`` belongs to. If the file's name does not end with it, the new
            number is appended: ``x.log`` becomes ``x.2.log``.
    """
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem:
        stem, dot, suffix = name, "", ""
    kept = re.sub(rf"(?<!\d){before}$", "", stem)
    named = f"{kept}{attempt}" if kept != stem else f"{stem}.{attempt}"
    return f"{folder}{slash}{named}{dot}{suffix}"


def checked_log_path(path: str) -> str:
    """Return a log path that is relative and does not lead upwards.

    Raises:
        SpecError: The path is absolute, or has an empty part, ``.`` or ``..``.
    """
    parts = path.split("/")
    if "\0" in path or any(part in {"", ".", ".."} for part in parts):
        problem = "must be a relative path without empty parts, '.' and '..'"
        raise SpecError(problem, field="Workload.log_path", value=repr(path)[:80])
    return path

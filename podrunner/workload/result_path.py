"""Checking the path of a workload's result file."""

from __future__ import annotations

import posixpath

__all__ = ["checked_result_path"]


def checked_result_path(path: str) -> str:
    """Return the path of a file in a folder of its own, where a volume can be mounted.

    Raises:
        ValueError: It is not absolute, not in its shortest form, directly in ``/``, or has a character that no mount
        accepts.
    """
    if not path.startswith("/") or path.startswith("//") or posixpath.normpath(path) != path:
        raise ValueError("must be the absolute path of a file, without '.', '..' and needless '/'")
    if posixpath.dirname(path) == "/":
        raise ValueError("must lie in a folder of its own, not directly in '/'")
    if ":" in posixpath.dirname(path) or "\0" in path:
        raise ValueError("must have no ':' in its folder's name: Kubernetes mounts nothing there")
    return path

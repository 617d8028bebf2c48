"""Which fields a kind has."""

from __future__ import annotations

from typing import Any

__all__ = ["Schema"]


class Schema:
    def read(self, obj: dict[str, Any], *, mode: str) -> tuple[dict[str, Any], tuple[str, ...]]:
        return obj, ()

"""Names that the server generates: ``generateName`` and its random end."""

from __future__ import annotations

import secrets

__all__ = ["generate_name"]

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"  # apimachinery's: no vowels, no look-alikes
_LONGEST_PREFIX = 58


def generate_name(prefix: str) -> str:
    """Return ``prefix`` (cut to 58 characters) and five random characters."""
    return prefix[:_LONGEST_PREFIX] + "".join(secrets.choice(_ALPHABET) for _ in range(5))

"""Names of the objects that podrunner creates.

A pod's name is a function of its workload, so a repeated create request finds the first pod.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
import uuid
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from podrunner.workload import WorkloadKey

__all__ = ["name_of", "secret_key", "secret_name", "slug"]

MAX_NAME = 63
"""Pod names may be longer, but the pod's host name and labels made of it may not (RFC 1123)."""
_HEX = 32
MAX_SLUG = MAX_NAME - _HEX - 1
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "podrunner.io")
"""The UUID namespace of pod names; changing it would start every running workload a second time."""
_SEED = hashlib.sha1(NAMESPACE.bytes, usedforsecurity=False)
_SECRET_KEY = re.compile(r"[A-Za-z0-9_][-A-Za-z0-9_.]{0,252}")
_BREAKS = re.compile(r"[^a-z0-9]+")


def name_of(key: WorkloadKey, hint: str | None = None) -> str:
    """Return the name of a workload's pod: ``<slug>-<32 hexadecimal digits>``, at most 63 characters.

    Args:
        key: The workload; the digits are a UUID5 of its identity and attempt.
        hint: The text that the slug is made from; None: the values of the key.
    """
    words = "-".join(key.parts.values()) if hint is None else hint
    return f"{slug(words)}-{_digits(key)}"


def slug(text: str) -> str:
    """Return the readable part of a name: at most 30 of ``a-z0-9-``, never empty, no ``-`` at the ends."""
    plain = text if text.isascii() else _ascii(text)
    return _BREAKS.sub("-", plain.lower()).strip("-")[:MAX_SLUG].rstrip("-") or "pod"


def _ascii(text: str) -> str:
    """Return text in ASCII: accented letters become their base letter, other letters are dropped."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode("ascii")


def _digits(key: WorkloadKey) -> str:
    """Return ``uuid5(NAMESPACE, "<identity>#<attempt>").hex``, computed without the UUID object (4 times as fast).

    A relaunch adds ``.<ordinal>``.
    """
    digest = _SEED.copy()
    digest.update(f"{key.identity}#{key.attempt}".encode())
    if key.relaunch:
        digest.update(f".{key.relaunch}".encode())
    octets = bytearray(digest.digest()[:16])
    octets[6] = octets[6] & 0x0F | 0x50
    octets[8] = octets[8] & 0x3F | 0x80
    return octets.hex()


def secret_name(pod: str) -> str:
    """Return the name of the Secret that holds a pod's credentials."""
    return f"{pod}-credentials"


def secret_key(variable: str) -> str:
    """Return the key of a variable's value in a Secret: the variable's name, or a digest if that is no valid key."""
    if _SECRET_KEY.fullmatch(variable):
        return variable
    return hashlib.sha256(variable.encode(errors="surrogatepass")).hexdigest()

"""URLs of API servers and proxies: which can be asked for, and how they are written then. Pure.

Where a URL comes from does not belong here (``access``, ``kubeconfig``).
"""

from __future__ import annotations

from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from podrunner.kube.impersonation import is_header_value

__all__ = ["is_host", "server_url", "url_parts"]

_LEGAL_IN_PATHS: Final = "/%:@!$&'()*+,;=~"
"""RFC 3986, section 3.3; "%", since a path that is encoded already stays as it is."""


def server_url(text: str) -> str:
    """Return an API server's URL as requests use it: no query, no slash at its end, its path percent-encoded.

    As in client-go: the scheme may be written in capitals, and a path with other characters is encoded. A text that is
    no URL, or has control characters, is returned as it is: see :func:`url_parts`.
    """
    if url_parts(text) is None:
        return text
    scheme, _, rest = text.partition("?")[0].partition("#")[0].partition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme.lower()}://{host}{slash}{quote(path, safe=_LEGAL_IN_PATHS)}".rstrip("/")


def url_parts(url: str) -> SplitResult | None:
    """Split a URL; None if it has a host that cannot be looked up, a port that is no number, or control characters."""
    if "\t" in url or not is_header_value(url):  # urlsplit drops some control characters in silence
        return None
    try:
        parts = urlsplit(url)
        is_usable = is_host(parts.hostname or "") and (parts.port is None or parts.port > 0)
    except ValueError:
        return None
    return parts if is_usable else None


def is_host(name: str) -> bool:
    """Whether a text may be a host's name or address: no part of it is empty or longer than 63 characters (RFC 1035).

    What is not ASCII is encoded by IDNA, as Python's sockets do.
    """
    try:
        encoded = name.encode("idna")
    except UnicodeError:
        return False
    return bool(encoded) and encoded.decode().isprintable() and b" " not in encoded

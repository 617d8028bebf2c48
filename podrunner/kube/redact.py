"""Make foreign text fit to be shown: bounded, printable, without credentials.

For text of servers, proxies and libraries, on its way into an error message or a log record.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

__all__ = ["MAX_SHOWN_CHARS", "redact", "shown_origin"]

MAX_SHOWN_CHARS = 1024
"""How much of a foreign text is shown: the longest messages of Kubernetes' validation fit in most of their length."""

_SECRETS = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[a-z0-9._~+/=-]{8,}"), r"\1 ***"),
    (re.compile(r"(?<=://)[^/\s@]+(?=@)"), "***"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?"), "***"),  # a JSON web token
    # Only `name=value` and `"name": "value"`: a field's path with a colon, as in validation errors, is no secret.
    (re.compile(r"(?i)\b((?:password|passwd|token|secret|api[_-]?key)=)[^\s\"',;&]+"), r"\1***"),
    (re.compile(r'(?i)("(?:password|passwd|token|secret|api[_-]?key)"\s*:\s*")[^"]+'), r"\1***"),
)
_UNPRINTABLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def redact(text: str) -> str:
    """Return ``text`` without credentials and control characters, at most :data:`MAX_SHOWN_CHARS` long."""
    # Cut generously before the expressions run: a body of megabytes must not cost seconds.
    shown = _UNPRINTABLE.sub(" ", text[: 4 * MAX_SHOWN_CHARS]).strip()
    for pattern, replacement in _SECRETS:
        shown = pattern.sub(replacement, shown)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 1]}…"


def shown_origin(url: str) -> str:
    """Return scheme, host and port of a URL: no credentials, path or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"

"""The headers by which one user acts as another: ``as``, ``as-uid``, ``as-groups``, ``as-user-extra``. Pure.

A header of a group or an extra repeats, once for each value
(https://kubernetes.io/docs/reference/access-authn-authz/user-impersonation/).
"""

from __future__ import annotations

from string import ascii_letters, digits
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterator

    from podrunner.kube.kubeconfig_entry import Entry

__all__ = ["impersonation_headers", "is_header_value"]

# Besides letters and digits: the rest is percent-encoded (RFC 9110, section 5.6.2, without "%").
_LEGAL_IN_NAMES: Final = "!#$&'*+-.^_`|~"


def is_header_value(value: str) -> bool:
    """Whether a text can be sent as the value of a header: it has no control character but tabs, and is Unicode."""
    return all(
        char == "\t" or (ord(char) >= 32 and ord(char) != 127 and not 0xD800 <= ord(char) <= 0xDFFF)
        for char in value
    )


def impersonation_headers(user: Entry) -> tuple[tuple[str, str], ...]:
    """Return the headers, in order; none if the user impersonates no other.

    Raises:
        ConfigError: Groups, a UID or extras without ``as``, or a value that cannot be sent.
    """
    pairs = list(_pairs(user))
    if pairs and user.text("as") is None:
        problem = "groups, a UID or extras are impersonated without a user"
        raise user.error("as", problem, "Name the user by `as`, or remove them.")
    for name, value in pairs:
        if not is_header_value(value):
            raise user.error("as", f"{name} has a line break or another control character", "Remove it.")
    return tuple(pairs)


def _pairs(user: Entry) -> Iterator[tuple[str, str]]:
    if name := user.text("as"):
        yield "Impersonate-User", name
    if uid := user.text("as-uid"):
        yield "Impersonate-Uid", uid
    for group in user.texts("as-groups"):
        yield "Impersonate-Group", group
    for key, values in _extras(user).items():
        for value in values:
            yield f"Impersonate-Extra-{_encoded(key)}", value


def _extras(user: Entry) -> dict[str, list[str]]:
    extras = user.fields.get("as-user-extra") or {}
    if not (
        isinstance(extras, dict)
        and all(isinstance(key, str) for key in extras)
        and all(isinstance(values, list) for values in extras.values())
        and all(isinstance(value, str) for values in extras.values() for value in values)
    ):
        raise user.error(
            "as-user-extra", "this is no mapping of lists of texts", "Write `scopes: [view]`, for instance."
        )
    return extras


def _encoded(key: str) -> str:
    """Percent-encode what no header's name may have; ``quote`` keeps some of it by itself, and upper case is Go's."""
    kept = ascii_letters + digits + _LEGAL_IN_NAMES
    return "".join(char if char in kept else quote(char, safe="") for char in key)

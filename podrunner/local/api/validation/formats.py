"""What names, labels and keys may look like: each function gives the complaints about one text, none if it is fine.

The words and bounds are those of apimachinery's ``util/validation``.
"""

from __future__ import annotations

import re
from functools import lru_cache

__all__ = [
    "config_key",
    "dns_label",
    "dns_subdomain",
    "env_name",
    "label_value",
    "port_name",
    "qualified_name",
]

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_NAME = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_VALUE = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_KEY = "[-._a-zA-Z0-9]+"

_ENDS = "and must start and end with an alphanumeric character"
_LABEL_WORDS = (
    f"a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', {_ENDS}"
)
_SUBDOMAIN_WORDS = (
    f"a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', {_ENDS}"
)
_NAME_WORDS = f"must consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
_VALUE_WORDS = (
    f"a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', {_ENDS}"
)
_KEY_WORDS = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"

Complaints = tuple[str, ...]


def _explained(words: str, pattern: str, *examples: str) -> str:
    shown = " or ".join(f"'{each}', " for each in examples)
    return f"{words} (e.g. {shown}regex used for validation is '{pattern}')"


def _at_most(count: int) -> str:
    return f"must be no more than {count} characters"


@lru_cache(maxsize=4096)
def dns_label(text: str) -> Complaints:
    """RFC 1123 label: names of containers, volumes, namespaces."""
    long = (_at_most(63),) if len(text) > 63 else ()
    if re.fullmatch(_LABEL, text):
        return long
    return (*long, _explained(_LABEL_WORDS, _LABEL, "my-name", "123-abc"))


@lru_cache(maxsize=4096)
def dns_subdomain(text: str) -> Complaints:
    """RFC 1123 subdomain: names of most objects."""
    long = (_at_most(253),) if len(text) > 253 else ()
    if re.fullmatch(_SUBDOMAIN, text):
        return long
    return (*long, _explained(_SUBDOMAIN_WORDS, _SUBDOMAIN, "example.com"))


@lru_cache(maxsize=4096)
def qualified_name(text: str) -> Complaints:
    """Label and annotation keys: an optional DNS prefix, ``/``, a name."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        words = _explained(f"a qualified name {_NAME_WORDS}", _NAME, "MyName", "my.name", "123-abc")
        return (f"{words} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",)
    found = []
    if slash and not prefix:
        found.append("prefix part must be non-empty")
    elif slash:
        found += [f"prefix part {each}" for each in dns_subdomain(prefix)]
    if not name:
        found.append("name part must be non-empty")
    elif len(name) > 63:
        found.append(f"name part {_at_most(63)}")
    if not re.fullmatch(_NAME, name):
        found.append(f"name part {_explained(_NAME_WORDS, _NAME, 'MyName', 'my.name', '123-abc')}")
    return tuple(found)


@lru_cache(maxsize=8192)
def label_value(text: str) -> Complaints:
    """Values of labels."""
    long = (_at_most(63),) if len(text) > 63 else ()
    if re.fullmatch(_VALUE, text):
        return long
    return (*long, _explained(_VALUE_WORDS, _VALUE, "MyValue", "my_value", "12345"))


def env_name(text: str) -> Complaints:
    """Names of environment variables, relaxed since 1.34 (KEP-4369)."""
    if text and all(" " <= letter <= "~" and letter != "=" for letter in text):
        return ()
    return (
        "a valid environment variable name must consist only of printable ASCII characters other than '='",
    )


def config_key(text: str) -> Complaints:
    """Keys of config maps and secrets."""
    found: list[str] = [_at_most(253)] if len(text) > 253 else []
    if not re.fullmatch(_KEY, text):
        found.append(_explained(_KEY_WORDS, _KEY, "key.name", "KEY_NAME", "key-name"))
    elif text == ".":
        found.append("must not be '.'")
    elif text == "..":
        found.append("must not be '..'")
    elif text.startswith(".."):
        found.append("must not start with '..'")
    return tuple(found)


def port_name(text: str) -> Complaints:
    """Names of container ports (IANA service names)."""
    found: list[str] = []
    if len(text) > 15:
        found.append(_at_most(15))
    if not re.fullmatch("[-a-z0-9]+", text):
        found.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search("[a-z]", text):
        found.append("must contain at least one letter (a-z)")
    if "--" in text:
        found.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        found.append("must not begin or end with a hyphen")
    return tuple(found)

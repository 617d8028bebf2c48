"""Make text and values fit to be shown: bounded, printable, without credentials.

The one place that decides what may appear in errors, logs, representations and the command's output. For text of
servers, proxies, plugins and libraries (:func:`redact`), URLs, values of settings (:func:`shown_value`), and whole
structures (:func:`veiled`). Three rules apply to text:

- A credential that the caller knows is removed in each spelling that it may have (:func:`spellings`).
- What follows a word that names a credential (``token=``, ``Bearer``, ``"password":``) is removed.
- Of a URL the user, the query and the fragment are removed.

Pure: nothing is read here.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from typing import Any, Final
from urllib.parse import quote, urlsplit

__all__ = [
    "HIDDEN",
    "MAX_SHOWN_CHARS",
    "harmless",
    "looks_secret",
    "redact",
    "redact_output",
    "redacted",
    "secrets_in",
    "shown_at",
    "shown_origin",
    "shown_value",
    "spellings",
    "syntax_problem",
    "veiled",
]

HIDDEN: Final = "***"
"""The text in place of a credential."""

MAX_SHOWN_CHARS: Final = 1024
"""How much of a foreign text is shown: the longest messages of Kubernetes' validation fit in most of their length."""

_LONGEST_VALUE: Final = 80
_SHORTEST_SECRET: Final = 4
"""Shorter ones are not searched for in texts: they would be found in ordinary words."""

# Names that end in one of these mean a credential; what comes before does not matter (`access_token`, `x-api-key`).
_NAMES: Final = (
    r"passw(?:or)?d|passphrase|passwd|pwd|token|secret|credentials?|authorization|"
    r"(?:api|access|private|secret|account|fernet|encryption)[_-]?key|signature|cookie"
)
_BEFORE: Final = r"(?:[\w.-]{0,64}[_.-])?"
_QUOTED_NAME: Final = rf"""\\*["']{_BEFORE}(?:{_NAMES})s?\\*["']\s*:\s*(?:b(?=["']))?"""

_SECRETS: Final = (
    (
        re.compile(r"(?s)(-----BEGIN [A-Z ]*PRIVATE KEY-----).*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"),
        r"\1***",
    ),
    (re.compile(r"(?i)\b(bearer|basic|negotiate|aws4-hmac-sha256)\s+[a-z0-9._~+/=-]{8,}"), r"\1 ***"),
    # A header, however it is spelt: `Authorization: x`, `'Authorization': 'x'`, `(b'authorization', b'x')`.
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization|(?:set-)?cookie|x-[\w-]{0,64}(?:token|key|secret))\b"
            r"""(\\*["']?\s*[:=,]\s*(?:b(?=["']))?\\*["']?)(?!(?:bearer|basic|negotiate)\s+\*\*\*)[^\s"'\\][^\r\n"'\\]*"""
        ),
        r"\1\2***",
    ),
    # The user of a URL, with a slash in the password; then up to the last @ before its path.
    (re.compile(r"""(?<=://)[^\s/@:"'<>]*:(?!\d+[/?#])[^\s@"'<>]*(?=@)"""), HIDDEN),
    (re.compile(r"""(?<=://)[^\s/"'<>]*(?=@)"""), HIDDEN),
    (re.compile(r"""(?i)(\b[a-z][a-z0-9+.-]*://[^\s?#"'<>]*)[?#][^\s"'<>)\]]+"""), r"\1?***"),
    (re.compile(r"(?<![A-Za-z])eyJ[\w-]{8,}\.[\w-]+(\.[\w-]*)?"), HIDDEN),  # a JSON web token
    # Only `name=value`, `--name value` and `"name": "value"`: a field's path with a colon, as in validation errors, is
    # no secret.
    (re.compile(rf"""(?i)(?<![\w])({_BEFORE}(?:{_NAMES})s?\s*=\s*)(\\*["'])(?:(?!\2).)+"""), r"\1\2***"),
    (re.compile(rf"""(?i)(?<![\w])({_BEFORE}(?:{_NAMES})s?\s*=\s*)(?![=\s"'\\*])[^\s"',;&]+"""), r"\1***"),
    (re.compile(rf"""(?i)((?<!\w)--?{_BEFORE}(?:{_NAMES})\s+)(?![-\s*])[^\s"',;]+"""), r"\1***"),
    (re.compile(rf"""(?i)({_QUOTED_NAME})(["'])(?:\\.|(?!\2)[^\\])+"""), r"\1\2***"),
    (re.compile(rf"""(?i)({_QUOTED_NAME})(\\+["'])(?:(?!(?<!\\)\2).)+"""), r"\1\2***"),
    # A password after a colon, where no path of a field leads to it.
    (re.compile(r"(?i)(?<![\w.\]-])(pass(?:word|wd|phrase)\s*:\s+)(?!\*)\S+"), r"\1***"),
)
_TOKEN_LIKE: Final = re.compile(
    r"(?<![\w./:@~-])(?=[\w+/~-]*\d)(?=[\w+/~-]*[a-zA-Z])[\w+][\w+/~-]{15,}={0,2}(?![\w./])"
)
_QUOTES_THE_DOCUMENT: Final = re.compile(
    r"(found (?:undefined|duplicate) [a-z ]+|could not determine a constructor for the tag).*", re.DOTALL
)
"""Problems of PyYAML that name an alias, an anchor or a tag: a password may begin with ``*``, ``&`` or ``!``."""

_UNPRINTABLE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]+")


def redact(text: str, *, secrets: Iterable[str | None] = ()) -> str:
    """Return ``text`` without credentials and control characters, at most :data:`MAX_SHOWN_CHARS` long.

    Args:
        text: Text of any origin.
        secrets: Credentials that must not be in it, as they were sent: a header's value, a password.
    """
    # Cut generously before the expressions run: a body of megabytes must not cost seconds.
    shown = _UNPRINTABLE.sub(" ", _beginning(text)).strip()
    for spelling in _longest_first(secrets):
        shown = shown.replace(spelling, HIDDEN)
    for pattern, replacement in _SECRETS:
        shown = pattern.sub(replacement, shown)
    return shown if len(shown) <= MAX_SHOWN_CHARS else f"{shown[: MAX_SHOWN_CHARS - 1]}…"


def redact_output(text: str, *, secrets: Iterable[str | None] = ()) -> str:
    """Return what a program wrote that handles credentials, as :func:`redact`, and without words that may be one.

    Such a word has letters and digits, at least sixteen, and belongs to no path or host name.
    """
    return _TOKEN_LIKE.sub(HIDDEN, redact(text, secrets=secrets))


def redacted(value: Any, *, secrets: Iterable[str | None] = ()) -> Any:
    """Return plain data with each text in it redacted, as :func:`redact` does; keys stay as they are."""
    known = tuple(secrets)
    if isinstance(value, Mapping):
        return {key: redacted(inner, secrets=known) for key, inner in value.items()}
    if isinstance(value, list):
        return [redacted(inner, secrets=known) for inner in value]
    return redact(value, secrets=known) if isinstance(value, str) else value


def _beginning(text: str) -> str:
    """Return as much of a text as is looked at; a word that this would cut is left out: it may be half a credential."""
    longest = 4 * MAX_SHOWN_CHARS
    if len(text) <= longest:
        return text
    cut = text[:longest]
    return cut[: max(cut.rfind(" "), cut.rfind("\n")) + 1] or cut[: MAX_SHOWN_CHARS + 1]


def _longest_first(secrets: Iterable[str | None]) -> list[str]:
    found = {spelling for secret in secrets if secret for spelling in spellings(secret)}
    return sorted(found, key=len, reverse=True)


def spellings(secret: str) -> set[str]:
    """Return the texts in which a credential may be quoted: itself, escaped, encoded, and the parts of a header."""
    parts = {secret.strip()}
    scheme, _, value = secret.strip().partition(" ")
    if scheme.lower() in {"bearer", "basic", "token", "negotiate"} and value:
        parts |= {value.strip(), *_of_basic(value.strip())}
    parts = {part for part in parts if len(part) >= _SHORTEST_SECRET}
    return {spelling for part in parts for spelling in _encoded(part)}


def _encoded(text: str) -> Iterator[str]:
    yield text
    yield quote(text, safe="")
    yield json.dumps(text)[1:-1]
    yield repr(text)[1:-1]
    yield base64.b64encode(text.encode("utf-8", "surrogateescape")).decode().rstrip("=")


def _of_basic(value: str) -> Iterator[str]:
    """Give user and password of basic authentication (RFC 7617), and the password alone."""
    try:
        pair = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return
    yield pair
    yield pair.partition(":")[2]


def syntax_problem(error: Exception) -> str:
    """Return what a parser of JSON or YAML objects to, and where, without quoting the document: it may hold secrets."""
    if isinstance(error, json.JSONDecodeError):
        return f"line {error.lineno}, column {error.colno}: {error.msg.lower()}"
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    mark, problem = getattr(error, "problem_mark", None), getattr(error, "problem", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    if not isinstance(problem, str):  # the whole text may quote the document
        return f"{where}{getattr(error, 'reason', None) or type(error).__name__}"
    return where + _QUOTES_THE_DOCUMENT.sub(r"\1", problem)


def shown_origin(url: str) -> str:
    """Return scheme, host and port of a URL: no credentials, path or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def harmless(error: BaseException, *, secrets: Iterable[str | None] = ()) -> BaseException | None:
    """Return an error to be the cause of another, for ``raise … from``; None if a traceback of it would show a secret.

    Args:
        error: The error, with all that led to it.
        secrets: As for :func:`redact`.
    """
    known = tuple(secrets)
    found: BaseException | None = error
    for _ in range(20):  # causes may form a ring
        if found is None:
            break
        if any(_is_changed(text, known) for text in (str(found), repr(found), *map(str, _notes(found)))):
            return None
        found = found.__cause__ or found.__context__
    return error


def _notes(error: BaseException) -> Iterable[object]:
    return getattr(error, "__notes__", ())


def _is_changed(text: str, secrets: Iterable[str | None]) -> bool:
    """Whether redacting removes more than blanks and control characters; a text too long to be looked at counts too."""
    printable = _UNPRINTABLE.sub(" ", text).strip()
    return redact_output(text, secrets=secrets) != printable


# Names


_WORDS: Final = (
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "credential",
    "credentials",
    "authorization",
    "signature",
    "alchemy",
    "sqlalchemy",
    "cookie",
)
"""Words that are recognised also if they are misspelt."""

_EXACT: Final = frozenset(
    {"pwd", "pass", "conn", "dsn", "jwt", "auth", "creds", "cred", "bearer", "secrets", "tokens"}
)
_JOINED: Final = re.compile(
    r"(api|access|private|secret|fernet|encryption|account)key|brokerurl|resultbackend"
)
_NEAR: Final = 0.82
"""How alike a misspelt word is, as difflib measures: ``pasword`` and ``secert`` are, ``broken`` and ``section`` not."""

_REFERENCES: Final = frozenset({"name", "names", "ref", "file", "path"})
"""Last words of names whose value says where a credential is: ``secretName``, ``tokenFile``."""

_OF_OBJECTS: Final = frozenset(
    {"image_pull_secrets", "imagePullSecrets", "env_from_secrets", "credentials_secret", "ssh_key_secret"}
)
"""Settings and fields whose values are the names of Secrets."""

_SECTIONS: Final = frozenset({"env", "credentials", "kubernetes_environment_variables"})
"""Sections whose every value may be secret: users put secrets into variables."""


def looks_secret(name: str) -> bool:
    """Return whether something of that name may hold a credential, also if the name is misspelt.

    Args:
        name: The name of a setting, a variable, a header or a section.
    """
    if name.lower() in _SECTIONS:
        return True
    if name in _OF_OBJECTS:
        return False
    words = [word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    if words and words[-1] in _REFERENCES:
        return False
    return any(_is_secret_word(word) for word in words) or _JOINED.search("".join(words)) is not None


def _is_secret_word(word: str) -> bool:
    return word in _EXACT or any(
        word.removesuffix("s").endswith(known) or _alike(word, known) for known in _WORDS
    )


def _alike(word: str, known: str) -> bool:
    if abs(len(word) - len(known)) > 2 or len(word) < _SHORTEST_SECRET:
        return False
    return SequenceMatcher(None, word, known, autojunk=False).ratio() >= _NEAR


# Values


def shown_value(value: object) -> str:
    """Return a value's representation for an error, bounded in length and without credentials.

    Of a mapping or a list nothing but its kind is said: what is in it has names of its own.
    """
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    try:
        text = redact(repr(value))
    except (
        ValueError
    ):  # TOML's hexadecimal numbers have any length, and Python writes no more than 4,300 digits
        return "a number of thousands of digits"
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…"


def shown_at(place: str, value: object) -> str:
    """Return a value's representation for an error, as :func:`shown_value`; hidden if its place may hold a credential.

    Args:
        place: The path of its field, as ``spec.containers[0].env[1].value``; its last name counts.
        value: The value.
    """
    name = re.sub(r"\[[^\]]*\]$", "", place).rpartition(".")[2].rpartition("/")[2]
    return HIDDEN if looks_secret(name) else shown_value(value)


def veiled(value: Any, name: str = "") -> Any:
    """Return a value for a representation or a record: what has the name of a credential is hidden, text is redacted.

    A mapping stays a mapping and a list a list; an item ``{"name": …, "value": …}``, as a container's variable, counts
    by its name.

    Args:
        value: Plain data, or anything else, which is returned as it is.
        name: The name that it stands under.
    """
    if isinstance(value, Mapping):
        named = value.get("name")
        if isinstance(named, str) and "value" in value and looks_secret(named):
            return {**value, "value": HIDDEN}
        return {key: veiled(inner, str(key)) for key, inner in value.items()}
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(veiled(inner, name) for inner in value)
    if not isinstance(value, str | bytes) or not value:
        return value
    if name not in _SECTIONS and looks_secret(name):
        return HIDDEN
    return redact(value) if isinstance(value, str) and len(value) <= MAX_SHOWN_CHARS else value


def secrets_in(value: Any, name: str = "") -> Iterator[str]:
    """Give the texts in plain data that stand under the name of a credential, to be removed from other texts.

    Args:
        value: Plain data.
        name: The name that it stands under.
    """
    if isinstance(value, Mapping):
        named = value.get("name")
        for key, inner in value.items():
            yield from secrets_in(inner, named if key == "value" and isinstance(named, str) else str(key))
    elif isinstance(value, list | tuple):
        for before, inner in zip(("", *value), value, strict=False):
            flag = before if isinstance(before, str) and before.startswith("-") else ""
            yield from secrets_in(inner, flag or name)
    elif isinstance(value, str) and looks_secret(name):
        yield value

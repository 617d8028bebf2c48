"""All that a person may see of an error, and the check that no credential is in it."""

from __future__ import annotations

import base64
import contextlib
import traceback
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from hypothesis import strategies as st

# A beginning that no other text has, whatever follows; the characters are those that need escaping somewhere.
secrets = st.builds(
    lambda tail, end: f"zq9X{tail}{end}",
    st.text(alphabet="abcXYZ0189-._~+/=:@%&$!*()'\"\\#?,; \u00e9", min_size=4, max_size=20),
    st.sampled_from("abcXYZ019"),
)
"""Passwords of any kind."""

tokens = st.from_regex(r"zq9X[A-Za-z0-9._~+/-]{8,40}", fullmatch=True)
"""What may stand in the header ``Authorization`` (RFC 6750)."""

START = "zq9X"


def texts_of(error: BaseException) -> Iterator[str]:
    """Give what is shown of an error: by print, in a traceback with all causes, and in its attributes."""
    yield str(error)
    yield repr(error)
    yield "".join(traceback.format_exception(error))
    yield repr(vars(error))


def forms(secret: str) -> set[str]:
    """Return the spellings of a credential by which it can be had."""
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {secret, quote(secret, safe=""), encoded, repr(secret)[1:-1]}


def check(text: str, secret: str) -> None:
    """Assert that a text has neither the credential nor its beginning."""
    for form in (*forms(secret), START):
        assert form not in text, f"{form!r} shows in {text!r}"


def check_error(error: BaseException, secret: str) -> None:
    for text in texts_of(error):
        check(text, secret)


@contextlib.contextmanager
def raised(kind: type[BaseException], secret: str) -> Iterator[None]:
    """The block raises an error of this kind, in which no credential shows."""
    try:
        yield
    except kind as error:
        check_error(error, secret)
    else:
        raise AssertionError(f"no {kind.__name__} was raised")


Wording = Callable[[str], str]

ECHOES: dict[str, Wording] = {
    "header": lambda value: f"unexpected header Authorization: {value}",
    "bare": lambda value: f"the credentials {value.partition(' ')[2]} are not known here",
    "quoted": lambda value: f'invalid value "{value}" for authorization',
    "mapping": lambda value: str({"Authorization": value, "Accept": "x"}),
    "headers": lambda value: str([(b"authorization", value.encode())]),
    "encoded": lambda value: f"got {base64.b64encode(value.encode()).decode()}",
    "percent": lambda value: f"GET /?auth={quote(value, safe='')} failed",
    "beyond what is shown": lambda value: "x" * 1000 + " " + value * 100,
    "at the cut": lambda value: "word " * 818 + "Authorization: " + value,
}
"""How servers and proxies quote what was sent to them."""


def wordings(sent: Any) -> dict[str, str]:
    return {name: word(str(sent)) for name, word in ECHOES.items()}

"""Foreign text is shown bounded, printable and without credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.redaction import MAX_SHOWN_CHARS, redact, shown_origin


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNzd29yZA==", "basic ***"),
        ("cannot reach https://user:hunter2@host/x", "cannot reach https://***@host/x"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln from it", "got *** from it"),
        ('{"password": "hunter2", "a": 1}', '{"password": "***", "a": 1}'),
        ("token=hunter2&x=1", "token=***&x=1"),
        ("spec.volumes[0].secret: Required value", "spec.volumes[0].secret: Required value"),
        ("secrets is forbidden", "secrets is forbidden"),
        ("the bearer was wrong", "the bearer was wrong"),
        ("a\x00b\x1b[31mc\td", "a b [31mc\td"),
    ],
)
def test_credentials_and_control_characters_go(text, shown):
    assert redact(text) == shown


@given(st.text(max_size=5_000))
def test_the_length_is_bounded(text):
    assert len(redact(text)) <= MAX_SHOWN_CHARS


@given(st.from_regex(r"[A-Za-z0-9_-]{8,40}", fullmatch=True), st.text(max_size=50))
def test_no_bearer_token_stays(token, around):
    assert f"Bearer {token}" not in redact(f"{around} Bearer {token} {around}")


def test_megabytes_are_cut_before_they_are_searched():
    assert redact("eyJ" * 10_000_000).endswith("…")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:hunter2@api.example:6443/x?token=t", "https://api.example:6443"),
        ("http://[::1]:80/prefix", "http://[::1]:80"),
        ("https://api.example", "https://api.example"),
    ],
)
def test_an_origin_is_shown_without_the_rest(url, shown):
    assert shown_origin(url) == shown

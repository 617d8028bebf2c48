"""Foreign text is shown bounded, printable and without credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.redaction import (
    HIDDEN,
    MAX_SHOWN_CHARS,
    harmless,
    looks_secret,
    redact,
    redact_output,
    secrets_in,
    shown_origin,
    shown_value,
    veiled,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer ***"),
        ("basic dXNlcjpwYXNzd29yZA==", "basic ***"),
        ("cannot reach https://user:hunter2@host/x", "cannot reach https://***@host/x"),
        ("got eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln from it", "got *** from it"),
        ('{"password": "hunter2", "a": 1}', '{"password": "***", "a": 1}'),
        ("token=hunter2&x=1", "token=***&x=1"),
        ("access_token=hunter2", "access_token=***"),
        ('password = "hun ter2", x', 'password = "***", x'),
        ("login --client-secret hunter2 --now", "login --client-secret *** --now"),
        (r"{\"token\":\"hunter2\"}".replace("\\\\", "\\"), r"{\"token\":\"***\"}".replace("\\\\", "\\")),
        ('{"password": "hun\\"ter2"}', '{"password": "***"}'),
        ("{'Authorization': 'opaque', 'x': 1}", "{'Authorization': '***', 'x': 1}"),
        ("[(b'authorization', b'opaque')]", "[(b'authorization', b'***')]"),
        ("at https://u:p@ss@host:1/x?token=t.", "at https://***@host:1/x?***"),
        ("at https://u:p/q@host/x#f", "at https://***@host/x?***"),
        ('Get "https://10.0.0.1/api?timeout=10s": EOF', 'Get "https://10.0.0.1/api?***": EOF'),
        ("https://host:8443/x@y", "https://host:8443/x@y"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc", "-----BEGIN EC PRIVATE KEY-----***"),
        ("password: hunter2", "password: ***"),
        ("spec.password: Invalid value", "spec.password: Invalid value"),
        ("secretName: x", "secretName: x"),
        ("the authorization failed", "the authorization failed"),
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


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "pasword",
        "passwrd",
        "secert",
        "tokens",
        "sql_alchemy_conn",
        "sql_alchemy_con",
        "credentails",
        "gitPassword",
        "API_KEY",
        "apiKey",
        "AIRFLOW_CONN_X",
        "AWS_SECRET_ACCESS_KEY",
        "broker_url",
        "X-Auth-Token",
        "POSTGRESPASSWORD",
        "Authorization",
        "env",
        "credentials",
        "server_secret_key",
        "--client-secret",
    ],
)
def test_a_name_that_speaks_of_a_credential(name):
    assert looks_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "connections",
        "connect_timeout_s",
        "taken",
        "namespace",
        "section",
        "context",
        "annotations",
        "tolerations",
        "image_pull_secrets",
        "secretName",
        "tokenFile",
        "ssh_key_secret",
        "Accept",
        "PATH",
        "HOSTNAME",
        "",
    ],
)
def test_a_name_that_does_not(name):
    assert not looks_secret(name)


def test_a_known_credential_goes_in_each_spelling():
    """Also where no word says what it is."""
    basic = "Basic dTpodW50ZXIyL3g="  # u:hunter2/x
    text = "hunter2/x hunter2%2Fx aHVudGVyMi94 dTpodW50ZXIyL3g= Basic dTpodW50ZXIyL3g="
    assert redact(text, secrets=[basic, None, ""]).replace(HIDDEN, "").replace("Basic", "").strip(" =") == ""


def test_a_short_word_is_no_credential():
    assert redact("the abc of it", secrets=["abc"]) == "the abc of it"


def test_a_programs_output_loses_what_looks_like_a_token():
    said = "key AKIA0123456789ABCDEF of /home/me/.aws/config2016abcdefghij at sts.us-east-1.amazonaws.com"
    assert redact_output(said) == said.replace("AKIA0123456789ABCDEF", HIDDEN)


def test_a_cause_that_shows_a_credential_is_not_chained():
    plain, telling = ValueError("no route to host"), ValueError("token=hunter2")
    assert harmless(plain) is plain
    assert harmless(telling) is None
    outer = RuntimeError("failed")
    outer.__cause__ = telling
    assert harmless(outer) is None
    assert harmless(ValueError("hunter2 is wrong"), secrets=["hunter2"]) is None


def test_a_ring_of_causes_ends():
    first, second = ValueError("a"), ValueError("b")
    first.__cause__, second.__cause__ = second, first
    assert harmless(first) is first


def test_values_are_shown_without_what_is_in_them():
    assert shown_value({"a": "hunter2"}) == "a mapping"
    assert shown_value(["hunter2"]) == "a list"
    assert shown_value("http://u:hunter2@x") == "'http://***@x'"
    assert len(shown_value("x" * 1000)) == 80


def test_structures_keep_their_shape():
    data = {
        "env": [{"name": "DB_TOKEN", "value": "hunter2"}, {"name": "A", "value": "b"}],
        "n": 1,
        "t": ("x",),
    }
    assert veiled(data) == {
        "env": [{"name": "DB_TOKEN", "value": HIDDEN}, {"name": "A", "value": "b"}],
        "n": 1,
        "t": ("x",),
    }


def test_the_credentials_in_a_structure_are_found():
    data = {"args": ["--token", "hunter2", "x"], "env": [{"name": "API_KEY", "value": "abc"}], "name": "n"}
    assert [*secrets_in(data)] == ["hunter2", "abc"]

"""Who may see the board: hosts, tokens, cookies, methods."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.dashboard.access import Access, Verdict, host_of

TOKEN = "the-token"


def judge(access: Access, **request) -> Verdict:
    plain = {"method": "GET", "host": "127.0.0.1:8000", "cookies": "", "token": None}
    return access.judge(**{**plain, **request})


def cookie_of(access: Access) -> str:
    return access.cookie_header(path="/", secure=False).partition(";")[0]


@pytest.mark.parametrize(
    ("request_", "verdict"),
    [
        ({}, Verdict.UNKNOWN),
        ({"token": TOKEN}, Verdict.LET_IN),
        ({"token": TOKEN[:-1]}, Verdict.WRONG_TOKEN),
        ({"token": ""}, Verdict.WRONG_TOKEN),
        ({"token": "ü"}, Verdict.WRONG_TOKEN),
        ({"host": "evil.example:8000", "token": TOKEN}, Verdict.WRONG_HOST),
        ({"host": "127.0.0.1.evil.example", "token": TOKEN}, Verdict.WRONG_HOST),
        ({"host": "", "token": TOKEN}, Verdict.WRONG_HOST),
        ({"host": "LOCALHOST:1", "token": TOKEN}, Verdict.LET_IN),
        ({"host": "[::1]:8000", "token": TOKEN}, Verdict.LET_IN),
        ({"method": "POST", "token": TOKEN}, Verdict.WRONG_METHOD),
        ({"method": "DELETE"}, Verdict.WRONG_METHOD),
        ({"cookies": "podrunner-board-00000000=x"}, Verdict.UNKNOWN),
        ({"cookies": "=;;= \x00"}, Verdict.UNKNOWN),
    ],
)
def test_what_becomes_of_a_request(request_, verdict):
    assert judge(Access(TOKEN), **request_) is verdict


def test_the_cookie_lets_in_and_is_not_the_token():
    access = Access(TOKEN)
    assert TOKEN not in cookie_of(access)
    assert judge(access, cookies=f"other=1; {cookie_of(access)}") is Verdict.SERVE


def test_a_cookie_of_another_board_does_not_let_in():
    assert judge(Access(TOKEN), cookies=cookie_of(Access(TOKEN))) is Verdict.UNKNOWN


def test_a_cookie_does_not_help_under_another_name():
    access = Access(TOKEN)
    assert judge(access, cookies=cookie_of(access), host="evil.example") is Verdict.WRONG_HOST


def test_the_cookie_is_for_no_script_and_no_other_site():
    header = Access(TOKEN).cookie_header(path="/board/", secure=True)
    assert header.partition("; ")[2] == "Path=/board/; HttpOnly; SameSite=Lax; Secure"


def test_without_a_token_the_host_still_counts():
    access = Access(None, hosts=["jobs.example"])
    assert judge(access, host="jobs.example") is Verdict.SERVE
    assert judge(access) is Verdict.WRONG_HOST


@given(st.text(), st.text(), st.text() | st.none())
def test_no_request_makes_it_fail_or_lets_a_stranger_in(host, cookies, token):
    verdict = judge(Access(TOKEN), host=host, cookies=cookies, token=token)
    assert verdict is not Verdict.SERVE
    assert (verdict is Verdict.LET_IN) <= (token == TOKEN)


@pytest.mark.parametrize(
    ("header", "host"),
    [("a:1", "a"), ("a", "a"), ("[::1]:80", "[::1]"), ("[::1]", "[::1]"), ("A.B:1", "a.b"), ("", "")],
)
def test_the_host_without_its_port(header, host):
    assert host_of(header) == host

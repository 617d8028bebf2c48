"""Every answer of a server becomes the right error, which says whether to try again."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner import errors
from podrunner.kube.answers import (
    TransientKind,
    answer_error,
    is_transient,
    retry_after_s,
    status_error,
    transient_kind,
)
from podrunner.kube.gate import MAX_CLOSED_S


def answer(status, body=b"", **headers):
    return answer_error(status, headers, body, method="POST", path="/api/v1/pods", now_s=1_000_000_000.0)


def status_body(message, reason="", **details):
    return json.dumps(
        {"kind": "Status", "status": "Failure", "message": message, "reason": reason, "details": details}
    ).encode()


@pytest.mark.parametrize(
    ("status", "reason", "message", "kind", "cause"),
    [
        (400, "BadRequest", "malformed", errors.BadRequestError, None),
        (401, "Unauthorized", "Unauthorized", errors.UnauthorizedError, None),
        (403, "Forbidden", "pods is forbidden: User x cannot create", errors.ForbiddenError, None),
        (
            403,
            "Forbidden",
            "pods a is forbidden: exceeded quota: q",
            errors.QuotaExceededError,
            TransientKind.QUOTA,
        ),
        (
            403,
            "Forbidden",
            "pods a is forbidden: status unknown for quota: q, resources: pods",
            errors.QuotaExceededError,
            TransientKind.QUOTA,
        ),
        (
            403,
            "Forbidden",
            "pods a is forbidden: error looking up service account x/y: serviceaccount y not found",
            errors.ForbiddenError,
            TransientKind.ADMISSION,
        ),
        (
            403,
            "Forbidden",
            "pods a is forbidden: no PriorityClass with name urgent was found",
            errors.ForbiddenError,
            TransientKind.ADMISSION,
        ),
        (
            500,
            "",
            "insufficient quota to match these scopes: [{PriorityClass In [high]}]",
            errors.ServerError,
            TransientKind.ADMISSION,
        ),
        (
            403,
            "Forbidden",
            "pods a is forbidden: unable to create new content in namespace x because it is being terminated",
            errors.ForbiddenError,
            None,
        ),
        (404, "NotFound", "pods a not found", errors.NotFoundError, None),
        (408, "", "timeout", errors.ApiError, TransientKind.SERVER),
        (409, "AlreadyExists", "pods a already exists", errors.AlreadyExistsError, None),
        (409, "Conflict", "the object has been modified", errors.ConflictError, None),
        (
            409,
            "Conflict",
            'Operation cannot be fulfilled on resourcequotas "q": the object has been modified',
            errors.ConflictError,
            TransientKind.CONFLICT,
        ),
        (410, "Expired", "too old resource version", errors.GoneError, None),
        (413, "", "too large", errors.RequestTooLargeError, None),
        (422, "Invalid", "spec.containers: Required value", errors.InvalidError, None),
        (429, "TooManyRequests", "slow down", errors.TooManyRequestsError, TransientKind.THROTTLED),
        (500, "InternalError", "etcdserver: leader changed", errors.ServerError, TransientKind.SERVER),
        (500, "", "etcdserver: request is too large", errors.RequestTooLargeError, None),
        (
            500,
            "",
            "rpc error: code = ResourceExhausted desc = trying to send message larger than max (3 vs. 2)",
            errors.RequestTooLargeError,
            None,
        ),
        (
            500,
            "InternalError",
            "failed calling webhook a.b: failed to call webhook: connection refused",
            errors.ServerError,
            TransientKind.SERVER,
        ),
        (501, "", "not implemented", errors.ServerError, None),
        (503, "ServiceUnavailable", "starting", errors.ServerError, TransientKind.SERVER),
        (504, "Timeout", "etcd", errors.ServerError, TransientKind.SERVER),
    ],
)
def test_status_and_message_decide_the_class_and_whether_to_try_again(status, reason, message, kind, cause):
    """L3, L4, L6, L11, L12: the one table of retries."""
    error = answer(status, status_body(message, reason))
    assert type(error) is kind
    assert (error.status, error.reason, error.server_message) == (status, reason, message)
    assert transient_kind(error) is cause
    assert is_transient(error) is (cause is not None)


def test_a_quota_conflict_is_also_recognised_by_its_details():
    """L4."""
    conflict = answer(409, status_body("modified", "Conflict", kind="resourcequotas"))
    assert transient_kind(conflict) is TransientKind.CONFLICT


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (errors.TransportError("broken"), True),
        (errors.RequestTimeoutError("late"), True),
        (errors.SpecError("bad"), False),
        (errors.ConfigError("bad"), False),
        (errors.ExecError("bad"), False),
        (ValueError("bad"), False),
    ],
)
def test_errors_that_are_no_answers_have_their_place_in_the_table(error, expected):
    assert is_transient(error) is expected


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", ""),
        (b"slow down\n", "slow down"),
        (b"<html><style>x{}</style><h1>502</h1> Bad <b>Gateway</b></html>", "502 Bad Gateway"),
        (b'{"kind":"Status","mess', '{"kind":"Status","mess'),
        (b"[1, 2]", "[1, 2]"),
        (b"null", "null"),
        (b"\xff\xfeoops", "\ufffd\ufffdoops"),
        (b'{"message": 3, "reason": {}, "details": []}', '{"message": 3, "reason": {}, "details": []}'),
    ],
)
def test_any_body_is_survived(body, shown):
    """L5."""
    error = answer(503, body)
    assert type(error) is errors.ServerError
    assert error.server_message == shown
    assert error.details == {}


@given(st.integers(400, 599), st.binary(max_size=200))
def test_no_body_whatever_breaks_the_translation(status, body):
    """L5."""
    error = answer(status, body)
    assert error.status == status
    assert len(str(error)) < 2_000


def test_a_message_is_bounded_and_redacted():
    error = answer(403, status_body("token: Bearer abcdefghijklmnop " + "x" * 100_000))
    assert len(error.server_message) <= 1024
    assert "abcdefghijklmnop" not in str(error)


def test_deeply_nested_json_is_survived():
    assert answer(500, b'{"a":' * 200_000).status == 500


def test_a_redirect_says_where_to():
    assert "https://login.example" in answer(302, b"", Location="https://login.example/").server_message


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, None),
        ("", None),
        ("3", 3.0),
        (" 1.5 ", 1.5),
        ("0", None),
        ("-3", None),
        ("soon", None),
        ("Sun, 09 Sep 2001 01:47:10 GMT", 30.0),
        ("Sun, 09 Sep 2001 01:47:10 -0000", 30.0),
        ("Sun, 09 Sep 2001 01:00:00 GMT", 0.0),
        ("Sun, 99 Sep 9999 99:99:99 GMT", None),
        ("3600", 60.0),
        ("9" * 400, 60.0),
        ("1e400", None),
        ("NaN", None),
        ("inf", None),
        ("-1", None),
        ("0.0", None),
        ("Thu, 01 Jan 2099 00:00:00 GMT", 60.0),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 60.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0.0),
        ("Sun, 09 Sep 2001 01:47:10 +9999", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(header, expected):
    """H5, RFC 9110, 10.2.3: never longer than a minute."""
    assert retry_after_s(header, now_s=1_000_000_000.0) == expected


@given(
    st.one_of(
        st.text(max_size=80), st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,3} [A-Z][a-z]{2} \d{1,6} .{0,20}\Z")
    )
)
def test_no_retry_after_whatever_breaks_the_translation(header):
    """H5."""
    wait_s = retry_after_s(header, now_s=1_000_000_000.0)
    assert wait_s is None or 0 <= wait_s <= MAX_CLOSED_S


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(3600, "3600 s"), (61.4, "61 s"), (10**30, "more than 10^12 s"), (1e300, "more than 10^12 s")],
)
def test_a_wait_that_is_limited_is_said_so(asked, shown):
    """H5: of a header, a Status, and a Status in a stream; what was asked and what is done."""
    body = status_body("slow", "TooManyRequests", retryAfterSeconds=asked)
    document = json.loads(body)
    errors_ = [answer(429, body), status_error(document, method="GET", path="/x")]
    if asked == 3600:
        errors_.append(answer(429, b"slow", **{"Retry-After": "3600"}))
    for error in errors_:
        assert error.retry_after_s == MAX_CLOSED_S
        assert str(error).endswith(f"slow (the server asks to wait {shown}, which is limited to 60 s)")


def test_a_wait_within_the_limit_is_not_mentioned():
    assert "limited" not in str(answer(429, b"slow", **{"Retry-After": "60"}))


def test_the_wait_is_taken_from_the_header_else_from_the_status():
    body = status_body("slow", "TooManyRequests", retryAfterSeconds=7)
    assert answer(429, body, **{"Retry-After": "2"}).retry_after_s == 2.0
    assert answer(429, body).retry_after_s == 7.0
    assert answer(429, status_body("slow", retryAfterSeconds=True)).retry_after_s is None


@pytest.mark.parametrize(
    ("document", "kind", "status"),
    [
        ({"code": 410, "reason": "Expired"}, errors.GoneError, 410),
        ({"reason": "Gone"}, errors.GoneError, 410),
        ({"reason": "TooManyRequests"}, errors.TooManyRequestsError, 429),
        ({"reason": "Whatever"}, errors.ServerError, 500),
        ({}, errors.ServerError, 500),
        ("no object", errors.ServerError, 500),
        (None, errors.ServerError, 500),
    ],
)
def test_a_status_inside_a_stream_is_read_leniently(document, kind, status):
    """W1: an ERROR event may lack its code."""
    error = status_error(document, method="GET", path="/x")
    assert (type(error), error.status) == (kind, status)

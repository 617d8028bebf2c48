"""A right that was there before and is missing now is a transient error; one that never was is an error at once."""

from __future__ import annotations

import pytest
from podrunner.config import RetrySettings
from podrunner.errors import ForbiddenError
from podrunner.kube.answers import TransientKind, is_transient
from podrunner.kube.retry import RequestRetry
from podrunner.kube.rights import KnownRights

PODS = "/api/v1/namespaces/n/pods"
REFUSED = 'pods is forbidden: User "system:serviceaccount:n:podrunner" cannot create resource "pods" in API group ""'


def judged(allowed: list[tuple[str, str]], method: str, target: str, message: str = REFUSED) -> bool:
    rights = KnownRights()
    for each in allowed:
        rights.note(*each)
    path = target.partition("?")[0]
    error = ForbiddenError(status=403, server_message=message, method=method, path=path)
    rights.judge(error, target, now_s=0.0)
    assert is_transient(error) is error.was_allowed
    return error.was_allowed


@pytest.mark.parametrize(
    ("method", "before", "now"),
    [
        ("POST", f"{PODS}?fieldValidation=Strict", PODS),
        ("DELETE", f"{PODS}/a", f"{PODS}/b"),
        ("GET", f"{PODS}/a/log?follow=true", f"{PODS}/b/log"),
        ("GET", "/api/v1/pods?watch=true&resourceVersion=7", "/api/v1/pods?watch=true&resourceVersion=9"),
        ("GET", "/api/v1/pods?limit=500", "/api/v1/pods?limit=500&continue=x"),
    ],
)
def test_what_was_allowed_before_is_allowed_again_in_a_moment(method, before, now):
    assert judged([(method, before)], method, now)


@pytest.mark.parametrize(
    ("method", "before", "now"),
    [
        ("POST", PODS, PODS.replace("/n/", "/other/")),
        ("GET", PODS, f"{PODS}/a"),
        ("GET", f"{PODS}/a", f"{PODS}/a/log"),
        ("GET", f"{PODS}/a", PODS),
        ("GET", f"{PODS}/a", "/api/v1/pods"),
        ("GET", PODS, f"{PODS}?watch=true"),
        ("GET", f"{PODS}?watch=true", PODS),
    ],
)
def test_another_right_is_another_right(method, before, now):
    assert not judged([(method, before), ("PATCH", now)], method, now)


@pytest.mark.parametrize("reason", ["", 'RBAC: clusterrole.rbac.authorization.k8s.io "x" not found'])
def test_the_second_verb_of_an_exec_is_a_right_too(reason):
    """Since 1.35 exec needs ``create`` beside ``get``, and says so in another message."""
    exec_ = f"{PODS}/a/exec"
    assert judged([("GET", exec_)], "GET", f"{exec_}?command=ls", f'pods "a" is forbidden: {reason}')
    assert not judged(
        [("GET", exec_)], "GET", exec_, 'pods "a" is forbidden: admission webhook "x" denied it'
    )
    assert not judged([("GET", f"{PODS}/a")], "GET", f"{PODS}/a", 'pods "a" is forbidden: ')


@pytest.mark.parametrize(
    "message",
    ["pods is forbidden: violates PodSecurity", 'admission webhook "x" denied the request', ""],
)
def test_what_admission_refuses_is_refused_for_good(message):
    """L6, L9."""
    assert not judged([("POST", PODS)], "POST", PODS, message)


def refused_after(*, allowed: bool, waited_s: float, message: str = REFUSED) -> bool:
    """Whether a right that was never used is taken for one that the server does not know yet."""
    rights = KnownRights()
    if allowed:
        rights.note("POST", PODS)
    rights.interrupted(100.0)
    error = ForbiddenError(status=403, server_message=message, method="GET", path=f"{PODS}/a")
    rights.judge(error, f"{PODS}/a", now_s=100.0 + waited_s)
    return error.was_allowed


def test_after_a_request_without_an_answer_the_server_may_not_know_any_right_yet():
    """L1: the reply to a create was lost in a restart; looking for the pod is refused at first."""
    assert refused_after(allowed=True, waited_s=1)
    assert not refused_after(allowed=False, waited_s=1), "credentials that never had a right"
    assert not refused_after(allowed=True, waited_s=31), "it had the time to read them"
    assert not refused_after(allowed=True, waited_s=1, message='admission webhook "x" denied the request')


def test_it_is_tried_a_few_times_even_where_all_else_is_tried_for_ever():
    endless = RequestRetry.of(RetrySettings(attempts=0)).backoffs
    assert (endless[TransientKind.RIGHTS].attempts, endless[TransientKind.SERVER].attempts) == (6, 0)
    assert RequestRetry.of(RetrySettings(attempts=3)).backoffs[TransientKind.RIGHTS].attempts == 3


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("/api/v1/namespaces/pods/pods", "/api/v1/namespaces/pods/secrets"),
        ("/api/v1/namespaces/a/pods/p", "/api/v1/namespaces/b/pods/p"),
        ("/api/v1/namespaces/a/pods/p", "/api/v1/namespaces/a/pods/p/log"),
        ("/api/v1/namespaces/a/pods", "/api/v1/namespaces/a/pods/p"),
        ("/api/v1/namespaces/a/secrets/s", "/api/v1/namespaces/a/pods/p"),
        ("/api/v1/pods", "/api/v1/pods?watch=true"),
    ],
)
def test_each_right_is_noted_though_another_was_noted_just_before(first, second):
    """Only another pod of the same namespace, and the very same request, need no second look."""
    known, alone = KnownRights(), KnownRights()
    for target in (first, "/api/v1/namespaces/a/pods/q", second):
        known.note("GET", target)
    for target in ("/api/v1/namespaces/a/pods/q", second, first):
        alone._newest.clear()
        alone.note("GET", target)
    assert known._allowed == alone._allowed

"""Which requests a rule applies to, how often, and what it says."""

from __future__ import annotations

import json

import pytest
from podrunner.errors import UsageError
from podrunner.testing.faults import Faults
from podrunner.testing.faults.rules import Asked, read_target

PODS = "/api/v1/namespaces/n/pods"


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        (PODS, Asked("GET", "pods", "n")),
        ("/api/v1/pods?limit=5", Asked("GET", "pods")),
        (f"{PODS}/p", Asked("GET", "pods", "n", "p")),
        (f"{PODS}/p/log?follow=1", Asked("GET", "pods/log", "n", "p")),
        (f"{PODS}?watch=1&resourceVersion=7", Asked("GET", "pods", "n", "", watch=True)),
        (f"{PODS}?watch=0", Asked("GET", "pods", "n")),
        ("/apis/coordination.k8s.io/v1/namespaces/n/leases/l", Asked("GET", "leases", "n", "l")),
        ("/api/v1/namespaces/n", Asked("GET", "namespaces", "", "n")),
        ("/version", Asked("GET", "/version")),
    ],
)
def test_a_request_line_is_understood(target: str, asked: Asked):
    assert read_target("GET", target) == asked


def done(faults: Faults, target: str = PODS, method: str = "POST") -> str:
    effect = faults.decide(read_target(method, target))
    return effect.fault if effect is not None else ""


def test_a_rule_is_followed_as_often_as_it_says_and_counted():
    faults = Faults().on("POST", "pods").lose_reply(times=2)
    assert [done(faults) for _ in range(4)] == ["lose-reply", "lose-reply", "", ""]
    assert faults.counts == {"lose-reply": 2, "passed": 2}
    assert faults.requests == {("POST", "pods"): 4}


def test_the_first_rule_that_applies_is_followed():
    faults = Faults()
    faults.on("POST", "pods").answer(500)
    faults.on("POST").answer(429, times=None)
    assert [done(faults) for _ in range(3)] == ["answer-500", "answer-429", "answer-429"]
    faults.clear()
    assert not done(faults)


def test_others_pass():
    faults = Faults()
    faults.on("POST", "pods", name="a*", namespace="n").drop(times=None)
    faults.on("GET", "pods", watch=True).gone()
    assert not done(faults, method="GET")
    assert not done(faults, PODS)
    assert not done(faults, "/api/v1/namespaces/m/pods/ab")
    assert done(faults, f"{PODS}/ab") == "drop"
    assert done(faults, f"{PODS}?watch=1", "GET") == "answer-410"
    assert faults.requests["WATCH", "pods"] == 1


def test_some_pass_first_then_every_third_fails():
    faults = Faults().on("POST", "pods", skip=1, every=3).drop(times=None)
    assert [bool(done(faults)) for _ in range(7)] == [False, False, False, True, False, False, True]


def test_a_share_is_the_same_for_the_same_seed():
    def drawn(seed: int) -> list[bool]:
        faults = Faults(seed).on("POST", share=0.3).drop(times=None)
        return [bool(done(faults)) for _ in range(200)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert 30 < sum(drawn(1)) < 90


@pytest.mark.parametrize("wrong", [{"every": 0}, {"share": 1.5}, {"share": -1}])
def test_nonsense_is_refused(wrong: dict[str, float]):
    with pytest.raises(UsageError, match=r"every=.* share="):
        Faults().on(**wrong)


def test_an_error_has_kubernetes_own_body_unless_another_is_given():
    faults = Faults()
    faults.on().answer(429, retry_after_s=7)
    faults.on().answer(429, "slow down")
    faults.on().answer(200, {"kind": "PodList"})
    faults.on().answer(200)
    asked = read_target("GET", PODS)
    answers = [effect.answer for effect in (faults.decide(asked) for _ in range(4)) if effect]
    (status, headers, body), plain, mapping, empty = answers
    assert (status, headers["Retry-After"], json.loads(body)["reason"]) == (429, "7", "TooManyRequests")
    assert plain == (429, {"Content-Type": "text/plain"}, b"slow down")
    assert mapping is not None
    assert json.loads(mapping[2]) == {"kind": "PodList"}
    assert empty is not None
    assert empty[2] == b""

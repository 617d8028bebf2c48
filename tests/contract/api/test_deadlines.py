"""Changes of a pod's ``activeDeadlineSeconds``: it can be set and lowered, and nothing else."""

from __future__ import annotations

import re

import pytest

from .conftest import STRATEGIC


def deadline(seconds):
    return {"spec": {"activeDeadlineSeconds": seconds}}


@pytest.mark.parametrize("media", ["application/merge-patch+json", STRATEGIC])
def test_a_deadline_is_set_and_lowered(api, gated_pod, media):
    """Each change raises the generation; a pod without a node stays as it is."""
    generation = api.made("pods", gated_pod("p"))["metadata"]["generation"]
    for seconds in (500, 400, 1):
        pod = api.ok(api.patch("pods", "p", deadline(seconds), media=media))
        generation += 1
        assert pod["spec"]["activeDeadlineSeconds"] == seconds
        assert pod["metadata"]["generation"] == generation
    assert api.ok(api.get("pods", "p"))["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (41, "Invalid value: 41: must be less than or equal to previous value"),
        (None, "Invalid value: null: must not update from a positive integer to nil value"),
        (0, "Invalid value: 0: must be between 1 and 2147483647, inclusive"),
        (-1, "Invalid value: -1: must be between 1 and 2147483647, inclusive"),
    ],
)
def test_a_deadline_is_not_raised_or_unset(api, gated_pod, seconds, words):
    api.made("pods", gated_pod("p", activeDeadlineSeconds=40))
    refused = api.patch("pods", "p", deadline(seconds))
    assert refused.status_code == 422
    message = refused.json()["message"]
    assert re.match(r'Pod "p" is invalid: \[?spec\.activeDeadlineSeconds: Invalid value: ', message)
    assert words in message
    assert refused.json()["details"]["causes"][0]["field"] == "spec.activeDeadlineSeconds"


def test_a_deadline_that_is_lowered_with_something_else_is_refused(api, gated_pod):
    """The whole patch, with the fields that may change."""
    api.made("pods", gated_pod("p"))
    refused = api.patch(
        "pods", "p", {"spec": {"activeDeadlineSeconds": 1, "terminationGracePeriodSeconds": 1}}
    )
    assert refused.status_code == 422
    assert "pod updates may not change fields other than" in refused.json()["message"]
    assert "activeDeadlineSeconds" not in api.ok(api.get("pods", "p"))["spec"]

"""Suggestions for misspelt names."""

from __future__ import annotations

import pytest
from podrunner.spelling import did_you_mean, misspelt_name


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("imgae", "Did you mean 'image'?"),
        ("IMAGE", "Did you mean 'image'?"),
        ("namespaec", "Did you mean 'Namespace'?"),
        ("zzz", None),
    ],
)
def test_the_nearest_name_is_suggested_whatever_its_case(name, suggestion):
    assert did_you_mean(name, ["image", "Namespace"]) == suggestion


def test_without_names_there_is_no_suggestion():
    assert did_you_mean("image", []) is None


KNOWN = ("restartPolicy", "volumes", "hostIPs", "tty")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("restartPolcy", "restartPolicy"),
        ("restart_policy", "restartPolicy"),
        ("RESTARTPOLICY", "restartPolicy"),
        ("restratPolciy", "restartPolicy"),
        ("volume", "volumes"),
        ("tyt", "tty"),
        ("ttyxy", None),
        ("xty1", None),
        ("restartPolicyRules", None),
        ("", None),
    ],
)
def test_a_name_that_certainly_means_another(name, meant):
    assert misspelt_name(name, KNOWN) == meant

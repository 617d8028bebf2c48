"""Images that cannot be pulled."""

from __future__ import annotations

import pytest
from podrunner import Category, Fault

pytestmark = pytest.mark.anyio


async def test_a_pull_that_keeps_failing(outcome_of, workload, pods):
    """P1: after the grace period the outcome has the cause, and the pod is deleted."""
    wanted = workload("true", image="localhost/nowhere:1", image_pull_policy="IfNotPresent")
    outcome = await outcome_of(wanted, pending={"image_grace_s": 2})
    assert (outcome.category, outcome.started) == (Category.IMAGE, False)
    assert outcome.reason in {"ErrImagePull", "ImagePullBackOff"}
    assert outcome.fault is Fault.INFRASTRUCTURE, "no registry listens at this address"
    assert "localhost/nowhere:1" in outcome.message
    assert pods() == []


async def test_an_image_that_may_not_be_pulled(outcome_of, workload, pods):
    """P1: with the policy Never there is no grace period."""
    wanted = workload("true", image="localhost/nowhere:1", image_pull_policy="Never")
    outcome = await outcome_of(wanted, pending={"image_grace_s": 300})
    assert (outcome.category, outcome.reason) == (Category.IMAGE, "ErrImageNeverPull")
    assert outcome.fault is Fault.CONFIGURATION
    assert pods() == []


async def test_an_invalid_image_name(outcome_of, workload, pods):
    """P1: an invalid name has no grace period: it is no failure of a registry."""
    outcome = await outcome_of(workload("true", image="NOT/A:name:1"), pending={"image_grace_s": 300})
    assert (outcome.category, outcome.reason) == (Category.IMAGE, "InvalidImageName")
    assert outcome.fault is Fault.CONFIGURATION
    assert pods() == []

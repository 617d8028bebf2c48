"""Which Leases are left over of runners that were killed."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from podrunner.ownership.leases import given_back, lease_name, new_owner
from podrunner.ownership.leftovers import OldLease, covers, old_lease
from podrunner.ownership.revocation import without_holder

NOW = dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC)
OWNER = "runner-0123456789ab"


def lease(*, ended_s: float, owner: str = OWNER, duration_s: int = 60, **changes: Any) -> dict[str, Any]:
    """Return a Lease that ran out so many seconds ago."""
    renewed = NOW - dt.timedelta(seconds=ended_s + duration_s)
    return {
        "metadata": {
            "name": lease_name(owner),
            "resourceVersion": "7",
            "annotations": {"podrunner.io/owner": owner, "podrunner.io/namespaces": "a,b"},
        },
        "spec": {
            "holderIdentity": f"{owner}_1",
            "leaseDurationSeconds": duration_s,
            "renewTime": renewed.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        },
    } | changes


def test_one_that_ran_out_long_ago_is_left_over():
    """H10: long means as much time again as it lasted, and the difference of clocks."""
    assert old_lease(lease(ended_s=65), now=NOW) == OldLease(OWNER, lease_name(OWNER), "7", ("a", "b"))
    assert old_lease(lease(ended_s=64.9), now=NOW) is None


@pytest.mark.parametrize("ended_s", [-60, -1, 0, 5, 30])
def test_one_that_is_live_or_ran_out_just_now_is_none(ended_s: float):
    """H10."""
    assert old_lease(lease(ended_s=ended_s), now=NOW) is None


@pytest.mark.parametrize(
    "owner", ["scheduler", "runner-1", "runner-0123456789AB", "runner-0123456789abc", "Runner-0123456789ab"]
)
def test_a_name_that_was_given_is_none(owner: str):
    """H10: its program comes back under it, and goes on with that Lease."""
    assert old_lease(lease(ended_s=10_000, owner=owner), now=NOW) is None


@pytest.mark.parametrize("owner", [OWNER, "scheduler"])
def test_one_that_was_given_back_is_left_over_at_once(owner: str):
    """H10: its runner left logs that are not read to their ends, and says that it is gone."""
    given = given_back(lease(ended_s=-60, owner=owner))
    assert old_lease(given, now=NOW) == OldLease(owner, lease_name(owner), "7", ("a", "b"))


def test_one_that_was_revoked_is_not_given_back():
    """H10: its owner may live, and write for some moments."""
    assert old_lease(without_holder(lease(ended_s=-60)), now=NOW) is None


def test_a_generated_name_is_recognised():
    """H10."""
    assert old_lease(lease(ended_s=10_000, owner=new_owner()), now=NOW) is not None


@pytest.mark.parametrize(
    "changes",
    [
        {"spec": {}},
        {"spec": None},
        {"metadata": None},
        {"metadata": {"name": lease_name(OWNER)}},
        {"metadata": {"name": "another", "annotations": {"podrunner.io/owner": OWNER}}},
        {"metadata": {"name": lease_name(OWNER), "annotations": {"podrunner.io/owner": 7}}},
    ],
)
def test_one_that_is_not_as_podrunner_writes_it_is_none(changes: dict[str, Any]):
    """H10: what is not understood is not deleted."""
    assert old_lease(lease(ended_s=10_000, **changes), now=NOW) is None


@pytest.mark.parametrize(
    ("watched", "used", "seen"),
    [
        ([None], ("a", "b"), True),
        ([None], ("*",), True),
        ([None], None, True),
        (["a", "b", "c"], ("a", "b"), True),
        (["a"], ("a", "b"), False),
        (["a"], ("*",), False),
        (["a"], None, False),
    ],
)
def test_only_who_sees_all_its_namespaces_may_judge(watched: Any, used: Any, seen: bool):  # noqa: FBT001
    """H10: elsewhere there may be pods of that runner."""
    assert covers(watched, used) is seen

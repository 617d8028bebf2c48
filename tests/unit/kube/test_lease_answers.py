"""Leases as the server answers them: what has another shape is an error of the server, and no fault of ours."""

from __future__ import annotations

import json

import pytest
from podrunner.errors import TransportError
from podrunner.kube.lease_answers import decode_lease, decode_leases

LEASE = {
    "kind": "Lease",
    "metadata": {"name": "a", "resourceVersion": "5", "managedFields": [{}]},
    "spec": {"holderIdentity": "a", "leaseDurationSeconds": 60, "renewTime": "2026-11-01T10:00:00.000000Z"},
}
MISSHAPEN = [
    {},
    {"metadata": 7},
    {"metadata": {}},
    {"metadata": {"resourceVersion": 5}},
    {"metadata": {"resourceVersion": "5", "labels": ["a"]}},
    {"metadata": {"resourceVersion": "5"}, "spec": "ü"},
    {"metadata": {"resourceVersion": "5"}, "spec": {"leaseDurationSeconds": "long"}},
]


@pytest.mark.parametrize("found", [LEASE, {"metadata": LEASE["metadata"]}, {**LEASE, "spec": None}])
def test_a_lease_is_whole(found):
    """With the fields that are read nowhere: it is sent back with them."""
    assert decode_lease(json.dumps(found).encode()) == found


@pytest.mark.parametrize("found", MISSHAPEN)
def test_what_is_no_lease_is_an_error_of_the_server(found):
    with pytest.raises(TransportError, match="is not a Lease"):
        decode_lease(json.dumps(found).encode())


@pytest.mark.parametrize("found", MISSHAPEN)
def test_a_list_with_an_item_that_is_no_lease_says_nothing(found):
    """A Lease that is left out would be one that is not there: its runner's pods would be adopted."""
    page = {"metadata": {"resourceVersion": "9"}, "items": [LEASE, found]}
    with pytest.raises(TransportError, match="is not a Lease"):
        decode_leases(json.dumps(page).encode())

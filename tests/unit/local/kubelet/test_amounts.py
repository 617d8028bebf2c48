"""Quotients of quantities, requests of whole pods, durations as Go prints them, growing waits."""

from __future__ import annotations

from decimal import Decimal

import pytest
from podrunner.local.kubelet.amounts import divided, go_duration, pod_requests
from podrunner.local.kubelet.restart_backoff import RestartBackoff


def test_division_rounds_up():
    assert divided("1500m", "1") == "2"
    assert divided("1Gi", "1Mi") == "1024"
    assert divided("1", "0") == "1"


def test_a_pod_takes_its_containers_or_its_hungriest_init_container():
    spec = {
        "containers": [
            {"resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}},
            {"resources": {"limits": {"nvidia.com/gpu": 1}}},
        ],
        "initContainers": [
            {"resources": {"requests": {"cpu": "3"}}},
            {"restartPolicy": "Always", "resources": {"requests": {"memory": "1Gi"}}},
        ],
        "overhead": {"cpu": "500m"},
    }
    assert pod_requests(spec) == {
        "cpu": Decimal("3.5"),
        "memory": Decimal(2 << 30),
        "nvidia.com/gpu": Decimal(1),
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.02, "20ms"),
        (1, "1s"),
        (1.5, "1.5s"),
        (10, "10s"),
        (80, "1m20s"),
        (300, "5m0s"),
        (3661, "1h1m1s"),
    ],
)
def test_durations_are_printed_as_go_does(seconds, text):
    assert go_duration(seconds) == text


def test_waits_double_to_a_bound_and_start_again_after_health():
    """None at first; 10, 20, 40 … 300; again none after twice the bound."""
    backoff, now, waits = RestartBackoff(10, 300), 0.0, []
    for _ in range(8):
        wait = backoff.failed(now)
        waits.append(wait)
        now += wait + 1
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]
    assert backoff.failed(now + 601) == 0

"""Resource seconds: what a pod has asked for, times the seconds of its run."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from podrunner.outcome import Timings, requested_of, with_resource_seconds
from podrunner.outcome.record import Pod
from podrunner.outcome.resources import Requested

TIMINGS = Timings(started="2026-01-01T00:00:00Z", finished="2026-01-01T00:00:10Z")


def pod(*containers: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **spec: Any) -> Pod:
    listed = [{"name": f"c{number}", "resources": each} for number, each in enumerate(containers)]
    return msgspec.convert({"spec": {"containers": listed, "initContainers": [*init], **spec}}, Pod)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"requests": {"cpu": "500m", "memory": "1Gi"}}, Requested(0.5, 2**30, 0)),
        ({"requests": {"cpu": 2}, "limits": {"cpu": "4", "memory": "1k"}}, Requested(2, 1000, 0)),
        ({"limits": {"nvidia.com/gpu": "2"}}, Requested(0, 0, 2)),
        ({"limits": {"gpu.intel.com/i915": "1", "nvidia.com/mig-1g.5gb": 3}}, Requested(0, 0, 4)),
        ({"limits": {"gpu.intel.com/xe": 1, "gpu.intel.com/memory.max": "4G"}}, Requested(0, 0, 1)),
        ({"limits": {"gpu.intel.com/i915_monitoring": 1, "gpu.intel.com/millicores": 500}}, Requested()),
        ({"limits": {"example.com/gpuless": "7", "ephemeral-storage": "1Gi"}}, Requested()),
        ({"requests": {"cpu": "a lot", "memory": None}}, Requested()),
        ({"requests": {"cpu": "1e400"}}, Requested(2.0**63)),
    ],
)
def test_what_a_container_asks_for(asked, expected):
    assert requested_of(pod(asked)) == expected


def test_containers_and_native_sidecars_count_and_init_containers_do_not():
    asked = {"requests": {"cpu": "1"}}
    sidecar = {"name": "s", "restartPolicy": "Always", "resources": asked}
    first = {"name": "i", "resources": asked}
    assert requested_of(pod(asked, asked, init=(sidecar, first))).cpu_cores == 3


def test_what_the_pod_asks_for_as_a_whole_counts_instead():
    whole = {"requests": {"cpu": "3"}}
    assert requested_of(pod({"requests": {"cpu": "1", "memory": "5"}}, resources=whole)) == Requested(3, 5, 0)


def test_a_pod_without_a_spec_asks_for_nothing():
    assert requested_of(Pod()) == Requested()


def test_requests_are_multiplied_by_the_seconds_of_the_run():
    timings = with_resource_seconds(TIMINGS, pod({"requests": {"cpu": "500m", "memory": "10"}}))
    assert (timings.cpu_core_s, timings.memory_byte_s, timings.gpu_s) == (5.0, 100.0, 0.0)
    assert timings == TIMINGS, "they are no stamps of the cluster"
    assert timings.to_dict()["cpu_core_s"] == 5.0


def test_of_a_run_of_unknown_length_nothing_is_known():
    timings = with_resource_seconds(Timings(), pod({"requests": {"cpu": "1"}}))
    assert (timings.cpu_core_s, timings.memory_byte_s, timings.gpu_s) == (None, None, None)


def test_what_was_measured_stays():
    measured = Timings(created="2026-01-01T00:00:00Z", measured_queue_s=1.5, measured_run_s=2.5)
    timings = with_resource_seconds(measured, pod({"requests": {"cpu": "2"}}))
    assert (timings.measured_queue_s, timings.run_s, timings.cpu_core_s) == (1.5, 2.5, 5.0)
    assert timings == measured

"""Whether a pod whose containers have ended is still to say why."""

from __future__ import annotations

import pytest
from msgspec.structs import replace
from podrunner.outcome import awaits_final_status, classify
from podrunner.outcome.record import ContainerSpec, Pod
from tests.support.pods import ended, pod, runs, waits

PROXY = (ContainerSpec(name="proxy", restart_policy="Always"),)


def with_deadline(record: Pod, limit_s: int) -> Pod:
    return replace(
        record,
        spec=replace(record.spec, active_deadline_seconds=limit_s),
        status=replace(record.status, start_time="2026-01-01T00:00:05Z"),
    )


CASES = {
    "killed, without a reason": (pod("Running", ended("base", 137)), True),
    "all of several killed": (pod("Running", ended("base", 143), ended("side", 137)), True),
    "with its native sidecar": (
        pod("Running", ended("base", 143), init=(ended("proxy", 0),), init_containers=PROXY),
        True,
    ),
    "0 after the deadline": (with_deadline(pod("Running", ended("base", end=10)), 4), True),
    "0": (pod("Running", ended("base")), False),
    "0 before the deadline": (with_deadline(pod("Running", ended("base", end=10)), 60), False),
    "it was said": (pod("Failed", ended("base", 137), reason="Evicted"), False),
    "nothing more will be said": (pod("Failed", ended("base", 137)), False),
    "ended by its deletion": (pod("Running", ended("base", 143, end=10), deleted_at=8), False),
    "ended before it was deleted": (pod("Running", ended("base", 137, end=6), deleted_at=8), True),
    "a sidecar runs on": (pod("Running", ended("base", 3), runs("side")), False),
    "a native sidecar runs on": (
        pod("Running", ended("base", 3), init=(runs("proxy"),), init_containers=PROXY),
        False,
    ),
}


@pytest.mark.parametrize(("record", "due"), CASES.values(), ids=CASES)
def test_the_final_status_is_awaited_when_all_containers_have_ended(record: Pod, *, due: bool):
    """A kubelet kills all containers of a pod at once, and says why with its next write."""
    outcome = classify(record)
    assert outcome is not None
    assert awaits_final_status(record, outcome) is due


def test_a_pod_of_several_whose_other_container_was_not_reported_goes_on():
    several = (ContainerSpec(name="base"), ContainerSpec(name="side"))
    record = pod("Running", ended("base", 3), containers=several)
    outcome = classify(record)
    assert outcome is not None
    assert not awaits_final_status(record, outcome)
    assert classify(pod("Pending", waits("base", "x"))) is None

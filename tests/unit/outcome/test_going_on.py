"""Whether a pod ends by itself once its main container has ended."""

from __future__ import annotations

import pytest
from podrunner.outcome import goes_on
from podrunner.outcome.record import ContainerSpec, Pod
from tests.support.pods import ended, pod, runs

BOTH = (ContainerSpec(name="base"), ContainerSpec(name="proxy"))


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (pod("Failed", ended("base", 3)), False),
        (pod("Running", ended("base", 3)), False),
        (pod("Pending", ended("base", 3)), False),
        (pod("Running", ended("base"), ended("proxy"), containers=BOTH), False),
        (pod("Running", ended("base"), runs("proxy"), containers=BOTH), True),
        (pod("Running", ended("base"), containers=BOTH), True),
        (pod("Running", runs("base")), True),
        (pod("Unknown"), True),
    ],
)
def test_only_a_container_that_is_not_over_keeps_it_running(record: Pod, *, expected: bool):
    """The kubelet reports the last end while the phase is still Running, or even Pending: such a pod is over."""
    assert goes_on(record) is expected

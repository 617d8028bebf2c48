"""The STATUS, READY and RESTARTS columns, as kubectl prints them."""

from __future__ import annotations

import pytest
from podrunner.outcome import printer_status, ready_column, restarts_of
from podrunner.outcome.record import (
    ContainerSpec,
    ContainerState,
    ContainerStateTerminated,
    ContainerStatus,
    Pod,
)
from tests.support.pods import condition, ended, pod, runs, waits

SIDECAR = ContainerSpec(name="proxy", restart_policy="Always")
SETUP = ContainerSpec(name="setup")


def ended_without_reason(**how: int) -> ContainerStatus:
    return ContainerStatus(name="base", state=ContainerState(terminated=ContainerStateTerminated(**how)))


SHOWN = {
    "Pending": pod("Pending"),
    "ContainerCreating": pod("Pending", waits("base", "ContainerCreating")),
    "ImagePullBackOff": pod("Pending", waits("base", "ImagePullBackOff")),
    "Running": pod("Running", runs("base")),
    "Completed": pod("Succeeded", ended("base")),
    "Error": pod("Failed", ended("base", 1)),
    "OOMKilled": pod("Failed", ended("base", 137, reason="OOMKilled")),
    "ExitCode:3": pod("Failed", ended_without_reason(exit_code=3)),
    "Signal:9": pod("Failed", ended_without_reason(exit_code=137, signal=9)),
    "Evicted": pod("Failed", reason="Evicted"),
    "CrashLoopBackOff": pod("Running", waits("base", "CrashLoopBackOff", restarts=4)),
    "Terminating": pod("Running", runs("base"), deleted_at=9, grace_s=30),
    "Unknown": pod("Running", runs("base"), reason="NodeLost", deleted_at=9),
    "SchedulingGated": pod(
        "Pending", conditions=(condition("PodScheduled", "False", reason="SchedulingGated"),)
    ),
    "Init:0/1": pod("Pending", init=(runs("setup"),), init_containers=(SETUP,)),
    "Init:1/2": pod(
        "Pending", init=(ended("a"), waits("b", "PodInitializing")), init_containers=(SETUP, SETUP)
    ),
    "Init:ImagePullBackOff": pod(
        "Pending", init=(waits("setup", "ImagePullBackOff"),), init_containers=(SETUP,)
    ),
    "Init:Error": pod("Failed", init=(ended("setup", 1),), init_containers=(SETUP,)),
    "PodInitializing": pod(
        "Pending", waits("base", "PodInitializing"), init=(runs("proxy"),), init_containers=(SIDECAR,)
    ),
    "NotReady": pod("Running", ended("base"), runs("side")),
}


@pytest.mark.parametrize(("shown", "record"), SHOWN.items(), ids=SHOWN)
def test_the_status_column_reads_as_kubectl_prints_it(shown: str, record: Pod):
    assert printer_status(record) == shown


def test_a_ready_pod_whose_work_is_done_beside_a_sidecar_is_running():
    record = pod("Running", ended("base"), runs("side"), conditions=(condition("Ready"),))
    assert printer_status(record) == "Running"


def test_an_initialized_pod_shows_its_containers_though_an_init_container_restarts():
    record = pod(
        "Running",
        runs("base"),
        init=(waits("proxy", "CrashLoopBackOff"),),
        init_containers=(SIDECAR,),
        conditions=(condition("Initialized"),),
    )
    assert printer_status(record) == "Init:CrashLoopBackOff"


def test_a_deleted_pod_that_has_ended_shows_its_end_but_classic_says_terminating():
    """Servers from 1.31 on show the end (kubernetes 122038), older ones Terminating."""
    record = pod("Succeeded", ended("base"), deleted_at=12)
    assert printer_status(record) == "Completed"
    assert printer_status(record, classic=True) == "Terminating"


def test_ready_counts_native_sidecars():
    record = pod(
        "Running", runs("base"), waits("side", "x"), init=(runs("proxy"),), init_containers=(SIDECAR,)
    )
    assert ready_column(record) == "2/3"


def test_restarts_are_those_of_the_init_containers_while_they_run():
    record = pod("Pending", init=(waits("setup", "CrashLoopBackOff", restarts=2),), init_containers=(SETUP,))
    assert restarts_of(record) == 2
    assert restarts_of(pod("Running", waits("base", "CrashLoopBackOff", restarts=3))) == 3

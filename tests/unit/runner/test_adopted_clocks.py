"""How long a pod has waited is known to a successor too: by the pod itself, or by what was noted on it."""

from __future__ import annotations

import datetime as dt

import anyio
import pytest
from msgspec.structs import replace
from podrunner import Category
from podrunner.builder.labels import OPENED, WAITING
from podrunner.outcome import PendingClock
from podrunner.outcome.record import ContainerSpec, ContainerState, Pod
from podrunner.runner import lifecycle
from podrunner.runner.inputs import PodAdopted
from podrunner.runner.states import Active, New
from podrunner.runner.supervisor import Supervisor
from tests.support.event_loops import virtual_time
from tests.support.pods import at, condition, ended, pod, runs, waits
from tests.unit.runner.harness import Cluster, running, until, workload
from tests.unit.runner.lives import NOW, rules
from tests.unit.runner.test_waiting import scheduled, virtual_now
from tests.unit.runner.test_waiting import waits as waits_in

anyio_backend = virtual_time

NO_CPU = "0/1 nodes are available: 1 Insufficient cpu."
LATER = NOW + dt.timedelta(seconds=300)
FULL = condition("PodScheduled", "False", reason="Unschedulable", message=NO_CPU, last_transition_time=at(2))
BOUND = condition("PodScheduled", last_transition_time=at(100))
READY = condition("Initialized", last_transition_time=at(160))
SIDECAR = ContainerSpec(name="proxy", restart_policy="Always")


def noted(record: Pod, **annotations: str) -> Pod:
    names = {"opened": OPENED, "waiting": WAITING}
    said = {names[name]: text for name, text in annotations.items()}
    return replace(record, metadata=replace(record.metadata, annotations=said))


def changed(record: Pod, generation: int) -> Pod:
    return replace(record, metadata=replace(record.metadata, generation=generation))


def adopted(record: Pod) -> PendingClock:
    """The clock of a pod that is adopted 300 s after its creation; that moment is 1300."""
    state = lifecycle.step(New(rules=rules()), PodAdopted(record, 1300.0, LATER)).state
    assert isinstance(state, Active)
    assert state.clocks.pending is not None
    return state.clocks.pending


@pytest.mark.parametrize(
    ("record", "since_s"),
    [
        (pod("Pending", waits("base", "ContainerCreating"), conditions=(BOUND,)), 1100),
        (pod("Pending", waits("base", "PodInitializing"), conditions=(BOUND, READY)), 1160),
        (
            pod(
                "Pending",
                waits("base", "PodInitializing"),
                init=(ended("a", end=130), waits("b", "PodInitializing")),
                conditions=(BOUND,),
            ),
            1130,
        ),
        (
            pod(
                "Pending",
                waits("base", "PodInitializing"),
                init=(runs("proxy", since=140), waits("b", "PodInitializing")),
                init_containers=(SIDECAR,),
                conditions=(BOUND,),
            ),
            1140,
        ),
        (
            pod(
                "Running",
                replace(
                    waits("base", "CrashLoopBackOff", restarts=1),
                    last_state=ContainerState(terminated=ended("base", 1, end=200).state.terminated),
                ),
                restart_policy="OnFailure",
                conditions=(BOUND,),
            ),
            1200,
        ),
        (changed(pod("Pending", node=None), 1), 1000),
        (changed(pod("Pending", node=None), 2), 1300),
        (noted(pod("Pending", node=None), opened=at(250)), 1250),
    ],
    ids=[
        "on its node",
        "after its init containers",
        "second init container",
        "after a sidecar",
        "between two runs",
        "for a node",
        "for a node, its spec was changed",
        "for a node, its gate was seen to open",
    ],
)
def test_an_adopter_counts_a_stage_from_its_beginning(record: Pod, since_s: float):
    """P11: by the pod's conditions and its containers' times."""
    assert adopted(record).stage_since_s == since_s


@pytest.mark.parametrize(
    ("record", "open_s", "since_s"),
    [
        (changed(pod(node=None, conditions=(FULL,)), 1), 1000, 1002),
        (changed(pod(node=None, conditions=(FULL,)), 2), 1300, 1300),
        (pod(node=None, conditions=(FULL,)), 1000, 1300),
        (noted(pod(node=None, conditions=(FULL,)), opened=at(250)), 1250, 1250),
        (noted(pod(node=None, conditions=(FULL,)), opened="2025-12-31T00:00:00Z"), 1000, 1300),
    ],
    ids=["never gated", "spec was changed", "not known", "seen to open", "a copy of such a pod"],
)
def test_an_adopter_counts_the_time_for_a_node_from_the_opening_of_the_gate(
    record: Pod, open_s: float, since_s: float
):
    """P11: where it is not known when a gate opened, it may have been just now."""
    clock = adopted(record)
    assert (clock.open_since_s, clock.category_since_s) == (open_s, since_s)


@pytest.mark.parametrize(
    ("note", "since_s"),
    [
        (f"image {at(200)}", 1200),
        (f"container-config {at(200)}", 1300),
        ("image soon", 1300),
        ("image", 1300),
        (f"no-such-category {at(200)}", 1300),
        ("", 1300),
    ],
)
def test_an_adopter_counts_a_cause_from_what_was_noted(note: str, since_s: float):
    """P14: the states of containers have no times."""
    record = noted(pod("Pending", waits("base", "ErrImagePull", "EOF"), conditions=(BOUND,)), waiting=note)
    clock = adopted(record)
    assert (clock.category, clock.category_since_s) == (Category.IMAGE, since_s)


@pytest.fixture
def _in_virtual_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(Supervisor.__init__.__kwdefaults__, "now", virtual_now)


@pytest.mark.anyio
@pytest.mark.usefixtures("_in_virtual_time")
async def test_a_gate_that_opened_late_is_noted_for_a_successor(cluster: Cluster):
    """P11: one that is opened and has a node at once costs no request."""
    patient = {"pending": {"startup_timeout_s": 100}}
    async with running(cluster, **patient) as runner:
        full, bound = [await runner.launch(workload(number)) for number in range(2)]
        for each in (full, bound):
            scheduled(cluster, each.name, "False", "SchedulingGated")
        await anyio.sleep(110)
        scheduled(cluster, full.name, "False", "Unschedulable", NO_CPU)
        cluster.run(bound.name)
        await until(lambda: bound.phase == "Running")
        await anyio.sleep(30)
        scheduled(cluster, full.name, "False", "Unschedulable", f"{NO_CPU} Still.")
        await anyio.sleep(30)
        assert [target for _, method, target in cluster.requests if method == "PATCH"] == [
            f"/api/v1/namespaces/default/pods/{full.name}"
        ]
    async with running(cluster, **patient) as runner:
        adopted = {pod.name: pod for pod in await runner.adopt()}
        began = anyio.current_time()
        outcome = await adopted[full.name].wait(200)
        assert 30 <= anyio.current_time() - began <= 50, "60 of the 100 seconds had passed"
        assert outcome.category is Category.UNSCHEDULABLE


@pytest.mark.anyio
@pytest.mark.usefixtures("_in_virtual_time")
async def test_a_cause_that_lasts_is_noted_for_a_successor(cluster: Cluster):
    """P14: how long an image could not be had; one that comes within a minute costs no request."""
    patient = {"pending": {"image_grace_s": 300}}
    async with running(cluster, **patient) as runner:
        missing, late = [await runner.launch(workload(number)) for number in range(2)]
        for each in (missing, late):
            waits_in(cluster, each.name, "ErrImagePull", "unexpected EOF")
        await anyio.sleep(40)
        cluster.run(late.name)
        await anyio.sleep(160)
        assert cluster.count("PATCH", "/pods") == 1
    async with running(cluster, **patient) as runner:
        adopted = {pod.name: pod for pod in await runner.adopt()}
        began = anyio.current_time()
        await anyio.sleep(70)
        assert cluster.count("PATCH", missing.name) == 2, "it was noted, and adopted; it is not noted again"
        outcome = await adopted[missing.name].wait(400)
        assert 80 <= anyio.current_time() - began <= 120, "200 of the 300 seconds had passed"
        assert outcome.category is Category.IMAGE

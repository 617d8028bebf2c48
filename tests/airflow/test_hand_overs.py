"""What passes from one scheduler, runner or dispatch to the next: nothing runs twice, and no try is lost."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from dying import DIES

if TYPE_CHECKING:
    from scene import Scene


def states(scene: Scene, dag: str, run: str) -> list[tuple[str, int]]:
    """Return the state and the try of each task instance."""
    return [(ti["state"], ti["try_number"]) for ti in scene.airflow.task_instances(dag, run)]


def wait_pod(scene: Scene, dag: str, *, other_than: Any = None) -> Any:
    """Wait for a pod of a DAG, other than one that was there before; return it."""
    before = None if other_than is None else other_than.metadata.uid
    found: list[Any] = []

    def is_there() -> bool:
        found[:] = [pod for pod in scene.cluster.pods(dag) if pod.metadata.uid != before]
        return bool(found)

    scene.until(is_there, f"a pod of {dag}")
    return found[0]


def delete(scene: Scene, pod: Any, *, grace_s: int) -> None:
    scene.cluster.core.delete_namespaced_pod(pod.metadata.name, "default", grace_period_seconds=grace_s)


def test_pods_lost_before_their_work_began_cost_no_try(scene: Scene) -> None:
    """Neither under the scheduler that launched them, nor under one that took them over."""
    run = scene.airflow.trigger("gated")
    first = wait_pod(scene, "gated")
    delete(scene, first, grace_s=0)  # nothing shows that it has not started
    second = wait_pod(scene, "gated", other_than=first)
    scene.restart_scheduler()
    scene.until(
        lambda: scene.cluster.pods("gated")[0].metadata.annotations.get("podrunner.io/adoptions") == "1",
        "the next scheduler takes the pod over",
    )
    delete(scene, second, grace_s=1)
    third = wait_pod(scene, "gated", other_than=second)
    assert third.metadata.uid != first.metadata.uid
    scene.cluster.add_config_map("gate")
    assert scene.airflow.wait_run("gated", run) == "success"
    assert states(scene, "gated", run) == [("success", 1)]
    assert scene.ran(run) == {"waits": 1}
    assert len(scene.causes("gated", run, "pod launched again")) == 2
    scene.until_no_pod("gated")


def test_an_end_that_was_polled_and_not_stored_is_reported_by_the_next_scheduler(scene: Scene) -> None:
    run = scene.airflow.trigger("dies")
    scene.until(lambda: scene.ran(run) == {"try-1": 1}, "the first try runs")
    (scene.airflow.home / DIES).touch()
    scene.airflow.wait_killed("scheduler")
    scene.airflow.start("scheduler")
    assert scene.airflow.wait_run("dies", run) == "success"
    assert states(scene, "dies", run) == [("success", 2)]
    assert scene.ran(run) == {"try-1": 1, "try-2": 1}
    (cause,) = scene.causes("dies", run, "pod failed")
    assert "137" in cause or "SIGKILL" in cause
    scene.until_no_pod("dies")


def heartbeat_of(scene: Scene) -> datetime:
    health = scene.airflow.call("GET", "/api/v2/monitor/health")
    return datetime.fromisoformat(health["scheduler"]["latest_scheduler_heartbeat"])


def test_the_scheduler_goes_on_while_the_cluster_does_not_answer(scene: Scene) -> None:
    """Tasks run, wait and are queued meanwhile; none is lost."""
    first = scene.airflow.trigger("crowd", {"count": 8, "seconds": 8})
    scene.until(lambda: len(scene.ran(first)) >= 2, "some run")
    scene.cluster.pause()
    try:
        second = scene.airflow.trigger("crowd", {"count": 2})
        before = heartbeat_of(scene)
        scene.until(
            lambda: (heartbeat_of(scene) - before).total_seconds() > 10, "heartbeats while nothing answers"
        )
    finally:
        scene.cluster.go_on()
    for run, count in ((first, 8), (second, 2)):
        assert scene.airflow.wait_run("crowd", run) == "success"
        assert states(scene, "crowd", run) == [("success", 1)] * (count + 1)
        assert scene.ran(run) == {f"{number}": 1 for number in range(count)}
    scene.until_no_pod("crowd")


def test_a_scheduler_whose_lease_was_taken_opens_a_runner_anew(scene: Scene) -> None:
    """Pods that run, and dispatches without a pod, are its own again."""
    run = scene.airflow.trigger("crowd", {"count": 12, "seconds": 6})
    scene.until(lambda: len(scene.ran(run)) >= 2, "some run")
    scene.cluster.take_lease()
    assert scene.airflow.wait_run("crowd", run) == "success"
    assert states(scene, "crowd", run) == [("success", 1)] * 13
    assert scene.ran(run) == {f"{number}": 1 for number in range(12)}
    assert "lost its Lease and is opened anew" in scene.airflow.output("scheduler")
    scene.until_no_pod("crowd")


def begin_long(scene: Scene) -> tuple[str, str]:
    """Trigger a long task; return the run and the path of its task instance when it runs."""
    run = scene.airflow.trigger("lasting")
    scene.until(lambda: scene.ran(run) == {"long": 1}, "the task runs")
    return run, f"/api/v2/dags/lasting/dagRuns/{run}/taskInstances/long"


def test_a_task_that_is_marked_failed_while_it_runs_leaves_no_pod(scene: Scene) -> None:
    run, task = begin_long(scene)
    scene.airflow.call("PATCH", task, {"new_state": "failed"})
    assert scene.airflow.wait_run("lasting", run) == "failed"
    scene.until_no_pod("lasting")
    assert states(scene, "lasting", run) == [("failed", 1)]
    assert scene.causes("lasting", run, "state mismatch") == []


def test_a_task_that_is_cleared_while_it_runs_runs_again_in_one_pod(scene: Scene) -> None:
    run, task = begin_long(scene)
    (pod,) = scene.cluster.pods("lasting")
    body = {"dry_run": False, "dag_run_id": run, "task_ids": ["long"], "only_failed": False}
    scene.airflow.call("POST", "/api/v2/dags/lasting/clearTaskInstances", body)
    scene.until(lambda: scene.ran(run) == {"long": 2}, "it runs again")
    scene.until(lambda: len(scene.cluster.pods("lasting")) == 1, "only the new pod is left")
    (again,) = scene.cluster.pods("lasting")
    assert again.metadata.uid != pod.metadata.uid
    scene.airflow.call("PATCH", task, {"new_state": "success"})
    assert scene.airflow.wait_run("lasting", run) == "success"
    scene.until_no_pod("lasting")


def test_a_pod_that_no_node_takes_is_queued_again_and_fails_with_its_cause(scene: Scene) -> None:
    """Airflow's own path: each time a new dispatch; the old pod is deleted."""
    scene.restart_scheduler(
        AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT="15", AIRFLOW__SCHEDULER__NUM_STUCK_IN_QUEUED_RETRIES="1"
    )
    run = scene.airflow.trigger("nowhere")
    first = wait_pod(scene, "nowhere")
    second = wait_pod(scene, "nowhere", other_than=first)
    dispatches = [pod.metadata.name for pod in (first, second)]
    assert len(set(dispatches)) == 2
    assert scene.airflow.wait_run("nowhere", run) == "failed"
    scene.until_no_pod("nowhere")
    assert states(scene, "nowhere", run) == [("failed", 1)]
    assert scene.ran(run) == {}
    waits = scene.causes("nowhere", run, "pod waits")
    assert len(waits) == 2
    assert all("Unschedulable" in why for why in waits), waits
    assert scene.causes("nowhere", run, "pod failed") == []
    scene.restart_scheduler(AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT="600")

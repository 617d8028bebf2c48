"""The lifecycle of pods on a node: the same on a LocalCluster and on a real one."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.processes


def test_a_pod_runs_to_success(pods):
    """Its exit code, its log, its times."""
    pods.run("a", "echo hello")
    end = pods.end("a")
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert end["startedAt"] <= end["finishedAt"]
    assert pods.log("a") == "hello\n"


def test_a_pod_fails_with_its_exit_code(pods):
    pods.run("a", "exit 42")
    end = pods.end("a")
    assert (end["exitCode"], end["reason"]) == (42, "Error")


def test_conditions_are_true_while_it_runs_and_say_why_when_it_ended(pods):
    pods.run("a", "sleep 600", terminationGracePeriodSeconds=1)
    running = pods.until(
        "a", lambda pod: any(each["ready"] for each in pod["status"].get("containerStatuses", []))
    )
    found = {each["type"]: each["status"] for each in running["status"]["conditions"]}
    assert {found[kind] for kind in ("Initialized", "Ready", "ContainersReady", "PodScheduled")} == {"True"}
    pods.run("b", "true")
    done = pods.phase("b", "Succeeded")
    reasons = {each["type"]: each.get("reason") for each in done["status"]["conditions"]}
    assert (reasons["Ready"], reasons["ContainersReady"]) == ("PodCompleted", "PodCompleted")


def test_environment_from_every_source(pods):
    """Plain, expanded, config map, secret, downward API."""
    pods.config_map("cm", key="from-config-map", other="x")
    pods.secret("s", key="from-secret")
    env = [
        {"name": "PLAIN", "value": "plain"},
        {"name": "EXPANDED", "value": "$(PLAIN)-expanded"},
        {"name": "CM", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "key"}}},
        {"name": "SECRET", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "CPU", "valueFrom": {"resourceFieldRef": {"resource": "requests.cpu", "divisor": "1m"}}},
    ]
    container = {
        "env": env,
        "envFrom": [{"prefix": "ALL_", "configMapRef": {"name": "cm"}}],
        "resources": {"requests": {"cpu": "10m"}},
    }
    pods.run("a", "echo $PLAIN $EXPANDED $CM $SECRET $POD $CPU $ALL_other", container=container)
    pods.end("a")
    assert pods.log("a") == "plain plain-expanded from-config-map from-secret a 10 x\n"


def test_volumes_at_any_mount_path(pods):
    """Config map, secret, downward API, emptyDir, a single file; also below /root."""
    pods.config_map("cm", **{"dag.py": "A = 1\n"})
    pods.secret("s", password="pw")
    volumes = [
        {"name": "dags", "configMap": {"name": "cm"}},
        {"name": "secret", "secret": {"secretName": "s"}},
        {
            "name": "info",
            "downwardAPI": {"items": [{"path": "name", "fieldRef": {"fieldPath": "metadata.name"}}]},
        },
        {"name": "work", "emptyDir": {}},
    ]
    mounts = [
        {"name": "dags", "mountPath": "/root/airflow/dags"},
        {"name": "dags", "mountPath": "/opt/podrunner-test/one.py", "subPath": "dag.py"},
        {"name": "secret", "mountPath": "/podrunner-test-secret"},
        {"name": "info", "mountPath": "/podrunner-test-info"},
        {"name": "work", "mountPath": "/podrunner-test-work"},
    ]
    script = (
        "cat /root/airflow/dags/dag.py /opt/podrunner-test/one.py /podrunner-test-secret/password; echo;"
        "cat /podrunner-test-info/name; echo; echo written > /podrunner-test-work/f; cat /podrunner-test-work/f"
    )
    pods.run("a", script, container={"volumeMounts": mounts}, volumes=volumes)
    pods.end("a")
    assert pods.log("a") == "A = 1\nA = 1\npw\na\nwritten\n"


def test_init_containers_come_first_and_a_sidecar_ends_last(pods):
    """P7: the sidecar does not keep the pod running."""
    sidecar = pods.container(
        "side", "trap 'exit 0' TERM; while :; do sleep 0.1; done", restartPolicy="Always"
    )
    mounts = {"volumeMounts": [{"name": "v", "mountPath": "/podrunner-test"}]}
    init = pods.container("init", "echo from-init > /podrunner-test/f", **mounts)
    volumes = [{"name": "v", "emptyDir": {}}]
    pods.run("a", "cat /podrunner-test/f", container=mounts, initContainers=[init, sidecar], volumes=volumes)
    pods.phase("a", "Succeeded")
    assert pods.log("a", container="main") == "from-init\n"


def test_a_failed_init_container_fails_the_pod(pods):
    pods.run("a", "true", initContainers=[pods.container("init", "exit 9")])
    pod = pods.phase("a", "Failed")
    assert pod["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 9


def test_a_program_may_handle_sigterm_within_its_grace_period(pods):
    """It receives SIGTERM; the last status has its exit code."""
    pods.run(
        "a", "trap 'exit 3' TERM; echo armed; while :; do sleep 0.05; done", terminationGracePeriodSeconds=20
    )
    pods.phase("a", "Running")
    pods.until("a", lambda _: pods.log("a") == "armed\n")
    pods.delete("a")
    assert pods.until("a", lambda pod: pod is None) is None


def test_a_program_that_ignores_sigterm_is_killed(pods):
    pods.run("a", "trap '' TERM; while :; do sleep 0.05; done", terminationGracePeriodSeconds=1)
    pods.phase("a", "Running")
    pods.delete("a")
    pods.until("a", lambda pod: pod is None)


def test_crashes_lead_to_crash_loop_back_off(pods):
    """The previous run's log can be read."""
    pods.run("a", "echo crash; exit 1", restartPolicy="Always")
    assert "restarting failed container=main" in pods.waiting("a", "CrashLoopBackOff")
    pod = pods.get("a")
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1
    assert pods.log("a") == "crash\n"


def test_a_deadline_fails_the_pod(pods):
    pods.run("a", "while :; do sleep 0.1; done", activeDeadlineSeconds=1, terminationGracePeriodSeconds=1)
    assert pods.phase("a", "Failed")["status"]["reason"] == "DeadlineExceeded"


def test_the_termination_message_is_in_the_status(pods):
    pods.run("a", "printf message > /dev/termination-log; exit 1")
    end = pods.end("a")
    if end.get("message") is None:
        pytest.skip(
            "without namespaces nothing is mounted at /dev/termination-log for a program that names it itself"
        )
    assert end["message"] == "message"


def test_a_missing_config_map_is_named(pods):
    env = [{"name": "V", "valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}]
    pods.run("a", "true", container={"env": env})
    assert pods.waiting("a", "CreateContainerConfigError") == 'configmap "none" not found'


def test_a_missing_program_is_a_start_error(pods):
    pods.run("a", "", container={"command": ["no-such-program"]})
    end = pods.end("a")
    assert end["reason"] == "StartError"
    assert "no-such-program" in end["message"]
    assert end["exitCode"] == 128


def test_an_unschedulable_pod_has_a_reason(pods):
    """P2."""
    pods.run("a", "true", container={"resources": {"requests": {"cpu": "10000"}}})

    def condition(pod):
        return next(
            (each for each in pod["status"].get("conditions", []) if each["type"] == "PodScheduled"), {}
        )

    found = condition(pods.until("a", lambda pod: condition(pod).get("reason") == "Unschedulable"))
    assert "Insufficient cpu" in found["message"]
    assert "FailedScheduling" in [reason for reason, _ in pods.events("a")]


def test_the_events_of_a_pods_lifecycle(pods):
    pods.run("a", "true")
    pods.end("a")
    pods.until(
        "a",
        lambda _: {"Scheduled", "Pulled", "Created", "Started"} <= {reason for reason, _ in pods.events("a")},
    )


def test_too_much_memory_is_oom_killed(pods):
    """P6."""
    hungry = "import time; x = bytearray(120 << 20); time.sleep(600)"
    container = {"command": ["python3", "-S", "-c", hungry], "resources": {"limits": {"memory": "48Mi"}}}
    pods.run("a", "", container=container)
    end = pods.end("a")
    assert (end["exitCode"], end["reason"]) == (137, "OOMKilled")


def test_logs_have_timestamps_tails_and_limits(pods):
    pods.run("a", "for i in 1 2 3 4 5; do echo $i; done")
    pods.end("a")
    assert pods.log("a", tailLines=2) == "4\n5\n"
    assert pods.log("a", limitBytes=3) == "1\n2"
    stamps = [line.split()[0] for line in pods.log("a", timestamps="true").splitlines()]
    assert stamps == sorted(stamps)
    assert all(stamp.endswith("Z") for stamp in stamps)


def test_a_long_line_is_not_split(pods):
    """G6."""
    pods.run("a", "head -c 50000 /dev/zero | tr '\\0' x; echo; echo")
    pods.end("a")
    assert pods.log("a") == "x" * 50_000 + "\n\n"


def test_following_ends_with_the_container(pods):
    """G7."""
    pods.run("a", "for i in 1 2 3; do echo $i; sleep 0.1; done")
    pods.phase("a", "Running", "Succeeded")
    assert pods.log("a", follow="true") == "1\n2\n3\n"


def test_a_finalizer_holds_an_ended_pod(pods):
    pods.run("a", "trap 'exit 0' TERM; while :; do sleep 0.05; done", terminationGracePeriodSeconds=10)
    pods.phase("a", "Running")
    merge = {"Content-Type": "application/merge-patch+json"}
    patch = {"metadata": {"finalizers": ["example.com/hold"]}}
    pods.http.patch(pods.path("pods", "a"), json=patch, headers=merge).raise_for_status()
    pods.delete("a")
    pods.until("a", lambda pod: "terminated" in pod["status"]["containerStatuses"][0]["state"])
    pods.http.patch(
        pods.path("pods", "a"), json={"metadata": {"finalizers": None}}, headers=merge
    ).raise_for_status()
    pods.until("a", lambda pod: pod is None)

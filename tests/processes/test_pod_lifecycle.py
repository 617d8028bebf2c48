"""The life of a pod: order of containers, restarts, phases, conditions, deletion, deadlines, events."""

from __future__ import annotations

import asyncio

import pytest
from podrunner.local.kubelet import LogOptions
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


def conditions(obj):
    """Status by type of condition."""
    return {each["type"]: each["status"] for each in obj["status"]["conditions"]}


async def test_the_phases_and_events_of_a_short_life(lab):
    """What `kubectl get -w` and `describe` show, in Kubernetes' words."""
    seen = []
    lab.store.subscribe("pods", lambda _, obj: seen.append(obj["status"]))
    lab.run("a", ["true"])
    done = await lab.phase("a", "Succeeded")
    phases = [status["phase"] for status in seen]
    assert phases == sorted(phases, key=["Pending", "Running", "Succeeded"].index)
    waits = [
        each["state"]["waiting"]["reason"]
        for status in seen
        for each in status.get("containerStatuses", [])
        if "waiting" in each["state"]
    ]
    assert set(waits) == {"ContainerCreating"}
    assert conditions(done) == {
        "PodReadyToStartContainers": "False",
        "Initialized": "True",
        "Ready": "False",
        "ContainersReady": "False",
        "PodScheduled": "True",
    }
    assert [reason for reason, _ in lab.recorded("a")] == ["Scheduled", "Pulled", "Created", "Started"]
    assert ("Pulled", 'Container image "busybox" already present on machine') in lab.recorded("a")
    assert ("Scheduled", "Successfully assigned default/a to podrunner-local") in lab.recorded("a")


async def test_a_running_pod_is_ready_and_has_its_addresses(lab):
    """All conditions are true while it runs."""
    lab.run("a", ["sleep", "100"])
    obj = await lab.phase("a", "Running")
    assert set(conditions(obj).values()) == {"True"}
    assert (obj["status"]["podIP"], obj["status"]["hostIP"]) == ("127.0.0.1", "127.0.0.1")
    assert obj["status"]["containerStatuses"][0]["ready"] is True
    assert obj["status"]["startTime"]


async def test_init_containers_run_one_after_another_before_the_others(lab):
    """And the pod shows PodInitializing meanwhile."""
    volumes = {"volumes": [{"name": "v", "emptyDir": {}}]}
    mounts = [{"name": "v", "mountPath": "/of-podrunner"}]
    inits = [
        {
            "name": f"i{number}",
            "image": "x",
            "command": ["sh", "-c", f"echo {number} >> /of-podrunner/f"],
            "volumeMounts": mounts,
        }
        for number in range(3)
    ]
    text = await lab.output(
        "a", ["cat", "/of-podrunner/f"], initContainers=inits, volumeMounts=mounts, **volumes
    )
    assert text == "0\n1\n2\n"
    statuses = lab.store.get("pods", "default", "a")["status"]["initContainerStatuses"]
    assert [each["state"]["terminated"]["reason"] for each in statuses] == ["Completed"] * 3
    assert all(each["ready"] for each in statuses)


async def test_a_failed_init_container_fails_a_pod_that_never_restarts(lab):
    """The main container does not run."""
    lab.run("a", ["true"], initContainers=[{"name": "i", "image": "x", "command": ["sh", "-c", "exit 7"]}])
    obj = await lab.phase("a", "Failed")
    assert obj["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 7
    assert conditions(obj)["Initialized"] == "False"
    assert "Started container main" not in [message for _, message in lab.recorded("a")]


async def test_a_failed_init_container_is_tried_again_on_failure(lab, tmp_path):
    """With back-off, until it succeeds."""
    script = f"test -e {tmp_path}/b && exit 0; test -e {tmp_path}/a && touch {tmp_path}/b; touch {tmp_path}/a; exit 1"
    lab.run(
        "a",
        ["true"],
        restartPolicy="OnFailure",
        initContainers=[{"name": "i", "image": "x", "command": ["sh", "-c", script]}],
    )
    obj = await lab.phase("a", "Succeeded")
    assert obj["status"]["initContainerStatuses"][0]["restartCount"] == 2


async def test_a_sidecar_starts_first_and_is_ended_after_the_main_container(lab):
    """A native sidecar does not keep the pod from completing (P7)."""
    sidecar = {"name": "s", "image": "x", "restartPolicy": "Always", "command": ["sleep", "1000"]}
    lab.run("a", ["true"], initContainers=[sidecar])
    obj = await lab.phase("a", "Succeeded")
    assert obj["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] == 143
    started = [message for reason, message in lab.recorded("a") if reason == "Started"]
    assert started == ["Started container s", "Started container main"]


async def test_a_sidecar_is_restarted_even_if_the_pod_never_restarts(lab, tmp_path):
    """Its own policy counts."""
    script = f"test -e {tmp_path}/once && exec sleep 100; touch {tmp_path}/once; exit 1"
    sidecar = {"name": "s", "image": "x", "restartPolicy": "Always", "command": ["sh", "-c", script]}
    lab.run("a", ["sleep", "100"], initContainers=[sidecar])
    await lab.until(
        "a", lambda obj: obj["status"].get("initContainerStatuses", [{}])[0].get("restartCount") == 1
    )


async def test_crashes_are_restarted_first_at_once_then_with_back_off(lab):
    """CrashLoopBackOff with the last state kept, and the kubelet's words."""
    lab.run("a", ["sh", "-c", "exit 5"], restartPolicy="Always")
    message = await lab.waiting("a", "CrashLoopBackOff")
    uid = lab.store.get("pods", "default", "a")["metadata"]["uid"]
    assert message == f"back-off 50ms restarting failed container=main pod=a_default({uid})"
    obj = await lab.until("a", lambda obj: obj["status"]["containerStatuses"][0]["restartCount"] >= 2)
    assert obj["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 5
    assert obj["status"]["phase"] == "Running"
    assert ("BackOff", f"Back-off restarting failed container main in pod a_default({uid})") in lab.recorded(
        "a"
    )


async def test_on_failure_restarts_only_failures(lab, tmp_path):
    """A success ends the pod."""
    lab.run(
        "a",
        ["sh", "-c", f"test -e {tmp_path}/f && exit 0; touch {tmp_path}/f; exit 1"],
        restartPolicy="OnFailure",
    )
    obj = await lab.phase("a", "Succeeded")
    assert obj["status"]["containerStatuses"][0]["restartCount"] == 1


async def test_one_failed_container_fails_the_pod_once_all_have_ended(lab, new_pod):
    """Two containers, one verdict."""
    obj = new_pod("a", ["sh", "-c", "exit 1"])
    obj["spec"]["containers"].append({"name": "two", "image": "x", "command": ["true"]})
    lab.store.create("pods", obj)
    ended = await lab.phase("a", "Failed")
    codes = {
        each["name"]: each["state"]["terminated"]["exitCode"] for each in ended["status"]["containerStatuses"]
    }
    assert codes == {"main": 1, "two": 0}


async def test_a_pod_past_its_deadline_is_failed(lab):
    """DeadlineExceeded, with its containers ended; the second one runs for certain when its deadline comes."""
    lab.run("a", ["sleep", "100"], activeDeadlineSeconds=0.3)
    obj = await lab.phase("a", "Failed")
    assert obj["status"]["reason"] == "DeadlineExceeded"
    lab.run("b", ["sleep", "100"], activeDeadlineSeconds=500)
    await lab.phase("b", "Running")
    lab.store.update(
        "pods", "default", "b", lambda obj: {**obj, "spec": {**obj["spec"], "activeDeadlineSeconds": 0.3}}
    )
    obj = await lab.phase("b", "Failed")
    assert obj["status"]["reason"] == "DeadlineExceeded"
    assert obj["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


async def test_a_finalizer_holds_a_pod_that_has_ended(lab):
    """It is removed when the finalizer is."""
    lab.run("a", ["sleep", "100"], metadata={"finalizers": ["example.com/hold"]})
    await lab.phase("a", "Running")
    lab.delete("a")
    await lab.until("a", lambda obj: "terminated" in obj["status"]["containerStatuses"][0]["state"])
    assert lab.store.find("pods", "default", "a") is not None
    lab.store.update(
        "pods", "default", "a", lambda obj: {**obj, "metadata": {**obj["metadata"], "finalizers": []}}
    )
    await lab.gone("a")


async def test_a_pod_removed_by_force_takes_its_processes_along(lab, tmp_path):
    """Without any grace, the processes end all the same."""
    lab.run("a", ["sh", "-c", "trap '' TERM; echo $$$$; sleep 1000"])
    obj = await lab.phase("a", "Running")
    worker = lab.kubelet._workers[obj["metadata"]["uid"]]
    lab.store.remove("pods", "default", "a")
    await asyncio.wait_for(worker.closed(), 40)
    assert not worker.containers["main"].current.running


async def test_a_second_delete_does_not_shorten_the_grace(lab):
    """The kubelet's own rule (kubernetes#113606): the first grace counts."""
    lab.run("a", ["sh", "-c", "trap 'echo asked' TERM; echo armed; while :; do sleep 0.05; done"])
    obj = await lab.phase("a", "Running")
    said = lab.kubelet.read_log(obj, "main", LogOptions(follow=True))
    assert await anext(said) == b"armed\n"
    begun = asyncio.get_running_loop().time()
    lab.delete("a", grace_s=4)
    assert await anext(said) == b"asked\n"
    lab.delete("a", grace_s=1)
    await lab.gone("a")
    assert asyncio.get_running_loop().time() - begun >= 3.9


async def test_hooks_run_in_the_container(lab, tmp_path):
    """postStart after the start, preStop before SIGTERM."""
    hooks = {
        "postStart": {"exec": {"command": ["sh", "-c", f"echo post >> {tmp_path}/hooks"]}},
        "preStop": {"exec": {"command": ["sh", "-c", f"echo pre >> {tmp_path}/hooks"]}},
    }
    lab.run("a", ["sleep", "100"], lifecycle=hooks)
    await lab.phase("a", "Running")
    hooks = tmp_path / "hooks"
    await until(lambda: hooks.exists() and hooks.read_text() == "post\n", within_s=40)
    lab.delete("a")
    await lab.gone("a")
    assert hooks.read_text() == "post\npre\n"


async def test_a_failed_post_start_hook_ends_the_container(lab):
    """With the kubelet's event."""
    lab.run(
        "a", ["sleep", "100"], lifecycle={"postStart": {"exec": {"command": ["sh", "-c", "echo no; exit 1"]}}}
    )
    assert (await lab.ended("a"))["exitCode"] == 143
    assert ("FailedPostStartHook", "PostStartHook failed: no") in lab.recorded("a")


async def test_the_last_log_lines_are_the_message_of_a_failure_that_asked_for_it(lab):
    """terminationMessagePolicy: FallbackToLogsOnError."""
    lab.run("a", ["sh", "-c", "echo why; exit 1"], terminationMessagePolicy="FallbackToLogsOnError")
    assert (await lab.ended("a"))["message"] == "why\n"


async def test_a_missing_config_map_is_waited_for(lab):
    """CreateContainerConfigError in Kubernetes' words; the pod starts when it appears."""
    reference = {"name": "cm", "key": "k"}
    lab.run("a", ["sh", "-c", "echo $V"], env=[{"name": "V", "valueFrom": {"configMapKeyRef": reference}}])
    assert await lab.waiting("a", "CreateContainerConfigError") == 'configmap "cm" not found'
    assert ("Failed", 'Error: configmap "cm" not found') in lab.recorded("a")
    lab.store.create("configmaps", {"metadata": {"name": "cm", "namespace": "default"}, "data": {"k": "v"}})
    await lab.phase("a", "Succeeded")
    assert await lab.log("a") == "v\n"


async def test_a_missing_volume_source_is_waited_for(lab):
    """FailedMount in Kubernetes' words."""
    lab.run("a", ["true"], volumes=[{"name": "v", "secret": {"secretName": "s"}}])
    missing = ("FailedMount", 'MountVolume.SetUp failed for volume "v" : secret "s" not found')
    await until(lambda: missing in lab.recorded("a"), within_s=40)
    lab.store.create("secrets", {"metadata": {"name": "s", "namespace": "default"}, "data": {"k": "dg=="}})
    await lab.phase("a", "Succeeded")


async def test_a_container_without_a_command_cannot_be_created(lab):
    """The default image has no entry point."""
    lab.run("a")
    assert "no command specified" in await lab.waiting("a", "CreateContainerError")


async def test_a_pod_that_never_ran_ends_when_deleted(lab):
    """Waiting for its image, it goes at once."""
    lab.run("a", ["true"], image="UPPER")
    await lab.waiting("a", "InvalidImageName")
    lab.delete("a")
    await lab.gone("a")


async def test_in_strict_mode_an_unknown_image_cannot_be_pulled(make_lab):
    """ErrImagePull, then ImagePullBackOff, with their events (P1)."""
    lab = await make_lab(strict_images=True, images={"known": {}})
    lab.run("a", ["true"], image="unknown:1")
    assert "docker.io/library/unknown:1: not found" in await lab.waiting("a", "ErrImagePull")
    assert (await lab.waiting("a", "ImagePullBackOff")).startswith('Back-off pulling image "unknown:1"')
    reasons = [reason for reason, _ in lab.recorded("a")]
    assert {"Pulling", "Failed", "BackOff"} <= set(reasons)
    assert await lab.output("b", ["echo", "ok"], image="known") == "ok\n"


async def test_never_pulling_an_unknown_image_is_its_own_reason(make_lab):
    """ErrImageNeverPull."""
    lab = await make_lab(strict_images=True)
    lab.run("a", ["true"], image="unknown", imagePullPolicy="Never")
    assert (
        await lab.waiting("a", "ErrImageNeverPull")
        == 'Container image "unknown" is not present with pull policy of Never'
    )


async def test_an_images_folder_comes_first_on_the_path(make_lab, tmp_path):
    """With its environment, its working directory and its entry point."""
    tool = tmp_path / "bin" / "airflow"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\necho "$AIRFLOW_HOME $PWD $@"\n')
    tool.chmod(0o755)
    image = {
        "path": tool.parent,
        "env": {"AIRFLOW_HOME": "/x"},
        "working_dir": str(tmp_path),
        "entrypoint": ["airflow"],
        "cmd": ["webserver"],
    }
    lab = await make_lab(images={"airflow:latest": image})
    assert await lab.output("a", image="airflow") == f"/x {tmp_path} webserver\n"
    assert (
        await lab.output("b", image="docker.io/library/airflow:latest", args=["version"])
        == f"/x {tmp_path} version\n"
    )


async def test_an_error_of_the_kubelet_fails_the_pod_and_is_an_event(lab, monkeypatch, caplog):
    """A bug must not leave a pod running for ever."""
    monkeypatch.setattr(lab.kubelet.node.images, "find", lambda *_: 1 / 0)
    lab.run("a", ["true"])
    obj = await lab.phase("a", "Failed")
    assert obj["status"]["reason"] == "KubeletError"
    assert "division by zero" in caplog.text

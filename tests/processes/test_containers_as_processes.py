"""Containers are real processes, with what the pod says around them, isolated or not."""

# A look at the disk between two steps may block the loop in a test.
# ruff: noqa: ASYNC240

from __future__ import annotations

import fcntl
import os
import signal
import sys
from pathlib import Path

import pytest
from podrunner.local.kubelet import LogOptions
from tests.support.waiting import until

pytestmark = [pytest.mark.asyncio, pytest.mark.processes]


async def test_output_and_exit_code_are_the_programs_own(any_lab):
    """A program's two streams and its exit code arrive."""
    any_lab.run("a", ["sh", "-c", "echo out; echo err >&2; exit 3"])
    end = await any_lab.ended("a")
    assert (end["exitCode"], end["reason"]) == (3, "Error")
    assert sorted((await any_lab.log("a")).splitlines()) == ["err", "out"]


async def test_a_volume_is_at_its_mount_path_though_the_machine_has_no_such_folder(any_lab):
    """Airflow's /root/airflow/dags works for any user, and nothing of it appears on the machine."""
    any_lab.store.create(
        "configmaps", {"metadata": {"name": "dags", "namespace": "default"}, "data": {"a.py": "A = 1\n"}}
    )
    text = await any_lab.output(
        "a",
        ["sh", "-c", "cat /root/airflow-of-podrunner/dags/a.py; ls $DAGS; cat /podrunner-nowhere/a.py"],
        env=[{"name": "DAGS", "value": "/root/airflow-of-podrunner/dags"}],
        volumes=[{"name": "v", "configMap": {"name": "dags"}}],
        volumeMounts=[
            {"name": "v", "mountPath": "/root/airflow-of-podrunner/dags"},
            {"name": "v", "mountPath": "/podrunner-nowhere"},
        ],
    )
    assert text == "A = 1\na.py\nA = 1\n"
    assert not Path("/podrunner-nowhere").exists()
    assert not os.path.lexists(
        "/root/airflow-of-podrunner"
    )  # Path.exists raises where /root may not be entered


async def test_a_single_file_can_be_mounted_by_sub_path(any_lab):
    """airflow.cfg from a config map, beside whatever else is there."""
    any_lab.store.create(
        "configmaps", {"metadata": {"name": "c", "namespace": "default"}, "data": {"cfg": "[core]\n"}}
    )
    text = await any_lab.output(
        "a",
        ["cat", "/opt/of-podrunner/airflow.cfg"],
        volumes=[{"name": "v", "configMap": {"name": "c"}}],
        volumeMounts=[{"name": "v", "mountPath": "/opt/of-podrunner/airflow.cfg", "subPath": "cfg"}],
    )
    assert text == "[core]\n"


async def test_containers_of_a_pod_share_an_empty_dir(any_lab):
    """What an init container leaves there, the main container finds."""
    mounts = [{"name": "shared", "mountPath": "/shared-of-podrunner"}]
    init = {
        "name": "i",
        "image": "x",
        "command": ["sh", "-c", "echo left > /shared-of-podrunner/f"],
        "volumeMounts": mounts,
    }
    text = await any_lab.output(
        "a",
        ["cat", "/shared-of-podrunner/f"],
        initContainers=[init],
        volumes=[{"name": "shared", "emptyDir": {}}],
        volumeMounts=mounts,
    )
    assert text == "left\n"


async def test_the_environment_is_clean_and_the_pods_own(any_lab, monkeypatch):
    """Nothing of the machine's environment leaks in; the usual variables are there."""
    monkeypatch.setenv("SECRET_OF_THE_MACHINE", "x")
    text = await any_lab.output(
        "a", ["env"], env=[{"name": "A", "value": "1"}, {"name": "B", "value": "$(A)2 $(NO) $$(A)"}]
    )
    variables = dict(line.split("=", 1) for line in text.splitlines())
    assert "SECRET_OF_THE_MACHINE" not in variables
    assert variables["B"] == "12 $(NO) $(A)"
    assert variables["HOSTNAME"] == "a"
    assert (variables["KUBERNETES_SERVICE_HOST"], variables["KUBERNETES_SERVICE_PORT"]) == (
        "127.0.0.1",
        "6443",
    )


async def test_a_killed_program_has_128_plus_the_signal(any_lab):
    """As Kubernetes shows it: 137, reason Error."""
    any_lab.run("a", ["sh", "-c", "kill -9 $$$$"])
    end = await any_lab.ended("a")
    assert (end["exitCode"], end["reason"]) == (137, "Error")


async def test_a_program_that_is_not_there_is_a_start_error(any_lab):
    """Exit code 128 and the words of runc."""
    any_lab.run("a", ["no-such-program"])
    end = await any_lab.ended("a")
    assert (end["exitCode"], end["reason"]) == (128, "StartError")
    assert 'exec: "no-such-program": executable file not found in $PATH' in end["message"]


async def test_a_file_that_may_not_be_executed_is_a_start_error(any_lab, tmp_path):
    """The status has the operating system's reason."""
    (tmp_path / "plain").write_text("no program")
    any_lab.run("a", [str(tmp_path / "plain")])
    assert "permission denied" in (await any_lab.ended("a"))["message"].lower()


async def test_deleting_a_pod_ends_its_program_by_sigterm(any_lab):
    """A program with no handler dies at once, with 143."""
    seen = []
    any_lab.store.subscribe("pods", lambda kind, obj: seen.append((kind, obj["status"])))
    any_lab.run("a", ["sleep", "1000"])
    await any_lab.phase("a", "Running")
    any_lab.delete("a")
    await any_lab.gone("a")
    assert seen[-1][0] == "DELETED"
    assert seen[-1][1]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 143


async def test_a_program_that_ignores_sigterm_is_killed_after_its_grace(any_lab):
    """137, after the grace period and not before."""
    seen = []
    any_lab.store.subscribe("pods", lambda _, obj: seen.append(obj["status"]))
    any_lab.run("a", ["sh", "-c", "trap '' TERM; echo armed; while :; do sleep 0.05; done"])
    await any_lab.phase("a", "Running")
    obj = any_lab.store.get("pods", "default", "a")
    async for _ in any_lab.kubelet.read_log(obj, "main", LogOptions(follow=True)):
        break
    any_lab.delete("a", grace_s=1)
    await any_lab.gone("a")
    assert seen[-1]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
async def test_a_container_ignores_no_signal_that_the_cluster_ignores(any_lab):
    """A cluster that was started in the background of a script ignores SIGINT; Ctrl-C in a container must work."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGHUP)}
    try:
        text = await any_lab.output("a", ["sh", "-c", "grep -E 'SigIgn|SigBlk' /proc/self/status"])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert {line.split()[1] for line in text.splitlines()} == {"0" * 16}


async def test_daemons_end_with_their_container(any_lab, tmp_path):
    """A double fork does not outlive the container's program: the lock that it held for ever is free."""
    lock, held = tmp_path / "lock", tmp_path / "held"
    lock.touch()
    code = f"""
import fcntl, os, sys, time
if os.fork():
    while not os.path.exists({str(held)!r}): time.sleep(0.01)
    sys.exit()
os.setsid()
if os.fork(): os._exit(0)
lock = open({str(lock)!r})
fcntl.flock(lock, fcntl.LOCK_EX)
open({str(held)!r}, "w").close()
time.sleep(1000)
"""
    any_lab.run("a", [any_lab.python, "-c", code])
    assert (await any_lab.ended("a"))["exitCode"] == 0
    await until(lambda: is_free(lock), within_s=30)


def is_free(lock: Path) -> bool:
    """Whether no process holds a lock on the file."""
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


async def test_a_missing_working_directory_is_made_for_the_container_alone(any_lab):
    """As a container runtime does."""
    text = await any_lab.output("a", ["sh", "-c", "touch here && ls"], workingDir="/work-of-podrunner/deep")
    assert text == "here\n"
    assert not Path("/work-of-podrunner").exists()


async def test_a_working_directory_below_a_closed_folder_is_made_too(any_lab):
    """An ordinary user may not even ask whether it is there."""
    text = await any_lab.output("a", ["sh", "-c", "touch here && ls"], workingDir="/root/work-of-podrunner")
    assert text == "here\n"
    assert not os.path.lexists("/root/work-of-podrunner")


async def test_a_restarted_container_finds_fresh_private_folders(any_lab):
    """What the run before left in its working directory is gone."""
    text = await any_lab.output("a", ["sh", "-c", "ls; touch left; exit 1"], restartPolicy="Never")
    assert text == ""


@pytest.mark.usefixtures("needs_namespaces")
async def test_process_ids_and_host_name_are_the_containers_own(lab):
    """The program does not see the machine's processes."""
    text = await lab.output("pod-name", ["sh", "-c", "echo $$$$; hostname; ls /proc | grep -c '^[0-9]'"])
    pid, name, count = text.splitlines()
    assert (pid, name) == ("2", "pod-name")
    assert int(count) < 8


@pytest.mark.usefixtures("needs_namespaces")
async def test_a_read_only_mount_refuses_to_be_written(lab):
    """Also for root."""
    text = await lab.output(
        "a",
        ["sh", "-c", "touch /data-of-podrunner/x 2>&1; ls -A /data-of-podrunner"],
        volumes=[{"name": "v", "emptyDir": {}}],
        volumeMounts=[{"name": "v", "mountPath": "/data-of-podrunner", "readOnly": True}],
    )
    assert "Read-only file system" in text
    assert text.count("\n") == 1


@pytest.mark.usefixtures("needs_namespaces")
async def test_the_token_is_where_clients_look_for_it(lab):
    """In-cluster clients find token, namespace and authority."""
    folder = "/var/run/secrets/kubernetes.io/serviceaccount"
    text = await lab.output(
        "a", ["sh", "-c", f"cd {folder}; cat token; echo; cat namespace; echo; cat ca.crt"]
    )
    assert text.splitlines() == ["the-token", "default", "CA"]


@pytest.mark.usefixtures("needs_namespaces")
async def test_mount_points_nest(lab):
    """A volume within a volume, whatever the order they are named in."""
    text = await lab.output(
        "a",
        ["sh", "-c", "touch /of-podrunner/outer /of-podrunner/in/inner; ls /of-podrunner /of-podrunner/in"],
        volumes=[{"name": "a", "emptyDir": {}}, {"name": "b", "emptyDir": {}}],
        volumeMounts=[
            {"name": "b", "mountPath": "/of-podrunner/in"},
            {"name": "a", "mountPath": "/of-podrunner"},
        ],
    )
    assert text.split() == ["/of-podrunner:", "in", "outer", "/of-podrunner/in:", "inner"]


@pytest.mark.usefixtures("needs_namespaces")
async def test_the_termination_log_is_under_dev_and_the_devices_are_there(lab):
    """A container's /dev has the usual devices, and the machine's is not written to."""
    lab.run(
        "a", ["sh", "-c", "echo done > /dev/termination-log; head -c1 /dev/zero | wc -c; echo x > /dev/null"]
    )
    assert (await lab.ended("a"))["message"] == "done\n"
    assert await lab.log("a") == "1\n"
    assert not Path("/dev/termination-log").exists()


@pytest.mark.usefixtures("needs_namespaces", "needs_root")
async def test_run_as_user_is_obeyed(lab):
    """uid, gid and supplementary groups."""
    context = {"runAsUser": 1234, "runAsGroup": 2345, "fsGroup": 3456}
    text = await lab.output("a", ["sh", "-c", "id -u; id -g; id -G"], securityContext=context)
    assert text.splitlines() == ["1234", "2345", "2345 3456"]


@pytest.mark.usefixtures("needs_namespaces")
async def test_an_image_can_be_a_root_file_system(make_lab, tmp_path):
    """The container sees that folder as /, and writes to it stay out of it where overlayfs is to be had."""
    root = tmp_path / "rootfs"
    for name in ("bin", "lib", "lib64", "usr", "etc"):
        (root / name).mkdir(parents=True)
    (root / "etc" / "of-the-image").write_text("yes")
    lab = await make_lab(images={"rooted": {"rootfs": root}})
    binds = [{"name": name, "hostPath": {"path": f"/{name}"}} for name in ("usr", "bin", "lib", "lib64")]
    text = await lab.output(
        "a",
        ["/bin/sh", "-c", "ls /; cat /etc/of-the-image; cd /; pwd; ls /data"],
        image="rooted",
        volumes=[*binds, {"name": "data", "emptyDir": {}}],
        volumeMounts=[
            *({"name": name, "mountPath": f"/{name}"} for name in ("usr", "bin", "lib", "lib64")),
            {"name": "data", "mountPath": "/data"},
        ],
    )
    assert text.split()[:3] == ["bin", "data", "dev"]
    assert text.endswith("yes/\n")

"""The spec for the shim, by isolation and security context."""

from __future__ import annotations

import os

import pytest
from podrunner.local.kubelet.environment import CreateContainerConfigError
from podrunner.local.kubelet.images import Image
from podrunner.local.kubelet.isolation import Isolation
from podrunner.local.kubelet.plan import (
    CreateContainerError,
    Machine,
    choose_user,
    command_line,
    plan_container,
    tar_names,
)
from podrunner.local.kubelet.volumes import Mount

POD = {"metadata": {"name": "p", "namespace": "ns", "uid": "u"}, "spec": {}}
ROOT = Machine(isolation=Isolation.ROOT, is_root=True, path="/bin")
USER = Machine(isolation=Isolation.USER, is_root=False, path="/bin", closed_home=True)
PLAIN = Machine(isolation=Isolation.NONE, is_root=False, path="/bin")
PLAIN_ROOT = Machine(isolation=Isolation.NONE, is_root=True, path="/bin")


def plan(tmp_path, machine, image=None, pod=POD, mounts=(), variables=None, **container):
    spec = {"name": "c", "image": "i", "command": ["run"], **container}
    return plan_container(
        spec,
        pod,
        image=image or Image(),
        variables=variables or {},
        mounts=mounts,
        folder=tmp_path,
        machine=machine,
    )


@pytest.mark.parametrize(
    ("machine", "context", "expected"),
    [
        (ROOT, {}, (None, None, None, 0, 0)),
        (ROOT, {"runAsUser": 5}, (5, 0, (), 5, 0)),
        (
            ROOT,
            {"runAsUser": 5, "runAsGroup": 6, "fsGroup": 7, "supplementalGroups": [8]},
            (5, 6, (8, 7), 5, 6),
        ),
        (USER, {}, (None, None, None, 0, 0)),
        (USER, {"runAsUser": 5, "runAsGroup": 6}, (None, None, None, 5, 6)),
        (PLAIN_ROOT, {"runAsUser": 5}, (5, 0, (), 5, 0)),
    ],
)
def test_the_user_that_a_container_runs_as(machine, context, expected):
    user = choose_user({"name": "c", "securityContext": context}, POD, machine)
    assert (user.uid, user.gid, user.groups, user.inside, user.inside_gid) == expected


def test_a_plain_container_of_an_ordinary_user_runs_as_that_user():
    user = choose_user({"name": "c", "securityContext": {"runAsUser": 5}}, POD, PLAIN)
    assert (user.uid, user.inside) == (None, os.geteuid())


@pytest.mark.parametrize(("machine", "expected"), [(USER, True), (ROOT, False), (PLAIN, False)])
def test_tar_changes_no_owner_where_there_is_only_one_user(tmp_path, machine, expected):
    """``kubectl cp`` unpacks with tar as root; in a user namespace no other owner exists."""
    options = plan(tmp_path, machine).spec["program"]["env"].get("TAR_OPTIONS", "")
    assert ("--no-same-owner" in options) == expected


def test_tar_writes_the_paths_that_a_plain_container_means():
    """``kubectl cp`` out of a container looks for them in the archive; blanks cannot be quoted there."""
    rewrites = [("/work", "/host/pods/u.1/work"), ("/odd", "/host/with blank")]
    assert tar_names(rewrites) == {"TAR_OPTIONS": r"--transform=s,^/*host/pods/u\.1/work,work,"}
    assert tar_names([]) == {}


def test_the_containers_security_context_wins_over_the_pods():
    pod = {**POD, "spec": {"securityContext": {"runAsUser": 1, "runAsGroup": 2}}}
    user = choose_user({"name": "c", "securityContext": {"runAsUser": 5}}, pod, ROOT)
    assert (user.uid, user.gid) == (5, 2)


@pytest.mark.parametrize(
    ("context", "words"),
    [
        ({"runAsNonRoot": True}, "container has runAsNonRoot and image will run as root"),
        ({"runAsNonRoot": True, "runAsUser": 0}, "container's runAsUser breaks non-root policy"),
    ],
)
def test_a_broken_non_root_rule_is_reported_in_kubernetes_words(context, words):
    with pytest.raises(CreateContainerConfigError, match=words):
        choose_user({"name": "c", "securityContext": context}, POD, ROOT)


@pytest.mark.parametrize(
    ("command", "args", "expected"),
    [
        (None, None, ["entry", "cmd"]),
        (["own"], None, ["own"]),
        (None, ["arg"], ["entry", "arg"]),
        (["own"], ["$(V)"], ["own", "1"]),
    ],
)
def test_command_and_args_replace_the_images_as_in_kubernetes(command, args, expected):
    image = Image(entrypoint=("entry",), cmd=("cmd",))
    assert command_line({"command": command, "args": args}, image, {"V": "1"}) == expected


def test_nothing_to_run_is_an_error_with_a_remedy():
    with pytest.raises(CreateContainerError, match="the pod must say what to run"):
        command_line({"image": "i"}, Image(), {})


def test_without_namespaces_paths_are_rewritten_everywhere(tmp_path):
    """Command, variables, working directory, and later commands of exec."""
    made = plan(
        tmp_path,
        PLAIN,
        mounts=[Mount("/real", "/data")],
        variables={"V": "/data/x"},
        command=["cat", "/data/f"],
        workingDir="/data/sub",
    )
    program = made.spec["program"]
    assert (program["argv"], program["env"]["V"], program["cwd"]) == (
        ["cat", "/real/f"],
        "/real/x",
        "/real/sub",
    )
    assert made.spec["mounts"] == []
    assert made.program(["ls", "/data"], tty=True)["argv"] == ["ls", "/real"]
    assert made.program(["ls"], tty=True)["env"]["TERM"] == "xterm"


def test_with_namespaces_mounts_are_made_and_nothing_is_rewritten(tmp_path):
    made = plan(tmp_path, ROOT, mounts=[Mount("/real", "/data", readonly=True)], command=["cat", "/data/f"])
    assert ("/real", "/data", True) in made.spec["mounts"]
    assert made.spec["program"]["argv"] == ["cat", "/data/f"]


def test_an_ordinary_user_gets_a_home_of_root_where_roots_is_closed(tmp_path):
    made = plan(tmp_path, USER)
    assert made.spec["mounts"][0] == (str(tmp_path / "home"), "/root", False)
    assert made.spec["program"]["env"]["HOME"] == "/root"


def test_the_images_variables_stand_under_the_containers(tmp_path):
    image = Image(path=(tmp_path,), env={"A": "image", "B": "image", "PATH": "ignored"})
    env = plan(tmp_path, ROOT, image=image, variables={"A": "own"}, tty=True).spec["program"]["env"]
    assert (env["A"], env["B"], env["PATH"], env["TERM"]) == ("own", "image", f"{tmp_path}:/bin", "xterm")


def test_a_root_file_system_needs_namespaces(tmp_path):
    image = Image(rootfs=tmp_path)
    with pytest.raises(CreateContainerError, match="needs namespaces"):
        plan(tmp_path, PLAIN, image=image)
    program = plan(tmp_path, ROOT, image=image).spec["program"]
    assert (program["cwd"], program["env"]["PATH"]) == (
        "/",
        "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    )


def test_a_working_directory_that_is_missing_is_mounted_unless_a_volume_has_it(tmp_path):
    made = plan(tmp_path, ROOT, workingDir="/none/such")
    assert (str(tmp_path / "scratch"), "/none/such", False) in made.spec["mounts"]
    made = plan(tmp_path, ROOT, workingDir="/data/sub", mounts=[Mount("/real", "/data")])
    assert all(target != "/data/sub" for _, target, _ in made.spec["mounts"])

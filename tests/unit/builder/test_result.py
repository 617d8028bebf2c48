"""A workload with a result: its volume, and the container that keeps it readable."""

from __future__ import annotations

from typing import Any

import pytest
from podrunner.builder import PodBuilder, build_pod, explain_pod
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload

PATH = "/airflow/xcom/return.json"
CONFIG = RunnerConfig(image="i")


def leaves(**fields: Any) -> Workload:
    return Workload(key={"a": "b"}, result_path=PATH, **fields)


def containers(pod: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {container["name"]: container for container in pod["spec"]["containers"]}


def test_both_containers_mount_one_empty_volume():
    volume = {"name": "v", "emptyDir": {}}
    pod = build_pod(CONFIG, leaves(volumes=[volume], volume_mounts=[{"name": "v", "mountPath": "/v"}]))
    mount = {"name": "podrunner-result", "mountPath": "/airflow/xcom"}
    assert pod["spec"]["volumes"] == [volume, {"name": "podrunner-result", "emptyDir": {}}]
    assert containers(pod)["base"]["volumeMounts"] == [{"name": "v", "mountPath": "/v"}, mount]
    assert containers(pod)["podrunner-result"]["volumeMounts"] == [mount]


def test_the_container_is_small_plain_and_after_the_main_one():
    """A native sidecar would end with the main container."""
    pod = build_pod(CONFIG, leaves())
    assert [container["name"] for container in pod["spec"]["containers"]] == ["base", "podrunner-result"]
    assert "initContainers" not in pod["spec"]
    beside = containers(pod)["podrunner-result"]
    assert (beside["image"], beside["command"][:2]) == ("i", ["sh", "-c"])
    assert beside["resources"] == {"requests": {"cpu": "1m", "memory": "10Mi"}}


def test_without_a_result_nothing_is_added():
    plain = Workload(key={"a": "b"})
    assert build_pod(CONFIG.with_changes(result_sidecar_image="alpine"), plain) == build_pod(CONFIG, plain)
    assert "annotations" not in build_pod(CONFIG, plain)["metadata"]


def test_the_path_is_an_annotation_that_nothing_overrides():
    """A successor of the runner reads it there."""
    workload = leaves(
        annotations={"podrunner.io/result-path": "x"},
        overrides={"metadata": {"annotations": {"podrunner.io/result-path": "/etc/passwd"}}},
    )
    assert build_pod(CONFIG, workload)["metadata"]["annotations"]["podrunner.io/result-path"] == PATH


@pytest.mark.parametrize(
    ("config", "fields", "image", "policy"),
    [
        ({"image": "i"}, {}, "i", None),
        ({"image": "i", "image_pull_policy": "Never"}, {}, "i", "Never"),
        ({"image": "i"}, {"image": "w"}, "w", None),
        ({}, {"overrides": {"spec": {"containers": [{"name": "base", "image": "o"}]}}}, "o", None),
        ({"image": "i", "image_pull_policy": "Never", "result_sidecar_image": "alpine"}, {}, "alpine", None),
    ],
)
def test_the_image_is_the_main_containers_unless_one_is_set(
    config: dict[str, Any], fields: dict[str, Any], image: str, policy: str | None
):
    """A hook sees it, as it may have to change every image."""
    seen: list[dict[str, Any]] = []
    pod = PodBuilder(RunnerConfig(**config), pod_hook=seen.append).build(leaves(**fields)).manifest
    for found in (pod, *seen):
        beside = containers(found)["podrunner-result"]
        assert (beside["image"], beside.get("imagePullPolicy")) == (image, policy)


def test_the_main_containers_restrictions_hold_for_both():
    """A namespace that enforces restrictions enforces them on all containers."""
    security = {"allowPrivilegeEscalation": False, "runAsUser": 7}
    template = {"spec": {"containers": [{"name": "base", "securityContext": security}]}}
    pod = build_pod(CONFIG.with_changes(pod_template=template), leaves())
    assert containers(pod)["podrunner-result"]["securityContext"] == security


def test_overrides_reach_the_container():
    limits = {"resources": {"limits": {"cpu": "1"}}}
    pod = build_pod(
        CONFIG, leaves(overrides={"spec": {"containers": [{"name": "podrunner-result", **limits}]}})
    )
    assert containers(pod)["podrunner-result"]["resources"]["limits"] == {"cpu": "1"}


def test_a_pod_whose_result_could_not_be_read_is_refused():
    gone = {"spec": {"containers": [{"name": "podrunner-result", "$patch": "delete"}]}}
    with pytest.raises(SpecError, match="result's container is gone"):
        build_pod(CONFIG, leaves(overrides=gone))


def test_a_folder_that_is_mounted_already_is_refused():
    """An empty volume would hide the mounted files."""
    with pytest.raises(SpecError, match="a folder of its own"):
        build_pod(CONFIG, leaves(volume_mounts=[{"name": "v", "mountPath": "/airflow/xcom/"}]))


@pytest.mark.parametrize(
    "path", ["x.json", "/x.json", "/", "/a/", "/a/../b", "/a//b", "//a/b", "/a:b/c", "/a/./b", "", "/a/\0"]
)
def test_a_path_that_cannot_be_a_result_is_refused(path: str):
    with pytest.raises(SpecError, match="result_path"):
        Workload(key={"a": "b"}, result_path=path)


def test_a_workloads_file_may_set_it():
    assert Workload.from_dict({"key": {"a": "b"}, "result_path": PATH}).result_path == PATH


def test_each_part_is_explained_by_its_setting():
    """An image that the configuration names is attributed to the configuration."""
    config = RunnerConfig(image="i", result_sidecar_image="alpine")
    found = {row.path: row.source for row in explain_pod(config, leaves())}
    beside = "spec.containers[podrunner-result]"
    assert found[f"{beside}.image"] == "config.result_sidecar_image"
    asked = [
        "spec.volumes[podrunner-result].emptyDir",
        "spec.containers[base].volumeMounts[/airflow/xcom].mountPath",
        f"{beside}.command[2]",
        f"{beside}.resources.requests.cpu",
        "metadata.annotations.podrunner.io/result-path",
    ]
    assert {found[path] for path in asked} == {"workload.result_path"}

"""Volumes as folders and files: contents, modes, types, sub paths, updates."""

# A look at the disk between two steps may block the loop in a test.
# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
import base64
import os
from pathlib import Path

import pytest
from podrunner.local.kubelet.environment import CreateContainerConfigError
from podrunner.local.kubelet.volumes import MountError, PodVolumes, host_path, sub_path


@pytest.mark.parametrize(
    ("kind", "make", "problem"),
    [
        ("Directory", None, "is not a directory"),
        ("File", "folder", "is not a file"),
        ("Directory", "folder", None),
        ("File", "file", None),
        ("DirectoryOrCreate", None, None),
        ("FileOrCreate", None, None),
        ("DirectoryOrCreate", "file", "is not a directory"),
        ("Socket", "file", "is not a Socket"),
        ("", None, None),
    ],
)
def test_host_paths_have_types(tmp_path, kind, make, problem):
    path = tmp_path / "x"
    if make == "folder":
        path.mkdir()
    elif make == "file":
        path.touch()
    if problem:
        with pytest.raises(
            MountError,
            match=f'MountVolume.SetUp failed for volume "v" : hostPath type check failed: .*{problem}',
        ):
            host_path({"path": str(path), "type": kind}, "v")
    else:
        assert host_path({"path": str(path), "type": kind}, "v").exists()


def test_sub_paths_are_made_and_stay_inside(tmp_path):
    root = tmp_path / "v"
    root.mkdir()
    assert sub_path(str(root), "a/b", mount="v", container="c") == str(root / "a" / "b")
    (root / "link").symlink_to("/etc")
    for bad in ("../x", "link", "a/../../x"):
        with pytest.raises(
            CreateContainerConfigError, match='failed to prepare subPath for volumeMount "v" of container "c"'
        ):
            sub_path(str(root), bad, mount="v", container="c")


def volumes_of(lab, *volumes, **spec):
    pod = {
        "metadata": {"name": "p", "namespace": "default", "uid": "u", "labels": {"a": "b"}},
        "spec": {"volumes": list(volumes), "containers": [{"name": "c", "resources": {}}], **spec},
        "status": {},
    }
    made = PodVolumes(lab.kubelet.node, lab.folder / "pods" / "u")
    made.set_up(pod)
    return made, pod


def mounts(made, *pairs):
    each = [{"name": name, "mountPath": path} for name, path in pairs]
    return {mount.target: mount for mount in made.mounts({"name": "c", "volumeMounts": each}, {})}


@pytest.mark.asyncio
async def test_projected_volumes_join_all_their_sources(lab):
    """Items with paths and modes; token, fields, config map, secret."""
    lab.store.create(
        "configmaps", {"metadata": {"name": "cm", "namespace": "default"}, "data": {"k": "v", "l": "w"}}
    )
    lab.store.create(
        "secrets",
        {
            "metadata": {"name": "s", "namespace": "default"},
            "data": {"p": base64.b64encode(b"secret").decode()},
        },
    )
    sources = [
        {"configMap": {"name": "cm", "items": [{"key": "k", "path": "deep/k", "mode": 0o400}]}},
        {"secret": {"name": "s"}},
        {
            "downwardAPI": {
                "items": [
                    {"path": "labels", "fieldRef": {"fieldPath": "metadata.labels"}},
                    {"path": "cpu", "resourceFieldRef": {"containerName": "c", "resource": "limits.cpu"}},
                ]
            }
        },
        {"serviceAccountToken": {"path": "token"}},
        {"configMap": {"name": "kube-root-ca.crt"}},
        {"configMap": {"name": "none", "optional": True}},
    ]
    made, _ = volumes_of(lab, {"name": "v", "projected": {"sources": sources, "defaultMode": 0o440}})
    mount = mounts(made, ("v", "/v"))["/v"]
    found = {
        str(path.relative_to(mount.source)): path.read_text()
        for path in Path(mount.source).rglob("*")
        if path.is_file()
    }
    assert found == {
        "deep/k": "v",
        "p": "secret",
        "labels": 'a="b"',
        "cpu": str(os.cpu_count()),
        "token": "the-token",
        "ca.crt": "CA",
    }
    assert Path(mount.source, "deep/k").stat().st_mode & 0o777 == 0o400
    assert Path(mount.source, "p").stat().st_mode & 0o777 == 0o440
    assert mount.readonly


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("volume", "words"),
    [
        ({"configMap": {"name": "no"}}, 'configmap "no" not found'),
        ({"secret": {"secretName": "no"}}, 'secret "no" not found'),
        (
            {"configMap": {"name": "cm", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent config key: x",
        ),
        (
            {"secret": {"secretName": "s", "items": [{"key": "x", "path": "x"}]}},
            "references non-existent secret key: x",
        ),
        (
            {"downwardAPI": {"items": [{"path": "x", "fieldRef": {"fieldPath": "spec"}}]}},
            "unsupported fieldPath: spec",
        ),
        ({"nfs": {"server": "x"}}, "no volume plugin matched: LocalCluster has none for 'nfs'"),
        ({"persistentVolumeClaim": {"claimName": "no"}}, 'persistentvolumeclaim "no" is not bound'),
        ({"persistentVolumeClaim": {"claimName": "odd"}}, "LocalCluster mounts hostPath and local volumes"),
    ],
)
async def test_what_cannot_be_mounted_is_reported(lab, volume, words):
    lab.store.create("configmaps", {"metadata": {"name": "cm", "namespace": "default"}})
    lab.store.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    lab.store.create(
        "persistentvolumes",
        {
            "metadata": {"name": "odd"},
            "spec": {"nfs": {}, "claimRef": {"namespace": "default", "name": "odd"}},
        },
    )
    lab.store.create(
        "persistentvolumeclaims",
        {"metadata": {"name": "odd", "namespace": "default"}, "spec": {"volumeName": "odd"}},
    )
    with pytest.raises(MountError, match=words):
        volumes_of(lab, {"name": "v", **volume})


@pytest.mark.asyncio
@pytest.mark.processes
async def test_a_changed_config_map_changes_in_running_containers(lab):
    """Keys that are gone go, others are replaced in one step."""
    lab.store.create(
        "configmaps", {"metadata": {"name": "cm", "namespace": "default"}, "data": {"a": "1", "b": "2"}}
    )
    lab.run(
        "p",
        ["sleep", "100"],
        volumes=[{"name": "v", "configMap": {"name": "cm"}}],
        volumeMounts=[{"name": "v", "mountPath": "/of-podrunner"}],
    )
    await lab.phase("p", "Running")
    lab.store.update("configmaps", "default", "cm", lambda obj: {**obj, "data": {"a": "changed"}})
    assert await lab.exec("p", ["sh", "-c", "cd /of-podrunner; ls; cat a"]) == (0, "a\nchanged")


@pytest.mark.asyncio
async def test_an_empty_dir_belongs_to_the_fs_group(lab):
    if os.geteuid() != 0:
        pytest.skip("needs root")
    made, _ = volumes_of(lab, {"name": "v", "emptyDir": {}}, securityContext={"fsGroup": 4321})
    info = Path(mounts(made, ("v", "/v"))["/v"].source).stat()
    assert (info.st_gid, info.st_mode & 0o7777) == (4321, 0o2777)


@pytest.mark.asyncio
async def test_a_claims_volume_can_be_read_only(lab):
    lab.store.create(
        "persistentvolumeclaims",
        {"metadata": {"name": "c", "namespace": "default"}, "spec": {"accessModes": ["ReadWriteOnce"]}},
    )
    await asyncio.sleep(0.01)
    made, _ = volumes_of(lab, {"name": "v", "persistentVolumeClaim": {"claimName": "c", "readOnly": True}})
    assert mounts(made, ("v", "/v"))["/v"].readonly


@pytest.mark.asyncio
async def test_the_token_is_mounted_unless_pod_or_account_opt_out(lab):
    token = "/var/run/secrets/kubernetes.io/serviceaccount"
    assert token in mounts(volumes_of(lab)[0])
    assert token not in mounts(volumes_of(lab, automountServiceAccountToken=False)[0])
    lab.store.create(
        "serviceaccounts",
        {"metadata": {"name": "default", "namespace": "default"}, "automountServiceAccountToken": False},
    )
    assert token not in mounts(volumes_of(lab)[0])
    assert token in mounts(volumes_of(lab, automountServiceAccountToken=True)[0])


@pytest.mark.asyncio
async def test_sub_path_expressions_are_expanded(lab):
    made, _ = volumes_of(lab, {"name": "v", "emptyDir": {}})
    each = {"name": "v", "mountPath": "/v", "subPathExpr": "$(POD)/x"}
    found = {
        mount.target: mount.source
        for mount in made.mounts({"name": "c", "volumeMounts": [each]}, {"POD": "p"})
    }
    assert found["/v"].endswith("/volumes/v/p/x")

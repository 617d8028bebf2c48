"""What a container plants in the cluster's folder leads the kubelet nowhere else: it runs as the same user."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from podrunner.local.kubelet.projection import File
from podrunner.local.kubelet.volumes import PodVolumes

pytestmark = pytest.mark.processes


@pytest.fixture
def precious(tmp_path: Path) -> Path:
    """A file that must neither be shown nor changed."""
    file = tmp_path / "outside" / "precious"
    file.parent.mkdir()
    file.write_text("precious\n")
    return file


def own_folder(lab, name):
    return lab.folder / "pods" / lab.store.get("pods", "default", name)["metadata"]["uid"]


@pytest.mark.parametrize("path", ["/{}/escaped", "../escaped", "a/../../escaped"])
@pytest.mark.asyncio
async def test_a_file_is_never_written_out_of_its_volume(lab, tmp_path, path):
    """The API server refuses such a path; the kubelet does not rely on it."""
    lab.store.create("configmaps", {"metadata": {"name": "c", "namespace": "default"}, "data": {"k": "v"}})
    lab.run(
        "p",
        ["true"],
        volumes=[
            {"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": path.format(tmp_path)}]}}
        ],
    )
    await lab.until("p", lambda _: any(reason == "FailedMount" for reason, _ in lab.recorded("p")))
    assert "leads out of the volume" in dict(lab.recorded("p"))["FailedMount"]
    assert not list(tmp_path.rglob("escaped"))


@pytest.mark.asyncio
async def test_a_termination_message_is_not_read_through_a_link(any_lab, precious):
    lab = any_lab
    lab.run("p", ["sh", "-c", "read go"], stdin=True)
    await lab.phase("p", "Running")
    note = own_folder(lab, "p") / "containers" / "main" / "termination-log"
    note.unlink()
    note.symlink_to(precious)
    lab.delete("p", grace_s=1)
    ended = await lab.until("p", lambda pod: "terminated" in pod["status"]["containerStatuses"][0]["state"])
    assert "message" not in ended["status"]["containerStatuses"][0]["state"]["terminated"]


@pytest.mark.asyncio
async def test_a_pipe_as_termination_message_does_not_hold_the_kubelet_up(lab, tmp_path):
    lab.run("p", ["sh", "-c", f"until test -e {tmp_path}/go; do sleep 0.05; done"])
    await lab.phase("p", "Running")
    note = own_folder(lab, "p") / "containers" / "main" / "termination-log"
    note.unlink()
    os.mkfifo(note)
    (tmp_path / "go").touch()
    assert (await lab.ended("p"))["exitCode"] == 0


@pytest.mark.asyncio
async def test_a_log_is_neither_read_nor_written_nor_rotated_through_a_link(make_lab, precious):
    lab = await make_lab(log_max_size=2000, log_max_files=2)
    lab.run(
        "p",
        ["sh", "-c", "echo one; read go; i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done"],
        stdin=True,
    )
    await lab.phase("p", "Running")
    logs = own_folder(lab, "p") / "logs"
    (logs / "main").rename(logs / "aside")
    (logs / "main").symlink_to(precious.parent)
    (precious.parent / "0.log").write_text("precious\n")
    attached = await lab.kubelet.attach(lab.store.get("pods", "default", "p"), "main", stdin=True, tty=False)
    await attached.write_stdin(b"go\n")
    await lab.phase("p", "Succeeded")
    assert (await lab.log("p")).startswith("unable to retrieve container logs for podrunner://")
    lab.delete("p")
    lab.store.remove("pods", "default", "p")
    await lab.gone("p")
    assert {each.name: each.read_text() for each in precious.parent.iterdir()} == {
        "precious": "precious\n",
        "0.log": "precious\n",
    }


@pytest.mark.asyncio
async def test_a_changed_config_map_is_not_written_through_a_link(lab, precious):
    lab.store.create(
        "configmaps", {"metadata": {"name": "c", "namespace": "default"}, "data": {"precious": "v"}}
    )
    lab.run("p", ["sleep", "100"], volumes=[{"name": "v", "configMap": {"name": "c"}}])
    await lab.phase("p", "Running")
    volume = own_folder(lab, "p") / "volumes" / "v"
    volume.rename(volume.with_name("aside"))
    volume.symlink_to(precious.parent)
    lab.store.update("configmaps", "default", "c", lambda obj: {**obj, "data": {"precious": "stolen"}})
    assert precious.read_text() == "precious\n"


@pytest.mark.asyncio
async def test_volumes_are_removed_without_what_their_links_name(lab, precious):
    script = f"cd /v; mkdir -p a/b; ln -s {precious.parent} a/out; ln -s {precious} a/b/file; chmod 0 a/b"
    lab.run(
        "p",
        ["sh", "-c", script],
        volumes=[{"name": "v", "emptyDir": {}}],
        volumeMounts=[{"name": "v", "mountPath": "/v"}],
    )
    await lab.phase("p", "Succeeded")
    folder = own_folder(lab, "p")
    lab.store.remove("pods", "default", "p")
    await lab.kubelet.stop()
    assert (folder.exists(), precious.read_text()) == (False, "precious\n")


@pytest.mark.asyncio
async def test_what_a_killed_cluster_left_is_swept_without_following_links(make_lab, tmp_path, precious):
    folder = tmp_path / "cluster0"
    folder.mkdir()
    (folder / "pods").symlink_to(precious.parent)
    (folder / "kubelet.pid").symlink_to(precious)
    lab = await make_lab()
    assert lab.folder == folder
    assert precious.read_text() == "precious\n"
    assert not (folder / "kubelet.pid").is_symlink()


@pytest.mark.asyncio
async def test_a_volume_named_token_is_not_the_tokens_folder(lab):
    pod = {
        "metadata": {"name": "p", "namespace": "default", "uid": "u"},
        "spec": {"volumes": [{"name": "token", "emptyDir": {}}], "containers": []},
    }
    PodVolumes(lab.kubelet.node, lab.folder / "pods" / "u").set_up(pod)
    assert list((lab.folder / "pods" / "u" / "volumes" / "token").iterdir()) == []


def test_the_bytes_of_a_file_are_not_shown():
    assert "secret" not in repr(File(b"secret"))

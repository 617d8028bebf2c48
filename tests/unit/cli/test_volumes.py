"""``run -v SOURCE:TARGET[:ro]`` becomes volumes and mounts; what has no meaning is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.cli.volumes import volumes_of
from podrunner.errors import UsageError


@pytest.mark.parametrize(
    ("text", "source", "mount"),
    [
        ("/srv/data:/data", {"hostPath": {"path": "/srv/data"}}, {"mountPath": "/data"}),
        ("/srv:/data/:ro", {"hostPath": {"path": "/srv"}}, {"mountPath": "/data", "readOnly": True}),
        ("/srv:/data:rw", {"hostPath": {"path": "/srv"}}, {"mountPath": "/data"}),
        ("pvc:claim-1:/d", {"persistentVolumeClaim": {"claimName": "claim-1"}}, {"mountPath": "/d"}),
        (
            "pvc:claim:/d:ro",
            {"persistentVolumeClaim": {"claimName": "claim"}},
            {"mountPath": "/d", "readOnly": True},
        ),
        ("secret:s:/etc/s", {"secret": {"secretName": "s"}}, {"mountPath": "/etc/s", "readOnly": True}),
        ("configmap:c:/etc/c", {"configMap": {"name": "c"}}, {"mountPath": "/etc/c", "readOnly": True}),
        ("emptydir:/scratch", {"emptyDir": {}}, {"mountPath": "/scratch"}),
        ("emptydir:2Gi:/scratch", {"emptyDir": {"sizeLimit": "2Gi"}}, {"mountPath": "/scratch"}),
        ("memory:/dev/shm", {"emptyDir": {"medium": "Memory"}}, {"mountPath": "/dev/shm"}),
        (
            "memory:64Mi:/dev/shm",
            {"emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}},
            {"mountPath": "/dev/shm"},
        ),
    ],
)
def test_each_form(text, source, mount) -> None:
    made = volumes_of([text])
    assert made.volumes == ({"name": "volume-1", **source},)
    assert made.mounts == ({"name": "volume-1", **mount},)


def test_one_source_at_two_targets_is_one_volume_but_empty_folders_are_two() -> None:
    made = volumes_of(["/srv:/a", "/srv:/b:ro", "emptydir:/c", "emptydir:/d"])
    assert [volume["name"] for volume in made.volumes] == ["volume-1", "volume-2", "volume-3"]
    assert [mount["name"] for mount in made.mounts] == ["volume-1", "volume-1", "volume-2", "volume-3"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "a source and a target"),
        ("/data", "a source and a target"),
        ("/data:ro", "a source and a target"),
        ("/srv:data", "'data' must be an absolute path"),
        ("/srv:/data:readonly", "'readonly' must be an absolute path in the container, and nothing but :ro"),
        ("/srv:/", "a folder below /"),
        ("/srv:/a/../b", "without '..'"),
        ("/srv/../etc:/a", "has no '..'"),
        ("/srv:/a:/b", "followed by the target"),
        ("./here:/data", "'./here' is not absolute"),
        ("~/here:/data", "is not absolute"),
        ("cache:/data", "a claim is pvc:cache:/target"),
        ("pcv:x:/data", "no kind 'pcv'. Did you mean 'pvc'?"),
        ("pvc::/data", "name of an object"),
        ("pvc:/data", "name of an object"),
        ("pvc:UPPER:/data", "lower-case"),
        ("emptydir:lots:/data", "a size such as 512Mi"),
        ("emptydir:0:/data", "a size such as 512Mi"),
    ],
)
def test_what_cannot_be_meant_is_refused(text, said) -> None:
    with pytest.raises(UsageError) as raised:
        volumes_of([text])
    assert said in str(raised.value)
    assert "Write it as /folder/of/the/node:/target, pvc:" in str(raised.value)


def test_a_target_is_mounted_once() -> None:
    with pytest.raises(UsageError, match="another volume is mounted at /a"):
        volumes_of(["/x:/a", "pvc:c:/a/"])


@given(st.lists(st.text(":/abc.ro~1", max_size=12), max_size=3))
def test_any_text_is_read_or_refused(texts) -> None:
    try:
        made = volumes_of(texts)
    except UsageError:
        return
    assert {mount["name"] for mount in made.mounts} == {volume["name"] for volume in made.volumes}
    assert all(mount["mountPath"].startswith("/") for mount in made.mounts)

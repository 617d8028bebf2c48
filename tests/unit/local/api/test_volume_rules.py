"""Volumes: paths that lead out of them, and all that Kubernetes checks besides."""

from __future__ import annotations

import pytest
from podrunner.local.api.validation.kinds import validate_create
from podrunner.local.api.validation.volumes import volume_errors

MODE = "must be a number between 0 and 0777 (octal), both inclusive"
NO_LABEL = "error converting fieldPath: field label not supported"
TOO_SHORT = "may not specify a duration less than 10 minutes"
FIELDS = '"metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid"'
TYPES = '"", "BlockDevice", "CharDevice", "Directory", "DirectoryOrCreate", "File", "FileOrCreate", "Socket"'
OUT = [
    ("/etc/x", ["must be a relative path"]),
    ("../x", ["must not contain '..'"]),
    ("a/../../x", ["must not contain '..'"]),
    ("/../x", ["must be a relative path", "must not contain '..'"]),
    ("..", ["must not contain '..'", "must not start with '..'"]),
    ("..data/x", ["must not start with '..'"]),
]


def found(**volume):
    return [str(each) for each in volume_errors([{"name": "v", **volume}], set())]


def at(field, path, complaints):
    return [f'{field}: Invalid value: "{path}": {words}' for words in complaints]


FIELD = {"fieldRef": {"fieldPath": "metadata.name"}}
V, P = "spec.volumes[0]", "spec.volumes[0].projected"


@pytest.mark.parametrize(("path", "complaints"), OUT)
def test_a_path_that_leads_out_of_a_volume_is_refused(path, complaints):
    """With Kubernetes' own field paths, which name an item's index for some kinds only."""
    items = [{"key": "k", "path": path}]
    assert found(configMap={"name": "c", "items": items}) == at(
        f"{V}.configMap.items[0].path", path, complaints
    )
    assert found(secret={"secretName": "s", "items": items}) == at(
        f"{V}.secret.items[0].path", path, complaints
    )
    assert found(downwardAPI={"items": [{"path": path, **FIELD}]}) == at(
        f"{V}.downwardAPI.path", path, complaints
    )
    for kind, source, field in (
        ("configMap", {"name": "c", "items": items}, f"{P}.sources[0].configMap.items[0].path"),
        ("secret", {"name": "s", "items": items}, f"{P}.sources[0].secret.items[0].path"),
        ("downwardAPI", {"items": [{"path": path, **FIELD}]}, f"{P}.sources[0].downwardAPI.path"),
        ("serviceAccountToken", {"path": path}, f"{P}.path"),
        ("clusterTrustBundle", {"name": "b", "path": path}, f"{P}.sources[0].clusterTrustBundle.path"),
        ("podCertificate", {"keyPath": path}, f"{P}.sources[0].podCertificate.keyPath"),
    ):
        assert found(projected={"sources": [{kind: source}]}) == at(field, path, complaints)


@pytest.mark.parametrize("path", ["a", "a/b", "a..b", "...", "a/..b", ".x"])
def test_a_path_below_a_volume_is_taken(path):
    expected = at(f"{V}.configMap.items[0].path", path, ["must not start with '..'"]) if path == "..." else []
    assert found(configMap={"name": "c", "items": [{"key": "k", "path": path}]}) == expected


@pytest.mark.parametrize(
    ("volume", "error"),
    [
        (
            {"configMap": {"name": "c", "items": [{"path": "p"}]}},
            f"{V}.configMap.items[0].key: Required value",
        ),
        (
            {"secret": {"secretName": "c", "items": [{"key": "p"}]}},
            f"{V}.secret.items[0].path: Required value",
        ),
        (
            {"configMap": {"name": "c", "items": [{"key": "k", "path": "p", "mode": 0o1000}]}},
            f"{V}.configMap.items[0].mode: Invalid value: 512: {MODE}",
        ),
        (
            {"secret": {"secretName": "s", "defaultMode": -1}},
            f"{V}.secret.defaultMode: Invalid value: -1: {MODE}",
        ),
        ({"projected": {"defaultMode": 4096}}, f"{P}.defaultMode: Invalid value: 4096: {MODE}"),
        ({"downwardAPI": {"defaultMode": 4096}}, f"{V}.downwardAPI.defaultMode: Invalid value: 4096: {MODE}"),
        (
            {"downwardAPI": {"items": [{"path": "p"}]}},
            f"{V}.downwardAPI: Required value: one of fieldRef and resourceFieldRef is required",
        ),
        (
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "spec"}}]}},
            f'{V}.downwardAPI.fieldRef.fieldPath: Invalid value: "spec": {NO_LABEL}: spec',
        ),
        (
            {"downwardAPI": {"items": [{"path": "p", "fieldRef": {"fieldPath": "spec.nodeName"}}]}},
            f'{V}.downwardAPI.fieldRef.fieldPath: Unsupported value: "spec.nodeName": supported values: {FIELDS}',
        ),
        (
            {"downwardAPI": {"items": [{"path": "p", "resourceFieldRef": {"resource": "limits.cpu"}}]}},
            f"{V}.downwardAPI.resourceFieldRef.containerName: Required value",
        ),
        (
            {"projected": {"sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 5}}]}},
            f"{P}.sources[0].serviceAccountToken.expirationSeconds: Invalid value: 5: {TOO_SHORT}",
        ),
        ({"projected": {"sources": [{"serviceAccountToken": {}}]}}, f"{P}.path: Required value"),
        ({"projected": {"sources": [{"secret": {}}]}}, f"{P}.sources[0].secret.name: Required value"),
        (
            {"projected": {"sources": [{"secret": {"name": "a"}, "configMap": {"name": "b"}}]}},
            f"{P}.sources[0]: Forbidden: may not specify more than 1 volume type per source",
        ),
        (
            {"projected": {"sources": [{"secret": {"name": "a", "items": [{"key": "k", "path": "p"}]}}] * 2}},
            f'{P}: Invalid value: "a": conflicting duplicate paths',
        ),
        (
            {"hostPath": {"path": "/a/../b"}},
            f"{V}.hostPath.path: Invalid value: \"/a/../b\": must not contain '..'",
        ),
        (
            {"hostPath": {"path": "/a", "type": "Folder"}},
            f'{V}.hostPath.type: Unsupported value: "Folder": supported values: {TYPES}',
        ),
        (
            {"emptyDir": {"sizeLimit": "-1"}},
            f"{V}.emptyDir.sizeLimit: Forbidden: SizeLimit field must be a valid resource quantity",
        ),
    ],
)
def test_what_kubernetes_refuses_besides(volume, error):
    assert found(**volume) == [error]


def test_a_subscript_names_one_label():
    item = {"path": "p", "fieldRef": {"fieldPath": "metadata.labels['a']"}}
    assert found(downwardAPI={"items": [item]}) == []


@pytest.mark.parametrize("kind", ["hostPath", "local"])
def test_a_persistent_volumes_path_has_no_backsteps(kind):
    spec = {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "volumeMode": "Filesystem"}
    spec |= {"persistentVolumeReclaimPolicy": "Retain", kind: {"path": "/a/../b"}}
    errors = validate_create("persistentvolumes", {"metadata": {"name": "v"}, "spec": spec})
    assert f"spec.{kind}.path: Invalid value: \"/a/../b\": must not contain '..'" in map(str, errors)

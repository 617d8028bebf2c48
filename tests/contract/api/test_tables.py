"""Tables, which the server renders for ``kubectl get``: columns and cells."""

from __future__ import annotations

import pytest

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"


def table(api, resource, name="", **params):
    return api.ok(api.get(resource, name, accept=TABLE, **params))


def columns(found):
    return [each["name"] for each in found["columnDefinitions"] if not each["priority"]]


def wide(found):
    return [each["name"] for each in found["columnDefinitions"] if each["priority"]]


def cells(found, name):
    return next(each["cells"] for each in found["rows"] if each["cells"][0] == name)


def test_a_pod_has_kubectls_columns(api, gated_pod):
    api.made("pods", gated_pod("p"))
    found = table(api, "pods")
    assert columns(found) == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert wide(found) == ["IP", "Node", "Nominated Node", "Readiness Gates"]
    row = found["rows"][0]
    assert row["cells"][:4] == ["p", "0/1", "SchedulingGated", "0"]
    assert row["cells"][5:] == ["<none>", "<none>", "<none>", "<none>"]
    assert row["object"]["kind"] == "PartialObjectMetadata"
    assert row["object"]["metadata"]["name"] == "p"


def test_a_running_pod_that_is_ready(api, gated_pod):
    api.made("pods", gated_pod("p", schedulingGates=[], schedulerName="tests.podrunner.io/none"))
    state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
    last = {"terminated": {"exitCode": 1, "finishedAt": "2020-01-01T00:00:00Z"}}
    status = {
        "name": "main",
        "image": "x",
        "imageID": "",
        "ready": True,
        "restartCount": 2,
        "state": state,
        "lastState": last,
    }
    api.ok(
        api.patch("pods", "p", {"status": {"phase": "Running", "containerStatuses": [status]}}, part="status")
    )
    ready, status, restarts = cells(table(api, "pods"), "p")[1:4]
    assert (ready, status) == ("1/1", "Running")
    assert restarts.startswith("2 (")
    assert restarts.endswith(" ago)")


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ("configmaps", ["Name", "Data", "Age"]),
        ("secrets", ["Name", "Type", "Data", "Age"]),
        ("events", ["Last Seen", "Type", "Reason", "Object", "Message"]),
        ("leases", ["Name", "Holder", "Age"]),
        (
            "persistentvolumeclaims",
            [
                "Name",
                "Status",
                "Volume",
                "Capacity",
                "Access Modes",
                "StorageClass",
                "VolumeAttributesClass",
                "Age",
            ],
        ),
        ("serviceaccounts", ["Name", "Secrets", "Age"]),
        ("services", ["Name", "Type", "Cluster-IP", "External-IP", "Port(s)", "Age"]),
        ("resourcequotas", ["Name", "Request", "Limit", "Age"]),
        ("roles", ["Name", "Created At"]),
        ("endpoints", ["Name", "Endpoints", "Age"]),
    ],
)
def test_a_kind_has_its_columns(api, cluster, resource, expected):
    if resource == "serviceaccounts" and cluster.minor > 34:
        expected = [each for each in expected if each != "Secrets"]
    assert columns(table(api, resource)) == expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/nodes", ["Name", "Status", "Roles", "Age", "Version"]),
        ("/api/v1/namespaces", ["Name", "Status", "Age"]),
        (
            "/api/v1/persistentvolumes",
            [
                "Name",
                "Capacity",
                "Access Modes",
                "Reclaim Policy",
                "Status",
                "Claim",
                "StorageClass",
                "VolumeAttributesClass",
                "Reason",
                "Age",
            ],
        ),
        (
            "/apis/scheduling.k8s.io/v1/priorityclasses",
            ["Name", "Value", "Global-Default", "Age", "PreemptionPolicy"],
        ),
        (
            "/apis/storage.k8s.io/v1/storageclasses",
            ["Name", "Provisioner", "ReclaimPolicy", "VolumeBindingMode", "AllowVolumeExpansion", "Age"],
        ),
        ("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", ["Name", "Role", "Age"]),
    ],
)
def test_a_cluster_wide_kind_has_its_columns(api, path, expected):
    assert columns(api.ok(api.http.get(path, headers={"Accept": TABLE}))) == expected


def test_small_kinds_have_their_cells(api, config_map):
    api.made("configmaps", config_map("c", a="1", b="2"))
    api.made("secrets", {"metadata": {"name": "s"}, "stringData": {"a": "1"}})
    api.made("leases", {"metadata": {"name": "l"}, "spec": {"holderIdentity": "me"}})
    api.made("persistentvolumeclaims", claim("v"))
    assert cells(table(api, "configmaps"), "c")[1] == 2
    assert cells(table(api, "secrets"), "s")[1:3] == ["Opaque", 1]
    assert cells(table(api, "leases"), "l")[1] == "me"
    assert cells(table(api, "persistentvolumeclaims"), "v")[1:6] == ["Pending", "", "", "", "none-such"]


def claim(name):
    spec = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "1Gi"}},
        "storageClassName": "none-such",
    }
    return {"metadata": {"name": name}, "spec": spec}


def test_an_event_is_one_line(api):
    involved = {"kind": "Pod", "name": "p", "namespace": api.namespace, "fieldPath": "spec.containers{main}"}
    event = {
        "metadata": {"name": "e"},
        "involvedObject": involved,
        "type": "Warning",
        "reason": "BackOff",
        "message": " again \n",
        "source": {"component": "kubelet", "host": "n1"},
        "firstTimestamp": "2020-01-01T00:00:00Z",
        "lastTimestamp": "2020-01-01T00:00:00Z",
        "count": 3,
    }
    api.made("events", event)
    row = table(api, "events")["rows"][0]["cells"]
    assert row[1:7] == ["Warning", "BackOff", "pod/p", "spec.containers{main}", "kubelet, n1", "again"]
    assert str(row[8]) == "3"
    assert row[9] == "e"


def test_rows_may_carry_the_whole_object_or_none(api, gated_pod):
    api.made("pods", gated_pod("p"))
    whole = table(api, "pods", includeObject="Object")["rows"][0]["object"]
    assert whole["spec"]["containers"]
    assert table(api, "pods", includeObject="None")["rows"][0].get("object") is None


def test_one_object_is_a_table_of_one_row(api, config_map):
    api.made("configmaps", config_map("c"))
    found = table(api, "configmaps", "c")
    assert found["kind"] == "Table"
    assert len(found["rows"]) == 1


def test_a_client_may_request_metadata_only(api, config_map):
    api.made("configmaps", config_map("c", a="1"))
    accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    page = api.ok(api.get("configmaps", accept=accept, fieldSelector="metadata.name=c"))
    assert page["kind"] == "PartialObjectMetadataList"
    assert "data" not in page["items"][0]
    one = api.ok(
        api.get("configmaps", "c", accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")
    )
    assert one["kind"] == "PartialObjectMetadata"
    assert one["metadata"]["name"] == "c"


def test_an_unknown_media_type_is_406(api):
    assert api.get("pods", accept="text/html").status_code == 406

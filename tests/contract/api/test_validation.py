"""Validation: which fields are refused, with which message; and defaults."""

from __future__ import annotations

import pytest

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character (e.g. 'example.com', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is "
    "'[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
MAIN = {"name": "main", "image": "x"}


def causes(response):
    assert response.status_code == 422, response.text
    return {f"{each['field']}: {each['message']}" for each in response.json()["details"]["causes"]}


@pytest.mark.parametrize(
    ("spec", "cause"),
    [
        ({"containers": []}, "spec.containers: Required value"),
        ({"containers": [{"image": "x"}]}, "spec.containers[0].name: Required value"),
        ({"containers": [{"name": "main"}]}, "spec.containers[0].image: Required value"),
        (
            {"containers": [{"name": "Main", "image": "x"}]},
            f'spec.containers[0].name: Invalid value: "Main": {LABEL}',
        ),
        ({"containers": [MAIN, MAIN]}, 'spec.containers[1].name: Duplicate value: "main"'),
        ({"initContainers": [MAIN]}, 'spec.initContainers[0].name: Duplicate value: "main"'),
        (
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        (
            {"activeDeadlineSeconds": 0},
            "spec.activeDeadlineSeconds: Invalid value: 0: must be between 1 and 2147483647, inclusive",
        ),
        ({"nodeSelector": {"a": "b c"}}, "spec.nodeSelector"),
        ({"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
        ({"volumes": [{"name": "v", "secret": {}}]}, "spec.volumes[0].secret.secretName: Required value"),
        (
            {"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../x"}]}}]},
            "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'",
        ),
        (
            {
                "volumes": [
                    {"name": "v", "secret": {"secretName": "s", "items": [{"key": "k", "path": "/x"}]}}
                ]
            },
            'spec.volumes[0].secret.items[0].path: Invalid value: "/x": must be a relative path',
        ),
        (
            {"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "/x"}}]}}]},
            'spec.volumes[0].projected.path: Invalid value: "/x": must be a relative path',
        ),
        (
            {
                "volumes": [
                    {
                        "name": "v",
                        "downwardAPI": {"items": [{"path": "..x", "fieldRef": {"fieldPath": "spec"}}]},
                    }
                ]
            },
            "spec.volumes[0].downwardAPI.path: Invalid value: \"..x\": must not start with '..'",
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": ""}}]},
            "spec.volumes[0].hostPath.path: Required value",
        ),
        (
            {"tolerations": [{"operator": "Equal"}]},
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Like"}]},
            'spec.tolerations[0].operator: Unsupported value: "Like": supported values: "Equal", "Exists"',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "effect": "Never"}]},
            'spec.tolerations[0].effect: Unsupported value: "Never"',
        ),
        ({"serviceAccountName": "A b"}, "spec.serviceAccountName"),
        (
            {"securityContext": {"runAsUser": -1}},
            "spec.securityContext.runAsUser: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
    ],
)
def test_an_invalid_pod_is_422_with_its_field(api, gated_pod, spec, cause):
    """L6: an invalid spec is final, and the server says which field."""
    refused = api.create("pods", gated_pod("p", **spec))
    if spec.get("serviceAccountName"):
        assert refused.status_code in {403, 422}
    else:
        assert any(each.startswith(cause) for each in causes(refused)), refused.text


@pytest.mark.parametrize(
    ("fields", "cause"),
    [
        (
            {"imagePullPolicy": "Maybe"},
            'imagePullPolicy: Unsupported value: "Maybe": supported values: "Always", "IfNotPresent", "Never"',
        ),
        ({"terminationMessagePolicy": "X"}, 'terminationMessagePolicy: Unsupported value: "X"'),
        ({"env": [{"value": "1"}]}, "env[0].name: Required value"),
        (
            {"env": [{"name": "a=b"}]},
            'env[0].name: Invalid value: "a=b": a valid environment variable name must consist only of printable',
        ),
        (
            {"env": [{"name": "A", "value": "1", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]},
            'env[0].valueFrom: Invalid value: "": may not be specified when `value` is not empty',
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "a b"}}}]},
            "env[0].valueFrom.secretKeyRef.key: Invalid value",
        ),
        (
            {"envFrom": [{"prefix": "A"}]},
            'envFrom: Invalid value: "": must specify one of: `configMapRef` or `secretRef`',
        ),
        ({"volumeMounts": [{"name": "v", "mountPath": "/v"}]}, 'volumeMounts[0].name: Not found: "v"'),
        (
            {"ports": [{"containerPort": 70000}]},
            "ports[0].containerPort: Invalid value: 70000: must be between 1 and 65535, inclusive",
        ),
        ({"ports": [{"protocol": "TCP"}]}, "ports[0].containerPort: Required value"),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            'resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1',
        ),
        (
            {"resources": {"limits": {"cpu": "-1"}}},
            'resources.limits[cpu]: Invalid value: "-1": must be greater than or equal to 0',
        ),
        (
            {"resources": {"limits": {"gpu": "1"}}},
            'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource type or fully qualified',
        ),
        (
            {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
            "resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        ({"livenessProbe": {}}, "livenessProbe: Required value: must specify a handler type"),
        (
            {"readinessProbe": {"exec": {"command": ["x"]}, "periodSeconds": -1}},
            "readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
    ],
)
def test_an_invalid_container_is_422_with_its_field(api, gated_pod, fields, cause):
    refused = api.create("pods", gated_pod("p", containers=[{**MAIN, **fields}]))
    assert any(each.startswith(f"spec.containers[0].{cause}") for each in causes(refused)), refused.text


def test_invalid_metadata_is_422(api, config_map):
    """L10: invalid names and labels."""
    body = config_map("A_b")
    body["metadata"]["labels"] = {"ok": "a b", "a/b/c": "x", "long": "x" * 64}
    body["metadata"]["annotations"] = {"big": "x" * 262_145}
    body["metadata"]["finalizers"] = ["a b"]
    found = causes(api.create("configmaps", body))
    assert f'metadata.name: Invalid value: "A_b": {SUBDOMAIN}' in found
    assert any(
        each.startswith('metadata.labels: Invalid value: "a b": a valid label must be') for each in found
    )
    wordings = ("a qualified name must", "a valid label key must")  # of 1.34, and of a later version
    key = tuple(f'metadata.labels: Invalid value: "a/b/c": {wording}' for wording in wordings)
    assert any(each.startswith(key) for each in found)
    assert f'metadata.labels: Invalid value: "{"x" * 64}": must be no more than 63 {unit(found)}' in found
    assert "metadata.annotations: Too long: may not be more than 262144 bytes" in found
    assert any(each.startswith('metadata.finalizers: Invalid value: "a b"') for each in found)


def unit(found):
    """Return the unit in messages: Kubernetes 1.34 says bytes, earlier versions said characters."""
    return "bytes" if any("no more than 63 bytes" in each for each in found) else "characters"


def test_a_message_names_all_causes(api):
    refused = api.create("pods", {"metadata": {}, "spec": {}})
    assert refused.json()["reason"] == "Invalid"
    message = (
        "[metadata.name: Required value: name or generateName is required, spec.containers: Required value]"
    )
    assert refused.json()["message"] == f'Pod "" is invalid: {message}'
    assert refused.json()["details"]["kind"] == "Pod"


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        (
            "terminationGracePeriodSeconds",
            "x",
            (
                "json: cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds "
                "of type int64"
            ),
        ),
        (
            "nodeSelector",
            {"a": 1},
            "json: cannot unmarshal number into Go struct field PodSpec.spec.nodeSelector of type string",
        ),
        (
            "containers",
            {},
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            "hostNetwork",
            "yes",
            "json: cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool",
        ),
    ],
)
def test_a_wrong_type_is_400_with_its_field(api, gated_pod, field, value, message):
    refused = api.create("pods", gated_pod("p", **{field: value}))
    assert refused.status_code == 400
    assert refused.json()["message"] == f'Pod in version "v1" cannot be handled as a Pod: {message}'


def test_an_invalid_quantity_is_400(api, gated_pod):
    pod = gated_pod("p", containers=[{**MAIN, "resources": {"limits": {"cpu": "much"}}}])
    refused = api.create("pods", pod)
    assert refused.status_code == 400
    assert "quantities must match the regular expression" in refused.json()["message"]


@pytest.mark.parametrize(("mode", "code"), [("Strict", 400), ("Warn", 201), ("Ignore", 201), ("Loud", 422)])
def test_an_unknown_field_is_handled_as_requested(api, gated_pod, mode, code):
    pod = gated_pod("p", containers=[{**MAIN, "comand": ["x"]}])
    answer = api.create("pods", pod, fieldValidation=mode)
    assert answer.status_code == code
    message = 'unknown field "spec.containers[0].comand"'
    if mode == "Strict":
        prefix = 'Pod in version "v1" cannot be handled as a Pod: strict decoding error'
        assert answer.json()["message"] == f"{prefix}: {message}"
    if code == 201:
        assert "comand" not in answer.json()["spec"]["containers"][0]
        warned = [each for each in answer.headers.get_list("warning") if "comand" in each]
        assert bool(warned) is (mode == "Warn")


def test_a_pod_gets_its_defaults(api, gated_pod):
    limits = {"cpu": 0.5, "memory": "1024Mi"}
    container = {
        **MAIN,
        "resources": {"limits": limits},
        "ports": [{"containerPort": 1}],
        "livenessProbe": {"httpGet": {"port": 1}},
    }
    pod = api.made("pods", gated_pod("p", containers=[container], volumes=[{"name": "v"}]))
    spec, main = pod["spec"], pod["spec"]["containers"][0]
    assert spec["restartPolicy"] == "Always"
    assert spec["dnsPolicy"] == "ClusterFirst"
    assert spec["terminationGracePeriodSeconds"] == 30
    assert spec["schedulerName"] == "default-scheduler"
    assert spec["serviceAccountName"] == "default"
    assert spec["priority"] == 0
    assert spec["volumes"][0] == {"name": "v", "emptyDir": {}}
    assert {each["key"]: each["tolerationSeconds"] for each in spec["tolerations"]} == {
        "node.kubernetes.io/not-ready": 300,
        "node.kubernetes.io/unreachable": 300,
    }
    assert main["imagePullPolicy"] == "Always"
    assert main["resources"] == {
        "limits": {"cpu": "500m", "memory": "1Gi"},
        "requests": {"cpu": "500m", "memory": "1Gi"},
    }
    assert main["ports"] == [{"containerPort": 1, "protocol": "TCP"}]
    assert main["livenessProbe"]["httpGet"] == {"path": "/", "port": 1, "scheme": "HTTP"}
    assert main["livenessProbe"]["periodSeconds"] == 10
    assert main["terminationMessagePath"] == "/dev/termination-log"
    assert pod["status"]["phase"] == "Pending"
    assert pod["status"]["qosClass"] == "Guaranteed"
    assert pod["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("a", "Always"),
        ("a:latest", "Always"),
        ("a:1", "IfNotPresent"),
        ("r.io:5000/a", "Always"),
        ("r.io:5000/a:1", "IfNotPresent"),
        (f"a@sha256:{'0' * 64}", "IfNotPresent"),
    ],
)
def test_the_pull_policy_follows_the_tag(api, gated_pod, image, policy):
    pod = api.made("pods", gated_pod("p", containers=[{"name": "main", "image": image}]), dryRun="All")
    assert pod["spec"]["containers"][0]["imagePullPolicy"] == policy


@pytest.mark.parametrize(
    "patch",
    [
        {"dnsPolicy": "Default"},
        {"schedulingGates": [{"name": "tests.podrunner.io/other"}]},
    ],
)
def test_most_fields_of_a_pod_are_immutable(api, gated_pod, patch):
    api.made("pods", gated_pod("p"))
    refused = api.patch("pods", "p", {"spec": patch})
    assert refused.status_code == 422
    assert refused.json()["details"]["causes"][0]["reason"] == "FieldValueForbidden"


def test_image_deadline_and_more_tolerations_may_change(api, gated_pod):
    made = api.made("pods", gated_pod("p", containers=[MAIN]))
    tolerations = [*made["spec"]["tolerations"], {"key": "a", "operator": "Exists"}]
    image = [{**made["spec"]["containers"][0], "image": "y"}]
    changed = {"containers": image, "activeDeadlineSeconds": 9, "tolerations": tolerations}
    spec = api.ok(api.patch("pods", "p", {"spec": changed}))["spec"]
    assert spec["containers"][0]["image"] == "y"
    assert spec["activeDeadlineSeconds"] == 9
    assert len(spec["tolerations"]) == 3


def test_a_missing_service_account_is_403(api, gated_pod):
    """L9: admission refuses the pod with the reason."""
    refused = api.create("pods", gated_pod("p", serviceAccountName="absent"))
    assert refused.status_code == 403
    message = f'error looking up service account {api.namespace}/absent: serviceaccount "absent" not found'
    assert refused.json()["message"] == f'pods "p" is forbidden: {message}'


def test_a_missing_priority_class_is_403(api, gated_pod):
    refused = api.create("pods", gated_pod("p", priorityClassName="nothing"))
    assert refused.status_code == 403
    assert refused.json()["message"] == 'pods "p" is forbidden: no PriorityClass with name nothing was found'
    spec = api.made("pods", gated_pod("p", priorityClassName="system-node-critical"), dryRun="All")["spec"]
    assert spec["priority"] == 2_000_001_000


@pytest.mark.parametrize(
    ("resource", "body", "cause"),
    [
        (
            "configmaps",
            {"data": {"a b": "x"}},
            'data[a b]: Invalid value: "a b": a valid config key must consist of',
        ),
        (
            "configmaps",
            {"data": {"a": "x"}, "binaryData": {"a": "eA=="}},
            'data[a]: Invalid value: "a": duplicate of key present in binaryData',
        ),
        ("configmaps", {"data": {"a": "x" * 1_048_577}}, "[]: Too long: may not be more than 1048576 bytes"),
        ("secrets", {"type": "kubernetes.io/tls"}, "data[tls.crt]: Required value"),
        (
            "persistentvolumeclaims",
            {"spec": {}},
            "spec.accessModes: Required value: at least 1 access mode is required",
        ),
        (
            "persistentvolumeclaims",
            {"spec": {"accessModes": ["ReadWriteOnce"]}},
            "spec.resources[storage]: Required value",
        ),
        (
            "leases",
            {"spec": {"leaseDurationSeconds": 0}},
            "spec.leaseDurationSeconds: Invalid value: 0: must be greater than 0",
        ),
    ],
)
def test_other_kinds_are_validated(api, resource, body, cause):
    refused = api.create(resource, {"metadata": {"name": "x"}, **body})
    assert any(each.startswith(cause) for each in causes(refused)), refused.text

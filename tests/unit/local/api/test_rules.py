"""Rules and defaults that the contract suite cannot reach by HTTP alone, or not in their numbers."""

from __future__ import annotations

import pytest
from podrunner.local.api.paths import parse_path
from podrunner.local.api.registry.defaults import qos_class, set_defaults
from podrunner.local.api.validation import formats
from podrunner.local.api.validation.containers import container_errors, probe_errors
from podrunner.local.api.validation.kinds import validate_create, validate_update
from podrunner.local.api.validation.metadata import metadata_errors
from podrunner.local.api.validation.pods import pod_errors, pod_update_errors

GOOD = {
    "name": "main",
    "image": "x",
    "imagePullPolicy": "Always",
    "terminationMessagePolicy": "File",
}


def words(errors):
    return [str(each) for each in errors]


def pod(**spec):
    return {
        "metadata": {"name": "p"},
        "spec": {"containers": [GOOD], "restartPolicy": "Never", "dnsPolicy": "Default", **spec},
    }


def test_a_good_pod_has_no_errors():
    assert words(pod_errors(pod())) == []
    assert words(container_errors(GOOD, "c", volumes=())) == []


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"ports": [{"name": "a" * 16, "containerPort": 1, "protocol": "TCP"}]},
            "must be no more than 15 characters",
        ),
        (
            {"ports": [{"name": "a--b", "containerPort": 1, "protocol": "TCP"}]},
            "must not contain consecutive hyphens",
        ),
        (
            {"ports": [{"name": "-1", "containerPort": 1, "protocol": "TCP"}]},
            "must contain at least one letter (a-z)",
        ),
        (
            {"ports": [{"name": "A_", "containerPort": 1, "protocol": "TCP"}]},
            "must contain only alpha-numeric characters",
        ),
        (
            {"ports": [{"name": "a", "containerPort": 1, "protocol": "TCP"}] * 2},
            'c.ports[1].name: Duplicate value: "a"',
        ),
        ({"ports": [{"containerPort": 1, "protocol": "X"}]}, 'supported values: "SCTP", "TCP", "UDP"'),
        (
            {"env": [{"name": "A", "valueFrom": {}}]},
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"fieldRef": {}}}]},
            "c.env[0].valueFrom.fieldRef.fieldPath: Required value",
        ),
        (
            {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {}}}]},
            "c.env[0].valueFrom.secretKeyRef.key: Required value",
        ),
        (
            {
                "env": [
                    {
                        "name": "A",
                        "valueFrom": {
                            "secretKeyRef": {"name": "s", "key": "k"},
                            "configMapKeyRef": {"name": "s", "key": "k"},
                        },
                    }
                ]
            },
            "may not have more than one field specified at a time",
        ),
        (
            {"envFrom": [{"secretRef": {}, "configMapRef": {"name": "a"}}]},
            "c.envFrom[0].secretRef.name: Required value",
        ),
        ({"envFrom": [{"secretRef": {"name": "a"}, "prefix": "="}]}, "c.envFrom[0].prefix: Invalid value"),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/a"}] * 2},
            'c.volumeMounts[1].mountPath: Invalid value: "/a": must be unique',
        ),
        ({"volumeMounts": [{}]}, "c.volumeMounts[0].mountPath: Required value"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "/x"}]}, "must be a relative path"),
        ({"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "../x"}]}, "must not contain '..'"),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/a", "subPath": "x", "subPathExpr": "y"}]},
            "subPathExpr and subPath are mutually exclusive",
        ),
        ({"resources": {"limits": {"a b": "1"}}}, "c.resources.limits[a b]: Invalid value"),
        ({"resources": {"limits": {"x.com/a": "1.5"}}}, "must be an integer"),
        (
            {"resources": {"limits": {"x.com/a": "2"}, "requests": {"x.com/a": "1"}}},
            "must be equal to x.com/a limit of 2",
        ),
        ({"imagePullPolicy": ""}, "c.imagePullPolicy: Required value"),
    ],
)
def test_containers(fields, expected):
    found = words(container_errors({**GOOD, **fields}, "c", volumes={"v"}))
    assert any(expected in each for each in found), found


def test_probes():
    both = {"exec": {}, "httpGet": {"port": 1}}
    assert words(probe_errors(both, "p")) == [
        "p.httpGet: Forbidden: may not specify more than 1 handler type",
        "p.exec.command: Required value",
    ]


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"initContainers": [{**GOOD, "name": "i", "restartPolicy": "Never"}]},
            'restartPolicy: Unsupported value: "Never": supported values: "Always"',
        ),
        (
            {"initContainers": [{**GOOD, "name": "i", "lifecycle": {}}]},
            "may not be set for init containers without restartPolicy=Always",
        ),
        (
            {"initContainers": [{**GOOD, "name": "i", "restartPolicy": "Always", "startupProbe": {}}]},
            "startupProbe: Required value",
        ),
        ({"volumes": [{}]}, "spec.volumes[0].name: Required value"),
        ({"volumes": [{"name": "A"}]}, 'spec.volumes[0].name: Invalid value: "A"'),
        (
            {"volumes": [{"name": "a", "emptyDir": {}, "nfs": {"server": "s"}}]},
            "spec.volumes[0].nfs: Forbidden: may not specify more than 1 volume type",
        ),
        (
            {"volumes": [{"name": "a", "configMap": {"name": "c", "defaultMode": 9999}}]},
            "must be a number between 0 and 0777 (octal)",
        ),
        ({"terminationGracePeriodSeconds": -1}, "spec.terminationGracePeriodSeconds: Invalid value: -1"),
        ({"hostname": "A"}, 'spec.hostname: Invalid value: "A"'),
        ({"tolerations": [{"key": "a b", "operator": "Exists"}]}, "spec.tolerations[0].key: Invalid value"),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "tolerationSeconds": 5}]},
            "effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "value": "x"}]},
            "value must be empty when `operator` is 'Exists'",
        ),
        ({"tolerations": [{"key": "a", "value": "x y"}]}, "a valid label must be an empty string"),
        (
            {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
            'spec.schedulingGates[1]: Duplicate value: "a"',
        ),
    ],
)
def test_pods(spec, expected):
    found = words(pod_errors(pod(**spec)))
    assert any(expected in each for each in found), found


def affinity(*terms):
    needed = {"nodeSelectorTerms": [{"matchExpressions": [each]} for each in terms]}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": needed}}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({"key": "a", "operator": "In"}, "must be specified when `operator` is 'In' or 'NotIn'"),
        (
            {"key": "a", "operator": "Exists", "values": ["x"]},
            "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
        ),
        (
            {"key": "a", "operator": "Gt", "values": []},
            "must be specified single value when `operator` is 'Lt' or 'Gt'",
        ),
        ({"key": "a", "operator": "Like"}, "not a valid selector operator"),
    ],
)
def test_affinity(rule, expected):
    assert any(expected in each for each in words(pod_errors(pod(affinity=affinity(rule)))))
    assert any(
        "must have at least one node selector term" in each
        for each in words(pod_errors(pod(affinity=affinity())))
    )


def test_pod_changes():
    before = pod(activeDeadlineSeconds=5, tolerations=[{"key": "a", "operator": "Exists"}])

    def change(**spec):
        return words(pod_update_errors({**before, "spec": {**before["spec"], **spec}}, before))

    assert change() == []
    assert "must be less than or equal to previous value" in change(activeDeadlineSeconds=6)[0]
    assert "must not update from a positive integer to nil value" in change(activeDeadlineSeconds=None)[0]
    assert "existing toleration can not be modified" in change(tolerations=[])[0]
    assert "changed: spec.dnsPolicy" in change(dnsPolicy="None")[0]


def owner(**fields):
    return {"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "u", **fields}


def test_owners():
    meta = {
        "name": "a",
        "ownerReferences": [owner(uid=""), owner(controller=True), owner(name="q", controller=True)],
    }
    found = words(metadata_errors("configmaps", meta))
    assert any("metadata.ownerReferences.uid" in each for each in found)
    assert any('Found "true" in references for p and q' in each for each in found)


@pytest.mark.parametrize(
    ("storage", "name", "fine"),
    [("roles", "a:b", True), ("roles", "a/b", False), ("roles", "..", False), ("namespaces", "a.b", False)],
)
def test_names_by_kind(storage, name, fine):
    assert (not metadata_errors(storage, {"name": name})) is fine


@pytest.mark.parametrize(
    ("check", "text", "expected"),
    [
        (formats.dns_label, "a" * 64, "must be no more than 63 characters"),
        (formats.dns_subdomain, "a" * 254, "must be no more than 253 characters"),
        (formats.qualified_name, "/a", "prefix part must be non-empty"),
        (formats.qualified_name, "A_/a", "prefix part a lowercase RFC 1123 subdomain"),
        (formats.qualified_name, "a/", "name part must be non-empty"),
        (formats.qualified_name, "a" * 64, "name part must be no more than 63 characters"),
        (formats.config_key, ".", "must not be '.'"),
        (formats.config_key, "..", "must not be '..'"),
        (formats.config_key, "..a", "must not start with '..'"),
        (formats.config_key, "a" * 254, "must be no more than 253 characters"),
    ],
)
def test_formats(check, text, expected):
    assert any(expected in each for each in check(text))


CREATED = [
    ("persistentvolumes", {"spec": {}}, "spec.capacity: Required value"),
    ("persistentvolumes", {"spec": {}}, "spec: Required value: must specify a volume type"),
    ("persistentvolumes", {"spec": {"nfs": {}, "hostPath": {}}}, "may not specify more than 1 volume type"),
    (
        "persistentvolumes",
        {"spec": {"persistentVolumeReclaimPolicy": "X"}},
        'supported values: "Delete", "Recycle", "Retain"',
    ),
    ("persistentvolumeclaims", {"spec": {"accessModes": ["X"]}}, 'spec.accessModes: Unsupported value: "X"'),
    ("persistentvolumeclaims", {"spec": {"volumeMode": "X"}}, "spec.volumeMode: Unsupported value"),
    (
        "persistentvolumeclaims",
        {"spec": {"resources": {"requests": {"storage": "0"}}}},
        "must be greater than zero",
    ),
    ("leases", {"spec": {"leaseTransitions": -1}}, "spec.leaseTransitions: Invalid value: -1"),
    ("resourcequotas", {"spec": {"hard": {"pods": "-1"}}}, "spec.hard[pods]: Invalid value"),
    (
        "priorityclasses",
        {"value": 2_000_000_000},
        "maximum allowed value of a user defined priority is 1000000000",
    ),
    ("storageclasses", {}, "provisioner: Required value"),
    ("rolebindings", {"roleRef": {"kind": "X"}}, 'roleRef.kind: Unsupported value: "X"'),
    ("secrets", {"type": "kubernetes.io/ssh-auth"}, "data[ssh-privatekey]: Required value"),
]


@pytest.mark.parametrize(("storage", "body", "expected"), CREATED)
def test_other_kinds(storage, body, expected):
    found = words(validate_create(storage, {"metadata": {"name": "x"}, **body}))
    assert any(expected in each for each in found), found


def test_system_priorities_are_reserved():
    found = words(validate_create("priorityclasses", {"metadata": {"name": "system-x"}}))
    assert found == [
        'metadata.name: Forbidden: priority class names with "system-" prefix are reserved for system use only'
    ]


CLAIM = {
    "accessModes": ["ReadWriteOnce"],
    "volumeMode": "Filesystem",
    "resources": {"requests": {"storage": "1Gi"}},
}
VOLUME = {
    **CLAIM,
    "capacity": {"storage": "1Gi"},
    "hostPath": {"path": "/a"},
    "persistentVolumeReclaimPolicy": "Retain",
}

CHANGED = [
    (
        "api/v1/namespaces/n/secrets/x",
        {"type": "a"},
        {"type": "b"},
        'type: Invalid value: "b": field is immutable',
    ),
    (
        "api/v1/namespaces/n/persistentvolumeclaims/x",
        {"spec": CLAIM},
        {"spec": {**CLAIM, "storageClassName": "b", "selector": {}}},
        "spec is immutable after creation",
    ),
    (
        "api/v1/persistentvolumes/x",
        {"spec": VOLUME},
        {"spec": {**VOLUME, "hostPath": {"path": "/b"}}},
        "spec.persistentvolumesource is immutable",
    ),
    (
        "apis/scheduling.k8s.io/v1/priorityclasses/x",
        {"value": 1},
        {"value": 2},
        "value: Invalid value: 2: field is immutable",
    ),
    (
        "apis/rbac.authorization.k8s.io/v1/namespaces/n/rolebindings/x",
        {"roleRef": {"kind": "Role", "name": "a"}},
        {"roleRef": {"kind": "Role", "name": "b"}},
        "roleRef: Invalid value",
    ),
]


@pytest.mark.parametrize(("path", "before", "after", "expected"), CHANGED)
def test_what_may_not_change(path, before, after, expected):
    meta = {"metadata": {"name": "x"}}
    found = words(validate_update(parse_path(path), {**meta, **after}, {**meta, **before}))
    assert any(expected in each for each in found), found


def test_a_claim_may_be_bound_once():
    meta = {"metadata": {"name": "x"}}
    target = parse_path("api/v1/namespaces/n/persistentvolumeclaims/x")
    bound = {**meta, "spec": {**CLAIM, "volumeName": "v", "storageClassName": "s"}}
    assert not validate_update(target, bound, {**meta, "spec": CLAIM})
    grown = {**bound, "spec": {**bound["spec"], "resources": {"requests": {"storage": "2Gi"}}}}
    assert not validate_update(target, grown, {**bound, "status": {"phase": "Bound"}})
    assert validate_update(target, grown, bound)


@pytest.mark.parametrize(
    ("storage", "body", "field", "expected"),
    [
        (
            "persistentvolumes",
            {"spec": {"hostPath": {"path": "/"}}},
            "spec",
            {
                "persistentVolumeReclaimPolicy": "Retain",
                "volumeMode": "Filesystem",
                "hostPath": {"path": "/", "type": ""},
            },
        ),
        ("storageclasses", {}, "volumeBindingMode", "Immediate"),
        (
            "services",
            {"spec": {"ports": [{"port": 1}]}},
            "spec",
            {
                "type": "ClusterIP",
                "sessionAffinity": "None",
                "ports": [{"port": 1, "protocol": "TCP", "targetPort": 1}],
            },
        ),
        ("priorityclasses", {}, "preemptionPolicy", "PreemptLowerPriority"),
        (
            "rolebindings",
            {"subjects": [{"kind": "User", "name": "u"}]},
            "subjects",
            [{"kind": "User", "name": "u", "apiGroup": "rbac.authorization.k8s.io"}],
        ),
    ],
)
def test_defaults_of_small_kinds(storage, body, field, expected):
    set_defaults(storage, body)
    assert body[field] == expected


def test_defaults_deep_in_a_pod():
    container = {
        "name": "a",
        "env": [
            {"name": "A", "valueFrom": {"resourceFieldRef": {"resource": "limits.cpu"}}},
            {"name": "B", "valueFrom": {"fieldRef": {"fieldPath": "x"}}},
        ],
        "ports": [{"containerPort": 1}],
        "readinessProbe": {"grpc": {"port": 1}},
    }
    sources = [
        {"serviceAccountToken": {"path": "t"}},
        {"downwardAPI": {"items": [{"fieldRef": {"fieldPath": "x"}}]}},
    ]
    volumes = [
        {"name": "p", "projected": {"sources": sources}},
        {"name": "d", "downwardAPI": {"items": [{"fieldRef": {"fieldPath": "x"}}]}},
    ]
    made = {
        "metadata": {},
        "spec": {
            "containers": [container],
            "hostNetwork": True,
            "volumes": volumes,
            "serviceAccountName": "s",
        },
    }
    set_defaults("pods", made)
    assert container["env"][0]["valueFrom"]["resourceFieldRef"]["divisor"] == "0"
    assert container["env"][1]["valueFrom"]["fieldRef"]["apiVersion"] == "v1"
    assert container["ports"] == [{"containerPort": 1, "protocol": "TCP", "hostPort": 1}]
    assert container["readinessProbe"]["grpc"]["service"] == ""
    assert sources[0]["serviceAccountToken"]["expirationSeconds"] == 3600
    assert sources[1]["downwardAPI"]["items"][0]["fieldRef"]["apiVersion"] == "v1"
    assert volumes[1]["downwardAPI"]["defaultMode"] == 0o644
    assert made["spec"]["serviceAccount"] == "s"


def resources(requests=None, limits=None):
    return {"resources": {"requests": requests or {}, "limits": limits or {}}}


@pytest.mark.parametrize(
    ("containers", "expected"),
    [
        ([resources()], "BestEffort"),
        ([resources({"x.com/a": "1"})], "BestEffort"),
        ([resources({"cpu": "1"})], "Burstable"),
        ([resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"})], "Guaranteed"),
        ([resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "2", "memory": "1Gi"})], "Burstable"),
        ([resources({"cpu": "1", "memory": "1Gi"}, {"cpu": "1", "memory": "1Gi"}), resources()], "Burstable"),
    ],
)
def test_quality_of_service(containers, expected):
    assert qos_class({"containers": containers}) == expected

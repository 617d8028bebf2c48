"""No request makes the API server fail: what it cannot read is refused with a 4xx and a ``Status``.

Most of it holds for a real API server too, but not with these words and codes: the file is LocalCluster's own.
"""

from __future__ import annotations

import gzip
import json
import socket
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from podrunner.local import LocalCluster

PODS = "/api/v1/namespaces/default/pods"
POD = {
    "metadata": {"name": "p"},
    "spec": {"containers": [{"name": "main", "image": "x", "command": ["sleep", "1000"]}]},
}
DEEP = b"[" * 100_000
BOMB = b"a: &a [x,x,x,x,x,x,x,x]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + at, 98 + at, b",".join([b"*%c" % (97 + at)] * 9)) for at in range(20)
)
WIDE_BOMB = b"a: &a [" + b"1," * 100_000 + b"]\nb: [" + b"*a," * 100_000 + b"]"
JSON, YAML = "application/json", "application/yaml"
PATCHES = ("json-patch+json", "merge-patch+json", "strategic-merge-patch+json", "apply-patch+yaml")


@pytest.fixture(scope="module")
def local() -> Iterator[LocalCluster]:
    """A cluster that serves plain HTTP, with a pod that is scripted to run for ever."""
    with LocalCluster.blocking(tls=False) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def http(local: LocalCluster) -> Iterator[httpx.Client]:
    """A client with the cluster's token."""
    headers = {"Authorization": f"Bearer {local.token}"}
    with httpx.Client(base_url=local.url, headers=headers, trust_env=False, timeout=30) as client:
        yield client


def refusal(answer: httpx.Response, *codes: int) -> str:
    """The message of a refusal with one of these codes."""
    assert answer.status_code in codes, (answer.status_code, answer.text)
    body = answer.json()
    assert (body["kind"], body["status"], body["code"]) == ("Status", "Failure", answer.status_code)
    return str(body["message"])


@pytest.mark.parametrize("header", [b"Bearer \xff\xfe", "Bearer é".encode(), b"Basic eDp5", b"\xf0\x90", b""])
def test_an_authorization_of_any_bytes_is_refused(local, header):
    headers = {b"Authorization": header}
    assert refusal(httpx.get(local.url + PODS, headers=headers, trust_env=False, timeout=30), 401)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("sinceTime=yesterday", 'parsing time "yesterday"'),
        ("sinceTime=2026-01-01", "parsing time"),
        ("sinceTime=2026-02-30T00:00:00Z", "parsing time"),
        ("sinceTime=0001-01-01T00:00:00%2B23:00", "parsing time"),
        ("sinceTime=9999-12-31T23:59:59-23:00", "parsing time"),
        ("sinceTime=%D9%A2026-01-01T00:00:00Z", "parsing time"),
        ("sinceSeconds=-1", "must be greater than 0"),
        ("sinceSeconds=x", "invalid syntax"),
        ("sinceSeconds=1_0", "invalid syntax"),
        ("sinceSeconds=" + "9" * 5000, "value out of range"),
        ("tailLines=-1", "must be greater than or equal to 0"),
        ("tailLines=1.5", "invalid syntax"),
        ("limitBytes=0", "must be greater than 0"),
        ("limitBytes=9223372036854775808", "value out of range"),
        ("limitBytes=%FF", "invalid syntax"),
        ("follow=maybe", "invalid syntax"),
        ("container=%00", "is not valid for pod"),
    ],
)
def test_log_options_that_cannot_be_read_are_refused(http, query, words):
    http.post(PODS, json=POD)
    assert words in refusal(http.get(f"{PODS}/p/log?{query}"), 400, 422)


@pytest.mark.parametrize(
    "query",
    ["sinceSeconds=9223372036854775807", "sinceTime=0001-01-01T00:00:00Z", "tailLines=9223372036854775807"],
)
def test_log_options_at_the_edge_of_what_can_be_read_are_taken(http, query):
    http.post(PODS, json=POD)
    with http.stream("GET", f"{PODS}/p/log?{query}") as answer:
        assert answer.status_code in {200, 400}  # 400 until the container has started
        answer.read()
        assert answer.status_code == 200 or "is waiting to start" in answer.text


@pytest.mark.parametrize(
    "query",
    [
        "limit=" + "9" * 5000,
        "limit=x",
        "continue=%FF",
        "continue=bnVsbA",
        "resourceVersion=-1",
        "resourceVersion=" + "9" * 5000,
        "resourceVersion=%C2%B2",
        "labelSelector=%00",
        "labelSelector=a%3E" + "9" * 5000,
        "labelSelector=" + "%20" * 20_000 + "(",
        "labelSelector=" + "a" * 60_000 + "(",
        "fieldSelector=a",
        "fieldSelector=%FF%3D1",
        "watch=perhaps",
        "watch=1&timeoutSeconds=x",
    ],
)
def test_list_options_that_cannot_be_read_are_refused(http, query):
    assert refusal(http.get(f"{PODS}?{query}"), 400)


def test_a_long_selector_is_taken(http):
    values = ",".join(f"v{each}" for each in range(5000))
    assert http.get(PODS, params={"labelSelector": f"a in ({values})"}).json()["items"] == []
    assert http.get(PODS, params={"labelSelector": ",".join(["!none"] * 5000)}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        DEEP,
        b'{"a":' * 50_000,
        b'{"metadata":' + b'{"a":' * 150 + b"1" + b"}" * 151,
        b'{"a":"\xff"}',
        b"",
        b"NaN",
        b"[1]",
        b'"text"',
        b"null",
        b"\x00",
    ],
)
@pytest.mark.parametrize("verb", ["POST", "PUT", *PATCHES])
def test_json_that_is_none_of_the_kind_is_refused(http, body, verb):
    http.post(PODS, json=POD)
    method = verb if verb.isupper() else "PATCH"
    media = JSON if verb.isupper() else f"application/{verb}"
    path = PODS if verb == "POST" else f"{PODS}/p?fieldManager=x"
    answer = http.request(method, path, content=body, headers={"Content-Type": media})
    assert refusal(answer, 400, 422)


@pytest.mark.parametrize(
    "body",
    [
        BOMB,
        WIDE_BOMB,
        b"&a [*a]",
        b"[" * 20_000,
        b"a: .inf",
        b"!!binary aGk=",
        b"!!set {a}",
        b"a: " + b"9" * 5000,
    ],
)
def test_yaml_that_is_no_json_is_refused(http, body):
    assert refusal(http.post(PODS, content=body, headers={"Content-Type": YAML}), 400)


def test_keys_of_yaml_are_texts(http):
    body = b"metadata: {name: keys}\ndata: {2: a, true: b, 1.5: c}\n"
    path = "/api/v1/namespaces/default/configmaps"
    answer = http.post(path, content=body, headers={"Content-Type": YAML})
    assert answer.json()["data"] == {"2": "a", "true": "b", "1.5": "c"}


@pytest.mark.parametrize("media", ["text/html", "application/xml", ";;", "a/b; c", "é".encode()])
def test_an_unknown_content_type_is_refused(http, media):
    assert refusal(http.post(PODS, content=b"{}", headers={"Content-Type": media}), 415)


def test_a_body_that_is_too_long_is_refused(http):
    assert refusal(http.post(PODS, content=b" " * (4 << 20), headers={"Content-Type": JSON}), 413)
    packed = {"Content-Type": JSON, "Content-Encoding": "gzip"}
    assert refusal(http.post(PODS, content=gzip.compress(b" " * (50 << 20)), headers=packed), 413)
    assert refusal(http.post(PODS, content=b"no gzip", headers=packed), 400)


def test_copies_that_blow_an_object_up_are_refused(http):
    http.post(PODS, json=POD)
    patch = [{"op": "add", "path": "/metadata/annotations", "value": {"a": "x" * 1000}}]
    patch += [
        {"op": "copy", "from": "/metadata/annotations", "path": f"/metadata/annotations/{at}"}
        for at in range(60)
    ]
    answer = http.patch(
        f"{PODS}/p", content=json.dumps(patch), headers={"Content-Type": f"application/{PATCHES[0]}"}
    )
    assert "copy" in refusal(answer, 413)


@pytest.mark.parametrize(
    "fields",
    [
        {"gracePeriodSeconds": "x"},
        {"preconditions": 5},
        {"preconditions": {"uid": []}},
        {"dryRun": 5},
        {"dryRun": [{}]},
        {"propagationPolicy": []},
        {"orphanDependents": "x"},
    ],
)
def test_delete_options_of_wrong_types_are_refused(http, fields):
    http.post(PODS, json=POD)
    assert refusal(http.request("DELETE", f"{PODS}/p", json=fields), 400)
    eviction = {"metadata": {"name": "p"}, "deleteOptions": fields}
    assert refusal(http.post(f"{PODS}/p/eviction", json=eviction), 400)


@pytest.mark.parametrize("spec", [[], 5, {"expirationSeconds": "x"}, {"expirationSeconds": 10**18}])
def test_token_requests_of_wrong_types_are_refused(http, spec):
    answer = http.post("/api/v1/namespaces/default/serviceaccounts/default/token", json={"spec": spec})
    assert refusal(answer, 400, 422)


def test_a_grace_of_any_length_is_taken(http):
    body = {"metadata": {"name": "slow"}, "spec": {**POD["spec"], "terminationGracePeriodSeconds": 10**18}}
    assert http.post(PODS, json=body).status_code == 201
    assert http.request("DELETE", f"{PODS}/slow", json={"gracePeriodSeconds": 10**18}).status_code == 200
    assert http.request("DELETE", f"{PODS}/slow", json={"gracePeriodSeconds": 0}).status_code == 200


def raw(local: LocalCluster, data: bytes) -> httpx.Response:
    """What the server answers to bytes."""
    address = urlsplit(local.url)
    assert address.hostname is not None
    with socket.create_connection((address.hostname, address.port or 0), timeout=20) as line:
        line.sendall(data)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer.partition(b"\r\n\r\n")[2]) < length(answer):
            piece = line.recv(65536)
            assert piece, answer
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    return httpx.Response(int(head.split()[1]), content=body)


def length(answer: bytes) -> int:
    named = [line for line in answer.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(named[0].split(b":")[1]) if named else 0


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"garbage\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01", 400),
        (b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nExpect: miracles\r\n\r\n", 417),
    ],
)
def test_what_is_no_http_is_refused_with_a_status(local, data, code):
    assert refusal(raw(local, data), code)


VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=-(1 << 70), max_value=1 << 70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        ["", "/", "..", "a", "p", "x" * 300, "1Gi", "-1", "2026-01-01T00:00:00Z", "\x00", "é", "{{"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with these fields, each of its own kind of value or of any."""
    return st.fixed_dictionaries({}, optional={name: value | VALUES for name, value in known.items()})


META = fields(
    name=st.just("p"),
    labels=VALUES,
    annotations=VALUES,
    finalizers=VALUES,
    ownerReferences=VALUES,
    uid=VALUES,
)
CONTAINER = fields(
    name=st.just("c"),
    image=st.just("x"),
    command=VALUES,
    env=st.lists(fields(name=st.just("A"), value=VALUES, valueFrom=VALUES), max_size=2),
    ports=VALUES,
    resources=fields(limits=VALUES, requests=VALUES),
    volumeMounts=st.lists(fields(name=VALUES, mountPath=VALUES, subPath=VALUES), max_size=2),
    livenessProbe=VALUES,
    securityContext=VALUES,
)
ITEMS = st.lists(
    fields(key=VALUES, path=VALUES, mode=VALUES, fieldRef=VALUES, resourceFieldRef=VALUES), max_size=2
)
SOURCE = fields(
    name=VALUES, secretName=VALUES, items=ITEMS, defaultMode=VALUES, path=VALUES, sizeLimit=VALUES
)
VOLUME = fields(
    name=st.just("v"),
    configMap=SOURCE,
    secret=SOURCE,
    downwardAPI=SOURCE,
    hostPath=SOURCE,
    emptyDir=SOURCE,
    projected=fields(
        sources=st.lists(
            fields(configMap=SOURCE, secret=SOURCE, downwardAPI=SOURCE, serviceAccountToken=SOURCE),
            max_size=2,
        )
    ),
)
SPEC = fields(
    containers=st.lists(CONTAINER, max_size=2),
    initContainers=st.lists(CONTAINER, max_size=1),
    volumes=st.lists(VOLUME, max_size=2),
    restartPolicy=VALUES,
    tolerations=st.lists(fields(key=VALUES, operator=VALUES, tolerationSeconds=VALUES), max_size=2),
    affinity=fields(nodeAffinity=VALUES, podAffinity=VALUES),
    terminationGracePeriodSeconds=VALUES,
    activeDeadlineSeconds=VALUES,
    nodeSelector=VALUES,
    securityContext=VALUES,
    schedulingGates=VALUES,
    overhead=VALUES,
    template=VALUES,
    hard=VALUES,
    accessModes=VALUES,
    resources=VALUES,
    holderIdentity=VALUES,
    leaseDurationSeconds=VALUES,
)
BODY = fields(
    apiVersion=st.sampled_from(["v1", "batch/v1", "x"]),
    metadata=META,
    spec=SPEC,
    status=VALUES,
    data=VALUES,
    stringData=VALUES,
    target=VALUES,
    deleteOptions=VALUES,
    gracePeriodSeconds=VALUES,
    preconditions=VALUES,
    roleRef=VALUES,
    subjects=VALUES,
    involvedObject=VALUES,
    rules=VALUES,
)
OPERATIONS = st.lists(
    fields(
        op=st.sampled_from(["add", "remove", "replace", "move", "copy", "test"]),
        path=st.sampled_from(
            ["", "/", "/metadata", "/spec/containers/0", "/spec/containers/-", "/metadata/labels/a"]
        ),
        value=VALUES,
    ),
    max_size=3,
)
PATHS = [
    *(
        f"/api/v1/namespaces/default/{plural}{rest}"
        for plural in (
            "pods",
            "configmaps",
            "secrets",
            "persistentvolumeclaims",
            "resourcequotas",
            "events",
            "services",
        )
        for rest in ("", "/p", "/p/status")
    ),
    *(
        f"{PODS}/p/{part}"
        for part in ("log", "exec", "attach", "portforward", "binding", "eviction", "resize")
    ),
    "/api/v1/namespaces/default/serviceaccounts/default/token",
    "/api/v1/persistentvolumes",
    "/api/v1/nodes/podrunner-local",
    "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings",
    "/apis/scheduling.k8s.io/v1/priorityclasses",
    "/apis/events.k8s.io/v1/namespaces/default/events",
    "/openapi/v2",
    "/openapi/v3/api/v1",
    "/api",
    "/version",
    "/nowhere",
]
NAMES = (
    *("limit", "continue", "resourceVersion", "resourceVersionMatch", "labelSelector", "fieldSelector"),
    *("sendInitialEvents", "dryRun", "fieldManager", "fieldValidation", "force", "container", "tailLines"),
    *("sinceTime", "sinceSeconds", "limitBytes", "previous", "timestamps", "command", "stdout", "ports"),
    *("gracePeriodSeconds", "propagationPolicy", "timeout", "includeObject", "pretty"),
)
QUERY = st.dictionaries(
    st.sampled_from(NAMES), st.text(max_size=8) | st.sampled_from(["1", "true", "p"]), max_size=3
)
MEDIA = st.sampled_from(
    [JSON, YAML, "text/plain", "application/vnd.kubernetes.protobuf", "x"]
) | st.sampled_from([f"application/{each}" for each in PATCHES])
ACCEPT = st.sampled_from(["*/*", JSON, YAML, "application/json;as=Table;v=v1;g=meta.k8s.io", "x", ";"])


@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "PATCH", "DELETE"]),
    path=st.sampled_from(PATHS),
    query=QUERY,
    media=MEDIA,
    accept=ACCEPT,
    body=BODY.map(json.dumps) | OPERATIONS.map(json.dumps) | VALUES.map(json.dumps) | st.binary(max_size=30),
)
def test_no_request_makes_the_server_fail(http, method, path, query, media, accept, body):
    """Where Kubernetes itself answers 500, a message says why; anything else is the server's own failure."""
    if path == f"{PODS}/p":
        http.post(PODS, json=POD)
    url = f"{path}?{'&'.join(f'{name}={quote(value)}' for name, value in query.items())}"
    answer = http.request(method, url, content=body, headers={"Content-Type": media, "Accept": accept})
    assert (
        answer.status_code < 500 or "Internal error occurred: " in answer.text or EXPECTED in answer.text
    ), answer.text


EXPECTED = "resourceVersion should not be set on objects to be created"

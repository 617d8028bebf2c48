"""What goes over the wire: bodies in, views out, paths and options in between."""

from __future__ import annotations

import json

import pytest
from podrunner.local.api.encoding.decoding import decode_body, of_kind
from podrunner.local.api.encoding.rendering import MetadataView, TableView, choose_view
from podrunner.local.api.options import DeleteOptions, WriteOptions
from podrunner.local.api.paths import parse_path
from podrunner.local.api.resources import BY_PATH
from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.listing import Page

PODS = BY_PATH["", "v1", "pods"]
TARGET = parse_path("/api/v1/namespaces/n/pods")


def refusal(function, *args, **options):
    with pytest.raises(StatusError) as refused:
        function(*args, **options)
    return refused.value.code, refused.value.message


@pytest.mark.parametrize(
    ("body", "media", "expected"),
    [
        (b'{"a":1}', "", {"a": 1}),
        (b'{"a":1}', "application/json; charset=utf-8", {"a": 1}),
        (b"a: 2001-01-01\nb: 5", "application/yaml", {"a": "2001-01-01", "b": 5}),
    ],
)
def test_bodies(body, media, expected):
    assert decode_body(body, media, kind="Pod") == expected


@pytest.mark.parametrize(
    ("body", "media", "code", "words"),
    [
        (
            b"{",
            "application/json",
            400,
            "the object provided is unrecognized (must be of type Pod): couldn't get version/kind",
        ),
        (b"a: [", "application/yaml", 400, "the object provided is unrecognized (must be of type Pod): yaml"),
        (b"\xff", "application/yaml", 400, "the object provided is unrecognized"),
        (b"[" * 101, "application/yaml", 400, "yaml: exceeded max depth"),
        (b"[" * 100_000, "application/yaml", 400, "the object provided is unrecognized"),
        (b"- " * 101 + b"x", "application/yaml", 400, "yaml: exceeded max depth"),
        (b"[" + b"1, " * 100_000 + b"1]", "application/yaml", 400, "the document has more than 100000 parts"),
        (b"x", "application/vnd.kubernetes.protobuf", 400, ""),
        (b"<a/>", "text/xml", 415, "the body of the request was in an unknown format"),
    ],
)
def test_bodies_that_cannot_be_read(body, media, code, words):
    found, message = refusal(decode_body, body, media, kind="Pod")
    assert found == code
    assert words in message


def test_kinds():
    assert of_kind({}, TARGET) == {"apiVersion": "v1", "kind": "Pod", "metadata": {}}
    wrong = {"apiVersion": "v1", "kind": "Secret"}
    unknown = "converting (v1.Secret) to (core.Pod): unknown conversion"
    words = f'Secret in version "v1" cannot be handled as a Pod: {unknown}'
    assert refusal(of_kind, wrong, TARGET) == (400, words)
    words = 'Pod in version "v2" cannot be handled as a Pod: no kind "Pod" is registered for version "x/v2"'
    assert refusal(of_kind, {"apiVersion": "x/v2", "kind": "Pod"}, TARGET) == (400, words)
    for body in ([], "x", None, {"metadata": []}):
        assert refusal(of_kind, body, TARGET)[0] == 400
    evicting = parse_path("/api/v1/namespaces/n/pods/p/eviction")
    assert of_kind({}, evicting)["apiVersion"] == "policy/v1"


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/api/v1/pods", ("pods", "", "", None)),
        ("/api/v1/namespaces", ("namespaces", "", "", None)),
        ("/api/v1/namespaces/n", ("namespaces", "", "n", None)),
        ("/api/v1/namespaces/n/status", ("namespaces", "", "n", "status")),
        ("/api/v1/namespaces/n/pods/p", ("pods", "n", "p", None)),
        ("/api/v1/namespaces/n/pods/p/log", ("pods", "n", "p", "log")),
        ("/apis/coordination.k8s.io/v1/leases", ("leases", "", "", None)),
        ("/api/v1/watch/namespaces/n/pods/p", ("pods", "n", "p", None)),
        ("/api/v1/nodes/x", ("nodes", "", "x", None)),
    ],
)
def test_paths(path, expected):
    target = parse_path(path)
    assert (
        target.type.plural,
        target.namespace,
        target.name,
        target.subresource and target.subresource.name,
    ) == expected
    assert target.watch is ("/watch/" in path)


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/api/v1",
        "/api/v2/pods",
        "/api/v1/things",
        "/api/v1/pods/p",
        "/api/v1/namespaces/n/nodes",
        "/api/v1/namespaces/n/pods/p/nothing",
        "/api/v1/namespaces/n/pods/p/log/more",
    ],
)
def test_paths_that_lead_nowhere(path):
    assert parse_path(path) is None


def test_delete_options():
    body = {
        "gracePeriodSeconds": 5,
        "preconditions": {"uid": "u"},
        "dryRun": ["All"],
        "orphanDependents": True,
    }
    options = DeleteOptions.read({"gracePeriodSeconds": "9"}, body)
    assert (options.grace_period_s, options.uid, options.dry_run, options.propagation) == (
        5,
        "u",
        True,
        "Orphan",
    )
    assert DeleteOptions.read({"gracePeriodSeconds": "9", "dryRun": "All"}, {}).grace_period_s == 9
    assert refusal(DeleteOptions.read, {}, {"propagationPolicy": "X"})[0] == 422
    assert refusal(DeleteOptions.read, {}, {"gracePeriodSeconds": "5"})[0] == 400
    assert refusal(WriteOptions.read, {"force": "maybe"}) == (
        400,
        'strconv.ParseBool: parsing "maybe": invalid syntax',
    )


STATUS = {"kind": "Status", "code": 410}


@pytest.mark.parametrize("view", [MetadataView(PODS), TableView(PODS, lambda: 0.0)])
def test_errors_and_bookmarks_in_every_view(view):
    assert json.loads(view.event("ERROR", STATUS)) == {"type": "ERROR", "object": STATUS}
    assert json.loads(view.one(STATUS)) == STATUS
    bookmark = json.loads(view.bookmark(7, {"a": "b"}))
    assert bookmark["type"] == "BOOKMARK"
    assert '"resourceVersion":"7"' in json.dumps(bookmark, separators=(",", ":"))
    assert '"a":"b"' in json.dumps(bookmark, separators=(",", ":"))


def test_a_page_of_metadata():
    obj = {"metadata": {"name": "p"}, "spec": {}}
    page = json.loads(MetadataView(PODS).page(Page([obj], 3, "token", 2)))
    assert page["metadata"] == {"resourceVersion": "3", "continue": "token", "remainingItemCount": 2}
    assert page["items"] == [
        {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": {"name": "p"}}
    ]


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("", "ObjectView"),
        ("*/*", "ObjectView"),
        ("application/vnd.kubernetes.protobuf,application/json", "ObjectView"),
        ("application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json", "ObjectView"),
        ("application/json;as=Table;v=v1;g=meta.k8s.io", "TableView"),
        ("application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io", "MetadataView"),
        ("application/json;as=Other;v=v1;g=meta.k8s.io,*/*", "ObjectView"),
    ],
)
def test_views(accept, expected):
    assert type(choose_view(accept, PODS, now=lambda: 0.0)).__name__ == expected


def test_protobuf_alone_is_406():
    assert refusal(choose_view, "application/vnd.kubernetes.protobuf", PODS, now=lambda: 0.0)[0] == 406

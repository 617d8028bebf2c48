"""Kubeconfig files: which count, and in which forms they may be."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import yaml
from tests.support.access.case import ASKS_LOCALHOST, BEARER, CERTIFICATE, Case, Place, document


def _text(content: Callable[[str], str | bytes]) -> Callable[[Place], None]:
    """Write the usual kubeconfig, changed as text."""
    return lambda place: _write(place, content)


def _write(place: Place, content: Callable[[str], str | bytes]) -> None:
    place.write(content(yaml.safe_dump(document(place.cluster, None))))


def _then(*steps: Callable[[Place], Any]) -> Callable[[Place], None]:
    def make(place: Place) -> None:
        for step in steps:
            step(place)

    return make


def _document(change: Callable[[dict[str, Any]], Any]) -> Callable[[Place], None]:
    """Write the usual kubeconfig, changed as data."""

    def make(place: Place) -> None:
        found = document(place.cluster, None)
        change(found)
        place.write(yaml.safe_dump(found))

    return make


def _two_files(place: Place) -> None:
    second = document(place.cluster, {"token": "t1"}, namespace="other")
    place.use()
    place.write(yaml.safe_dump(second), "second")


def _split(place: Place) -> None:
    found = document(place.cluster, None)
    place.write(yaml.safe_dump({"current-context": "main", "contexts": found["contexts"]}), "a/contexts")
    place.write(yaml.safe_dump({"current-context": "no", "clusters": found["clusters"]}), "b/clusters")
    place.write(yaml.safe_dump({"users": found["users"]}), "users")


def _missing(place: Place) -> None:
    place.environ["KUBECONFIG"] = str(place.folder / "gone")


def _home(place: Place) -> None:
    place.put("home/.kube/config", yaml.safe_dump(document(place.cluster, None)))


def _relative(place: Place) -> None:
    certificate, key = place.server.client
    for name, content in (("ca.crt", place.server.authority), ("me.crt", certificate), ("me.key", key)):
        place.put(f"sub/{name}", content)
    user = {"client-certificate": "me.crt", "client-key": "me.key"}
    place.write(
        yaml.safe_dump(document({"server": place.server.https, "certificate-authority": "ca.crt"}, user)),
        "sub/config",
    )


def _anchors(text: str) -> str:
    return text.replace("user: u", "user: &me u").replace("name: u", "name: *me")


def _twice(place: Place) -> None:
    found = document(place.cluster, None)
    found["users"].append({"name": "u", "user": {"token": "t1"}})
    place.write(yaml.safe_dump(found))


def cases() -> Iterator[Case]:
    yield Case("`~/.kube/config`, no `KUBECONFIG`", _home, BEARER)
    yield Case("two files with the same names: the first counts", _two_files, BEARER)
    yield Case("context, cluster and user in three files", _split, BEARER)
    yield Case("an empty file first", _then(lambda p: p.write("", "empty"), Place.use), BEARER)
    yield Case(
        "a file of comments first", _then(lambda p: p.write("# none\n---\n", "empty"), Place.use), BEARER
    )
    yield Case("a missing file first", _then(_missing, Place.use), BEARER)
    yield Case("the same file twice", _then(Place.use, Place.use), BEARER)
    yield Case("a missing file only", _missing, (), "localhost:8080", "no kubeconfig", remark=ASKS_LOCALHOST)
    yield Case(
        "an empty file only",
        lambda p: p.write(""),
        (),
        "localhost:8080",
        "holds no mapping",
        remark=ASKS_LOCALHOST,
    )
    yield Case(
        "a folder",
        lambda p: p.put("config/x", "") and p.environ.update(KUBECONFIG=str(p.folder / "config")),
        (),
        "is a directory",
        "Is a directory",
    )
    yield Case(
        "the same user name twice in one file", _twice, (), "duplicate name", "two users are named 'u'"
    )
    yield Case(
        "no `current-context`",
        _document(lambda d: d.pop("current-context")),
        (),
        "localhost:8080",
        "no current context is set",
        remark=ASKS_LOCALHOST,
    )
    yield Case(
        "a `current-context` that is not there",
        _document(lambda d: d.update({"current-context": "x"})),
        (),
        "context was not found",
        "there is no context 'x'",
    )
    yield Case(
        "a context whose cluster is not there",
        _document(lambda d: d.pop("clusters")),
        (),
        "localhost:8080",
        "there is no cluster 'c'",
        remark=ASKS_LOCALHOST,
    )
    yield Case(
        "a context whose user is not there",
        _document(lambda d: d.pop("users")),
        (),
        "Please enter Username",
        "there is no user 'u'",
        remark="kubectl asks for a name and a password",
    )
    yield Case("files named from the kubeconfig's folder on", _relative, CERTIFICATE)
    yield Case("UTF-8 with a byte order mark", _text(lambda text: b"\xef\xbb\xbf" + text.encode()), BEARER)
    yield Case("lines that end in CR LF", _text(lambda text: text.replace("\n", "\r\n")), BEARER)
    yield Case("UTF-16", _text(lambda text: text.encode("utf-16")), BEARER)
    yield Case("JSON", _text(lambda text: json.dumps(yaml.safe_load(text))), BEARER)
    yield Case("JSON with tabs", _text(lambda text: json.dumps(yaml.safe_load(text), indent="\t")), BEARER)
    yield Case("YAML anchors", _text(_anchors), BEARER)
    yield Case(
        "two YAML documents: the first counts", _text(lambda text: f"{text}---\nkind: Config\n"), BEARER
    )
    yield Case(
        "unknown fields",
        _document(lambda d: (d.update(x=1), d["users"][0]["user"].update({"new-kind": {"a": 1}}))),
        BEARER,
    )
    yield Case(
        "no `apiVersion`, no `kind`", _document(lambda d: (d.pop("kind"), d.pop("apiVersion"))), BEARER
    )
    yield Case(
        "`kind: Pod`", _document(lambda d: d.update(kind="Pod")), (), 'no kind "Pod"', "kind is not Config"
    )
    yield Case(
        "`apiVersion: v2`",
        _document(lambda d: d.update(apiVersion="v2")),
        (),
        'no kind "Config"',
        "apiVersion is not v1",
    )
    yield Case("a list", lambda p: p.write("[1, 2]"), (), "cannot unmarshal array", "holds no mapping")
    yield Case("no YAML", lambda p: p.write("a: ["), (), "did not find expected node", "is not YAML (line 1)")
    yield Case(
        "a number as a token",
        lambda p: p.use({"token": 12345}),
        (),
        "cannot unmarshal number",
        "users[u].token: this is no text but a number",
    )
    yield Case(
        "`namespace: no` without quotes",
        _document(lambda d: d["contexts"][0]["context"].update(namespace=False)),
        (),
        "cannot unmarshal bool",
        "contexts[main].namespace: this is no text but the value false",
    )
    yield Case(
        "a date as a token",
        _text(lambda text: text.replace("token: t0", "token: 2040-01-01")),
        ("namespace team", "Authorization: Bearer 2040-01-01"),
    )

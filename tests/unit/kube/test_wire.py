"""Objects are decoded partly, and one that is broken never spoils the others."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import SpecError, TransportError
from podrunner.kube.wire import (
    decode_deletion,
    decode_object,
    decode_page,
    decode_pod,
    decode_watch,
    encode,
)

POD = {"metadata": {"name": "a", "uid": "u", "resourceVersion": "1"}}

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ITEMS = st.lists(JSON | st.just(POD) | st.fixed_dictionaries({"metadata": JSON, "status": JSON}), max_size=6)


@given(ITEMS)
def test_a_page_accounts_for_every_item(items):
    """W4, W11."""
    page = decode_page(msgspec.json.encode({"metadata": {"resourceVersion": "9"}, "items": items}))
    assert len(page.items) + page.skipped == len(items)
    assert len(page.items) >= items.count(POD)
    assert page.resource_version == "9"


@given(st.lists(st.binary(max_size=30) | JSON.map(msgspec.json.encode), max_size=8))
def test_a_watch_accounts_for_every_line(lines):
    """W11."""
    lines = [line.replace(b"\n", b"") for line in lines]
    events, skipped = decode_watch(lines, path="/x")
    assert len(events) + skipped == sum(1 for line in lines if line.strip())


@given(st.sampled_from(["ADDED", "MODIFIED", "DELETED", "BOOKMARK", "ERROR", "NEW"]), JSON | st.just(POD))
def test_no_object_breaks_the_decoder(kind, obj):
    """W11."""
    events, skipped = decode_watch([msgspec.json.encode({"type": kind, "object": obj})], path="/x")
    assert len(events) + skipped == 1
    if kind == "ERROR":
        assert events[0].status is not None


@pytest.mark.parametrize(
    "body", [b"", b"null", b"3", b'"pod"', b"[]", b"<html>", b'{"metadata":{"name":', b"\xff"]
)
def test_an_answer_that_is_no_object_is_a_lost_answer(body):
    with pytest.raises(TransportError):
        decode_object(body)
    with pytest.raises(TransportError):
        decode_pod(body)
    with pytest.raises(TransportError):
        decode_page(body)


def test_only_what_is_read_is_held():
    """W13: the specification and managedFields are not kept."""
    pod = decode_pod(
        msgspec.json.encode({**POD, "spec": {"volumes": [{"name": "x" * 1000}]}, "extra": "y" * 1000})
    )
    assert len(msgspec.json.encode(pod)) < 200


@pytest.mark.parametrize("manifest", [{"a": object()}, {1.5: {2: {3}}, "x": object}, {"f": lambda: None}])
def test_what_json_cannot_say_is_a_spec_error(manifest):
    with pytest.raises(SpecError, match="JSON"):
        encode(manifest)


def test_bytes_go_as_they_are():
    assert encode(b"{}") == b"{}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"kind":"Status","status":"Success","details":{"uid":"u"}}',
        b'{"metadata":{"uid":3}}',
    ],
)
def test_an_answer_to_a_deletion_that_shows_no_pod_is_an_answer(body: bytes):
    """The deletion was accepted; nothing else is concluded."""
    answer = decode_deletion(body)
    assert answer
    assert answer.pod is None

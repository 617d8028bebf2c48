"""RFC 7386 and RFC 6902, by the examples of their appendices."""

import pytest
from podrunner.errors import SpecError
from podrunner.merge import json_merge, json_patch

RFC_7386 = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("target", "patch", "merged"), RFC_7386)
def test_merge_patch_follows_rfc_7386(target, patch, merged):
    assert json_merge(target, patch) == merged


RFC_6902 = [
    ({"foo": "bar"}, [{"op": "add", "path": "/baz", "value": "qux"}], {"baz": "qux", "foo": "bar"}),
    (
        {"foo": ["bar", "baz"]},
        [{"op": "add", "path": "/foo/1", "value": "qux"}],
        {"foo": ["bar", "qux", "baz"]},
    ),
    ({"baz": "qux", "foo": "bar"}, [{"op": "remove", "path": "/baz"}], {"foo": "bar"}),
    ({"foo": ["bar", "qux", "baz"]}, [{"op": "remove", "path": "/foo/1"}], {"foo": ["bar", "baz"]}),
    (
        {"baz": "qux", "foo": "bar"},
        [{"op": "replace", "path": "/baz", "value": "boo"}],
        {"baz": "boo", "foo": "bar"},
    ),
    (
        {"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}},
        [{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}],
        {"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}},
    ),
    (
        {"foo": ["all", "grass", "cows", "eat"]},
        [{"op": "move", "from": "/foo/1", "path": "/foo/3"}],
        {"foo": ["all", "cows", "eat", "grass"]},
    ),
    (
        {"baz": "qux", "foo": ["a", 2, "c"]},
        [{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}],
        {"baz": "qux", "foo": ["a", 2, "c"]},
    ),
    (
        {"foo": "bar"},
        [{"op": "add", "path": "/child", "value": {"grandchild": {}}}],
        {"foo": "bar", "child": {"grandchild": {}}},
    ),
    ({"/": 9, "~1": 10}, [{"op": "test", "path": "/~01", "value": 10}], {"/": 9, "~1": 10}),
    (
        {"foo": ["bar"]},
        [{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}],
        {"foo": ["bar", ["abc", "def"]]},
    ),
    ({"a": 1}, [{"op": "add", "path": "", "value": {"b": 2}}], {"b": 2}),
    ({"a": 1}, [{"op": "replace", "path": "", "value": [1]}], [1]),
    ({"a": [1, 2]}, [{"op": "replace", "path": "/a/1", "value": 3}], {"a": [1, 3]}),
    ({"a": {"b": 1}}, [{"op": "copy", "from": "/a", "path": "/c"}], {"a": {"b": 1}, "c": {"b": 1}}),
    ({"a": [{"b": [1.0]}]}, [{"op": "test", "path": "/a", "value": [{"b": [1]}]}], {"a": [{"b": [1.0]}]}),
    ({"a": 1}, [{"op": "remove", "path": ""}], None),
]


@pytest.mark.parametrize(("target", "operations", "patched"), RFC_6902)
def test_json_patch_follows_rfc_6902(target, operations, patched):
    assert json_patch(target, operations) == patched


@pytest.mark.parametrize(
    ("operation", "field"),
    [
        ({"op": "add", "path": "/baz/bat", "value": "qux"}, "patch[0] /baz"),
        ({"op": "test", "path": "/foo", "value": "other"}, "patch[0] /foo"),
        ({"op": "test", "path": "/one", "value": True}, "patch[0] /one"),
        ({"op": "replace", "path": "/none", "value": 1}, "patch[0] /none"),
        ({"op": "remove", "path": "/none"}, "patch[0] /none"),
        ({"op": "remove", "path": "/list/2"}, "patch[0] /list/2"),
        ({"op": "remove", "path": "/list/01"}, "patch[0] /list/01"),
        ({"op": "remove", "path": "/list/-1"}, "patch[0] /list/-1"),
        ({"op": "add", "path": "/list/3", "value": 1}, "patch[0] /list/3"),
        ({"op": "add", "path": "/foo/x", "value": 1}, "patch[0] /foo/x"),
        ({"op": "test", "path": "/foo/x", "value": 1}, "patch[0] /foo/x"),
        ({"op": "add", "path": "/foo"}, "patch[0]"),
        ({"op": "add", "path": "foo", "value": 1}, "patch[0].path"),
        ({"op": "add", "value": 1}, "patch[0].path"),
        ({"op": "move", "from": "/list", "path": "/list/0"}, "patch[0]"),
        ({"op": "spread", "path": "/foo"}, "patch[0].op"),
        ("add", "patch[0]"),
    ],
)
def test_an_operation_that_cannot_be_applied_is_refused_with_its_path(operation, field):
    with pytest.raises(SpecError) as caught:
        json_patch({"foo": "bar", "one": 1, "list": [1, 2]}, [operation])
    assert caught.value.field == field


def test_a_failed_patch_changes_nothing():
    target = {"a": [1]}
    with pytest.raises(SpecError):
        json_patch(target, [{"op": "add", "path": "/a/0", "value": 0}, {"op": "remove", "path": "/b"}])
    assert target == {"a": [1]}

"""The key: identity and attempt."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import SpecError
from podrunner.workload import WorkloadKey

PARTS = st.dictionaries(st.text(), st.text(), min_size=1, max_size=4)


def test_a_key_shows_its_parts():
    key = WorkloadKey({"dag_id": "d", "task_id": "t"}, attempt=2)
    assert key.parts == {"dag_id": "d", "task_id": "t"}
    assert key.attempt == 2
    assert key.identity == '{"dag_id":"d","task_id":"t"}'
    assert str(key) == "dag_id=d task_id=t #2"
    assert repr(key) == "WorkloadKey({'dag_id': 'd', 'task_id': 't'}, attempt=2)"


def test_the_order_of_parts_is_kept_but_does_not_matter():
    one, other = WorkloadKey({"b": "1", "a": "2"}), WorkloadKey({"a": "2", "b": "1"})
    assert one == other
    assert hash(one) == hash(other)
    assert list(one.parts) == ["b", "a"]
    assert one.identity == other.identity


def test_attempts_differ_but_share_the_identity():
    first = WorkloadKey({"a": "b"})
    second = first.next_attempt()
    assert second != first
    assert second.attempt == 2
    assert second.identity == first.identity
    assert first != {"a": "b"}


def test_a_relaunch_is_another_pod_of_the_same_attempt():
    """Promise 1: a free retry has another pod name, and the attempt that its scheduler knows."""
    first = WorkloadKey({"a": "b"}, 2)
    again = first.next_relaunch()
    assert (again.attempt, again.relaunch, again.identity) == (2, 1, first.identity)
    assert again != first
    assert again.first_launch() == first
    assert again.next_attempt() == WorkloadKey({"a": "b"}, 3)
    assert (str(again), str(first)) == ("a=b #2.1", "a=b #2")
    assert repr(again) == "WorkloadKey({'a': 'b'}, attempt=2, relaunch=1)"
    assert WorkloadKey.of({"parts": {"a": "b"}, "attempt": 2, "relaunch": 1}) == again


@given(PARTS, st.integers(1, 10**6))
def test_the_identity_is_ascii_json_that_reads_back(parts, attempt):
    key = WorkloadKey(parts, attempt)
    assert key.identity.isascii()
    assert WorkloadKey(json.loads(key.identity), attempt) == key


@given(PARTS)
def test_copies_and_pickles_are_equal(parts):
    key = WorkloadKey(parts, 3, relaunch=2)
    assert pickle.loads(pickle.dumps(key)) == key
    assert copy.copy(key) is key
    assert copy.deepcopy(key) is key


def test_a_key_cannot_be_changed():
    source = {"a": "b"}
    key = WorkloadKey(source)
    source["a"] = "c"
    assert key.parts == {"a": "b"}
    with pytest.raises(AttributeError, match="immutable"):
        key.attempt = 2
    with pytest.raises(AttributeError, match="immutable"):
        del key.attempt
    with pytest.raises(TypeError):
        key.parts["a"] = "c"


@pytest.mark.parametrize(
    ("parts", "attempt", "field"),
    [
        ({}, 1, "WorkloadKey.parts"),
        (None, 1, "WorkloadKey.parts"),
        ({"a": 1.5}, 1, "WorkloadKey.parts['a']"),
        ({1: "a"}, 1, "WorkloadKey.parts[1]"),
        ({"a": "\ud800"}, 1, "WorkloadKey.parts['a']"),
        ({"a": "b"}, 0, "WorkloadKey.attempt"),
        ({"a": "b"}, True, "WorkloadKey.attempt"),
        ({"a": "b"}, "1", "WorkloadKey.attempt"),
        ({"a": "x" * 40_000}, 1, "WorkloadKey"),
    ],
)
def test_malformed_parts_are_refused(parts, attempt, field):
    with pytest.raises(SpecError) as caught:
        WorkloadKey(parts, attempt)
    assert caught.value.field == field


def test_a_mapping_is_accepted_as_a_key():
    key = WorkloadKey({"a": "b"}, 2)
    assert WorkloadKey.of(key) is key
    assert WorkloadKey.of({"a": "b"}) == WorkloadKey({"a": "b"})
    assert WorkloadKey.of({"parts": {"a": "b"}, "attempt": 2}) == key
    assert WorkloadKey.of({"parts": {"a": "b"}}).attempt == 1


@pytest.mark.parametrize(
    "value", ["a", 1, None, {"parts": {"a": "b"}, "atempt": 2}, {"parts": {"a": "b"}, "relaunch": -1}]
)
def test_other_values_than_keys_and_mappings_are_refused(value):
    with pytest.raises(SpecError):
        WorkloadKey.of(value)

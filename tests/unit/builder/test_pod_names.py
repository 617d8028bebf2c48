"""Pod names: valid for any text, equal for equal workloads, different for different ones."""

import re
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder.names import NAMESPACE, name_of, secret_name, slug
from podrunner.workload import WorkloadKey

DNS_1123_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
DNS_1123_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]{0,251}[a-z0-9])?")
KEYS = st.builds(
    WorkloadKey, st.dictionaries(st.text(), st.text(), min_size=1, max_size=3), st.integers(1, 99)
)


@given(KEYS, st.none() | st.text())
def test_any_key_and_hint_make_a_valid_name(key, hint):
    """L10."""
    name = name_of(key, hint)
    assert DNS_1123_LABEL.fullmatch(name)
    assert re.fullmatch(r".*-[0-9a-f]{32}", name)
    assert DNS_1123_SUBDOMAIN.fullmatch(secret_name(name))


@given(KEYS)
def test_the_digits_are_a_uuid5_of_identity_and_attempt(key):
    expected = uuid.uuid5(NAMESPACE, f"{key.identity}#{key.attempt}")
    assert name_of(key, "x") == f"x-{expected.hex}"


def test_names_never_change():
    """After an update a scheduler must find the pods that it launched before."""
    key = WorkloadKey({"dag_id": "sample_k8s", "task_id": "test-task001"}, 2)
    assert name_of(key) == "sample-k8s-test-task001-2c10a83d2fad54458ebe457e56153d56"


@given(KEYS, KEYS)
def test_two_workloads_never_share_a_name(one, other):
    """L1."""
    assert (name_of(one, "same") == name_of(other, "same")) == (one == other)


def test_attempts_have_names_of_their_own():
    key = WorkloadKey({"a": "b"})
    assert name_of(key) != name_of(key.next_attempt())


@given(KEYS, st.integers(1, 20), st.integers(1, 20))
def test_relaunches_have_names_of_their_own(key, one, other):
    names = {name_of(WorkloadKey(key.parts, key.attempt, relaunch=number)) for number in (0, one, other)}
    assert len(names) == len({0, one, other})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sample_k8s-test-task001", "sample-k8s-test-task001"),
        ("samplek8stesttask001", "samplek8stesttask001"),
        ("Ärger über Öl", "arger-uber-ol"),
        ("任务", "pod"),
        ("", "pod"),
        ("---", "pod"),
        ("-x-", "x"),
        ("x" * 40, "x" * 30),
        ("x" * 29 + "-y", "x" * 29),
        ("①", "1"),
    ],
)
def test_slugs_keep_what_can_be_read(text, expected):
    """The original kept letters beyond ASCII, began with "-" where ids were empty, and grew past 63."""
    assert slug(text) == expected

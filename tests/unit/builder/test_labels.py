"""Labels: Airflow's safe form, valid for any text."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import build_pod, safe_label
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError
from podrunner.workload import Workload

LABEL_VALUE = re.compile(r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?")


@pytest.mark.parametrize(
    ("value", "safe"),
    [
        ("sample_k8s", "sample_k8s"),
        ("", ""),
        ("a", "a"),
        ("a b", "ab-0cc9cd4dd"),
        ("-x-", "x-3b8a4c226"),
        ("x" * 63, "x" * 63),
        ("a" * 64, "a" * 53 + "-014842d48"),
        ("任务", "0e46d8d6b"),
        ("a-\n", "a-b4072d313"),
        ("é-x", "x-0a9941ab3"),
    ],
)
def test_the_safe_form_is_airflows(value, safe):
    """L10."""
    assert safe_label(value) == safe


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_a_valid_label(value):
    """L10; the original made "-f4921821c" of text without a legal character."""
    safe = safe_label(value)
    assert LABEL_VALUE.fullmatch(safe)
    assert len(safe) <= 63


@given(st.from_regex(LABEL_VALUE, fullmatch=True).filter(lambda value: len(value) <= 63))
def test_a_valid_label_stays(value):
    assert safe_label(value) == value


@given(st.text(max_size=80), st.text(max_size=80))
def test_different_values_stay_different(one, other):
    assert (safe_label(one) == safe_label(other)) == (one == other)


def test_a_workloads_labels_are_made_safe(workload):
    changed = workload.model_copy(update={"labels": {"team": "a b"}, "identity_labels": {"dag_id": "ü"}})
    labels = build_pod(RunnerConfig(image="i"), changed)["metadata"]["labels"]
    assert labels == {"team": "ab-0cc9cd4dd", "dag_id": "c03410a52"}


@pytest.mark.parametrize("key", ["", "a b", "ü", "-a", "x" * 64, "a/b/c", "A.b/", "/a"])
@pytest.mark.parametrize("field", ["labels", "identity_labels"])
def test_a_key_that_is_not_valid_is_refused(field, key):
    with pytest.raises(SpecError) as caught:
        build_pod(RunnerConfig(image="i"), Workload(key={"a": "b"}, **{field: {key: "x"}}))
    assert caught.value.field == f"Workload.{field}"


@pytest.mark.parametrize("key", ["a", "a.b/c_d", "app.kubernetes.io/name", "X" * 63])
def test_a_valid_key_is_taken(key):
    pod = build_pod(RunnerConfig(image="i"), Workload(key={"a": "b"}, labels={key: "x"}))
    assert pod["metadata"]["labels"] == {key: "x"}

"""A log path never leads out of the log folder."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.workload import WorkloadKey
from podrunner.workload.log_path import (
    checked_log_path,
    default_log_path,
    log_path_of_attempt,
    path_component,
)


@pytest.mark.parametrize(
    ("name", "component"),
    [
        ("sample_k8s", "sample_k8s"),
        ("2019-08-15T01:16:36.627731+00:00", "2019-08-15T01:16:36.627731+00:00"),
        ("grüße", "grüße"),
        ("../x", "..%2Fx"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("...", "%2E%2E%2E"),
        ("", "%"),
        ("a\\b\0", "a%5Cb%00"),
        ("50%", "50%25"),
    ],
)
def test_names_stay_where_they_are_safe_and_are_encoded_elsewhere(name, component):
    """G10."""
    assert path_component(name) == component


@given(st.text(st.characters(codec=None)))
def test_any_text_makes_one_component(name):
    """G10."""
    component = path_component(name)
    assert component not in {"", ".", ".."}
    assert "/" not in component
    assert "\0" not in component
    assert len(component.encode(errors="surrogatepass")) <= 200


@given(st.text(max_size=40), st.text(max_size=40))
def test_two_names_make_two_components(one, other):
    assert (path_component(one) == path_component(other)) == (one == other)


def test_long_names_are_shortened_and_stay_different():
    one, other = path_component("ü" * 200), path_component("ü" * 201)
    assert one != other
    assert one.startswith("ü" * 80)


@given(st.dictionaries(st.text(), st.text(), min_size=1, max_size=4), st.integers(1, 99))
def test_the_path_of_any_key_stays_below_the_folder(parts, attempt):
    """G10."""
    path = default_log_path(WorkloadKey(parts, attempt))
    assert checked_log_path(path) == path
    assert len(PurePosixPath(path).parts) == len(parts) + 1


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("d/t/1.log", "d/t/2.log"),
        ("dag_id=d/run_id=r/task_id=t/attempt=1.log", "dag_id=d/run_id=r/task_id=t/attempt=2.log"),
        ("d/11.log", "d/11.2.log"),
        ("1.2/x", "1.2/x.2"),
        ("mine.log", "mine.2.log"),
        (".hidden", ".hidden.2"),
    ],
)
def test_another_attempt_has_another_file(path, expected):
    assert log_path_of_attempt(path, 2, before=1) == expected

"""Labels and annotations of a pod hold what a restarted scheduler must know."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.builder import OwnershipMetadata, read_ownership, with_ownership
from podrunner.builder.labels import (
    ATTEMPT,
    DEFAULT_CONTAINER,
    KEY,
    LOG_PATH,
    MANAGED_BY,
    MANIFEST_HASH,
    OUTCOME,
    OWNER,
    RELAUNCH,
    REPORTED,
    SCOPE,
    VERDICT,
)
from podrunner.errors import SpecError
from podrunner.workload import WorkloadKey

KEY_1 = WorkloadKey({"dag_id": "d", "task_id": "t"})
POD = {
    "metadata": {"name": "p", "labels": {"a": "b"}, "annotations": {"c": "d"}},
    "spec": {"containers": [{"name": "base"}]},
}


def stamped(pod=POD, **said):
    return with_ownership(pod, **{"owner": "me", "scope": "default", "key": KEY_1, **said})["metadata"]


def test_labels_are_for_selecting_annotations_for_reading():
    metadata = stamped(owner="Ich & Du", log_path="d/t/1.log")
    assert metadata["labels"] == {
        "a": "b",
        "app.kubernetes.io/managed-by": "podrunner",
        "podrunner.io/owner": "IchDu-7e694e6cb",
        "podrunner.io/scope": "default",
    }
    assert metadata["annotations"] == {
        "c": "d",
        "kubectl.kubernetes.io/default-container": "base",
        "podrunner.io/key": '{"dag_id":"d","task_id":"t"}',
        "podrunner.io/attempt": "1",
        "podrunner.io/owner": "Ich & Du",
        "podrunner.io/scope": "default",
        "podrunner.io/log-path": "d/t/1.log",
    }


def test_a_copied_pods_records_are_not_the_new_pods():
    copied = dict.fromkeys([RELAUNCH, REPORTED, OUTCOME, VERDICT, MANIFEST_HASH], "1")
    pod = {**POD, "metadata": {**POD["metadata"], "annotations": {**copied, "c": "d"}}}
    assert stamped(pod) == stamped()


def test_the_hash_of_the_manifest_is_an_annotation():
    assert stamped(manifest_hash="0abc")["annotations"] == {
        **stamped()["annotations"],
        "podrunner.io/manifest-hash": "0abc",
    }


def test_the_manifest_is_left_as_it_is():
    before = repr(POD)
    stamped()
    assert repr(POD) == before


@given(
    st.dictionaries(st.text(), st.text(), min_size=1, max_size=4),
    st.integers(1, 10**9),
    st.integers(0, 9),
    st.text(),
    st.text(),
)
def test_the_metadata_is_read_back_as_it_was_written(parts, attempt, relaunch, owner, scope):
    """A5: any Unicode, from labels and annotations alone."""
    key = WorkloadKey(parts, attempt, relaunch=relaunch)
    metadata = stamped(owner=owner, scope=scope, key=key, log_path="x/1.log")
    read = read_ownership(metadata["labels"], metadata["annotations"])
    assert read == OwnershipMetadata(
        key=key, owner=owner, scope=scope, log_path="x/1.log", main_container="base"
    )


def test_only_a_relaunch_is_marked_as_one():
    """Pods of attempts that were launched once have no such annotation."""
    key = WorkloadKey({"a": "b"})
    assert RELAUNCH not in stamped(key=key)["annotations"]
    assert stamped(key=key.next_relaunch())["annotations"][RELAUNCH] == "1"


def test_without_a_log_path_it_is_made_from_the_key():
    assert stamped()["annotations"][LOG_PATH] == "d/t/1.log"


@pytest.mark.parametrize(
    ("annotations", "said", "main"),
    [
        ({}, {}, "base"),
        ({DEFAULT_CONTAINER: "x"}, {}, "x"),
        ({DEFAULT_CONTAINER: "x"}, {"main_container": "y"}, "y"),
    ],
)
def test_the_main_container_is_named(annotations, said, main):
    pod = {**POD, "metadata": {"name": "p", "annotations": annotations}}
    assert stamped(pod, **said)["annotations"][DEFAULT_CONTAINER] == main


def test_annotations_that_kubernetes_would_refuse_are_refused():
    pod = {**POD, "metadata": {"name": "p", "annotations": {"big": "ü" * 131_000}}}
    with pytest.raises(SpecError) as caught:
        stamped(pod)
    assert caught.value.field == "metadata.annotations"


def test_room_is_left_for_what_is_written_at_a_pods_end():
    """Or else the pod could not be marked as reported, and would be reported by each successor."""

    def size(text: str) -> int:
        annotations = stamped({**POD, "metadata": {"name": "p", "annotations": {"big": text}}})["annotations"]
        return sum(len(name) + len(value) for name, value in annotations.items())

    fits = 262_144 - 9 * 1024 - size("")
    records = {OUTCOME: 4096, VERDICT: 4096, REPORTED: len("deleted-by-others")}
    written = sum(len(name) + length for name, length in records.items())
    assert size("x" * fits) + written <= 262_144
    with pytest.raises(SpecError):
        size("x" * (fits + 1))


def test_the_largest_key_fits():
    key = WorkloadKey({"a": "x" * 32_000})
    metadata = stamped(key=key)
    assert read_ownership(metadata["labels"], metadata["annotations"]).key == key


@pytest.mark.parametrize(
    "change",
    [
        {MANAGED_BY: "other"},
        {KEY: None},
        {KEY: "{"},
        {KEY: "[]"},
        {KEY: '{"a": 1}'},
        {ATTEMPT: None},
        {ATTEMPT: "first"},
        {ATTEMPT: "0"},
        {RELAUNCH: "-1"},
        {RELAUNCH: "x"},
        {OWNER: None},
        {SCOPE: None},
        {LOG_PATH: "../../etc/passwd"},
    ],
)
def test_missing_or_malformed_metadata_is_none(change):
    """W4, G10: pods of other programs and changed annotations are ignored, without an error."""
    metadata = stamped()
    labels = {**metadata["labels"], **{name: value for name, value in change.items() if name == MANAGED_BY}}
    annotations = {**metadata["annotations"], **change}
    assert (
        read_ownership(labels, {name: value for name, value in annotations.items() if value is not None})
        is None
    )


def test_a_pod_without_labels_has_no_ownership_metadata():
    assert read_ownership(None, None) is None
    assert read_ownership({MANAGED_BY: "podrunner"}, {}) is None


def test_the_metadata_of_an_older_pod_may_lack_the_rest():
    metadata = stamped()
    annotations = {
        name: value
        for name, value in metadata["annotations"].items()
        if name not in {LOG_PATH, DEFAULT_CONTAINER}
    }
    read = read_ownership(metadata["labels"], annotations)
    assert read.log_path == "d/t/1.log"
    assert read.main_container is None

"""What is said of a pod: why it waits, and why it failed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from msgspec.structs import replace
from podrunner.builder.labels import OUTCOME
from podrunner.cli.rows import outcome_of, row_of
from podrunner.outcome import Category, classify
from podrunner.outcome.stored import encode_outcome
from tests.support import shown_pods
from tests.support.pods import ended, pod, runs, waits

NOW = datetime(2026, 1, 1, 0, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "status", "why", "code"),
    [
        ("RUNNING", "Running", "", None),
        (
            "UNSCHEDULABLE",
            "Pending",
            "Unschedulable: 2 of 5 nodes: Insufficient memory; 3 of 5 nodes: node(s) had untolerated taint {gpu: true}",
            None,
        ),
        ("BACK_OFF", "ImagePullBackOff", 'Back-off pulling image "registry.example/app:v9"', None),
        (
            "OOM",
            "OOMKilled",
            "OOM-killed (limit 512Mi) by signal 9 (SIGKILL), exit code 137 (OOMKilled)",
            137,
        ),
        ("EVICTED", "Evicted", "Evicted: The node was low on resource: memory.", None),
        ("NODE_LOST", "Error", "node lost: DeletionByPodGC: node not found", 137),
        ("FAILED", "Error", "exit code 3", 3),
        ("SUCCEEDED", "Completed", "", 0),
    ],
)
def test_each_pod_says_why(name, status, why, code) -> None:
    row = row_of(getattr(shown_pods, name), now=NOW)
    assert (row.status, row.why, row.exit_code, row.age) == (status, why, code, "12m")


def test_an_init_container_that_waits_says_its_message_once() -> None:
    waiting = pod(
        "Pending", waits("base", "PodInitializing"), init=(waits("get", "ErrImagePull", "not found"),)
    )
    assert row_of(waiting, now=NOW).why == "not found"


def test_what_a_runner_wrote_to_the_pod_counts_more_than_its_record() -> None:
    """A pod that was cancelled ends with 143: the record alone says that it failed."""
    found = pod("Failed", ended("base", 143))
    said = classify(found, cancelled=True, by_deadline=True)
    assert said is not None
    written = encode_outcome(said, uid=found.metadata.uid)
    marked = replace(found, metadata=replace(found.metadata, annotations={OUTCOME: written}))
    assert outcome_of(found).category is Category.FAILED
    assert outcome_of(marked).category is said.category


def test_a_verdict_does_not_end_a_pod_that_still_runs() -> None:
    running = pod("Running", runs("base"))
    said = classify(pod("Failed", ended("base", 1)))
    assert said is not None
    meta = replace(running.metadata, annotations={"podrunner.io/verdict": encode_outcome(said, uid="u1")})
    assert outcome_of(replace(running, metadata=meta)) is None


def test_a_servers_message_moves_no_cursor() -> None:
    waiting = pod("Pending", waits("base", "ErrImagePull", "bad\x1b[2J\nimage"))
    assert row_of(waiting, now=NOW).why == "bad\\x1b[2J image"


def test_the_facts_are_json() -> None:
    facts = row_of(shown_pods.OOM, now=NOW).to_dict()
    assert facts["key"] == "dag_id=nightly_warehouse,task_id=join"
    assert (facts["attempt"], facts["category"], facts["exit_code"]) == (2, "oom-killed", 137)

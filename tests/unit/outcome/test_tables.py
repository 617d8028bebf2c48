"""Whose fault: each table, with messages as the components print them (``messages/``)."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.config import PendingPolicy
from podrunner.outcome import Category, Fault, classify, parse_unschedulable, pending_verdict, verdict_outcome
from podrunner.outcome.record import Pod
from podrunner.outcome.tables.creation import CREATION_WORDS
from podrunner.outcome.tables.images import IMAGE_WORDS
from podrunner.outcome.tables.nodes import REJECTION_WORDS, STATUS_REASONS, status_reason
from podrunner.outcome.tables.placement import PLACEMENT_WORDS
from podrunner.outcome.tables.words import Word, bare, fault_of, find
from tests.support.component_messages import messages
from tests.support.pods import condition, ended, pod, waits

AT_ONCE = PendingPolicy(image_grace_s=0, config_grace_s=0, unschedulable_grace_s=0)
ALL_WORDS = (*IMAGE_WORDS, *CREATION_WORDS, *PLACEMENT_WORDS, *REJECTION_WORDS)


def given_up(record: Pod) -> tuple[Category, str, bool, str]:
    """Give a pod up at once: category, fault, whether it is retryable, and the evidence."""
    verdict = pending_verdict(record, first_seen_s=0, now_s=1, policy=AT_ONCE)
    assert verdict is not None
    outcome = verdict_outcome(record, verdict)
    return outcome.category, str(outcome.fault), outcome.retryable, outcome.evidence[0].message


def is_retryable(fault: str) -> bool:
    return fault == "infrastructure"


@pytest.mark.parametrize(("fault", "message"), messages("images"))
@pytest.mark.parametrize("reason", ["ErrImagePull", "ImagePullBackOff"])
def test_whose_fault_a_failed_pull_is(reason: str, fault: str, message: str):
    """P13: a registry, network or node that fails; an image that is not there; or nothing that is known."""
    found = given_up(pod("Pending", waits("base", reason, message)))
    assert found == (Category.IMAGE, fault, is_retryable(fault), message.strip())


@pytest.mark.parametrize(("fault", "message"), messages("creation"))
@pytest.mark.parametrize(
    "reason", ["CreateContainerError", "CreateContainerConfigError", "RunContainerError"]
)
def test_whose_fault_a_container_that_cannot_be_made_is(reason: str, fault: str, message: str):
    """P13: of a container that waits."""
    found = given_up(pod("Pending", waits("base", reason, message)))
    assert found == (Category.CONTAINER_CONFIG, fault, is_retryable(fault), message)


@pytest.mark.parametrize(("fault", "message"), messages("creation"))
def test_whose_fault_a_container_that_could_not_start_is(fault: str, message: str):
    """P13: of a container that ended without a process, which is never tried again."""
    end = ended("base", 128, reason="StartError", message=message)
    outcome = classify(pod("Failed", end))
    assert outcome is not None
    assert (outcome.category, str(outcome.fault)) == (Category.CONTAINER_CONFIG, fault)
    assert (outcome.started, outcome.retryable) == (False, is_retryable(fault))
    init = classify(pod("Failed", waits("base", "PodInitializing"), init=(end,)))
    assert init is not None
    assert str(init.fault) == fault


@pytest.mark.parametrize(("fault", "message"), messages("placement"))
def test_whose_fault_a_pod_is_that_fits_nowhere(fault: str, message: str):
    """P13: full, ill and cordoned nodes are the infrastructure's; what the pod asks for is the configuration's."""
    unfit = condition("PodScheduled", "False", reason="Unschedulable", message=message)
    category, said, retryable, _ = given_up(pod("Pending", conditions=(unfit,), node=None))
    assert (category, said, retryable) == (Category.UNSCHEDULABLE, fault, is_retryable(fault))


@pytest.mark.parametrize(
    ("reason", "category", "fault"),
    [
        ("RegistryUnavailable", Category.IMAGE, Fault.INFRASTRUCTURE),
        ("InvalidImageName", Category.IMAGE, Fault.CONFIGURATION),
        ("ErrImageNeverPull", Category.IMAGE, Fault.CONFIGURATION),
        ("SignatureValidationFailed", Category.IMAGE, Fault.CONFIGURATION),
        ("PreCreateHookError", Category.CONTAINER_CONFIG, Fault.INFRASTRUCTURE),
        ("PreStartHookError", Category.CONTAINER_CONFIG, Fault.INFRASTRUCTURE),
        ("PostStartHookError", Category.CONTAINER_CONFIG, Fault.CONFIGURATION),
    ],
)
@pytest.mark.parametrize(
    "words", ["curl: (7) Connection refused", "manifest unknown", "executable file not found"]
)
def test_a_reason_that_decides_comes_before_the_words(
    reason: str, category: Category, fault: Fault, words: str
):
    """P13: the message of a hook holds what the user's program printed."""
    found = given_up(pod("Pending", waits("base", reason, words)))
    assert found[:2] == (category, str(fault))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("images", IMAGE_WORDS),
        ("creation", CREATION_WORDS),
        ("placement", PLACEMENT_WORDS),
        ("refusals", REJECTION_WORDS),
    ],
)
def test_each_entry_has_a_message_that_it_decides(name: str, words: tuple[Word, ...]):
    """A new entry gets a message as the component prints it, in ``messages/``; so no entry hides another."""
    said = [message for _, message in messages(name)]
    if name == "placement":
        parsed = [parse_unschedulable(message) for message in said]
        said = [
            text for found in parsed for text in ([cause.text for cause in found.causes] or [found.message])
        ]
    if name == "creation":
        said += [message for _, message in messages("images")]  # the network's words are in both tables
    deciding = {find(words, message) for message in said}
    assert [word.said for word in words if word not in deciding] == []


@pytest.mark.parametrize(("fault", "said"), messages("refusals"))
def test_whose_fault_a_refusal_of_a_node_is(fault: str, said: str):
    """P13, P16: by the kubelet's reason, or its words; a reason that no table has is of unknown fault, and shown."""
    reason, _, message = said.partition(": ")
    outcome = classify(pod("Failed", waits("base", "ContainerCreating"), reason=reason, message=message))
    assert outcome is not None
    category = {"Evicted": Category.EVICTED, "NodeShutdown": Category.NODE_LOST}.get(
        reason, Category.REJECTED_BY_NODE
    )
    assert (outcome.category, str(outcome.fault), outcome.reason) == (category, fault, reason)
    assert (outcome.started, outcome.retryable) == (False, is_retryable(fault))
    assert outcome.message == (f"{reason}: {message}" if message else reason)


def test_each_refusal_has_a_message():
    said = [message.partition(": ")[0] for _, message in messages("refusals")]
    refusals = [entry for entry in STATUS_REASONS.values() if entry.category is Category.REJECTED_BY_NODE]
    assert [
        entry.reason for entry in refusals if status_reason(entry.reason) not in map(status_reason, said)
    ] == []


def test_each_entry_has_a_source():
    assert [word.said for word in ALL_WORDS if not word.source.strip()] == []


def test_what_is_quoted_and_addresses_are_no_words():
    text = 'pulling "a/eof": Head "https://b/denied": unexpected status from GET request to https://c/unauthorized: 1'
    assert bare(text) == 'pulling "…": Head "…": unexpected status from GET request to …: 1'


@given(st.text())
def test_no_text_whatever_breaks_the_tables(text: str):
    for words in (IMAGE_WORDS, CREATION_WORDS, PLACEMENT_WORDS):
        assert fault_of(words, text) in Fault


def test_the_documentation_shows_the_tables():
    """If not: ``python docs/outcome_tables.py``."""
    drawn = runpy.run_path(str(Path(__file__).parents[3] / "docs" / "outcome_tables.py"))
    text = drawn["PAGE"].read_text(encoding="utf-8")
    assert text == drawn["page"](text)
    assert all(f"`{word.said}`" in text for word in ALL_WORDS)

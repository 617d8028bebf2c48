"""When ``podrunner wait`` is over, and how it ends."""

from __future__ import annotations

import pytest
from podrunner.cli.waited import Waited, Wanted
from podrunner.outcome.record import Pod
from tests.support.pods import ended, pod, runs
from tests.support.shown_pods import keyed

PENDING, RUNNING = pod("Pending"), pod("Running", runs("base"))
SUCCEEDED = pod("Succeeded", ended("base", 0))
FAILED = pod("Failed", ended("base", 3, reason="Error"))


def _a(what: Pod) -> Pod:
    return keyed(what, {"run": "a"}, name="a")


def _b(what: Pod) -> Pod:
    return keyed(what, {"run": "b"}, name="b")


def _end(waited: Waited) -> int | None:
    return waited.exit_code if waited.is_over else None


@pytest.mark.parametrize(
    ("wanted", "seen", "end"),
    [
        (Wanted.ENDED, PENDING, None),
        (Wanted.ENDED, RUNNING, None),
        (Wanted.ENDED, SUCCEEDED, 0),
        (Wanted.ENDED, FAILED, 3),
        (Wanted.RUNNING, PENDING, None),
        (Wanted.RUNNING, RUNNING, 0),
        (Wanted.RUNNING, SUCCEEDED, 0),
        (Wanted.RUNNING, FAILED, 1),
        (Wanted.SUCCEEDED, RUNNING, None),
        (Wanted.SUCCEEDED, SUCCEEDED, 0),
        (Wanted.SUCCEEDED, FAILED, 1),
    ],
)
def test_one_pod(wanted, seen, end) -> None:
    waited = Waited([_a(PENDING)], wanted)
    waited.see([_a(seen)])
    assert _end(waited) == end


@pytest.mark.parametrize(("wanted", "end"), [(Wanted.ENDED, 1), (Wanted.RUNNING, 1), (Wanted.SUCCEEDED, 1)])
def test_a_pod_that_was_deleted_before_its_end(wanted, end) -> None:
    for how in ({"pods": [_a(PENDING)], "is_gone": True}, {"pods": [], "is_list": True}):
        waited = Waited([_a(PENDING)], wanted)
        assert waited.see(**how) == ['pod "a" was deleted']
        assert _end(waited) == end


def test_a_pod_that_was_deleted_after_its_end_has_its_outcome() -> None:
    """W6: the status of the deletion's own event counts."""
    waited = Waited([_a(RUNNING)], Wanted.SUCCEEDED)
    assert waited.see([_a(SUCCEEDED)], is_gone=True) == ['pod "a" succeeded']
    assert _end(waited) == 0


def test_all_pods_count_for_an_end_and_one_failure_ends_the_wait_for_success() -> None:
    both = [_a(PENDING), _b(PENDING)]
    for wanted, end in ((Wanted.ENDED, None), (Wanted.SUCCEEDED, 1)):
        waited = Waited(both, wanted)
        (line,) = waited.see([_a(FAILED), _b(RUNNING)])
        assert line.startswith('pod "a" failed: ')
        assert _end(waited) == end
    waited = Waited(both, Wanted.ENDED)
    waited.see([_a(FAILED)])
    assert (waited.open, waited.exit_code) == (["b"], 124)
    waited.see([_b(SUCCEEDED)])
    assert (_end(waited), waited.open) == (3, [])


def test_other_pods_and_repetitions_say_nothing() -> None:
    waited = Waited([_a(PENDING)], Wanted.ENDED)
    assert waited.see([_b(SUCCEEDED)]) == []
    assert waited.see([_a(SUCCEEDED)]) == ['pod "a" succeeded']
    assert waited.see([_a(SUCCEEDED)], is_gone=True) == []


def test_the_document_has_the_state_and_outcome_of_each_pod() -> None:
    waited = Waited([_a(PENDING), _b(PENDING)], Wanted.ENDED)
    waited.see([_a(FAILED)])
    document = waited.to_document()
    assert (document["met"], document["timed_out"]) == (False, True)
    assert [(each["pod"], each["state"]) for each in document["pods"]] == [("a", "failed"), ("b", "waiting")]
    assert document["pods"][0]["outcome"]["exit_code"] == 3
    waited.see([_b(SUCCEEDED)])
    assert (waited.to_document()["met"], waited.to_document()["timed_out"]) == (True, False)

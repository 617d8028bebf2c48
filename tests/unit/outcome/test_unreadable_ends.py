"""Ends whose exit code is missing or is no number: they are unreadable, and never as a success."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from podrunner.kube.wire import decode_pod
from podrunner.outcome import Category, Outcome, classify, printer_status
from podrunner.outcome.record import Pod

MAIN = {"name": "base"}
CODES: dict[str, dict[str, Any]] = {
    "missing": {},
    "null": {"exitCode": None},
    "text": {"exitCode": "0"},
    "float": {"exitCode": 0.0},
    "bool": {"exitCode": False},
    "list": {"exitCode": [0]},
    "object": {"exitCode": {"code": 0}},
}


def decoded(phase: str, status: dict[str, Any], *, policy: str = "Never", init: Any = None) -> Pod:
    """Return a pod as it comes over the wire."""
    return decode_pod(
        msgspec.json.encode(
            {
                "metadata": {"name": "p", "namespace": "default", "uid": "u1", "resourceVersion": "1"},
                "spec": {
                    "containers": [MAIN],
                    "initContainers": [{"name": "first"}, {"name": "second"}] if init else [],
                    "restartPolicy": policy,
                },
                "status": {"phase": phase, "containerStatuses": [MAIN | status]}
                | ({"initContainerStatuses": init} if init else {}),
            }
        )
    )


def terminated(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"state": {"terminated": code | more}}


def outcome_of(pod: Pod, **knowledge: Any) -> Outcome:
    outcome = classify(pod, **knowledge)
    assert outcome is not None
    return outcome


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_a_failed_pod_without_an_exit_code_failed(code: dict[str, Any]):
    """H11: the phase decides, and no exit code is made up."""
    outcome = outcome_of(decoded("Failed", terminated(code)))
    assert (outcome.category, outcome.exit_code, outcome.started) == (Category.FAILED, None, True)
    assert outcome.message == "container base ended, and its exit code cannot be read"


@pytest.mark.parametrize("phase", ["Succeeded", "Running", "Unknown"])
@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_without_an_exit_code_nothing_is_a_success(code: dict[str, Any], phase: str):
    """H11: a phase that claims a success, or none, is no evidence of one."""
    outcome = outcome_of(decoded(phase, terminated(code)))
    assert (outcome.category, outcome.exit_code, outcome.started) == (Category.UNKNOWN, None, True)
    assert outcome.message == (
        f"container base ended, and its exit code cannot be read (the pod's phase is {phase})"
    )
    assert ("container", "exit code cannot be read") in {
        (item.source, item.reason) for item in outcome.evidence
    }


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_an_unreadable_end_before_a_restart_is_no_end(code: dict[str, Any]):
    """H11: a container that waits again after such an end has started, and has not ended."""
    status = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}, "lastState": {"terminated": code}}
    pod = decoded("Running", status, policy="Always")
    assert classify(pod) is None
    gone = outcome_of(pod, vanished=True)
    assert (gone.category, gone.exit_code, gone.started) == (Category.DELETED_BY_OTHERS, None, True)


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
def test_a_container_that_may_start_again_has_not_ended(policy: str):
    """H11: under OnFailure only the kubelet knows whether it failed; the pod's phase shows it later."""
    assert classify(decoded("Running", terminated({}), policy=policy)) is None


def test_what_the_reason_says_counts_without_an_exit_code():
    """H11: a reason is evidence by itself."""
    outcome = outcome_of(decoded("Failed", terminated({}, reason="OOMKilled")))
    assert (outcome.category, outcome.exit_code) == (Category.OOM_KILLED, None)


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_an_init_container_without_an_exit_code_did_not_succeed(code: dict[str, Any]):
    """H11: if the pod failed and its main container never ran, it is the init container that is named."""
    waiting = {"state": {"waiting": {"reason": "PodInitializing"}}}
    pod = decoded("Failed", waiting, init=[{"name": "first"} | terminated(code)])
    outcome = outcome_of(pod)
    assert (outcome.category, outcome.container, outcome.exit_code) == (Category.INIT_FAILED, "first", None)
    assert "its exit code cannot be read" in outcome.message
    assert outcome.started is False


def test_the_init_container_that_failed_is_named_rather_than_an_unreadable_one():
    """H11: an exit code that can be read says more than one that cannot."""
    waiting = {"state": {"waiting": {"reason": "PodInitializing"}}}
    init = [{"name": "first"} | terminated({}), {"name": "second"} | terminated({"exitCode": 4})]
    outcome = outcome_of(decoded("Failed", waiting, init=init))
    assert (outcome.container, outcome.exit_code) == ("second", 4)


def test_a_record_of_the_whole_pod_is_kept_though_one_number_is_none():
    """H11: the rest of such a pod is read; an exit code that is a number stays one."""
    assert decoded("Failed", terminated({"exitCode": "x"})).metadata.uid == "u1"
    assert outcome_of(decoded("Succeeded", terminated({"exitCode": 0}))).succeeded
    assert outcome_of(decoded("Failed", terminated({"exitCode": 7}))).exit_code == 7


def test_a_status_in_words_makes_no_exit_code_up():
    """H11: ``podrunner pods`` shows that the code is not known."""
    assert printer_status(decoded("Failed", terminated({}))) == "ExitCode:?"

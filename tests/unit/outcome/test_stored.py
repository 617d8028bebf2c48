"""The record of an outcome: small, read back as it was, never trusted; written only where the pod says otherwise."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podrunner.outcome import NO_HISTORY, Category, Evidence, Fault, Outcome, Timings, classify, remember
from podrunner.outcome.record import Event, Pod
from podrunner.outcome.stored import (
    MAX_RECORD_BYTES,
    decode_outcome,
    encode_outcome,
    restored,
    says_otherwise,
)
from tests.support.pods import T0, at, disrupted, ended, pod, runs, waits

SMALL = Outcome(
    category=Category.FAILED,
    fault=Fault.WORKLOAD,
    started=True,
    retryable=False,
    exit_code=3,
    container="base",
    message="container base ended with exit code 3",
)
TEXTS = ("container", "reason", "message", "termination_message", "result_error")


def outcomes(text: st.SearchStrategy[str], *, evidence: int = 3) -> st.SearchStrategy[Outcome]:
    """Any outcome whose texts are of a kind."""
    maybe, time = st.none() | text, st.none() | text
    entries = st.builds(Evidence, source=text, name=text, reason=text, message=text, at=time)
    made = st.builds(
        Outcome,
        category=st.sampled_from(Category),
        fault=st.sampled_from(Fault),
        started=st.booleans(),
        retryable=st.booleans(),
        exit_code=st.none() | st.integers(-(2**31), 2**31 - 1),
        signal=st.none() | st.integers(1, 64),
        container=maybe,
        reason=maybe,
        message=text,
        evidence=st.lists(entries, max_size=evidence).map(tuple),
        timings=st.builds(Timings, created=time, scheduled=time, started=time, finished=time),
        termination_message=maybe,
        result_error=maybe,
    )
    return made.map(lambda it: replace(it, fault=None) if it.succeeded else it)


short_texts = st.text(st.characters(codec="utf-8"), max_size=20)
long_texts = st.builds(
    lambda part, times: part * times, st.text(min_size=1, max_size=4), st.integers(0, 2000)
) | st.text(max_size=50)


@given(outcomes(short_texts), st.none() | short_texts)
def test_an_outcome_comes_back_as_it_was(outcome: Outcome, uid: str | None):
    text = encode_outcome(outcome, uid=uid)
    assert decode_outcome(text) == decode_outcome(text, uid=uid) == outcome


@given(outcomes(short_texts), st.lists(short_texts).map(tuple))
def test_no_log_lines_are_in_it(outcome: Outcome, lines: tuple[str, ...]):
    assert encode_outcome(outcome.with_log_tail(lines)) == encode_outcome(outcome)


@pytest.mark.parametrize("result", ["hunter2", ""])
def test_a_result_is_not_in_it_and_is_said_to_be_missing(result: str):
    """It may be secret, and annotations are for all to read."""
    succeeded = replace(SMALL, category=Category.SUCCEEDED, fault=None, exit_code=0)
    text = encode_outcome(succeeded.with_result(result))
    assert "hunter2" not in text
    why = "the result was read by an earlier runner, and is not kept with the pod"
    assert decode_outcome(text) == succeeded.without_result(why)


def is_cut(found: str | None, given: str | None) -> bool:
    """Whether a text is there, or its beginning with a sign that it was cut."""
    if given is None or found is None:
        return found == given
    plain = given.encode(errors="replace").decode()
    return found == plain or (found.endswith("…") and plain.startswith(found[:-1]))


@given(outcomes(long_texts, evidence=20), st.none() | long_texts)
@example(replace(SMALL, message="€" * 9999), None)
@example(replace(SMALL, **dict.fromkeys(TEXTS, "\0" * 9999)), "\0" * 9999)
@example(replace(SMALL, **dict.fromkeys(TEXTS, "\ud800" * 9999)), None)
@example(replace(SMALL, evidence=(Evidence(source="pod", message="x" * 1024),) * 100), None)
@example(replace(SMALL, exit_code=10**5000, signal=-(2**63)), None)
def test_whatever_an_outcome_holds_its_record_is_small_and_what_is_cut_shows_it(
    outcome: Outcome, uid: str | None
):
    text = encode_outcome(outcome, uid=uid)
    assert len(text.encode()) <= MAX_RECORD_BYTES
    found = decode_outcome(text)
    assert found is not None
    for field in ("category", "fault", "started", "retryable"):
        assert getattr(found, field) == getattr(outcome, field)
    for field in TEXTS:
        assert is_cut(getattr(found, field), getattr(outcome, field))
    assert is_cut_short(found.evidence, outcome.evidence)


def is_cut_short(found: tuple[Evidence, ...], given: tuple[Evidence, ...]) -> bool:
    """Whether the first entries are there, and a note where others are missing."""
    shown = list(found)
    if len(shown) != len(given) or (shown and shown[-1].source == "record"):
        note = shown.pop()
        assert note == Evidence(source="record", message=f"… {len(given) - len(shown)} more left out")
    return all(
        is_cut(getattr(one, field), getattr(other, field))
        for one, other in zip(shown, given, strict=False)
        for field in ("source", "name", "reason", "message", "at")
    )


def test_evidence_goes_first_then_long_texts_and_short_ones_stay():
    outcome = replace(
        SMALL,
        reason="Evicted",
        message="m" * 2000,
        termination_message="t" * 2000,
        evidence=tuple(Evidence(source="event", message="e" * 500) for _ in range(9)),
        timings=Timings(created=T0, finished=at(9)),
    )
    found = decode_outcome(encode_outcome(outcome))
    assert found is not None
    assert (found.reason, found.container, found.timings) == ("Evicted", "base", outcome.timings)
    assert found.message.rstrip("…") == "m" * 1019
    assert len(found.evidence) > 3
    assert found.evidence[-1].message.endswith("more left out")


def test_a_termination_message_that_was_cut_is_whole_again_beside_its_pod():
    """It may be a small result (at most 4 KiB)."""
    message = json.dumps({"rows": list(range(900))})
    record = pod("Failed", waits("side", ""), ended("base", 3, message=message))
    settled = classify(record, main_container="base")
    assert settled is not None
    found = decode_outcome(encode_outcome(settled))
    assert found is not None
    assert found.termination_message != message
    assert restored(found, record).termination_message == message
    assert restored(found, pod("Failed", ended("base", 3, message="another"))) == found
    assert restored(found, pod("Failed")) == found
    assert restored(SMALL, record) == SMALL


def test_evidence_is_not_cut_while_there_is_room():
    outcome = replace(SMALL, evidence=(Evidence(source="pod", message="x" * 3000),))
    assert decode_outcome(encode_outcome(outcome)) == outcome


# --- reading what anyone may have written ---------------------------------------------------------------------

HEAD: dict[str, Any] = {
    "v": 1,
    "category": "failed",
    "fault": "workload",
    "started": True,
    "retryable": False,
}


def record(**changes: Any) -> str:
    return json.dumps({**HEAD, **changes})


def test_the_least_record():
    least = Outcome(category=Category.FAILED, fault=Fault.WORKLOAD, started=True, retryable=False)
    assert decode_outcome(record()) == least


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "{",
        "null",
        "[]",
        '"failed"',
        "failed",
        "\ud800",
        "[" * 9999,
        '{"v":' * 2000,
        record(v=0),
        record(v=-1),
        record(v="1"),
        record(v=None),
        record(v=True),
        record(category="nonsense"),
        record(category=None),
        record(category=["failed"]),
        record(category="succeeded"),
        record(fault=None),
        record(fault="others"),
        record(started=1),
        record(started="true"),
        record(retryable=None),
        record(exit_code="3"),
        record(exit_code=2**70),
        record(exit_code=True),
        record(reason=3),
        record(message=None),
        record(message={}),
        record(evidence={}),
        record(evidence=[{}]),
        record(evidence=["rule"]),
        record(timings=[]),
        record(timings={"created": 3}),
        record(message="x" * MAX_RECORD_BYTES * 4),
        record(v=2, category="beyond-this-version"),
        record(v=2, started="yes"),
        record(v=2.5, message=3),
        json.dumps({"v": 1}),
        json.dumps({name: value for name, value in HEAD.items() if name != "v"}),
    ],
)
def test_what_is_no_record_is_none(text: str | None):
    assert decode_outcome(text) is None


def test_a_later_version_is_read_as_far_as_it_can_be():
    text = record(
        v=2,
        message={"text": "another shape"},
        evidence="none",
        exit_code=3,
        reason="Evicted",
        beyond={"this": "version"},
    )
    assert decode_outcome(text) == Outcome(
        category=Category.FAILED,
        fault=Fault.WORKLOAD,
        started=True,
        retryable=False,
        exit_code=3,
        reason="Evicted",
    )
    assert decode_outcome(record(v=99, message="as ever")) == decode_outcome(record(message="as ever"))


def test_a_record_of_another_pod_is_none():
    text = encode_outcome(SMALL, uid="u1")
    assert decode_outcome(text, uid="u1") == decode_outcome(text) == SMALL
    assert decode_outcome(text, uid="u2") is None
    assert decode_outcome(encode_outcome(SMALL), uid="u2") == SMALL


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*HEAD, *TEXTS, "evidence", "timings", "x"]), inner, max_size=5)
    ),
)
near_records = st.builds(
    lambda changes: json.dumps({**HEAD, **changes}),
    st.dictionaries(
        st.sampled_from([*HEAD, *TEXTS, "uid", "evidence", "timings", "x"]), json_values, max_size=4
    ),
)


@given(st.text() | json_values.map(json.dumps) | near_records, st.none() | st.text(max_size=3))
def test_no_text_whatever_breaks_the_reader(text: str, uid: str | None):
    found = decode_outcome(text, uid=uid)
    if found is not None:
        assert (found.fault is None) == found.succeeded
        assert decode_outcome(encode_outcome(found)) is not None


# --- when a record is needed ----------------------------------------------------------------------------------

_statuses = (
    st.builds(waits, st.just("base"), st.sampled_from(["ContainerCreating", "CrashLoopBackOff"]))
    | st.builds(runs, st.just("base"))
    | st.builds(
        ended,
        st.just("base"),
        st.integers(0, 255),
        reason=st.sampled_from([None, "OOMKilled", "StartError", "ContainerStatusUnknown"]),
        end=st.none() | st.integers(6, 100),
        message=st.none() | st.text(max_size=9),
    )
)
pods = st.builds(
    lambda phase, statuses, **more: pod(phase, *statuses, **more),
    st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown"]),
    st.lists(_statuses, max_size=1),
    reason=st.sampled_from([None, "Evicted", "NodeLost", "OutOfcpu", "DeadlineExceeded"]),
    conditions=st.sampled_from([(), (disrupted("DeletionByPodGC"),)]),
    deleted_at=st.none() | st.integers(0, 100),
)
events = st.lists(
    st.builds(
        lambda reason: Event(reason=reason, message="m", type="Warning", last_timestamp=at(9)),
        st.sampled_from(["Evicted", "Preempted", "NodeNotReady", "Pulled", "Killing"]),
    ),
    max_size=3,
)


@given(pods, events, st.lists(st.text(max_size=9)).map(tuple))
def test_a_record_is_written_exactly_if_the_pod_alone_decides_otherwise(
    record: Pod, seen: list[Event], lines: tuple[str, ...]
):
    """And reading the record then makes up for it: the successor's outcome decides nothing otherwise."""
    alone = classify(record)
    settled = classify(record, events=seen, vanished=True)
    assert settled is not None
    settled = settled.with_log_tail(lines)
    successors = decode_outcome(encode_outcome(settled)) if says_otherwise(settled, alone) else alone
    assert successors is not None
    assert not says_otherwise(settled, successors)
    if alone is not None:
        assert not says_otherwise(alone.with_log_tail(lines).without_result("gone"), alone)


@pytest.mark.parametrize(
    "record",
    [
        pod("Succeeded", ended("base")),
        pod("Succeeded", ended("base", message='{"rows": 3}')),
        pod("Running", ended("base"), runs("result")),
        pod("Failed", ended("base", 3)),
        pod("Failed", ended("base", 137, reason="OOMKilled")),
        pod("Failed", ended("base", 143), reason="Evicted", message="The node was low on resource: memory."),
        pod("Failed", reason="OutOfcpu"),
    ],
)
def test_a_plain_end_needs_no_record(record: Pod):
    """The default sends two requests for each pod: the end must not cost a third one."""
    settled = classify(record)
    assert settled is not None
    settled = settled.with_log_tail(("last line",)).with_result("42")
    assert not says_otherwise(settled, classify(record))


def test_a_cause_that_only_events_told_needs_a_record():
    record = pod("Failed", ended("base", 143), deleted_at=9)
    told = [Event(reason="Preempted", message="by a/b", last_timestamp=at(9))]
    settled = classify(record, events=told)
    assert settled is not None
    assert settled.category is Category.PREEMPTED
    assert says_otherwise(settled, classify(record))


def test_what_only_an_earlier_record_showed_needs_one():
    """A node that comes back may forget that the container ran."""
    settled = classify(
        pod("Failed", reason="Evicted"), history=remember(NO_HISTORY, pod("Running", runs("base")))
    )
    assert settled is not None
    assert settled.started
    assert says_otherwise(settled, classify(pod("Failed", reason="Evicted")))


def test_an_end_that_the_runner_made_needs_one():
    record = pod("Failed", ended("base", 143), reason="DeadlineExceeded")
    settled = classify(record, cancelled=True)
    assert settled is not None
    settled = replace(settled, category=Category.CANCELLED, fault=Fault.CALLER)
    assert says_otherwise(settled, classify(record))


def test_a_pod_that_is_not_over_needs_one():
    assert says_otherwise(SMALL, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("category", Category.EVICTED),
        ("fault", Fault.INFRASTRUCTURE),
        ("started", False),
        ("retryable", True),
        ("exit_code", 4),
        ("signal", 9),
        ("container", "setup"),
        ("reason", "Error"),
        ("termination_message", "42"),
    ],
)
def test_each_field_that_decides_is_compared(field: str, value: Any):
    assert says_otherwise(replace(SMALL, **{field: value}), SMALL)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("message", "in other words"),
        ("evidence", (Evidence(source="event"),)),
        ("timings", Timings(created=T0)),
        ("result", "42"),
        ("result_error", "too large"),
        ("log_tail", ("line",)),
    ],
)
def test_what_decides_nothing_is_not_compared(field: str, value: Any):
    assert not says_otherwise(replace(SMALL, **{field: value}), SMALL)

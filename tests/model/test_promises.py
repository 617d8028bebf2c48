"""The promises hold in every order of steps: two runners and their successors, one attempt, at most two faults."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import pytest
from podrunner.config import RunnerConfig
from tests.model.explore import Model, explore
from tests.model.faults import KINDS

pytestmark = pytest.mark.timeout(600)


def configured(mode: str, *, finalizer: bool) -> RunnerConfig:
    """A configuration without requests that decide nothing: the log's last lines, and jitter."""
    return RunnerConfig(
        image="i",
        cluster="kubeconfig",
        logs={"follow": "off", "tail_lines_on_failure": 0},
        retry={"jitter": 0},
        create_retry={"jitter": 0},
        outcome_delivery=mode,
        outcome_finalizer=finalizer,
    )


def checked(model: Model, name: str, *, faults: int, record: Callable[[str, object], None]) -> None:
    """Explores, and keeps the figures for the report."""
    began = time.process_time()
    explored = explore(model, faults=faults)
    took_s = time.process_time() - began
    record(
        "model",
        f"{name}: {explored.states} states, {explored.moves} steps, depth {explored.depth}, "
        f"{explored.ends} ends, {took_s:.0f} s",
    )
    assert explored.ends


WHOLE = os.environ.get("MODEL") == "whole"
"""What `nox -s nightly` runs: the cancellation too where a finalizer makes the most states."""


@pytest.mark.parametrize(
    ("mode", "finalizer", "kinds"),
    [("acknowledged", True, KINDS if WHOLE else ("crash", "pause", "lost")), ("taken", False, KINDS)],
)
def test_the_promises_hold_with_two_faults(mode: str, finalizer, kinds: tuple[str, ...], record_property):
    """H1, H2, A1, A3: whatever is killed, stands still, is cancelled, or gets no answer, and in whatever order."""
    model = Model(configured(mode, finalizer=finalizer), kinds=kinds)
    name = f"2 faults ({', '.join(kinds)}), {mode}{', finalizer' if finalizer else ''}"
    checked(model, name, faults=2, record=record_property)


@pytest.mark.parametrize(
    ("mode", "finalizer"), [("acknowledged", False), ("acknowledged", True), ("taken", True)]
)
def test_the_promises_hold_with_one_fault(mode: str, finalizer, record_property):
    model = Model(configured(mode, finalizer=finalizer))
    name = f"1 fault, {mode}{', finalizer' if finalizer else ''}"
    checked(model, name, faults=1, record=record_property)


def test_the_promises_hold_where_both_runners_adopt(record_property):
    """A launch that waits for an earlier owner may be overtaken by an adoption of its own runner."""
    model = Model(configured("taken", finalizer=False), adopters=(0, 1), kinds=("crash", "pause"))
    checked(model, "1 fault, both adopt", faults=1, record=record_property)


def test_what_wait_returned_may_be_lost_by_a_crash_and_nothing_else(record_property):
    """The documented gap of the mode ``taken``: returned by ``wait``, then killed before it was stored."""
    model = Model(configured("taken", finalizer=False), reads_by="wait")
    checked(model, "1 fault, read by wait", faults=1, record=record_property)

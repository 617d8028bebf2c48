"""The profile of a pod's walk: each function call belongs to one part, those of functions in C to their caller's."""

from __future__ import annotations

import cProfile
import pstats
from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


@pytest.fixture
def walk_calls(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))  # the programs import each other
    return import_module("walk_calls")


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("/src/podrunner/kube/client.py", "requests: launcher and kube"),
        ("/src/podrunner/kube/wire.py", "reading the watch"),
        ("/src/podrunner/runner/lifecycle/table.py", "judging: outcome and lifecycle"),
        ("/src/podrunner/runner/supervisor.py", "supervision, events, tasks"),
        ("/site-packages/aiohttp/client.py", "aiohttp and yarl"),
        ("/lib/python3.11/asyncio/events.py", "asyncio and anyio"),
        ("/lib/python3.11/json/encoder.py", "the rest of Python"),
        ("<string>", "the rest of Python"),
    ],
)
def test_a_module_belongs_to_the_first_part_that_fits(walk_calls, file, part):
    assert walk_calls.part_of(file) == part


def test_each_call_counts_once(walk_calls):
    profile = cProfile.Profile()
    profile.enable()
    for text in ("[1]", "[2]", "[3]", "[4]"):
        walk_calls.json.loads(text)
    profile.disable()
    stats = pstats.Stats(profile)
    found = walk_calls.by_part(stats, pods=2)
    assert sum(calls for calls, _ in found.values()) * 2 == pytest.approx(stats.total_calls, abs=1)
    assert found["the rest of Python"][0] >= 6, "json.loads, decode and raw_decode, four times, of two pods"

"""The pages of the benchmarks show the figures that were measured, in their tables and pictures."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest
from benchmarks import page_of_results, scale

ROOT = Path(__file__).parents[3]
RESULTS = ROOT / "docs" / "benchmarks"
sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))

import compare as peers  # noqa: E402  # a program in a folder of its own
import log_reading  # noqa: E402


@pytest.mark.parametrize(("name", "module"), [("scale", scale), ("peers", peers)])
def test_the_page_and_its_pictures_are_the_figures(name, module):
    """``nox -s bench-scale`` and ``nox -s bench-peers`` write them."""
    found = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    tables = module.tables(found)
    page = (RESULTS / f"{name}.md").read_text(encoding="utf-8")
    assert page == page_of_results.filled(page, [*tables, page_of_results.machine_line(found["machine"])])
    assert tables[0] in page
    for picture, drawn in module.pictures(found).items():
        assert (RESULTS / picture).read_text(encoding="utf-8") == drawn, picture


def test_parts_replace_what_was_measured_before():
    text = "a\n<!-- measured 1 -->\nold\n<!-- end -->\nb\n<!-- measured 0 -->\n<!-- end -->\n"
    filled = page_of_results.filled(text, ["zero", "one"])
    assert filled == (
        "a\n<!-- measured 1 -->\n\none\n\n<!-- end -->\nb\n<!-- measured 0 -->\n\nzero\n\n<!-- end -->\n"
    )
    assert page_of_results.filled(filled, ["zero", "one"]) == filled


def test_the_page_of_the_clients_takes_logs_that_were_measured_and_says_when_they_were_not():
    """The part of the logs shows each reader with its ratio to the bare session, and refers to the pictures drawn."""
    found = json.loads((RESULTS / "peers.json").read_text(encoding="utf-8"))
    speeds = {"podrunner": 200.0, "bare aiohttp": 400.0, "kubectl": 100.0}
    best = {
        "one": speeds,
        "many": {"podrunner": 50.0, "bare aiohttp": 150.0},
        "quiet": {"podrunner": 52.3},
        "burst": {},
    }
    logs = {"lines": 600_000, "pods": 500, "pod_lines": 661, "best": best, "rounds": [best]}
    _, part = peers.tables(found | {"logs": logs})
    rows = [line for line in part.splitlines() if line.startswith("| ")]
    assert rows[1:] == [
        "| bare aiohttp | 400 | 1.00 | 150 | 1.00 | - | - |",
        "| podrunner | 200 | 0.50 | 50 | 0.33 | 52.3 | - |",
        "| kubectl | 100 | 0.25 | - | - | - | - |",
    ]
    drawn = {name for name in peers.pictures(found | {"logs": logs}) if "logs" in name}
    assert drawn == set(re.findall(r"\((peers-logs-\w+\.svg)\)", part))
    found.pop("logs", None)
    assert peers.tables(found)[1] == "Not measured in this run."
    assert not [name for name in peers.pictures(found) if "logs" in name]


def test_the_best_of_the_rounds_of_logs_is_the_fastest_and_memory_is_of_the_first():
    first = {"one": {"a": 3.0, "b": 1.0}, "many": {"a": 2.0}, "quiet": {"a": 50.0}, "burst": {"a": 90.0}}
    later = {"one": {"a": 2.0, "b": 4.0}, "many": {"a": 5.0}, "quiet": {}, "burst": {}}
    assert log_reading.best_of([first, later]) == first | {
        "one": {"a": 3.0, "b": 4.0},
        "many": {"a": 5.0},
    }
    assert log_reading.best_of([first]) == first

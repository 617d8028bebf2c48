"""The report: one document, text of 60 columns, and a page that needs nothing else."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET

import pytest
from podrunner.bench.marks import Marks
from podrunner.bench.measure import Figures
from podrunner.bench.memory import per_live_pod
from podrunner.bench.page import page
from podrunner.bench.plan import Plan, Target
from podrunner.bench.report import document, is_as_planned, text
from podrunner.bench.svg import bars, lines, shown, shown_s, spans


def figures(**changes) -> Figures:
    """Ten pods, one after another; each is created, runs, ends and is gone."""
    marks = [
        Marks(
            submitted=100.0,
            create_sent=100.0 + n / 10,
            created=100.01 + n / 10,
            scheduled=100.02 + n / 10,
            running=100.03 + n / 10,
            ended=100.1 + n / 10,
            delivered=100.101 + n / 10 + n / 1000,
            deleted=100.2 + n / 10,
        )
        for n in range(10)
    ]
    plan = Plan(target=Target.STUB, run="1a2b", pods=10, concurrency=5)
    given = {
        "plan": plan,
        "began_s": 100.0,
        "wall_s": 1.2,
        "cpu_s": 0.02,
        "server_cpu_s": 0.01,
        "calls": {"POST pods": 10, "DELETE pods": 10},
        "marks": marks,
        "problems": [],
        "log_lines": 0,
        "log_gaps": 0,
        "memory_begin": 50_000_000,
        "memory_peak": 52_000_000,
        "memory_per_live_pod": None,
        "left": {"pods": 0, "leases": 0},
    }
    return Figures(**{**given, **changes})


def test_the_document_has_each_figure_per_pod_and_is_json():
    found = document(figures())
    assert found["cpu_us_per_pod"] == pytest.approx(2000)
    assert found["server_cpu_us_per_pod"] == pytest.approx(1000)
    assert found["api_calls_per_pod"] == 2.0
    assert found["pods_per_s"] == pytest.approx(10 / 1.2)
    assert found["stages"]["outcome delivered"]["max"] == pytest.approx(0.010)
    assert found["stages"]["log complete"] is None
    assert found["live"][0][1:] == (0, 0)
    assert found["live"][-1][1:] == (0, 10)
    assert max(live for _, live, _ in found["live"]) == 2
    assert found["outcome_delivered"][-1] == (pytest.approx(0.010), 100.0)
    assert json.loads(json.dumps(found))["plan"]["target"] == "stub"


def test_the_text_fits_60_columns():
    busy = figures(problems=["x" * 200], log_lines=12_345_678, left={"pods": 3, "leases": 1})
    shown_lines = text(document(busy))
    assert max(map(len, shown_lines)) <= 60
    assert "outcomes                10 of 10, 1 problems" in shown_lines
    assert "left behind: 3 pods, 1 leases" in shown_lines


def test_the_cause_of_a_problem_is_shown_beside_a_long_name():
    problem = (
        f"{'a' * 40}: exit code 0 was planned, and the outcome is image (exit code None): \x1b[2JErrImagePull"
    )
    shown_lines = text(document(figures(problems=[problem])))
    first = next(number for number, line in enumerate(shown_lines) if line.startswith("! "))
    shown_problem = " ".join(line.strip() for line in shown_lines[first : first + 4])
    assert "image (exit code None):" in shown_problem
    assert "ErrImagePull" in shown_problem
    assert "\x1b" not in shown_problem
    assert max(map(len, shown_lines)) <= 60


def test_the_text_names_stages_and_figures():
    shown_lines = text(document(figures()))
    assert shown_lines[0] == "10 pods, 5 at once, on stub, seed 1"
    assert "outcome delivered       5 ms      9 ms     10 ms     10 ms" in shown_lines
    assert "CPU per pod             2,000 µs" in shown_lines
    assert shown_lines[-1] == "outcomes                10, each as planned"


@pytest.mark.parametrize(
    "changes",
    [
        {"problems": ["p"]},
        {"left": {"pods": 1}},
        {"left": {"leases": 1}},
        {"log_gaps": 1},
        {"marks": [Marks()]},
    ],
)
def test_what_is_not_as_planned_is_seen(changes):
    assert is_as_planned(figures())
    assert not is_as_planned(figures(**changes))


def test_the_page_needs_nothing_else_and_its_pictures_are_well_formed():
    shown_page = page(document(figures(problems=["<script>alert(1)</script>"])))
    assert not re.search(r"<script|<link|<img|\bsrc=|\bhref=|@import|url\(", shown_page)
    assert {*re.findall(r"https?://[^\"' <]+", shown_page)} == {"http://www.w3.org/2000/svg"}
    assert "prefers-color-scheme:dark" in shown_page
    pictures = re.findall(r"<svg.*?</svg>", shown_page, re.DOTALL)
    assert len([ET.fromstring(picture) for picture in pictures]) == 3


@pytest.mark.parametrize(
    "picture",
    [
        spans("a < b", {"x": [0.0, 0.001], "y": [1.0, 2.0]}, names=["p50", "p99"]),
        spans("nothing", {}, names=[]),
        lines("a & b", {"x": [(0, 0), (3, 7)], "y": [(1, 2)]}, x_name="s", y_name="pods"),
        lines("log", {"x": [(1_000, 1), (100_000, 1.1)]}, x_name="pods", y_name="µs", log_x=True),
        lines("nothing", {"x": []}, x_name="s", y_name="pods"),
        bars("bars", {"podrunner": 1.0, "other": 3.0}, unit="µs", chief="podrunner"),
        bars("nothing", {"a": 0.0}, unit="µs"),
    ],
)
def test_each_picture_is_an_svg_whose_shapes_are_inside(picture):
    root = ET.fromstring(picture)
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    for shape in root.iter():
        for name in ("x", "x1", "x2", "cx"):
            assert 0 <= float(shape.attrib.get(name, 0)) <= width, shape.attrib
        for name in ("y", "y1", "y2", "cy"):
            assert 0 <= float(shape.attrib.get(name, 0)) <= height, shape.attrib


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0.0, "0 µs"),
        (0.00085, "850 µs"),
        (0.0125, "12.5 ms"),
        (0.1234, "123 ms"),
        (1.0, "1 s"),
        (3.14159, "3.14 s"),
    ],
)
def test_durations_have_a_unit_that_fits(seconds, expected):
    assert shown_s(seconds) == expected


def test_numbers_have_three_digits_that_count():
    assert [shown(value) for value in (0, 2, 2.346, 99.96, 1234.5)] == ["0", "2", "2.35", "100", "1,234"]


def test_memory_per_pod_is_of_the_time_when_most_were_live():
    lives = [(1.0, 5.0)] * 150 + [(2.0, 5.0)] * 150
    samples = [(0.0, 1_000), (1.5, 2_000), (3.0, 601_000), (6.0, 900_000)]
    assert per_live_pod(samples, lives) == 2_000


def test_memory_of_a_few_pods_is_not_told():
    assert per_live_pod([(0.0, 1), (2.0, 99)], [(1.0, 3.0)] * 10) is None

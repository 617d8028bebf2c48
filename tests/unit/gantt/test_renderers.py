"""Each form of a timeline holds what it shows, whatever keys and messages hold."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import sys
import unicodedata
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from podrunner import TimelineChart
from podrunner.errors import UsageError
from podrunner.gantt.legend import MARKS
from podrunner.gantt.page import data_block
from podrunner.outcome import Category
from tests.unit.gantt.lives import HOSTILE, life


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and the text of each script."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.inside: dict[str, list[str]] = {"script": [], "style": []}
        self.open = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        self.open = tag
        if tag in self.inside:
            self.inside[tag].append("")

    def handle_endtag(self, tag):
        self.open = ""

    def handle_data(self, data):
        if self.open in self.inside:
            self.inside[self.open][-1] += data


def hash_of(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_page_has_no_more_scripts_than_its_own_whatever_a_key_holds():
    page = Page(TimelineChart([life(HOSTILE, message=HOSTILE)]).html())
    data, script = page.inside["script"]
    assert json.loads(data)["rows"][0]["key"] == HOSTILE
    assert script.startswith('"use strict"')


def test_the_policy_of_the_page_allows_its_own_script_and_style_and_nothing_else():
    page = Page(TimelineChart([life()]).html())
    policy = next(
        a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"
    )
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'{hash_of(page.inside['script'][1])}'",
        "style-src": f"'{hash_of(page.inside['style'][0])}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }


def test_the_page_loads_nothing():
    text = TimelineChart([life()]).html()
    page = Page(text)
    assert not [
        a for _, a in page.elements for name in a if name in {"src", "href", "style"} or name.startswith("on")
    ]
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org)", text)


@given(st.dictionaries(st.text(), st.lists(st.text(), max_size=3), max_size=3))
def test_a_data_block_ends_nowhere_and_reads_back(document):
    block = data_block(document)
    assert not set(block) & set("<>&\u2028\u2029")
    assert block.isascii()
    assert json.loads(block) == document


def test_the_picture_is_xml_with_the_key_as_text():
    svg = TimelineChart([life(HOSTILE)]).svg()
    tree = ET.fromstring(svg)
    titles = [each.text or "" for each in tree.iter("{http://www.w3.org/2000/svg}title")]
    assert "</script><!--<script>alert(1)//" in "".join(titles)
    assert not list(tree.iter("{http://www.w3.org/2000/svg}script"))


@given(st.text(max_size=60))
def test_any_key_makes_xml(key):
    ET.fromstring(TimelineChart([life(key)]).svg())


def test_a_picture_of_many_keys_says_how_many_it_leaves_out():
    chart = TimelineChart([life(f"job={number}") for number in range(12)])
    assert "… and 2 more workloads" in chart.svg(most_rows=10)
    assert "... and 2 more workloads" in chart.text(most_rows=10)


def test_a_png_is_one():
    pytest.importorskip("resvg_py")
    assert TimelineChart([life()]).png(zoom=0.5).startswith(b"\x89PNG\r\n\x1a\n")


def test_a_png_without_the_extra_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UsageError, match=r"pip install 'podrunner\[png\]'"):
        TimelineChart([life()]).png()


def columns(line: str) -> int:
    widths = {"W": 2, "F": 2}
    return sum(
        0 if unicodedata.combining(each) else widths.get(unicodedata.east_asian_width(each), 1)
        for each in line
    )


@given(
    keys=st.lists(st.text(min_size=1, max_size=40), min_size=1, max_size=5),
    width=st.integers(60, 200),
    ascii_only=st.booleans(),
)
@example(keys=["ü"], width=60, ascii_only=True)  # longer in ASCII than the key, and the ellipsis too
def test_no_line_of_the_text_is_wider_than_the_terminal_or_moves_the_cursor(keys, width, ascii_only):
    text = TimelineChart([life(key) for key in keys]).text(width=width, ascii_only=ascii_only)
    assert all(columns(line) <= width for line in text.split("\n"))
    assert all(line.isprintable() for line in text.split("\n"))


@given(categories=st.lists(st.text(max_size=90), min_size=1, max_size=4), ascii_only=st.booleans())
@example(categories=["\x1b[2J" * 30, "日本" * 40], ascii_only=False)
def test_no_category_of_a_journal_is_wider_than_the_terminal_or_moves_the_cursor(categories, ascii_only):
    text = TimelineChart([life(str(at), category=each) for at, each in enumerate(categories)]).text(
        width=60, ascii_only=ascii_only
    )
    assert all(columns(line) <= 60 for line in text.split("\n"))
    assert all(line.isprintable() for line in text.split("\n"))
    assert text.isascii() or not ascii_only


def test_a_terminal_without_an_end_costs_no_more_than_a_wide_one():
    text = TimelineChart([life()]).text(width=10**12)
    assert max(map(len, text.split("\n"))) <= 10_000


def test_the_text_in_ascii_is_ascii_and_shows_the_whole_key():
    text = TimelineChart([life("job=ü日本")]).text(ascii_only=True)
    assert text.isascii()
    assert r"job=\xfc\u65e5\u672c  " in text


def test_the_text_shows_each_stage_by_its_letter_and_each_end_by_its_mark():
    text = TimelineChart(
        [
            life(),
            life("job=b", category="oom-killed", fault="workload", at=5),
        ]
    ).text(width=80)
    (first,) = [line for line in text.splitlines() if line.startswith("job=a")]
    assert re.fullmatch(r"job=a  \.+-+=+#+x+✓", first)
    assert "M oom-killed (1)" in text


def test_each_category_has_a_mark_of_its_own():
    assert {*MARKS} == {*Category}
    assert len({*MARKS.values()}) == len(MARKS)


def test_a_chart_is_saved_in_the_form_that_the_name_ends_with(tmp_path):
    chart = TimelineChart([life()])
    for name, beginning in (
        ("a.html", "<!DOCTYPE html>"),
        ("a.svg", "<svg "),
        ("a.TXT", "1 pod of 1 workload"),
    ):
        chart.save(tmp_path / name)
        assert (tmp_path / name).read_text().startswith(beginning)
    with pytest.raises(UsageError, match=r"not to 'a.pdf'"):
        chart.save(tmp_path / "a.pdf")


def test_ten_thousand_pods_make_one_page():
    chart = TimelineChart([life(f"job={number}", at=number / 10) for number in range(10_000)])
    html = chart.html()
    assert len(html) < 5_000_000
    assert html.count('"key":') == 10_000

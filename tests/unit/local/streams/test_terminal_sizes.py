"""Terminal sizes arrive as a run of JSON objects, cut anywhere."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from podrunner.local.streams.conversation import parse_sizes
from podrunner.local.streams.process import TerminalSize

SIZES = st.lists(st.builds(TerminalSize, st.integers(1, 9999), st.integers(1, 9999)), max_size=5)


@given(SIZES, st.integers(0, 200))
def test_sizes_are_read_wherever_they_are_cut(sizes: list[TerminalSize], cut: int) -> None:
    text = "\n".join(json.dumps({"Width": size.width, "Height": size.height}) for size in sizes)
    first, rest = parse_sizes(text[:cut])
    more, rest = parse_sizes(rest + text[cut:])
    assert first + more == sizes
    assert rest == ""


@given(st.text(max_size=50))
def test_nonsense_is_no_size(text: str) -> None:
    sizes, rest = parse_sizes(text)
    assert sizes == []
    assert len(rest) <= 50


def test_objects_that_are_no_size_are_skipped() -> None:
    text = '[1] {"Width":"wide","Height":1} {"Width":0,"Height":0} {"Width":3,"Height":4}'
    assert parse_sizes(text) == ([TerminalSize(3, 4)], "")

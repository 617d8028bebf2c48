"""What the environment says of the terminal's size counts where it is one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.cli.screen import drop_odd_sizes
from rich.console import Console


@pytest.mark.parametrize("size", ["", "0", "-1", "x", "²", "٣", "1e3", "9" * 30, "9" * 5_000, " 80"])
def test_what_is_no_size_is_as_if_it_were_not_there(size) -> None:
    environ = {"COLUMNS": size, "LINES": size, "TERM": "xterm"}
    drop_odd_sizes(environ)
    assert environ == {"TERM": "xterm"}


def test_a_size_stays() -> None:
    environ = {"COLUMNS": "1", "LINES": "65535"}
    drop_odd_sizes(environ)
    assert environ == {"COLUMNS": "1", "LINES": "65535"}


@given(st.text(max_size=8), st.text(max_size=8))
def test_a_screen_can_be_made_of_whatever_is_left(columns, lines) -> None:
    environ = {"COLUMNS": columns, "LINES": lines}
    drop_odd_sizes(environ)
    size = Console(_environ=environ, force_terminal=True).size
    assert min(size) > 0

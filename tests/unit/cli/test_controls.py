"""A log on a terminal: colours pass, and nothing moves the cursor, sets the title or makes the terminal answer."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.cli.controls import Controls, shown


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (b"plain\ttext\r\n", b"plain\ttext\r\n"),
        (b"\x1b[1;31mred\x1b[0m\n", b"\x1b[1;31mred\x1b[0m\n"),
        ("gr\u00fcn \u2713\n".encode(), "gr\u00fcn \u2713\n".encode()),
        (b"12%\r50%\b\b\b99%\n", b"12%\r50%\b\b\b99%\n"),
        (b"\x1b]0;title\x07", b"^[]0;title^G"),
        (b"\x1b]52;c;cm0=\x1b\\", b"^[]52;c;cm0=^[\\"),
        (b"\x1b[2J\x1b[1;1H", b"^[[2J^[[1;1H"),
        (b"\x1b[6n\x1bc\x1b[?1049h", b"^[[6n^[c^[[?1049h"),
        (b"\xc2\x9b6n\x00\x7f\x0e", b"\\x9b6n^@^?^N"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(written, expected) -> None:
    assert shown(written) == expected


@given(st.lists(st.binary(max_size=6) | st.sampled_from([b"\x1b", b"[", b"31", b"m", b"\xc2", b"\x9b"])))
def test_pieces_come_out_as_the_whole(pieces) -> None:
    controls = Controls()
    written = b"".join(controls.feed(piece) for piece in pieces) + controls.rest()
    assert written == shown(b"".join(pieces))


def test_a_line_is_not_held_back() -> None:
    assert Controls().feed(b"\x1b[31mred\n") == b"\x1b[31mred\n"

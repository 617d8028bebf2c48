"""A stream's lines do not depend on how the network cut it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import TransportError
from podrunner.kube.lines import LineSplitter

PIECES = st.lists(
    st.one_of(st.binary(max_size=20), st.sampled_from([b"\n", b"\n\n", b"a\n", b"\r\n"])), max_size=30
)


@given(PIECES)
def test_any_cutting_gives_the_same_lines(pieces):
    splitter = LineSplitter()
    lines = [line for piece in pieces for line in splitter.feed(piece)]
    assert [*lines, splitter.finish()] == b"".join(pieces).split(b"\n")


def test_a_line_of_a_million_pieces_is_joined_once():
    splitter = LineSplitter()
    for _ in range(200_000):
        assert splitter.feed(b"x") == []
    assert splitter.feed(b"\n") == [b"x" * 200_000]


def test_a_line_without_end_is_an_error_and_not_kept():
    splitter = LineSplitter(max_bytes=10)
    splitter.feed(b"12345\n6789")
    with pytest.raises(TransportError, match="longer than 10 bytes"):
        splitter.feed(b"01234567")
    assert splitter.finish() == b""

"""Frames and header blocks of SPDY/3.1."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.spdy import frames

NAMES = st.text(st.characters(min_codepoint=97, max_codepoint=122), min_size=1, max_size=20)
VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=50)

ERROR_STREAM = (
    "80030001000000290000000100000000000078f9e3c6a7c26260606004a7b392a2d4c45c6851c29a0a0a6800000000ffff"
)
STDIN_STREAM = "800300010000001700000003000000000000c22e555c92929907000000ffff"


def test_the_dictionary_is_that_of_the_specification() -> None:
    """Every implementation names it by this checksum in its first header block."""
    assert zlib.adler32(frames._dictionary()) == 0xE3C6A7C2


def test_header_blocks_of_kubectl_are_read_in_order() -> None:
    """Recorded from kubectl 1.27; the second block only unpacks after the first."""
    reader = frames.HeaderReader()
    blocks = [bytes.fromhex(frame)[18:] for frame in (ERROR_STREAM, STDIN_STREAM)]
    assert [reader.unpack(block) for block in blocks] == [{"streamtype": "error"}, {"streamtype": "stdin"}]


def test_the_head_of_a_control_frame_is_read() -> None:
    head = frames.parse_frame_header(bytes.fromhex(ERROR_STREAM)[:8])
    assert head == frames.ControlFrame(frames.FrameType.SYN_STREAM, 0, 0x29)


@given(st.integers(1, 2**31 - 1), st.sampled_from([0, 1]), st.binary(max_size=100))
def test_the_head_of_a_data_frame_is_read(stream_id: int, fin: int, data: bytes) -> None:
    frame = frames.data_frame(stream_id, data, fin=bool(fin))
    assert frames.parse_frame_header(frame[:8]) == frames.DataHeader(stream_id, fin, len(data))
    assert frame[8:] == data


def test_another_version_of_spdy_is_refused() -> None:
    with pytest.raises(frames.FrameError, match="version 2"):
        frames.parse_frame_header(bytes.fromhex("8002000100000000"))


@given(st.lists(st.dictionaries(NAMES, VALUES, max_size=5), max_size=5))
def test_headers_survive_the_way(blocks: list[dict[str, str]]) -> None:
    writer, reader = frames.HeaderWriter(), frames.HeaderReader()
    assert [reader.unpack(writer.pack(block)) for block in blocks] == blocks


def test_several_values_of_a_name_are_joined() -> None:
    writer, reader = frames.HeaderWriter(), frames.HeaderReader()
    assert reader.unpack(writer.pack({"accept": "a\0b"})) == {"accept": "a,b"}


def test_a_block_that_unpacks_to_too_much_is_refused() -> None:
    """A bomb: small on the wire, large in memory."""
    block = frames.HeaderWriter().pack({"x": "a" * 1_000_000})
    assert len(block) < 5_000
    with pytest.raises(frames.FrameError, match="more than"):
        frames.HeaderReader().unpack(block)


@given(st.binary(max_size=60))
def test_a_block_that_is_no_block_is_refused_or_read(block: bytes) -> None:
    """For any bytes, no other error than FrameError is raised."""
    try:
        frames.HeaderReader().unpack(block)
    except frames.FrameError:
        return


@pytest.mark.parametrize(
    "plain",
    [b"\0\0\0\1", b"\0\0\0\1\0\0\0\5ab", b"\0\0", b"\xff\xff\xff\xff"],
    ids=["none", "short", "cut", "many"],
)
def test_a_block_that_ends_too_early_is_refused(plain: bytes) -> None:
    packer = zlib.compressobj(zdict=frames._dictionary())
    block = packer.compress(plain) + packer.flush(zlib.Z_SYNC_FLUSH)
    with pytest.raises(frames.FrameError, match="too early"):
        frames.HeaderReader().unpack(block)


@given(st.dictionaries(st.integers(1, 2**24 - 1), st.integers(0, 2**32 - 1), max_size=8))
def test_settings_survive_the_way(values: dict[int, int]) -> None:
    assert frames.settings_values(frames.settings_frame(values)[8:]) == values


def test_settings_whose_count_lies_are_refused() -> None:
    with pytest.raises(frames.FrameError, match="SETTINGS"):
        frames.settings_values(b"\0\0\0\2" + b"\0" * 8)


def test_a_payload_that_is_too_short_is_refused() -> None:
    with pytest.raises(frames.FrameError, match="wanted 8"):
        frames.two_numbers(b"\0\0\0\1")

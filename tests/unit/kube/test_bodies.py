"""Bodies are read in bounded pieces, whatever their encoding."""

from __future__ import annotations

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import TransportError
from podrunner.kube import AnswerTooLongError
from podrunner.kube.bodies import MAX_BODY_BYTES, MAX_ERROR_BODY_BYTES, Body

pytestmark = pytest.mark.anyio

MIB = 1024 * 1024


def body_of(*pieces: bytes, encoding: str | None = None) -> Body:
    """A body that the network delivers in these pieces."""
    left = iter(pieces)

    async def read() -> bytes:
        return next(left, b"")

    return Body(read, {} if encoding is None else {"Content-Encoding": encoding})


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[begin : begin + size] for begin in range(0, len(data), size)]


async def all_of(body: Body) -> tuple[bytes, int]:
    """All bytes, and the longest piece."""
    pieces = []
    while piece := await body.piece():
        pieces.append(piece)
    return b"".join(pieces), max(map(len, pieces), default=0)


@given(st.lists(st.binary(max_size=300), max_size=4), st.integers(1, 50))
async def test_any_cutting_and_any_number_of_members_give_the_same(members, size):
    """V4: a gzip member per flush."""
    data = b"".join(map(gzip.compress, members))
    assert (await all_of(body_of(*cut(data, size), encoding="gzip")))[0] == b"".join(members)


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip", "GZIP", "deflate"])
async def test_what_is_compressed_is_decompressed_in_bounded_pieces(encoding):
    """H7: 64 KiB of gzip are up to 64 MiB."""
    data = b"x" * 20 * MIB
    compressed = zlib.compress(data) if encoding == "deflate" else gzip.compress(data)
    found, longest = await all_of(body_of(compressed, encoding=encoding))
    assert found == data
    assert longest <= 256 * 1024


@pytest.mark.parametrize("encoding", [None, "", "identity"])
async def test_what_is_not_compressed_comes_as_it_is(encoding):
    assert await all_of(body_of(b"a", b"bc", encoding=encoding)) == (b"abc", 2)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (lambda: body_of(b"no gzip", encoding="gzip"), "cannot be decompressed"),
        (lambda: body_of(gzip.compress(b"abc" * 1000)[:-5], encoding="gzip"), "ended within"),
        (lambda: body_of(b"x", encoding="br"), "encoded as 'br', although identity was asked for"),
        (lambda: body_of(b"x", encoding="gzip, gzip"), "encoded as 'gzip, gzip'"),
    ],
    ids=["garbage", "half", "unknown", "twice"],
)
async def test_what_cannot_be_decompressed_is_an_error(body, said):
    with pytest.raises(TransportError, match=said):
        await body().whole(status=200)


async def test_a_success_may_be_as_long_as_the_limit_and_no_longer():
    """H7: the error names the limit."""
    fits = [b"x" * MIB] * (MAX_BODY_BYTES // MIB)
    assert len((await body_of(*fits).whole(status=200))[0]) == MAX_BODY_BYTES
    with pytest.raises(AnswerTooLongError, match=f"longer than {MAX_BODY_BYTES} bytes, which is the limit"):
        await body_of(*fits, b"x").whole(status=200)


async def test_a_refusal_is_cut_off():
    """H7: the status alone says enough."""
    assert await body_of(b"short").whole(status=500) == (b"short", True)
    endless = body_of(*[b"x" * 1000] * 1000)
    assert await endless.whole(status=500) == (b"x" * MAX_ERROR_BODY_BYTES, False)

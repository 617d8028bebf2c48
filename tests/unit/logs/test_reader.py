"""Reading a log back from wherever it is: whole, in pages, into a file, and as it grows."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import anyio.to_thread
import pytest
from podrunner.config import LogSettings
from podrunner.errors import LogError, NotFoundError, ServerError, TransportError
from podrunner.logs import (
    FileLogSink,
    LocalFile,
    LogCursor,
    LogQuery,
    LogReader,
    LogStreamLimiter,
    PodLog,
    ServerLog,
    configured_places,
    read_lines,
)
from podrunner.logs.segments import compress_segment, rotate
from tests.unit.logs.conftest import stamped

pytestmark = pytest.mark.anyio

QUERY = LogQuery(log_path="d/t/1.log", namespace="default", pod="pod-1")


def reader(folder, node, **options) -> LogReader:
    return LogReader([LocalFile(folder), PodLog(node, **options)])


@pytest.fixture
def path(tmp_path) -> Path:
    path = tmp_path / "d" / "t" / "1.log"
    path.parent.mkdir(parents=True)
    return path


async def test_the_local_file_comes_first_under_its_heading(tmp_path, path, node):
    path.write_text("one\n\ntwo\n")
    document = await reader(tmp_path, node).read(QUERY)
    assert document.source == "file"
    assert str(document) == f"*** Reading local file: {path}\none\n\ntwo\n"
    assert node.requests == []


async def test_another_containers_file_is_found(tmp_path, path, node):
    path.with_name("1.proxy.log").write_text("")
    document = await reader(tmp_path, node).read(LogQuery(log_path="d/t/1.log", container="proxy"))
    assert document.lines == ()


async def test_segments_are_read_in_order(tmp_path, path, node):
    """Compressed ones too."""
    for text in ("one\n", "two\n"):
        path.write_text(text)
        rotate(path)
    compress_segment(path, 1)
    path.write_text("three\n")
    assert (await reader(tmp_path, node).read(QUERY)).lines == ("one", "two", "three")


async def test_the_pod_is_asked_next(tmp_path, node):
    node.write(stamped(1), stamped(2))
    document = await reader(tmp_path, node, tail_lines=1).read(QUERY)
    assert (document.source, document.lines) == ("pod", ("line 2",))
    assert document.header.startswith("*** Reading the log of pod default/pod-1")


async def test_a_pods_log_may_keep_its_time_stamps_and_takes_a_turn(tmp_path, node):
    node.write(stamped(1))
    limiter = LogStreamLimiter(2)
    async with reader(tmp_path, node, timestamps=True, turns=limiter).open(QUERY) as found:
        assert limiter.held == 1
        assert b"".join([batch async for batch in found.batches]) == stamped(1) + b"\n"
    assert limiter.held == 0


async def test_a_place_that_fails_is_named_and_the_next_is_asked(tmp_path, path, node):
    node.write(stamped(1))
    path.mkdir()
    document = await reader(tmp_path, node).read(QUERY)
    assert document.header.startswith("*** LocalFile failed: ")
    assert document.lines == ("line 1",)


@pytest.mark.parametrize(
    "query", [QUERY, LogQuery(pod="pod-1", namespace="default"), LogQuery(log_path="x.log")]
)
async def test_nowhere_is_an_error(tmp_path, node, query):
    node.scripts = [NotFoundError(status=404)]
    with pytest.raises(LogError, match="no log found"):
        await reader(tmp_path, node).read(query)


async def test_the_error_says_why_each_place_failed(tmp_path, node):
    node.scripts = [ServerError(status=500, server_message="etcd")]
    with pytest.raises(LogError, match="PodLog failed"):
        await reader(tmp_path, node).read(QUERY)


async def test_a_path_out_of_the_folder_is_no_place(tmp_path, node):
    """G10: for any caller."""
    (tmp_path / "secret.log").write_text("secret")
    with pytest.raises(LogError, match=r"no log found.*LocalFile failed"):
        await LogReader([LocalFile(tmp_path / "logs")]).read(LogQuery(log_path="../secret.log"))


# Pages


async def test_pages_are_whole_lines_and_together_the_log(tmp_path, path, node):
    text = "".join(f"line {number} {'x' * (number % 7)}\n" for number in range(100))
    path.write_text(text[:300])
    rotate(path)
    path.write_text(text[300:])
    lines, offset, pages = [], 0, 0
    while True:
        page = await reader(tmp_path, node).read_page(QUERY, offset=offset, limit_bytes=100)
        assert sum(len(line) + 1 for line in page.lines) <= 100
        lines += page.lines
        offset, pages = page.next_offset, pages + 1
        if page.is_last:
            break
    assert (lines, offset) == (text.splitlines(), len(text))
    assert pages > 10
    with path.open("a") as file:
        file.write("later\n")
    page = await reader(tmp_path, node).read_page(QUERY, offset=offset)
    assert (page.lines, page.is_last) == (("later",), True)


async def test_a_line_longer_than_a_page_comes_in_pieces(tmp_path, path, node):
    path.write_text("x" * 25 + "\ny\n")
    pages, offset = [], 0
    while not pages or not pages[-1].is_last:
        pages.append(await reader(tmp_path, node).read_page(QUERY, offset=offset, limit_bytes=10))
        offset = pages[-1].next_offset
    assert [page.lines for page in pages] == [("x" * 10,), ("x" * 10,), ("xxxxx", "y")]


async def test_a_page_reads_no_more_of_a_file_than_it_shows(tmp_path, path, node, monkeypatch):
    """Memory is bounded however long the log is."""
    path.write_bytes(b"0123456789\n" * 1_000_000)
    read = 0
    run_sync = anyio.to_thread.run_sync

    async def counted(function, *args):
        nonlocal read
        result = await run_sync(function, *args)
        read += len(result[1]) if isinstance(result, tuple) else 0
        return result

    monkeypatch.setattr(anyio.to_thread, "run_sync", counted)
    page = await reader(tmp_path, node).read_page(QUERY, offset=5_500_000, limit_bytes=1000)
    assert page.lines[0] == "0123456789"
    assert read < 1_000_000


async def test_a_pod_gives_pages_too(tmp_path, node):
    node.write(*(stamped(number) for number in range(1, 6)))
    page = await reader(tmp_path, node).read_page(QUERY, offset=7, limit_bytes=15)
    assert (page.lines, page.next_offset, page.is_last) == (("line 2", "line 3"), 21, False)


# Into a file


async def test_a_log_is_saved_as_it_is(tmp_path, path, node):
    path.write_bytes(b"one\xff\n\r\nno end")
    copy = tmp_path / "copy.log"
    copy.write_text("old")
    header = await reader(tmp_path, node).save(QUERY, copy)
    assert header == f"*** Reading local file: {path}"
    assert copy.read_bytes() == path.read_bytes()


async def test_a_log_that_breaks_off_leaves_no_half_file(tmp_path, node):

    async def broken(data):
        yield stamped(1) + b"\n"
        raise TransportError("reset")

    node.scripts = [broken]
    folder = tmp_path / "out"
    folder.mkdir()
    with pytest.raises(TransportError):
        await reader(tmp_path, node).save(QUERY, folder / "copy.log")
    assert list(folder.iterdir()) == []


# As it grows


async def test_a_file_is_followed_while_its_cursor_stands_beside_it(tmp_path, path, node):
    """Also over a cut; and what was written last is not missed when the cursor goes."""
    sink = FileLogSink(path)
    cursor = LogCursor("uid-1", "base")
    await sink.open(uid="uid-1", container="base")
    got = b""
    with anyio.fail_after(30):
        async with reader(tmp_path, node).open(QUERY, follow=True) as found:
            for number, text in enumerate((b"one\n", b"two\n", b"three\n")):
                with path.open("ab") as file:
                    file.write(text)
                if number == 1:
                    rotate(path)
                    path.touch()
                if number == 2:
                    await sink.forget()
                while text not in got:
                    got += await anext(found.batches)
            with pytest.raises(StopAsyncIteration):
                await anext(found.batches)
    assert (got, cursor.stamp) == (b"one\ntwo\nthree\n", "")


async def test_the_file_of_a_pod_that_is_kept_is_not_waited_for(tmp_path, path, node):
    """G7: its cursor stays as long as the pod does."""
    path.write_text("one\n")
    sink = FileLogSink(path)
    await sink.open(uid="uid-1", container="base")
    await sink.close(LogCursor("uid-1", "base", complete=True))
    with anyio.fail_after(30):
        async with reader(tmp_path, node).open(QUERY, follow=True) as found:
            assert [batch async for batch in found.batches] == [b"one\n"]
    assert sink.cursor_path.exists()


async def test_a_finished_file_is_not_waited_for(tmp_path, path, node):
    path.write_text("one\n")
    with anyio.fail_after(30):
        async with reader(tmp_path, node).open(QUERY, follow=True) as found:
            assert [batch async for batch in found.batches] == [b"one\n"]


# What a configuration knows


async def test_the_configured_places_are_in_their_order(tmp_path, node):
    settings = LogSettings(
        folder=tmp_path, server_url="http://{host}:8793/log/{path}", server_secret_key="s3"
    )
    places = configured_places(settings, PodLog(node))
    assert [type(place) for place in places] == [LocalFile, PodLog, ServerLog]
    assert "s3" not in repr(settings)
    assert configured_places(LogSettings()) == []


class OpenPlace:
    """A place that breaks while it is read."""

    @asynccontextmanager
    async def open(self, query, *, offset=0, follow=False):
        yield None


async def test_an_embedders_own_place_is_asked_in_its_turn(node):
    node.write(stamped(1))
    assert (await LogReader([OpenPlace(), PodLog(node)]).read(QUERY)).lines == ("line 1",)


REMOVED = b"unable to retrieve container logs for containerd://e788ff6eb312b2594610893b7264098144"


async def removed(data):
    """The kubelet's answer when the container is removed: 200, and words behind what it could read."""
    yield data + REMOVED


@pytest.mark.parametrize("timestamps", [False, True])
async def test_the_kubelets_own_words_are_a_gap_in_the_pods_log(tmp_path, node, timestamps):
    """G11: read once, behind lines or alone."""
    node.otherwise = removed
    alone = await reader(tmp_path, node, timestamps=timestamps).read(QUERY)
    assert alone.lines == (
        f"*** Log gap in container base (unavailable), after the start, before the end: {REMOVED.decode()}",
    )
    node.write(stamped(1))
    *lines, gap = (await reader(tmp_path, node, timestamps=timestamps).read(QUERY)).lines
    assert lines == [stamped(1).decode() if timestamps else "line 1"]
    assert gap.startswith(
        "*** Log gap in container base (unavailable), after 2024-05-01T10:20:00.000000001Z,"
    )


async def test_the_kubelets_own_words_are_a_gap_in_the_last_lines(node):
    """G11: as the outcome of a failed pod holds them."""
    node.otherwise = removed
    node.write(stamped(1), stamped(2))
    line, gap = await read_lines(node, "default", "pod-1", container="base", tail_lines=1)
    assert line == "line 2"
    assert gap.startswith(
        "*** Log gap in container base (unavailable), after 2024-05-01T10:20:00.000000002Z,"
    )
    assert gap.endswith(REMOVED.decode())

"""Reading a log back from wherever it is."""

from __future__ import annotations

import pytest
from podrunner.errors import LogError, NotFoundError, ServerError
from podrunner.logs import LocalFile, LogQuery, LogReader, PodLog
from tests.unit.logs.conftest import stamped

pytestmark = pytest.mark.anyio

QUERY = LogQuery(log_path="d/t/1.log", namespace="default", pod="pod-1")


def reader(folder, node, **options) -> LogReader:
    return LogReader([LocalFile(folder), PodLog(node, **options)])


async def test_the_local_file_comes_first_under_its_heading(tmp_path, node):
    path = tmp_path / "d" / "t" / "1.log"
    path.parent.mkdir(parents=True)
    path.write_text("one\n\ntwo\n")
    document = await reader(tmp_path, node).read(QUERY)
    assert document.source == "file"
    assert str(document) == f"*** Reading local file: {path}\none\n\ntwo\n"
    assert node.requests == []


async def test_another_containers_file_is_found(tmp_path, node):
    path = tmp_path / "d" / "t" / "1.proxy.log"
    path.parent.mkdir(parents=True)
    path.write_text("")
    document = await reader(tmp_path, node).read(LogQuery(log_path="d/t/1.log", container="proxy"))
    assert document.lines == ()


async def test_the_pod_is_asked_next(tmp_path, node):
    node.write(stamped(1), stamped(2))
    document = await reader(tmp_path, node, tail_lines=1).read(QUERY)
    assert (document.source, document.lines) == ("pod", ("line 2",))
    assert document.header.startswith("*** Reading the log of pod default/pod-1")


async def test_a_place_that_fails_is_named_and_the_next_is_asked(tmp_path, node):
    node.write(stamped(1))
    (tmp_path / "d" / "t" / "1.log").mkdir(parents=True)
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

"""``get -w`` in a pipe: a line for each change that shows, and none for what does not."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from podrunner.cli import get as command
from podrunner.cli.get import Output
from podrunner.cli.watching import PodChange
from tests.support.pods import ended, pod, runs
from tests.support.shown_pods import OOM, RUNNING, keyed

pytestmark = pytest.mark.anyio
KEY = {"run": "job"}
STARTS = keyed(pod("Running", runs("base")), KEY)
ENDS = keyed(pod("Failed", ended("base", 3)), KEY)


async def _lines(
    capsys, *changes: PodChange, output: Output | None = None, as_json: bool = False
) -> list[str]:
    lines = command._Lines(output=output, as_json=as_json)
    for change in changes:
        await lines.show(change)
    return capsys.readouterr().out.splitlines()


async def test_a_change_that_does_not_show_is_no_line(capsys) -> None:
    touched = replace(STARTS, metadata=replace(STARTS.metadata, resource_version="2"))
    shown = await _lines(
        capsys,
        PodChange((STARTS,), is_list=True),
        PodChange((touched,)),
        PodChange((STARTS,), is_list=True),
        PodChange((ENDS,)),
        PodChange((ENDS,), is_gone=True),
    )
    assert [line.split()[:3] for line in shown] == [
        ["KEY", "TRY", "STATUS"],
        ["job", "1", "Running"],
        ["job", "1", "Error"],
        ["job", "1", "Error"],
    ]
    assert shown[2].split()[3:7] == ["exit", "code", "3", "3"]


async def test_lines_keep_the_places_of_their_columns(capsys) -> None:
    shown = await _lines(capsys, PodChange((STARTS,), is_list=True), PodChange((ENDS,)))
    status = shown[0].index("STATUS")
    assert [line[status:].split()[0] for line in shown] == ["STATUS", "Running", "Error"]


async def test_each_change_is_a_json_document_on_a_line(capsys) -> None:
    shown = await _lines(
        capsys, PodChange((OOM,), is_list=True), PodChange((OOM,), is_gone=True), as_json=True
    )
    documents = [json.loads(line) for line in shown]
    assert [document["deleted"] for document in documents] == [False, True]
    assert documents[0]["category"] == "oom-killed"


async def test_names_are_names(capsys) -> None:
    shown = await _lines(capsys, PodChange((RUNNING,), is_list=True), output=Output.NAME)
    assert shown == [f"pod/{RUNNING.metadata.name}"]


async def test_trouble_goes_to_standard_error(capsys) -> None:
    await command._Lines(output=None, as_json=False).show(PodChange(trouble="connection reset"))
    out, err = capsys.readouterr()
    assert (out, err) == ("", "podrunner: warning: connection reset; trying again\n")


async def test_a_watch_of_a_name_shows_later_attempts_of_its_key() -> None:
    wanted = command._Wanted([STARTS])
    second = keyed(pod("Running", runs("base")), KEY, attempt=2)
    change = PodChange((STARTS, second, RUNNING), is_list=True)
    assert wanted.of(change).pods == (STARTS, second)
    assert command._Wanted([]).of(change) is change

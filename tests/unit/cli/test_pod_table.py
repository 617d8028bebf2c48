"""The table of pods: colours, the namespace, and keys with control characters."""

from __future__ import annotations

from datetime import UTC, datetime

from podrunner.cli.interleaved import prefix_of
from podrunner.cli.naming import identity_of
from podrunner.cli.pod_table import cells_of, coloured, table_of
from podrunner.cli.rows import row_of
from tests.support.pods import pod, runs
from tests.support.shown_pods import OOM, RUNNING, SUCCEEDED, keyed

NOW = datetime(2026, 1, 1, 0, 12, tzinfo=UTC)
ROWS = [row_of(found, now=NOW) for found in (RUNNING, OOM, SUCCEEDED)]
HOSTILE = keyed(pod("Running", runs("base")), {"run": "a\x1b]0;title\x07\u202eb"})


def test_each_line_is_in_the_colour_of_its_pod() -> None:
    lines = table_of(ROWS, wide=False, width=80)
    shown = coloured(lines, ROWS)
    assert [line.removesuffix(f"{plain}\x1b[0m") for line, plain in zip(shown, lines, strict=True)] == [
        "\x1b[1m",
        "\x1b[32m",
        "\x1b[31m",
        "\x1b[2m",
    ]


def test_the_namespace_comes_first_where_several_are_shown() -> None:
    heading, *lines = table_of(ROWS, wide=True, width=None, everywhere=True)
    assert heading.split()[:2] == ["NAMESPACE", "KEY"]
    assert {line.split()[0] for line in lines} == {RUNNING.metadata.namespace}


def test_a_key_moves_no_cursor_and_turns_no_text_around() -> None:
    written = r"a\x1b]0;title\x07\u202eb"
    assert cells_of(row_of(HOSTILE, now=NOW), wide=False)[0] == written
    assert prefix_of(identity_of(HOSTILE)) == written

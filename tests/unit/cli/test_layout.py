"""A table fits the terminal at each width: it is shortened, then its least important columns are dropped."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.cells import clipped, middle_clipped, width_of
from podrunner.cli.layout import Column, fitted, wrapped
from podrunner.cli.pod_table import table_of
from podrunner.cli.rows import row_of
from tests.support.shown_pods import ALL, FAILED, RUNNING

NOW = datetime(2026, 1, 1, 0, 12, tzinfo=UTC)


def _table(width: int | None, pods=ALL, *, wide: bool = False) -> list[str]:
    return table_of([row_of(pod, now=NOW) for pod in pods], wide=wide, width=width)


def test_at_200_columns_everything_is_shown() -> None:
    table = _table(200)
    assert table == _table(None)
    assert table[0].split() == ["KEY", "TRY", "STATUS", "WHY", "EXIT", "AGE"]
    assert "…" not in "".join(table)
    assert "OOM-killed (limit 512Mi) by signal 9 (SIGKILL), exit code 137" in table[4]


def test_at_80_columns_texts_are_shortened() -> None:
    assert _table(80) == [
        "KEY                     TRY  STATUS            WHY                     EXIT  AGE",
        "dag_id=nigh…oad_orders  1    Running                                         12m",
        "dag_id=nigh…rain_model  1    Pending           Unschedulable: 2 of 5…        12m",
        "dag_id=nigh…id=publish  1    ImagePullBackOff  Back-off pulling imag…        12m",
        "dag_id=nigh…sk_id=join  2    OOMKilled         OOM-killed (limit 512…  137   12m",
        "report                  1    Evicted           Evicted: The node was…        12m",
        "crawl                   1    Error             node lost: DeletionBy…  137   12m",
        "backup                  1    Error             exit code 3             3     12m",
        "hello                   1    Completed                                 0     12m",
    ]


def test_at_60_columns_the_exit_code_goes_first() -> None:
    table = _table(60)
    assert table[0].split() == ["KEY", "TRY", "STATUS", "WHY", "AGE"]
    assert max(map(len, table)) <= 60
    assert table[7] == "backup           1    Error             exit code 3      12m"


@pytest.mark.parametrize("width", [60, 80, 200])
@pytest.mark.parametrize("wide", [False, True])
def test_no_line_is_wider_than_the_terminal(width, wide) -> None:
    assert max(width_of(line) for line in _table(width, wide=wide)) <= width


def test_the_columns_that_say_why_are_the_last_to_go() -> None:
    titles = [_table(width)[0].split() for width in (60, 50, 48, 30)]
    assert titles == [
        ["KEY", "TRY", "STATUS", "WHY", "AGE"],
        ["KEY", "STATUS", "WHY"],
        ["KEY", "STATUS", "WHY"],
        ["KEY", "STATUS"],
    ]


def test_a_column_without_texts_is_left_out() -> None:
    assert _table(None, [RUNNING])[0].split() == ["KEY", "TRY", "STATUS", "AGE"]
    assert _table(None, [RUNNING, FAILED])[0].split() == ["KEY", "TRY", "STATUS", "WHY", "EXIT", "AGE"]


def test_no_pods_no_table() -> None:
    assert _table(80, []) == []


def test_wide_characters_take_two_cells() -> None:
    assert width_of("日本") == 4
    assert width_of("e\u0301") == 1
    assert clipped("日本語", 5) == "日本…"
    assert clipped("日本語", 4) == "日…"


def test_the_ends_of_a_key_are_kept() -> None:
    assert middle_clipped("dag_id=etl,task_id=load", 11) == "dag_i…=load"


@given(st.text("ab 日-\u0301", max_size=60), st.integers(2, 30))
def test_wrapped_text_fits_and_loses_no_word(text, width) -> None:
    lines = wrapped(text, width)
    assert all(width_of(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@given(st.text("a 日\u0301", max_size=20), st.integers(-1, 1))
def test_where_no_character_fits_each_has_a_line(text, width) -> None:
    lines = wrapped(text, width)
    assert all(len(line.replace("\u0301", "")) <= 1 for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


@pytest.mark.timeout(60)
def test_a_text_of_megabytes_costs_no_more_than_its_length() -> None:
    """An annotation has 256 KiB, and an outcome's message may have more."""
    assert len(wrapped("é" * 400_000, 80)) == 5_000
    assert len(wrapped("é " * 200_000, 8)) == 50_000
    columns = (Column("A", least=4), Column("B", least=9, rank=1), Column("C"))
    rows = [("x" * 30_000_000, "é" * 300_000, "c")]
    assert [len(line) for line in fitted(columns, rows, width=60)] == [60, 60]


def test_text_is_wrapped_between_words() -> None:
    assert wrapped("one two three", 8) == ["one two", "three"]
    assert wrapped("one two three", 7) == ["one two", "three"]
    assert wrapped("abcdefgh ij", 4) == ["abcd", "efgh", "ij"]


COLUMNS = st.lists(
    st.builds(
        Column,
        title=st.text("ABC", min_size=1, max_size=8),
        least=st.integers(0, 9),
        rank=st.integers(0, 3),
        keeps_ends=st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(st.data())
def test_whatever_is_shown_fits_and_keeps_its_rows(data) -> None:
    columns = data.draw(COLUMNS)
    texts = st.text("ab日é \u0301", max_size=30)
    rows = data.draw(st.lists(st.tuples(*[texts] * len(columns)), max_size=5))
    width = data.draw(st.integers(1, 100))
    lines = fitted(columns, rows, width=width)
    assert len(lines) == len(rows) + 1
    assert all(width_of(line) <= width for line in lines)

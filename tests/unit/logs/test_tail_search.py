"""How many of the last lines of a log are asked for, so that the cursor's line is among them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs.tail_search import TailSearch

WINDOW = 64


def searched(size: int, behind: int, carried: int, *, trusts: bool) -> tuple[int, TailSearch]:
    """Searches in a log of that size, with so many new lines, over connections that carry so many lines.

    Args:
        trusts: Whether time stamps show which lines are new.
    """
    search, requests = TailSearch(), 0
    while not search.is_over:
        requests += 1
        begins_at = min(search.lines, size)
        first = str(begins_at).encode()
        if begins_at > behind and begins_at - behind < carried:
            return requests, search
        if begins_at > behind:
            is_known = begins_at - carried < behind + WINDOW
            search = search.broke(is_before=is_known or begins_at - behind == carried, window=WINDOW)
        elif trusts or begins_at <= carried:
            search = search.more(first)
        else:
            search = search.broke(is_before=False, window=WINDOW)
    return requests, search


@given(st.integers(0, 300_000), st.integers(0, 300_000), st.integers(2, 100_000))
def test_the_cursors_line_is_found_wherever_it_is(behind, before, carried):
    """G12: by a connection that carries two lines, in two requests for each power of two."""
    requests, search = searched(behind + before + 1, behind, carried, trusts=True)
    assert not search.is_over
    assert requests <= 2 * 20 + 4


@given(st.integers(0, 500), st.integers(0, 800), st.integers(2, 1000))
def test_it_is_found_though_new_lines_look_like_old_ones(behind, before, carried):
    """G12: the node's clock was set back; in strides that cannot pass over the lines that are remembered.

    Of as many new lines as the number of requests allows.
    """
    _, search = searched(behind + before + 1, behind, carried, trusts=False)
    assert not search.is_over


def test_a_file_that_begins_behind_the_cursors_line_is_asked_for_as_a_whole():
    """G12, G3: two answers with different numbers of lines begin with the same line."""
    assert TailSearch().more(b"first").more(b"first").is_over
    assert not TailSearch().more(b"first").more(b"other").is_over


def test_a_search_comes_to_an_end():
    """G12: whatever the answers are."""
    for step in (TailSearch.more, lambda search: search.broke(is_before=False, window=WINDOW)):
        search, requests = TailSearch(), 0
        while not search.is_over:
            search, requests = step(search), requests + 1
            assert requests < 100


def test_the_next_answer_begins_at_the_new_cursors_line():
    """G12: the log has not grown."""
    search = TailSearch().more()
    assert search.moved(10).lines == search.lines - 9
    assert search.moved(search.lines + 5).lines == 1
    assert not search.moved(10).is_guess


def test_a_log_that_is_read_to_its_end_is_followed_from_its_last_lines():
    """G12: of no more than were carried; a healthy follow stays so."""
    assert TailSearch().more().ended() == TailSearch(tries=1)
    assert TailSearch(5).ended().lines == 5
    assert TailSearch(5).ended().is_guess
    assert TailSearch(5).moved(1000).lines == 5

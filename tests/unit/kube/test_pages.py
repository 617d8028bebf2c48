"""A list in pages has an end, or is an error."""

from __future__ import annotations

import pytest
from podrunner.kube import EndlessListError, PageGuard


def test_a_list_that_ends_is_fine():
    guard = PageGuard(max_objects=1000, page_size=100)
    for number in range(9):
        guard.check(100, f"token-{number}")
    guard.check(100, None)


@pytest.mark.parametrize("tokens", ["aa", "aba", "abcb"])
def test_a_token_that_was_given_before_is_an_error(tokens):
    """H7: at once, or after others."""
    guard = PageGuard(max_objects=1000, page_size=100)
    for token in tokens[:-1]:
        guard.check(1, token)
    with pytest.raises(EndlessListError, match=f"repeats a continue token after {len(tokens)} pages"):
        guard.check(1, tokens[-1])


def test_too_many_objects_are_an_error_with_the_remedy():
    """H7."""
    guard = PageGuard(max_objects=1000, page_size=100, remedy="see a.setting")
    guard.check(1000, "a")
    with pytest.raises(
        EndlessListError, match=r"more than 1000 objects, which is the limit \(see a.setting\)"
    ):
        guard.check(1, None)


def test_pages_without_end_are_an_error_though_they_are_empty():
    """H7."""
    guard = PageGuard(max_objects=1000, page_size=100)
    for number in range(119):
        guard.check(0, str(number))
    with pytest.raises(EndlessListError, match="more than 120 pages, which is the limit"):
        guard.check(0, "last")

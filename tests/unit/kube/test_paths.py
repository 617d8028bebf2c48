"""A name from outside is one segment of a path, whatever is in it."""

from __future__ import annotations

from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.errors import UsageError
from podrunner.kube.paths import PODS, collection, item, with_query

NAMES = st.text(min_size=1, max_size=20).filter(lambda text: text not in {".", ".."})


@given(NAMES, NAMES)
def test_a_name_stays_one_segment(namespace, name):
    """G10's sibling: no name reaches another resource."""
    segments = item(PODS, namespace, name).split("/")
    assert len(segments) == 7
    assert (unquote(segments[4]), unquote(segments[6])) == (namespace, name)


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.text(min_size=1, max_size=20)), max_size=4))
def test_a_query_says_what_it_was_given(pairs):
    target = with_query("/x", pairs)
    assert target.isascii()
    assert parse_qsl(urlsplit(target).query, keep_blank_values=True) == pairs


def test_what_is_not_given_is_not_sent():
    assert (
        with_query("/x", [("a", None), ("b", ""), ("c", 0), ("d", False), ("e", True)])
        == "/x?c=0&d=false&e=true"
    )
    assert with_query("/x", [("a", None)]) == "/x"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_what_would_be_another_path_is_refused(name):
    with pytest.raises(UsageError):
        item(PODS, "n", name)
    with pytest.raises(UsageError):
        collection(PODS, name)


def test_words_count_also_when_they_are_empty():
    """The arguments of a command: none of them may be dropped."""
    words = [("command", word) for word in ("printf", "", "a b")]
    assert with_query("/x", [("stdin", None), ("tty", True)], words=words) == (
        "/x?command=printf&command=&command=a%20b&tty=true"
    )
    assert with_query("/x", [], words=[("command", "")]) == "/x?command="


def test_bytes_that_are_not_utf8_are_sent_as_they_are():
    """As by kubectl: Python hands such bytes of an argument on as lone surrogates."""
    word = b"a\xff".decode(errors="surrogateescape")
    assert with_query("/x", [("labelSelector", word)], words=[("command", word)]) == (
        "/x?command=a%FF&labelSelector=a%FF"
    )
    assert item(PODS, "n", word).endswith("/a%FF")


def test_half_a_surrogate_pair_cannot_be_asked_for():
    """UTF-8 cannot write it."""
    with pytest.raises(UsageError, match="half a surrogate pair"):
        with_query("/x", [("labelSelector", "\ud800")])
    with pytest.raises(UsageError, match="half a surrogate pair"):
        item(PODS, "n", "\ud800")

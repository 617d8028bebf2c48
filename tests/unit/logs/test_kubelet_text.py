"""The kubelet's words in the body of a log, and the lines of the container."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs import GapReason, LogGap
from podrunner.logs.kubelet_text import KubeletText
from tests.unit.logs.conftest import stamped

WORDS = [
    b"unable to retrieve container logs for containerd://e788ff6eb312b2594610893b7264098144fbab07",
    b'failed to try resolving symlinks in path "/var/log/pods/default_a_1/base/0.log": lstat: no such file',
    b'failed to open log file "/var/log/pods/default_a_1/base/0.log": permission denied',
    b"failed to create fsnotify watcher: too many open files",
    b'rpc error: code = NotFound desc = an error occurred when try to find container "a": not found',
    b"another kubelet's words",
]
LINES = stamped(1) + b"\n" + stamped(2, b"rpc error: said by the container") + b"\n"


@pytest.mark.parametrize("words", WORDS)
@pytest.mark.parametrize("before", [b"", LINES])
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_text_without_a_stamp_is_the_kubelets(words, before, end):
    """G11: whether it stands alone or behind lines, with a line end or without."""
    lines, kubelet = KubeletText().separate(before + words + b"\n" if end else before)
    rest, kubelet = kubelet.end(b"" if end else words + b"\n")
    assert lines + rest == before
    assert kubelet.gap("base", after="then", restart=2) == LogGap(
        "base", GapReason.UNAVAILABLE, after="then", message=words.decode(), restart=2
    )


@given(st.data())
def test_the_cutting_of_a_body_changes_nothing(data):
    """G11: words of several lines, in batches of whole lines."""
    body = [*LINES.splitlines(keepends=True), b"rpc error: one\n", b"two\n"]
    kubelet, got = KubeletText(), b""
    while body:
        count = data.draw(st.integers(1, len(body)))
        lines, kubelet = kubelet.separate(b"".join(body[:count]))
        got, body = got + lines, body[count:]
    assert (got, kubelet.message) == (LINES, "rpc error: one\ntwo\n")


def test_the_rest_of_a_line_that_began_before_since_time_is_no_word_of_the_kubelets():
    """G11: the kubelet leaves out the first pieces of a long line, and with them its stamp."""
    lines, kubelet = KubeletText(may_be_cut=True).separate(b"xxx the rest\n" + LINES)
    assert (lines, kubelet) == (LINES, KubeletText())
    assert KubeletText(may_be_cut=True).separate(b"xxx\n").then.separate(LINES) == (LINES, KubeletText())


@pytest.mark.parametrize("words", WORDS[:-1])
def test_words_at_the_beginning_of_an_answer_with_since_time_are_the_kubelets(words):
    """G11: they are known by their text, or by the missing line end."""
    assert KubeletText(may_be_cut=True).separate(words + b"\n").then.message == words.decode() + "\n"
    assert KubeletText(may_be_cut=True).end(words + b"\n").then.message == words.decode() + "\n"


def test_only_the_first_thing_of_a_body_may_be_the_rest_of_a_line():
    """G11."""
    found = KubeletText(may_be_cut=True).separate(LINES)
    assert found.then.separate(b"another kubelet's words\n").then.message == "another kubelet's words\n"


def test_the_kubelets_words_are_bounded():
    """G11: a body without stamps does not fill the memory."""
    kubelet = KubeletText()
    for _ in range(3):
        kubelet = kubelet.separate(b"x" * 5000 + b"\n").then
    assert len(kubelet.message) == 1024


def test_no_words_are_no_gap():
    assert KubeletText().separate(b"") == (b"", KubeletText())
    assert KubeletText(may_be_cut=True).end(b"").then.gap("base") is None

"""What a line means besides its text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from podrunner.logs import LogLine, json_fields, level_of, prefixed


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ('{"a": 1, "b": {"c": null}}', {"a": 1, "b": {"c": None}}),
        ('  {"a": 1} \r', {"a": 1}),
        ("[1, 2]", None),
        ('{"a": 1', None),
        ("{not json}", None),
        ("plain", None),
        ("", None),
        ('{"a":' * 100_000 + "}", None),
    ],
)
def test_a_line_that_is_a_json_object_has_fields(text, fields):
    assert json_fields(LogLine(text)) == fields


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("[2019-08-15 01:16:36,627] {taskinstance.py:1150} ERROR - no such table", "error"),
        ("WARNING: deprecated", "warning"),
        ("2024-05-01 INFO starting", "info"),
        ('{"level": "WARN", "msg": "x"}', "warning"),
        ('{"severity": "CRITICAL"}', "critical"),
        ('{"level": 30}', None),
        ('{"msg": "ERROR inside"}', None),
        ("I0501 10:20:30.123456       1 server.go:1] up", "info"),
        ("E0501 10:20:30.123456       1 server.go:1] down", "error"),
        ("no errors, no INFORMATION", None),
        ("x" * 200 + " ERROR", None),
        ("", None),
    ],
)
def test_a_line_may_say_how_bad_it_is(text, level):
    assert level_of(LogLine(text)) == level


def test_a_prefix_names_the_pod_of_a_line():
    line = LogLine("hello", "2024-05-01T10:20:30Z", "base")
    assert prefixed(line, "pod-1") == "[pod/pod-1/base] hello"
    assert prefixed(line, "pod-1", timestamp=True) == "[pod/pod-1/base] 2024-05-01T10:20:30Z hello"
    assert prefixed(LogLine("x", container="c"), "p", timestamp=True) == "[pod/p/c] x"


@given(st.text(max_size=60))
def test_no_line_is_too_odd(text):
    """G5, G6: whatever a container writes, reading it raises nothing."""
    json_fields(LogLine(text))
    level_of(LogLine(text))

"""What passes of a body, however it is cut into batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from podrunner.testing.faults.rules import Effect
from podrunner.testing.faults.shape import Shape

EVENTS = b'{"a":1}\n{"b":22}\n{"c":333}\n'


def shaped(effect: Effect, data: bytes, borders: list[int]) -> tuple[bytes, bool]:
    shape, passed, start = Shape(effect), b"", 0
    for border in [*sorted(border for border in borders if border < len(data)), len(data)]:
        if not shape.over:
            passed += shape.feed(data[start:border])
        start = border
    return (passed if shape.over else passed + shape.rest()), shape.over


borders = st.lists(st.integers(0, len(EVENTS)))


@given(borders)
def test_without_a_fault_all_of_it(at: list[int]):
    assert shaped(Effect("x"), EVENTS, at) == (EVENTS, False)


@given(borders, st.integers(0, 40))
def test_so_many_bytes(at: list[int], limit: int):
    assert shaped(Effect("x", after_bytes=limit), EVENTS, at) == (EVENTS[:limit], limit <= len(EVENTS))


@given(borders)
def test_so_many_events_and_half_of_the_next(at: list[int]):
    assert shaped(Effect("x", after_events=1), EVENTS, at) == (b'{"a":1}\n{"b"', True)


@given(borders)
def test_fewer_events_than_that_all_pass(at: list[int]):
    assert shaped(Effect("x", after_events=3), EVENTS + b"rest", at) == (EVENTS + b"rest", False)


@given(borders)
def test_each_event_twice(at: list[int]):
    twice = b'{"a":1}\n{"a":1}\n{"b":22}\n{"b":22}\n{"c":333}\n{"c":333}\n'
    assert shaped(Effect("x", repeat=2), EVENTS, at) == (twice, False)


@given(borders, st.integers(0, 40))
def test_garbage_within(at: list[int], place: int):
    spoilt = EVENTS[:place] + b"!!" + EVENTS[place:]
    assert shaped(Effect("x", after_bytes=place, insert=b"!!"), EVENTS, at) == (spoilt, False)

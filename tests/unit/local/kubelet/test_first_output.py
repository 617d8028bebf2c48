"""What a container writes before its first client is attached."""

from __future__ import annotations

import pytest
from podrunner.local.kubelet.opening import LIMIT_BYTES, WITHIN_S, Opening


class Clock:
    """Time that moves when the test sets it."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opening(clock: Clock) -> Opening:
    return Opening(clock)


def test_the_first_client_hears_it_all_in_order(opening):
    opening.put("stdout", b"one\n")
    opening.put("stderr", b"two\n")
    assert opening.take() == [("stdout", b"one\n"), ("stderr", b"two\n")]


def test_the_second_client_hears_only_what_is_new(opening):
    opening.put("stdout", b"one\n")
    opening.take()
    opening.put("stdout", b"two\n")
    assert opening.take() == []


def test_a_late_client_hears_only_what_is_new(opening, clock):
    opening.put("stdout", b"one\n")
    clock.now += WITHIN_S + 0.1
    assert opening.take() == []


def test_a_beginning_with_a_late_end_is_not_sent(opening, clock):
    opening.put("stdout", b"one\n")
    clock.now += WITHIN_S + 0.1
    opening.put("stdout", b"two\n")
    assert opening.take() == []


def test_no_part_of_a_flood_is_sent(opening):
    opening.put("stdout", b"x" * LIMIT_BYTES)
    opening.put("stdout", b"y")
    assert opening.take() == []

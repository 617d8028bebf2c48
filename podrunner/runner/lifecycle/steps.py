"""What follows on an input. A record, nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from podrunner.runner.effects import Effect
    from podrunner.runner.states import State

__all__ = ["Step"]


class Step(NamedTuple):
    """What follows on an input.

    Attributes:
        state: The next state; the same object if nothing changed.
        effects: What is to be done, in this order.
    """

    state: State
    effects: tuple[Effect, ...] = ()

"""The code's lifecycle as a graph of numbers: states, inputs and effects are interned, and each step is made once."""

from __future__ import annotations

import dataclasses
import datetime as dt
from enum import Enum
from typing import Any

import msgspec
from podrunner.outcome import Outcome
from podrunner.outcome.record import Pod
from podrunner.runner.effects import Effect
from podrunner.runner.inputs import Input, PodGone, PodObserved
from podrunner.runner.lifecycle import table
from podrunner.runner.states import New, Rules, State
from tests.model.records import record_of

__all__ = ["Lives", "frozen"]

_SKIPPED = {"rules", "evidence"}


def frozen(value: Any) -> Any:  # noqa: PLR0911  # one return per kind
    """Returns a hashable image of a value; equal for equal values."""
    match value:
        case Pod():
            return record_of(value)
        case msgspec.Struct():
            names = value.__struct_fields__
            return (
                type(value).__name__,
                *(frozen(getattr(value, name)) for name in names if name not in _SKIPPED),
            )
        case Enum():
            return str(value)
        case _ if dataclasses.is_dataclass(value):
            names = [field.name for field in dataclasses.fields(value) if field.name not in _SKIPPED]
            return (type(value).__name__, *(frozen(getattr(value, name)) for name in names))
        case tuple() | list():
            return tuple(map(frozen, value))
        case BaseException():
            return (type(value).__name__, str(value))
        case None | bool() | int() | float() | str() | dt.datetime():
            return value
    raise TypeError(f"no image of {value!r}")


class Interned:
    """Numbers for values, by their images."""

    def __init__(self) -> None:
        self._values: list[Any] = []
        self._ids: dict[Any, int] = {}

    def id_of(self, value: Any) -> int:
        image = frozen(value)
        if image not in self._ids:
            self._ids[image] = len(self._values)
            self._values.append(value)
        return self._ids[image]

    def __getitem__(self, number: int) -> Any:
        return self._values[number]

    def __len__(self) -> int:
        return len(self._values)


class Lives:
    """The code's states of one pod's life.

    Args:
        rules: What decisions depend on besides the state.
    """

    def __init__(self, rules: Rules) -> None:
        self.states = Interned()
        self.effects = Interned()
        self.outcomes = Interned()
        self.new: int = self.states.id_of(New(rules=rules))
        self._steps: dict[tuple[int, Any], tuple[int, tuple[int, ...]]] = {}

    def state(self, number: int) -> State:
        """Returns the state of a number."""
        state: State = self.states[number]
        return state

    def effect(self, number: int) -> Effect:
        """Returns the effect of a number."""
        effect: Effect = self.effects[number]
        return effect

    def outcome(self, number: int) -> Outcome:
        """Returns the outcome of a number."""
        outcome: Outcome = self.outcomes[number]
        return outcome

    def accepts(self, number: int, kind: type) -> bool:
        """Returns whether an input of this kind is legal, and not ignored."""
        transition = table.TABLE[type(self.states[number])].get(kind)
        return transition is not None and transition is not table._LATE

    def step(self, number: int, given: Input) -> tuple[int, tuple[int, ...]]:
        """Applies an input; returns the numbers of the next state and of the effects.

        Raises:
            IllegalInputError: The input has no meaning in this state.
        """
        key = number, _key(given)
        known = self._steps.get(key)
        if known is None:
            following = table.step(self.states[number], given)
            effects = tuple(self.effects.id_of(effect) for effect in following.effects)
            known = self._steps[key] = (self.states.id_of(following.state), effects)
        return known


def _key(given: Input) -> Any:
    """Returns an image of an input, quickly for those that come most often."""
    if isinstance(given, PodObserved | PodGone):
        return type(given), id(given.pod)
    return frozen(given)

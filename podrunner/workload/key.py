"""The key of a workload: its identity, the attempt, and the launch of that attempt.

A launch is idempotent because the pod's name is computed from the key. So the identity has one canonical form, which
fits into an annotation and is valid in every encoding on the way to the API server.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from pydantic_core import CoreSchema, core_schema

from podrunner.errors import SpecError
from podrunner.redaction import shown_at

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler

__all__ = ["KeyLike", "WorkloadKey"]

MAX_IDENTITY_BYTES = 32 * 1024
"""An eighth of what all annotations of a pod may hold together (Kubernetes' ``TotalAnnotationSizeLimitB``, 256 KiB)."""

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":")).encode


class WorkloadKey:
    """Identity and attempt of a workload; immutable and hashable, equal whatever the order of its parts.

    Attributes:
        parts: What identifies the workload, as ``{"dag_id": "etl", "task_id": "load"}``, in the order given. A whole
            number becomes its digits.
        attempt: Which attempt, from 1.
        relaunch: How often the attempt was launched again because its pod failed before the work began, from 0. A
            relaunch is another pod of the same attempt.
        identity: The parts as canonical JSON (sorted, ASCII); the same for every attempt.
    """

    __slots__ = ("_hash", "attempt", "identity", "parts", "relaunch")

    parts: Mapping[str, str]
    attempt: int
    relaunch: int
    identity: str
    _hash: int

    def __init__(self, parts: Mapping[str, str | int], attempt: int = 1, *, relaunch: int = 0) -> None:
        checked = _checked_parts(parts)
        identity = _canonical(checked)
        if len(identity) > MAX_IDENTITY_BYTES:
            problem = f"is longer than {MAX_IDENTITY_BYTES} bytes as ASCII JSON"
            raise SpecError(problem, field="WorkloadKey", value=f"{len(identity)} bytes")
        _set = object.__setattr__
        _set(self, "parts", MappingProxyType(checked))
        _set(self, "attempt", _checked_number(attempt, "attempt", least=1))
        _set(self, "relaunch", _checked_number(relaunch, "relaunch", least=0))
        _set(self, "identity", identity)
        _set(self, "_hash", hash((identity, attempt, relaunch)))

    @classmethod
    def of(cls, value: KeyLike) -> WorkloadKey:
        """Return a key as it is, or the key that a mapping describes.

        Args:
            value: A key; its parts (attempt 1); or ``{"parts": {…}, "attempt": 2}``, the form in files.

        Raises:
            SpecError: It is neither, or its parts are not a key's.
        """
        if isinstance(value, WorkloadKey):
            return value
        if not isinstance(value, Mapping):
            problem = "must be a WorkloadKey or a mapping of names to text"
            raise SpecError(problem, field="WorkloadKey", value=repr(value)[:80])
        parts = value.get("parts")
        if isinstance(parts, Mapping):
            return cls(parts, **_numbers_beside(value))
        return cls(value)

    def next_attempt(self) -> WorkloadKey:
        """Return the key of the same workload's next attempt."""
        return WorkloadKey(self.parts, self.attempt + 1)

    def next_relaunch(self) -> WorkloadKey:
        """Return the key of the same attempt's next launch."""
        return WorkloadKey(self.parts, self.attempt, relaunch=self.relaunch + 1)

    def first_launch(self) -> WorkloadKey:
        """Return the key of the same attempt's first launch, by which a scheduler knows the attempt."""
        return self if not self.relaunch else WorkloadKey(self.parts, self.attempt)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, WorkloadKey):
            return NotImplemented
        ours = (self.identity, self.attempt, self.relaunch)
        return ours == (other.identity, other.attempt, other.relaunch)

    def __hash__(self) -> int:
        return self._hash

    def __str__(self) -> str:
        launch = f".{self.relaunch}" if self.relaunch else ""
        return " ".join(
            [*(f"{name}={value}" for name, value in self.parts.items()), f"#{self.attempt}{launch}"]
        )

    def __repr__(self) -> str:
        launch = f", relaunch={self.relaunch}" if self.relaunch else ""
        return f"WorkloadKey({dict(self.parts)!r}, attempt={self.attempt}{launch})"

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a WorkloadKey is immutable: {name} cannot be set")

    def __delattr__(self, name: str) -> NoReturn:
        raise AttributeError(f"a WorkloadKey is immutable: {name} cannot be deleted")

    def __reduce__(self) -> tuple[Any, ...]:
        return WorkloadKey.of, (_as_dict(self),)

    def __copy__(self) -> WorkloadKey:
        return self

    def __deepcopy__(self, memo: object) -> WorkloadKey:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        as_dict = core_schema.plain_serializer_function_ser_schema(_as_dict)
        return core_schema.no_info_plain_validator_function(cls.of, serialization=as_dict)


KeyLike: TypeAlias = WorkloadKey | Mapping[str, str | int] | Mapping[str, Any]
"""A key, its parts, or ``{"parts": {…}, "attempt": 2}``."""


def _as_dict(key: WorkloadKey) -> dict[str, Any]:
    launch = {"relaunch": key.relaunch} if key.relaunch else {}
    return {"parts": dict(key.parts), "attempt": key.attempt, **launch}


def _numbers_beside(value: Mapping[str, Any]) -> dict[str, Any]:
    for name in value:
        if name not in {"parts", "attempt", "relaunch"}:
            problem = "a key has parts, attempt and relaunch, nothing else"
            raise SpecError(problem, field=f"WorkloadKey.{name}", value=shown_at(name, value[name]))
    return {name: value[name] for name in value if name != "parts"}


def _checked_parts(parts: Any) -> dict[str, str]:
    if not isinstance(parts, Mapping) or not parts:
        raise SpecError("needs at least one part", field="WorkloadKey.parts", value=repr(parts)[:80])
    return dict(_checked_texts(parts))


def _checked_texts(parts: Mapping[str, str | int]) -> Iterator[tuple[str, str]]:
    for name, given in parts.items():
        value = str(given) if isinstance(given, int) and not isinstance(given, bool) else given
        if not _is_ascii(name) or not _is_ascii(value):
            for text in (name, value):
                _check_text(text, field=f"WorkloadKey.parts[{name!r}]")
        yield str(name), str(value)


def _is_ascii(text: Any) -> bool:
    return isinstance(text, str) and text.isascii()


def _check_text(text: Any, *, field: str) -> None:
    if not isinstance(text, str):
        raise SpecError("must be text or a whole number", field=field, value=repr(text)[:80])
    try:
        text.encode()
    except UnicodeEncodeError:
        problem = "holds half a surrogate pair, which UTF-8 cannot write"
        raise SpecError(problem, field=field, value=ascii(text)[:80]) from None


def _checked_number(number: Any, name: str, *, least: int) -> int:
    if isinstance(number, int) and not isinstance(number, bool) and number >= least:
        return number
    problem = f"must be a whole number from {least}"
    raise SpecError(problem, field=f"WorkloadKey.{name}", value=repr(number)[:80])

"""The base class of checked values, which turns pydantic's errors into :class:`~podrunner.errors.SpecError`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from podrunner.errors import SpecError
from podrunner.redaction import looks_secret, shown_value, veiled
from podrunner.spelling import did_you_mean
from podrunner.wrong_values import MISSING, wrong_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["CheckedModel", "unknown_name"]


class CheckedModel(BaseModel):
    """A frozen model that accepts no unknown field; its errors are :class:`~podrunner.errors.SpecError`."""

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True
    )

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _spec_error(type(self), error) from None

    # Without this mark pydantic would call the method above for a model inside another too, and the error
    # would lose the path that leads to it.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Give what ``repr`` shows: variables of the name of a credential and URLs' credentials are hidden."""
        return [(name, veiled(value, name or "")) for name, value in super().__repr_args__()]


def _spec_error(model: type[BaseModel], error: ValidationError) -> SpecError:
    details = error.errors(include_url=False)
    first = details[0]
    if first["type"] == "extra_forbidden":
        *place, name = first["loc"]
        return unknown_name(str(name), _fields_at(model, place), place=_path(model, place))
    given = first["input"] is not None
    problem = wrong_value(first["type"], first.get("ctx", {}), first["msg"], is_given=given)
    more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
    secret = any(isinstance(part, str) and looks_secret(part) for part in first["loc"])
    value = None if first["type"] in MISSING or secret or not given else shown_value(first["input"])
    return SpecError(problem + more, field=_path(model, first["loc"]), value=value)


def _fields_at(model: type[BaseModel], location: Sequence[int | str]) -> list[str]:
    """Return the names of the fields of the model that ``location`` leads to."""
    for part in location:
        annotation = model.model_fields[str(part)].annotation
        inner = [member for member in (annotation, *get_args(annotation)) if _is_model(member)]
        model = inner[0]
    return list(model.model_fields)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _path(model: type[BaseModel], location: Sequence[int | str]) -> str:
    path = model.__name__
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


def unknown_name(name: str, known: Iterable[str], *, place: str) -> SpecError:
    """Return the error for an unknown field at ``place``, with a suggestion if a known name is near.

    Its value is not shown: it may be a credential under a misspelt name.
    """
    suggestion = did_you_mean(name, known)
    hint = f"; {suggestion[0].lower()}{suggestion[1:]}" if suggestion else ""
    return SpecError(f"there is no such field{hint}", field=f"{place}.{name}")

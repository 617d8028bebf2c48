"""The base class of all settings: frozen, closed to unknown keys, with podrunner's errors instead of pydantic's.

What belongs here: the base class, and turning a ``ValidationError`` into one :class:`~podrunner.errors.ConfigError`
that names the key, the value (unless it may be a secret) and the remedy. Single settings do not belong here.
"""

from __future__ import annotations

import types
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self, TypeVar, Union, cast, get_args, get_origin

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, ValidationError

from podrunner.errors import ConfigError
from podrunner.redaction import HIDDEN, looks_secret, shown_value, veiled
from podrunner.spelling import did_you_mean
from podrunner.wrong_values import MISSING, wrong_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from pydantic_core import ErrorDetails

__all__ = ["REDACTED", "Secret", "Settings", "SettingsT", "at_defaults", "models_in"]

REDACTED = "**********"
"""The text shown in place of a credential."""


def _not_redacted(value: SecretStr) -> SecretStr:
    if value.get_secret_value() == REDACTED:
        raise ValueError("this configuration was written without its secrets; Fill them in")
    return value


Secret = Annotated[SecretStr, AfterValidator(_not_redacted)]
"""A credential: its value is never shown, and a redacted one is refused."""


class Settings(BaseModel):
    """Base class of podrunner's settings: immutable, complete, and strict about names.

    The constructor raises :class:`~podrunner.errors.ConfigError` for every wrong argument.
    """

    model_config: ClassVar[ConfigDict] = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False, defer_build=True
    )

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise config_error(type(self), error, source=f"{type(self).__name__}(...)") from None

    # Without this mark pydantic would call the method above for nested settings too, and their errors would
    # lose the path that leads to them (pydantic's `custom_init`).
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any], *, source: str | None = None) -> Self:
        """Build the settings from plain data, as a parsed file gives it.

        Args:
            values: Setting name to value; nested settings are mappings.
            source: The source that errors name: a file's path, ``environment``; None names the class.

        Raises:
            ConfigError: A key is unknown, or a value is not what it must be.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            raise config_error(cls, error, source=source or cls.__name__) from None

    def __repr_args__(self) -> Iterable[tuple[str | None, Any]]:
        """Give what ``repr`` shows: variables of the name of a credential and URLs' credentials are hidden."""
        return [(name, veiled(value, name or "")) for name, value in super().__repr_args__()]

    def with_changes(self, **changes: Any) -> Self:
        """Return these settings with some replaced, validated as a whole.

        Settings that were never given are derived anew: ``RunnerConfig().with_changes(cluster="local")`` is
        ``RunnerConfig(cluster="local")``.

        Raises:
            ConfigError: As the constructor.
        """
        given = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self)(**given | changes)


SettingsT = TypeVar("SettingsT", bound=Settings)


def at_defaults(settings: type[SettingsT]) -> SettingsT:
    """Return settings of which none is given, for the default of another setting.

    Nothing is checked, so that importing the settings builds no validator: that takes longer than all else of it.
    """
    return cast("SettingsT", settings.model_construct())


def config_error(model: type[BaseModel], error: ValidationError, *, source: str | None) -> ConfigError:
    """Return pydantic's error as one ConfigError: the first problem in full, and the keys of the others."""
    first, *others = error.errors(include_url=False)
    path, known = _resolve(model, first["loc"])
    problem, remedy = _words(first, known)
    also = ", ".join(
        each
        for each in dict.fromkeys(_resolve(model, other["loc"])[0] or "the whole" for other in others)
        if each != path
    )
    return ConfigError(
        f"{problem} (also wrong: {also})" if also else problem,
        source=source,
        key=path or None,
        value=_shown_input(first),
        remedy=remedy,
    )


def _resolve(model: type[BaseModel], location: tuple[int | str, ...]) -> tuple[str, list[str]]:
    """Return a location in dotted form (``tolerations[0].key``), and the names of the settings known there.

    The member chosen in a union (``git``, ``tuple[str, ...]``) and the mark of a mapping's key, which pydantic puts
    into a location, are left out.
    """
    path, known = "", [model]
    for part in location:
        chosen = [member for member in known if _kind(member) == part]
        if chosen and len(known) > 1:
            known = chosen
        elif part != "[key]" and not _is_member(part):
            path += f"[{part}]" if isinstance(part, int) else f".{part}"
            known = [found for member in known for found in _models_below(_annotation(member, part))] or known
    return path.removeprefix("."), [name for member in known for name in member.model_fields]


def _is_member(part: int | str) -> bool:
    """Whether it is pydantic's name of a member of a union, and no setting."""
    return isinstance(part, str) and part.startswith(("literal[", "tuple["))


def _kind(model: type[BaseModel]) -> object:
    return model.model_fields["kind"].default if "kind" in model.model_fields else None


def _annotation(model: type[BaseModel], part: int | str) -> Any:
    return model.model_fields[part].annotation if part in model.model_fields else None


def _words(detail: ErrorDetails, known: Iterable[str]) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        return "unknown setting", did_you_mean(str(detail["loc"][-1]), known)
    said = wrong_value(kind, context, detail["msg"], is_given=detail["input"] is not None)
    if kind in MISSING:
        return said, "Give it a value"
    if kind == "literal_error":
        problem = "has no value" if detail["input"] is None else "is not one of the choices"
        return problem, f"Use {context['expected']}"
    if kind == "union_tag_invalid":
        return "is not one of the choices", f"Use {context['expected_tags']} as {context['discriminator']}"
    if kind == "value_error":
        problem, _, remedy = said.partition("; ")
        return problem, remedy or None
    return said, None


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the nested settings that an annotation allows: itself, or the members of its union."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, types.UnionType}:
        return [found for part in get_args(annotation) for found in models_in(part)]
    return []


def _models_below(annotation: Any) -> list[type[BaseModel]]:
    """Return the nested settings that an annotation leads to: those in it, or in a list of them."""
    if get_origin(annotation) is tuple:
        return [found for part in get_args(annotation) for found in models_in(part)]
    return models_in(annotation)


def _shown_input(detail: ErrorDetails) -> str | None:
    """Return the value for the error; None where there is none to show, or where the name is unknown.

    What belongs to an unknown name is not known: it may be a credential under a misspelt name.
    """
    if detail["type"] in {*MISSING, "union_tag_not_found", "extra_forbidden"}:
        return None
    value = detail["input"]
    if value is None:
        return None
    if any(isinstance(part, str) and looks_secret(part) for part in detail["loc"]):
        return HIDDEN
    return None if isinstance(value, BaseModel) else shown_value(value)

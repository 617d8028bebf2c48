"""What is wrong with a value, in podrunner's words: a sentence for each kind of error that pydantic finds.

What belongs here: the table, over plain values. Where a value stands, and whether it may be shown, does not.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

__all__ = ["KINDS", "MISSING", "wrong_value"]

MISSING: Final = frozenset(
    {"missing", "missing_argument", "missing_positional_argument", "missing_keyword_only_argument"}
)
"""Kinds of errors for what is not given; of a class that checks its arguments, they are pydantic's up to 2.11."""

_Context = Mapping[str, Any]


def _always(sentence: str) -> Callable[[_Context], str]:
    return lambda _: sentence


def _with(template: str) -> Callable[[_Context], str]:
    return template.format_map


def _limit(name: str, template: str) -> Callable[[_Context], str]:
    def sentence(context: _Context) -> str:
        limit = context[name]
        return template.format(int(limit) if isinstance(limit, float) and limit.is_integer() else limit)

    return sentence


def _counted(limit: str, template: str, one: str, several: str) -> Callable[[_Context], str]:
    def sentence(context: _Context) -> str:
        number = context[limit]
        return template.format(f"{number} {one if number == 1 else several}")

    return sentence


def _shortest(context: _Context) -> str:
    if context["min_length"] == 1:
        return "must not be empty"
    return _counted("min_length", "must have at least {}", "character", "characters")(context)


def _fewest(context: _Context) -> str:
    if context["min_length"] == 1:
        return "must not be empty"
    return _counted("min_length", "must have at least {}", "entry", "entries")(context)


def _own(context: _Context) -> str:
    return str(context["error"])


_TEXT, _LIST, _MAPPING = "must be text", "must be a list", "must be a mapping"
_WHOLE, _NUMBER, _SWITCH = "must be a whole number", "must be a number", "must be true or false"

KINDS: Final[Mapping[str, Callable[[_Context], str]]] = {
    **dict.fromkeys(MISSING, _always("is missing")),
    "extra_forbidden": _always("there is no such field"),
    "value_error": _own,
    "assertion_error": _own,
    "string_type": _always(_TEXT),
    "string_unicode": _always("must be text in UTF-8"),
    "string_too_short": _shortest,
    "string_too_long": _counted("max_length", "must have at most {}", "character", "characters"),
    "string_pattern_mismatch": _with("must match {pattern}"),
    "int_type": _always(_WHOLE),
    "int_parsing": _always(_WHOLE),
    "int_from_float": _always(_WHOLE),
    "int_parsing_size": _always("is too large a number"),
    "float_type": _always(_NUMBER),
    "float_parsing": _always(_NUMBER),
    "finite_number": _always("must be a finite number"),
    "bool_type": _always(_SWITCH),
    "bool_parsing": _always(_SWITCH),
    "greater_than": _limit("gt", "must be greater than {}"),
    "greater_than_equal": _limit("ge", "must be at least {}"),
    "less_than": _limit("lt", "must be less than {}"),
    "less_than_equal": _limit("le", "must be at most {}"),
    "literal_error": _with("must be {expected}"),
    "enum": _with("must be {expected}"),
    "tuple_type": _always(_LIST),
    "list_type": _always(_LIST),
    "iteration_error": _always(_LIST),
    "too_short": _fewest,
    "too_long": _counted("max_length", "must have at most {}", "entry", "entries"),
    "dict_type": _always(_MAPPING),
    "mapping_type": _always(_MAPPING),
    "model_type": _always(_MAPPING),
    "model_attributes_type": _always(_MAPPING),
    "named_tuple_type": _always("must be a list or a mapping"),
    "arguments_type": _always("must be a list or a mapping"),
    "invalid_key": _always("must have names that are text"),
    "path_type": _always("must be a path"),
    "is_instance_of": _with("must be a {class}"),
    "unexpected_positional_argument": _always("has too many entries"),
    "unexpected_keyword_argument": _always("there is no such field"),
    "multiple_argument_values": _always("is given twice"),
    "union_tag_not_found": _with("must name its {discriminator}"),
    "union_tag_invalid": _with("must have one of {expected_tags} as {discriminator}"),
    "recursion_loop": _always("must not contain itself"),
}
"""A sentence for each kind, made of pydantic's facts about it."""


def wrong_value(kind: str, context: _Context, message: str, *, is_given: bool = True) -> str:
    """Return what is wrong with a value, to be read after its name: ``must be a whole number``.

    Args:
        kind: The kind of the error, as pydantic names it.
        context: Its facts: limits, choices, or the ``ValueError`` of a check of podrunner's own.
        message: pydantic's sentence, for a kind that a later version of it adds.
        is_given: False: there is no value (null, None) where there must be one.
    """
    said = KINDS[kind](context) if kind in KINDS else f"is not valid: {message[:1].lower()}{message[1:]}"
    return said if is_given or kind in {*MISSING, "value_error"} else f"has no value: it {said}"

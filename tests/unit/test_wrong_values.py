"""What is wrong with a value is said in podrunner's words, for each kind of error that its models can raise."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from typing import Any

import pytest
from podrunner.config import RunnerConfig
from podrunner.config.frozen import Settings
from podrunner.errors import ConfigError, SpecError
from podrunner.workload import Resources, Workload
from podrunner.workload.validation import CheckedModel
from podrunner.wrong_values import KINDS, wrong_value
from pydantic import BaseModel

FACTS = {
    "error": ValueError("is odd"),
    "expected": "'a' or 'b'",
    "expected_tags": "'a', 'b'",
    "discriminator": "'kind'",
    "class": "Path",
    "pattern": "^a$",
    **dict.fromkeys(("min_length", "max_length", "ge", "gt", "le", "lt"), 2),
}
THEIR_WORDS = re.compile(
    r"\b(inputs?|should|valid|pars\w+|string|integer|dictionary|tuple|instance|boolean|items?)\b"
)
OF_SCHEMAS: dict[str, AbstractSet[str]] = {
    "str": {"string_type", "string_unicode"},
    "int": {"int_type", "int_parsing", "int_from_float", "int_parsing_size"},
    "float": {"float_type", "float_parsing", "finite_number"},
    "bool": {"bool_type", "bool_parsing"},
    "literal": {"literal_error"},
    "tuple": {"tuple_type", "iteration_error"},
    "dict": {"dict_type", "mapping_type"},
    "model": {"model_type", "model_attributes_type"},
    "model-fields": {"missing", "extra_forbidden", "invalid_key", "model_type"},
    "named-tuple": {"named_tuple_type", "missing", "extra_forbidden", "too_long", "too_short"},
    # A named tuple of pydantic up to 2.11.
    "call": frozenset(),
    "arguments": {
        *("arguments_type", "missing_argument", "unexpected_positional_argument"),
        *("unexpected_keyword_argument", "multiple_argument_values"),
    },
    "is-instance": {"is_instance_of", "path_type"},
    "tagged-union": {"union_tag_not_found", "union_tag_invalid"},
    "function-after": {"value_error"},
    "function-before": {"value_error"},
    "function-plain": {"value_error"},
    **dict.fromkeys(
        (
            *("any", "default", "definition-ref", "definitions", "json-or-python", "lax-or-strict", "union"),
            *("model-field", "named-tuple-field", "no-info", "nullable", "with-info"),
        ),
        frozenset(),
    ),
}
"""The kinds of errors of each part of pydantic's schemas."""
OF_LIMITS = {
    ("str", "min_length"): "string_too_short",
    ("str", "max_length"): "string_too_long",
    ("str", "pattern"): "string_pattern_mismatch",
    ("tuple", "min_length"): "too_short",
    ("tuple", "max_length"): "too_long",
    **{
        (kind, limit): error
        for kind in ("int", "float")
        for limit, error in {
            "ge": "greater_than_equal",
            "gt": "greater_than",
            "le": "less_than_equal",
            "lt": "less_than",
        }.items()
    },
}


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in base.__subclasses__():
        if model.__module__.startswith("podrunner."):
            yield model
            yield from _models(model)


def _parts(schema: Any) -> Iterator[dict[str, Any]]:
    if isinstance(schema, dict):
        if isinstance(schema.get("type"), str):
            yield schema
        for name, inner in schema.items():
            if name not in {"metadata", "serialization"}:
                yield from _parts(inner)
    elif isinstance(schema, list | tuple):
        for inner in schema:
            yield from _parts(inner)


def _raised() -> set[str]:
    found: set[str] = set()
    for model in [*_models(Settings), *_models(CheckedModel)]:
        model.model_rebuild()
        for part in _parts(model.__pydantic_core_schema__):
            found |= OF_SCHEMAS[part["type"]]
            found |= {OF_LIMITS[part["type"], name] for name in part if (part["type"], name) in OF_LIMITS}
    return found


def test_each_kind_that_the_models_can_raise_has_a_sentence_of_ours() -> None:
    raised = _raised()
    assert {"string_too_short", "less_than_equal", "union_tag_invalid", "missing"} <= raised
    assert raised <= set(KINDS)
    for kind in KINDS:
        said = wrong_value(kind, FACTS, "Input should be valid")
        assert not THEIR_WORDS.search(said), kind
        assert said[0].islower()
        assert "{" not in said


def test_a_kind_of_a_later_version_of_pydantic_brings_its_sentence() -> None:
    assert wrong_value("colour_parsing", {}, "Colour unknown") == "is not valid: colour unknown"


@pytest.mark.parametrize(
    ("kind", "facts", "sentence"),
    [
        ("string_too_short", {"min_length": 1}, "must not be empty"),
        ("string_too_short", {"min_length": 2}, "must have at least 2 characters"),
        ("string_too_long", {"max_length": 1}, "must have at most 1 character"),
        ("too_short", {"min_length": 1}, "must not be empty"),
        ("too_long", {"max_length": 255}, "must have at most 255 entries"),
        ("greater_than_equal", {"ge": 0.0}, "must be at least 0"),
        ("less_than_equal", {"le": 0.5}, "must be at most 0.5"),
    ],
)
def test_limits_are_said_as_numbers(kind, facts, sentence) -> None:
    assert wrong_value(kind, facts, "") == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"image": ""}, "image: must not be empty (value: '')"),
        ({"namespace": None}, "namespace: has no value: it must be text"),
        ({"cluster": None}, "cluster: has no value. Use 'auto', 'local', 'in-cluster' or 'kubeconfig'"),
        ({"watch": None}, "watch: has no value: it must be a mapping"),
        ({"delete_pods": "maybe"}, "delete_pods: must be true or false (value: 'maybe')"),
        ({"credentials": {"a": None}}, "credentials.a: has no value: it must be text"),
        (
            {"logs": {"containers": 3}},
            "logs.containers: is not one of the choices (value: 3). Use 'main' or 'all'",
        ),
        ({"failure_policy": [{"name": "a"}]}, "failure_policy[0].action: is missing. Give it a value"),
    ],
)
def test_a_configurations_error_has_the_sentence(values, sentence) -> None:
    with pytest.raises(ConfigError) as raised:
        RunnerConfig(**values)
    assert str(raised.value) == f"RunnerConfig(...): {sentence}"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({}, "Workload.key: is missing"),
        ({"key": None}, "WorkloadKey: must be a WorkloadKey or a mapping of names to text"),
        ({"key": {"a": "b"}, "image": ""}, "Workload.image: must not be empty (value: '')"),
        ({"key": {"a": "b"}, "command": [None]}, "Workload.command[0]: has no value: it must be text"),
        (
            {"key": {"a": "b"}, "active_deadline_s": "x"},
            "Workload.active_deadline_s: must be a whole number (value: 'x')",
        ),
    ],
)
def test_a_workloads_error_has_the_sentence(values, sentence) -> None:
    with pytest.raises(SpecError) as raised:
        Workload(**values)
    assert str(raised.value) == sentence


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"key": {"a": None}}, "WorkloadKey.parts['a']: must be text or a whole number"),
        (
            {"key": {"parts": {"a": "b"}, "attempt": None}},
            "WorkloadKey.attempt: must be a whole number from 1",
        ),
        ({"key": {"a": "b"}, "command": "None"}, "Workload.command: must be a list of words, as "),
    ],
)
def test_no_error_shows_a_value_that_is_not_there(values, sentence) -> None:
    with pytest.raises(SpecError) as raised:
        Workload(**values)
    said = str(raised.value)
    assert said.startswith(sentence)
    assert "(value: None)" not in said
    assert ("(value: 'None')" in said) == ("None" in values.values())


def test_a_check_of_our_own_keeps_its_words() -> None:
    with pytest.raises(SpecError, match=r"Resources\.cpu_request: ") as raised:
        Resources(cpu_request="much")
    assert "quantity" in str(raised.value)

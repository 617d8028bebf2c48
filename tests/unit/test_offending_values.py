"""Errors about a workload, a template or a patch show the value that is wrong, and no credential."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from podrunner.builder import build_pod
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError, SpecError
from podrunner.merge.json_patch import json_patch
from podrunner.redaction import shown_at
from podrunner.workload import Workload


def built(**fields: Any) -> Callable[[], object]:
    """Makes the pod of a workload with these fields."""
    return lambda: build_pod(RunnerConfig(image="i"), Workload(key={"n": "1"}, command=["true"], **fields))


def overridden(**spec: Any) -> Callable[[], object]:
    return built(overrides={"spec": spec})


def patched(*operations: Any) -> Callable[[], object]:
    return lambda: json_patch({"a": {"b": "text"}, "list": [1]}, operations)


WRONG: dict[str, tuple[Callable[[], object], str]] = {
    "a text for a list": (overridden(containers="none"), "'none'"),
    "a number for an element": (overridden(volumes=[7]), "7"),
    "an element whose name is none": (overridden(volumes=[{"name": 3}]), "3"),
    "a number for text": (built(overrides={"metadata": {"labels": {"a": 5}}}), "5"),
    "a text for an object": (built(overrides={"metadata": "none"}), "'none'"),
    "a list of names": (overridden(**{"$retainKeys": "name"}), "'name'"),
    "a deletion that is no list": (overridden(**{"$deleteFromPrimitiveList/tolerations": "x"}), "'x'"),
    "an order that is no list": (overridden(**{"$setElementOrder/volumes": 1}), "1"),
    "an unknown part of a key": (lambda: Workload(key={"parts": {"a": "b"}, "try": 3}), "3"),
    "an operation that is none": (patched("add"), "'add'"),
    "a pointer that is no text": (patched({"op": "remove", "path": 3}), "3"),
    "a member that is not there": (patched({"op": "remove", "path": "/a/c"}), "'c'"),
    "an inside of a text": (patched({"op": "remove", "path": "/a/b/c"}), "'text'"),
    "a place inside of a text": (patched({"op": "add", "path": "/a/b/c", "value": 1}), "'text'"),
    "a test that does not hold": (patched({"op": "test", "path": "/a/b", "value": 1}), "'text'"),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_value_is_in_the_field_and_in_the_words(case: str):
    make, value = WRONG[case]
    with pytest.raises(SpecError) as raised:
        make()
    assert raised.value.value == value
    assert f"(value: {value})" in str(raised.value)


@pytest.mark.parametrize(
    ("settings", "value"),
    [
        ({"tolerations": {"key": "x"}}, "a mapping"),
        ({"connections": 0}, "0"),
        ({"cluster": "moon"}, "'moon'"),
        ({"logs": {"follow": "never"}}, "'never'"),
        ({"retry": {"attempts": -1}}, "-1"),
    ],
)
def test_so_it_is_of_settings(settings: dict[str, Any], value: str):
    with pytest.raises(ConfigError) as raised:
        RunnerConfig(**settings)
    assert raised.value.value == value


@pytest.mark.parametrize("place", ["spec.password", "patch[0] /env/api_token", "spec.secrets.db_password[0]"])
def test_what_may_be_a_credential_is_hidden(place: str):
    assert shown_at(place, "hunter2") == "***"


@pytest.mark.parametrize("make", [Workload.from_dict, lambda given: RunnerConfig(**given)])
def test_under_an_unknown_name_nothing_is_shown(make: Callable[[Any], object]):
    """It may be a credential under a misspelt name."""
    with pytest.raises((SpecError, ConfigError)) as raised:
        make({"key": {"n": "1"}, "pasword": "hunter2"})
    assert "hunter2" not in str(raised.value)

"""Failure rules as settings: their forms and sources, and the rules that make no sense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from podrunner.config import FailureRule, OnExitCodes, RunnerConfig, as_toml, as_yaml
from podrunner.config.failure_policy import CategoryName, FaultName
from podrunner.errors import ConfigError
from podrunner.outcome import Category, Fault

TOML = """
[[failure_policy]]
name = "bad input"
action = "fail"
on_exit_codes = { container = "base", values = [42, 43] }

[[failure_policy]]
name = "disturbed"
action = "retry"
on_pod_conditions = [{ type = "DisruptionTarget" }]
on_categories = ["failed", "deleted-by-others"]
"""
RULES: list[dict[str, Any]] = [
    {"name": "bad input", "action": "fail", "on_exit_codes": {"container": "base", "values": [42, 43]}},
    {
        "name": "disturbed",
        "action": "retry",
        "on_pod_conditions": [{"type": "DisruptionTarget"}],
        "on_categories": ["failed", "deleted-by-others"],
    },
]


def test_toml_yaml_variables_and_python_mean_the_same(tmp_path: Path):
    wanted = RunnerConfig(failure_policy=RULES)
    (tmp_path / "a.toml").write_text(TOML)
    assert RunnerConfig.from_file(tmp_path / "a.toml", environ={}) == wanted
    assert RunnerConfig.from_environ(environ={"PODRUNNER_FAILURE_POLICY": json.dumps(RULES)}) == wanted
    for name, text in (("b.toml", as_toml(wanted)), ("b.yaml", as_yaml(wanted))):
        (tmp_path / name).write_text(text)
        assert RunnerConfig.from_file(tmp_path / name, environ={}) == wanted
    assert wanted.failure_policy[1].on_pod_conditions[0].status == "True"
    assert wanted.failure_policy[0].on_exit_codes == OnExitCodes(container="base", values=(42, 43))


def rule(**fields: Any) -> dict[str, Any]:
    return {"name": "r", "action": "retry", **fields}


@pytest.mark.parametrize(
    ("rules", "place", "words"),
    [
        ([rule()], "failure_policy[0]", "rule 'r' is about nothing"),
        ([rule(on_reasons=["x"])] * 2, "failure_policy", "two rules are called 'r'"),
        (
            [rule(on_exit_codes={"values": [1, 0]})],
            "failure_policy[0].on_exit_codes",
            "exit code 0 is no failure",
        ),
        ([rule(on_exit_codes={"values": []})], "failure_policy[0].on_exit_codes.values", "must not be empty"),
        ([rule(on_exit_codes={"values": [7, 7]})], "failure_policy[0].on_exit_codes", "7 is there twice"),
        ([rule(on_exit_codes={"values": [256]})], "failure_policy[0].on_exit_codes.values[0]", "255"),
        ([rule(action="ignore", on_reasons=["x"])], "failure_policy[0].action", "one of the choices"),
        ([rule(on_categories=["succeeded"])], "failure_policy[0].on_categories[0]", "one of the choices"),
        ([rule(on_faults=["caller"])], "failure_policy[0].on_faults[0]", "one of the choices"),
        ([rule(on_reason=["x"])], "failure_policy[0].on_reason", "Did you mean 'on_reasons'?"),
        (
            [rule(on_exit_codes={"values": [3], "operatr": "In"})],
            "failure_policy[0].on_exit_codes.operatr",
            "Did you mean 'operator'?",
        ),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_its_location(
    rules: list[dict[str, Any]], place: str, words: str
):
    with pytest.raises(ConfigError) as caught:
        RunnerConfig.from_environ(environ={"PODRUNNER_FAILURE_POLICY": json.dumps(rules)})
    text = str(caught.value)
    assert words in text
    assert place.removeprefix("failure_policy") in text
    with pytest.raises(ConfigError) as caught:
        RunnerConfig(failure_policy=rules)
    assert (caught.value.key or "").startswith(place)


def test_exit_code_0_in_not_in_is_harmless():
    """As in Kubernetes: a container that ended with 0 has not failed, so no rule applies to it."""
    assert OnExitCodes(operator="NotIn", values=(0, 1)).values == (0, 1)


def test_a_rule_may_be_about_every_failure():
    """The names in the settings are the values, except those of success and cancellation."""
    assert {*get_args(FaultName)} == {*Fault} - {Fault.CALLER}
    assert FailureRule(name="all", action="fail", on_faults=get_args(FaultName)).on_faults
    assert {*get_args(CategoryName)} == {*Category} - {Category.SUCCEEDED, Category.CANCELLED}
    assert FailureRule(name="all", action="fail", on_categories=get_args(CategoryName)).on_categories

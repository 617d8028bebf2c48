"""A written configuration is read back as the same configuration."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from podrunner.config import RunnerConfig
from podrunner.config.dump import as_data, as_toml, as_yaml
from podrunner.errors import ConfigError
from tests.unit.config.strategies import configs

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("configs")


@given(config=configs())
def test_toml(folder, config):
    path = folder / "config.toml"
    path.write_text(as_toml(config, reveal_secrets=True), encoding="utf-8")
    assert RunnerConfig.from_file(path, environ={}) == config


@settings(
    max_examples=settings().max_examples // 2
)  # PyYAML is slow, and slower still when hypothesis looks on
@given(config=configs(nulls=True))
def test_yaml(folder, config):
    path = folder / "config.yaml"
    path.write_text(as_yaml(config, reveal_secrets=True), encoding="utf-8")
    assert RunnerConfig.from_file(path, environ={}) == config


@given(config=configs(nulls=True))
def test_plain_data(config):
    assert RunnerConfig.from_mapping(as_data(config, reveal_secrets=True)) == config
    assert RunnerConfig.from_mapping(as_data(config, reveal_secrets=True, all_settings=True)) == config


@given(config=configs(nulls=True))
def test_pydantics_own_dump(config):
    assert RunnerConfig.model_validate(config.model_dump()) == config


@given(config=configs())
def test_an_unchanged_copy_is_equal(config):
    assert config.with_changes() == config


@pytest.mark.parametrize("write", [as_toml, as_yaml])
def test_an_empty_template_is_not_none(folder, write):
    """F1: an empty one is the whole pod of a worker, and none is Airflow 1.10's."""
    config = RunnerConfig(pod_template={}, airflow={})
    path = folder / f"empty.{write.__name__.removeprefix('as_')}"
    path.write_text(write(config), encoding="utf-8")
    assert RunnerConfig.from_file(path, environ={}).pod_template == {}


def test_defaults_are_left_out_unless_asked_for():
    assert as_data(RunnerConfig()) == {}
    everything = as_data(RunnerConfig(), all_settings=True)
    assert everything["watch"]["page_size"] == 500
    assert "kubeconfig" not in everything


def test_toml_cannot_hold_null():
    with pytest.raises(ConfigError, match=r"affinity\.a\.b: is null.*Write YAML"):
        as_toml(RunnerConfig(affinity={"a": {"b": None}}))


def test_the_examples_mean_what_they_seem_to_mean():
    toml = RunnerConfig.from_file(EXAMPLES / "podrunner.toml", environ={})
    assert RunnerConfig.from_file(EXAMPLES / "podrunner.yaml", environ={}) == toml
    assert toml.resources.memory_limit == "2Gi"

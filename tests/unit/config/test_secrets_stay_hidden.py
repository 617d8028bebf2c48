"""No credential in a representation, an error, or a written configuration."""

from __future__ import annotations

import pickle
import traceback

import pytest
from podrunner.config import RunnerConfig
from podrunner.config.dump import as_data, as_toml, as_yaml
from podrunner.errors import ConfigError

SECRET = "pa$$w0rd-hunter2"
GIT = {"kind": "git", "repo": "https://x/y", "mount_point": "/dags", "username": "u", "password": SECRET}
FULL = RunnerConfig(airflow={"sql_alchemy_conn": SECRET, "dags": GIT}, credentials={"TOKEN": SECRET})


@pytest.mark.parametrize("show", [repr, str, as_toml, as_yaml, as_data, lambda c: c.model_dump_json()])
def test_a_configuration_is_shown_without_its_secrets(show):
    assert SECRET not in str(show(FULL))


def test_secrets_are_written_only_when_asked_for():
    assert as_data(FULL, reveal_secrets=True)["credentials"] == {"TOKEN": SECRET}
    assert (
        as_yaml(FULL, reveal_secrets=True).count(SECRET)
        == as_toml(FULL, reveal_secrets=True).count(SECRET)
        == 3
    )


def test_a_masked_configuration_is_refused_when_it_is_read_back():
    with pytest.raises(ConfigError, match="written without its secrets"):
        RunnerConfig.from_mapping(as_data(FULL))


@pytest.mark.parametrize(
    "values",
    [
        {"airflow": {"sql_alchemy_conn": [SECRET]}},
        {"airflow": {"dags": GIT | {"password": [SECRET]}}},
        {"airflow": {"dags": GIT | {"nonsense": 1}}},
        {"airflow": {"dags": {k: v for k, v in GIT.items() if k != "repo"}}},
        {"airflow": {"dags": GIT | {"repo": f"https://u:{SECRET}@x/y"}}},
        {"env": {"A": [SECRET]}},
        {"credentials": {"A": [SECRET]}},
        {"logs": {"server_secret_key": [SECRET]}},
        {"image": f"https://u:{SECRET}@x/y", "cluster": SECRET[:0]},
    ],
)
def test_an_error_beside_a_secret_does_not_show_it(values):
    with pytest.raises(ConfigError) as caught:
        RunnerConfig(**values)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_a_line_that_cannot_be_parsed_is_not_quoted(load):
    with pytest.raises(ConfigError) as caught:
        load(f"[core]\nsql_alchemy_conn {SECRET}\n")
    assert SECRET not in str(caught.value)


def test_a_lone_percent_sign_does_not_show_the_value(load):
    with pytest.raises(ConfigError, match="%%") as caught:
        load(f"[kubernetes]\ndags_in_image = True\n[core]\nsql_alchemy_conn = {SECRET}%x\n")
    assert SECRET not in str(caught.value)


def test_loaded_secrets_do_not_show(load):
    loaded = load(
        f"[kubernetes]\ndags_in_image = True\n[core]\nsql_alchemy_conn = {SECRET.replace('$', 'S')}\n"
    )
    assert "hunter2" not in repr(loaded)
    assert loaded.config.airflow.sql_alchemy_conn.get_secret_value() == "paSSw0rd-hunter2"


def test_a_configuration_can_be_sent_to_another_process_with_its_secrets():
    copy = pickle.loads(pickle.dumps(FULL))
    assert copy == FULL

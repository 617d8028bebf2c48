"""A credential in a configuration or a workload shows nowhere, however the setting is misspelt or malformed."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner import RunnerConfig, Workload
from podrunner.builder import PodBuilder
from podrunner.cli.app import app
from podrunner.config.dump import as_toml, as_yaml
from podrunner.errors import ConfigError, SpecError
from tests.unit.secrets.showing import START, check, check_error, raised, secrets
from typer.testing import CliRunner

NAMES = st.sampled_from(
    [
        "pasword",
        "passwd",
        "sql_alchemy_con",
        "tokn",
        "secert",
        "api_key",
        "fernetkey",
        "x",
        "credential",
        "nonsense",
    ]
)
PARENTS = st.sampled_from(
    [(), ("airflow",), ("logs",), ("watch",), ("airflow", "dags"), ("credentails",), ("secrets",)]
)
IN_FOLDER = settings(max_examples=40)


def nested(parents: tuple[str, ...], values: dict[str, Any]) -> dict[str, Any]:
    for parent in reversed(parents):
        values = {parent: values}
    return values


@given(secrets, NAMES, PARENTS)
def test_the_value_of_an_unknown_setting_is_never_shown(secret: str, name: str, parents: tuple[str, ...]):
    """Whatever its name: it may be a credential under a misspelt one."""
    values = nested(parents, {name: secret})
    if parents == ("airflow", "dags"):
        values["airflow"]["dags"] |= {"kind": "git", "repo": "https://x/y", "mount_point": "/d"}
    with raised(ConfigError, secret):
        RunnerConfig(**values)
    with raised(ConfigError, secret):
        RunnerConfig.from_mapping(values)
    with raised(SpecError, secret):
        Workload(key={"a": "b"}, **{name: secret})


@given(secrets, st.sampled_from(["env", "credentials", "secret_env"]))
def test_a_variable_of_the_wrong_type_is_not_shown(secret: str, section: str):
    for value in ([secret], {"value": {secret: 1}}, {"a": [secret]}):
        with raised(ConfigError, secret):
            RunnerConfig(**{section: {"A": value}})
        with raised(SpecError, secret):
            Workload(key={"a": "b"}, **{section: {"A": value}})


@given(secrets)
def test_a_variable_without_a_value_of_its_own_is_not_shown(secret: str):
    with raised(ConfigError, secret):
        RunnerConfig.from_environ(environ={"PODRUNNER_CREDENTIALS": f'{{"A": "{secret}'})
    with raised(ConfigError, secret):
        RunnerConfig.from_environ(environ={"PODRUNNER_CREDENTAILS__A": secret})
    with raised(ConfigError, secret):
        RunnerConfig.from_environ(environ={"PODRUNNER_AIRFLOW__SQL_ALCHEMY_CON": secret})
    with raised(ConfigError, secret):
        RunnerConfig.from_environ(environ={"PODRUNNER_ENV": f'["{"A=" + secret}"'})


@IN_FOLDER
@given(secrets, st.sampled_from(["*", "&", "!", "%", "[", "{", "'", '"', "@", "`", "|x", "- "]))
def test_a_file_that_cannot_be_parsed_is_not_quoted(tmp_path_factory, secret: str, first: str):
    """A password may begin with what means something in YAML: an alias, an anchor, a tag."""
    folder = tmp_path_factory.mktemp("c")
    for name, text in (
        ("c.yaml", f"credentials:\n  A: {first}{secret}\n  B: [\n"),
        ("d.yaml", f"credentials:\n  A: {first}{secret}\nx: *unknown\n"),
        ("c.json", f'{{"credentials": {{"A": "{secret}'),
        ("c.toml", f'[credentials]\nA = "{secret}\n'),
    ):
        path = folder / name
        path.write_text(text)
        for read in (lambda path: RunnerConfig.from_file(path, environ={}), Workload.from_file):
            try:
                check(repr(read(path)), secret)
            except (ConfigError, SpecError) as error:
                check_error(error, secret)


@IN_FOLDER
@given(
    st.text(alphabet="abc019XYZ", min_size=4).map(lambda text: START + text),
    st.sampled_from(["sql_alchemy_con", "git_pasword", "git_sync_tokn", "nonsense"]),
    st.sampled_from(["core", "kubernetes", "kubernetes_secret", "kubernetes_environment_variable"]),
)
def test_an_airflow_cfg_is_reported_without_its_values(tmp_path_factory, secret: str, key: str, section: str):
    path = tmp_path_factory.mktemp("c") / "airflow.cfg"
    sections = {"core": {}, "kubernetes": {"dags_in_image": "True"}}
    sections.setdefault(section, {})[key] = secret
    lines = [
        f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in values.items())
        for name, values in sections.items()
    ]
    path.write_text("".join(lines))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        config = RunnerConfig.from_airflow_cfg(path, environ={})
    check(repr(config) + "".join(str(warning.message) for warning in caught), secret)
    try:
        RunnerConfig.from_airflow_cfg(path, environ={}, strict=True)
    except ConfigError as error:
        check_error(error, secret)
    path.write_text(path.read_text() + f"[kubernetes]\naffinity = {{{secret}\n")
    with raised(ConfigError, secret):
        RunnerConfig.from_airflow_cfg(path, environ={})


@pytest.mark.parametrize(
    "option", ["affinity", "tolerations", "kube_client_request_args", "delete_option_kwargs"]
)
def test_broken_json_of_an_option_is_not_quoted(tmp_path, option: str):
    secret = f"{START}hunter2"
    path = tmp_path / "airflow.cfg"
    path.write_text(f'[kubernetes]\ndags_in_image = True\n{option} = {{"password": "{secret}"\n')
    with raised(ConfigError, secret):
        RunnerConfig.from_airflow_cfg(path, environ={})


@given(secrets)
def test_a_configuration_is_shown_without_credentials(secret: str):
    """Variables of the name of a credential, and users in URLs, also where plain text is allowed."""
    word = "".join(filter(str.isalnum, secret))
    config = RunnerConfig(
        image="x",
        credentials={"A": secret},
        env={"DB_PASWORD": secret, "PLAIN": "shown"},
        annotations={"proxy": f"http://u:{word}@host/x", "query": f"https://host/x?token={word}"},
        sidecars=({"name": "s", "env": [{"name": "API_TOKEN", "value": secret}]},),
        airflow={"sql_alchemy_conn": secret},
    )
    for text in (repr(config), str(config)):
        check(text, secret)
        assert "'PLAIN': 'shown'" in text
    check(as_toml(config.with_changes(env={}, sidecars=(), annotations={})), secret)
    check(as_yaml(config.with_changes(env={}, sidecars=(), annotations={})), secret)


@given(secrets)
def test_a_workload_is_shown_without_credentials(secret: str):
    workload = Workload(
        key={"a": "b"}, credentials={"A": secret}, env={"GIT_TOKEN": secret, "PLAIN": "shown"}
    )
    check(repr(workload), secret)
    assert "shown" in repr(workload)


@given(secrets)
def test_credentials_are_in_no_pod(secret: str):
    """They are in the pod's Secret, and in nothing else."""
    config = RunnerConfig(image="x", credentials={"A": secret}, airflow={"sql_alchemy_conn": secret})
    plan = PodBuilder(config, owner="o").build(Workload(key={"a": "b"}, credentials={"B": secret}))
    check(json.dumps(plan.manifest, ensure_ascii=False) + yaml.dump(plan.manifest) + repr(plan), secret)
    assert plan.secret is not None
    assert len(plan.secret["data"]) == 3


def test_a_repository_with_a_token_in_its_url_is_refused_without_it():
    secret = f"{START}hunter2"
    for repo in (f"https://u:{secret}@x/y", f"https://u:p@x/y?token={secret}"):
        dags = {"kind": "git", "repo": repo, "mount_point": "/d"}
        with raised(ConfigError, secret):
            RunnerConfig(airflow={"dags": dags})


def test_nothing_is_logged_of_a_refused_configuration(caplog):
    caplog.set_level(logging.DEBUG)
    secret = f"{START}hunter2"
    with raised(ConfigError, secret):
        RunnerConfig(pasword=secret)
    check(caplog.text, secret)


@pytest.mark.parametrize("arguments", [["config", "check"], ["render", "--workload"]])
def test_the_command_prints_no_credential(tmp_path, monkeypatch, arguments: list[str]):
    """Findings, manifests and errors: whether the file is usable or not."""
    secret = f"{START}hunter2"
    workload = tmp_path / "w.json"
    workload.write_text(
        json.dumps({"key": {"a": "b"}, "image": "x", "command": ["true"], "credentials": {"A": secret}})
    )
    tail = [str(workload), "--config"] if arguments[0] == "render" else []
    usable, broken = tmp_path / "airflow.cfg", tmp_path / "c.toml"
    usable.write_text(
        f"[core]\nsql_alchemy_con = {secret}\nsql_alchemy_conn = pg://u:{secret}@db/x\n"
        f"[kubernetes]\ndags_in_image = True\ngit_pasword = {secret}\nworker_container_repository = x\n"
        f"[kubernetes_environment_variables]\nDB_PASWORD = {secret}\n"
    )
    broken.write_text(f'pasword = "{secret}"\n')
    for path in (usable, broken):
        ended = CliRunner().invoke(app, [*arguments, *tail, str(path)])
        check(ended.output + str(ended.exception), secret)
        assert (ended.exit_code == 0) is (path == usable), ended.output

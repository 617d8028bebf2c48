"""The source of an Airflow option's value, and its expansion."""

from __future__ import annotations

import sys

import pytest
from podrunner.errors import ConfigError

MINIMAL = "[kubernetes]\ndags_in_image = True\n"
CONN = "AIRFLOW__CORE__SQL_ALCHEMY_CONN"


def connection(loaded):
    secret = loaded.config.airflow.sql_alchemy_conn
    return secret and secret.get_secret_value()


def test_a_variable_wins_over_the_file(load):
    assert load(MINIMAL + "namespace = a\n", {"AIRFLOW__KUBERNETES__NAMESPACE": "b"}).config.namespace == "b"


def test_an_empty_variable_empties_an_option(load):
    text = MINIMAL + "worker_service_account_name = a\n"
    environ = {"AIRFLOW__KUBERNETES__WORKER_SERVICE_ACCOUNT_NAME": ""}
    assert load(text, environ).config.service_account_name is None


def test_podrunners_variables_win_over_airflows(load):
    environ = {"AIRFLOW__KUBERNETES__NAMESPACE": "b", "PODRUNNER_NAMESPACE": "c"}
    assert load(MINIMAL, environ).config.namespace == "c"


def test_the_variable_of_the_newer_section_wins(load):
    environ = {"AIRFLOW__KUBERNETES__NAMESPACE": "b", "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "c"}
    assert load(MINIMAL, environ).config.namespace == "c"


def test_a_wrong_variable_is_named(load):
    with pytest.raises(
        ConfigError, match="environment: AIRFLOW__KUBERNETES__RUN_AS_USER: is not a whole number"
    ):
        load(MINIMAL, {"AIRFLOW__KUBERNETES__RUN_AS_USER": "root"})
    with pytest.raises(
        ConfigError, match="environment: AIRFLOW__KUBERNETES__NAMESPACE: not a valid namespace"
    ):
        load(MINIMAL, {"AIRFLOW__KUBERNETES__NAMESPACE": "A_B"})


def test_variables_reach_the_free_sections(load):
    environ = {
        "AIRFLOW__KUBERNETES_ENVIRONMENT_VARIABLES__AIRFLOW__CORE__Foo": "x",
        "AIRFLOW__KUBERNETES_SECRETS__AIRFLOW__CORE__SQL_ALCHEMY_CONN": "s=k",
        "AIRFLOW__KUBERNETES_LABELS__TEAM": "blue",
        "AIRFLOW__KUBERNETES_NODE_SELECTORS__diskType": "ssd",
        "AIRFLOW__KUBERNETES_LABELS__": "nothing",
    }
    config = load(MINIMAL, environ).config
    assert config.env == {"AIRFLOW__CORE__Foo": "x"}
    assert config.secret_env == {CONN: ("s", "k")}
    assert (config.labels, config.node_selector) == ({"team": "blue"}, {"diskType": "ssd"})


def test_options_are_found_in_any_case(load):
    assert load("[kubernetes]\nDAGS_IN_IMAGE = True\nNamespace = a\n").config.namespace == "a"


@pytest.mark.parametrize("section", ["core", "database"])
def test_the_connection_string_stands_in_either_section(load, section):
    assert connection(load(MINIMAL + f"[{section}]\nsql_alchemy_conn = sqlite://\n")) == "sqlite://"


def test_percent_signs_are_interpolated_as_airflow_does(load):
    text = MINIMAL + "[core]\nuser = u\nsql_alchemy_conn = db://%(user)s:p%%40q@h\n"
    assert connection(load(text)) == "db://u:p%40q@h"


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ("a%b", "lone percent"),
        ("%(nobody)s", r"refers to %\(nobody\)s"),
        ("%(sql_alchemy_conn)s", "refers to itself"),
    ],
)
def test_the_error_of_a_failed_interpolation_has_the_remedy(load, value, says):
    with pytest.raises(
        ConfigError, match=rf"\[core\] sql_alchemy_conn: .*{says}.* Write a percent sign as %%"
    ):
        load(MINIMAL + f"[core]\nsql_alchemy_conn = {value}\n")


def test_a_percent_sign_in_an_option_of_others_does_not_matter(load):
    load(MINIMAL + "[core]\nlog_format = %(asctime)s\n[webserver]\nx = %\n")


def test_the_default_section_is_seen_but_is_not_part_of_free_sections(load):
    text = "[DEFAULT]\nnamespace = common\nport = 80\n" + MINIMAL + "[kubernetes_labels]\na = b\n"
    loaded = load(text)
    assert (loaded.config.namespace, loaded.config.labels) == ("common", {"a": "b"})
    assert loaded.findings == ()


def test_variables_and_home_are_expanded_repeatedly(load):
    environ = {"CLAIM": "$PREFIX-dags", "PREFIX": "team", "HOME": "/h"}
    text = "[kubernetes]\ndags_volume_claim = ${CLAIM}\n[core]\ndags_folder = ~/dags/$UNKNOWN\n"
    airflow = load(text, environ).config.airflow
    assert airflow.dags.claim == "team-dags"
    assert airflow.dags_folder == "/h/dags/$UNKNOWN"


def test_expansion_that_never_ends_is_bounded(load):
    """Airflow hangs here."""
    with pytest.raises(ConfigError, match="not a valid object name"):
        load("[kubernetes]\ndags_volume_claim = $A\n", {"A": "$B", "B": "$A"})


def test_the_home_of_airflow_stands_in_braces(load):
    text = MINIMAL + "[core]\nairflow_home = /root/airflow\ndags_folder = {AIRFLOW_HOME}/my\n"
    airflow = load(text).config.airflow
    assert (airflow.home, airflow.dags_folder) == ("/root/airflow", "/root/airflow/my")
    assert airflow.base_log_folder == "/root/airflow/logs"


def test_other_braces_are_left_alone(load):
    assert load(MINIMAL + "[core]\ndags_folder = /d/{dag_id}\n").config.airflow.dags_folder == "/d/{dag_id}"


def test_the_home_is_under_the_users_by_default(load):
    assert load(MINIMAL).config.airflow.home == "/home/u/airflow"


def test_the_variable_of_the_home_wins_and_a_difference_is_a_warning(load):
    text = MINIMAL + "[core]\nairflow_home = /file\n"
    loaded = load(text, {"AIRFLOW_HOME": "~/variable"})
    assert loaded.config.airflow.home == "/home/u/variable"
    assert [finding.key for finding in loaded.warnings] == ["airflow_home"]
    assert load(text, {"AIRFLOW_HOME": "/file"}).findings == ()


def test_logs_are_collected_into_airflows_log_folder(load):
    config = load(MINIMAL + "[logging]\nbase_log_folder = /logs\n").config
    assert (str(config.logs.folder), config.airflow.base_log_folder) == ("/logs", "/logs")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("[core]\nsql_alchemy_conn_cmd = {}\n", {}),
        ("[database]\nsql_alchemy_conn_cmd = {}\n", {}),
        ("", {f"{CONN}_CMD": "{}"}),
        ("[core]\nsql_alchemy_conn = from-file\n", {f"{CONN}_CMD": "{}"}),
    ],
)
def test_a_command_gives_the_value_when_commands_are_allowed(load, text, environ):
    command = f"{sys.executable} -c \"print('db://h')\""
    given = {name: value.format(command) for name, value in environ.items()}
    loaded = load(MINIMAL + text.format(command), given, allow_commands=True)
    assert connection(loaded) == "db://h"


def test_a_command_is_refused_unless_allowed(load):
    with pytest.raises(ConfigError, match="allow_commands=True") as caught:
        load(MINIMAL + "[core]\nsql_alchemy_conn_cmd = rm -rf /\n")
    assert (caught.value.section, caught.value.key) == ("core", "sql_alchemy_conn_cmd")
    with pytest.raises(ConfigError, match=f"environment: {CONN}_CMD: .*allow_commands=True"):
        load(MINIMAL, {f"{CONN}_CMD": "true"})


def test_a_plain_value_is_enough_to_need_no_command(load):
    text = MINIMAL + "[core]\nsql_alchemy_conn = sqlite://\nsql_alchemy_conn_cmd = false\n"
    assert connection(load(text)) == "sqlite://"
    assert connection(load(text, {CONN: "plain", f"{CONN}_CMD": "false"})) == "plain"


@pytest.mark.parametrize(
    ("command", "says"),
    [
        ("sh -c 'echo secret; exit 3'", "failed with exit code 3"),
        ("/no/such/program", "cannot be run"),
        ("'unbalanced", "cannot be run"),
        ("", "cannot be run"),
    ],
)
def test_the_error_of_a_failed_command_does_not_show_its_output(load, command, says):
    with pytest.raises(ConfigError, match=says) as caught:
        load(MINIMAL, {f"{CONN}_CMD": command}, allow_commands=True)
    assert "secret" not in str(caught.value)


def test_a_command_that_hangs_is_ended(load, monkeypatch):
    monkeypatch.setattr("podrunner.config.airflow.sources._COMMAND_TIMEOUT_S", 0.05)
    with pytest.raises(ConfigError, match="did not end within"):
        load(MINIMAL, {f"{CONN}_CMD": "sleep 30"}, allow_commands=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", ["sh -c 'exec >&-; sleep 100'", "sh -c 'sleep 100 & echo x'"])
def test_a_command_without_an_end_is_ended(load, monkeypatch, command):
    monkeypatch.setattr("podrunner.config.airflow.sources._COMMAND_TIMEOUT_S", 2)
    with pytest.raises(ConfigError, match="did not end within"):
        load(MINIMAL, {f"{CONN}_CMD": command}, allow_commands=True)


@pytest.mark.parametrize(
    ("command", "says"),
    [("cat /dev/zero", "wrote more than 1024 KiB"), (r"printf '\377'", "is not UTF-8")],
)
def test_output_that_is_no_value_is_refused(load, command, says):
    with pytest.raises(ConfigError, match=says):
        load(MINIMAL, {f"{CONN}_CMD": command}, allow_commands=True)


@pytest.mark.parametrize(
    ("text", "environ"), [("[core]\nsql_alchemy_conn_secret = path\n", {}), ("", {f"{CONN}_SECRET": "path"})]
)
def test_a_secrets_backend_is_an_error_with_the_remedy(load, text, environ):
    with pytest.raises(ConfigError, match="Set sql_alchemy_conn itself, or sql_alchemy_conn_cmd"):
        load(MINIMAL + text, environ)


@pytest.mark.parametrize("form", ["secret", "cmd"])
@pytest.mark.parametrize("other", ["airflow_configmap = cm\n", f"[kubernetes_secrets]\n{CONN} = s=k\n"])
def test_a_connection_string_that_the_worker_finds_itself_needs_no_backend(load, other, form):
    """F1: and no command, which is not run although commands are allowed."""
    text = f"{MINIMAL}{other}[core]\nsql_alchemy_conn_{form} = /no/such/program\n"
    for allowed in (False, True):
        loaded = load(text, allow_commands=allowed)
        assert connection(loaded) is None
        assert [(finding.level, finding.key) for finding in loaded.findings] == [
            ("note", f"sql_alchemy_conn_{form}")
        ]


@pytest.mark.parametrize("form", ["secret", "cmd"])
@pytest.mark.parametrize("version", ["2.9.2", "3.0.2"])
def test_workers_of_later_versions_need_no_connection_string(load, form, version):
    """F1: the worker's own configuration has it, or none at all does."""
    variables = {f"{CONN}_{form.upper()}": "/no/such/program", "PODRUNNER_AIRFLOW__VERSION": version}
    for allowed in (False, True):
        assert (
            connection(load("[kubernetes_executor]\nnamespace = a\n", variables, allow_commands=allowed))
            is None
        )


def test_the_git_password_may_come_from_a_command_too(load):
    git = "[kubernetes]\ngit_repo = https://x/y\ngit_branch = m\ngit_dags_folder_mount_point = /dags\ngit_user = u\n"
    config = load(git + "git_password_cmd = echo p w\n", allow_commands=True).config
    assert config.airflow.dags.password.get_secret_value() == "p w"
    with pytest.raises(ConfigError, match="git_password_secret"):
        load(git + "git_password_secret = x\n")


def test_the_process_environment_is_read_by_default(write, monkeypatch):
    from podrunner.config.loading import load_airflow_cfg

    monkeypatch.setenv("AIRFLOW__KUBERNETES__NAMESPACE", "from-process")
    assert load_airflow_cfg(write(MINIMAL)).config.namespace == "from-process"

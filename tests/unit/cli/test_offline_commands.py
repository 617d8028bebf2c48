"""What works without a cluster: render, config check, and the refusal of what cannot be meant."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from podrunner import errors
from podrunner.cli.app import app
from podrunner.cli.failures import guarded
from typer.testing import CliRunner

ROOT = Path(__file__).parents[3]
CFG = str(ROOT / "examples" / "airflow.cfg")
WORKLOAD = str(ROOT / "examples" / "workload.json")


def run(*arguments: str):
    return CliRunner().invoke(app, list(arguments), catch_exceptions=True)


def test_render_prints_the_same_pod_as_json_and_yaml() -> None:
    as_json = run("render", "--config", CFG, "--workload", WORKLOAD, "-o", "json")
    as_yaml = run("render", "--config", CFG, "--workload", WORKLOAD, "-o", "yaml")
    assert as_json.exit_code == as_yaml.exit_code == 0
    pod = json.loads(as_json.stdout)
    assert pod == yaml.safe_load(as_yaml.stdout)
    assert pod["spec"]["containers"][0]["command"][:4] == ["airflow", "run", "sample_k8s", "test-task001"]


def test_render_can_say_which_setting_put_each_field_there() -> None:
    shown = run("render", "--config", CFG, "--workload", WORKLOAD, "--explain")
    assert shown.exit_code == 0
    rows = [line for line in shown.stdout.splitlines() if line.startswith("metadata.name ")]
    assert rows == [rows[0]]
    assert "workload.key" in rows[0]


def test_config_check_tells_what_is_odd_and_that_the_file_is_usable() -> None:
    shown = run("config", "check", CFG)
    assert shown.exit_code == 0
    assert "git_sync_path" in shown.stdout
    assert shown.stdout.endswith("usable, 2 warnings, 0 notes\n")


def test_config_check_strict_refuses_what_is_odd() -> None:
    with pytest.raises(errors.ConfigError, match="git_sync_path"):
        raise run("config", "check", "--strict", CFG).exception


def test_config_check_shows_the_settings_without_secrets(tmp_path: Path) -> None:
    file = tmp_path / "airflow.cfg"
    file.write_text(
        "[core]\nsql_alchemy_conn = postgresql://user:hunter2@db/x\n[kubernetes]\ndags_in_image = True\n"
        "worker_container_repository = r\nworker_container_tag = t\n"
    )
    shown = run("config", "check", "--show", str(file))
    assert shown.exit_code == 0
    assert json.loads(shown.stdout)["image"] == "r:t"
    assert "hunter2" not in shown.stdout


def test_config_check_runs_a_files_commands_only_when_allowed(tmp_path: Path) -> None:
    file = tmp_path / "airflow.cfg"
    file.write_text(
        "[core]\nsql_alchemy_conn_cmd = echo postgresql://db/x\n[kubernetes]\ndags_in_image = True\n"
        "worker_container_repository = r\nworker_container_tag = t\n"
    )
    assert isinstance(run("config", "check", str(file)).exception, errors.ConfigError)
    assert run("config", "check", "--allow-commands", str(file)).exit_code == 0


UNREADABLE = ["sql_alchemy_conn_cmd = false", "sql_alchemy_conn_secret = in/a/backend"]
POD = "[kubernetes]\ndags_in_image = True\nworker_container_repository = r\nworker_container_tag = t\n"


@pytest.mark.parametrize("line", ["", *UNREADABLE])
@pytest.mark.parametrize(
    "words",
    [
        ["render", "--workload", WORKLOAD],
        ["get"],
        ["delete", "x"],
        ["exec", "x", "--", "true"],
        ["logs", "x"],
        ["release"],
    ],
    ids=lambda words: words[0],
)
def test_a_command_that_makes_no_pod_needs_no_connection_string(tmp_path: Path, line, words) -> None:
    file, none = tmp_path / "airflow.cfg", tmp_path / "none"
    file.write_text(f"[core]\n{line}\n{POD}")
    place = [] if words[0] == "render" else ["--kubeconfig", str(none)]
    ended = run(words[0], "--config", str(file), *place, *words[1:])
    if words[0] == "render":
        assert (ended.exit_code, ended.exception) == (0, None)
        assert "UNREAD" not in ended.stdout
    else:
        assert str(ended.exception).startswith(f"{none}: no kubeconfig is there")


def test_a_worker_s_log_needs_no_connection_string(tmp_path: Path) -> None:
    file = tmp_path / "airflow.cfg"
    file.write_text(f"[core]\nsql_alchemy_conn_cmd = false\nbase_log_folder = {tmp_path}/logs\n{POD}")
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("here\n")
    ended = run("logs", "--config", str(file), "./a.log")
    assert "sql_alchemy_conn" not in str(ended.exception or "")


def test_a_pod_s_connection_string_is_the_output_of_a_command_that_is_allowed(tmp_path: Path) -> None:
    file = tmp_path / "airflow.cfg"
    file.write_text(f"[core]\nsql_alchemy_conn_cmd = echo postgresql://db/x\n{POD}")
    words = ["--config", str(file), "--kubeconfig", str(tmp_path / "none"), "--", "true"]
    assert "--allow-commands" in str(run("run", *words).exception)
    assert "no kubeconfig" in str(run("run", "--allow-commands", *words).exception)


@pytest.mark.parametrize("name", ["w.json", "w.yaml"])
def test_a_workload_file_of_an_editor_that_marks_utf_8(tmp_path: Path, name) -> None:
    file = tmp_path / name
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps({"key": {"a": "b"}, "image": "i"}).encode())
    assert run("render", "--workload", str(file)).exit_code == 0


@pytest.mark.parametrize(
    "words",
    [
        ["config", "check", "/dev/zero"],
        ["render", "--workload", "/dev/zero"],
        ["get", "--config", "/dev/zero"],
    ],
)
def test_a_file_without_end_is_refused(words) -> None:
    assert "larger than 16 MiB" in str(run(*words).exception)


def test_a_workload_file_in_utf_16_is_named(tmp_path: Path) -> None:
    file = tmp_path / "w.json"
    file.write_text("{}", encoding="utf-16")
    error = run("render", "--workload", str(file)).exception
    assert str(error) == f"{file}: cannot be read: it is not UTF-8 (at byte 0)"


@pytest.mark.parametrize("command", [["run", "--", "true"], ["demo"]])
def test_local_and_kubeconfig_exclude_each_other(command, tmp_path: Path) -> None:
    words = [command[0], "--local", "--kubeconfig", str(tmp_path / "k"), *command[1:]]
    error = run(*words).exception
    assert isinstance(error, errors.ConfigError)


def test_a_variable_needs_a_value() -> None:
    assert isinstance(run("run", "--local", "-e", "NAME", "--", "true").exception, errors.UsageError)


def test_the_version_is_printed() -> None:
    assert run("--version").stdout.startswith("podrunner 0.")


def test_a_missing_workload_file_is_named_by_the_program_itself(tmp_path: Path) -> None:
    """The real program: one line on standard error, exit code 65."""
    command = [sys.executable, "-c", "from podrunner.cli import main; main()"]
    missing = tmp_path / "none.json"
    end = subprocess.run(
        [*command, "render", "--workload", str(missing)], capture_output=True, text=True, check=False
    )
    assert (end.returncode, end.stdout) == (65, "")
    assert str(missing) in end.stderr
    assert len(end.stderr.splitlines()) == 1


@pytest.mark.parametrize("how", [[], ["--explain"]])
def test_render_names_each_mistake_in_a_template(tmp_path: Path, how: list[str], capsys) -> None:
    (tmp_path / "pod.yaml").write_text(
        "spec:\n  restartPolcy: Never\n  containers: [{name: base, env: [{name: PORT, value: 8080}]}]\n"
    )
    file = tmp_path / "podrunner.toml"
    file.write_text('image = "i"\npod_template = "pod.yaml"\n')
    with pytest.raises(SystemExit) as left:
        guarded(
            lambda: app(
                ["render", "--workload", WORKLOAD, "--config", str(file), *how], standalone_mode=False
            )
        )
    assert left.value.code == 65
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.splitlines() == [
        "podrunner: pod_template.spec.restartPolcy: there is no such field; did you mean 'restartPolicy'?",
        (
            "podrunner: pod_template.spec.containers[base].env[PORT].value: "
            "must be text, not a number; put it in quotes (value: 8080)"
        ),
    ]


def test_render_warns_of_what_only_a_newer_server_may_accept(tmp_path: Path) -> None:
    file = tmp_path / "workload.json"
    file.write_text(json.dumps({"key": {"a": "b"}, "image": "i", "overrides": {"spec": {"frobs": 1}}}))
    shown = run("render", "--workload", str(file))
    assert shown.exit_code == 0
    assert shown.stderr.startswith("warning: overrides.spec.frobs: is no field of PodSpec in Kubernetes")

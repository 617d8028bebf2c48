"""What ``run`` is asked for: options over a workload's file, and what is left to itself."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from podrunner.cli.asked import AskedWorkload
from podrunner.cli.detached import DETACHED, detached_settings, detached_workload, is_detached
from podrunner.cli.kept import Commands, detached_lines, kept_lines
from podrunner.cli.naming import PodIdentity
from podrunner.config import RunnerConfig
from podrunner.errors import SpecError, UsageError
from podrunner.workload import Resources, Workload
from tests.support.shown_pods import RUNNING, keyed


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "workload.json"
    document = {
        "key": {"dag_id": "etl", "task_id": "load"},
        "command": ["load"],
        "args": ["--all"],
        "image": "app:1",
        "env": {"A": "1", "B": "2"},
        "labels": {"team": "a"},
        "resources": {"cpu_request": "2", "memory_limit": "1Gi"},
        "volumes": [{"name": "data", "emptyDir": {}}],
        "volume_mounts": [{"name": "data", "mountPath": "/data"}],
    }
    path.write_text(json.dumps(document))
    return path


def test_a_file_alone_is_the_workload(file) -> None:
    assert AskedWorkload(file=file).workload() == Workload.from_file(file)


def test_options_win_over_the_file(file) -> None:
    asked = AskedWorkload(
        file=file,
        command=["sh"],
        image="app:2",
        env=["B=3", "C=x=y"],
        labels=["team=b"],
        volumes=["pvc:claim:/claim"],
        memory="512Mi",
        gpu=1,
    ).workload()
    assert (asked.key.parts["dag_id"], asked.command, asked.args, asked.image) == (
        "etl",
        ("sh",),
        (),
        "app:2",
    )
    assert asked.env == {"A": "1", "B": "3", "C": "x=y"}
    assert asked.labels == {"team": "b"}
    assert asked.resources == Resources(cpu_request="2", memory_request="512Mi", memory_limit="512Mi", gpu=1)
    assert [volume["name"] for volume in asked.volumes] == ["data", "volume-1"]
    assert [mount["mountPath"] for mount in asked.volume_mounts] == ["/data", "/claim"]


def test_a_command_has_a_key_of_its_own_each_time() -> None:
    first, second = (AskedWorkload(command=["true"]).workload() for _ in range(2))
    assert first.key != second.key
    assert AskedWorkload(command=["true"], name="x").workload().key.parts == {"run": "x"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "name a program"),
        ({"command": ["x"], "env": ["A"]}, "--env takes NAME=VALUE"),
        ({"command": ["x"], "labels": ["A"]}, "--label takes NAME=VALUE"),
        ({"command": ["x"], "volumes": ["a:b"]}, "--volume a:b"),
    ],
)
def test_what_cannot_be_run_is_refused(options, said) -> None:
    with pytest.raises(UsageError, match=said):
        AskedWorkload(**options).workload()


def test_a_name_and_a_file_are_two_identities(file) -> None:
    with pytest.raises(UsageError, match="keep one of them"):
        AskedWorkload(file=file, name="x").workload()


def test_a_quantity_that_is_none_is_refused() -> None:
    with pytest.raises(SpecError, match="quantity"):
        AskedWorkload(command=["x"], memory="lots").workload()


# Left to itself

DONE = Workload(key={"run": "x"}, command=["true"])


def test_a_detached_pod_is_of_a_scope_of_its_own_and_held_by_nothing() -> None:
    """No runner adopts it, so none ends it; and no finalizer waits for a runner that never comes."""
    settings = detached_settings(RunnerConfig(scope="mine", outcome_finalizer=True, run_timeout_s=5))
    assert (settings.scope, settings.outcome_finalizer, settings.run_timeout_s) == (DETACHED, False, None)
    assert is_detached(keyed(RUNNING, {"run": "x"}, scope=DETACHED))
    assert not is_detached(RUNNING)


def test_a_detached_pod_is_ended_by_its_kubelet() -> None:
    assert detached_workload(DONE, timeout_s=90.5).active_deadline_s == 91
    assert detached_workload(DONE, timeout_s=None) is DONE
    sooner = Workload(key={"run": "x"}, command=["true"], active_deadline_s=10)
    assert detached_workload(sooner, timeout_s=90).active_deadline_s == 10


def test_what_needs_a_runner_is_not_detached() -> None:
    with pytest.raises(UsageError, match="ends with the command"):
        detached_settings(RunnerConfig(cluster="local"))
    reads = Workload(key={"run": "x"}, command=["true"], result_path="/out/result.json")
    with pytest.raises(UsageError, match="needs a runner"):
        detached_workload(reads, timeout_s=None)


# What is left, and by which commands it is seen

FIRST = PodIdentity("etl-1", {"dag_id": "a b"}, 1)
SECOND = PodIdentity("etl-2", {"dag_id": "a b"}, 2)


def test_commands_can_be_copied_into_a_shell() -> None:
    commands = Commands(Path("/etc/my config.toml"), Path("kc"), "dev", "jobs")
    line = commands.line("describe", "a b#2")
    assert shlex.split(line) == [
        *("podrunner", "describe", "--config", "/etc/my config.toml", "--kubeconfig", "kc"),
        *("--context", "dev", "-n", "jobs", "a b#2"),
    ]


def test_what_is_kept_is_said_with_how_to_see_and_delete_it() -> None:
    assert kept_lines([], Commands()) == []
    assert kept_lines([FIRST], Commands()) == [
        "kept pod etl-1 (run --rm deletes also what fails)",
        "  see it:     podrunner describe 'a b'",
        "  its log:    podrunner logs 'a b'",
        "  delete it:  podrunner delete 'a b'",
    ]


def test_several_tries_are_named_by_their_attempt() -> None:
    lines = kept_lines([FIRST, SECOND], Commands())
    assert lines[0].startswith("kept 2 pods etl-1, etl-2")
    assert lines[-1] == "  delete it:  podrunner delete 'a b#1' 'a b#2'"


def test_a_detached_pod_without_a_limit_says_so() -> None:
    assert "--timeout limits" in detached_lines(FIRST, Commands(), has_limit=False)[0]
    assert "--timeout" not in detached_lines(FIRST, Commands(), has_limit=True)[0]

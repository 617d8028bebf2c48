"""Which logs are kept, on a cluster that runs processes: every container's in its file, and each mode's."""

from __future__ import annotations

import pytest
from podrunner import PodRunner, RunnerConfig, Workload

pytestmark = [pytest.mark.processes]


def kept_in(config: RunnerConfig, folder, **logs) -> RunnerConfig:
    settings = config.logs.model_copy(update={"folder": folder, **logs})
    return config.model_copy(update={"logs": settings})


def files(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def run(config: RunnerConfig, script: str = "echo main", **fields):
    workload = Workload(key={"test": "modes"}, command=["sh", "-c", script], log_path="t/1.log", **fields)
    with PodRunner(config) as runner:
        return runner.launch(workload).wait(30)


def test_every_containers_log_has_a_file_of_its_own(config: RunnerConfig, tmp_path):
    """G4: init container and sidecar too; off: `Collection._containers`."""
    say = {"image": config.image, "command": ["sh", "-c", "echo prepared"]}
    stay = {"image": config.image, "command": ["sh", "-c", "echo beside; exec sleep 100"]}
    here = kept_in(config, tmp_path, containers="all")
    outcome = run(
        here,
        "sleep 0.5; echo main",
        init_containers=[{"name": "prepare", **say}],
        sidecars=[{"name": "proxy", **stay}],
    )
    assert outcome.succeeded
    found = files(tmp_path)
    assert found["1.log"] == "main\n"
    assert found["1.prepare.log"] == "prepared\n"
    assert found["1.proxy.log"].startswith("beside\n")


@pytest.mark.parametrize(
    ("follow", "found"),
    [("all", {"1.log": "main\n"}), ("end", {"1.log": "main\n"}), ("on-demand", {}), ("off", {})],
)
def test_each_mode_leaves_its_files(config: RunnerConfig, tmp_path, follow, found):
    assert run(kept_in(config, tmp_path, follow=follow)).succeeded
    assert files(tmp_path) == found


def test_without_collecting_a_failed_pods_last_lines_are_in_its_outcome(config: RunnerConfig, tmp_path):
    here = kept_in(config, tmp_path, follow="off", tail_lines_on_failure=2)
    outcome = run(here.model_copy(update={"delete_pods_on_failure": True}), "echo 1; echo 2; echo 3; exit 4")
    assert (outcome.exit_code, outcome.log_tail, files(tmp_path)) == (4, ("2", "3"), {})

"""Which logs are kept, on a cluster that runs processes: every container's in its file, and each mode's."""

from __future__ import annotations

import pytest
from podrunner import PodRunner, RunnerConfig, Workload

pytestmark = [pytest.mark.processes]


@pytest.fixture
def folder(tmp_path):
    """Of its own: on a real cluster the kubeconfig lies in the test's."""
    return tmp_path / "logs"


def kept_in(config: RunnerConfig, folder, **logs) -> RunnerConfig:
    settings = config.logs.model_copy(update={"folder": folder, **logs})
    return config.model_copy(update={"logs": settings})


def files(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.rglob("*") if path.is_file()}


def run(config: RunnerConfig, script: str = "echo main", **fields):
    workload = Workload(key={"test": "modes"}, command=["sh", "-c", script], log_path="t/1.log", **fields)
    with PodRunner(config) as runner:
        return runner.launch(workload).wait(50)


def test_every_containers_log_has_a_file_of_its_own(config: RunnerConfig, folder):
    """G4: init container and sidecar too. The main container ends when the sidecar has said what it has to say."""
    beside = {"volumeMounts": [{"name": "shared", "mountPath": "/podrunner-test"}]}
    say = {"image": config.image, "command": ["sh", "-c", "echo prepared"]}
    stay = {
        "image": config.image,
        "command": ["sh", "-c", "echo beside; touch /podrunner-test/said; exec sleep 100"],
    }
    here = kept_in(config, folder, containers="all")
    outcome = run(
        here,
        "until [ -e /podrunner-test/said ]; do sleep 0.05; done; echo main",
        volumes=[{"name": "shared", "emptyDir": {}}],
        volume_mounts=beside["volumeMounts"],
        init_containers=[{"name": "prepare", **say}],
        sidecars=[{"name": "proxy", **stay, **beside}],
    )
    assert outcome.succeeded
    found = files(folder)
    assert found["1.log"] == "main\n"
    assert found["1.prepare.log"] == "prepared\n"
    assert found["1.proxy.log"].startswith("beside\n")


@pytest.mark.parametrize(
    ("follow", "found"),
    [("all", {"1.log": "main\n"}), ("end", {"1.log": "main\n"}), ("on-demand", {}), ("off", {})],
)
def test_each_mode_leaves_its_files(config: RunnerConfig, folder, follow, found):
    assert run(kept_in(config, folder, follow=follow)).succeeded
    assert files(folder) == found


def test_without_collecting_a_failed_pods_last_lines_are_in_its_outcome(config: RunnerConfig, folder):
    here = kept_in(config, folder, follow="off", tail_lines_on_failure=2)
    outcome = run(here.model_copy(update={"delete_pods_on_failure": True}), "echo 1; echo 2; echo 3; exit 4")
    assert (outcome.exit_code, outcome.log_tail, files(folder)) == (4, ("2", "3"), {})

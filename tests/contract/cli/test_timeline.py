"""``podrunner timeline``, of a run's journal and of a cluster's pods."""

from __future__ import annotations

import json
from pathlib import Path

import podrunner as library
import pytest
from podrunner import PodRunner, RetryPolicy, Workload


@pytest.fixture
def journal(config, tmp_path: Path) -> Path:
    """The journal of a run: a pod that succeeded, one that failed, and a workload with two tries."""
    kept = config.model_copy(update={"delete_pods": False})
    path = tmp_path / "run.jsonl"
    with PodRunner(kept, on_exit="cancel") as runner, library.journal(runner, path):
        good = runner.launch(Workload(key={"job": "good"}, command=["true"]))
        bad = runner.launch(Workload(key={"job": "bad"}, command=["sh", "-c", "exit 3"]))
        again = runner.run(
            Workload(key={"job": "again"}, command=["sh", "-c", "exit 1"]),
            retry=RetryPolicy(attempts=2, retry_if=lambda _: True, wait=0),
        )
        for each in (good, bad, again):
            each.wait(timeout_s=40)
    return path


def test_a_journal_is_drawn_in_each_form(podrunner, journal: Path, tmp_path: Path) -> None:
    files = [f"--{form}={tmp_path / f'run.{form}'}" for form in ("html", "svg", "png")]
    ended = podrunner("timeline", str(journal), *files, "--text", "--width", "80")
    assert (ended.returncode, ended.stderr.count("podrunner: wrote ")) == (0, 3)
    (again,) = [line for line in ended.stdout.splitlines() if line.startswith("again")]
    assert again.count("F") == 2 or again.endswith("F")
    assert "✓ succeeded (1)" in ended.stdout
    assert "F failed (3)" in ended.stdout
    assert (tmp_path / "run.html").read_text().startswith("<!DOCTYPE html>")
    assert (tmp_path / "run.svg").read_text().startswith("<svg ")
    assert (tmp_path / "run.png").read_bytes().startswith(b"\x89PNG")


def test_the_tries_of_a_workload_are_one_row(podrunner, journal: Path) -> None:
    rows = json.loads(podrunner("timeline", str(journal), "--json").stdout)["rows"]
    tries = {row["key"]: [bar["record"].get("attempt", 1) for bar in row["bars"]] for row in rows}
    assert tries == {"good": [1], "bad": [1], "again": [1, 2]}


def test_the_pods_of_the_cluster_are_drawn_as_they_are(podrunner, journal: Path) -> None:
    """They are kept after the run."""
    ended = podrunner("timeline", "--width", "60")
    assert ended.returncode == 0
    assert "4 pods of 3 workloads" in ended.stdout
    assert podrunner("timeline", "-l", "nothing=like-it").stdout.startswith("0 pods")


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere.jsonl"], 74, "nowhere.jsonl: No such file or directory"),
        ([__file__], 64, "is no journal of podrunner"),
        (["j", "--others"], 64, "leave out the options of the cluster"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(podrunner, words, code, said) -> None:
    ended = podrunner("timeline", *words)
    assert (ended.returncode, ended.stderr.count("\n")) == (code, 1)
    assert said in ended.stderr

"""``podrunner bench`` creates nothing on a user's cluster before the user has agreed to what will be created."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from podrunner.cli.app import app
from podrunner.errors import UsageError
from typer.testing import CliRunner


@pytest.fixture
def kubeconfig(tmp_path: Path) -> Path:
    """A cluster that cannot be reached: any request would be another error."""
    path = tmp_path / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": "http://127.0.0.1:1"}}],
        "users": [{"name": "u", "user": {"token": "t"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u", "namespace": "jobs"}}],
        "current-context": "c",
    }
    path.write_text(json.dumps(content))
    return path


def bench(*words: str):
    return CliRunner().invoke(app, ["bench", *words], catch_exceptions=True)


def test_without_a_terminal_and_without_yes_nothing_is_created(kubeconfig):
    done = bench("--target", "cluster", "--kubeconfig", str(kubeconfig), "--pods", "7")
    assert isinstance(done.exception, UsageError)
    assert "nothing was created; --yes creates without asking" in str(done.exception)
    assert "podrunner bench will create 7 pods, at most 7 at once, and one Lease" in done.stderr
    assert f"  in namespace jobs of the current context of {kubeconfig}" in done.stderr


@pytest.mark.parametrize("limit", [("--pods", "5001"), ("--concurrency", "1001")])
def test_on_a_cluster_there_is_a_limit_that_yes_does_not_lift(kubeconfig, limit):
    done = bench("--target", "cluster", "--kubeconfig", str(kubeconfig), "--yes", *limit)
    assert isinstance(done.exception, UsageError)
    assert "is the limit" in str(done.exception)


@pytest.mark.parametrize("target", [(), ("--target", "stub"), ("--target", "local")])
@pytest.mark.parametrize(
    "option",
    [
        *(("--config", "x"), ("--kubeconfig", "x"), ("--context", "x"), ("--namespace", "x")),
        *(("--image", "x"), ("--cpu", "10m"), ("--memory", "16Mi"), ("--yes",)),
    ],
)
def test_what_concerns_a_cluster_is_for_the_target_cluster_only(option, target):
    """Also a value that is the default: it would have no effect."""
    done = bench(*target, *option)
    assert isinstance(done.exception, UsageError)
    assert str(done.exception) == f"{option[0]} is for --target cluster"


def test_all_options_that_have_no_effect_are_named():
    done = bench("--image", "x", "--namespace", "y", "-y")
    assert str(done.exception) == "--namespace, --image and --yes are for --target cluster"


def test_a_cluster_has_the_requests_that_were_asked_for_or_the_usual_ones(kubeconfig):
    done = bench("--target", "cluster", "--kubeconfig", str(kubeconfig), "--cpu", "20m", "--image", "i:1")
    assert "  requests 20m CPU and 16Mi memory each: 1 and 800Mi at once" in done.stderr
    assert "  image i:1: " in done.stderr


@pytest.mark.parametrize("place", ["missing/report.html", "."])
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_measured(tmp_path, monkeypatch, place):
    monkeypatch.setattr("podrunner.bench.measure.measured", lambda *_, **__: pytest.fail("the run has begun"))
    done = bench("--html", str(tmp_path / place))
    assert isinstance(done.exception, OSError)


def test_a_report_is_written_only_when_there_is_one(kubeconfig, tmp_path):
    old, new = tmp_path / "old.html", tmp_path / "new.html"
    old.write_text("of the last run")
    for report in (old, new):
        done = bench("--target", "cluster", "--kubeconfig", str(kubeconfig), "--html", str(report))
        assert isinstance(done.exception, UsageError)
    assert old.read_text() == "of the last run"
    assert not new.exists()

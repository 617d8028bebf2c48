"""``podrunner config check``: what it says of whole files, as text and as JSON.

``python -m tests.unit.cli.test_config_check`` writes the golden texts anew.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from podrunner import errors
from podrunner.cli.app import app
from typer.testing import CliRunner

FOLDER = Path(__file__).parents[2] / "golden" / "config_check"
CASES = sorted(path.name for path in FOLDER.iterdir())


def check(*arguments: str):
    return CliRunner().invoke(app, ["config", "check", *arguments])


@pytest.fixture(params=CASES)
def case(request, monkeypatch) -> Path:
    monkeypatch.chdir(FOLDER / request.param)
    return FOLDER / request.param


def test_what_it_says_of_a_file(case):
    """F1: each option without effect is named, with why and the remedy, and the last line says what will run."""
    assert check("airflow.cfg").stdout == (case / "said.txt").read_text()


def test_the_json_document_says_the_same(case):
    document = json.loads(check("--json", "airflow.cfg").stdout)
    said = (case / "said.txt").read_text().splitlines()
    assert len(document["findings"]) == len(said) - 1
    for finding, line in zip(document["findings"], said, strict=False):
        assert line.startswith(f"{finding['level']}: {finding['source']}: ")
        assert all(
            part in line for part in (finding["message"], finding["key"] or "", finding["remedy"] or "")
        )
    levels = [finding["level"] for finding in document["findings"]]
    assert (document["warnings"], document["notes"]) == (levels.count("warning"), levels.count("note"))
    assert f"image {document['runs']['image']}" in said[-1]
    assert all(version in said[-1] for version in document["runs"]["airflow"])


def test_json_and_show_together_hold_the_configuration_too(monkeypatch):
    monkeypatch.chdir(FOLDER / "chart-2.9")
    document = json.loads(check("--json", "--show", "airflow.cfg").stdout)
    assert document["config"]["namespace"] == document["runs"]["namespace"] == "jobs"


def write(folder: Path, text: str, name: str = "podrunner.yaml") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("namespace: jobs\n", "pod from its settings, no image; usable, 0 warnings, 0 notes"),
        (
            "image: a\npod_template: {spec: {containers: []}}\n",
            "pod from pod_template + its settings, image a; usable",
        ),
    ],
)
def test_a_file_of_its_own(tmp_path, text, says):
    assert f": {says}" in check(write(tmp_path, text)).stdout


def test_a_file_that_does_not_say_the_version(tmp_path):
    file = write(tmp_path, "[kubernetes_executor]\nnamespace = jobs\n", "airflow.cfg")
    assert "airflow.cfg: Airflow 2 or 3, pod without a template, no image; usable" in check(file).stdout


def test_the_image_of_the_template_counts_where_the_options_name_none(tmp_path):
    write(tmp_path, "kind: Pod\nspec: {containers: [{name: base, image: corp/etl:7}]}\n", "pod.yaml")
    file = write(tmp_path, "[kubernetes_executor]\npod_template_file = pod.yaml\n", "airflow.cfg")
    said = check(file).stdout.splitlines()[-1]
    assert "Airflow 1.10 or 2 or 3" not in said
    assert ", pod from pod.yaml + args, image corp/etl:7; usable" in said


def test_a_mount_without_a_volume_is_a_warning(tmp_path):
    mount = "volumeMounts: [{name: dags, mountPath: /d}]"
    write(tmp_path, f"kind: Pod\nspec: {{containers: [{{name: base, image: a, {mount}}}]}}\n", "pod.yaml")
    file = write(tmp_path, "[kubernetes_executor]\npod_template_file = pod.yaml\n", "airflow.cfg")
    shown = check(file).stdout
    assert f"warning: {tmp_path / 'pod.yaml'}: " in shown
    assert "usable, 1 warning, 0 notes" in shown
    assert isinstance(check("--strict", file).exception, errors.ConfigError)


def test_a_template_that_is_no_pod_is_not_usable(tmp_path):
    template = write(tmp_path, "kind: Pod\nspec: {containers: [{name: task, env: 7}]}\n", "pod.yaml")
    file = write(tmp_path, "[kubernetes_executor]\npod_template_file = pod.yaml\n", "airflow.cfg")
    shown = check(file)
    error = shown.exception
    assert isinstance(error, errors.ConfigError)
    assert error.source == template
    assert shown.stdout.startswith("note: ")
    assert "usable" not in shown.stdout
    document = json.loads(check("--json", file).stdout)
    assert (document["usable"], document["errors"], document["notes"]) == (False, [str(error)], 1)
    assert "spec.containers[task].env: must be a list" in str(error)


if __name__ == "__main__":
    for name in CASES:
        os.chdir(FOLDER / name)
        Path("said.txt").write_text(check("airflow.cfg").stdout)

"""Which version of Airflow a configuration is written for: the setting, and what the file says."""

from __future__ import annotations

import pytest
from podrunner.config import AirflowSettings
from podrunner.config.airflow.version import (
    ALL_LINES,
    AirflowLine,
    Sign,
    detect,
    line_of,
    version_in_image,
)
from podrunner.config.loading import load_airflow_cfg
from podrunner.config.location import SourceLocation
from podrunner.errors import ConfigError

OLD = "[kubernetes]\ndags_in_image = True\n"
IMAGE = "worker_container_repository = {}\nworker_container_tag = {}\n"


@pytest.mark.parametrize(
    ("version", "line"),
    [
        ("1.10", "1.10"),
        ("1.10.15", "1.10"),
        ("2", "2"),
        ("2.9.2", "2"),
        ("2.10.0", "2"),
        ("2.9.3+composer", "2"),
        ("3.0.0rc1", "3"),
        ("3.1.0.dev0", "3"),
        ("3.1.0b2.post1", "3"),
    ],
)
def test_a_version_has_a_line(version, line):
    assert line_of(version) == AirflowLine(line)
    assert AirflowSettings(version=version).line is AirflowLine(line)


@pytest.mark.parametrize(
    "version", ["", "1.1", "1.9.0", "20", "4.0", "2-python3.11", "latest", "2..1", "1.100"]
)
def test_what_is_no_version_is_refused_with_the_remedy(version):
    with pytest.raises(
        ConfigError, match=r"no version of Airflow that podrunner knows.*Write one of 1.10, 2 or 3"
    ):
        AirflowSettings(version=version)


def test_without_a_version_there_is_no_line():
    assert AirflowSettings().line is None


@pytest.mark.parametrize(
    ("image", "version"),
    [
        ("apache/airflow:2.9.2", "2.9.2"),
        ("apache/airflow:2.9.2-python3.11", "2.9.2"),
        ("apache/airflow:slim-3.0.1", "3.0.1"),
        ("apache/airflow:slim-3.0.1-python3.12", "3.0.1"),
        ("registry.example.com:5000/mirror/apache/airflow:3.0.0rc2", "3.0.0rc2"),
        ("puckel/docker-airflow:1.10.9", "1.10.9"),
        ("bitnami/airflow:2.10.2-debian-12-r3", "2.10.2"),
        ("airflow:v2.7.3_20240101", "2.7.3"),
        ("apache/airflow:2.9.2@sha256:0123", "2.9.2"),
        ("apache/airflow:latest", None),
        ("apache/airflow:latest-python3.12", None),
        ("apache/airflow", None),
        ("apache/airflow@sha256:0123", None),
        ("example/etl:2.9.2", None),
        ("example/airflow-dags:3.4.1", None),
        ("example/airflow:20240101", None),
        ("example/airflow:1.0.3", None),
    ],
)
def test_the_tag_of_an_airflow_image_names_its_version(image, version):
    assert version_in_image(image) == version


def sign(*lines, version=None):
    return Sign(
        frozenset(map(AirflowLine, lines)), f"sign {lines}", SourceLocation("f", None, str(lines)), version
    )


def test_no_sign_leaves_all_lines():
    assert detect([]).lines == ALL_LINES
    assert detect([]).version is None


def test_signs_narrow_the_lines_and_the_exact_version_counts():
    found = detect([sign("2", version="2.9.2"), sign("2", "3")])
    assert (found.lines, found.version, found.conflicts) == ({AirflowLine.V2}, "2.9.2", ())
    assert found.location == SourceLocation("f", None, "('2',)")


def test_one_line_that_is_left_is_the_version():
    assert detect([sign("2", "3"), sign("1.10", "2")]).version == "2"


def test_two_lines_that_are_left_are_no_version():
    assert detect([sign("2", "3")]).version is None


def test_a_contradiction_follows_the_first_and_names_both():
    first, second, third = sign("2", "3"), sign("1.10"), sign("3")
    found = detect([first, second, third])
    assert (found.version, found.conflicts) == ("3", ((first, second),))


def version(load, text, environ=None):
    loaded = load(text, environ)
    assert loaded.warnings == ()
    return loaded.config.airflow.version


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OLD, "1.10"),
        (OLD + IMAGE.format("apache/airflow", "1.10.12"), "1.10.12"),
        ("[kubernetes_executor]\nnamespace = jobs\n", None),
        ("[kubernetes_executor]\nnamespace = jobs\n[execution_api]\njwt_audience = a\n", "3"),
        ("[kubernetes_executor]\n" + IMAGE.format("apache/airflow", "slim-3.0.1"), "3.0.1"),
        ("[kubernetes_executor]\n" + IMAGE.format("corp/airflow", "2.9.2-7"), "2.9.2"),
        ("[kubernetes_executor]\n" + IMAGE.format("corp/etl", "3.1.0"), None),
        ("[database]\nsql_alchemy_conn = sqlite://\n[kubernetes_executor]\nnamespace = a\n", None),
    ],
)
def test_the_file_says_its_version(load, text, expected):
    assert version(load, text) == expected


def test_variables_say_the_version_too(load):
    variables = {"AIRFLOW__API_AUTH__JWT_SECRET": "x", "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "jobs"}
    assert version(load, "[kubernetes_executor]\nnamespace = a\n", variables) == "3"


def template(write, image):
    pod = f"kind: Pod\nspec:\n  containers:\n  - name: base\n    image: {image}\n"
    write(pod, "pod.yaml")
    return "[kubernetes_executor]\npod_template_file = pod.yaml\n"


def test_the_template_says_the_version(load, write):
    assert version(load, template(write, "apache/airflow:2.8.1")) == "2.8.1"


def test_the_tag_goes_over_the_templates(load, write):
    text = template(write, "apache/airflow:2.8.1") + IMAGE.format("apache/airflow", "2.9.2")
    assert version(load, text) == "2.9.2"


def test_a_section_that_is_there_under_both_names_is_no_mixture(load, write):
    """The official chart writes ``[kubernetes]`` beside ``[kubernetes_executor]``, with a tag in each."""
    text = template(write, "apache/airflow:2.9.2") + IMAGE.format("apache/airflow", "2.9.2")
    both = (
        text
        + "[kubernetes]\nnamespace = a\nairflow_configmap = c\n"
        + IMAGE.format("apache/airflow", "2.1.4")
    )
    assert load(both).config.airflow.version == "2.9.2"
    assert [finding for finding in load(both).findings if "contradicts" in finding.message] == []


@pytest.mark.parametrize(
    ("text", "expected", "says"),
    [
        (
            "[kubernetes_executor]\nnamespace = a\n[kubernetes]\ndags_volume_claim = c\n",
            None,
            [
                "dags_volume_claim, an option of Airflow 1.10",
                "[kubernetes_executor], a section",
                "airflow.version",
            ],
        ),
        (
            OLD + IMAGE.format("apache/airflow", "1.10.12") + "[api_auth]\njwt_secret = s\n",
            "1.10.12",
            ["[api_auth], a section of Airflow 3", "the tag 1.10.12", "[kubernetes] worker_container_tag"],
        ),
    ],
)
def test_a_mixture_is_a_warning_that_names_both_places(load, text, expected, says):
    loaded = load(text)
    (warning,) = loaded.warnings
    assert loaded.config.airflow.version == expected
    assert all(part in str(warning) for part in says)


def test_an_image_of_another_line_than_the_tag_is_a_warning(load, write):
    text = template(write, "apache/airflow:3.0.1") + IMAGE.format("apache/airflow", "2.9.2")
    (warning,) = load(text).warnings
    assert (warning.source.rpartition("/")[2], warning.key) == ("pod.yaml", "spec.containers[base].image")
    assert "the image's tag 3.0.1, contradicts the tag 2.9.2" in warning.message


@pytest.mark.parametrize("how", ["variable", "override", "whole"])
def test_an_explicit_version_wins_and_ends_the_mixture(write, how):
    path = write(OLD + IMAGE.format("apache/airflow", "1.10.12") + "[api_auth]\njwt_secret = s\n")
    environ = {"PODRUNNER_AIRFLOW__VERSION": "3.0.2"} if how == "variable" else {}
    overrides = {"override": {"airflow.version": "3.0.2"}, "whole": {"airflow": {"version": "3.0.2"}}}.get(
        how
    )
    loaded = load_airflow_cfg(path, environ=environ, overrides=overrides)
    assert loaded.config.airflow.version == "3.0.2"
    assert [finding for finding in loaded.findings if "contradicts" in finding.message] == []


def test_a_wrong_explicit_version_names_the_variable(write):
    with pytest.raises(ConfigError, match=r"PODRUNNER_AIRFLOW__VERSION.*'4' is no version") as caught:
        load_airflow_cfg(write(OLD), environ={"PODRUNNER_AIRFLOW__VERSION": "4"})
    assert caught.value.key == "PODRUNNER_AIRFLOW__VERSION"

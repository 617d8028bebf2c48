"""Unknown names, old names, and files that are no configuration."""

from __future__ import annotations

import pytest
from podrunner.config import ConfigWarning, RunnerConfig
from podrunner.errors import ConfigError

MINIMAL = "[kubernetes]\ndags_in_image = True\n"


@pytest.mark.parametrize(
    ("key", "meant"),
    [("namespce", "namespace"), ("worker_container_tags", "worker_container_tag"), ("xyzzy", None)],
)
@pytest.mark.parametrize("section", ["kubernetes", "kubernetes_executor"])
def test_an_unknown_option_is_a_warning_with_a_suggestion(load, section, key, meant):
    dags = "" if section == "kubernetes_executor" else "dags_in_image = True\n"
    (finding,) = load(f"[{section}]\n{dags}{key} = 1\n").findings
    assert (finding.level, finding.section, finding.key) == ("warning", section, key)
    assert finding.remedy == (meant and f"Did you mean {meant!r}?")


def test_an_unknown_variable_is_a_warning(load):
    (finding,) = load(MINIMAL, {"AIRFLOW__KUBERNETES__NAMESPCE": "x"}).findings
    assert finding.key == "AIRFLOW__KUBERNETES__NAMESPCE"
    assert "'namespace'" in str(finding)


@pytest.mark.parametrize(
    ("section", "meant"), [("kubernetes_secret", "kubernetes_secrets"), ("kubernets", "kubernetes")]
)
def test_an_unknown_kubernetes_section_is_a_warning(load, section, meant):
    (finding,) = load(f"{MINIMAL}[{section}]\na = b\n").findings
    assert (finding.section, finding.remedy) == (section, f"Did you mean {meant!r}?")


def test_sections_of_other_parts_of_airflow_are_ignored(load):
    others = "[core]\nx = 1\n[webserver]\nx = 1\n[celery]\nx = 1\n[local_kubernetes_executor]\nx = 1\n"
    assert load(MINIMAL + others).findings == ()


def test_an_old_name_counts_and_is_a_warning(load):
    git = "[kubernetes]\ngit_repo = https://x/y\ngit_branch = m\ngit_dags_folder_mount_point = /d\n"
    loaded = load(f"{git}git_sync_path = clone\n")
    assert loaded.config.airflow.dags.dest == "clone"
    assert [finding.remedy for finding in loaded.findings] == ["Rename it to git_sync_dest"]


def test_strict_makes_a_warning_an_error(write):
    path = write(f"{MINIMAL}namespce = x\n")
    with pytest.raises(ConfigError, match="Did you mean 'namespace'"):
        RunnerConfig.from_airflow_cfg(path, environ={}, strict=True)
    with pytest.warns(ConfigWarning, match=r"\[kubernetes\] namespce: unknown option, ignored"):
        RunnerConfig.from_airflow_cfg(path, environ={})


def test_notes_are_not_warnings_even_when_strict(write):
    path = write(f"{MINIMAL}async_pod_creation = False\n")
    assert RunnerConfig.from_airflow_cfg(path, environ={}, strict=True)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("namespace = a\n", "line 1: something stands before the first"),
        ("[kubernetes]\nnamespace\n", "line 2: neither a"),
        ("[kubernetes\nnamespace = a\n", "line 1: "),
        ("[kubernetes]\na = 1\na = 2\n", "line 3: 'a' is set twice"),
        ("[kubernetes]\n[core]\n[kubernetes]\n", "line 3: section .kubernetes. begins twice"),
        ("", "no source of DAGs"),
    ],
)
def test_the_error_of_a_malformed_file_names_the_line(load, text, says):
    with pytest.raises(ConfigError, match=says) as caught:
        load(text)
    assert caught.value.source.endswith("airflow.cfg")


def test_a_byte_order_mark_does_not_matter(load):
    assert load("\ufeff" + MINIMAL).config.airflow is not None


def test_a_file_that_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        RunnerConfig.from_airflow_cfg(tmp_path / "none.cfg", environ={})
    with pytest.raises(ConfigError, match="cannot be read"):
        RunnerConfig.from_airflow_cfg(tmp_path, environ={})
    latin = tmp_path / "latin.cfg"
    latin.write_bytes(b"[core]\nx = \xe4\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        RunnerConfig.from_airflow_cfg(latin, environ={})


def test_overrides_win_over_everything(write):
    config = RunnerConfig.from_airflow_cfg(
        write(f"{MINIMAL}in_cluster = False\nconfig_file = /k\n"),
        environ={"PODRUNNER_NAMESPACE": "b"},
        overrides={"cluster": "local", "namespace": "c", "logs.folder": "/l"},
    )
    assert (config.cluster, config.kubeconfig, config.namespace) == ("local", None, "c")
    assert str(config.logs.folder) == "/l"


def test_a_wrong_override_is_named(write):
    with pytest.raises(ConfigError, match="overrides: namespce: unknown setting"):
        RunnerConfig.from_airflow_cfg(write(MINIMAL), environ={}, overrides={"namespce": "x"})

"""A file never asks in vain without a finding: options that a version, a template or another section overrules."""

from __future__ import annotations

import pytest

TEMPLATE = """\
kind: Pod
spec:
  containers:
  - name: base
    image: apache/airflow:2.9.2
    env: [{name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN, value: x}]
"""


def version(text):
    return {"PODRUNNER_AIRFLOW__VERSION": text}


FROM_TEMPLATE = "has no effect: Airflow 2.9.2 builds pods from pod_template_file"


def said(loaded, key=None):
    found = [finding for finding in loaded.findings if key in {None, finding.key}]
    return [(f.level, f.section, f.key, f"{f.message}. {f.remedy or '-'}") for f in found]


@pytest.fixture
def with_template(load, write):
    """Load a file that names a template beside it."""
    write(TEMPLATE, "pod.yaml")

    def _load(text, environ=None):
        return load(f"[kubernetes_executor]\npod_template_file = pod.yaml\n{text}", environ)

    return _load


def test_an_option_that_the_template_replaces_is_a_note_with_its_place(with_template):
    loaded = with_template("[kubernetes]\ndags_volume_claim = dags\n", version("2.9.2"))
    text = f"{FROM_TEMPLATE}. Put it there: spec.volumes and a mount"
    assert said(loaded) == [("note", "kubernetes", "dags_volume_claim", text)]


def test_the_template_of_1_10_replaces_them_too(load, write):
    write(TEMPLATE, "pod.yaml")
    loaded = load(
        "[kubernetes]\npod_template_file = pod.yaml\nlogs_volume_claim = logs\n", version("1.10.15")
    )
    ((level, _, key, text),) = said(loaded, "logs_volume_claim")
    assert (level, key) == ("note", "logs_volume_claim")
    assert "Airflow 1.10.15 builds pods from pod_template_file. Put it there" in text


def test_without_a_template_it_is_a_warning(load):
    loaded = load("[kubernetes]\nlogs_volume_claim = logs\n", version("2.4.3"))
    ((level, _, _, text),) = said(loaded)
    assert level == "warning"
    assert "Airflow 2.4.3 builds pods from pod_template_file, and none is named" in text
    assert "Name a template that has it: spec.volumes and a mount" in text


def test_what_asks_for_nothing_is_a_note_without_a_template(load):
    text = "dags_in_image = True\ngit_sync_root = /git\nworker_container_image_pull_policy = IfNotPresent\n"
    assert {level for level, *_ in said(load(f"[kubernetes]\n{text}", version("2.4.3")))} == {"note"}


def test_a_free_section_that_the_template_replaces_names_its_keys(with_template):
    text = "[kubernetes_node_selectors]\ndisk = ssd\nzone = a\n[kubernetes_secrets]\nTOKEN = s=k\n"
    of_env = f"TOKEN: {FROM_TEMPLATE}. Put it there: spec.containers[base].env"
    of_nodes = f"disk, zone: {FROM_TEMPLATE}. Put it there: spec.nodeSelector"
    assert said(with_template(text, version("2.9.2"))) == [
        ("note", "kubernetes_secrets", None, of_env),
        ("note", "kubernetes_node_selectors", None, of_nodes),
    ]


def test_a_connection_that_the_worker_finds_itself_is_not_reported(with_template):
    for text in ("sql_alchemy_conn = x", "sql_alchemy_conn_cmd = false", "sql_alchemy_conn_secret = x"):
        assert said(with_template(f"[database]\n{text}\n", version("2.9.2"))) == []


@pytest.mark.parametrize(
    ("section", "key", "in_version", "says"),
    [
        (
            "kubernetes",
            "verify_ssl",
            "1.10.15",
            "Airflow 1.10.15 does not have it, 2.1.0 does; podrunner follows it",
        ),
        (
            "kubernetes_executor",
            "ssl_ca_cert",
            "2.5.1",
            "Airflow 2.5.1 does not have it, 2.6.0 does; podrunner",
        ),
        (
            "kubernetes_executor",
            "worker_pods_pending_timeout",
            "3.0.2",
            "Airflow 3.0.2 no longer has it; podrunner follows it. Use [scheduler] task_queued_timeout",
        ),
        (
            "kubernetes_executor",
            "worker_pods_queued_check_interval",
            "3",
            "has no effect: Airflow 3 no longer has it",
        ),
    ],
)
def test_an_option_of_another_version_is_a_note(load, section, key, in_version, says):
    dags = "dags_in_image = True\n" if in_version.startswith("1.") else ""
    loaded = load(f"[{section}]\n{dags}{key} = 1\n", version(in_version))
    ((level, *_, text),) = said(loaded, key)
    assert level == "note"
    assert says in text


def test_an_option_of_another_version_is_followed(load):
    text = "[kubernetes]\ndags_in_image = True\nverify_ssl = False\n"
    assert load(text, version("1.10.15")).config.verify_ssl is False


def test_a_section_that_the_version_does_not_read_is_one_warning(load):
    loaded = load("[kubernetes]\nnamespace = jobs\nverify_ssl = False\n", version("3.0.2"))
    why = "namespace, verify_ssl: Airflow 3.0.2 reads [kubernetes_executor] only; podrunner follows them"
    assert said(loaded) == [("warning", "kubernetes", None, f"{why}. Move them to [kubernetes_executor]")]
    assert loaded.config.namespace == "jobs"


def test_a_section_that_is_not_there_yet_is_one_warning(load):
    ((level, section, _, text),) = said(load("[kubernetes_executor]\nnamespace = jobs\n", version("2.4.3")))
    assert (level, section) == ("warning", "kubernetes_executor")
    assert "Airflow 2.4.3 reads [kubernetes] only" in text


def test_a_variable_of_a_section_that_is_not_read_is_named(load):
    environ = {**version("3.0.2"), "AIRFLOW__KUBERNETES__NAMESPACE": "jobs"}
    (finding,) = load("[core]\nx = 1\n", environ).findings
    assert (finding.level, finding.source) == ("warning", "environment")
    assert "AIRFLOW__KUBERNETES__NAMESPACE: Airflow 3.0.2 reads" in finding.message


def test_a_section_with_a_new_name_is_one_note(load):
    loaded = load("[kubernetes]\nnamespace = jobs\n[core]\nbase_log_folder = /l\n", version("2.9.2"))
    assert [(finding.level, finding.section, finding.message) for finding in loaded.findings] == [
        ("note", "core", "base_log_folder: [logging] is the section of Airflow 2 and later"),
        ("note", "kubernetes", "namespace: [kubernetes_executor] is the section of Airflow 2.5 and later"),
    ]


def test_a_section_with_a_new_name_in_part_of_the_line_is_not_reported(load):
    assert said(load("[kubernetes]\nnamespace = jobs\n", version("2"))) == []


def test_the_section_that_the_version_reads_counts(load):
    both = "[kubernetes]\nnamespace = old\n[kubernetes_executor]\nnamespace = new\n"
    old, new = load(both, version("2.4.3")), load(both, version("2.5.0"))
    assert (old.config.namespace, new.config.namespace) == ("old", "new")
    overruled = "has no effect: [{}] namespace overrules it. -"
    assert said(old) == [("note", "kubernetes_executor", "namespace", overruled.format("kubernetes"))]
    assert said(new) == [("note", "kubernetes", "namespace", overruled.format("kubernetes_executor"))]


def test_both_sections_with_the_same_value_are_no_finding(load):
    both = "[kubernetes]\nnamespace = a\n[kubernetes_executor]\nnamespace = a\n"
    assert said(load(both, version("2.9.2"))) == []


def test_a_variable_over_the_file_is_no_finding(load):
    environ = {**version("2.9.2"), "AIRFLOW__KUBERNETES_EXECUTOR__NAMESPACE": "b"}
    assert said(load("[kubernetes_executor]\nnamespace = a\n", environ)) == []


def test_what_contradicts_the_version_is_reported_once(load):
    loaded = load("[kubernetes_executor]\nnamespace = a\n[kubernetes]\ndags_volume_claim = c\n")
    ((level, _, _, text),) = said(loaded, "dags_volume_claim")
    assert level == "warning"
    assert "contradicts" in text


def test_an_option_of_airflows_other_processes_is_not_even_read(load):
    """A lone percent sign in such a value is Airflow's affair."""
    text = (
        "[webserver]\nsecret_key = a%b\n[api_auth]\njwt_secret = a%b\n[kubernetes_executor]\nnamespace = a\n"
    )
    assert said(load(text, version("3.0.2"))) == []

"""podrunner's own configuration files: TOML, YAML, JSON."""

from __future__ import annotations

import pytest
from podrunner.config import RunnerConfig
from podrunner.config.pod_template import load_pod_template
from podrunner.errors import ConfigError

TOML = """
    namespace = "jobs"
    tolerations = [{ key = "a" }]
    [watch]
    page_size = 7
    [secret_env]
    Token = "s=k"
"""
YAML = """
    namespace: jobs
    tolerations: [{key: a}]
    watch: {page_size: 7}
    secret_env: {Token: {secret: s, key: k}}
"""
JSON = '{"namespace": "jobs", "tolerations": [{"key": "a"}], "watch": {"page_size": 7}, "secret_env": {"Token": "s=k"}}'


@pytest.mark.parametrize(
    ("name", "text"), [("c.toml", TOML), ("c.yaml", YAML), ("c.YML", YAML), ("c.json", JSON)]
)
def test_the_three_formats_mean_the_same(write, name, text):
    config = RunnerConfig.from_file(write(text, name), environ={})
    assert config == RunnerConfig(
        namespace="jobs", tolerations=({"key": "a"},), watch={"page_size": 7}, secret_env={"Token": "s=k"}
    )


def test_variables_win_over_the_file_and_overrides_over_both(write):
    path = write(TOML, "c.toml")
    environ = {"PODRUNNER_NAMESPACE": "b", "PODRUNNER_WATCH__SERVER_TIMEOUT_S": "60"}
    config = RunnerConfig.from_file(path, environ=environ, overrides={"scope": "c"})
    assert (config.namespace, config.scope) == ("b", "c")
    assert (config.watch.page_size, config.watch.server_timeout_s) == (7, 60)


def test_a_cluster_chosen_by_a_variable_drops_the_files_kubeconfig(write):
    path = write('cluster = "kubeconfig"\nkubeconfig = "/k"\n', "c.toml")
    assert RunnerConfig.from_file(path, environ={"PODRUNNER_CLUSTER": "local"}).kubeconfig is None
    assert RunnerConfig.from_file(path, environ={"PODRUNNER_KUBECONFIG": "/other"}).cluster == "kubeconfig"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("c.toml", "namespace = ", "is not TOML"),
        ("c.toml", "a = 1\na = 2\n", "is not TOML: .*line 2"),
        ("c.toml", "[watch]\npage_siz = 7\n", "watch.page_siz: unknown setting. Did you mean 'page_size'"),
        ("c.yaml", "a: [", "line 1"),
        ("c.yaml", "a: 1\nb: 2\na: 3\n", "line 3, column 1: 'a' is set twice"),
        ("c.yaml", "a: !!python/object:os.system 1\n", "line 1"),
        ("c.yaml", "a: \x01\n", "is not YAML"),
        ("c.yaml", "- a\n", "holds no settings"),
        ("c.yaml", "", "holds no settings"),
        ("c.yaml", "1: a\n", "1: unknown setting"),
        ("c.json", "{", "line 1, column 2"),
        ("c.json", '{"a": {"b": 1, "b": 2}}', "'b' is set twice"),
        ("c.json", "[]", "holds no settings"),
        ("c.txt", "", "of no known kind"),
    ],
)
def test_an_error_names_the_file_and_the_location(write, name, text, says):
    path = write(text, name)
    with pytest.raises(ConfigError, match=says) as caught:
        RunnerConfig.from_file(path, environ={})
    assert str(path) in str(caught.value)


def test_a_file_of_any_name_with_an_airflow_section_is_read_as_airflow_cfg(write):
    path = write("[kubernetes]\ndags_in_image = True\nnamespace = a\n", "airflow.cfg.production")
    assert RunnerConfig.from_file(path, environ={}).namespace == "a"


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        RunnerConfig.from_file(tmp_path / "c.toml", environ={})


def test_yaml_is_read_without_the_surprises_of_1_1(write):
    text = """
        logs: {follow: off}
        watch: {streaming_lists: on}
        labels: {date: 2019-08-15, country: no}
        annotations: {at: 12:30, exp: "1e3", empty: ""}
        volumes: [{name: a, configMap: {name: a, defaultMode: 0440}}, {size: 0x10, ratio: 1.5, none: ~}]
    """
    config = RunnerConfig.from_file(write(text, "c.yaml"), environ={})
    assert (config.logs.follow, config.watch.streaming_lists) == ("off", "on")
    assert config.labels == {"date": "2019-08-15", "country": "no"}
    assert config.annotations == {"at": "12:30", "exp": "1e3", "empty": ""}
    assert config.volumes[0]["configMap"]["defaultMode"] == 0o440
    assert config.volumes[1] == {"size": 16, "ratio": 1.5, "none": None}


def test_yaml_anchors_and_merges_work(write):
    text = "volumes:\n- &a {name: a, emptyDir: {}}\n- {<<: *a, name: b}\n"
    config = RunnerConfig.from_file(write(text, "c.yaml"), environ={})
    assert config.volumes[1] == {"name": "b", "emptyDir": {}}


def test_a_pod_template_stands_beside_the_file(write):
    write("kind: Pod\nspec: {priority: 1}\n", "pod.yaml")
    config = RunnerConfig.from_file(write('pod_template = "pod.yaml"\n', "c.toml"), environ={})
    assert config.pod_template == {"kind": "Pod", "spec": {"priority": 1}}


@pytest.mark.parametrize(
    ("text", "says"), [("kind: Job\n", "is not a pod"), ("[]\n", "is not a pod"), ("a: [\n", "line 2")]
)
def test_a_pod_template_must_be_one_pod(write, text, says):
    with pytest.raises(ConfigError, match=says):
        load_pod_template(write(text, "pod.yaml"))


def test_a_missing_pod_template_is_an_error(tmp_path, write):
    with pytest.raises(ConfigError, match="cannot be read"):
        load_pod_template(tmp_path / "none.yaml")
    with pytest.raises(ConfigError, match=r"c.toml: pod_template: .*cannot be read"):
        RunnerConfig.from_file(write('pod_template = "none.yaml"\n', "c.toml"), environ={})


@pytest.mark.parametrize("text", ["[" * 500_000, "1" * 5_000], ids=["nesting", "number"])
@pytest.mark.parametrize(("suffix", "before"), [("json", ""), ("toml", "a = "), ("yaml", "a: ")])
def test_what_a_parser_cannot_hold_is_an_error_of_the_file(tmp_path, suffix, before, text):
    file = tmp_path / f"podrunner.{suffix}"
    file.write_text(before + text)
    with pytest.raises(ConfigError, match="a number that is too long, or is nested too deeply"):
        RunnerConfig.from_file(file)

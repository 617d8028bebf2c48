"""Each option of Airflow is converted to its setting, or reported by name."""

from __future__ import annotations

import pytest
from podrunner.config import AirflowSettings, RunnerConfig
from podrunner.config.airflow.options import FREE_SECTIONS, OPTIONS
from podrunner.config.environment import _setting
from podrunner.config.location import SourceLocation
from podrunner.errors import ConfigError

# option, what is written, setting, what comes of it
DIRECT = [
    ("worker_container_image_pull_policy", "Always", "image_pull_policy", "Always"),
    ("image_pull_secrets", "one, two,", "image_pull_secrets", ("one", "two")),
    ("worker_service_account_name", "airflow", "service_account_name", "airflow"),
    ("env_from_configmap_ref", "a , b", "env_from_configmaps", ("a", "b")),
    ("env_from_secret_ref", "a", "env_from_secrets", ("a",)),
    ("affinity", '{"podAffinity": {}}', "affinity", {"podAffinity": {}}),
    ("tolerations", '[{"key": "a"}]', "tolerations", ({"key": "a"},)),
    ("run_as_user", "50000", "run_as_user", 50000),
    ("run_as_user", "", "run_as_user", None),
    ("fs_group", "7", "fs_group", 7),
    ("airflow_configmap", "cm", "airflow.configmap", "cm"),
    ("airflow_local_settings_configmap", "cm", "airflow.local_settings_configmap", "cm"),
    ("namespace", "jobs", "namespace", "jobs"),
    ("verify_ssl", "False", "verify_ssl", False),
    ("enable_tcp_keepalive", "f", "tcp_keepalive.enabled", False),
    ("tcp_keep_idle", "60", "tcp_keepalive.idle_s", 60),
    ("tcp_keep_intvl", "5", "tcp_keepalive.interval_s", 5),
    ("tcp_keep_cnt", "3", "tcp_keepalive.count", 3),
    ("delete_worker_pods", "False", "delete_pods", False),
    ("delete_worker_pods_on_failure", "True # all of them", "delete_pods_on_failure", True),
    ("worker_pods_pending_timeout", "600", "pending.startup_timeout_s", 600),
]

CONVERTED = [
    ("worker_pod_pending_fatal_container_state_reasons", "A, B", "pending.fatal_reasons", ("A", "B")),
    ("worker_container_repository", "airflow", "image", "airflow"),
    ("worker_pods_creation_batch_size", "16", "max_creates_in_flight", 16),
    ("worker_pods_creation_batch_size", "1", "max_creates_in_flight", None),
    ("pod_creation_max_concurrency", "32", "max_creates_in_flight", 32),
    ("pod_creation_max_concurrency", "0", "max_creates_in_flight", None),
    ("task_publish_max_retries", "3", "create_retry.attempts", 4),
    ("task_publish_max_retries", "-1", "create_retry.attempts", 0),
    ("task_publish_max_retries", "0", "create_retry.attempts", 8),
    ("pod_launch_failure_retries", "0", "run_retry.infrastructure_retries", 0),
    ("multi_namespace_mode", "True", "all_namespaces", True),
    ("delete_option_kwargs", '{"grace_period_seconds": 10}', "delete_grace_period_s", 10),
    ("delete_option_kwargs", '{"gracePeriodSeconds": 0}', "delete_grace_period_s", 0),
    ("kube_client_request_args", '{"_request_timeout": [5, 60]}', "request_timeout_s", 60),
    ("kube_client_request_args", '{"_request_timeout": [5, 60]}', "connect_timeout_s", 5),
    ("kube_client_request_args", '{"_request_timeout": 7.5}', "request_timeout_s", 7.5),
    ("kube_client_request_args", "{}", "request_timeout_s", 30),
    ("api_client_retry_configuration", '{"total": 3, "backoff_factor": 0.5}', "retry.attempts", 4),
    ("api_client_retry_configuration", '{"total": 3, "backoff_factor": 0.5}', "create_retry.initial_s", 0.5),
    ("in_cluster", "False", "cluster", "kubeconfig"),
    ("in_cluster", "", "cluster", "in-cluster"),
]


def setting(config, path):
    for part in path.split("."):
        config = getattr(config, part)
    return config


BY_KEY = {option.key: option for option in OPTIONS}
SHAPES_THE_POD = {option.key for option in OPTIONS if option.in_template}


def version_with(key, section, versions=("1.10.15", "2.4.3", "2.11.2", "3.3.2")):
    """Return a version of Airflow that has an option and reads a section, as the variable that sets it."""
    option = BY_KEY[key]
    places = [place for place in option.places if place.section == section]
    having = [v for v in versions if option.is_in([v]) and any(place.is_read_by([v]) for place in places)]
    return {"PODRUNNER_AIRFLOW__VERSION": having[0]}


@pytest.mark.parametrize(("option", "text", "path", "value"), [*DIRECT, *CONVERTED])
def test_an_option_goes_into_its_setting(load, option, text, path, value):
    environ = version_with(option, "kubernetes")
    loaded = load(f"[kubernetes]\ndags_in_image = True\n{option} = {text}\n", environ)
    assert setting(loaded.config, path) == value
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("option", "text", "path", "value"),
    [row for row in [*DIRECT, *CONVERTED] if row[0] not in {*SHAPES_THE_POD, "worker_container_repository"}],
)
def test_an_option_of_the_newer_section_goes_into_its_setting(load, option, text, path, value):
    environ = version_with(option, "kubernetes_executor")
    loaded = load(f"[kubernetes_executor]\n{option} = {text}\n", environ)
    assert setting(loaded.config, path) == value
    assert loaded.warnings == ()


REMOVED = [row for row in DIRECT if row[0] in SHAPES_THE_POD]


@pytest.mark.parametrize(("option", "text", "path", "value"), REMOVED)
def test_an_option_that_shapes_the_pod_has_no_effect_in_later_versions(load, option, text, path, value):
    """F1: from 2.0 on the template is the whole pod, and these options are not read."""
    config = load(f"[kubernetes_executor]\nnamespace = default\n{option} = {text}\n").config
    whole = RunnerConfig(airflow=AirflowSettings())
    assert setting(config, path) == setting(whole, path)


@pytest.mark.parametrize(("option", "text", "path", "value"), [*DIRECT, *CONVERTED])
def test_a_variable_means_the_same_as_the_option_in_the_file(load, option, text, path, value):
    environ = {f"AIRFLOW__KUBERNETES__{option.upper()}": text}
    assert setting(load("[kubernetes]\ndags_in_image = True\n", environ).config, path) == value


@pytest.mark.parametrize(
    "option",
    [o for o in OPTIONS if o.setting is None and o.reader == "launcher" and not o.decided],
    ids=lambda o: o.key,
)
def test_an_option_without_meaning_is_reported_by_name(load, option):
    section = option.section[-1]
    dags = "[kubernetes]\ndags_in_image = True\n"
    text = dags if section == "kubernetes" else f"{dags}[{section}]\n"
    environ = version_with(option.key, section)
    departing = load(f"{text}{option.key} = something\n", environ)
    assert ("warning", option.key) in [(finding.level, finding.key) for finding in departing.findings]
    for default in filter(None, (option.default, *option.later_defaults)):
        escaped = default.replace("%", "%%")
        at_default = load(f"{text}{option.key} = {escaped}\n", environ)
        assert ("note", option.key) in [(finding.level, finding.key) for finding in at_default.findings]
        assert at_default.warnings == ()


def test_airflows_whole_default_file_gives_no_warning(load):
    lines = [
        f"{option.key} = {option.default.replace('%', '%%')}\n"
        for option in OPTIONS
        if "kubernetes" in option.section and option.key != "dags_in_image"
    ]
    assert load(f"[kubernetes]\ndags_in_image = True\n{''.join(lines)}").warnings == ()


def test_every_setting_that_the_table_names_exists():
    paths = [path for option in OPTIONS for path in (option.setting or "").split(", ") if path]
    for path in [*paths, *(section.setting for section in FREE_SECTIONS)]:
        _setting(path.split("."), SourceLocation("test"), RunnerConfig, prefix="")


def test_no_option_stands_twice_in_the_table():
    names = [name for option in OPTIONS for name in (option.key, *option.aliases)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize(
    ("option", "text", "says"),
    [
        ("delete_worker_pods", "maybe", "not a truth value (value: 'maybe'). Write True or False"),
        ("run_as_user", "root", "not a whole number (value: 'root')"),
        ("affinity", '{"a": }', "not JSON: line 1, column 7: expecting value"),
        ("affinity", "[]", "not a JSON object (value: '[]')"),
        ("tolerations", '{"a": 1}', "not a JSON list"),
        ("kube_client_request_args", '{"_request_timeout": "long"}', "_request_timeout is not a time"),
        ("kube_client_request_args", '{"_request_timeout": [1]}', "Write seconds, or [connect, read]"),
        ("kube_client_request_args", '{"_request_timeout": [true, 1]}', "not a time"),
        ("namespace", "Bad_Name", "not a valid namespace (value: 'Bad_Name')"),
        ("tolerations", "[3]", "[0]: must be a mapping (value: 3)"),
        ("tcp_keep_cnt", "0", "must be at least 1 "),
        ("worker_container_image_pull_policy", "Sometimes", "Use 'Always', 'IfNotPresent' or 'Never'"),
        ("api_client_retry_configuration", '{"total": "many"}', "total is not a number of retries"),
        ("api_client_retry_configuration", '{"backoff_factor": 0}', "greater than 0"),
        ("delete_option_kwargs", '{"grace_period_seconds": -1}', "must be at least 0 "),
    ],
)
def test_a_wrong_value_names_file_section_key_value_and_remedy(load, option, text, says):
    with pytest.raises(ConfigError) as caught:
        load(f"[kubernetes]\ndags_in_image = True\n{option} = {text}\n")
    error = caught.value
    assert error.source.endswith("airflow.cfg")
    assert (error.section, error.key) == ("kubernetes", option)
    assert says in str(error)


def test_an_error_in_json_of_several_lines_names_the_line(load):
    with pytest.raises(ConfigError, match="line 3, column 1"):
        load('[kubernetes]\ndags_in_image = True\naffinity = {\n  "a": 1,\n  b\n  }\n')


def test_the_newer_section_wins(load):
    both = "[kubernetes]\ndags_in_image = True\nnamespace = old\n[kubernetes_executor]\nnamespace = new\n"
    assert load(both).config.namespace == "new"


def test_image_and_tag_make_the_image(load):
    text = "[kubernetes]\ndags_in_image = True\nworker_container_repository = a/b\nworker_container_tag = 7\n"
    assert load(text).config.image == "a/b:7"


def test_neither_image_nor_tag_is_no_image(load):
    """Airflow made ":" of it."""
    assert load("[kubernetes]\ndags_in_image = True\n").config.image is None


def test_a_tag_alone_is_a_warning(load):
    (finding,) = load("[kubernetes]\ndags_in_image = True\nworker_container_tag = 7\n").findings
    assert "worker_container_repository" in str(finding)


def test_an_explicit_kubeconfig(load):
    text = (
        "[kubernetes]\ndags_in_image = True\nin_cluster = False\nconfig_file = ~/k\ncluster_context = dev\n"
    )
    config = load(text).config
    assert (config.cluster, str(config.kubeconfig), config.context) == ("kubeconfig", "/home/u/k", "dev")


def test_a_kubeconfig_beside_in_cluster_is_a_warning(load):
    loaded = load("[kubernetes]\ndags_in_image = True\nconfig_file = /k\n")
    assert loaded.config.kubeconfig is None
    assert [finding.key for finding in loaded.warnings] == ["config_file"]


def test_the_namespaces_of_multi_namespace_mode(load):
    text = "[kubernetes]\ndags_in_image = True\nmulti_namespace_mode_namespace_list = a,b\n"
    assert [finding.key for finding in load(text).warnings] == ["multi_namespace_mode_namespace_list"]
    config = load(text + "multi_namespace_mode = True\n").config
    assert (config.namespaces, config.all_namespaces) == (("a", "b"), False)


@pytest.mark.parametrize(
    "option", ["kube_client_request_args", "delete_option_kwargs", "api_client_retry_configuration"]
)
def test_arguments_without_meaning_are_warnings(load, option):
    (finding,) = load(f'[kubernetes]\ndags_in_image = True\n{option} = {{"pretty": "x", "b": 1}}\n').warnings
    assert finding.key == option
    assert "pretty, b" in finding.message


def test_free_sections_keep_the_case_of_their_keys(load):
    """Airflow 1.10.4 lower-cased every key, which corrupted names of variables, labels and selectors."""
    config = load(
        """
        [kubernetes]
        dags_in_image = True
        [kubernetes_environment_variables]
        HTTP_Proxy = http://$HOST:80%%
        [kubernetes_secrets]
        Conn = secret=key
        [kubernetes_labels]
        Team = Blue
        [kubernetes_annotations]
        example.com/Note = a = b
        [kubernetes_node_selectors]
        diskType = ssd
        """,
        {"HOST": "expanded"},
    ).config
    assert config.env == {"HTTP_Proxy": "http://$HOST:80%"}
    assert config.secret_env == {"Conn": ("secret", "key")}
    assert config.labels == {"Team": "Blue"}
    assert config.annotations == {"example.com/Note": "a = b"}
    assert config.node_selector == {"diskType": "ssd"}


def test_the_error_of_a_wrong_entry_in_a_free_section_names_its_location(load):
    with pytest.raises(ConfigError, match=r"\[kubernetes_labels\] Team: not a valid label value"):
        load("[kubernetes]\ndags_in_image = True\n[kubernetes_labels]\nTeam = a b\n")
    with pytest.raises(ConfigError, match=r"\[kubernetes_secrets\] A: .*secret-name=key"):
        load("[kubernetes]\ndags_in_image = True\n[kubernetes_secrets]\nA = b\n")


def test_plain_variables_that_look_like_secrets_go_into_the_pods_secret(load):
    text = "[kubernetes]\ndags_in_image = True\n[kubernetes_environment_variables]\nAIRFLOW__CORE__FERNET_KEY = k\n"
    loaded = load(text)
    assert loaded.config.env == {}
    assert loaded.config.credentials["AIRFLOW__CORE__FERNET_KEY"].get_secret_value() == "k"
    assert [finding.level for finding in loaded.findings] == ["note"]


def test_the_pod_template_is_read_from_beside_the_file(load, write):
    write("kind: Pod\nmetadata: {labels: {a: b}}\n", "pod.yaml")
    config = load("[kubernetes]\npod_template_file = pod.yaml\n").config
    assert config.pod_template["metadata"] == {"labels": {"a": "b"}}


def test_a_missing_pod_template_names_the_option(load):
    with pytest.raises(ConfigError, match=r"\[kubernetes\] pod_template_file: .*cannot be read"):
        load("[kubernetes]\npod_template_file = pod.yaml\n")


def test_defaults_of_the_model_are_airflows_where_the_table_says_so(load):
    config = load("[kubernetes]\ndags_in_image = True\n").config
    assert config.image_pull_policy == "IfNotPresent"
    assert config.pending == RunnerConfig().pending

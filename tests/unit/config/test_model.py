"""RunnerConfig as a value: complete by default, closed, checked as a whole."""

from __future__ import annotations

import pytest
from podrunner.config import (
    LOCAL_IMAGE,
    AirflowSettings,
    DagsFromClaim,
    DagsFromGit,
    RetrySettings,
    RunnerConfig,
    SecretRef,
    WatchSettings,
)
from podrunner.errors import ConfigError
from podrunner.workload import Resources
from pydantic import ValidationError


def test_every_setting_has_a_default():
    config = RunnerConfig()
    assert (config.cluster, config.namespace, config.watch.page_size) == ("auto", "default", 500)
    assert config.airflow is None


def test_a_setting_may_be_none_only_where_none_is_its_default():
    """TOML has no null, so a default other than None could not be switched off in a file."""
    for model in (RunnerConfig, AirflowSettings, DagsFromGit, DagsFromClaim, WatchSettings, Resources):
        for name, field in model.model_fields.items():
            if "None" in str(field.annotation):
                assert field.default is None, f"{model.__name__}.{name}"


@pytest.mark.parametrize(
    ("values", "key", "says"),
    [
        ({"nonsense": 1}, "nonsense", "unknown setting"),
        ({"namespce": "x"}, "namespce", "Did you mean 'namespace'?"),
        ({"watch": {"pagesize": 1}}, "watch.pagesize", "Did you mean 'page_size'?"),
        ({"airflow": {"dags": {"kind": "claim", "clam": "x"}}}, "airflow.dags.claim", "is missing"),
        (
            {"airflow": {"dags": {"kind": "claim", "claim": "x", "subpat": "y"}}},
            "airflow.dags.subpat",
            "'subpath'",
        ),
        ({"airflow": {"dags": {"kind": "clam"}}}, "airflow.dags", "'claim'"),
        ({"watch": {"page_size": 0}}, "watch.page_size", "must be at least 1 "),
        ({"cluster": "cloud"}, "cluster", "Use 'auto', 'local', 'in-cluster' or 'kubeconfig'"),
        ({"namespace": "Not_Valid"}, "namespace", "not a valid namespace"),
        ({"image": 1}, "image", "must be text"),
        ({"labels": {"a b": "c"}}, "labels.a b", "not a valid label key"),
        ({"labels": {"a": "-"}}, "labels.a", "not a valid label value"),
        ({"annotations": {"/": "c"}}, "annotations./", "not a valid annotation key"),
        ({"env": {"A=": "c"}}, "env.A=", "name of an environment variable"),
        ({"secret_env": {"A": "b"}}, "secret_env.A", "secret-name=key"),
        ({"secret_env": {"A": {"secret": "a", "kez": "b"}}}, "secret_env.A.key", "is missing"),
        ({"tolerations": [{}, 3]}, "tolerations[1]", "must be a mapping"),
        ({"pending": {"image_grace_s": -1}}, "pending.image_grace_s", "must be at least 0 "),
        ({"retry": {"initial_s": 5, "max_s": 1}}, "retry", "Make it longer"),
        ({"watch": {"backoff_initial_s": 5, "backoff_max_s": 1}}, "watch", "Make it longer"),
        ({"pod_template": "pod.yaml"}, "pod_template", "Path(...)"),
        ({"resources": {"cpu_request": "much"}}, "resources.cpu_request", "quantity"),
        ({"airflow": {"home": "airflow"}}, "airflow.home", "absolute path"),
        ({"run_timeout_s": float("inf")}, "run_timeout_s", "finite"),
    ],
)
def test_an_error_names_the_setting_and_the_remedy(values, key, says):
    with pytest.raises(ConfigError) as caught:
        RunnerConfig(**values)
    assert caught.value.key == key
    assert says in str(caught.value)
    assert str(caught.value).startswith("RunnerConfig(...): ")


def test_all_wrong_settings_are_named_at_once():
    with pytest.raises(ConfigError, match=r"page_size: .* \(also wrong: namespce, imge\)"):
        RunnerConfig(namespce="x", imge="y", watch={"page_size": 0})


def test_the_error_of_a_nested_setting_alone_names_its_class():
    with pytest.raises(ConfigError, match=r"RetrySettings\(...\): attempts"):
        RetrySettings(attempts=-1)


def test_a_union_without_its_kind_is_an_error():
    with pytest.raises(ConfigError, match=r"airflow.dags: .*kind"):
        RunnerConfig(airflow={"dags": {"claim": "x"}})


def test_configurations_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RunnerConfig().namespace = "other"


@pytest.mark.parametrize(
    "written",
    ["airflow-secrets=conn", ("airflow-secrets", "conn"), {"secret": "airflow-secrets", "key": "conn"}],
)
def test_a_reference_to_a_secret_is_written_in_three_ways(written):
    reference = RunnerConfig(secret_env={"CONN": written}).secret_env["CONN"]
    assert reference == SecretRef("airflow-secrets", "conn")
    assert (reference.secret, reference.key) == ("airflow-secrets", "conn")


def test_on_a_local_cluster_the_image_is_this_machine():
    assert RunnerConfig(cluster="local").image == LOCAL_IMAGE
    assert RunnerConfig(cluster="local", image="busybox").image == "busybox"
    assert RunnerConfig().image is None


def test_with_changes_validates_the_whole():
    config = RunnerConfig(namespace="a").with_changes(cluster="local", image=None)
    assert (config.namespace, config.image) == ("a", LOCAL_IMAGE)
    with pytest.raises(ConfigError, match="Did you mean 'namespace'"):
        config.with_changes(namespaze="b")
    assert config.watch.with_changes(page_size=7).page_size == 7


def test_a_new_cluster_drops_the_access_to_the_old_one():
    old = RunnerConfig(cluster="kubeconfig", kubeconfig="/k", context="c")
    new = old.with_changes(cluster="in-cluster")
    assert (new.kubeconfig, new.context) == (None, None)
    assert new.with_changes(kubeconfig="/k").cluster == "kubeconfig"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"all_namespaces": True, "namespaces": ("a",)}, "all_namespaces and namespaces exclude each other"),
        ({"cluster": "local", "kubeconfig": "/k"}, "cluster = 'local' and kubeconfig exclude each other"),
        ({"cluster": "in-cluster", "context": "c"}, "cluster = 'in-cluster' and context exclude each other"),
        ({"env": {"A": "1"}, "secret_env": {"A": "b=c"}}, "variable A is set in two"),
        ({"env": {"A": "1"}, "credentials": {"A": "c"}}, "variable A is set in two"),
    ],
)
def test_settings_that_exclude_each_other_are_refused(values, says):
    with pytest.raises(ConfigError, match=says):
        RunnerConfig(**values)


@pytest.mark.parametrize(
    "ways",
    [
        {"password": "x", "ssh_key_secret": "key"},
        {"username": "u", "credentials_secret": "both"},
        {"credentials_secret": "both", "ssh_key_secret": "key"},
    ],
)
def test_git_takes_one_kind_of_credentials(ways):
    with pytest.raises(ConfigError, match="exclude each other"):
        DagsFromGit(repo="https://x/y", mount_point="/dags", **ways)


def test_watched_namespaces_begin_with_the_own_one_and_repeat_none():
    assert RunnerConfig(namespace="b", namespaces=("a", "b")).watched_namespaces == ("b", "a")


def test_airflow_folders_follow_the_home():
    settings = AirflowSettings(home="/root/airflow/")
    assert (settings.dags_folder, settings.base_log_folder) == ("/root/airflow/dags", "/root/airflow/logs")
    assert AirflowSettings(dags_folder="/dags").dags_folder == "/dags"


@pytest.mark.parametrize("path", ["/a", "a/../b", "a\0b"])
def test_a_subpath_stays_inside_its_volume(path):
    with pytest.raises(ConfigError, match="relative path"):
        DagsFromClaim(claim="dags", subpath=path)


@pytest.mark.parametrize("name", ["", "-", "a" * 64, "a.b"])
def test_a_namespace_is_a_dns_label(name):
    with pytest.raises(ConfigError, match="namespace"):
        RunnerConfig(namespace=name)


@pytest.mark.parametrize("name", ["", "a..b", "A", "a" * 254])
def test_an_object_name_is_a_dns_subdomain(name):
    with pytest.raises(ConfigError, match="object name"):
        RunnerConfig(service_account_name=name)


@pytest.mark.parametrize("key", ["a", "A_b.c", "example.com/a", "kubernetes.io/hostname"])
def test_qualified_names_are_accepted(key):
    assert RunnerConfig(labels={key: ""}, annotations={key: "ü"}).labels == {key: ""}


@pytest.mark.parametrize("key", ["", "/a", "Example.com/a", "a/b/c", "a" * 64, "ü"])
def test_other_label_keys_are_refused(key):
    with pytest.raises(ConfigError):
        RunnerConfig(labels={key: "x"})


def test_pydantic_may_revalidate_without_loss():
    config = RunnerConfig(airflow={"dags": {"kind": "claim", "claim": "dags"}}, secret_env={"A": "b=c"})
    assert RunnerConfig.model_validate(config.model_dump()) == config


@pytest.mark.parametrize("url", ["http://{host}:8793/log/{path}", "https://x/{path}", "http://h/a{path}b"])
def test_a_log_server_is_named_by_a_url_with_a_path(url):
    assert RunnerConfig(logs={"server_url": url}).logs.server_url == url


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "url",
    [
        *(
            "",
            "ftp://h/{path}",
            "http://{path}",
            "http://h/log",
            "http://u:p@h/{path}",
            "http://h/{path}?a=b",
        ),
        *("http://h/{path}\n", "http://h/{path} x", "http://h/" + "{path}" * 20_000 + "?"),
    ],
)
def test_another_url_of_a_log_server_is_refused_in_words(url):
    with pytest.raises(
        ConfigError, match=r"must be an http or https URL with \{path\} in its path"
    ) as caught:
        RunnerConfig(logs={"server_url": url})
    assert "^http" not in str(caught.value)

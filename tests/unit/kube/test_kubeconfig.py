"""Kubeconfig files are read as kubectl reads them."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path

import pytest
import yaml
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError
from podrunner.kube.cluster_choice import kubeconfig_of
from podrunner.kube.kubeconfig import kubeconfig_paths, read_kubeconfig
from podrunner.local.certificates import make_certificates


def test_the_path_given_comes_first_then_the_list_then_the_home():
    listed = {"KUBECONFIG": f"/a{os.pathsep}{os.pathsep}/b", "HOME": "/home/x"}
    assert kubeconfig_paths(Path("/given"), listed) == (Path("/given"),)
    assert kubeconfig_paths(None, listed) == (Path("/a"), Path("/b"))
    assert kubeconfig_paths(None, {"HOME": "/home/x"}) == (Path("/home/x/.kube/config"),)
    assert kubeconfig_paths(None, {}) == (Path.home() / ".kube/config",)


def test_the_current_context_gives_server_user_and_namespace(write):
    found = read_kubeconfig([write(namespace="airflow")])
    assert (found.context, found.namespace, found.url) == ("main", "airflow", "https://api.example:6443")
    assert found.authorization == "Bearer secret-token"
    assert found.is_static
    assert found.tls.verify


def test_another_context_can_be_asked_for(tmp_path, write):
    document = yaml.safe_load(write().read_text())
    document["contexts"].append({"name": "other", "context": {"cluster": "d", "user": ""}})
    document["clusters"].append({"name": "d", "cluster": {"server": "http://d.example/"}})
    path = tmp_path / "two"
    path.write_text(yaml.safe_dump(document))
    found = read_kubeconfig([path], context="other")
    assert (found.url, found.authorization, found.namespace) == ("http://d.example", None, None)


def test_of_several_files_the_first_entry_counts_and_missing_files_are_passed_over(tmp_path, write):
    first = write({"token": "first"}, name="one/config")
    second = write({"token": "second"}, {"server": "https://second.example"}, name="two/config")
    found = read_kubeconfig([tmp_path / "none", first, second])
    assert (found.authorization, found.url) == ("Bearer first", "https://api.example:6443")
    assert found.source == os.pathsep.join([str(first), str(second)])


def test_files_are_named_relative_to_the_kubeconfig_that_names_them(tmp_path, write):
    certificates = make_certificates()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "ca.crt").write_text(certificates.authority)
    (tmp_path / "sub" / "me.crt").write_text(certificates.chain)
    user = {
        "client-certificate": "me.crt",
        "client-key-data": base64.b64encode(b"key").decode(),
        "tokenFile": "t",
    }
    found = read_kubeconfig([write(user, {"certificate-authority": "ca.crt"}, name="sub/config")])
    assert found.tls.ca == tmp_path / "sub" / "ca.crt"
    assert found.tls.certificate == tmp_path / "sub" / "me.crt"
    assert found.tls.key == b"key"
    assert found.token_file == tmp_path / "sub" / "t"


def test_cluster_settings_are_taken(write):
    cluster = {
        "insecure-skip-tls-verify": True,
        "tls-server-name": "kubernetes",
        "proxy-url": "http://proxy:3128",
    }
    found = read_kubeconfig([write({}, cluster)])
    assert (found.tls.verify, found.tls.server_name, found.proxy) == (
        False,
        "kubernetes",
        "http://proxy:3128",
    )
    assert found.authorization is None


def test_a_password_is_sent_as_basic(write):
    found = read_kubeconfig([write({"username": "me", "password": "pä"})])
    assert found.authorization == "Basic " + base64.b64encode("me:pä".encode()).decode()


@pytest.mark.parametrize("user", [{"exec": {"command": "x"}}, {"auth-provider": {"name": "oidc"}}])
def test_what_is_not_static_is_reported(write, user):
    assert not read_kubeconfig([write(user)]).is_static


def test_a_missing_file_is_named_with_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match="no kubeconfig is there") as caught:
        read_kubeconfig([tmp_path / "gone"])
    assert str(tmp_path / "gone") in str(caught.value)
    assert "--kubeconfig" in str(caught.value)
    assert "--local" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[1, 2]", "no mapping"),
        ("", "no mapping"),
        ("a: [", r"not YAML \(line"),
        ("users: &a\n- *b\n", "not YAML"),
        ("a: \x00", "not YAML"),
        ("current-context: x", "no context 'x'"),
        ("contexts: nonsense", "no current context"),
        ("current-context: x\ncontexts: [{name: x}]", "names no cluster"),
        ("current-context: x\ncontexts: [{name: x, context: {cluster: c}}]", "no cluster 'c'"),
        (
            "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters: [{name: c}, 3]",
            "no user 'u'",
        ),
    ],
)
def test_a_malformed_file_is_an_error_that_says_where(tmp_path, text, problem):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem) as caught:
        read_kubeconfig([path])
    assert str(path) in str(caught.value)


def test_what_there_is_to_choose_from_is_reported(write):
    with pytest.raises(ConfigError, match="There are: main"):
        read_kubeconfig([write()], context="typo")


def test_a_yaml_error_quotes_no_secret(tmp_path):
    path = tmp_path / "config"
    path.write_text('users: [{name: u, user: {token: "hunter2}}]')
    with pytest.raises(ConfigError) as caught:
        read_kubeconfig([path])
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_file_that_may_not_be_looked_at_is_an_error_not_a_missing_file(tmp_path):
    """As where a folder above it may not be entered; a name that is too long fails alike, and for root too."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_kubeconfig([tmp_path / ("x" * 300)])


def test_a_folder_is_no_kubeconfig(tmp_path):
    with pytest.raises(ConfigError, match="cannot be read"):
        read_kubeconfig([tmp_path])


@pytest.mark.parametrize(
    ("user", "cluster", "problem"),
    [
        ({}, {"server": "api.example"}, "no http"),
        ({}, {"server": None}, "no http"),
        ({}, {"certificate-authority": "gone.crt"}, "there is no file"),
        ({}, {"certificate-authority": "x" * 300}, "there is no file"),
        ({}, {"certificate-authority-data": "a"}, "not base64"),
        ({"client-certificate": "gone.crt"}, {}, "there is no file"),
    ],
)
def test_a_setting_that_cannot_be_used_is_named(write, user, cluster, problem):
    found = read_kubeconfig([write(user, cluster)])
    with pytest.raises(ConfigError, match=problem) as caught:
        _ = found.url, found.tls
    assert caught.value.key is not None


@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"token": "t"}, {"insecure-skip-tls-verify": True}),
        ({"username": "me", "password": "pw"}, {"tls-server-name": "kubernetes", "proxy-url": "http://p:1"}),
        ({"client-certificate": "me.crt", "client-key": "me.key"}, {"certificate-authority": "ca.crt"}),
        ({"tokenFile": "t"}, {}),
        ({}, {"certificate-authority-data": "Q0E="}),
    ],
)
def test_kubernetes_asyncio_reads_the_same(tmp_path, write, user, cluster):
    """The reading of static users here stands in for kubernetes-asyncio's: both must say the same."""
    from kubernetes_asyncio.client import Configuration
    from kubernetes_asyncio.config import load_kube_config

    for name in ("me.crt", "me.key", "ca.crt", "t"):
        (tmp_path / name).write_text(name)
    path = write(user, cluster)
    theirs = Configuration()
    theirs.api_key = {}
    asyncio.run(
        load_kube_config(str(path), client_configuration=theirs, temp_file_path=str(tmp_path / "tmp"))
    )
    ours = read_kubeconfig([path])
    value = f"Bearer {ours.token_file.read_text()}" if ours.token_file else ours.authorization
    assert value == theirs.api_key.get("BearerToken")
    assert ours.url == theirs.host
    assert (ours.tls.verify, ours.tls.server_name) == (theirs.verify_ssl, theirs.tls_server_name)
    assert ours.proxy == theirs.proxy
    for mine, other in ((ours.tls.ca, theirs.ssl_ca_cert), (ours.tls.certificate, theirs.cert_file)):
        content = mine.read_bytes() if isinstance(mine, Path) else mine
        assert content == (Path(other).read_bytes() if other else None)


@pytest.mark.parametrize("content", ["", "\n \n", "# a comment\n", "---\n", "null\n"])
@pytest.mark.parametrize("empty_first", [True, False])
def test_an_empty_file_among_several_is_passed_over(tmp_path, write, content, empty_first):
    """K1: as with kubectl 1.32, where the other file's current context counts."""
    empty, real = tmp_path / "empty", write(namespace="team")
    empty.write_text(content)
    found = read_kubeconfig([empty, real] if empty_first else [real, empty])
    assert (found.context, found.namespace, found.paths) == ("main", "team", (real,))


def test_a_file_that_holds_something_else_is_not_passed_over(tmp_path, write):
    """K1: only a file without content is empty; `[]` and `false` are mistakes."""
    for content in ("[]", "false", "0", "''"):
        (tmp_path / "wrong").write_text(content)
        with pytest.raises(ConfigError, match="no mapping"):
            read_kubeconfig([tmp_path / "wrong", write()])


@pytest.mark.parametrize("token", ["t0\n", " t0 ", "t0\r\n\t"])
def test_a_token_is_trimmed(write, token):
    """K4."""
    assert read_kubeconfig([write({"token": token})]).authorization == "Bearer t0"


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ({"token": "a\nb"}, r"users\[u\].token: the token is blank, or has a line break or another control"),
        ({"token": "a\x7fb"}, "the token is blank, or has a line break"),
        ({"token": "\n"}, r"users\[u\].token: the token is blank"),
        ({"token": "t", "password": "p"}, r"users\[u\].token: a token and a password are given"),
        ({"token": 83}, r"users\[u\].token: this is no text but a number. Put it in quotes"),
        ({"username": True, "password": "p"}, "this is no text but the value true"),
    ],
)
def test_a_user_that_cannot_be_sent_is_one_sentence(write, user, problem):
    """K4: as kubectl refuses them, but for blanks around a token."""
    with pytest.raises(ConfigError, match=problem):
        _ = read_kubeconfig([write(user)]).authorization


def test_impersonated_groups_and_extras_are_headers_that_repeat(write):
    """K4."""
    user = {
        "token": "t",
        "as": "jane",
        "as-uid": "7",
        "as-groups": ["b", "a"],
        "as-user-extra": {"scopes": ["view", "edit"], "acme.com/a%ä": ["x"]},
    }
    assert read_kubeconfig([write(user)]).impersonation == (
        ("Impersonate-User", "jane"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Group", "b"),
        ("Impersonate-Group", "a"),
        ("Impersonate-Extra-acme.com%2Fa%25%C3%A4", "x"),
        ("Impersonate-Extra-scopes", "view"),
        ("Impersonate-Extra-scopes", "edit"),
    )
    assert read_kubeconfig([write()]).impersonation == ()


@pytest.mark.parametrize(
    ("user", "problem"),
    [
        ({"as-groups": ["a"]}, r"users\[u\].as: groups, a UID or extras are impersonated without a user"),
        ({"as": "a\r\nX-Own: b"}, "Impersonate-User has a line break or another control character"),
        ({"as": "a", "as-groups": ["b\n"]}, "Impersonate-Group has a line break"),
        ({"as": "a", "as-groups": "b"}, r"users\[u\].as-groups: this is no list of texts"),
        (
            {"as": "a", "as-user-extra": ["b"]},
            r"users\[u\].as-user-extra: this is no mapping of lists of texts",
        ),
        ({"as": "a", "as-user-extra": {"b": "c"}}, "this is no mapping of lists of texts"),
        ({"as": 7}, "this is no text but a number"),
    ],
)
def test_an_impersonation_that_cannot_be_sent_is_named(write, user, problem):
    """K4."""
    with pytest.raises(ConfigError, match=problem):
        _ = read_kubeconfig([write({"token": "t", **user})]).impersonation


@pytest.mark.parametrize(
    ("user", "cluster", "problem"),
    [
        ({}, {"insecure-skip-tls-verify": "true"}, "this is neither true nor false but a text"),
        ({}, {"insecure-skip-tls-verify": True, "certificate-authority-data": "Q0E="}, "Keep one of them"),
        (
            {"client-certificate-data": "Q0E="},
            {},
            r"users\[u\].client-key: a client certificate without its key",
        ),
        ({"client-key-data": "Q0E=", "client-key": "k"}, {}, "both this and client-key-data are given"),
        ({}, {"proxy-url": 3128}, "this is no text but a number"),
    ],
)
def test_settings_that_contradict_each_other_are_named(write, user, cluster, problem):
    found = read_kubeconfig([write(user, cluster)])
    with pytest.raises(ConfigError, match=problem):
        _ = found.tls, found.proxy


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("kind: Pod", "kind is not Config"),
        ("apiVersion: v2", "apiVersion is not v1"),
        ("current-context: 1", "current-context: this is no text"),
        (
            "{current-context: x, contexts: [{name: x, context: {cluster: c}}, {name: x}]}",
            "two contexts are named 'x'",
        ),
    ],
)
def test_a_file_that_kubectl_refuses_is_refused(tmp_path, text, problem):
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=problem):
        read_kubeconfig([path])


@pytest.mark.parametrize(
    ("scalar", "token"),
    [("2040-01-01", "2040-01-01"), ("12:34", "12:34"), ("1:2.5", "1:2.5"), ("~x", "~x"), ("'1'", "1")],
)
def test_scalars_are_read_as_kubectl_reads_them(write, scalar, token):
    """PyYAML takes the first for a date, and the next two for numbers to the base of sixty."""
    path = write()
    path.write_text(path.read_text().replace("secret-token", scalar))
    assert read_kubeconfig([path]).authorization == f"Bearer {token}"


@pytest.mark.parametrize("user", ["token", "username", "as"])
def test_half_a_surrogate_pair_is_no_yaml(write, user):
    """As for kubectl; it would be no error before the first request, and one of Python's then."""
    path = write({user: "SECRET"})
    path.write_text(path.read_text().replace("SECRET", r'"\ud800"'))
    with pytest.raises(ConfigError, match=r"the kubeconfig is not YAML \(line \d+\)"):
        read_kubeconfig([path])


def test_half_a_surrogate_pair_in_json_is_replaced(write):
    """As by Go: kubectl sends U+FFFD."""
    path = write()
    path.write_text(
        json.dumps(yaml.safe_load(path.read_text())).replace("secret-token", r"a\ud800\ud83d\ude00")
    )
    assert read_kubeconfig([path]).authorization == "Bearer a\ufffd\U0001f600"


def test_binary_scalars_are_texts(write):
    """As for kubectl: ``!!binary`` is base64 of the text."""
    path = write()
    path.write_text(path.read_text().replace("secret-token", "!!binary dA=="))
    assert read_kubeconfig([path]).authorization == "Bearer t"


def test_only_files_with_content_are_counted(tmp_path, write):
    """K1: what a runner names as its kubeconfig is the one file that is used."""
    (tmp_path / "empty").write_text("# nothing\n")
    paths = f"{tmp_path / 'empty'}{os.pathsep}{write()}{os.pathsep}{tmp_path / 'gone'}"
    config = RunnerConfig(cluster="kubeconfig")
    assert kubeconfig_of(config, environ={"KUBECONFIG": paths}) == tmp_path / "config"
    twice = f"{paths}{os.pathsep}{write(name='second')}"
    assert kubeconfig_of(config, environ={"KUBECONFIG": twice}) is None


def test_a_device_without_end_is_no_kubeconfig():
    with pytest.raises(ConfigError, match="larger than 16 MiB"):
        read_kubeconfig([Path("/dev/zero")])

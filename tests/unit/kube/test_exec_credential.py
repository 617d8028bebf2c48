"""What an exec plugin is called with and may answer: client-go's rules."""

from __future__ import annotations

import base64
import json

import pytest
import yaml
from podrunner.errors import ConfigError
from podrunner.kube.exec_credential import exec_info, exec_plugin_of, read_credential
from podrunner.kube.kubeconfig import read_kubeconfig

V1, V1BETA1 = "client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"


@pytest.fixture
def plugin_of(write):
    """Return a function that reads the plugin of a kubeconfig."""

    def plugin_of(cluster=None, **settings):
        given = {"command": "x", "apiVersion": V1, "interactiveMode": "Never", **settings}
        user = {"exec": {key: value for key, value in given.items() if value is not None}}
        return exec_plugin_of(read_kubeconfig([write(user, cluster)]))

    return plugin_of


def test_a_command_with_a_separator_starts_at_the_kubeconfigs_folder(plugin_of, tmp_path):
    """K3."""
    assert plugin_of(command="aws").command == "aws"
    assert plugin_of(command="./x").command == str(tmp_path / "x")
    assert plugin_of(command="bin/x").command == str(tmp_path / "bin" / "x")
    assert plugin_of(command="/opt/x").command == "/opt/x"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"command": None}, r"users\[u\].exec.command: this is missing"),
        ({"apiVersion": None}, r"users\[u\].exec.apiVersion: this is missing. Give client.authentication"),
        ({"apiVersion": f"{V1}alpha1"}, "is not supported"),
        ({"interactiveMode": None}, r"users\[u\].exec.interactiveMode: this is missing. Give Never or"),
        ({"interactiveMode": "Sometimes"}, "'Sometimes' is not supported"),
        ({"args": "a b"}, r"exec.args: this is no list of texts"),
        ({"args": [1]}, r"exec.args: this is no list of texts"),
        ({"env": {"A": "b"}}, "exec.env: this is no list of names and values"),
        ({"env": [{"value": "b"}]}, "exec.env: a variable has no name"),
        ({"env": [{"name": "A", "value": 1}]}, r"users\[u\].exec.env.value: this is no text but a number"),
        ({"env": [{"name": "A=B", "value": "1"}]}, "exec.env: the name of a variable has a '='"),
        ({"provideClusterInfo": "yes"}, "exec.provideClusterInfo: this is neither true nor false but a text"),
    ],
)
def test_settings_that_cannot_be_used_are_named(plugin_of, settings, problem):
    """K3: as kubectl refuses them."""
    with pytest.raises(ConfigError, match=problem):
        plugin_of(**settings)


def test_a_clusters_extension_of_any_yaml_can_be_handed_on(write):
    """K3: what JSON cannot hold is written as by kubectl, or is no kubeconfig."""
    path = write(
        {"exec": {"command": "x", "apiVersion": V1, "interactiveMode": "Never", "provideClusterInfo": True}}
    )
    document = yaml.safe_load(path.read_text())
    document["clusters"][0]["cluster"]["extensions"] = [
        {"name": "client.authentication.k8s.io/exec", "extension": 0}
    ]
    text = yaml.safe_dump(document)
    path.write_text(
        text.replace("extension: 0", "extension: {a: 2020-01-01, b: !!binary aGk=, c: !!set {x}}")
    )
    asked = json.loads(exec_info(exec_plugin_of(read_kubeconfig([path])), interactive=False))
    assert asked["spec"]["cluster"]["config"] == {"a": "2020-01-01", "b": "hi", "c": {"x": None}}


def test_an_exec_that_is_no_mapping_is_named(write):
    with pytest.raises(ConfigError, match=r"users\[u\].exec: this is no mapping"):
        exec_plugin_of(read_kubeconfig([write({"exec": "aws"})]))


def test_in_v1beta1_the_mode_need_not_be_given(plugin_of):
    """K3."""
    assert plugin_of(apiVersion=V1BETA1, interactiveMode=None).interactive_mode == "IfAvailable"


def test_a_plugin_is_told_its_version_and_whether_it_may_ask(plugin_of):
    """K3."""
    asked = json.loads(exec_info(plugin_of(apiVersion=V1BETA1), interactive=True))
    assert asked == {"kind": "ExecCredential", "apiVersion": V1BETA1, "spec": {"interactive": True}}


def test_a_plugin_is_told_of_its_cluster_if_it_wants_to(plugin_of, tmp_path):
    """K3: the authority as data, though it stands in a file."""
    (tmp_path / "ca.crt").write_bytes(b"CA")
    extension = {"name": "client.authentication.k8s.io/exec", "extension": {"audience": "a"}}
    cluster = {
        "certificate-authority": "ca.crt",
        "tls-server-name": "kubernetes",
        "proxy-url": "http://p:1",
        "extensions": [{"name": "other", "extension": 1}, extension],
    }
    asked = json.loads(exec_info(plugin_of(cluster, provideClusterInfo=True), interactive=False))
    assert asked["spec"]["cluster"] == {
        "server": "https://api.example:6443",
        "certificate-authority-data": base64.b64encode(b"CA").decode(),
        "tls-server-name": "kubernetes",
        "proxy-url": "http://p:1",
        "config": {"audience": "a"},
    }


def answer(status, **fields):
    return json.dumps({"kind": "ExecCredential", "apiVersion": V1, "status": status, **fields}).encode()


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (b"", "wrote no ExecCredential"),
        (b"hello hunter2", "wrote no ExecCredential"),
        (b"\x00", "wrote no ExecCredential"),
        (b"[1]", "wrote no ExecCredential"),
        (answer({"token": "t"}, kind="Secret"), "whose kind is not ExecCredential"),
        (answer({"token": "t"}, apiVersion=V1BETA1), f"was asked for {V1} and returned {V1BETA1}"),
        (answer(None), "returned no status"),
        (answer({}), "returned neither a token nor a client certificate"),
        (answer({"token": ""}), "returned neither a token nor a client certificate"),
        (answer({"token": 1}), "returned a token that is no text"),
        (answer({"token": "a\nb"}), "returned a token with a line break"),
        (answer({"token": " \n"}), "returned a token with a line break"),
        (answer({"token": "t", "clientCertificateData": "c"}), "a client certificate or a key, and not both"),
        (answer({"token": "t", "clientKeyData": "c"}), "a client certificate or a key, and not both"),
        (answer({"token": "t", "expirationTimestamp": "soon"}), "an expirationTimestamp that is no time"),
        (answer({"token": "t", "expirationTimestamp": ""}), "an expirationTimestamp that is no time"),
        (answer({"token": "t", "expirationTimestamp": 1}), "an expirationTimestamp that is no time"),
        (answer({"token": "t", "expirationTimestamp": "2030-01-02T03:04:05"}), "that is no time"),
    ],
)
def test_an_answer_that_is_none_is_said_and_not_quoted(plugin_of, output, problem):
    """K3."""
    with pytest.raises(ConfigError, match=problem) as caught:
        read_credential(plugin_of(), output)
    assert "users[u].exec: the credential plugin x" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("timestamp", "expires_at_s"),
    [
        (None, None),
        ("0001-01-01T00:00:00Z", None),
        ("2030-01-02T03:04:05Z", 1893553445.0),
        ("2030-01-02T04:04:05.250000000+01:00", 1893553445.25),
    ],
)
def test_when_a_grant_ends(plugin_of, timestamp, expires_at_s):
    """K3: null and Go's zero time are never."""
    found = read_credential(plugin_of(), answer({"token": "t", "expirationTimestamp": timestamp}))
    assert (found.token, found.expires_at_s) == ("t", expires_at_s)


def test_a_token_is_trimmed_and_a_certificate_is_not(plugin_of):
    """K3, K4."""
    status = {"token": "t\n", "clientCertificateData": "c\n", "clientKeyData": "k\n"}
    found = read_credential(plugin_of(), answer(status))
    assert (found.token, found.certificate, found.key) == ("t", b"c\n", b"k\n")
    assert "k\\n" not in repr(found)

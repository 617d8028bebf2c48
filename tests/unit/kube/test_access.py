"""Where the server is, and how to be let in."""

from __future__ import annotations

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError, TransportError
from podrunner.kube.access import access_of_api_client, explicit_access, open_access
from podrunner.kube.cluster_choice import choose_cluster
from podrunner.local.certificates import make_certificates

pytestmark = pytest.mark.anyio

IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1", "KUBERNETES_SERVICE_PORT": "443"}


@pytest.fixture
def service_account(tmp_path):
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("pod-token\n")
    (folder / "ca.crt").write_text("CA")
    (folder / "namespace").write_text("airflow\n")
    return folder


@pytest.fixture
def home(tmp_path):
    return {"HOME": str(tmp_path / "home")}


async def test_inside_a_pod_its_service_account_lets_in(service_account):
    access = await open_access(RunnerConfig(), environ=IN_POD, service_account=service_account)
    assert (access.url, access.namespace) == ("https://10.96.0.1:443", "airflow")
    assert access.tls.ca == service_account / "ca.crt"
    assert await access.credentials.authorization() == "Bearer pod-token"


async def test_an_ipv6_service_address_is_bracketed(service_account):
    environ = {"KUBERNETES_SERVICE_HOST": "fd00::1"}
    access = await open_access(RunnerConfig(), environ=environ, service_account=service_account)
    assert access.url == "https://[fd00::1]:443"


@pytest.mark.parametrize("environ", [{}, IN_POD])
async def test_in_cluster_outside_of_one_says_what_to_do(tmp_path, environ):
    with pytest.raises(ConfigError) as caught:
        await open_access(
            RunnerConfig(cluster="in-cluster"), environ=environ, service_account=tmp_path / "none"
        )
    for part in ("in_cluster", "does not run in a pod", "--kubeconfig", "--local", 'cluster="local"'):
        assert part in str(caught.value)


def test_auto_is_the_pods_cluster_then_a_kubeconfig(service_account, write, home, tmp_path):
    path = write()
    listed = {"KUBECONFIG": str(path)}

    def choose(environ, config=None, folder=service_account):
        return choose_cluster(config or RunnerConfig(), environ=environ, service_account=folder)

    assert choose({**IN_POD, **listed}) == "in-cluster"
    assert choose({**IN_POD, **listed}, folder=tmp_path / "none") == "kubeconfig"
    assert choose(listed) == "kubeconfig"
    assert choose({**IN_POD, **home}, RunnerConfig(kubeconfig=path)) == "kubeconfig"
    assert choose(home, RunnerConfig(kubeconfig=tmp_path / "gone")) == "kubeconfig", "its absence is reported"
    assert choose(listed, RunnerConfig(cluster="local")) == "local"
    (tmp_path / "home" / ".kube").mkdir(parents=True)
    (tmp_path / "home" / ".kube" / "config").write_text("")
    assert choose(home) == "kubeconfig"


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"HOME": "/nowhere"}, ["KUBERNETES_SERVICE_HOST is not set", "there is no /nowhere/.kube/config"]),
        (
            {"HOME": "/nowhere", "KUBECONFIG": "/gone/a:/gone/b"},
            ["KUBERNETES_SERVICE_HOST is not set", "KUBECONFIG names /gone/a, /gone/b, not there"],
        ),
        ({**IN_POD, "HOME": "/nowhere"}, ["none/token", "there is no /nowhere/.kube/config"]),
    ],
)
async def test_auto_without_a_cluster_is_an_error_that_says_where_it_looked(tmp_path, environ, said):
    """Row V2: never a LocalCluster, which would run the pods on the scheduler's own machine."""
    with pytest.raises(ConfigError) as caught:
        await open_access(RunnerConfig(), environ=environ, service_account=tmp_path / "none")
    assert str(caught.value).startswith("cluster:")
    for part in [*said, 'cluster="local"', "--local", "--kubeconfig"]:
        assert part in str(caught.value)


async def test_a_kubeconfig_is_found_by_its_variable(write):
    environ = {"KUBECONFIG": str(write(namespace="x"))}
    access = await open_access(RunnerConfig(cluster="kubeconfig"), environ=environ)
    assert (access.url, access.namespace) == ("https://api.example:6443", "x")
    assert await access.credentials.authorization() == "Bearer secret-token"
    assert "context main" in access.source


async def test_a_token_file_of_a_user_is_read_again(write, tmp_path):
    (tmp_path / "t").write_text("one")
    access = await open_access(RunnerConfig(kubeconfig=write({"tokenFile": "t"})), environ={})
    (tmp_path / "t").write_text("two")
    assert await access.credentials.renew("Bearer one")
    assert await access.credentials.authorization() == "Bearer two"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"a\nb\n", "the token has a line break or another control character in it"),
        (b"a\x00b", "the token has a line break or another control character in it"),
        (b"\xff\xfe", "the token cannot be read: it is not UTF-8"),
        (b" \n", "the token file is empty"),
        (None, "the token cannot be read: No such file or directory"),
    ],
)
async def test_a_token_file_that_cannot_be_sent_is_one_sentence(write, tmp_path, content, said):
    """K4: it names the entry and the file, and never quotes the token."""
    if content is not None:
        (tmp_path / "t").write_bytes(content)
    config = RunnerConfig(kubeconfig=write({"tokenFile": "t"}))
    with pytest.raises(ConfigError) as caught:
        await open_access(config, environ={})
    assert str(caught.value).startswith(f"{config.kubeconfig}: users[u].tokenFile: {said}")
    assert str(tmp_path / "t") in str(caught.value)


async def test_a_token_files_name_that_no_system_takes_is_one_sentence(write):
    """K4."""
    with pytest.raises(ConfigError, match=r"users\[u\].tokenFile: the token cannot be read"):
        await open_access(RunnerConfig(kubeconfig=write({"tokenFile": "a\0b"})), environ={})


async def test_the_configurations_tls_settings_win(write, tmp_path):
    config = RunnerConfig(kubeconfig=write(), verify_ssl=False, ssl_ca_cert=tmp_path / "mine.crt")
    access = await open_access(config, environ={})
    assert (access.tls.verify, access.tls.ca) == (False, tmp_path / "mine.crt")


async def test_the_kubeconfigs_proxy_comes_before_the_environments(write):
    environ = {"HTTPS_PROXY": "http://env:1"}
    own = await open_access(
        RunnerConfig(kubeconfig=write({}, {"proxy-url": "http://own:1"})), environ=environ
    )
    assert own.proxy == "http://own:1"
    other = await open_access(RunnerConfig(kubeconfig=write({})), environ=environ)
    assert other.proxy == "http://env:1"


async def test_a_local_cluster_is_for_the_runner_to_start():
    with pytest.raises(ConfigError, match="has to be started"):
        await open_access(RunnerConfig(cluster="local"), environ={})


async def test_a_missing_kubeconfig_is_named(tmp_path):
    with pytest.raises(ConfigError, match="gone"):
        await open_access(RunnerConfig(kubeconfig=tmp_path / "gone"), environ={})


async def test_it_can_all_be_said_by_hand():
    access = explicit_access("https://api.example/prefix/", token="t", ca=b"CA", environ={})
    assert access.url == "https://api.example/prefix"
    assert await access.credentials.authorization() == "Bearer t"
    assert await explicit_access("http://x", environ={}).credentials.authorization() is None


@pytest.mark.parametrize("url", ["", "api.example", "ftp://api.example", "https://"])
def test_what_is_no_url_is_refused(url):
    with pytest.raises(ConfigError, match="no URL"):
        explicit_access(url, environ={})


def test_credentials_in_a_url_are_refused_and_not_shown():
    with pytest.raises(ConfigError, match="takes no credentials") as caught:
        explicit_access("https://me:hunter2@api.example", environ={})
    assert "hunter2" not in str(caught.value)


async def test_nothing_shows_a_secret(write):
    access = await open_access(RunnerConfig(kubeconfig=write({"token": "hunter2-token"})), environ={})
    assert "hunter2" not in repr(access)


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_embedders_client_is_taken_over(tmp_path):
    """Its refresh hook is asked with each request, and once more after a 401."""
    configuration = Configuration(host="https://api.example/")
    configuration.api_key = {"BearerToken": "Bearer one"}
    calls = []

    async def hook(config):
        calls.append(1)
        config.api_key["BearerToken"] = f"Bearer {len(calls)}"

    configuration.refresh_api_key_hook = hook
    (tmp_path / "ca.crt").write_text(make_certificates().authority)
    configuration.ssl_ca_cert = str(tmp_path / "ca.crt")
    api_client = ApiClient(configuration=configuration, header_name="Impersonate-User", header_value="jane")
    try:
        access = access_of_api_client(api_client)
        assert (access.url, access.tls.ca) == ("https://api.example", tmp_path / "ca.crt")
        assert access.headers == (("Impersonate-User", "jane"),)
        assert await access.credentials.authorization() == "Bearer 1"
        assert await access.credentials.renew("Bearer 1")
    finally:
        await api_client.close()


@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_embedders_hook_that_fails_is_an_error_without_its_secrets():
    configuration = Configuration(host="https://api.example")
    configuration.api_key = {}

    def hook(_):
        raise RuntimeError("no luck with Bearer abcdefghijkl")

    configuration.refresh_api_key_hook = hook
    api_client = ApiClient(configuration=configuration)
    try:
        with pytest.raises(TransportError, match="refresh hook failed: no luck") as caught:
            await access_of_api_client(api_client).credentials.authorization()
    finally:
        await api_client.close()
    assert "abcdefghijkl" not in str(caught.value)


@pytest.mark.parametrize("proxy", ["proxy:3128", "10.0.0.1:3128", "//proxy:3128", "ftp://proxy:3128"])
async def test_a_proxy_without_a_scheme_is_named(write, proxy):
    """K4."""
    with pytest.raises(ConfigError, match="proxy-url: this is no URL of a proxy") as caught:
        await open_access(RunnerConfig(kubeconfig=write({}, {"proxy-url": proxy})), environ={})
    assert "Give it with its scheme, as http://host:port" in str(caught.value)


@pytest.mark.parametrize(
    ("provider", "said"),
    [
        ({"name": "gcp"}, ["gcp was removed in Kubernetes 1.26", "gke-gcloud-auth-plugin"]),
        ({"name": "azure"}, ["azure was removed in Kubernetes 1.26", "kubelogin"]),
        ({"name": "x"}, ["there is no auth provider 'x'", "aws eks get-token", "kubelogin"]),
        ({}, ["there is no auth provider None"]),
        ("gcp", ["there is no auth provider None"]),
    ],
)
async def test_a_provider_that_was_removed_is_named_with_what_replaces_it(write, provider, said):
    """K4."""
    with pytest.raises(ConfigError, match=r"users\[u\].auth-provider: ") as caught:
        await open_access(RunnerConfig(kubeconfig=write({"auth-provider": provider})), environ={})
    for part in said:
        assert part in str(caught.value)


async def test_a_plugin_beside_a_provider_is_refused_and_one_beside_a_token_is_not_run(write):
    """K3."""
    both = write({"exec": {"command": "x"}, "auth-provider": {"name": "oidc"}})
    with pytest.raises(ConfigError, match="an auth-provider is given beside it"):
        await open_access(RunnerConfig(kubeconfig=both), environ={})
    access = await open_access(
        RunnerConfig(kubeconfig=write({"token": "t", "exec": {"command": "x"}})), environ={}
    )
    assert await access.credentials.authorization() == "Bearer t"


@pytest.mark.parametrize(
    ("url", "sent"),
    [("http://api.example", None), ("http://127.0.0.1:8001", "Bearer t"), ("http://localhost:1", "Bearer t")],
)
async def test_credentials_go_in_plain_text_through_no_network(write, caplog, url, sent):
    """kubectl sends none over plain HTTP; a FaultProxy and a LocalCluster without TLS are on loopback."""
    access = await open_access(RunnerConfig(kubeconfig=write({"token": "t"}, {"server": url})), environ={})
    assert await access.credentials.authorization() == sent
    assert ("no credentials are sent" in caplog.text) == (sent is None)


LONG = "a" * 64


@pytest.mark.parametrize(
    "server",
    [
        f"https://{LONG}.example:6443",
        "https://a..b:6443",
        "https://a b:6443",
        "https://api.example:6443/a\nb",
        "https://api.example:6443/a\0b",
        "https://api.example:6443\n",
        "https://api.example:6443/a\tb",
    ],
)
async def test_a_server_that_cannot_be_asked_for_is_named(write, server):
    """K4's kin: none is a fault in the program, and no character of it is dropped in silence."""
    with pytest.raises(ConfigError, match="this is no URL of an API server") as caught:
        await open_access(RunnerConfig(kubeconfig=write({}, {"server": server})), environ={})
    assert "Give https://host:port" in str(caught.value)


def test_half_a_surrogate_pair_in_a_url_is_refused():
    with pytest.raises(ConfigError, match="this is no URL of an API server"):
        explicit_access("https://api.example:6443/\ud800", environ={})


@pytest.mark.parametrize(
    ("server", "asked"),
    [
        ("HTTPS://api.example:6443", "https://api.example:6443"),
        ("https://api.example/ü x/", "https://api.example/%C3%BC%20x"),
        ("https://api.example/a%2Fb", "https://api.example/a%2Fb"),
        ("https://bücher.example", "https://bücher.example"),
    ],
)
async def test_a_server_is_asked_for_as_by_kubectl(write, server, asked):
    """Its path is percent-encoded where it is not, and its scheme has any case."""
    config = RunnerConfig(kubeconfig=write({}, {"server": server}))
    assert (await open_access(config, environ={})).url == asked
    assert explicit_access(server, environ={}).url == asked


@pytest.mark.parametrize("name", [f"{LONG}.example", "a..b", "a\0b", "a\nb", "a b"])
async def test_a_server_name_that_no_certificate_has_is_named(write, name):
    with pytest.raises(ConfigError, match=r"clusters\[c\].tls-server-name: this is no name of a host"):
        await open_access(RunnerConfig(kubeconfig=write({}, {"tls-server-name": name})), environ={})


@pytest.mark.parametrize("proxy", ["::::", "ftp://proxy:1", f"{LONG}.example:1"])
@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy"])
async def test_a_proxy_of_the_environment_is_named_by_its_variable(write, variable, proxy):
    """Not as the kubeconfig's, which has none."""
    config = RunnerConfig(kubeconfig=write())
    with pytest.raises(ConfigError, match=f"^environment: {variable}: this is no URL of a proxy"):
        await open_access(config, environ={variable: proxy})

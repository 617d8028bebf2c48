"""A credential for the cluster shows nowhere: not in errors, logs, events, outcomes or representations."""

from __future__ import annotations

import base64
import contextlib
import json
import logging
import stat
import sys
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import httpx
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner import AsyncPodRunner, RunnerConfig, Workload
from podrunner.errors import ApiError, ConfigError, ExecError, LogError, PodrunnerError, TransportError
from podrunner.kube import KubeClient, Request, Response, explicit_access
from podrunner.kube.access import Access, access_of_api_client, open_access
from podrunner.kube.connect import connect
from podrunner.kube.credentials import StaticCredentials
from podrunner.kube.httpx_transport import HttpxTransport
from podrunner.kube.kubeconfig import read_kubeconfig
from podrunner.kube.log_server import LogServer
from podrunner.kube.plugins import granter_of
from podrunner.kube.remote_command import exit_code_of
from tests.unit.runner.harness import Cluster
from tests.unit.secrets.showing import ECHOES, START, check, check_error, raised, secrets, tokens

FEW = settings(max_examples=25)
SCHEMES = st.sampled_from(["Bearer", "Basic"])
PASSWORD = f"{START}hunter2/secret+1"


def authorization(scheme: str, secret: str) -> str:
    """Return the header of a token, or of a password."""
    return (
        f"Bearer {secret}"
        if scheme == "Bearer"
        else "Basic " + base64.b64encode(f"u:{secret}".encode()).decode()
    )


class OnePiece:
    """A stream of one piece."""

    def __init__(self, status: int, content: bytes) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self._left = [content]

    def __aiter__(self) -> OnePiece:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        return self._left.pop()


class Echo:
    """A server that refuses, and quotes what it was sent."""

    def __init__(self, word: Callable[[str], str], *, status: int, as_status: bool) -> None:
        self.word = word
        self.status = status
        self.as_status = as_status

    def body(self, request: Request) -> bytes:
        said = self.word(request.headers["Authorization"])
        if not self.as_status:
            return f"<html><body>{said}</body></html>".encode()
        cause = {"reason": "FieldValueInvalid", "message": said, "field": "x"}
        details = {"name": "p", "causes": [cause], "said": said}
        return json.dumps({"kind": "Status", "message": said, "reason": said, "details": details}).encode()

    async def request(self, request: Request) -> Response:
        return Response(
            self.status,
            {"Location": "https://x/?" + self.word(request.headers["Authorization"])},
            self.body(request),
        )

    @contextlib.asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[Any]:
        line = {"type": "ERROR", "object": json.loads(self.body(request))} if self.as_status else {}
        status = 200 if "watch" in request.target else self.status

        yield OnePiece(status, json.dumps(line).encode() + b"\n" if status == 200 else self.body(request))

    async def aclose(self) -> None:
        pass


@FEW
@given(
    tokens,
    SCHEMES,
    st.sampled_from([*ECHOES]),
    st.sampled_from([302, 400, 401, 403, 409, 422, 429, 500]),
    st.booleans(),
)
def test_a_server_that_echoes_the_credential(
    secret: str,
    scheme: str,
    how: str,
    status: int,
    as_status: bool,  # noqa: FBT001
):
    """In any words: also a credential that follows no word which names one."""

    async def ask() -> None:
        echo = Echo(ECHOES[how], status=status, as_status=as_status)
        client = KubeClient(echo, credentials=StaticCredentials(authorization(scheme, secret)))  # type: ignore[arg-type]
        with raised(ApiError, secret):
            await client.read_pod("default", "p")
        with raised(ApiError, secret):
            async with client.stream_log("default", "p"):
                pytest.fail("opened")
        if as_status:
            async with client.watch_pods("default") as watch:
                for event in [event async for batch in watch for event in batch]:
                    assert event.status is not None
                    check_error(event.status, secret)

    anyio.run(ask)


@FEW
@given(tokens, st.sampled_from([*ECHOES]))
def test_a_command_that_is_refused_with_the_credential(secret: str, how: str):
    sent = authorization("Bearer", secret)
    said = ECHOES[how](sent)
    for data in (
        said,
        json.dumps({"status": "Failure", "message": said, "reason": said}),
        json.dumps([said]),
    ):
        with raised(ExecError, secret):
            exit_code_of(data.encode(), secrets=[sent])


@FEW
@given(tokens, SCHEMES, st.sampled_from([*ECHOES]))
def test_a_library_that_quotes_the_request(secret: str, scheme: str, how: str):
    """As h11 does of a header that it refuses; the error's causes are shown by a traceback."""
    sent = authorization(scheme, secret)

    def fail(request: httpx.Request) -> httpx.Response:
        try:
            raise ValueError(ECHOES[how](request.headers["Authorization"]))
        except ValueError as error:
            raise httpx.LocalProtocolError(str(error)) from error

    async def ask() -> None:
        async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
            transport = HttpxTransport("https://api.example", requests=client)
            with raised(TransportError, secret):
                await transport.request(Request("GET", "/x", {"Authorization": sent}, timeout_s=5.0))

    anyio.run(ask)


@pytest.mark.anyio
@pytest.mark.parametrize("transport", ["aiohttp", "httpx"])
@pytest.mark.parametrize(
    "proxy",
    [f"http://u:{START}hunter2@127.0.0.1:9/?token={START}", f"https://{START}@127.0.0.1:9", f"u:{START}@h:1"],
)
async def test_a_proxy_that_cannot_be_used(transport: str, proxy: str, caplog, anyio_backend_name: str):
    """Its URL holds a user: neither the error of the configuration nor that of the connection shows it."""
    if transport == "aiohttp" and anyio_backend_name == "trio":
        pytest.skip("aiohttp runs on asyncio only")
    caplog.set_level(logging.DEBUG)
    with raised(PodrunnerError, START):
        access = Access(url="https://api.example", proxy=proxy)
        check(repr(access), START)
        config = RunnerConfig(transport=transport, connect_timeout_s=1, request_timeout_s=1)
        async with connect(config, access=access) as client:
            await client.server_version()
    check(caplog.text, START)


def kubeconfig(user: dict[str, Any], **cluster: Any) -> dict[str, Any]:
    return {
        "current-context": "main",
        "contexts": [{"name": "main", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://api.example", **cluster}}],
        "users": [{"name": "u", "user": user}],
    }


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("user", "cluster"),
    [
        ({"token": PASSWORD}, {}),
        ({"username": "u", "password": PASSWORD}, {}),
        ({"token": PASSWORD}, {"server": f"https://u:{PASSWORD}@api.example"}),
        ({"token": PASSWORD}, {"server": f"ftp://u:{PASSWORD}@api.example"}),
        ({"token": PASSWORD}, {"proxy-url": f"http://u:{START}hunter2@proxy:3128"}),
        ({"token": PASSWORD}, {"proxy-url": f"u:{START}hunter2@proxy:3128"}),
        ({"client-certificate-data": START, "client-key-data": START}, {}),
        ({"token": PASSWORD, "as-groups": ["x"]}, {}),
        (
            {"auth-provider": {"name": "oidc", "config": {"client-secret": PASSWORD, "id-token": PASSWORD}}},
            {},
        ),
        ({"auth-provider": {"name": "unknown", "config": {"access-token": PASSWORD}}}, {}),
    ],
)
async def test_a_kubeconfig_shows_nothing_of_its_user(tmp_path, user: dict, cluster: dict, caplog):
    caplog.set_level(logging.DEBUG)
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig(user, **cluster)))
    try:
        found = read_kubeconfig([path])
        check(repr(found), START)
        access = await open_access(RunnerConfig(kubeconfig=path), environ={})
        check(repr(access) + repr(access.rotation) + repr(access.credentials) + repr(access.tls), START)
    except ConfigError as error:
        check_error(error, START)
    check(caplog.text, START)


@pytest.mark.parametrize(
    "text", [f"users: [{START}", f"users: *{START}", f"a: !{START} x", f"{START}", f"users: '{START}"]
)
def test_a_kubeconfig_that_is_none(tmp_path, text: str):
    path = tmp_path / "config"
    path.write_text(text)
    with raised(ConfigError, START):
        read_kubeconfig([path])


PLUGINS = {
    "a header": f"sys.exit('401: Authorization: Bearer {PASSWORD}')",
    "a variable": "sys.exit('cannot sign in as me with ' + os.environ['API_SECRET'])",
    "our own variable": "sys.exit('cannot sign in with ' + os.environ['VAULT_TOKEN'])",
    "an argument": "sys.exit('bad arguments: ' + ' '.join(sys.argv))",
    "its request": f"sys.exit('POST https://idp/token?client_secret={PASSWORD}&x=1: 400')",
    "JSON": f"sys.exit(json.dumps({{'access_token': '{PASSWORD}', 'error': 'expired'}}))",
    "YAML": f"sys.exit('password: {PASSWORD}')",
    "a bare key": f"sys.exit('key {START}0123456789abcdef is revoked')",
    "its output": f'print(\'{{"status": {{"token": "{PASSWORD}"\')',
    "another answer": f"print(json.dumps({{'kind': 'ExecCredential', 'status': {{'token': '{PASSWORD}'}}}}))",
    "another version": f"print(json.dumps({{'apiVersion': 'x/v1', 'kind': 'x', 'status': {{'token': '{PASSWORD}'}}}}))",
    "no token": f"print(json.dumps({{'apiVersion': API, 'kind': 'x', 'status': ['{PASSWORD}']}}))",
    "a traceback": f"raise RuntimeError('token={PASSWORD}')",
}


@pytest.mark.anyio
@pytest.mark.parametrize("ends", PLUGINS.values(), ids=PLUGINS)
async def test_what_a_plugin_writes_is_shown_without_credentials(tmp_path, monkeypatch, ends: str, caplog):
    """Its standard error says what is wrong, and often with what."""
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("VAULT_TOKEN", PASSWORD)
    plugin = tmp_path / "plugin"
    api = "client.authentication.k8s.io/v1"
    plugin.write_text(f"#!{sys.executable}\nimport json, os, sys\nAPI = {api!r}\n{ends}\n")
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    user = {
        "exec": {
            "apiVersion": api,
            "command": str(plugin),
            "args": ["login", "--client-secret", PASSWORD, f"--password={PASSWORD}"],
            "env": [{"name": "API_SECRET", "value": PASSWORD}],
            "interactiveMode": "Never",
        }
    }
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig(user)))
    found = read_kubeconfig([path])
    check(repr(found), START)
    with raised(ConfigError, START):
        await granter_of(found)()
    check(caplog.text, START)


@pytest.mark.anyio
async def test_a_plugins_other_words_are_shown(tmp_path):
    """What helps is not hidden."""
    plugin = tmp_path / "plugin"
    plugin.write_text(
        f"#!{sys.executable}\nimport sys\nsys.exit('no profile production in /home/me/.aws/config')\n"
    )
    plugin.chmod(plugin.stat().st_mode | stat.S_IXUSR)
    api = "client.authentication.k8s.io/v1"
    user = {"exec": {"apiVersion": api, "command": str(plugin), "interactiveMode": "Never"}}
    path = tmp_path / "config"
    path.write_text(yaml.safe_dump(kubeconfig(user)))
    with pytest.raises(ConfigError, match=r"no profile production in /home/me/\.aws/config"):
        await granter_of(read_kubeconfig([path]))()


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_an_embedders_refresh_hook_that_fails():
    client = pytest.importorskip("kubernetes_asyncio.client")
    configuration = client.Configuration(host="https://api.example")

    async def refresh(_configuration: Any) -> None:
        raise RuntimeError(f"token={PASSWORD}")

    configuration.refresh_api_key_hook = refresh
    api_client = client.ApiClient(configuration)
    api_client.default_headers["Authorization"] = f"Bearer {PASSWORD}"
    access = access_of_api_client(api_client)
    check(repr(access), START)
    with raised(TransportError, START):
        await access.credentials.authorization()
    await api_client.close()


@pytest.mark.anyio
@pytest.mark.parametrize("url", [f"http://u:{START}@host/{{path}}", f"http://host/{{path}}?token={START}"])
async def test_a_log_server_with_a_credential_in_its_url_is_refused(url: str):
    with raised(ConfigError, START):
        LogServer(url)
    with raised(ConfigError, START):
        RunnerConfig(logs={"server_url": url, "server_secret_key": PASSWORD})


@pytest.mark.anyio
@pytest.mark.parametrize("how", ECHOES)
async def test_a_log_server_that_echoes_what_it_got(how: str):
    def fail(request: httpx.Request) -> httpx.Response:
        if "refuse" in str(request.url):
            return httpx.Response(403, text=ECHOES[how](request.headers["Authorization"]))
        raise httpx.LocalProtocolError(ECHOES[how](f"Bearer {request.headers['Authorization']}"))

    async with httpx.AsyncClient(transport=httpx.MockTransport(fail)) as client:
        server = LogServer("http://host/{path}", secret=PASSWORD, client=client)
        for path, kind in (("refuse/1.log", LogError), ("1.log", TransportError)):
            with pytest.raises(kind) as caught:
                async with server.open(path):
                    pytest.fail("opened")
            assert "eyJ" not in str(caught.value)
            check_error(caught.value, PASSWORD)


class EchoingCluster(Cluster):
    """A cluster whose server quotes the credential whenever it refuses."""

    def client(self) -> KubeClient:
        return KubeClient(self, credentials=StaticCredentials(f"Bearer {PASSWORD}"), timeout_s=30)

    def refuse(self, method: str, part: str, status: int, times: int = 1) -> None:
        said = ECHOES["bare"](f"Bearer {PASSWORD}")
        self.fail(method, part, status=status, times=times, body=json.dumps({"message": said}).encode())


@pytest.mark.anyio
async def test_a_whole_run_shows_nothing(caplog):
    """Events, outcomes, logs at DEBUG and representations, while the server refuses and quotes what it got."""
    caplog.set_level(logging.DEBUG)
    cluster = EchoingCluster()
    config = RunnerConfig(
        cluster="local", image="x", credentials={"A": PASSWORD}, retry={"initial_s": 0.01, "max_s": 0.01}
    )
    cluster.refuse("GET", "watch", 500)
    cluster.refuse("GET", "/leases?", 403)
    async with AsyncPodRunner(config, client=cluster.client(), on_exit="cancel") as runner:
        cluster.refuse("POST", "/pods", 422)
        refused = runner.submit(Workload(key={"n": "1"}))
        outcome = await refused.wait(30)
        assert outcome.category == "rejected-by-api"
        cluster.refuse("POST", "/secrets", 403)
        with raised(ApiError, START):
            await runner.launch(Workload(key={"n": "2"}))
        pod = await runner.launch(Workload(key={"n": "3"}))
        cluster.refuse("GET", "/log", 400)
        cluster.play(pod.name, 3)
        await pod.wait(30)
        events = runner.poll_events()
        assert events
        shown = [repr(it) for it in (*events, outcome, runner, pod, refused, runner.health(), config)]
        shown += [json.dumps(outcome.to_dict()), json.dumps([*cluster.pods.values()])]
    check("".join(shown) + caplog.text, PASSWORD)


@given(secrets)
@settings(max_examples=10)
def test_an_explicit_access_shows_nothing(secret: str):
    check(repr(explicit_access("https://x", token=secret, environ={})), secret)

"""Exec plugins and identity providers, run by kubernetes-asyncio in a thread: on either event loop."""

from __future__ import annotations

import base64
import json
import stat
import sys
import time

import pytest
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError
from podrunner.kube.access import open_access
from podrunner.kube.credentials import RenewedCredentials
from podrunner.kube.kubeconfig import read_kubeconfig
from podrunner.kube.plugins import granter_of
from podrunner.local.certificates import make_certificates

pytestmark = pytest.mark.anyio


async def fetch_grant(kubeconfig):
    return await granter_of(kubeconfig)()


API = "client.authentication.k8s.io/v1"


@pytest.fixture
def plugin(tmp_path):
    """Write a plugin that counts its calls and prints a credential."""

    def plugin(status=None, *, fails=False):
        path = tmp_path / "plugin"
        count = tmp_path / "count"
        path.write_text(f"""#!{sys.executable}
import json, os, pathlib, sys
count = pathlib.Path({str(count)!r})
n = int(count.read_text()) + 1 if count.exists() else 1
count.write_text(str(n))
if {fails!r}:
    sys.exit("no luck: Bearer abcdefghijkl")
status = {status!r} or {{"token": f"token-{{n}}"}}
print(json.dumps({{"apiVersion": {API!r}, "kind": "ExecCredential", "status": status}}))
""")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return {"exec": {"apiVersion": API, "command": str(path), "args": [], "interactiveMode": "Never"}}

    return plugin


async def test_a_plugins_token_lets_in_and_another_is_fetched_when_it_is_refused(plugin, write):
    """L8."""
    access = await open_access(RunnerConfig(kubeconfig=write(plugin())), environ={})
    assert isinstance(access.credentials, RenewedCredentials)
    assert await access.credentials.authorization() == "Bearer token-1"
    assert await access.credentials.authorization() == "Bearer token-1"
    assert await access.credentials.renew("Bearer token-1")
    assert await access.credentials.authorization() == "Bearer token-2"


async def test_the_plugin_says_when_its_token_ends(plugin, write):
    user = plugin({"token": "t", "expirationTimestamp": "2030-01-02T03:04:05Z"})
    granted = await fetch_grant(read_kubeconfig([write(user)]))
    assert granted.grant.expires_at_s == 1893553445.0


async def test_a_plugin_may_grant_a_client_certificate(plugin, write):
    certificates = make_certificates()
    status = {"clientCertificateData": certificates.chain, "clientKeyData": certificates.key}
    granted = await fetch_grant(read_kubeconfig([write(plugin(status))]))
    assert granted.grant.value is None
    assert granted.tls.certificate.decode() == certificates.chain


async def test_a_plugin_that_fails_is_an_error_without_its_secrets(plugin, write):
    with pytest.raises(ConfigError, match="no luck") as caught:
        await open_access(RunnerConfig(kubeconfig=write(plugin(fails=True))), environ={})
    assert "kubectl auth whoami" in str(caught.value)
    assert "abcdefghijkl" not in str(caught.value)


async def test_a_plugin_that_is_not_there_is_reported(write):
    user = {"exec": {"apiVersion": API, "command": "/no/such/plugin", "interactiveMode": "Never"}}
    with pytest.raises(
        ConfigError, match=r"users\[u\].exec: the credential plugin /no/such/plugin does not exist"
    ):
        await open_access(RunnerConfig(kubeconfig=write(user)), environ={})


def token(expires_at_s):
    claims = base64.urlsafe_b64encode(json.dumps({"exp": expires_at_s}).encode()).decode().rstrip("=")
    return f"e30.{claims}.c2ln"


async def test_an_oidc_token_says_itself_when_it_ends(write):
    ends = int(time.time()) + 3600
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token(ends)}}}
    granted = await fetch_grant(read_kubeconfig([write(user)]))
    assert granted.grant.value == f"Bearer {token(ends)}"
    assert granted.grant.expires_at_s == ends


async def test_an_expired_oidc_token_without_a_way_to_another_is_reported(write):
    user = {"auth-provider": {"name": "oidc", "config": {"id-token": token(1)}}}
    with pytest.raises(ConfigError, match="refresh-token"):
        await fetch_grant(read_kubeconfig([write(user)]))


@pytest.mark.parametrize("value", ["opaque", "a.b.c", "a.e30.c", "a.W10.c", "a.bnVsbA.c"])
async def test_a_token_that_does_not_say_when_it_ends(plugin, write, value):
    granted = await fetch_grant(read_kubeconfig([write(plugin({"token": value}))]))
    assert granted.grant.expires_at_s is None


@pytest.mark.parametrize("exp", ["9" * 400, "1e400", "NaN", "-Infinity", "[" * 50_000])
async def test_a_token_that_ends_at_no_time_says_nothing(plugin, write, exp):
    claims = base64.urlsafe_b64encode(f'{{"exp": {exp}}}'.encode()).decode().rstrip("=")
    granted = await fetch_grant(read_kubeconfig([write(plugin({"token": f"a.{claims}.c"}))]))
    assert granted.grant.expires_at_s is None

"""L8: bound tokens that become invalid while a runner works."""

from __future__ import annotations

import json
import sys
import textwrap

import anyio
import pytest
import yaml
from podrunner import AsyncPodRunner
from podrunner.errors import UnauthorizedError

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(400)]

_INVALID_WITHIN_S = 90
"""A token is valid for at least 10 minutes. Bound to a Secret, it becomes invalid with the Secret, as soon as the API
server's cache of valid tokens (10 s, pkg/kubeapiserver/authenticator) has dropped it."""


@pytest.fixture
def tokens(admin, namespace, kubeconfig):
    """Return a maker of tokens: ``token, end = tokens()``; ``await end()`` waits until the token is refused."""
    root = f"/api/v1/namespaces/{namespace}"
    numbers = iter(range(100))

    def make():
        name = f"token-{next(numbers)}"
        secret = admin.post(f"{root}/secrets", json={"metadata": {"name": name}}).raise_for_status().json()
        bound = {"apiVersion": "v1", "kind": "Secret", "name": name, "uid": secret["metadata"]["uid"]}
        body = {"spec": {"expirationSeconds": 600, "boundObjectRef": bound}}
        answer = admin.post(f"{root}/serviceaccounts/podrunner/token", json=body).raise_for_status().json()
        token = answer["status"]["token"]

        async def end() -> None:
            admin.delete(f"{root}/secrets/{name}").raise_for_status()
            with anyio.fail_after(_INVALID_WITHIN_S):
                while (
                    admin.get(f"{root}/pods", headers={"Authorization": f"Bearer {token}"}).status_code != 401
                ):
                    await anyio.sleep(0.2)

        return token, end

    return make


@pytest.fixture
def with_user(config, kubeconfig, tmp_path):
    """Return a function that gives the configuration with another user in its kubeconfig."""

    def changed(user: dict):
        document = yaml.safe_load(kubeconfig.read_text())
        document["users"][0]["user"] = user
        path = tmp_path / "user.kubeconfig"
        path.write_text(yaml.safe_dump(document))
        return config.with_changes(kubeconfig=path)

    return changed


async def use_two_tokens(config, workload, make_token, write_token) -> None:
    """Launch with one token, invalidate it, launch with the next."""
    first, end_first = make_token()
    write_token(first)
    async with AsyncPodRunner(config) as runner:
        assert (await (await runner.launch(workload("true"))).wait(120)).succeeded
        second, _ = make_token()
        write_token(second)
        await end_first()
        assert (await (await runner.launch(workload("true"))).wait(120)).succeeded


async def test_a_token_file_that_is_renewed(with_user, workload, tokens, tmp_path):
    """As in a pod: the file has the next token in time; after a 401 the runner reads it again."""
    file = tmp_path / "token"
    file.touch()
    await use_two_tokens(with_user({"tokenFile": str(file)}), workload, tokens, file.write_text)


async def test_an_exec_plugin_that_is_run_again(with_user, workload, tokens, tmp_path):
    """As with cloud providers: after a 401 the runner runs the plugin again."""
    file, plugin = tmp_path / "credential.json", tmp_path / "plugin.py"
    plugin.write_text(
        textwrap.dedent(f"""
            import pathlib
            print(pathlib.Path({str(file)!r}).read_text())
        """)
    )
    version = "client.authentication.k8s.io/v1"

    def write(token: str) -> None:
        status = {"token": token}
        file.write_text(json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status}))

    command = {
        "command": sys.executable,
        "args": [str(plugin)],
        "apiVersion": version,
        "interactiveMode": "Never",
    }
    await use_two_tokens(with_user({"exec": command}), workload, tokens, write)


async def test_a_token_without_a_renewal(with_user, workload, tokens):
    """The runner raises an error, instead of repeating the request; the error does not have the token."""
    token, end = tokens()
    async with AsyncPodRunner(with_user({"token": token}), on_exit="detach") as runner:
        await runner.wait_synced()
        await end()
        with pytest.raises(UnauthorizedError) as caught:
            await runner.launch(workload("true"))
    assert token not in str(caught.value)

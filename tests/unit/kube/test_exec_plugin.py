"""Exec plugins are run as client-go runs them, on either event loop, and no process is left."""

from __future__ import annotations

import json
import logging
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import anyio
import pytest
from podrunner.config import RunnerConfig
from podrunner.errors import ConfigError
from podrunner.kube.access import open_access
from podrunner.kube.exec_credential import ExecPlugin
from podrunner.kube.exec_plugin import PluginRunner
from podrunner.kube.kubeconfig_entry import Entry
from podrunner.local.certificates import make_certificates
from tests.support.waiting import until

API = "client.authentication.k8s.io/v1"


def granting(**status):
    answer = {"apiVersion": API, "kind": "ExecCredential", "status": status or {"token": "t"}}
    return f"cat <<'END'\n{json.dumps(answer)}\nEND"


@pytest.fixture
def script(tmp_path):
    """Write a shell script; returns its path."""

    def script(body, *, name="plugin", mode=0o755):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(mode)
        return path

    return script


def plugin_at(command, **settings):
    given = {"args": (), "env": {}, "interactive_mode": "Never", "install_hint": None, "cluster": None}
    entry = Entry("users", "dev", {}, Path("/home/me/.kube/config"))
    return ExecPlugin(command=str(command), api_version=API, user=entry, **{**given, **settings})


async def run(command, *, environ=os.environ, timeout_s=50.0, lends_terminal=False, **settings):
    plugin = plugin_at(command, **settings)
    return await PluginRunner(
        plugin, environ=environ, timeout_s=timeout_s, lends_terminal=lends_terminal
    ).run()


@pytest.mark.anyio
async def test_arguments_variables_and_the_question_arrive(script):
    """K3: the plugin's own variables come over those of the environment."""
    path = script('test "$1/$A/$B" = "a b/c/d" || exit 9\n' + granting(token="t0"))
    found = await run(path, args=("a b",), env={"A": "c"}, environ={**os.environ, "A": "x", "B": "d"})
    assert found.token == "t0"


@pytest.mark.anyio
async def test_a_name_is_found_on_the_path_of_the_environment(script, tmp_path):
    """K3."""
    script(granting(), name="own-plugin")
    environ = {"PATH": f"{tmp_path}{os.pathsep}/usr/bin{os.pathsep}/bin"}
    assert (await run("own-plugin", environ=environ)).token == "t"


@pytest.mark.anyio
@pytest.mark.parametrize("hint", [None, "Run brew install own-plugin."])
async def test_a_command_that_is_not_there_is_named_with_its_hint(hint):
    """K3."""
    with pytest.raises(ConfigError) as caught:
        await run("no-such-plugin", install_hint=hint)
    assert str(caught.value).startswith(
        "/home/me/.kube/config: users[dev].exec: the credential plugin no-such-plugin is not on PATH. "
    )
    assert str(caught.value).endswith(hint or "Install it, or give exec.command the path of the program.")


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "mode", "problem"),
    [(None, 0, "does not exist"), ("true", 0o644, "cannot be run: Permission denied")],
)
async def test_a_path_that_cannot_be_run_is_named(script, tmp_path, body, mode, problem):
    """K3."""
    path = script(body, mode=mode) if body else tmp_path / "gone"
    with pytest.raises(ConfigError, match=f"{path} {problem}"):
        await run(path)


@pytest.mark.anyio
async def test_a_program_that_is_none_is_named(tmp_path):
    path = tmp_path / "plugin"
    path.write_bytes(b"\x00\x01")
    path.chmod(0o755)
    with pytest.raises(ConfigError, match="cannot be run: Exec format error"):
        await run(path)
    with pytest.raises(ConfigError, match="cannot be run: its arguments or variables hold a null byte"):
        await run(path, args=("\0",))
    with pytest.raises(ConfigError, match="cannot be run: its arguments or variables hold half a surrogate"):
        await run(path, args=("\ud800",))


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("echo no profile >&2; exit 3", "failed with exit code 3: no profile"),
        ("exit 3", r"failed with exit code 3\. `kubectl"),
        ("kill -9 $$", r"was ended by signal 9\."),
        ("echo 'token=hunter2-0123' >&2; exit 1", r"failed with exit code 1: token=\*\*\*"),
        ("yes | head -c 5000 >&2; echo the end >&2; exit 1", "y\ny\nthe end"),
        ("head -c 2000000 /dev/zero", "wrote more than 1024 KiB to its standard output"),
    ],
)
async def test_a_plugin_that_fails_is_one_error_with_what_it_said(script, body, problem):
    """K3: its standard error is redacted, and of a long one the end is shown."""
    with pytest.raises(ConfigError, match=problem) as caught:
        await run(script(body))
    assert "users[dev].exec: the credential plugin" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.anyio
async def test_the_rest_of_a_key_whose_beginning_was_cut_off_is_not_shown(script):
    """K3."""
    lines = "\n".join(
        ["-----BEGIN RSA PRIVATE KEY-----", *["abcdefgh/ijkl"] * 90, "-----END RSA PRIVATE KEY-----"]
    )
    with pytest.raises(ConfigError) as caught:
        await run(script(f"cat >&2 <<'END'\n{lines}\nno luck\nEND\nexit 1"))
    assert "exit code 1: no luck." in str(caught.value)


@pytest.mark.anyio
async def test_what_a_plugin_says_though_it_works_is_logged(script, caplog):
    """K3."""
    caplog.set_level(logging.INFO)
    await run(script("echo password: hunter2 is old >&2\n" + granting()))
    assert "says: password: *** is old" in caplog.text


@pytest.mark.anyio
async def test_a_plugin_that_takes_too_long_is_killed_with_all_it_started(script, tmp_path):
    """K3: client-go waits for ever."""
    path = script(f"echo $$ > {tmp_path}/pid; sleep 100 & echo log in >&2; sleep 100")
    said, limit_s = "", 0.0
    for limit_s in (0.5, 4, 32):
        with pytest.raises(ConfigError, match=f"did not end within {limit_s:g} s") as caught:
            await run(path, timeout_s=limit_s)
        said = str(caught.value)
        if "log in" in said:  # else the machine was too slow for the plugin to come to it
            break
    assert re.search(rf"did not end within {limit_s:g} s: log in\. .* exec_plugin_timeout_s", said)
    await until_gone(int((tmp_path / "pid").read_text()))


async def until_gone(group: int) -> None:
    """Wait until no process of a group runs: a killed grandchild is collected by another process."""
    with anyio.fail_after(20):
        while (await anyio.run_process(["ps", "-o", "stat=", "-g", str(group)], check=False)).stdout.strip(
            b"Z\n "
        ):
            await anyio.sleep(0.05)


@pytest.mark.anyio
async def test_a_cancelled_run_leaves_no_process(script, tmp_path):
    """K3."""
    started = tmp_path / "pid"
    path = script(f"echo $$ > {tmp_path}/new; mv {tmp_path}/new {started}; sleep 100")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run, path)
        await until(started.exists, within_s=40)
        tasks.cancel_scope.cancel()
    await until_gone(int(started.read_text()))


@pytest.mark.anyio
async def test_what_a_plugin_leaves_in_the_background_is_not_waited_for(script, tmp_path):
    """K3: a daemon that caches credentials may hold the plugin's output open; it goes on."""
    path = script(f"sleep 60 & echo $! > {tmp_path}/pid\n" + granting())
    with anyio.fail_after(30):
        assert (await run(path)).token == "t"
    os.kill(int((tmp_path / "pid").read_text()), 9)


@pytest.mark.anyio
@pytest.mark.parametrize("mode", ["Never", "IfAvailable"])
async def test_standard_input_is_empty_and_there_is_no_terminal(script, mode, monkeypatch):
    """K3: an embedder's terminal is not a plugin's, even if there is one."""
    own, other = pty.openpty()
    with os.fdopen(other) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        path = script('test -z "$(cat)" || exit 9; (: </dev/tty) 2>/dev/null && exit 8\n' + granting())
        assert (await run(path, interactive_mode=mode)).token == "t"
    os.close(own)


@pytest.mark.anyio
@pytest.mark.parametrize("lends_terminal", [False, True])
async def test_a_plugin_that_always_wants_a_terminal_is_told_that_there_is_none(script, lends_terminal):
    """K3: in tests there is none."""
    with pytest.raises(ConfigError, match=r"wants a terminal \(interactiveMode: Always\), and there is none"):
        await run(script(granting()), interactive_mode="Always", lends_terminal=lends_terminal)


INTERACTIVE = f"""
import anyio, sys
from pathlib import Path
from podrunner.kube.exec_credential import ExecPlugin
from podrunner.kube.exec_plugin import PluginRunner
from podrunner.kube.kubeconfig_entry import Entry
plugin = ExecPlugin(
    command=sys.argv[1], args=(), env={{}}, api_version={API!r}, interactive_mode=sys.argv[2],
    install_hint=None, cluster=None, user=Entry("users", "dev", {{}}, Path("config")),
)
print("granted", anyio.run(PluginRunner(plugin, lends_terminal=True).run).token)
"""


@pytest.mark.parametrize(("mode", "granted"), [("IfAvailable", "typed"), ("Never", "")])
def test_a_command_lends_its_terminal(script, mode, granted):
    """K3: the plugin asks there, and what it writes to standard error is seen there at once."""
    answer = json.dumps({"apiVersion": API, "kind": "ExecCredential", "status": {"token": "x-TYPED"}})
    body = f"echo ask >&2; read answer\necho '{answer}' | sed s/TYPED/$answer/"
    own, other = pty.openpty()
    command = [sys.executable, "-c", INTERACTIVE, str(script(body)), mode]
    with subprocess.Popen(command, stdin=other, stdout=subprocess.PIPE, stderr=other) as process:
        os.close(other)
        seen = b""
        while b"ask" not in seen:
            seen += os.read(own, 100)
        os.write(own, b"typed\n")
        output, _ = process.communicate(timeout=50)
    os.close(own)
    assert output.decode() == f"granted x-{granted}\n"


@pytest.mark.anyio
async def test_a_certificate_that_does_not_fit_its_key_is_said(script):
    """K3."""
    mine, other = make_certificates(), make_certificates()
    with pytest.raises(ConfigError, match="returned an unusable client certificate"):
        await run(script(granting(clientCertificateData=mine.chain, clientKeyData=other.key)))


@pytest.mark.anyio
async def test_certificates_that_are_renewed_replace_the_old_ones(script, write, tmp_path):
    """K3: a plugin's certificate is part of the connection; the next request opens another."""
    for name in ("0", "1"):
        made = make_certificates()
        (tmp_path / name).write_text(
            json.dumps(
                {
                    "apiVersion": API,
                    "kind": "ExecCredential",
                    "status": {"clientCertificateData": made.chain, "clientKeyData": made.key},
                }
            )
        )
    script(f"cd {tmp_path}; test -e ran && cat 1 || cat 0; touch ran")
    user = {"exec": {"apiVersion": API, "command": "./plugin", "interactiveMode": "Never"}}
    access = await open_access(RunnerConfig(kubeconfig=write(user)))
    first = access.tls.certificate
    assert first is not None
    assert await access.credentials.authorization() is None
    assert await access.credentials.renew(None)
    assert access.tls.certificate not in (None, first)


def test_a_plugin_is_run_by_us_alone(script, write):
    """K3: kubernetes-asyncio is not imported for it, which would cost 0.36 s and 70 MiB."""
    script(granting())
    user = {"exec": {"apiVersion": API, "command": "./plugin", "interactiveMode": "Never"}}
    program = f"""
import anyio, sys
from podrunner.config import RunnerConfig
from podrunner.kube import open_access
access = anyio.run(lambda: open_access(RunnerConfig(kubeconfig={str(write(user))!r})))
print(anyio.run(access.credentials.authorization), "kubernetes_asyncio" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "Bearer t False\n"

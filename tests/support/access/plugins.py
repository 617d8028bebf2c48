"""Exec plugins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml
from tests.support.access.case import (
    BEARER,
    CERTIFICATE,
    V1,
    V1BETA1,
    Case,
    Place,
    answering,
    document,
    exec_of,
    token,
)


def _tell(place: Place, **settings: Any) -> None:
    place.plugin(
        f'printf %s "$KUBERNETES_EXEC_INFO" >> {place.folder}/asked\n'
        + token("t0", version=settings.get("apiVersion", V1)),
        **settings,
    )


def _told_of_the_cluster(place: Place) -> None:
    _tell(place, provideClusterInfo=True)
    extension = {"name": V1.replace("/v1", "/exec"), "extension": {"audience": "a1"}}
    found = yaml.safe_load((place.folder / "config").read_text())
    found["clusters"][0]["cluster"].update(
        {
            "extensions": [extension],
            "tls-server-name": "kubernetes.example",
            "proxy-url": f"http://{place.server.proxy}",
        }
    )
    place.put("config", yaml.safe_dump(found))


def _granting(place: Place, *names: str, **status: Any) -> None:
    certificate, key = place.server.client
    all_of_it = {"token": "t0", "clientCertificateData": certificate.decode(), "clientKeyData": key.decode()}
    place.plugin(answering({**{name: all_of_it[name] for name in names}, **status}))


def _beside(place: Place) -> None:
    place.program("sub/plugin", token("t0"))
    place.write(yaml.safe_dump(document(place.cluster, {"exec": exec_of("./plugin")})), "sub/config")


def _rotating(place: Place) -> None:
    place.plugin(
        f'echo x >> {place.folder}/runs; n=$(wc -l < {place.folder}/runs | tr -d " ")\n'
        f'printf \'{{"apiVersion":"{V1}","kind":"ExecCredential","status":{{"token":"t%s"}}}}\' "$n"'
    )


def cases() -> Iterator[Case]:
    yield Case("a command on `PATH`", lambda p: p.plugin(token("t0")), BEARER)
    yield Case("`command: ./plugin` beside the kubeconfig", _beside, BEARER)
    yield Case("`KUBERNETES_EXEC_INFO`, v1", _tell, BEARER)
    yield Case(
        "`KUBERNETES_EXEC_INFO`, v1beta1",
        lambda p: _tell(p, apiVersion=V1BETA1, interactiveMode=None),
        BEARER,
    )
    yield Case(
        "`provideClusterInfo`, with an extension, a server name and a proxy", _told_of_the_cluster, BEARER
    )
    yield Case(
        "arguments and variables",
        lambda p: p.plugin(
            'test "$1$A" = "a b\\$c" || exit 9\n' + token("t0"),
            args=["a b"],
            env=[{"name": "A", "value": "$c"}],
        ),
        BEARER,
    )
    yield Case(
        "`interactiveMode: Never`: standard input is empty",
        lambda p: p.plugin('test -z "$(cat)" || exit 9\n' + token("t0")),
        BEARER,
    )
    yield Case(
        "`interactiveMode: IfAvailable` without a terminal",
        lambda p: p.plugin('test -z "$(cat)" || exit 9\n' + token("t0"), interactiveMode="IfAvailable"),
        BEARER,
    )
    yield Case(
        "`interactiveMode: Always` without a terminal",
        lambda p: p.plugin(token("t0"), interactiveMode="Always"),
        (),
        "standard input is not a terminal",
        "users[u].exec: the credential plugin plugin wants a terminal",
    )
    yield Case(
        "v1 without `interactiveMode`",
        lambda p: p.plugin(token("t0"), interactiveMode=None),
        (),
        "interactiveMode must be specified",
        "users[u].exec.interactiveMode: this is missing",
    )
    yield Case(
        "no `apiVersion`",
        lambda p: p.plugin(token("t0"), apiVersion=None),
        (),
        "apiVersion must be specified",
        "users[u].exec.apiVersion: this is missing",
    )
    yield Case(
        "`apiVersion` v1alpha1",
        lambda p: p.plugin(token("t0"), apiVersion=V1.replace("v1", "v1alpha1")),
        (),
        "invalid apiVersion",
        "is not supported. Give client.authentication.k8s.io/v1 or",
    )
    yield Case(
        "no `command`",
        lambda p: p.use({"exec": exec_of(None)}),
        (),
        "command must be specified",
        "users[u].exec.command: this is missing",
    )
    yield Case(
        "a command that is not there, with an `installHint`",
        lambda p: p.use({"exec": exec_of("no-such-plugin", installHint="Run x to install it.")}),
        (),
        "Run x to install it.",
        "the credential plugin no-such-plugin is not on PATH. Run x to install it.",
    )
    yield Case(
        "a command that may not be run",
        lambda p: (p.program("plugin", "true", mode=0o644), p.use({"exec": exec_of("./plugin")})),
        (),
        "permission denied",
        "cannot be run: Permission denied",
    )
    yield Case(
        "a plugin that fails",
        lambda p: p.plugin("echo no profile >&2; exit 3"),
        (),
        "failed with exit code 3",
        "the credential plugin plugin failed with exit code 3: no profile",
    )
    yield Case(
        "a plugin that writes no credential",
        lambda p: p.plugin("echo hello"),
        (),
        "decoding stdout",
        "wrote no ExecCredential to its standard output",
    )
    yield Case(
        "an answer of another version",
        lambda p: p.plugin(token("t0", version=V1BETA1)),
        (),
        "plugin returned version client.authentication.k8s.io/v1beta1",
        "was asked for client.authentication.k8s.io/v1 and returned client.authentication.k8s.io/v1beta1",
    )
    yield Case(
        "an answer of another kind",
        lambda p: p.plugin(answering({"token": "t0"}, kind="Secret")),
        (),
        "no kind",
        "whose kind is not ExecCredential",
    )
    yield Case(
        "an answer without a status",
        lambda p: p.plugin(answering(None)),
        (),
        "didn't return a status",
        "returned no status",
    )
    yield Case(
        "an empty status",
        lambda p: p.plugin(answering({})),
        (),
        "didn't return a token or cert/key pair",
        "returned neither a token nor a client certificate",
    )
    yield Case(
        "an answer in YAML",
        lambda p: p.plugin(f"echo 'apiVersion: {V1}\nkind: ExecCredential\nstatus: {{token: t0}}'"),
        BEARER,
    )
    yield Case(
        "a grant of a client certificate",
        lambda p: _granting(p, "clientCertificateData", "clientKeyData"),
        CERTIFICATE,
    )
    yield Case(
        "a grant of a client certificate and a token",
        lambda p: _granting(p, "token", "clientCertificateData", "clientKeyData"),
        (*BEARER, "client certificate"),
    )
    yield Case(
        "a grant of a client certificate without its key",
        lambda p: _granting(p, "token", "clientCertificateData"),
        (),
        "only certificate or key, not both",
        "returned a client certificate or a key, and not both",
    )
    yield Case(
        "`expirationTimestamp: null`", lambda p: _granting(p, "token", expirationTimestamp=None), BEARER
    )
    yield Case(
        "`expirationTimestamp` in the past",
        lambda p: _granting(p, "token", expirationTimestamp="2020-01-01T00:00:00Z"),
        BEARER,
        remark="kubectl runs the plugin again for each request; podrunner after 10 s, or when the token is refused",
    )
    yield Case(
        "`expirationTimestamp: soon`",
        lambda p: _granting(p, "token", expirationTimestamp="soon"),
        (),
        "cannot parse",
        "returned an expirationTimestamp that is no time",
    )
    yield Case(
        "a grant of a token with a line break at its end",
        lambda p: p.plugin(token("t0\n")),
        BEARER,
        "invalid header field value",
        remark="podrunner trims it",
    )
    yield Case(
        "a plugin beside a token: it is not run",
        lambda p: p.use({"token": "t0", "exec": exec_of("no-such-plugin")}),
        BEARER,
    )
    yield Case(
        "a plugin beside an `auth-provider`",
        lambda p: p.use({"auth-provider": {"name": "oidc"}, "exec": exec_of()}),
        (),
        "authProvider cannot be provided in combination with an exec plugin",
        "an auth-provider is given beside it",
    )
    yield Case(
        "a granted token that is refused, and another the next time",
        _rotating,
        ("namespace team", "Authorization: Bearer t2"),
        "must be logged in",
        remark="podrunner runs the plugin again and repeats the request; kubectl uses the new token for its next one",
        wanted="Bearer t2",
    )

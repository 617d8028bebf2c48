"""Settings of a kubeconfig's user."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from tests.support.access.case import BEARER, Case, Place, certificates, coded

ID_TOKEN = "e30.eyJleHAiOiAyMjA4OTg4ODAwfQ.c2ln"
"""An unsigned JSON web token that ends in 2040."""


def _oidc(place: Place) -> None:
    config = {"id-token": ID_TOKEN, "idp-issuer-url": "https://idp.example", "client-id": "x"}
    place.use({"auth-provider": {"name": "oidc", "config": config}})


def _provider(name: str) -> Callable[[Place], None]:
    return lambda place: place.use({"auth-provider": {"name": name, "config": {}}})


def _acting(**settings: Any) -> Callable[[Place], None]:
    return lambda place: place.use(
        {"token": "t0", **{key.replace("_", "-"): value for key, value in settings.items()}}
    )


def cases() -> Iterator[Case]:
    yield Case(
        "a token with a line break at its end",
        lambda p: p.use({"token": "t0\n"}),
        BEARER,
        "invalid header field value",
        remark="podrunner trims it, as both trim a token's file",
    )
    yield Case(
        "a token with a line break in it",
        lambda p: p.use({"token": "t0\nt1"}),
        (),
        "invalid header field value",
        "users[u].token: the token is blank, or has a line break",
    )
    yield Case(
        "`tokenFile` with a line break at its end",
        lambda p: (p.put("t", "t0\n"), p.use({"tokenFile": "t"})),
        BEARER,
    )
    yield Case(
        "`tokenFile` beside a token: the file counts",
        lambda p: (p.put("t", "t0"), p.use({"tokenFile": "t", "token": "t1"})),
        BEARER,
    )
    yield Case(
        "a missing `tokenFile` beside a token", lambda p: p.use({"tokenFile": "gone", "token": "t0"}), BEARER
    )
    yield Case(
        "a missing `tokenFile`",
        lambda p: p.use({"tokenFile": "gone"}),
        (),
        "no such file",
        "the token cannot be read",
    )
    yield Case(
        "an empty `tokenFile`",
        lambda p: (p.put("t", "\n"), p.use({"tokenFile": "t"})),
        (),
        "invalid header field value",
        "the token file is empty",
    )
    yield Case(
        "`tokenFile` with a line break in it",
        lambda p: (p.put("t", "a\nb\n"), p.use({"tokenFile": "t"})),
        (),
        "invalid header field value",
        "users[u].tokenFile: the token has a line break or another control character",
    )
    yield Case(
        "a name and a password",
        lambda p: p.use({"username": "me", "password": "pä"}),
        ("namespace team", f"Authorization: Basic {coded('me:pä'.encode())}"),
    )
    yield Case(
        "a name without a password",
        lambda p: p.use({"username": "me"}),
        ("namespace team", f"Authorization: Basic {coded(b'me:')}"),
    )
    yield Case(
        "a token and a password",
        lambda p: p.use({"token": "t0", "username": "me", "password": "p"}),
        (),
        "more than one authentication method",
        "users[u].token: a token and a password are given",
    )
    yield Case(
        "a client certificate and a token: both are sent",
        lambda p: p.use({**certificates(p), "token": "t0"}),
        (*BEARER, "client certificate"),
    )
    yield Case(
        "a client certificate without its key",
        lambda p: p.use({"client-certificate-data": certificates(p)["client-certificate-data"]}),
        (),
        "client-key-data or client-key must be specified",
        "users[u].client-key: a client certificate without its key",
    )
    yield Case(
        "a client certificate with another one's key",
        lambda p: p.use({**certificates(p), "client-key-data": coded(p.server.other_client[1])}),
        (),
        "private key does not match",
        "the client certificate or its key cannot be read",
    )
    yield Case("`as`", _acting(**{"as": "jane"}), (*BEARER, "Impersonate-User: jane"))
    yield Case(
        "`as`, `as-uid`, `as-groups`, `as-user-extra`",
        _acting(
            **{
                "as": "jané",
                "as_uid": "7",
                "as_groups": ["b", "a"],
                "as_user_extra": {"acme.com/a%": ["x", "z"]},
            }
        ),
        (
            *BEARER,
            "Impersonate-Extra-Acme.Com%2Fa%25: x",
            "Impersonate-Extra-Acme.Com%2Fa%25: z",
            "Impersonate-Group: a",
            "Impersonate-Group: b",
            "Impersonate-Uid: 7",
            "Impersonate-User: jané",
        ),
    )
    yield Case(
        "`as-groups` without `as`",
        _acting(as_groups=["a"]),
        (),
        "without impersonating a user",
        "users[u].as: groups, a UID or extras are impersonated without a user",
    )
    yield Case(
        "`as` with a line break",
        _acting(**{"as": "a\nb"}),
        (),
        "invalid header field value",
        "users[u].as: Impersonate-User has a line break",
    )
    yield Case(
        "`auth-provider: gcp`",
        _provider("gcp"),
        (),
        "gcp auth plugin has been removed",
        "Use gke-gcloud-auth-plugin",
    )
    yield Case(
        "`auth-provider: azure`",
        _provider("azure"),
        (),
        "azure auth plugin has been removed",
        "Use kubelogin",
    )
    yield Case("`auth-provider: x`", _provider("x"), (), "no Auth Provider found", "aws eks get-token")
    yield Case(
        "`auth-provider: oidc` with a valid token",
        _oidc,
        ("namespace team", f"Authorization: Bearer {ID_TOKEN}"),
    )

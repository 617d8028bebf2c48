"""Settings of a kubeconfig's cluster."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.access.case import ASKS_LOCALHOST, BEARER, Case, coded


def cases() -> Iterator[Case]:
    yield Case(
        "no authority: the system's",
        lambda p: p.use(certificate_authority_data=None),
        (),
        "certificate signed by unknown authority",
        "certificate verify failed",
    )
    yield Case(
        "an authority that is not base64",
        lambda p: p.use(certificate_authority_data="%"),
        (),
        "illegal base64",
        "clusters[c].certificate-authority-data: this is not base64",
    )
    yield Case(
        "an authority that is not PEM",
        lambda p: p.use(certificate_authority_data=coded(b"x")),
        (),
        "unable to load root certificates",
        "the certificate authority cannot be read",
    )
    yield Case(
        "an authority's file that is missing",
        lambda p: p.use(certificate_authority_data=None, certificate_authority="gone.crt"),
        (),
        "unable to read certificate-authority",
        "there is no file",
    )
    yield Case(
        "an authority as data and as a file",
        lambda p: (p.put("ca.crt", p.server.authority), p.use(certificate_authority="ca.crt")),
        (),
        "both specified",
        "both this and certificate-authority-data are given",
    )
    yield Case(
        "`insecure-skip-tls-verify`",
        lambda p: p.use(certificate_authority_data=None, insecure_skip_tls_verify=True),
        BEARER,
    )
    yield Case(
        "`insecure-skip-tls-verify` beside an authority",
        lambda p: p.use(insecure_skip_tls_verify=True),
        (),
        "with the insecure flag is not allowed",
        "and an authority to verify it by is given",
    )
    yield Case(
        '`insecure-skip-tls-verify: "true"` in quotes',
        lambda p: p.use(certificate_authority_data=None, insecure_skip_tls_verify="true"),
        (),
        "cannot unmarshal string",
        "clusters[c].insecure-skip-tls-verify: this is neither true nor false but a text",
    )
    yield Case("`tls-server-name`", lambda p: p.use(tls_server_name="kubernetes.example"), BEARER)
    yield Case(
        "`tls-server-name` of another server",
        lambda p: p.use(tls_server_name="other.example"),
        (),
        "not other.example",
        "certificate verify failed",
    )
    yield Case(
        "`tls-server-name` with an empty part",
        lambda p: p.use(tls_server_name="a..b"),
        (),
        "not a..b",
        "clusters[c].tls-server-name: this is no name of a host",
    )
    yield Case("a server's URL that ends in a slash", lambda p: p.use(server=f"{p.server.https}/"), BEARER)
    yield Case(
        "a server's URL with a query",
        lambda p: p.use(server=f"{p.server.https}/prefix?a=b"),
        ("namespace team", "below /prefix", "Authorization: Bearer t0"),
    )
    yield Case(
        "a server's URL with a path that is not ASCII",
        lambda p: p.use(server=f"{p.server.https}/ü x"),
        ("namespace team", "below /%C3%BC%20x", "Authorization: Bearer t0"),
    )
    yield Case(
        "a server's URL with `HTTPS` in capitals",
        lambda p: p.use(server=p.server.https.replace("https", "HTTPS")),
        BEARER,
    )
    yield Case(
        "a server's URL with a line break",
        lambda p: p.use(server=f"{p.server.https}/a\nb"),
        (),
        "invalid control character",
        "this is no URL of an API server",
    )
    yield Case(
        "a server's name with an empty part",
        lambda p: p.use(server="https://a..b"),
        (),
        "no such host",
        "this is no URL of an API server",
    )
    yield Case(
        "a server without a scheme",
        lambda p: p.use(server=p.server.http.removeprefix("http://")),
        (),
        "",
        "Give https://host:port.",
        kubectl_sends=("namespace team",),
        remark="kubectl takes it for plain HTTP, and sends no credentials",
    )
    yield Case(
        "no server",
        lambda p: p.use(server=None, certificate_authority_data=None, tls_server_name="x"),
        (),
        "localhost:8080",
        "no http(s) URL of an API server",
        remark=ASKS_LOCALHOST,
    )
    yield Case(
        "a token for a server of plain HTTP on loopback",
        lambda p: p.use(server=p.server.http, certificate_authority_data=None),
        BEARER,
        kubectl_sends=("namespace team",),
        remark="kubectl sends none in plain text; podrunner does on loopback, for `FaultProxy`",
    )
    yield Case("`proxy-url`, HTTP", lambda p: p.use(proxy_url=f"http://{p.server.proxy}"), BEARER)
    yield Case(
        "`proxy-url`, SOCKS5",
        lambda p: p.use(proxy_url=f"socks5://{p.server.socks}"),
        BEARER,
        remark="podrunner uses the httpx transport for it, and needs `podrunner[socks]`",
    )
    yield Case(
        "`proxy-url: proxy:3128` without a scheme",
        lambda p: p.use(proxy_url="proxy:3128"),
        (),
        'unsupported scheme "proxy"',
        "proxy-url: this is no URL of a proxy",
    )
    yield Case(
        "`proxy-url` that is not there",
        lambda p: p.use(proxy_url="http://127.0.0.1:9"),
        (),
        "was refused",
        "cannot connect",
    )

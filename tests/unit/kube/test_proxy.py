"""The proxy that the environment names, as Go reads it."""

from __future__ import annotations

import pytest
from podrunner.kube.proxy import resolve_proxy

PROXY = "http://proxy:3128"


@pytest.mark.parametrize(
    ("url", "environ", "expected"),
    [
        ("https://api.example", {}, None),
        ("https://api.example", {"HTTPS_PROXY": PROXY}, PROXY),
        ("https://api.example", {"https_proxy": "proxy:3128"}, PROXY),
        ("https://api.example", {"HTTP_PROXY": PROXY}, None),
        ("http://api.example", {"HTTP_PROXY": PROXY}, PROXY),
        ("https://127.0.0.1:6443", {"HTTPS_PROXY": PROXY}, None),
        ("https://localhost:6443", {"HTTPS_PROXY": PROXY}, None),
        ("https://[::1]:6443", {"HTTPS_PROXY": PROXY}, None),
        ("", {"HTTPS_PROXY": PROXY}, None),
    ],
)
def test_the_scheme_chooses_the_variable_and_loopback_goes_direct(url, environ, expected):
    assert resolve_proxy(url, environ) == expected


@pytest.mark.parametrize(
    ("url", "no_proxy", "direct"),
    [
        ("https://api.example", "*", True),
        ("https://api.example", "other, API.example", True),
        ("https://api.example.", "api.example", True),
        ("https://a.api.example", "api.example", True),
        ("https://a.api.example", ".api.example", True),
        ("https://a.api.example", "*.api.example", True),
        ("https://api.example", ".api.example", False),
        ("https://xapi.example", "api.example", False),
        ("https://api.example:6443", "api.example:6443", True),
        ("https://api.example:6443", "api.example:443", False),
        ("https://api.example", "api.example:443", True),
        ("https://10.0.0.1", "10.0.0.0/8", True),
        ("https://11.0.0.1", "10.0.0.0/8", False),
        ("https://10.0.0.1", "10.0.0.1", True),
        ("https://10.0.0.1", "10.0.0.1:443", True),
        ("https://10.0.0.1", "nonsense/99,,", False),
        ("https://[fd00::1]", "fd00::/8", True),
        ("https://[fd00::1]", "fd00::1", True),
        ("https://api.example", "10.0.0.0/8", False),
    ],
)
def test_no_proxy_takes_names_suffixes_addresses_and_blocks(url, no_proxy, direct):
    found = resolve_proxy(url, {"HTTPS_PROXY": PROXY, "NO_PROXY": no_proxy})
    assert found == (None if direct else PROXY)

"""Which proxy leads to the API server: decided once per connection, not per request.

The environment's variables are Go's (``golang.org/x/net/http/httpproxy``), which kubectl users know: ``HTTPS_PROXY``,
``HTTP_PROXY``, ``NO_PROXY`` with host names, ``.suffixes``, addresses, CIDR blocks and ``*``; loopback goes direct.
"""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["is_loopback", "proxy_variable", "resolve_proxy"]


def resolve_proxy(url: str, environ: Mapping[str, str]) -> str | None:
    """Return the proxy for ``url`` that the environment names, or None for a direct connection."""
    parts = urlsplit(url)
    proxy = _variable(environ, f"{parts.scheme}_proxy")
    if not proxy or not parts.hostname or _goes_direct(parts, _variable(environ, "no_proxy")):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"


def proxy_variable(url: str, environ: Mapping[str, str]) -> str:
    """Return the name of the variable that names the proxy for ``url``."""
    name = f"{urlsplit(url).scheme}_proxy"
    return name.upper() if environ.get(name.upper()) else name


def _variable(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name.upper()) or environ.get(name) or ""


def _goes_direct(parts: SplitResult, no_proxy: str) -> bool:
    host, port = _host(parts)
    if is_loopback(host):
        return True
    rules = (rule.strip().lower() for rule in no_proxy.split(","))
    return any(_matches(rule, host=host, port=port) for rule in rules if rule)


def _host(parts: SplitResult) -> tuple[str, str]:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return (parts.hostname or "").lower().rstrip("."), str(port)


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether a host is this machine by its loopback interface: ``localhost`` or such an address."""
    address = _address(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _matches(rule: str, *, host: str, port: str) -> bool:
    if rule == "*":
        return True
    address = _address(host)
    if address is not None and "/" in rule:
        return _in_block(address, rule)
    name, _, wanted_port = rule.partition(":") if rule.count(":") == 1 else (rule, "", "")
    if wanted_port and wanted_port != port:
        return False
    if address is not None:
        return _address(name) == address
    suffix = name.removeprefix("*").removeprefix(".")
    return host.endswith(f".{suffix}") or (host == suffix and not name.startswith((".", "*.")))


def _in_block(address: ipaddress.IPv4Address | ipaddress.IPv6Address, block: str) -> bool:
    try:
        return address in ipaddress.ip_network(block, strict=False)
    except ValueError:
        return False

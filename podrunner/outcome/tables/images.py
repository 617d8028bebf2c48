"""Errors of image pulls: words of registries, networks, nodes and runtimes, and reasons of the kubelet.

An outage's words come first: a message may hold both, since a runtime that tries a mirror first reports both answers.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from podrunner.outcome.category import Fault
from podrunner.outcome.tables.words import Word

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["IMAGE_REASONS", "IMAGE_WORDS", "NETWORK_WORDS"]

_INFRA, _CONFIG = Fault.INFRASTRUCTURE, Fault.CONFIGURATION

_GO_NET: Final = "Go: net, syscall"
_GO_HTTP: Final = "Go: net/http"
_GO_TLS: Final = "Go: crypto/tls, crypto/x509"
_REGISTRY: Final = "distribution/distribution: registry/api/errcode/register.go"
_FETCH: Final = "containerd: core/remotes/docker/resolver.go"
_CONTENT: Final = "containerd: core/content, core/metadata"
_IMAGE: Final = "containers/image: docker/errors.go"
_KUBELET: Final = "pkg/kubelet/images"

NETWORK_WORDS: Final[tuple[Word, ...]] = (
    Word("no such host", _INFRA, _GO_NET),
    Word("server misbehaving", _INFRA, _GO_NET),
    Word("Temporary failure in name resolution", _INFRA, "glibc: resolv/herror.c, gai_strerror"),
    Word("no route to host", _INFRA, _GO_NET),
    Word("network is unreachable", _INFRA, _GO_NET),
    Word("host is down", _INFRA, _GO_NET),
    Word("connection refused", _INFRA, _GO_NET),
    Word("connection reset by peer", _INFRA, _GO_NET),
    Word("connection timed out", _INFRA, _GO_NET),
    Word("broken pipe", _INFRA, _GO_NET),
    Word("i/o timeout", _INFRA, _GO_NET),
    Word("use of closed network connection", _INFRA, _GO_NET),
    Word("EOF", _INFRA, "Go: io (also unexpected EOF)", r"(?<![\w./-])(?-i:EOF)(?![\w/-])"),
    Word("context deadline exceeded", _INFRA, "Go: context"),
    Word("context canceled", _INFRA, "Go: context (containerd ends a pull without progress)"),
    Word("DeadlineExceeded", _INFRA, "grpc: codes"),
    Word("transport is closing", _INFRA, "grpc: internal/transport"),
    Word("error reading from server", _INFRA, "grpc: internal/transport"),
    Word("request canceled while waiting for connection", _INFRA, _GO_HTTP),
    Word("Client.Timeout", _INFRA, _GO_HTTP),
    Word("TLS handshake timeout", _INFRA, _GO_HTTP),
    Word("timeout awaiting response headers", _INFRA, _GO_HTTP),
    Word("server closed idle connection", _INFRA, _GO_HTTP),
    Word("proxyconnect", _INFRA, _GO_HTTP),
    Word("stream error: stream ID", _INFRA, "Go: net/http (HTTP/2)"),
    Word("http2: …", _INFRA, "Go: net/http (HTTP/2)", r"(?<![\w./-])http2: "),
    Word("server gave HTTP response to HTTPS client", _INFRA, _GO_HTTP),
    Word("x509: …", _INFRA, _GO_TLS, r"(?<![\w./-])x509: "),
    Word("tls: …", _INFRA, _GO_TLS, r"(?<![\w./-])tls: "),
)
"""What Go's network code says, in whichever component it runs."""

_NODE_WORDS: Final[tuple[Word, ...]] = (
    Word("no space left on device", _INFRA, "Linux: ENOSPC"),
    Word("disk quota exceeded", _INFRA, "Linux: EDQUOT"),
    Word("input/output error", _INFRA, "Linux: EIO"),
    Word("read-only file system", _INFRA, "Linux: EROFS"),
    Word("cannot allocate memory", _INFRA, "Linux: ENOMEM"),
    Word("permission denied", _INFRA, "Linux: EACCES", r"(?<!denied: )(?-i:permission denied)"),
    Word("too many open files", _INFRA, "Linux: EMFILE"),
    Word("pull QPS exceeded", _INFRA, f"{_KUBELET}/helpers.go"),
    Word("because the registry is unavailable", _INFRA, f"{_KUBELET}/image_manager.go"),
    Word("Failed to record image pull intent", _INFRA, f"{_KUBELET}/image_manager.go"),
)

_REGISTRY_FAILS: Final[tuple[Word, ...]] = (
    Word("429 Too Many Requests", _INFRA, _FETCH),
    Word("toomanyrequests", _INFRA, _REGISTRY),
    Word("too many requests", _INFRA, f"{_REGISTRY}; {_IMAGE}"),
    Word("rate limit", _INFRA, "Docker Hub: pull rate limit"),
    Word(
        "5xx … (500 Internal Server Error, 502 Bad Gateway, 503 Service Unavailable, 504 Gateway Timeout)",
        _INFRA,
        f"{_FETCH}; {_IMAGE}",
        r"(?<![\w.:/-])5\d\d \(?(Internal Server Error|Bad Gateway|Service (Temporarily )?Unavailable|"
        r"Gateway Time-?out)",
    ),
    Word(
        "status …: 5xx",
        _INFRA,
        f"{_FETCH}; {_IMAGE}; moby: registry",
        r"(unexpected status( code)?( from \w+ request to)?[^\n:]*:|unexpected HTTP status:|StatusCode:|"
        r"status code from registry|error parsing HTTP) 5\d\d(?!\d)",
    ),
    Word("service unavailable", _INFRA, _REGISTRY),
    Word(
        "could not fetch content descriptor … from remote",
        _INFRA,
        "containerd: core/remotes/docker/fetcher.go",
    ),
    Word("blob unknown", _INFRA, _REGISTRY),
)

_LOST_CONTENT: Final[tuple[Word, ...]] = (
    Word("content digest … not found", _INFRA, _CONTENT),
    Word("snapshot … does not exist", _INFRA, "containerd: core/metadata/snapshot.go"),
    Word("lease does not exist", _INFRA, "containerd: core/metadata/leases.go"),
    Word("failed size validation", _INFRA, "containerd: core/content (a download that broke off)"),
    Word("unexpected commit digest", _INFRA, "containerd: core/content"),
    Word("filesystem layer verification failed", _INFRA, "moby: distribution/xfer"),
)

_WRONG_IMAGE: Final[tuple[Word, ...]] = (
    Word("manifest unknown", _CONFIG, _REGISTRY),
    Word("MANIFEST_UNKNOWN", _CONFIG, _REGISTRY),
    Word("name unknown", _CONFIG, _REGISTRY),
    Word("NAME_UNKNOWN", _CONFIG, _REGISTRY),
    Word("repository name not known to registry", _CONFIG, _REGISTRY),
    Word("repository does not exist", _CONFIG, f"{_FETCH}; moby: distribution/errors.go"),
    Word("no match for platform", _CONFIG, "containerd: core/images/image.go, handlers.go"),
    Word("no matching manifest for", _CONFIG, "moby: distribution/pull_v2.go"),
    Word("no image found in … for architecture", _CONFIG, "containers/image: internal/manifest"),
    Word("cannot be used on this platform", _CONFIG, "moby: distribution"),
    Word("is no longer supported", _CONFIG, "containerd: client/pull.go, core/remotes/docker/resolver.go"),
    Word("unsupported media type", _CONFIG, "containerd: core/images; containers/image: manifest"),
    Word("Failed to apply default image tag", _CONFIG, f"{_KUBELET}/image_manager.go"),
    Word("invalid reference format", _CONFIG, "distribution/reference: reference.go"),
    Word("couldn't parse image", _CONFIG, "pkg/util/parsers/parsers.go"),
    Word("invalid repository name", _CONFIG, _REGISTRY),
    Word("short name mode is enforcing", _CONFIG, "cri-o: internal/storage/image.go"),
    Word("did not resolve to an alias", _CONFIG, "containers/image: pkg/shortnames"),
    Word("is not present with pull policy of Never", _CONFIG, f"{_KUBELET}/image_manager.go"),
    Word("signature validation failed", _CONFIG, f"{_KUBELET}/image_manager.go"),
    Word("Source image rejected", _CONFIG, "containers/image: copy, signature policy"),
    Word("is blocked in", _CONFIG, "containers/image: docker/docker_client.go"),
    Word("unauthorized", _CONFIG, f"{_REGISTRY}; {_IMAGE}"),
    Word("authentication required", _CONFIG, _REGISTRY),
    Word("no basic auth credentials", _CONFIG, "moby: registry/auth.go"),
    Word("invalid username/password", _CONFIG, _IMAGE),
    Word("insufficient_scope", _CONFIG, "containerd: core/remotes/docker/authorizer.go"),
    Word("authorization failed", _CONFIG, _FETCH),
    Word("403 Forbidden", _CONFIG, _FETCH),
    Word("StatusCode: 401, 403 or 404", _CONFIG, _IMAGE, r"StatusCode: 40[134](?!\d)"),
    Word("denied", _CONFIG, f"{_REGISTRY}; {_FETCH}"),
    Word("not found", _CONFIG, f"{_FETCH} (a tag or repository that is not there)"),
)

IMAGE_WORDS: Final[tuple[Word, ...]] = (
    *NETWORK_WORDS,
    *_NODE_WORDS,
    *_REGISTRY_FAILS,
    *_LOST_CONTENT,
    *_WRONG_IMAGE,
)
"""Words of a message about an image that could not be had. The first entry that is found decides."""

IMAGE_REASONS: Final[Mapping[str, tuple[Fault, str]]] = MappingProxyType(
    {
        "ErrImageNeverPull": (_CONFIG, f"{_KUBELET}/types.go"),
        "ErrImagePull": (Fault.UNKNOWN, f"{_KUBELET}/types.go"),
        "ImageInspectError": (Fault.UNKNOWN, f"{_KUBELET}/types.go"),
        "ImagePullBackOff": (Fault.UNKNOWN, f"{_KUBELET}/types.go"),
        "InvalidImageName": (_CONFIG, f"{_KUBELET}/types.go"),
        "RegistryUnavailable": (_INFRA, "cri-api: pkg/errors/errors.go"),
        "SignatureValidationFailed": (_CONFIG, "cri-api: pkg/errors/errors.go"),
    }
)
"""Waiting reasons of the kubelet's image manager: the fault, ``unknown`` where the words decide, and the source."""

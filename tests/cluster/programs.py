"""The programs of a real node: found, or built from published Go modules and cached by content.

A user's own programs come first: ``KUBEBUILDER_ASSETS`` names a folder with etcd, kube-apiserver, kubectl and others.
Otherwise the version that ``PODRUNNER_TEST_KUBERNETES`` names, the newest by default, is built once from
``module/`` (seven to nine minutes and 3 GB of Go cache on two cores); the result is stored outside the repository under
the hash of its sources, so a second run starts in seconds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODULE = Path(__file__).with_name("module")
VERSIONS = sorted(
    (each.name for each in MODULE.iterdir() if each.is_dir()),
    key=lambda version: [int(part) for part in version.split(".")],
)
"""The versions of Kubernetes that can be built, the oldest first: a folder each, with its go.mod and go.sum."""
KWOK = "v0.7.0"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_VERSION = "k8s.io/component-base/version"
_CLIENT_VERSION = "k8s.io/client-go/pkg/version"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of programs, and its origin."""

    folder: Path
    origin: str

    def path(self, name: str) -> str:
        """Return the program's path; raise an error that names it if the folder lacks it."""
        found = self.folder / name
        if not found.exists():
            raise FileNotFoundError(f"{name} is not in {self.folder} ({self.origin})")
        return str(found)

    def missing(self) -> list[str]:
        return [name for name in NAMES if not (self.folder / name).exists()]


def version() -> str:
    """Return the version of Kubernetes to build: the one that ``PODRUNNER_TEST_KUBERNETES`` names, else the newest."""
    wanted = os.environ.get("PODRUNNER_TEST_KUBERNETES") or VERSIONS[-1]
    if wanted not in VERSIONS:
        raise SystemExit(f"PODRUNNER_TEST_KUBERNETES={wanted}: can be one of {', '.join(VERSIONS)}")
    return wanted


def find_or_build() -> Programs:
    """Return the user's programs, else the cached ones, else newly built ones."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Programs(Path(given), "KUBEBUILDER_ASSETS")
    kubernetes = version()
    folder = _folder_of(kubernetes)
    if not (folder / "complete").exists():
        _build_into(folder, kubernetes)
    return Programs(folder, f"Kubernetes {kubernetes}, built from tests/cluster/module")


def can_find_or_build() -> bool:
    """Return whether the programs exist, or Go to build them."""
    cached = (_folder_of(version()) / "complete").exists()
    return bool(os.environ.get("KUBEBUILDER_ASSETS") or cached or shutil.which("go"))


def _folder_of(kubernetes: str) -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "podrunner" / "node" / f"{kubernetes}-{_content_key(kubernetes)}"


def _sources(kubernetes: str) -> list[Path]:
    return [MODULE / kubernetes / "go.mod", MODULE / kubernetes / "go.sum", MODULE / "main.go"]


def _content_key(kubernetes: str) -> str:
    digest = hashlib.sha256(f"{kubernetes} {KWOK} 1".encode())
    for source in _sources(kubernetes):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _build_into(folder: Path, kubernetes: str) -> None:
    """Build into a temporary folder and rename it, so that an interrupted build leaves no incomplete target."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        _build(partial, kubernetes)
        (partial / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build(folder: Path, kubernetes: str) -> None:
    print(f"building Kubernetes {kubernetes} and kwok {KWOK}: minutes, once", flush=True)
    with tempfile.TemporaryDirectory(prefix="podrunner-module-") as module:
        for source in _sources(kubernetes):
            shutil.copy(source, module)
        flags = ["-trimpath", "-mod=readonly", "-ldflags", _ldflags(kubernetes)]
        subprocess.run(["go", "build", *flags, "-o", str(folder / "kubernetes"), "."], cwd=module, check=True)
    for name in NAMES:
        (folder / name).symlink_to("kubernetes")
    env = {**os.environ, "GOBIN": str(folder)}
    subprocess.run(["go", "install", f"sigs.k8s.io/kwok/cmd/kwok@{KWOK}"], env=env, check=True)


def _ldflags(kubernetes: str) -> str:
    minor = kubernetes.split(".")[1]
    server = f"-X {_VERSION}.gitVersion=v{kubernetes} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor={minor}"
    return f"-s -w {server} -X {_CLIENT_VERSION}.gitVersion=v{kubernetes}"

"""The programs of a real node: found, or built from published Go modules and cached by content.

A user's own come first: ``KUBEBUILDER_ASSETS`` names a folder with etcd, kube-apiserver, kubectl and whatever else is
there. Otherwise ``module/`` is built once (about seven minutes and 3 GB of Go cache on two cores); the result is kept
outside the repository under the hash of what it was built from, so a second run starts in seconds.
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
KUBERNETES = "1.34.4"
KWOK = "v0.7.0"
NAMES = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubectl")
_VERSION = "k8s.io/component-base/version"
_CLIENT_VERSION = "k8s.io/client-go/pkg/version"


@dataclass(frozen=True, slots=True)
class Programs:
    """A folder of programs, and where it came from."""

    folder: Path
    origin: str

    def path(self, name: str) -> str:
        """The program's path; a clear error if the folder lacks it."""
        found = self.folder / name
        if not found.exists():
            raise FileNotFoundError(f"{name} is not in {self.folder} ({self.origin})")
        return str(found)

    def missing(self) -> list[str]:
        return [name for name in NAMES if not (self.folder / name).exists()]


def find_or_build() -> Programs:
    """The user's programs, else the cached ones, else freshly built ones."""
    if given := os.environ.get("KUBEBUILDER_ASSETS"):
        return Programs(Path(given), "KUBEBUILDER_ASSETS")
    folder = _cache() / _content_key()
    if not (folder / "complete").exists():
        _build_into(folder)
    return Programs(folder, "built from tests/cluster/module")


def can_find_or_build() -> bool:
    """Whether the programs are there, or Go is there to build them."""
    cached = (_cache() / _content_key() / "complete").exists()
    return bool(os.environ.get("KUBEBUILDER_ASSETS") or cached or shutil.which("go"))


def _cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "podrunner" / "node"


def _content_key() -> str:
    digest = hashlib.sha256(f"{KUBERNETES} {KWOK} 1".encode())
    for name in ("go.mod", "go.sum", "main.go"):
        digest.update((MODULE / name).read_bytes())
    return digest.hexdigest()[:16]


def _build_into(folder: Path) -> None:
    """Build beside the target and move it there whole: a build that was cut off leaves nothing behind."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(prefix="building-", dir=folder.parent))
    try:
        _build(partial)
        (partial / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _build(folder: Path) -> None:
    print(f"building Kubernetes {KUBERNETES} and kwok {KWOK}: minutes, once", flush=True)
    command = [
        "go",
        "build",
        "-trimpath",
        "-mod=readonly",
        "-ldflags",
        _ldflags(),
        "-o",
        str(folder / "kubernetes"),
        ".",
    ]
    subprocess.run(command, cwd=MODULE, check=True)
    for name in NAMES:
        (folder / name).symlink_to("kubernetes")
    env = {**os.environ, "GOBIN": str(folder)}
    subprocess.run(["go", "install", f"sigs.k8s.io/kwok/cmd/kwok@{KWOK}"], env=env, check=True)


def _ldflags() -> str:
    minor = KUBERNETES.split(".")[1]
    server = f"-X {_VERSION}.gitVersion=v{KUBERNETES} -X {_VERSION}.gitMajor=1 -X {_VERSION}.gitMinor={minor}"
    return f"-s -w {server} -X {_CLIENT_VERSION}.gitVersion=v{KUBERNETES}"

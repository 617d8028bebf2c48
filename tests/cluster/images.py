"""Makes the test images from programs of this machine, without a registry.

``localhost/busybox:1`` has the static busybox, ``localhost/pyhost:1`` also this machine's CPython, and
``localhost/pause:1`` is the sandbox. Each is an OCI image layout in one tar file, which ``ctr images import`` reads.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterable, Sequence
from pathlib import Path

BUSYBOX = Path("/bin/busybox")
PAUSE = ["/bin/sh", "-c", "trap 'exit 0' TERM INT; while :; do sleep 3600 & wait $!; done"]
_OCI = "application/vnd.oci.image."
_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_LEFT_OUT = {
    "site-packages",
    "test",
    "tests",
    "__pycache__",
    "idlelib",
    "tkinter",
    "ensurepip",
    "lib2to3",
    "turtledemo",
}
_NAME_SERVICE = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2")


def make_all(folder: Path) -> list[Path]:
    """Make the three archives in ``folder`` and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    busybox, python = folder / "root-busybox", folder / "root-python"
    _busybox_root(busybox)
    _busybox_root(python)
    _add_python(python)
    made = [
        _archive(folder / "pause.tar", "localhost/pause:1", busybox, PAUSE),
        _archive(folder / "busybox.tar", "localhost/busybox:1", busybox, ["sh"]),
        _archive(folder / "pyhost.tar", "localhost/pyhost:1", python, ["python3"]),
    ]
    shutil.rmtree(busybox)
    shutil.rmtree(python)
    return made


def _busybox_root(root: Path) -> None:
    for name in ("bin", "etc", "root", "tmp", "proc", "sys", "dev", "usr/local/bin"):
        (root / name).mkdir(parents=True)
    (root / "tmp").chmod(0o1777)
    shutil.copy2(BUSYBOX, root / "bin/busybox")
    listed = subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in set(listed.split()) - {"busybox"}:
        (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/nsswitch.conf").write_text("hosts: files dns\n")


def _add_python(root: Path) -> None:
    """Copy the interpreter, its standard library and the shared libraries that these need."""
    version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
    prefix = Path(sys.base_prefix)
    program, library = prefix / "bin" / version, prefix / "lib" / version
    _copy(program.resolve(), root, at=program)
    shutil.copytree(library, _inside(root, library), ignore=_unneeded, symlinks=True)
    (root / "usr/local/bin/python3").symlink_to(program)
    for shared in _shared_libraries([program, *library.glob("lib-dynload/*.so")]):
        _copy(shared, root)


def _unneeded(folder: str, names: list[str]) -> set[str]:
    del folder
    return {name for name in names if name in _LEFT_OUT or name.startswith("config-3") or name.endswith(".a")}


def _shared_libraries(programs: Sequence[Path]) -> set[Path]:
    listed = subprocess.run(["ldd", *map(str, programs)], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"(/[^ ():]+\.so[^ ():]*) \(", listed)}
    folders = {path.parent for path in found if path.name.startswith("libc.so")}
    return found | {folder / name for folder in folders for name in _NAME_SERVICE if (folder / name).exists()}


def _inside(root: Path, path: Path) -> Path:
    return root / str(path).lstrip("/")


def _copy(source: Path, root: Path, *, at: Path | None = None) -> None:
    target = _inside(root, at or source)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(source, target)


def _archive(out: Path, name: str, root: Path, command: list[str]) -> Path:
    layer = out.with_suffix(".layer")
    with tarfile.open(layer, "w", format=tarfile.PAX_FORMAT) as tar:
        for entry in sorted(root.iterdir()):
            tar.add(entry, arcname=entry.name, filter=_owned_by_root)
    digest, size = _sha256(layer), layer.stat().st_size
    blobs = dict(_documents(name, command, layer_digest=digest, layer_size=size))
    with tarfile.open(out, "w") as tar:
        for path, content in blobs.items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        tar.add(layer, arcname=f"blobs/sha256/{digest}")
    layer.unlink()
    return out


def _owned_by_root(info: tarfile.TarInfo) -> tarfile.TarInfo:
    info.uid = info.gid = 0
    return info


def _documents(
    name: str, command: list[str], *, layer_digest: str, layer_size: int
) -> Iterable[tuple[str, bytes]]:
    config = _json(
        {
            "architecture": {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine],
            "os": "linux",
            "config": {"Env": [_PATH], "Cmd": command},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer_digest}"]},
        }
    )
    layer = _descriptor("layer.v1.tar", layer_digest, layer_size)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_OCI}manifest.v1+json",
            "config": _descriptor("config.v1+json", _digest(config), len(config)),
            "layers": [layer],
        }
    )
    described = _descriptor("manifest.v1+json", _digest(manifest), len(manifest))
    described["annotations"] = {"io.containerd.image.name": name}
    yield "oci-layout", b'{"imageLayoutVersion":"1.0.0"}'
    yield "index.json", _json({"schemaVersion": 2, "manifests": [described]})
    yield f"blobs/sha256/{_digest(config)}", config
    yield f"blobs/sha256/{_digest(manifest)}", manifest


def _json(document: object) -> bytes:
    return json.dumps(document, sort_keys=True).encode()


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _descriptor(kind: str, digest: str, size: int) -> dict[str, object]:
    return {"mediaType": _OCI + kind, "digest": f"sha256:{digest}", "size": size}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

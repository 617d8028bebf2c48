"""``podrunner cp``: files and folders between this machine and a container, by tar over exec.

Nothing incomplete is left: a transfer goes into a hidden folder beside its target, and is moved when it is complete.
"""

from __future__ import annotations

import os
import posixpath
import shutil
import sys
import tarfile
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, NamedTuple

import anyio
import typer
from anyio import to_thread

from podrunner.cli.archive import COMPLETE, CONTENT, Copied, pack, unpack, unpack_file
from podrunner.cli.completing import place_words
from podrunner.cli.connection import settings_of, with_client
from podrunner.cli.failures import CopyError, one_line
from podrunner.cli.meter import meter
from podrunner.cli.naming import resolve
from podrunner.cli.options import AsJson, Config, Container, Context, Kubeconfig, Namespace
from podrunner.cli.output import print_json
from podrunner.errors import PodrunnerError, UsageError

if TYPE_CHECKING:
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["Remote", "cp", "read_places"]

STANDARD_STREAM = "-"
_REMOVES_WITHIN_S = 10
_SPOOLED_BYTES = 16 * 1024 * 1024
"""Of standard input, as much is kept in memory; more goes into a temporary file: tar needs the size first."""

# $1: the target; $2: the name of what comes, for a target that is a folder ("": its content goes there); $3: a free
# name. tar's own status would not show a stream that breaks off between two files: the mark at its end does.
_RECEIVE = f"""set -e
target=$1
if [ -n "$2" ] && [ -d "$target" ]; then target=${{target%/}}/$2; fi
case $target in ?*/) [ -d "$target" ] || {{ echo "$target is no folder" >&2; exit 1; }}; target=${{target%/}};; esac
case $target in */*) partial=${{target%/*}}/$3;; *) partial=$3;; esac
mkdir -- "$partial"
trap 'rm -rf -- "$partial"' EXIT
trap 'exit 1' HUP INT TERM
tar xf - -C "$partial"
[ -e "$partial/{COMPLETE}" ] || {{ echo "the transfer broke off" >&2; exit 1; }}
if [ -d "$partial/{CONTENT}" ] && [ -d "$target" ]; then
  cp -af -- "$partial/{CONTENT}/." "$target/"
elif [ -d "$target" ]; then
  echo "$target is a folder" >&2; exit 1
else
  mv -f -- "$partial/{CONTENT}" "$target"
fi
"""


class Remote(NamedTuple):
    """A path in a pod."""

    pod: str
    path: str

    @property
    def name(self) -> str:
        """The name that a copy has in a folder; "": what is in the folder is copied."""
        base = posixpath.basename(self.path.rstrip("/"))
        return "" if base in {".", ".."} else base

    def archive_command(self) -> list[str]:
        """Return the command that writes the path as a tar stream."""
        folder = posixpath.dirname(self.path.rstrip("/")) or ("/" if self.path.startswith("/") else ".")
        where, what = (folder, f"./{self.name}") if self.name else (self.path, ".")
        return ["tar", "cf", "-", "-C", where, what]


def read_places(source: str, target: str) -> tuple[str, Remote] | tuple[Remote, str]:
    """Read the two arguments: exactly one of them is ``POD:PATH``.

    Raises:
        UsageError: Both are, or none; or the path is empty.
    """
    places = _place(source), _place(target)
    match places:
        case (Remote(), str()) | (str(), Remote()):
            return places
    raise UsageError(
        "one of the two is POD:PATH, the other a path of this machine (with a colon: ./a:b), or -"
    )


def _place(word: str) -> Remote | str:
    pod, colon, path = word.partition(":")
    if not colon or "/" in pod:
        return word
    if not pod or not path:
        raise UsageError(f"{word!r} names no pod, or no path in it: write POD:PATH")
    return Remote(pod, path)


def cp(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE",
            autocompletion=place_words,
            help="A path, POD:PATH, or - for standard input.",
        ),
    ],
    target: Annotated[
        str,
        typer.Argument(
            metavar="TARGET",
            autocompletion=place_words,
            help="POD:PATH, a path, or - for standard output.",
        ),
    ],
    container: Container = None,
    json: AsJson = False,
    config: Config = None,
    kubeconfig: Kubeconfig = None,
    context: Context = None,
    namespace: Namespace = None,
) -> None:
    """Copy a file or a folder between this machine and a running pod.

    As cp -r: into TARGET if that is a folder, else under that name. The container needs tar; to copy into it, also sh.
    """
    places = read_places(source, target)
    if isinstance(places[0], str) and source != STANDARD_STREAM:
        Path(source).stat()  # before a cluster is asked
    if json and target == STANDARD_STREAM:
        raise UsageError("--json and the copied file cannot both be written to standard output")
    settings = settings_of(config, kubeconfig=kubeconfig, context=context, namespace=namespace)

    async def copy(client: KubeClient) -> Copied:
        remote = places[0] if isinstance(places[0], Remote) else places[1]
        assert isinstance(remote, Remote)
        pod = await resolve(client, settings.namespace, remote.pod)
        copying = _Copying(client, pod, container)
        if isinstance(places[0], Remote):
            return await copying.fetch(places[0], target)
        return await copying.put(source, remote)

    copied = with_client(settings, copy, reads_stdin=source == STANDARD_STREAM)
    for each in copied.left_out:
        sys.stderr.write(f"podrunner: left out: {one_line(each)}\n")
    if json:
        print_json({"files": copied.files, "bytes": copied.size, "left_out": copied.left_out})
    if copied.left_out:
        raise typer.Exit(1)


class _Copying:
    """Copies from and to one container."""

    def __init__(self, client: KubeClient, pod: Pod, container: str | None) -> None:
        self._client = client
        self._namespace = pod.metadata.namespace
        self._pod = pod.metadata.name
        self._container = container

    async def fetch(self, remote: Remote, target: str) -> Copied:
        """Copy from the container."""
        if target == STANDARD_STREAM:
            copied = await self._receive(remote, lambda stream: unpack_file(stream, sys.stdout.buffer))
            sys.stdout.buffer.flush()
            return copied
        path = _local_target(target, remote.name)
        with _partial_folder(path) as partial_folder:
            read = partial(unpack, folder=partial_folder, top=remote.name)
            copied = await self._receive(remote, read)
            content = partial_folder / CONTENT
            if not content.exists():
                raise CopyError("; ".join(copied.left_out) or f"nothing came of {remote.path}")
            _move(content, path)
        return copied

    async def _receive(self, remote: Remote, read: Callable[[IO[bytes]], Copied]) -> Copied:
        from podrunner.cli.transfer import receive

        _check_python()
        with meter(sys.stderr) as passed:
            async with self._client.exec(
                self._namespace, self._pod, remote.archive_command(), container=self._container
            ) as session:
                return await receive(session, read, passed=passed)

    async def put(self, source: str, remote: Remote) -> Copied:
        """Copy into the container."""
        from podrunner.cli.transfer import send

        has_name = (
            source != STANDARD_STREAM and Path(source).name not in {"", ".."} and not source.endswith("/.")
        )
        name = Path(source).name if has_name else ""
        partial_name = f".podrunner-cp-{uuid.uuid4().hex[:8]}"
        command = ["sh", "-c", _RECEIVE, "sh", remote.path, name, partial_name]
        async with _opened(source) as content:
            try:
                with meter(sys.stderr) as passed:
                    async with self._client.exec(
                        self._namespace, self._pod, command, container=self._container, stdin=True
                    ) as session:
                        return await send(session, partial(pack, content), passed=passed)
            except BaseException:
                await self._remove(remote.path, partial_name)
                raise

    async def _remove(self, target: str, partial_name: str) -> None:
        """Remove what is incomplete. The command does so itself, unless its runtime killed it with the connection."""
        folders = [posixpath.join(folder, partial_name) for folder in (target, posixpath.dirname(target))]
        with anyio.move_on_after(_REMOVES_WITHIN_S, shield=True):
            try:
                await self._client.run_exec(
                    self._namespace, self._pod, ["rm", "-rf", "--", *folders], container=self._container
                )
            except PodrunnerError as error:
                sys.stderr.write(
                    f"podrunner: {partial_name} may be left in the container: {one_line(str(error))}\n"
                )


@asynccontextmanager
async def _opened(source: str) -> AsyncIterator[Path | IO[bytes]]:
    """Give what is copied: a path that is there, or all of standard input."""
    if source != STANDARD_STREAM:
        yield Path(source)
        return
    with tempfile.SpooledTemporaryFile(_SPOOLED_BYTES) as spooled:
        await to_thread.run_sync(shutil.copyfileobj, sys.stdin.buffer, spooled, abandon_on_cancel=True)
        yield spooled


def _check_python() -> None:
    if not hasattr(tarfile, "data_filter"):
        raise UsageError("copying from a pod safely needs Python 3.11.4 or newer")


def _local_target(target: str, name: str) -> Path:
    path = Path(target)
    if path.is_dir():
        return path / name
    if target.endswith("/"):
        raise UsageError(f"{target} is no folder")
    return path


@contextmanager
def _partial_folder(target: Path) -> Iterator[Path]:
    """Give a folder beside the target, which is removed with all that is still in it."""
    if not (parent := target.absolute().parent).is_dir():
        raise CopyError(f"{parent} is no folder")
    prefix = f".{target.name}.podrunner-cp-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=parent) as made:
        yield Path(made)


def _move(content: Path, target: Path) -> None:
    """Move a file or a folder to its place, file by file where a folder is there; links there are not followed."""
    is_folder = content.is_dir() and not content.is_symlink()
    there_is_folder = target.is_dir() and not target.is_symlink()
    if is_folder and there_is_folder:
        for each in content.iterdir():
            _move(each, target / each.name)
    elif (is_folder or there_is_folder) and os.path.lexists(target):
        raise CopyError(f"{target} is {'a' if there_is_folder else 'no'} folder")
    else:
        content.replace(target)

"""Make ``protobuf.json.gz`` from the ``generated.proto`` and ``types.go`` files that Kubernetes publishes.

Kept are the messages of the kinds that LocalCluster serves and all that these refer to. The ``.proto`` files give
numbers and types; the tags in ``types.go`` say what the ``.proto`` files do not: the JSON name, whether a field is
inlined, and whether it is a pointer, so that its zero means something. Run it as README.md says.

Each message is a table: field number → JSON name (empty: inlined), type, and flags (``r`` repeated, ``p`` pointer).
A map's type is ``map`` and the types of its key and value.
"""

from __future__ import annotations

import gzip
import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["main"]

Field = tuple[str, str, str]
Messages = dict[str, dict[int, Field]]

_MESSAGE = re.compile(r"^message (\w+) \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_PROTO_MAP = re.compile(r"^ {2}map<(\w+), ([\w.]+)> (\w+) = (\d+);", re.MULTILINE)
_PROTO_PLAIN = re.compile(r"^ {2}(optional|repeated) ([\w.]+) (\w+) = (\d+);", re.MULTILINE)
_STRUCT = re.compile(r"^type (\w+) struct \{\n(.*?)^\}", re.MULTILINE | re.DOTALL)
_GO_FIELD = re.compile(
    r'^\t(?:\w+ )?(\*?)[\w.*\[\]]+ `json:"([^",]*)([^"]*)".*?protobuf:"\w+,(\d+),', re.MULTILINE
)
_SCALARS = {"string", "bytes", "bool", "int32", "int64", "uint32", "uint64", "double"}
_DELETE_OPTIONS = "k8s.io.apimachinery.pkg.apis.meta.v1.DeleteOptions"


def _messages(
    package: str, text: str, tags: Mapping[tuple[str, int], tuple[str, str]]
) -> Iterator[tuple[str, dict[int, Field]]]:
    for message, body in _MESSAGE.findall(text):
        yield f"{package}.{message}", dict(_fields(package, message, body, tags))


def _fields(
    package: str, message: str, body: str, tags: Mapping[tuple[str, int], tuple[str, str]]
) -> Iterator[tuple[int, Field]]:
    for label, kind, name, number in _PROTO_PLAIN.findall(body):
        json_name, flags = tags.get((message, int(number)), (name, ""))
        repeated = "r" if label == "repeated" else ""
        yield int(number), (json_name, _full(package, kind), flags + repeated)
    for key, kind, name, number in _PROTO_MAP.findall(body):
        json_name, flags = tags.get((message, int(number)), (name, ""))
        yield int(number), (json_name, f"map {key} {_full(package, kind)}", flags)


def _full(package: str, kind: str) -> str:
    if kind in _SCALARS:
        return kind
    return kind.removeprefix(".") if "." in kind else f"{package}.{kind}"


def _tags(text: str) -> dict[tuple[str, int], tuple[str, str]]:
    """(struct, field number) → JSON name, empty for an inlined field, and the flag of a pointer."""
    found = {}
    for struct, body in _STRUCT.findall(text):
        for pointer, name, options, number in _GO_FIELD.findall(body):
            inline = name == "" or "inline" in options
            found[struct, int(number)] = ("" if inline else name, "p" if pointer else "")
    return found


def _needed(messages: Messages, roots: list[str]) -> Messages:
    todo, kept = [name for name in roots if name in messages], Messages()
    while todo:
        name = todo.pop()
        if name in messages and name not in kept:
            kept[name] = messages[name]
            todo.extend(kind.split()[-1] for _, kind, _ in messages[name].values())
    return dict(sorted(kept.items()))


def main(api: Path, machinery: Path, target: Path) -> None:
    """Read the modules k8s.io/api and k8s.io/apimachinery, write ``target``."""
    from podrunner.local.api.resources import ALL

    messages: Messages = {}
    for folder in (api, machinery):
        for path in sorted(folder.rglob("generated.proto")):
            text = path.read_text()
            go = "".join(
                each.read_text() for each in sorted(path.parent.glob("*.go")) if "types" in each.name
            )
            package = re.search(r"^package ([\w.]+);", text, re.MULTILINE)
            assert package is not None
            messages.update(_messages(package[1], text, _tags(go)))
    kinds = {(each.api_version, each.kind) for each in ALL} | {
        (
            f"{subresource.group}/{subresource.version}" if subresource.group else each.api_version,
            subresource.kind,
        )
        for each in ALL
        for subresource in each.subresources
    }
    names = {f"{version} {kind}": _message_name(version, kind) for version, kind in sorted(kinds)}
    kept = _needed(messages, [*names.values(), _DELETE_OPTIONS])
    known = {each: name for each, name in names.items() if name in kept}
    text = json.dumps({"kinds": known, "messages": kept}, separators=(",", ":"), sort_keys=True)
    target.write_bytes(gzip.compress(text.encode(), mtime=0))


def _message_name(api_version: str, kind: str) -> str:
    group, _, version = api_version.rpartition("/")
    return f"k8s.io.api.{group.split('.')[0] or 'core'}.{version}.{kind}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))

"""The file of a run's journal: JSON Lines, a header with its version and then one record of a pod a line. Pure.

A later line about a pod replaces an earlier one, so a writer only ever appends. A line that a killed writer left half
written is the last one, or the last one before the header of the next writer, and is left out. Version 1 is the first;
a reader takes all versions up to its own, in which fields that are not there have their defaults, and fields that it
does not know are skipped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from podrunner.errors import UsageError
from podrunner.gantt.records import PodRecord

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import BinaryIO

__all__ = ["VERSION", "content_of", "header_line", "read_records", "record_lines"]

VERSION: Final = 1
_LONGEST_HEADER: Final = 64 * 1024


class _Header(msgspec.Struct, frozen=True):
    podrunner_journal: int
    owner: str = ""


_encoder: Final = msgspec.json.Encoder()


def header_line(owner: str) -> bytes:
    """Return a journal's first line.

    Args:
        owner: The runner that writes it.
    """
    return _encoder.encode(_Header(VERSION, owner)) + b"\n"


def record_lines(records: Iterable[PodRecord]) -> bytes:
    """Return records as lines of a journal."""
    return b"".join(_encoder.encode(record) + b"\n" for record in records)


def content_of(file: BinaryIO) -> bytes:
    """Return the content of a journal's file; of another file no more than its first line: a device may have no end."""
    first = file.readline(_LONGEST_HEADER)
    return first + file.read() if _is_header(first) else first


def read_records(data: bytes, *, source: str) -> list[PodRecord]:
    """Return the records of a journal, in the order in which they were written.

    A journal that several runners wrote, one after the other, has a header for each.

    Args:
        data: The file's content.
        source: Its name, for errors.

    Raises:
        UsageError: It is no journal, or one of a later version, or a line in it is none.
    """
    lines = data.split(b"\n")
    lines.pop()  # "" after the last line end, or a line that a killed writer left
    if not lines or not _is_header(lines[0]):
        raise UsageError(f"{source} is no journal of podrunner: its first line is not the header of one")
    decoder, records = msgspec.json.Decoder(PodRecord), []
    for number, line in enumerate(lines, start=1):
        if _is_header(line):
            _check_version(line, source)
        elif line:
            try:
                records.append(decoder.decode(line))
            except msgspec.DecodeError as error:
                if any(map(_is_header, lines[number : number + 1])):
                    continue  # a killed writer left it
                raise UsageError(f"{source}, line {number}: {error}") from error
    return records


def _is_header(line: bytes) -> bool:
    return line.startswith(b'{"podrunner_journal"')


def _check_version(line: bytes, source: str) -> None:
    try:
        version = msgspec.json.decode(line, type=_Header).podrunner_journal
    except msgspec.DecodeError as error:
        raise UsageError(f"{source} has an unreadable header: {error}") from error
    if version > VERSION:
        raise UsageError(
            f"{source} is a journal of version {version}, and this podrunner reads up to {VERSION}: update podrunner"
        )

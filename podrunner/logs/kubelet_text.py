"""Tells the kubelet's own words in the body of a log from the lines of the container. Pure.

With ``timestamps=true`` the kubelet puts a stamp before each line of the container. It answers 200 before it opens the
log, so an error after that can only be written into the body: without a stamp, at its end, and mostly without a line
end (``GetKubeletContainerLogs`` in pkg/kubelet/kubelet_pods.go, ``ReadLogs`` and ``waitLogs`` in k8s.io/cri-client
pkg/logs/logs.go, ``GetContainerLogs`` in pkg/kubelet/kuberuntime/kuberuntime_container.go)::

    unable to retrieve container logs for containerd://…
    failed to try resolving symlinks in path "/var/log/pods/…": lstat …: no such file or directory
    failed to create fsnotify watcher: too many open files
    rpc error: code = NotFound desc = an error occurred when try to find container "…": not found

One text without a stamp is the container's. containerd, CRI-O and dockerd store a line of over 16 KiB in pieces, each
with its own stamp; the kubelet joins them and writes the first one's. A request with ``sinceTime`` leaves out the
pieces before that time, and what is left of the line has no stamp. It is the first thing in the body then. The line
began before the time from which the log is wanted: it was read already, or not asked for. ``tailLines`` counts pieces,
but the first piece that it selects gets a stamp.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from podrunner.logs.record import GapReason, LogGap, split_stamp

__all__ = ["KubeletText", "Separated", "last_stamp", "stamp_at"]

_STAMP_SEARCH: Final = 40
_MAX_MESSAGE: Final = 1024
_KNOWN: Final = (b"unable to retrieve container logs", b"failed to ", b"rpc error: ", b"context cancelled")


class Separated(NamedTuple):
    """Some lines of a body: the container's, and what is known of the kubelet's.

    Attributes:
        lines: Those of the container.
        then: What is known of the body after them.
    """

    lines: bytes
    then: KubeletText


class KubeletText(msgspec.Struct, frozen=True):
    """What the kubelet itself said in the body of one answer so far.

    Attributes:
        may_be_cut: Whether the body may begin with the rest of a line: it was asked for with ``sinceTime``, and nothing
            came yet.
        message: The kubelet's words as they came; "": none.
    """

    may_be_cut: bool = False
    message: str = ""

    def separate(self, lines: bytes) -> Separated:
        r"""Tells whole lines apart, each with its ``\n``.

        Only the first and the last ones are looked at: none without a stamp stands in between.
        """
        if not lines:
            return Separated(lines, self)
        begin = _end_of_words(lines)
        end = _end_of_stamped(lines, begin)
        message = self._message(lines[:begin]) + _decoded(lines[end:])
        return Separated(lines[begin:end], KubeletText(message=message[:_MAX_MESSAGE]))

    def end(self, rest: bytes) -> Separated:
        """Tells what stands behind the last line end: a line without one, or words; ``b""``: neither."""
        return msgspec.structs.replace(self, may_be_cut=False).separate(rest)

    def gap(self, container: str, *, after: str = "", restart: int = 0) -> LogGap | None:
        """Returns the gap in place of what the kubelet could not give; None if it said nothing."""
        if not self.words:
            return None
        reason = GapReason.UNAVAILABLE
        return LogGap(container, reason, after=after or None, message=self.words, restart=restart)

    @property
    def words(self) -> str:
        """The kubelet's words without the last line end; "": none."""
        return self.message.strip("\n")

    def _message(self, first: bytes) -> str:
        is_cut = self.may_be_cut and not first.startswith(_KNOWN)
        return self.message if is_cut else self.message + _decoded(first)


def stamp_at(lines: bytes, at: int) -> str:
    """Returns the time stamp of the line that begins there; "" if it has none."""
    head = lines[at : at + _STAMP_SEARCH].split(b"\n", 1)[0].decode("ascii", "replace")
    return split_stamp(head)[0]


def last_stamp(data: bytes) -> str:
    """Returns the time stamp of the last line that has one; "" if none has."""
    end = len(data)
    while end > 0:
        at = data.rfind(b"\n", 0, end - 1) + 1
        if stamp := stamp_at(data, at):
            return stamp
        end = at
    return ""


def _end_of_words(lines: bytes) -> int:
    """Where the first line with a stamp begins."""
    at = 0
    while at < len(lines) and not stamp_at(lines, at):
        at = lines.index(b"\n", at) + 1
    return at


def _end_of_stamped(lines: bytes, begin: int) -> int:
    """Where the words behind the last line with a stamp begin."""
    end = len(lines)
    while end > begin:
        at = lines.rfind(b"\n", begin, end - 1) + 1 or begin
        if stamp_at(lines, at):
            break
        end = at
    return end


def _decoded(words: bytes) -> str:
    return words[:_MAX_MESSAGE].decode("utf-8", "replace")

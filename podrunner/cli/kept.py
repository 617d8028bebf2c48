"""What ``run`` leaves behind, and the commands by which it is seen and deleted. Pure."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from podrunner.cli.naming import PodIdentity

__all__ = ["Commands", "detached_lines", "kept_lines"]


class Commands(NamedTuple):
    """How the commands reach the cluster that ``run`` used: its own options, as they were typed."""

    config: Path | None = None
    kubeconfig: Path | None = None
    context: str | None = None
    namespace: str | None = None

    def line(self, *words: str) -> str:
        """Return a command line that can be copied into a shell."""
        given = {
            "--config": self.config,
            "--kubeconfig": self.kubeconfig,
            "--context": self.context,
            "-n": self.namespace,
        }
        options = [text for name, value in given.items() if value is not None for text in (name, str(value))]
        return shlex.join(["podrunner", words[0], *options, *words[1:]])


def kept_lines(kept: Sequence[PodIdentity], commands: Commands) -> list[str]:
    """Return what is said about pods that stay; none stays: nothing."""
    if not kept:
        return []
    names = [_word(one, kept) for one in kept]
    pods = "pod" if len(kept) == 1 else f"{len(kept)} pods"
    return [
        f"kept {pods} {', '.join(one.pod for one in kept)} (run --rm deletes also what fails)",
        f"  see it:     {commands.line('describe', names[-1])}",
        f"  its log:    {commands.line('logs', names[-1])}",
        f"  delete it:  {commands.line('delete', *names)}",
    ]


def detached_lines(one: PodIdentity, commands: Commands, *, has_limit: bool) -> list[str]:
    """Return what is said about a pod that is left to itself."""
    limit = "" if has_limit else "; run --timeout limits how long it runs"
    return [
        f"pod {one.pod} runs on without a runner, and stays until it is deleted{limit}",
        f"  see it:     {commands.line('get', one.key)}",
        f"  follow it:  {commands.line('logs', '-f', one.key)}",
        f"  delete it:  {commands.line('delete', one.key)}",
    ]


def _word(one: PodIdentity, among: Sequence[PodIdentity]) -> str:
    """Return the shortest word that names a pod: its key, with the attempt where several are of one key."""
    is_alone = sum(other.parts == one.parts for other in among) == 1
    return one.key if is_alone else f"{one.key}#{one.tried}"

"""What ``podrunner run`` was asked to run: a workload made of a file and of options."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from podrunner.cli.volumes import volumes_of
from podrunner.errors import UsageError
from podrunner.workload import Resources, Workload

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["AskedWorkload", "pairs_of"]


def pairs_of(pairs: Sequence[str], *, option: str) -> dict[str, str]:
    """Return ``NAME=VALUE`` texts as a mapping.

    Raises:
        UsageError: One has no equals sign.
    """
    for pair in pairs:
        if "=" not in pair:
            raise UsageError(f"{option} takes NAME=VALUE, not {pair!r}")
    return dict(pair.split("=", 1) for pair in pairs)


@dataclass(frozen=True, kw_only=True)
class AskedWorkload:
    """The options of ``run`` that say what is run; those of the command line win over the file.

    Attributes:
        command: Program and arguments; empty: those of the file.
        file: A workload's file; None: there is none.
        image: The image; None: the file's, else the configuration's.
        name: The identity; None: the file's, else a new one.
        env: ``NAME=VALUE`` texts.
        labels: ``NAME=VALUE`` texts.
        volumes: Volumes as ``-v`` takes them.
        cpu: CPUs to reserve.
        memory: Memory to reserve, and the limit of it.
        gpu: Number of GPUs.
    """

    command: Sequence[str] = ()
    file: Path | None = None
    image: str | None = None
    name: str | None = None
    env: Sequence[str] = ()
    labels: Sequence[str] = ()
    volumes: Sequence[str] = ()
    cpu: str | None = None
    memory: str | None = None
    gpu: int | None = None

    def workload(self) -> Workload:
        """Return the workload.

        Raises:
            UsageError: There is neither a command nor a file, or an option cannot be read.
            SpecError: The file cannot be read, or a value is not valid.
        """
        given = self._from_file()
        changes = {name: value for name, value in self._simple().items() if value is not None}
        changes["env"] = {**given.get("env", {}), **pairs_of(self.env, option="--env")}
        changes["labels"] = {**given.get("labels", {}), **pairs_of(self.labels, option="--label")}
        mounted = volumes_of(self.volumes)
        changes["volumes"] = (*given.get("volumes", ()), *mounted.volumes)
        changes["volume_mounts"] = (*given.get("volume_mounts", ()), *mounted.mounts)
        if (resources := self._resources(given.get("resources"))) is not None:
            changes["resources"] = resources
        return Workload(**{**given, **changes})

    def _from_file(self) -> dict[str, Any]:
        """Return the fields that the file sets, and the key."""
        if self.file is None:
            if not self.command:
                raise UsageError("name a program after --, or a workload's file by --workload")
            return {"key": {"run": self.name or uuid.uuid4().hex[:8]}}
        if self.name is not None:
            raise UsageError(
                "--name is the identity of a command, and a workload's file has a key: keep one of them"
            )
        found = Workload.from_file(self.file)
        return {name: getattr(found, name) for name in found.model_fields_set}

    def _simple(self) -> dict[str, Any]:
        """Return the fields that replace the file's; a command brings its own arguments."""
        command = {"command": tuple(self.command), "args": ()} if self.command else {}
        return {"image": self.image, **command}

    def _resources(self, given: Resources | None) -> Resources | None:
        asked = {
            "cpu_request": self.cpu,
            "memory_request": self.memory,
            "memory_limit": self.memory,
            "gpu": self.gpu,
        }
        changes = {name: value for name, value in asked.items() if value is not None}
        if not changes:
            return None
        before = {} if given is None else {name: getattr(given, name) for name in given.model_fields_set}
        return Resources(**{**before, **changes})

"""The spec of a container for the shim: its program, user, environment and mounts. Pure.

The isolation decides the details: with namespaces mounts are real and an ordinary user is root inside; without, mount
paths are rewritten in the program's arguments and environment.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from podrunner.local.kubelet.environment import CreateContainerConfigError, expand
from podrunner.local.kubelet.isolation import Isolation
from podrunner.local.kubelet.rewriting import rewriter
from podrunner.local.kubelet.volumes import Mount

if TYPE_CHECKING:
    from podrunner.local.kubelet.images import Image

__all__ = [
    "ContainerPlan",
    "CreateContainerError",
    "Machine",
    "User",
    "choose_user",
    "plan_container",
    "tar_names",
]

Json = Mapping[str, Any]
TERMINATION_LOG = "/dev/termination-log"


class CreateContainerError(Exception):
    """A container cannot be created; it waits as ``CreateContainerError``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What a plan depends on besides the pod.

    Attributes:
        isolation: How containers are kept apart.
        is_root: Whether the cluster runs as root.
        path: The machine's PATH.
        closed_home: Whether /root may not be entered.
    """

    isolation: Isolation
    is_root: bool
    path: str
    closed_home: bool = False

    @classmethod
    def here(cls, isolation: Isolation) -> Machine:
        """This machine; the interpreter's own folder comes last, so that there is always a ``python``."""
        path = os.environ.get("PATH") or os.defpath
        path = f"{path}:{Path(sys.executable).parent}"
        closed = not os.access("/root", os.R_OK | os.X_OK)
        return cls(isolation=isolation, is_root=os.geteuid() == 0, path=path, closed_home=closed)

    @property
    def has_namespaces(self) -> bool:
        """Whether containers have mounts of their own."""
        return self.isolation is not Isolation.NONE


@dataclass(frozen=True, slots=True)
class User:
    """The user that a container's programs run as.

    Attributes:
        uid: User id, None for the cluster's own.
        gid: Group id, None for the cluster's own.
        groups: Supplementary groups, None for the cluster's own.
        inside: User id that the container sees.
        inside_gid: Group id that the container sees.
    """

    uid: int | None
    gid: int | None
    groups: tuple[int, ...] | None
    inside: int
    inside_gid: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerPlan:
    """A container ready to start.

    Attributes:
        spec: For the shim.
        environment: What further programs in the container get.
        scratch: A private folder that must be there.
    """

    spec: dict[str, Any]
    environment: dict[str, str]
    scratch: Path

    def program(self, argv: Sequence[str], *, tty: bool) -> dict[str, Any]:
        """Return a further program in the container, as exec starts it."""
        main = self.spec["program"]
        env = {**main["env"], **({"TERM": "xterm"} if tty else {})}
        rewrite = rewriter(self.spec["rewrites"])
        return {**main, "argv": [rewrite(each) for each in argv], "env": env, "tty": tty}


def choose_user(container: Json, pod: Json, machine: Machine) -> User:
    """Return the user that the security contexts ask for.

    Raises:
        CreateContainerConfigError: ``runAsNonRoot`` is broken.
    """
    context = {**(pod["spec"].get("securityContext") or {}), **(container.get("securityContext") or {})}
    wanted, group = context.get("runAsUser"), context.get("runAsGroup")
    if context.get("runAsNonRoot") and not wanted:
        why = "container has runAsNonRoot and image will run as root" if wanted is None else _BREAKS
        meta = pod["metadata"]
        where = f'(pod: "{meta["name"]}_{meta["namespace"]}({meta["uid"]})", container: {container["name"]})'
        raise CreateContainerConfigError(f"{why} {where}")
    return _user(wanted, group, _groups(context), machine)


_BREAKS = "container's runAsUser breaks non-root policy"


def _groups(context: Json) -> tuple[int, ...]:
    own = context.get("fsGroup")
    return (*(context.get("supplementalGroups") or ()), *(() if own is None else (own,)))


def _user(wanted: int | None, group: int | None, groups: tuple[int, ...], machine: Machine) -> User:
    if machine.isolation is Isolation.USER:
        return User(None, None, None, wanted or 0, group or 0)
    if not machine.is_root:
        return User(None, None, None, os.geteuid(), os.getegid())
    gid = group if group is not None else (0 if wanted is not None else None)
    changes = wanted is not None or gid is not None or bool(groups)
    return User(wanted, gid, groups if changes else None, wanted or 0, gid or 0)


def plan_container(
    container: Json,
    pod: Json,
    *,
    image: Image,
    variables: Mapping[str, str],
    mounts: Sequence[Mount],
    folder: Path,
    machine: Machine,
    joins: Sequence[str] = (),
) -> ContainerPlan:
    """Plan a container.

    Args:
        container: The container of the pod's spec.
        pod: The pod.
        image: What its image means.
        variables: Its environment, without the image's.
        mounts: Its volumes.
        folder: The container's own folder.
        machine: What there is.
        joins: cgroup files that its programs join.

    Raises:
        CreateContainerConfigError: Its user may not be.
        CreateContainerError: It has no command, or wants what this isolation cannot give.
    """
    user = choose_user(container, pod, machine)
    if image.rootfs is not None and not machine.has_namespaces:
        raise CreateContainerError(
            "its image is a root file system, which needs namespaces: this system gives none"
        )
    own = _own_mounts(container, folder, user, machine=machine)
    cwd = container.get("workingDir") or image.working_dir or ""
    every = [*own, *mounts, *_working_folder(cwd, own, mounts, folder, image=image)]
    rewrites = [] if machine.has_namespaces else [(mount.target, mount.source) for mount in every]
    rewrite = rewriter(rewrites)
    env = _environment(
        container, pod, image=image, variables=variables, user=user, machine=machine, folder=folder
    )
    argv = [rewrite(each) for each in command_line(container, image, variables)]
    program = {
        "argv": argv,
        "env": {**tar_names(rewrites), **{name: rewrite(value) for name, value in env.items()}},
        "cwd": rewrite(cwd) if cwd else ("/" if image.rootfs else str(folder / "scratch")),
        "uid": user.uid,
        "gid": user.gid,
        "groups": None if user.groups is None else list(user.groups),
        "tty": bool(container.get("tty")),
    }
    spec = {
        "isolation": str(machine.isolation),
        "map_uid": user.inside,
        "map_gid": user.inside_gid,
        "hostname": pod["spec"].get("hostname") or pod["metadata"]["name"],
        "rootfs": str(image.rootfs or ""),
        "staging": str(folder / "root"),
        "upper": str(folder / "upper"),
        "work": str(folder / "work"),
        "dev": True,
        "cgroups": list(joins),
        "mounts": [(mount.source, mount.target, mount.readonly) for mount in every]
        if machine.has_namespaces
        else [],
        "rewrites": rewrites,
        "program": program,
    }
    return ContainerPlan(spec=spec, environment=env, scratch=folder / "scratch")


def tar_names(rewrites: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Makes GNU tar write the paths that the container means, not those they are rewritten to.

    ``kubectl cp`` packs an absolute path in the container and wants to find it in the archive. The option cannot
    quote blanks, so a folder with one in its name is left out.
    """
    pairs = [(source, target) for target, source in rewrites if not _UNQUOTABLE & {*source, *target}]
    options = [
        f"--transform=s,^/*{re.escape(source.lstrip('/'))},{target.lstrip('/')}," for source, target in pairs
    ]
    return {"TAR_OPTIONS": " ".join(options)} if options else {}


_UNQUOTABLE = frozenset(" \t\n,&\\\"'")


def command_line(container: Json, image: Image, variables: Mapping[str, str]) -> list[str]:
    """Command and args, the image's where the container has none, with ``$(VAR)`` expanded.

    Raises:
        CreateContainerError: There is none at all.
    """
    command, args = container.get("command") or (), container.get("args") or ()
    own = [expand(each, variables) for each in (*(command or image.entrypoint), *args)]
    if not command and not args:
        own += image.cmd
    if not own:
        raise CreateContainerError(
            f"failed to generate container spec: no command specified: image {container.get('image')!r} is not in"
            " LocalCluster's table of images, so the pod must say what to run"
        )
    return own


def _own_mounts(container: Json, folder: Path, user: User, *, machine: Machine) -> list[Mount]:
    """Mounts that a container has without asking."""
    path = container.get("terminationMessagePath") or TERMINATION_LOG
    mounts = [Mount(str(folder / "termination-log"), path)]
    if machine.isolation is Isolation.USER and user.inside == 0 and machine.closed_home:
        # An ordinary user is root inside, and the machine's /root is closed to that user.
        mounts.insert(0, Mount(str(folder / "home"), "/root"))
    return mounts


def _working_folder(
    cwd: str, own: Sequence[Mount], volumes: Sequence[Mount], folder: Path, *, image: Image
) -> list[Mount]:
    """Return the mount that makes a missing working directory, for the container alone; a volume keeps its own."""
    if not cwd or image.rootfs or os.path.isdir(cwd):  # noqa: PTH112  # Path.is_dir raises below a closed folder
        return []
    in_volume = any(f"{cwd}/".startswith(f"{mount.target.rstrip('/')}/") for mount in volumes)
    if in_volume or cwd in {mount.target for mount in own}:
        return []
    return [Mount(str(folder / "scratch"), cwd)]


def _environment(
    container: Json,
    pod: Json,
    *,
    image: Image,
    variables: Mapping[str, str],
    user: User,
    machine: Machine,
    folder: Path,
) -> dict[str, str]:
    """Return the image's variables under the container's; PATH, HOSTNAME and HOME under both."""
    home = "/root" if user.inside == 0 else ("/" if machine.has_namespaces else str(folder / "home"))
    path = image.env.get("PATH") or _DEFAULT_PATH if image.rootfs else machine.path
    base = {
        "PATH": ":".join([*map(str, image.path), path]),
        "HOSTNAME": pod["spec"].get("hostname") or pod["metadata"]["name"],
        "HOME": home,
    }
    if container.get("tty"):
        base["TERM"] = "xterm"
    if machine.isolation is Isolation.USER and user.inside == 0:
        base["TAR_OPTIONS"] = _NO_OWNERS
    return {**base, **{name: value for name, value in image.env.items() if name != "PATH"}, **variables}


_NO_OWNERS = "--no-same-owner"
"""Options of tar for a root that is the only user: it cannot change owners, which tar, and so ``kubectl cp``, does."""
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

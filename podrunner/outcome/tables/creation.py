"""Errors of containers that cannot be created or started: words of runtimes and of the kubelet.

The node's trouble comes first: containerd wraps each error of a start in the same words ("failed to create shim
task"), so only what stands inside of them tells the causes apart.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from podrunner.outcome.category import Fault
from podrunner.outcome.tables.images import NETWORK_WORDS
from podrunner.outcome.tables.words import Word

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CREATION_REASONS", "CREATION_WORDS"]

_INFRA, _CONFIG = Fault.INFRASTRUCTURE, Fault.CONFIGURATION

_CRI: Final = "containerd: internal/cri/server/container_create.go"
_SPEC: Final = "containerd: internal/cri/opts"
_CRIO: Final = "cri-o: server"
_RUNC: Final = "runc: libcontainer"
_EXEC: Final = "Go: os/exec; runc: libcontainer; crun"
_NVIDIA: Final = "NVIDIA/libnvidia-container: src"
_CDI: Final = "container-device-interface: pkg/cdi; containerd: pkg/cdi/oci_opt.go"
_PODS: Final = "pkg/kubelet/kubelet_pods.go"
_NOT_FOUND: Final = f"{_PODS} (apimachinery: NewNotFound)"
_RUNTIME: Final = "pkg/kubelet/kuberuntime"
_USERS: Final = "moby/sys: user/user.go; crun"

_RUNTIME_FAILS: Final[tuple[Word, ...]] = (
    Word("failed to reserve container name", _INFRA, f"{_CRI} (containerd issue 4604)"),
    Word("is reserved for", _INFRA, "containerd: internal/registrar/registrar.go"),
    Word("name is reserved", _INFRA, "cri-o: internal/registrar/registrar.go"),
    Word("is already in use by", _INFRA, "moby: daemon/names.go; containers/storage"),
    Word("kubelet may be retrying requests that are timing out", _INFRA, f"{_CRIO}/utils.go"),
    Word("sandbox container … is not running", _INFRA, _CRI),
    Word("failed to find sandbox", _INFRA, _CRI),
    Word("specified sandbox not found", _INFRA, f"{_CRIO}/container_create.go"),
    Word("as the sandbox was stopped", _INFRA, f"{_CRIO}/container_create.go"),
    Word("failed to get image from containerd", _INFRA, f"{_CRI} (collected between pull and create)"),
    Word("failed to start shim", _INFRA, "containerd: core/runtime/v2/task_manager.go"),
    Word("ttrpc: closed", _INFRA, "containerd/ttrpc: errors.go"),
    Word("did not terminate successfully", _INFRA, "containerd/go-runc: runc.go (runc itself broke)"),
    Word(
        "unable to retrieve OCI runtime error",
        _INFRA,
        "containerd: cmd/containerd-shim-runc-v2/process/init.go",
    ),
    Word("conmon pid", _INFRA, "cri-o: internal/oci/runtime_oci.go"),
    Word("error creating systemd unit", _INFRA, "opencontainers/cgroups: systemd"),
    Word("Message recipient disconnected from message bus", _INFRA, "systemd: D-Bus"),
    Word("container's cgroup is not empty", _INFRA, f"{_RUNC}/factory_linux.go"),
    Word("container's cgroup unexpectedly frozen", _INFRA, f"{_RUNC}/factory_linux.go"),
)

_TOO_LITTLE: Final[tuple[Word, ...]] = (
    Word("unsatisfied condition", _CONFIG, f"{_NVIDIA} (the image asks for another driver)"),
    Word("container init was OOM-killed (memory limit too low?)", _CONFIG, f"{_RUNC}/process_linux.go"),
    Word("set memory limit … too low", _CONFIG, "cri-o: internal/config/cgmgr/cgmgr_linux.go"),
    Word("Minimum memory limit allowed is", _CONFIG, "moby: daemon/daemon_unix.go"),
)
"""Before the node's own words: the message may name the hook or the cgroup, too."""

_NODE_FAILS: Final[tuple[Word, ...]] = (
    Word("unable to apply cgroup configuration", _INFRA, f"{_RUNC}/process_linux.go"),
    Word("error setting cgroup config", _INFRA, f"{_RUNC}/process_linux.go"),
    Word("/sys/fs/cgroup/…", _INFRA, "opencontainers/cgroups", "/sys/fs/cgroup/"),
    Word("no space left on device", _INFRA, "Linux: ENOSPC"),
    Word("disk quota exceeded", _INFRA, "Linux: EDQUOT"),
    Word("input/output error", _INFRA, "Linux: EIO"),
    Word("cannot allocate memory", _INFRA, "Linux: ENOMEM"),
    Word("too many open files", _INFRA, "Linux: EMFILE"),
    Word("resource temporarily unavailable", _INFRA, "Linux: EAGAIN (the node's tasks are used up)"),
    Word("stale NFS file handle", _INFRA, "Linux: ESTALE"),
    Word("stale file handle", _INFRA, "Linux: ESTALE"),
    Word("failed to create subPath directory", _INFRA, f"{_PODS} (tektoncd/pipeline issue 6960)"),
    Word("transport endpoint is not connected", _INFRA, "Linux: ENOTCONN (a file server that went away)"),
)

_DEVICES: Final[tuple[Word, ...]] = (
    Word("nvml error", _INFRA, _NVIDIA),
    Word("driver not loaded", _INFRA, _NVIDIA),
    Word("Failed to initialize NVML", _INFRA, "NVIDIA/k8s-device-plugin; nvidia-smi"),
    Word("Driver/library version mismatch", _INFRA, "NVIDIA: NVML"),
    Word("nvidia-container-cli: initialization error", _INFRA, _NVIDIA),
    Word("nvidia-container-cli: detection error", _INFRA, _NVIDIA),
    Word("nvidia-container-cli: device error", _INFRA, _NVIDIA),
    Word("nvidia-container-cli: mount error", _INFRA, _NVIDIA),
    Word(
        "error running … hook",
        _INFRA,
        f"{_RUNC}/configs/config.go (a hook of the node)",
        r"error running (\w+ )?hook",
    ),
    Word("unresolvable CDI devices", _INFRA, _CDI),
    Word("CDI device injection failed", _INFRA, _CDI),
    Word("CDI support is explicitly disabled", _INFRA, _CDI),
)

_KUBELET_LAGS: Final[tuple[Word, ...]] = (
    Word("failed to sync secret cache", _INFRA, "pkg/kubelet/util/manager/watch_based_manager.go"),
    Word("failed to sync configmap cache", _INFRA, "pkg/kubelet/util/manager/watch_based_manager.go"),
    Word("services have not yet been read", _INFRA, _PODS),
    Word("failed to list services", _INFRA, _PODS),
    Word("no relationship found between node", _INFRA, "plugin/pkg/auth/authorizer/node/node_authorizer.go"),
)

_MISSING: Final[tuple[Word, ...]] = (
    Word('secret "…" not found', _CONFIG, _NOT_FOUND, r'secrets? "[^"]*" not found'),
    Word('configmap "…" not found', _CONFIG, _NOT_FOUND, r'configmaps? "[^"]*" not found'),
    Word("couldn't find key … in", _CONFIG, _PODS),
    Word("references non-existent", _CONFIG, "pkg/volume/secret, pkg/volume/configmap"),
    Word("missing value for", _CONFIG, "pkg/kubelet/container/helpers.go"),
    Word("environment variable key … not found in file", _CONFIG, _PODS),
    Word("couldn't parse env file", _CONFIG, _PODS),
    Word("cannot find the volume", _CONFIG, _PODS),
    Word("cannot find volume", _CONFIG, _PODS),
)

_SECURITY: Final[tuple[Word, ...]] = (
    Word("container has runAsNonRoot", _CONFIG, f"{_RUNTIME}/security_context_others.go"),
    Word("breaks non-root policy", _CONFIG, f"{_RUNTIME}/security_context_others.go"),
    Word("will break non-root policy", _CONFIG, f"{_RUNTIME}/security_context_windows.go"),
    Word("unsupported supplementalGroupsPolicy", _CONFIG, f"{_RUNTIME}/security_context.go"),
    Word("cannot load seccomp profile", _CONFIG, _SPEC),
    Word("seccomp profile", _CONFIG, f"{_RUNC}/seccomp"),
    Word("apparmor profile", _CONFIG, f"{_SPEC}; {_RUNC}/apparmor"),
    Word("apparmor failed to apply profile", _CONFIG, f"{_RUNC}/apparmor"),
    Word("unable to find user", _CONFIG, _USERS),
    Word("unable to find group", _CONFIG, _USERS),
    Word("no matching entries in", _CONFIG, _USERS),
    Word("no users found", _CONFIG, _SPEC),
    Word("user group is specified without user", _CONFIG, f"{_CRIO}/container_create.go"),
)

_COMMAND: Final[tuple[Word, ...]] = (
    Word("executable file … not found", _CONFIG, _EXEC, r"executable file[^\n]*? not found"),
    Word("executable not found in $PATH", _CONFIG, "cri-dockerd: core/container_start.go"),
    Word("exec format error", _CONFIG, "Linux: ENOEXEC (an image of another architecture)"),
    Word("no command specified", _CONFIG, _SPEC),
    Word("argument list too long", _CONFIG, "Linux: E2BIG"),
    Word("permission denied", _CONFIG, _EXEC),
    Word("is a directory", _CONFIG, _EXEC),
)

_MOUNTS: Final[tuple[Word, ...]] = (
    Word("chdir to cwd", _CONFIG, f"{_RUNC}/init_linux.go"),
    Word("error mounting", _CONFIG, f"{_RUNC}/rootfs_linux.go"),
    Word("not a directory", _CONFIG, "Linux: ENOTDIR (a directory is mounted on a file, or the reverse)"),
    Word("failed to mkdir", _CONFIG, _SPEC),
    Word("must be an absolute path", _CONFIG, _PODS),
    Word("must not be an absolute path", _CONFIG, _PODS),
    Word("unable to provision SubPath", _CONFIG, _PODS),
    Word("recursive read-only", _CONFIG, _PODS),
    Word("is not a shared", _CONFIG, f"{_CRIO}/container_create.go; {_SPEC}"),
    Word("no such file", _CONFIG, _EXEC),
)

CREATION_WORDS: Final[tuple[Word, ...]] = (
    *_TOO_LITTLE,
    *_RUNTIME_FAILS,
    *_NODE_FAILS,
    *_DEVICES,
    *_KUBELET_LAGS,
    *NETWORK_WORDS,
    *_MISSING,
    *_SECURITY,
    *_COMMAND,
    *_MOUNTS,
)
"""Words of a message about a container that could not be made or started. The first entry that is found decides."""

_MANAGER: Final = f"{_RUNTIME}/kuberuntime_container.go"

CREATION_REASONS: Final[Mapping[str, tuple[Fault, str]]] = MappingProxyType(
    {
        "ContainerCannotRun": (Fault.UNKNOWN, "cri-dockerd: core/container_status.go"),
        "CreateContainerConfigError": (Fault.UNKNOWN, _MANAGER),
        "CreateContainerError": (Fault.UNKNOWN, _MANAGER),
        "PostStartHookError": (_CONFIG, _MANAGER),
        "PreCreateHookError": (_INFRA, f"{_MANAGER} (the kubelet's own step: CPUs, memory, topology)"),
        "PreStartHookError": (_INFRA, f"{_MANAGER} (the kubelet's own step: CPUs, memory, topology)"),
        "RunContainerError": (Fault.UNKNOWN, "pkg/kubelet/container/sync_result.go"),
        "StartError": (Fault.UNKNOWN, "containerd: internal/cri/server/container_start.go"),
    }
)
"""Reasons of a container that cannot be made: the fault, ``unknown`` where the words decide, and the source."""

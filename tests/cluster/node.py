"""A real single-node Kubernetes in its own namespaces.

``up.py`` makes fresh network, mount and PID namespaces, and starts ``RealNode`` in them. The PID namespace makes the
cleanup certain: when its first process ends, for whatever reason, the kernel ends all other processes in it, containers
included; mounts and the network end with their namespaces. Only cgroups remain; ``up.py`` removes them from outside.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

from programs import Programs, can_find_or_build

ADMIN_TOKEN = "test-node-admin"
ADDRESS = "10.99.0.1"
PORT = 16443
ETCD = "http://127.0.0.1:12379"
URL = f"https://{ADDRESS}:{PORT}"
NODE = "node1"
_SERVER = "kube-apiserver"
_PROBE = {"name": "probe", "image": "localhost/busybox:1", "imagePullPolicy": "Never", "command": ["true"]}
READY_WITHIN_S = 180
_ANSWER_WITHIN_S = 60
"""For a request that is sent once. What is asked again and again has less time, so that an end is noticed meanwhile."""
_LOOK_WITHIN_S = 10
NODE_SILENT_S = 20
"""Seconds without a heartbeat after which a node is not ready; Kubernetes' default of 50 would make the tests long."""
EVICTIONS_PER_S = 2
"""With 2, a lost node's pods are evicted at once, instead of within 10 s. Not 1: after all nodes had been unreachable,
as after an API server's restart, the controller does not return to a rate of 1 (``QPS`` of client-go's limiter that
never accepts is 1), and evicts nothing more."""
CLIENTS = ("kube-controller-manager", "kube-scheduler", "kubelet")
"""The daemons that act on what they list and watch from the API server."""


class RealNode:
    """The daemons of one node, each started, stopped and restarted by name.

    It writes only below ``folder``.
    """

    def __init__(self, folder: Path, programs: Programs, *, cgroup_root: str) -> None:
        self.folder = folder
        self.kubeconfig = folder / "admin.kubeconfig"
        self._programs = programs
        self._cgroup_root = cgroup_root
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        """In the order of their starts."""
        self._flags: dict[str, Sequence[str]] = {}
        self._settled = False

    # -- the whole node

    def start(self, images: Sequence[Path]) -> None:
        """Start everything and return when a pod has run."""
        self._prepare()
        _network()
        for name in ("etcd", "containerd"):
            self.start_daemon(name)
        self._until("etcd is healthy", lambda: _fetch(f"{ETCD}/health") is not None)
        self.start_daemon("kube-apiserver")
        self._until("containerd answers", lambda: self._ctr("version").returncode == 0)
        for image in images:
            self._ctr("-n", "k8s.io", "images", "import", str(image)).check_returncode()
        self.wait_for_api()
        self._trust_the_server()
        for name in CLIENTS:
            self.start_daemon(name)
        self.settle()

    def stop(self) -> None:
        """Stop the daemons, the last started first; other processes end with the PID namespace."""
        for name in reversed(list(self._running)):
            self.stop_daemon(name)

    # -- one daemon

    def start_daemon(self, name: str, flags: Sequence[str] = ()) -> None:
        """Start (or restart) a daemon; its output goes to ``<folder>/log/<name>.log``."""
        if name in self._running:
            raise RuntimeError(f"{name} is running")
        command = [*self._command(name), *flags]
        with (self.folder / "log" / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._running[name] = process
        self._flags[name] = flags
        self._settled = False
        (self.folder / "pid" / name).write_text(str(process.pid))

    def stop_daemon(self, name: str, kill: bool = False) -> None:  # noqa: FBT001, FBT002  # named by the control
        """End a daemon by SIGTERM, or at once by SIGKILL."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def wait_for_api(self) -> None:
        self._until("the API server is ready", lambda: self.get("/readyz") is not None)

    def settle(self) -> None:
        """Bring all daemons to a known state after some were started or stopped; return when they have run a pod.

        Clients of an API server that was restarted get a fresh start. A restarted server's watch cache begins at its
        start: older watches get 410, and each client lists again after a back-off that grows with each interruption
        within two minutes, up to 60 s (``NewReflectorWithOptions`` of client-go's ``tools/cache/reflector.go``: 30 s,
        with a jitter of as much again). Each of a client's dozens of watches waits for itself, and none can be asked
        how long; a new process lists at once.
        """
        if self._flags.get(_SERVER):
            self._restart(_SERVER)
        for name in started_before(_SERVER, list(self._running), CLIENTS):
            self._restart(name)
        if not self._settled:
            self.wait_for_api()
            self._until("the node is Ready", self._is_ready)
            self._run_a_pod()
            self._settled = True

    def _restart(self, name: str) -> None:
        self.stop_daemon(name, kill=True)
        self.start_daemon(name)

    def _run_a_pod(self) -> None:
        """Return when a pod has run in a new namespace: the controllers, the scheduler and the kubelet work."""
        name = f"settle-{uuid.uuid4().hex[:8]}"
        namespace = f"/api/v1/namespaces/{name}"
        self._send("/api/v1/namespaces", {"metadata": {"name": name}})
        for made in ("serviceaccounts/default", "configmaps/kube-root-ca.crt"):
            self._until(f"{made} is in {name}", lambda made=made: self.get(f"{namespace}/{made}") is not None)
        spec = {"restartPolicy": "Never", "containers": [_PROBE]}
        self._send(f"{namespace}/pods", {"metadata": {"name": "probe"}, "spec": spec})
        self._until(f"the pod of {name} has run", lambda: self._has_run(f"{namespace}/pods/probe"))
        self._send(namespace, None, method="DELETE")

    def _has_run(self, path: str) -> bool:
        return bool(json.loads(self.get(path) or b"{}").get("status", {}).get("phase") == "Succeeded")

    # -- requests

    @property
    def verbs(self) -> dict[str, Callable[..., object]]:
        """Return what a test may request of the daemons; see ``control.py``."""
        return {
            "start": self.start_daemon,
            "stop": self.stop_daemon,
            "compact": self.compact_etcd,
            "wait_for_api": self.wait_for_api,
            "settle": self.settle,
            "running": lambda: list(self._running),
        }

    def get(self, path: str) -> bytes | None:
        """Return the body of a GET as administrator, None for any failure."""
        return _fetch(URL + path, token=ADMIN_TOKEN)

    def _send(self, path: str, body: object, *, method: str = "POST") -> None:
        """Send a request as administrator, and raise the error of a refusal."""
        data = json.dumps(body).encode() if body is not None else None
        _open(URL + path, token=ADMIN_TOKEN, data=data, method=method)

    def compact_etcd(self) -> int:
        """Compact etcd at its newest revision, so that every older resourceVersion answers 410; return it."""
        revision = int(_post(f"{ETCD}/v3/kv/range", {"key": "AA==", "limit": 1})["header"]["revision"])
        _post(f"{ETCD}/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def _is_ready(self) -> bool:
        node = json.loads(self.get(f"/api/v1/nodes/{NODE}") or b"{}")
        conditions = node.get("status", {}).get("conditions", [])
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _until(self, what: str, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_WITHIN_S
        while not holds():
            self._check_alive()
            if time.monotonic() > deadline:
                raise TimeoutError(f"waited {READY_WITHIN_S} s until {what}; see {self.folder}/log")
            time.sleep(0.05)

    def _check_alive(self) -> None:
        for name, process in self._running.items():
            if process.poll() is not None:
                tail = (self.folder / "log" / f"{name}.log").read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"{name} ended with {process.returncode}:\n{tail}")

    # -- settings

    def _ctr(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            ["ctr", "-a", f"{self.folder}/containerd.sock", *arguments], capture_output=True, check=False
        )

    def _prepare(self) -> None:
        for name in ("log", "pid", "pki", "cni", "opt", "podlogs"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        key = self.folder / "pki" / "sa.key"
        _run("openssl", "genrsa", "-out", str(key), "2048")
        _run("openssl", "rsa", "-in", str(key), "-pubout", "-out", str(key.with_suffix(".pub")))
        (self.folder / "pki/tokens.csv").write_text(f'{ADMIN_TOKEN},admin,1,"system:masters"\n')
        (self.folder / "resolv.conf").write_text("nameserver 10.99.0.254\n")
        (self.folder / "cni/10-bridge.conflist").write_text(json.dumps(_cni(self.folder)))
        (self.folder / "containerd.toml").write_text(_containerd(self.folder))
        (self.folder / "kubelet.yaml").write_text(json.dumps(_kubelet(self.folder, self._cgroup_root)))
        self.kubeconfig.write_text(json.dumps(kubeconfig(ADMIN_TOKEN)))
        self.kubeconfig.chmod(0o600)

    def _trust_the_server(self) -> None:
        """Write the API server's authority into the kubeconfig; the server creates it at its first start."""
        authority = (self.folder / "pki/apiserver/apiserver.crt").read_bytes()
        self.kubeconfig.write_text(json.dumps(kubeconfig(ADMIN_TOKEN, authority)))

    def _command(self, name: str) -> list[str]:
        arguments = _ARGUMENTS[name](self.folder)
        program = "containerd" if name == "containerd" else self._programs.path(name)
        if name == "kubelet" and _has_flag(
            program, "--containerd"
        ):  # up to 1.34; without it, its memory figures are 0
            arguments.append(f"--containerd={self.folder}/containerd.sock")
        return [program, *arguments]


def kubeconfig(token: str, authority: bytes | None = None) -> dict[str, object]:
    """Return a kubeconfig with ``token``; without an authority the server's certificate is not checked."""
    cluster: dict[str, object] = {"server": URL, "insecure-skip-tls-verify": True}
    if authority:
        cluster = {"server": URL, "certificate-authority-data": base64.b64encode(authority).decode()}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "node", "cluster": cluster}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [
            {"name": "node", "context": {"cluster": "node", "user": "user", "namespace": "default"}}
        ],
        "current-context": "node",
    }


def _etcd(folder: Path) -> list[str]:
    peer = "http://127.0.0.1:12380"
    return [
        "--name=n1", f"--data-dir={folder}/etcd", f"--listen-client-urls={ETCD}", f"--advertise-client-urls={ETCD}",
        f"--listen-peer-urls={peer}", f"--initial-advertise-peer-urls={peer}", f"--initial-cluster=n1={peer}",
    ]  # fmt: skip


def _apiserver(folder: Path) -> list[str]:
    pki = folder / "pki"
    return [
        f"--etcd-servers={ETCD}", f"--secure-port={PORT}", "--bind-address=0.0.0.0", f"--advertise-address={ADDRESS}",
        f"--cert-dir={pki}/apiserver", "--service-cluster-ip-range=10.96.0.0/16",
        "--service-account-issuer=https://kubernetes.default.svc", f"--service-account-key-file={pki}/sa.pub",
        f"--service-account-signing-key-file={pki}/sa.key", f"--token-auth-file={pki}/tokens.csv",
        "--authorization-mode=Node,RBAC", "--allow-privileged=true", "--event-ttl=10m",
        "--kubelet-preferred-address-types=InternalIP",
    ]  # fmt: skip


def _controller_manager(folder: Path) -> list[str]:
    pki = folder / "pki"
    return [
        f"--kubeconfig={folder}/admin.kubeconfig", f"--service-account-private-key-file={pki}/sa.key",
        f"--root-ca-file={pki}/apiserver/apiserver.crt", "--leader-elect=false", f"--cert-dir={pki}/kcm",
        "--node-monitor-period=2s", f"--node-monitor-grace-period={NODE_SILENT_S}s",
        f"--node-eviction-rate={EVICTIONS_PER_S}",
    ]  # fmt: skip


def _scheduler(folder: Path) -> list[str]:
    return [
        f"--kubeconfig={folder}/admin.kubeconfig",
        "--leader-elect=false",
        f"--cert-dir={folder}/pki/scheduler",
    ]


def _kubelet_arguments(folder: Path) -> list[str]:
    return [
        f"--config={folder}/kubelet.yaml", f"--kubeconfig={folder}/admin.kubeconfig", f"--root-dir={folder}/kubelet",
        f"--cert-dir={folder}/kubelet/pki", f"--hostname-override={NODE}", f"--node-ip={ADDRESS}",
        "--v=2",
    ]  # fmt: skip


_ARGUMENTS: dict[str, Callable[[Path], list[str]]] = {
    "etcd": _etcd,
    "containerd": lambda folder: ["-c", f"{folder}/containerd.toml"],
    "kube-apiserver": _apiserver,
    "kube-controller-manager": _controller_manager,
    "kube-scheduler": _scheduler,
    "kubelet": _kubelet_arguments,
    "kwok": lambda folder: [
        f"--kubeconfig={folder}/admin.kubeconfig",
        f"--node-lease-duration-seconds={NODE_SILENT_S}",
    ],
}


def _cni(folder: Path) -> dict[str, object]:
    ipam = {
        "type": "host-local", "dataDir": f"{folder}/ipam",
        "ranges": [[{"subnet": "10.244.0.0/22"}]], "routes": [{"dst": "0.0.0.0/0"}],
    }  # fmt: skip
    bridge = {
        "type": "bridge",
        "bridge": "pods0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": ipam,
    }
    return {"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge]}


def _containerd(folder: Path) -> str:
    """containerd 1.6 and 1.7 read version 2.

    ``restrict_oom_score_adj`` and ``disable_apparmor`` let it run where CAP_SYS_RESOURCE or AppArmor is missing.
    """
    cri = 'plugins."io.containerd.grpc.v1.cri"'
    return f"""
version = 2
root = "{folder}/containerd/root"
state = "{folder}/containerd/state"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{folder}/containerd.sock"
[{cri}]
  sandbox_image = "localhost/pause:1"
  disable_apparmor = true
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_tcp_service = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  [{cri}.containerd]
    snapshotter = "overlayfs"
    default_runtime_name = "runc"
    [{cri}.containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [{cri}.containerd.runtimes.runc.options]
        SystemdCgroup = false
  [{cri}.cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{folder}/cni"
    max_conf_num = 1
[plugins."io.containerd.internal.v1.opt"]
  path = "{folder}/opt"
"""


def _kubelet(folder: Path, cgroup_root: str) -> dict[str, object]:
    """The kubelet's settings; the low thresholds keep a full laptop disk from evicting the tests' pods."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupsPerQOS": True,
        "cgroupRoot": cgroup_root,
        "enforceNodeAllocatable": ["pods"],
        "containerRuntimeEndpoint": f"unix://{folder}/containerd.sock",
        "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
        "authorization": {"mode": "AlwaysAllow"},
        "failSwapOn": False,
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "maxPods": 250,
        "nodeLeaseDurationSeconds": NODE_SILENT_S,  # renewed each quarter of it
        "makeIPTablesUtilChains": False,
        "podLogsDir": f"{folder}/podlogs",
        "resolvConf": f"{folder}/resolv.conf",
        "volumePluginDir": f"{folder}/kubelet/plugins-exec",
        "containerLogMaxSize": "1Mi",
        "containerLogMonitorInterval": "3s",
        "evictionHard": {
            "memory.available": "100Mi",
            "nodefs.available": "1%",
            "imagefs.available": "1%",
            "nodefs.inodesFree": "1%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
    }


def _has_flag(program: str, flag: str) -> bool:
    usage = subprocess.run([program, "--help"], capture_output=True, text=True, check=True).stdout
    return f"{flag} " in usage


def _network() -> None:
    """Loopback, and a bridge with the node's address: the kubelet refuses a loopback address."""
    _run("ip", "link", "set", "lo", "up")
    _run("ip", "link", "add", "node0", "type", "bridge")
    _run("ip", "addr", "add", f"{ADDRESS}/24", "dev", "node0")
    _run("ip", "link", "set", "node0", "up")
    _run("ip", "route", "add", "default", "via", "10.99.0.254", "dev", "node0", "onlink")


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True)


def _fetch(url: str, *, token: str = "") -> bytes | None:
    try:
        return _open(url, token=token, timeout_s=_LOOK_WITHIN_S)
    except (urllib.error.URLError, OSError):
        return None


def _open(
    url: str,
    *,
    token: str = "",
    data: bytes | None = None,
    method: str = "GET",
    timeout_s: float = _ANSWER_WITHIN_S,
) -> bytes:
    headers = {"Content-Type": "application/json"} if data else {}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, data=data, headers=headers, method=method)
    with urllib.request.urlopen(
        request, timeout=timeout_s, context=ssl._create_unverified_context()
    ) as answer:
        body: bytes = answer.read()
        return body


def _post(url: str, body: object) -> dict[str, dict[str, str]]:
    document: dict[str, dict[str, str]] = json.loads(
        _open(url, data=json.dumps(body).encode(), method="POST")
    )
    return document


def started_before(name: str, running: Sequence[str], among: Sequence[str]) -> list[str]:
    """Return which of ``among`` were started before ``name``; ``running`` is in the order of the starts."""
    return [other for other in running[: running.index(name)] if other in among]


def requirements() -> list[str]:
    """Return what this machine lacks to run a real node."""
    if not sys.platform.startswith("linux"):
        return ["Linux"]
    lacking = [
        name
        for name in ("containerd", "runc", "ip", "openssl", "unshare", "busybox")
        if not shutil.which(name)
    ]
    if os.geteuid() != 0:
        lacking.append("root")
    if not Path("/usr/lib/cni/bridge").exists():
        lacking.append("the CNI plugins in /usr/lib/cni")
    if not can_find_or_build():
        lacking.append("go (or programs of your own by KUBEBUILDER_ASSETS)")
    return lacking

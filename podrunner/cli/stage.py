"""What the demo's story needs before it begins and takes away at its end: claims, secret, config map, DAG file.

The same objects on a LocalCluster and on a real one. What was there already is used and left alone.
"""

from __future__ import annotations

import shlex
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import anyio

from podrunner.cli.answers import part_of
from podrunner.cli.story import Story, tell
from podrunner.config import LogSettings
from podrunner.errors import AlreadyExistsError, NotFoundError, SpecError
from podrunner.local import Image
from podrunner.workload import Workload

if TYPE_CHECKING:
    from podrunner.cli.story import Narrator
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient

__all__ = ["Stage", "local_image"]

HERE = Path(__file__).with_name("_demo_image")
CONNECTION = "postgresql://airflow:demo-password@postgres:5432/airflow"
EXECUTION_DATE = "2019-08-15T01:16:36.627731+00:00"
PROGRAM = "airflow"
_POLL_S = 0.05
_HELPER_WITHIN_S = 60
_LEAVES_WITHIN_S = 60
_COMES_WITHIN_S = 60


def local_image(folder: Path) -> Image:
    """Make the image that the demo's pods run on a LocalCluster: an ``airflow`` program and ``python3``."""
    programs = folder / "bin"
    programs.mkdir(parents=True, exist_ok=True)
    python = shlex.quote(sys.executable)
    _program(programs / "python3", f'exec {python} "$@"')
    _program(programs / PROGRAM, f'exec {python} -I {shlex.quote(str(HERE / "airflow_run.py"))} "$@"')
    return Image(path=(programs,))


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


class Stage:
    """A cluster with the demo's objects.

    Args:
        client: Talks to the cluster.
        config: The demo's configuration, pointing at the cluster.
        folder: Where the collected log goes.
        volumes: The folder, on the node, of the claims' volumes.
        real: Nothing of this machine is there: a config map brings the ``airflow`` program, and the volumes are
            emptied at the end.
    """

    def __init__(
        self, client: KubeClient, config: RunnerConfig, folder: Path, *, volumes: Path, real: bool
    ) -> None:
        self._client = client
        self._folder = folder
        self._volumes = volumes
        self._real = real
        logs = LogSettings(folder=folder / "logs")
        self._config = config.with_changes(logs=logs, delete_pods=True, delete_pods_on_failure=True)

    async def play(self, narrator: Narrator) -> Story:
        """Set the stage, tell the story, and clear the stage again."""
        async with AsyncExitStack() as cleanup:
            for kind in self._objects():
                await self._make(kind, cleanup)
            await self._put_dag_file()
            if self._real:
                cleanup.push_async_callback(self._empty_volumes)
            story = await tell(self._client, self._config, self._workload(), narrator)
        left = await self._client.list_pods(self._config.namespace)
        narrator.say(f"\nLeft behind: {len(left.items)} pods.")
        return story.with_left(pods=len(left.items))

    def _workload(self) -> Workload:
        dags = self._config.airflow.dags_folder if self._config.airflow else "/root/airflow/dags"
        task = Workload.airflow(
            dag_id="sample_k8s",
            task_id="test-task001",
            execution_date=EXECUTION_DATE,
            dag_file=f"{dags}/sample_k8s.py",
        )
        if not self._real:
            return task
        return task.model_copy(update={"overrides": _airflow_from_config_map()})

    def _objects(self) -> list[tuple[str, dict[str, Any]]]:
        namespace = self._config.namespace
        core = f"/api/v1/namespaces/{namespace}"
        made = [("/api/v1/namespaces", _object("Namespace", namespace))]
        for claim in ("airflow-dags", "airflow-logs"):
            made.append(("/api/v1/persistentvolumes", _volume(claim, namespace, self._volumes / claim)))
            made.append((f"{core}/persistentvolumeclaims", _claim(claim)))
        secret = _object("Secret", "airflow-secrets", stringData={"sql_alchemy_conn": CONNECTION})
        cfg = (HERE / "airflow.cfg").read_text()
        made.append((f"{core}/secrets", secret))
        made.append(
            (f"{core}/configmaps", _object("ConfigMap", "airflow-configmap", data={"airflow.cfg": cfg}))
        )
        if self._real:
            made.append((f"{core}/configmaps", _object("ConfigMap", PROGRAM_MAP, data=_program_files())))
        return made

    async def _make(self, made: tuple[str, dict[str, Any]], cleanup: AsyncExitStack) -> None:
        path, manifest = made
        name = manifest["metadata"]["name"]
        await self._until_not_leaving(f"{path}/{name}")
        try:
            await self._client.call("POST", path, body=manifest)
        except AlreadyExistsError:
            return
        cleanup.push_async_callback(self._remove, f"{path}/{name}")

    async def _until_not_leaving(self, path: str) -> None:
        """What an earlier demo had is being deleted for a while, and a namespace in that state takes nothing."""
        with anyio.move_on_after(_LEAVES_WITHIN_S):
            try:
                while "deletionTimestamp" in part_of(await self._client.call("GET", path), "metadata"):  # noqa: ASYNC110
                    await anyio.sleep(_POLL_S)
            except NotFoundError:
                return

    async def _remove(self, path: str) -> None:
        with anyio.move_on_after(10, shield=True):
            try:
                await self._client.call("DELETE", path)
            except NotFoundError:
                return

    async def _put_dag_file(self) -> None:
        """Write the DAG file onto its volume, as a deployment would: by a pod that mounts it."""
        dag_file = (HERE / "sample_k8s.py").read_text().replace("$(", "$$(")
        await self._until_exists(f"/api/v1/namespaces/{self._config.namespace}/serviceaccounts/default")
        await self._run_on_volumes("seed-dags", 'printf %s "$DAG_FILE" > /dags/sample_k8s.py', dag_file)

    async def _empty_volumes(self) -> None:
        """A released volume keeps its files: they are the demo's, and go with it."""
        with anyio.CancelScope(shield=True):
            await self._run_on_volumes("empty-volumes", "rm -rf /dags/* /logs/*")

    async def _run_on_volumes(self, name: str, script: str, dag_file: str = "") -> None:
        core = f"/api/v1/namespaces/{self._config.namespace}/pods"
        path = f"{core}/{name}"
        await self._client.call(
            "POST", core, body=_helper_pod(name, self._config.image or "", script, dag_file)
        )
        try:
            with anyio.fail_after(_HELPER_WITHIN_S):
                while (phase := await self._phase(path)) != "Succeeded":
                    if phase == "Failed":
                        raise SpecError(
                            f"the demo's pod {name} failed on image {self._config.image}: it needs sh"
                        )
                    await anyio.sleep(_POLL_S)
        except TimeoutError:
            raise SpecError(
                f"the demo's pod {name} did not end in {_HELPER_WITHIN_S} s; is the image there?"
            ) from None
        finally:
            with anyio.move_on_after(10, shield=True):
                await self._client.call("DELETE", path, body={"gracePeriodSeconds": 0})

    async def _phase(self, path: str) -> object:
        return part_of(await self._client.call("GET", path), "status").get("phase")

    async def _until_exists(self, path: str) -> None:
        """A real cluster makes a new namespace's service account a moment later."""
        with anyio.move_on_after(_COMES_WITHIN_S):
            while True:
                try:
                    await self._client.call("GET", path)
                except NotFoundError:
                    await anyio.sleep(_POLL_S)
                else:
                    return
        raise SpecError(
            f"the cluster made no service account in the new namespace in {_COMES_WITHIN_S} s: {path}; does its "
            "controller manager run?"
        )


PROGRAM_MAP = "podrunner-demo-program"


def _program_files() -> dict[str, str]:
    library = HERE / "lib" / "airflow"
    return {
        PROGRAM: '#!/bin/sh\nexec python3 -I /opt/podrunner-demo/airflow_run.py "$@"\n',
        "airflow_run.py": (HERE / "airflow_run.py").read_text(),
        "init": (library / "__init__.py").read_text(),
        "operators": (library / "operators" / "__init__.py").read_text(),
        "python_operator": (library / "operators" / "python_operator.py").read_text(),
    }


def _airflow_from_config_map() -> dict[str, Any]:
    """Mount the demo's ``airflow`` program into an image that only has Python."""
    lib = "/opt/podrunner-demo/lib/airflow"
    places = {
        PROGRAM: f"/usr/local/bin/{PROGRAM}",
        "airflow_run.py": "/opt/podrunner-demo/airflow_run.py",
        "init": f"{lib}/__init__.py",
        "operators": f"{lib}/operators/__init__.py",
        "python_operator": f"{lib}/operators/python_operator.py",
    }
    mounts = [{"name": "program", "mountPath": path, "subPath": key} for key, path in places.items()]
    volume = {"name": "program", "configMap": {"name": PROGRAM_MAP, "defaultMode": 0o755}}
    return {"spec": {"volumes": [volume], "containers": [{"name": "base", "volumeMounts": mounts}]}}


def _object(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, **fields}


def _volume(claim: str, namespace: str, path: Path) -> dict[str, Any]:
    spec = {
        "capacity": {"storage": "1Gi"},
        "accessModes": ["ReadWriteMany"],
        "persistentVolumeReclaimPolicy": "Retain",
        "storageClassName": "",
        "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
        "claimRef": {"namespace": namespace, "name": claim},
    }
    return _object("PersistentVolume", f"{namespace}-{claim}", spec=spec)


def _claim(name: str) -> dict[str, Any]:
    spec = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "resources": {"requests": {"storage": "1Gi"}},
    }
    return _object("PersistentVolumeClaim", name, spec=spec)


def _helper_pod(name: str, image: str, script: str, dag_file: str) -> dict[str, Any]:
    claims = {"dags": "airflow-dags", "logs": "airflow-logs"}
    container = {
        "name": "helper",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["sh", "-c", script],
        "env": [{"name": "DAG_FILE", "value": dag_file}],
        "volumeMounts": [{"name": volume, "mountPath": f"/{volume}"} for volume in claims],
    }
    volumes = [
        {"name": name, "persistentVolumeClaim": {"claimName": claim}} for name, claim in claims.items()
    ]
    return _object(
        "Pod", name, spec={"restartPolicy": "Never", "containers": [container], "volumes": volumes}
    )

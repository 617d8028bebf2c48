"""kubectl create configmap and secret, persistent volumes and claims, and pods that use them."""

from __future__ import annotations

import base64
import json
import re

STORAGE = """
apiVersion: v1
kind: PersistentVolume
metadata: {{name: "{volume}"}}
spec:
  capacity: {{storage: 1Gi}}
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  persistentVolumeReclaimPolicy: Retain
  hostPath: {{path: "{folder}", type: DirectoryOrCreate}}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {{name: dags}}
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: by-hand
  volumeName: "{volume}"
  resources: {{requests: {{storage: 500Mi}}}}
"""

USER = """
apiVersion: v1
kind: Pod
metadata: {{name: "{name}"}}
spec:
  restartPolicy: Never
  containers:
  - name: main
    image: "{image}"
    command: [sh, -c, "{script}"]
    env:
    - {{name: WORD, valueFrom: {{secretKeyRef: {{name: password, key: word}}}}}}
    envFrom:
    - {{configMapRef: {{name: settings}}}}
    volumeMounts:
    - {{name: files, mountPath: /etc/files}}
    - {{name: dags, mountPath: /root/airflow/dags}}
  volumes:
  - {{name: files, configMap: {{name: settings}}}}
  - {{name: dags, persistentVolumeClaim: {{claimName: dags}}}}
"""


class TestSettings:
    def test_a_config_map_from_literals_and_files(self, kubectl, tmp_path) -> None:
        (tmp_path / "airflow.cfg").write_text("[core]\n")
        path = tmp_path / "airflow.cfg"
        out = kubectl("create", "configmap", "mixed", "--from-literal=a=1", f"--from-file={path}")
        assert out == "configmap/mixed created\n"
        assert kubectl.json("get", "cm", "mixed")["data"] == {"a": "1", "airflow.cfg": "[core]\n"}
        header, row = kubectl("get", "cm", "mixed").splitlines()
        assert (header.split(), row.split()[:2]) == (["NAME", "DATA", "AGE"], ["mixed", "2"])

    def test_a_secret_from_literals(self, kubectl) -> None:
        assert (
            kubectl("create", "secret", "generic", "db", "--from-literal=uri=postgres://x")
            == "secret/db created\n"
        )
        encoded = kubectl("get", "secret", "db", "-o", "jsonpath={.data.uri}")
        assert base64.b64decode(encoded) == b"postgres://x"
        assert kubectl("get", "secret", "db").splitlines()[1].split()[:3] == ["db", "Opaque", "1"]

    def test_a_docker_registry_secret_has_its_type(self, kubectl) -> None:
        kubectl(
            "create", "secret", "docker-registry", "pull", "--docker-server=r.example",
            "--docker-username=u", "--docker-password=p",
        )  # fmt: skip
        assert kubectl("get", "secret", "pull", "-o", "jsonpath={.type}") == "kubernetes.io/dockerconfigjson"

    def test_an_existing_name_is_refused(self, kubectl) -> None:
        kubectl("create", "configmap", "only")
        message = kubectl.fails("create", "configmap", "only")
        assert message == 'error: failed to create configmap: configmaps "only" already exists'

    def test_an_immutable_config_map_cannot_change(self, kubectl) -> None:
        kubectl("create", "configmap", "stone", "--from-literal=a=1")
        kubectl("patch", "cm", "stone", "-p", '{"immutable":true}')
        message = kubectl.fails("patch", "cm", "stone", "-p", '{"data":{"a":"2"}}')
        assert "is invalid: data: Forbidden: field is immutable when `immutable` is set" in message


class TestStorage:
    def test_a_pod_uses_its_volume_its_settings_and_its_secret(self, kubectl, cluster, tmp_path) -> None:
        """As Airflow's workers: DAGs on a claim under /root/airflow/dags, settings and a password."""
        folder = tmp_path / "dags" if cluster.is_local else f"/tmp/{kubectl.namespace}"
        storage = STORAGE.format(volume=f"{kubectl.namespace}-dags", folder=folder)
        out = kubectl("apply", "-f", "-", stdin=storage)
        assert out.splitlines() == [
            f"persistentvolume/{kubectl.namespace}-dags created",
            "persistentvolumeclaim/dags created",
        ]
        try:
            kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/dags", "--timeout=45s")
            self._check_tables_of_the_binding(kubectl)
            kubectl("create", "configmap", "settings", "--from-literal=COLOUR=red")
            kubectl("create", "secret", "generic", "password", "--from-literal=word=hunter2")
            writer = (
                'echo \\"$WORD $COLOUR $(cat /etc/files/COLOUR)\\"; echo stored > /root/airflow/dags/dag.py'
            )
            assert self._finished(kubectl, "writer", writer) == "hunter2 red red\n"
            assert self._finished(kubectl, "reader", "cat /root/airflow/dags/dag.py") == "stored\n"
        finally:
            kubectl("delete", "pod", "--all")
            kubectl("delete", "-f", "-", "--wait=false", stdin=storage)

    @staticmethod
    def _check_tables_of_the_binding(kubectl) -> None:
        header, row = kubectl("get", "pvc", "dags").splitlines()
        assert re.split(r"\s{2,}", header.strip())[:6] == [
            "NAME", "STATUS", "VOLUME", "CAPACITY", "ACCESS MODES", "STORAGECLASS",
        ]  # fmt: skip
        assert row.split()[:6] == ["dags", "Bound", f"{kubectl.namespace}-dags", "1Gi", "RWO", "by-hand"]
        row = kubectl("get", "pv", f"{kubectl.namespace}-dags", "--no-headers")
        assert row.split()[1:7] == ["1Gi", "RWO", "Retain", "Bound", f"{kubectl.namespace}/dags", "by-hand"]

    @staticmethod
    def _finished(kubectl, name: str, script: str) -> str:
        kubectl("apply", "-f", "-", stdin=USER.format(name=name, image=kubectl.image, script=script))
        kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", f"pod/{name}", "--timeout=45s")
        return kubectl("logs", name)

    def test_a_pod_with_a_missing_secret_names_it(self, kubectl) -> None:
        source = {"secretRef": {"name": "missing"}}
        container = {"name": "poor", "image": kubectl.image, "command": ["true"], "envFrom": [source]}
        overrides = json.dumps({"spec": {"containers": [container]}})
        kubectl("run", "poor", "--image", kubectl.image, "--restart=Never", f"--overrides={overrides}")
        reason = "jsonpath={.status.containerStatuses[0].state.waiting.reason}=CreateContainerConfigError"
        kubectl("wait", f"--for={reason}", "pod/poor", "--timeout=45s")
        assert kubectl("get", "pod", "poor", "--no-headers").split()[2] == "CreateContainerConfigError"
        assert 'secret "missing" not found' in kubectl("describe", "pod", "poor")

"""Stand-ins for workers: they tell Airflow's API server of each pod's task what its worker would, and run nothing."""

from __future__ import annotations

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from airflow.sdk.api.client import Client
from kubernetes import client, config, watch

__all__ = ["StandIns"]

_ANSWERS_WITHIN_S = 120  # the first call of the execution API can block the API server for half a minute


class StandIns:
    """Watches the pods of a namespace, and reports the start and the success of each one's task.

    Attributes:
        created: When each pod was seen first, by its task instance's map index.
        ended: When each pod was seen ``Succeeded``, by the pod's name.
        deleted: When each pod was gone, by its name.
    """

    def __init__(self, kubeconfig: str, namespace: str, api_server: str) -> None:
        config.load_kube_config(kubeconfig)
        self._api = client.CoreV1Api()
        self._namespace = namespace
        self._api_server = api_server
        self._reporters = ThreadPoolExecutor(4)
        self._thread = threading.Thread(target=self._watch, name="stand-ins", daemon=True)
        self.errors: list[str] = []
        self.created: dict[int, float] = {}
        self.ended: dict[str, float] = {}
        self.deleted: dict[str, float] = {}

    def start(self) -> None:
        self._thread.start()

    def _watch(self) -> None:
        for event in watch.Watch().stream(self._api.list_namespaced_pod, self._namespace):
            pod, now = event["object"], time.time()
            name = pod.metadata.name
            if event["type"] == "DELETED":
                self.deleted[name] = now
            elif event["type"] == "ADDED":
                self._reporters.submit(self._report, pod, now)
            elif pod.status.phase == "Succeeded":
                self.ended.setdefault(name, now)

    def _report(self, pod: Any, seen: float) -> None:
        try:
            workload = json.loads(pod.spec.containers[0].args[-1])
            ti = workload["ti"]
            self.created[ti["map_index"]] = seen
            server = Client(base_url=self._api_server, token=workload["token"], timeout=_ANSWERS_WITHIN_S)
            server.task_instances.start(ti["id"], os.getpid(), datetime.now(UTC))
            server.task_instances.succeed(ti["id"], datetime.now(UTC), [], [], None)
        except Exception as error:  # noqa: BLE001  # a thread of a pool: the main one reports it
            self.errors.append(f"{pod.metadata.name}: {error!r}")

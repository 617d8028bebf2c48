"""The witness: what the API server says about pods, by a plain watch over HTTP, without any code of podrunner."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from tests.support.waiting import until_blocking

__all__ = ["SeenPod", "Witness"]

Json = dict[str, Any]

_REPORTED = "podrunner.io/told"


@dataclass(slots=True, kw_only=True)
class SeenPod:
    """All that was seen of one UID. Times are those of the clock that all processes of the machine share.

    Attributes:
        uid: The UID.
        name: The pod's name.
        key: The annotation ``podrunner.io/key``.
        attempt: The annotation ``podrunner.io/attempt``.
        seen_ns: When the pod was seen first.
        owners: Its owners, one after the other.
        terminated: The end of its container, as the API server has it; None: it was not seen to end.
        ended_ns: When that was seen first.
        removed_ns: When it was first seen to be deleted, or marked as reported; None: never.
        reported: The annotation that says so; None: it was not marked.
        gone: Whether it is no longer there.
    """

    uid: str
    name: str
    key: str
    attempt: str
    seen_ns: int
    owners: list[str] = field(default_factory=list)
    terminated: Json | None = None
    ended_ns: int | None = None
    removed_ns: int | None = None
    reported: str | None = None
    gone: bool = False

    def see(self, pod: Json, *, gone: bool) -> None:
        """Take in one version of the pod."""
        now = time.monotonic_ns()
        annotations = pod["metadata"].get("annotations", {})
        owner = annotations.get("podrunner.io/owner", "")
        if owner not in self.owners[-1:]:
            self.owners.append(owner)
        for status in pod.get("status", {}).get("containerStatuses", ()):
            if (ended := status["state"].get("terminated")) and self.terminated is None:
                self.terminated, self.ended_ns = ended, now
        self.reported = annotations.get(_REPORTED)
        removed = gone or "deletionTimestamp" in pod["metadata"] or self.reported is not None
        if removed and self.removed_ns is None:
            self.removed_ns = now
        self.gone = gone


class Witness:
    """Watches the pods of a namespace, in a thread of its own: ``with Witness(http, namespace) as witness``.

    Args:
        open_http: Makes a client with the administrator's rights.
        namespace: Whose pods.

    Attributes:
        pods: What was seen, by UID.
    """

    def __init__(self, open_http: Callable[[], httpx.Client], namespace: str) -> None:
        self.pods: dict[str, SeenPod] = {}
        self._http = open_http()
        self._path = f"/api/v1/namespaces/{namespace}/pods"
        self._error: BaseException | None = None
        self._over = False
        self._stream: httpx.Response | None = None
        self._thread = threading.Thread(target=self._run, name="witness")

    def __enter__(self) -> Self:
        self._version: str = self._list()["metadata"]["resourceVersion"]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over = True
        self._thread.join()
        self._http.close()

    def catch_up(self) -> None:
        """Return when what was seen agrees with what is there: nothing is under way any more.

        Raises:
            AssertionError: The watch failed, or does not show what is there.
        """
        until_blocking(self._agrees, within_s=60)

    def _agrees(self) -> bool:
        if self._error is not None:
            raise AssertionError("the witness failed") from self._error
        there = {pod["metadata"]["uid"] for pod in self._list()["items"]}
        return there == {uid for uid, seen in list(self.pods.items()) if not seen.gone}

    def _list(self) -> Json:
        listed: Json = self._http.get(self._path).raise_for_status().json()
        return listed

    def _run(self) -> None:
        try:
            while not self._over:
                self._watch()
        except BaseException as error:  # noqa: BLE001  # raised where the test asks
            self._error = error

    def _watch(self) -> None:
        """Watch for some seconds, from the version that was seen last: no version is skipped."""
        query = {"watch": "1", "resourceVersion": self._version, "timeoutSeconds": "3"}
        with self._http.stream("GET", self._path, params=query, timeout=60) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                self._see(json.loads(line))

    def _see(self, event: Json) -> None:
        pod = event["object"]
        assert event["type"] in {"ADDED", "MODIFIED", "DELETED"}, event
        meta = pod["metadata"]
        annotations = meta.get("annotations", {})
        seen = self.pods.get(meta["uid"]) or SeenPod(
            uid=meta["uid"],
            name=meta["name"],
            key=annotations.get("podrunner.io/key", ""),
            attempt=annotations.get("podrunner.io/attempt", ""),
            seen_ns=time.monotonic_ns(),
        )
        seen.see(pod, gone=event["type"] == "DELETED")
        self.pods[seen.uid] = seen
        self._version = meta["resourceVersion"]

"""Binds claims to volumes: to an existing volume that fits, or to one that it makes.

The one provisioner makes folders below the cluster's; its storage class is the default. The rules are those of
Kubernetes' persistent volume controller, for one machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from podrunner.local.api.status import StatusError
from podrunner.local.api.storage.selectors import matches_label_selector
from podrunner.local.contained import ContainedFolder
from podrunner.quantity import parse_quantity

if TYPE_CHECKING:
    from pathlib import Path

    from podrunner.local.api.storage.events import EventRecorder
    from podrunner.local.api.storage.store import Store

__all__ = ["DEFAULT_CLASS", "PROVISIONER", "ClaimBinder", "choose_volume", "volume_fits"]

Json = Mapping[str, Any]

DEFAULT_CLASS = "standard"
PROVISIONER = "podrunner.io/folder"
_DEFAULT_MARK = "storageclass.kubernetes.io/is-default-class"
_COMPONENT = "persistentvolume-controller"
_FINALIZER = "kubernetes.io/pvc-protection"


def volume_fits(volume: Json, claim: Json) -> bool:
    """Return whether a volume is what a claim asks for, and free or reserved for it."""
    spec, wanted = volume["spec"], claim["spec"]
    reserved = spec.get("claimRef")
    if reserved and not _refers(reserved, claim):
        return False
    if volume["metadata"].get("deletionTimestamp") or (volume.get("status") or {}).get("phase") in {
        "Released",
        "Failed",
    }:
        return False
    if (spec.get("volumeMode") or "Filesystem") != (wanted.get("volumeMode") or "Filesystem"):
        return False
    if wanted.get("volumeName"):
        return bool(wanted["volumeName"] == volume["metadata"]["name"])
    if (spec.get("storageClassName") or "") != (wanted.get("storageClassName") or ""):
        return False
    return _big_enough(spec, wanted) and _selected(volume, wanted)


def _refers(reference: Json, claim: Json) -> bool:
    meta = claim["metadata"]
    same = (reference.get("namespace"), reference.get("name")) == (meta["namespace"], meta["name"])
    return same and reference.get("uid", meta["uid"]) == meta["uid"]


def _big_enough(spec: Json, wanted: Json) -> bool:
    modes = set(wanted.get("accessModes") or ()) <= set(spec.get("accessModes") or ())
    return modes and _size(spec.get("capacity")) >= _size((wanted.get("resources") or {}).get("requests"))


def _size(amounts: Json | None) -> Any:
    return parse_quantity((amounts or {}).get("storage", "0"))


def _selected(volume: Json, wanted: Json) -> bool:
    selector = wanted.get("selector")
    return not selector or matches_label_selector(selector, volume["metadata"].get("labels") or {})


def choose_volume(volumes: list[Any], claim: Json) -> Any | None:
    """Return the volume to bind: one reserved for the claim, else the smallest that fits."""
    fitting = [volume for volume in volumes if volume_fits(volume, claim)]
    if not fitting:
        return None
    return min(
        fitting,
        key=lambda volume: (not volume["spec"].get("claimRef"), _size(volume["spec"].get("capacity"))),
    )


class ClaimBinder:
    """Binds, makes and reclaims volumes.

    Args:
        store: The cluster's objects.
        events: Where events go.
        folder: Volumes are made below it.
    """

    def __init__(self, store: Store, events: EventRecorder, folder: Path) -> None:
        self._store = store
        self._events = events
        self._folder = folder
        self._files = ContainedFolder(folder.parent)
        self._due = False
        self._undo: list[Callable[[], None]] = []

    def start(self) -> None:
        """Start; the default storage class is made if there is none."""
        if self._store.find("storageclasses", "", DEFAULT_CLASS) is None:
            self._store.create("storageclasses", _default_class())
        for resource in ("persistentvolumeclaims", "persistentvolumes", "storageclasses"):
            self._undo.append(self._store.subscribe(resource, self._on_change))
        self._undo.append(self._store.subscribe("pods", self._on_pod))
        self._schedule()

    def stop(self) -> None:
        """Stop binding."""
        for undo in self._undo:
            undo()
        self._undo.clear()

    def _on_change(self, kind: str, obj: Json) -> None:
        if kind == "DELETED" and obj["kind"] == "PersistentVolume":
            self._remove_folder(obj)
        self._schedule()

    def _on_pod(self, kind: str, pod: Json) -> None:
        """Bind the late claims of a pod that is bound to a node; release the claims of a pod that ended."""
        if any(
            "persistentVolumeClaim" in each or "ephemeral" in each
            for each in pod["spec"].get("volumes") or ()
        ):
            if kind == "ADDED":
                self._make_ephemeral(pod)
            self._schedule()

    def _schedule(self) -> None:
        if not self._due:
            self._due = True
            asyncio.get_running_loop().call_soon(self._work)

    def _work(self) -> None:
        self._due = False
        for claim in self._store.list("persistentvolumeclaims"):
            with suppress(StatusError):
                self._tend_claim(claim)
        for volume in self._store.list("persistentvolumes"):
            with suppress(StatusError):
                self._tend_volume(volume)

    # --- claims ---

    def _tend_claim(self, claim: Json) -> None:
        meta, phase = claim["metadata"], (claim.get("status") or {}).get("phase")
        if meta.get("deletionTimestamp"):
            self._release_claim(claim)
        elif phase == "Bound":
            self._check_bound(claim)
        elif claim["spec"].get("storageClassName") is None and not claim["spec"].get("volumeName"):
            self._take_default_class(claim)
        else:
            self._bind_claim(claim)

    def _check_bound(self, claim: Json) -> None:
        if self._store.find("persistentvolumes", "", claim["spec"].get("volumeName", "")) is None:
            self._change_claim(claim, lambda obj: _with_status(obj, {"phase": "Lost"}))
            self._tell(
                claim,
                "ClaimLost",
                "Bound claim has lost its PersistentVolume. Data on the volume is lost!",
                warning=True,
            )

    def _take_default_class(self, claim: Json) -> None:
        classes = self._store.list("storageclasses")
        default = next(
            (
                each
                for each in classes
                if (each["metadata"].get("annotations") or {}).get(_DEFAULT_MARK) == "true"
            ),
            None,
        )
        if default is not None:
            name = default["metadata"]["name"]
            self._change_claim(claim, lambda obj: {**obj, "spec": {**obj["spec"], "storageClassName": name}})
        else:
            self._bind_claim(claim)

    def _bind_claim(self, claim: Json) -> None:
        volume = choose_volume(list(self._store.list("persistentvolumes")), claim)
        if volume is None:
            volume = self._provision(claim)
        if volume is not None:
            self._bind(claim, volume)
        elif (claim.get("status") or {}).get("phase") is None:
            self._change_claim(claim, lambda obj: _with_status(obj, {"phase": "Pending"}))

    def _provision(self, claim: Json) -> Json | None:
        spec, meta = claim["spec"], claim["metadata"]
        storage = self._store.find("storageclasses", "", spec.get("storageClassName") or "")
        if storage is None or spec.get("volumeName"):
            self._explain(claim)
            return None
        if storage.get("provisioner") != PROVISIONER or (self._waits(storage) and not self._is_wanted(claim)):
            return None
        name = f"pvc-{meta['uid']}"
        path = self._folder / name
        try:
            self._files.make_folder(path, mode=0o777)
        except OSError as error:
            self._tell(claim, "ProvisioningFailed", f"the volume's folder: {error}", warning=True)
            return None
        volume = self._store.create("persistentvolumes", _volume(name, claim, storage, path))
        self._tell(
            claim, "ProvisioningSucceeded", f"Successfully provisioned volume {name}", component=PROVISIONER
        )
        return volume

    def _explain(self, claim: Json) -> None:
        name = claim["spec"].get("storageClassName")
        if claim["spec"].get("volumeName"):
            return
        if name:
            self._tell(
                claim, "ProvisioningFailed", f'storageclass.storage.k8s.io "{name}" not found', warning=True
            )
        else:
            message = "no persistent volumes available for this claim and no storage class is set"
            self._tell(claim, "FailedBinding", message)

    def _waits(self, storage: Json) -> bool:
        return storage.get("volumeBindingMode") == "WaitForFirstConsumer"

    def _is_wanted(self, claim: Json) -> bool:
        return any(_uses(pod, claim) for pod in self._store.list("pods", claim["metadata"]["namespace"]))

    def _bind(self, claim: Json, volume: Json) -> None:
        meta, name = claim["metadata"], volume["metadata"]["name"]
        reference = {
            "kind": "PersistentVolumeClaim",
            "apiVersion": "v1",
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        }
        self._store.update(
            "persistentvolumes",
            "",
            name,
            lambda obj: _with_status(
                {**obj, "spec": {**obj["spec"], "claimRef": reference}}, {"phase": "Bound"}
            ),
        )
        bound = {
            "phase": "Bound",
            "accessModes": volume["spec"].get("accessModes"),
            "capacity": volume["spec"].get("capacity"),
        }
        marks = {"pv.kubernetes.io/bind-completed": "yes", "pv.kubernetes.io/bound-by-controller": "yes"}

        def change(obj: dict[str, Any]) -> dict[str, Any]:
            obj["spec"]["volumeName"] = name
            obj["metadata"]["annotations"] = {**(obj["metadata"].get("annotations") or {}), **marks}
            obj["metadata"]["finalizers"] = sorted({*(obj["metadata"].get("finalizers") or ()), _FINALIZER})
            return _with_status(obj, bound)

        self._change_claim(claim, change)

    def _release_claim(self, claim: Json) -> None:
        """Remove a claim that is marked for deletion once no pod uses it."""
        meta = claim["metadata"]
        finalizers = [each for each in meta.get("finalizers") or () if each != _FINALIZER]
        in_use = any(
            _uses(pod, claim) and not _ended(pod) for pod in self._store.list("pods", meta["namespace"])
        )
        if in_use:
            return
        if finalizers:
            self._change_claim(
                claim, lambda obj: {**obj, "metadata": {**obj["metadata"], "finalizers": finalizers}}
            )
        else:
            self._store.remove("persistentvolumeclaims", meta["namespace"], meta["name"], uid=meta["uid"])

    def _change_claim(self, claim: Json, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self._store.update(
            "persistentvolumeclaims", claim["metadata"]["namespace"], claim["metadata"]["name"], change
        )

    def _make_ephemeral(self, pod: Json) -> None:
        meta = pod["metadata"]
        owner = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": meta["name"],
            "uid": meta["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
        for volume in pod["spec"].get("volumes") or ():
            template = (volume.get("ephemeral") or {}).get("volumeClaimTemplate")
            if template:
                own = {
                    "name": f"{meta['name']}-{volume['name']}",
                    "namespace": meta["namespace"],
                    "ownerReferences": [owner],
                }
                with suppress(StatusError):
                    self._store.create(
                        "persistentvolumeclaims",
                        {"metadata": {**(template.get("metadata") or {}), **own}, "spec": template["spec"]},
                    )

    # --- volumes ---

    def _tend_volume(self, volume: Json) -> None:
        reference, phase = volume["spec"].get("claimRef"), (volume.get("status") or {}).get("phase")
        if not reference or not reference.get("uid"):
            if phase != "Available":
                self._change_volume(volume, "Available")
            return
        claim = self._store.find("persistentvolumeclaims", reference["namespace"], reference["name"])
        if claim is None or claim["metadata"]["uid"] != reference["uid"]:
            self._reclaim(volume)

    def _reclaim(self, volume: Json) -> None:
        if volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete" and _is_ours(volume):
            self._store.remove(
                "persistentvolumes", "", volume["metadata"]["name"], uid=volume["metadata"]["uid"]
            )
        elif (volume.get("status") or {}).get("phase") != "Released":
            self._change_volume(volume, "Released")

    def _change_volume(self, volume: Json, phase: str) -> None:
        self._store.update(
            "persistentvolumes",
            "",
            volume["metadata"]["name"],
            lambda obj: _with_status(obj, {"phase": phase}),
        )

    def _remove_folder(self, volume: Json) -> None:
        """Remove a volume's folder if it was made here and the volume does not say ``Retain``."""
        path = self._folder / volume["metadata"]["name"]
        if _is_ours(volume) and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            self._files.remove_tree(path)

    def _tell(
        self, claim: Json, reason: str, message: str, *, warning: bool = False, component: str = _COMPONENT
    ) -> None:
        kind = "Warning" if warning else "Normal"
        self._events.record(claim, type=kind, reason=reason, message=message, component=component)


def _with_status(obj: dict[str, Any], status: Json) -> dict[str, Any]:
    return {**obj, "status": {**(obj.get("status") or {}), **status}}


def _is_ours(volume: Json) -> bool:
    return (volume["metadata"].get("annotations") or {}).get("pv.kubernetes.io/provisioned-by") == PROVISIONER


def _ended(pod: Json) -> bool:
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _uses(pod: Json, claim: Json) -> bool:
    name = claim["metadata"]["name"]
    volumes = pod["spec"].get("volumes") or ()
    named = any((each.get("persistentVolumeClaim") or {}).get("claimName") == name for each in volumes)
    return named or any(
        "ephemeral" in each and f"{pod['metadata']['name']}-{each['name']}" == name for each in volumes
    )


def _default_class() -> dict[str, Any]:
    return {
        "metadata": {"name": DEFAULT_CLASS, "annotations": {_DEFAULT_MARK: "true"}},
        "provisioner": PROVISIONER,
        "reclaimPolicy": "Delete",
        "volumeBindingMode": "Immediate",
        "allowVolumeExpansion": False,
    }


def _volume(name: str, claim: Json, storage: Json, path: Path) -> dict[str, Any]:
    spec = claim["spec"]
    return {
        "metadata": {"name": name, "annotations": {"pv.kubernetes.io/provisioned-by": PROVISIONER}},
        "spec": {
            "capacity": {
                "storage": ((spec.get("resources") or {}).get("requests") or {}).get("storage", "1Gi")
            },
            "accessModes": spec.get("accessModes") or ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": storage.get("reclaimPolicy", "Delete"),
            "storageClassName": storage["metadata"]["name"],
            "volumeMode": spec.get("volumeMode") or "Filesystem",
            "hostPath": {"path": str(path), "type": "DirectoryOrCreate"},
        },
        "status": {"phase": "Available"},
    }

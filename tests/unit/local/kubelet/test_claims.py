"""Persistent volumes and claims: made, bound, kept or removed."""

# A look at the disk between two steps may block the loop in a test.
# ruff: noqa: ASYNC240

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from podrunner.local.api.storage.events import EventRecorder
from podrunner.local.api.storage.store import Store
from podrunner.local.kubelet.claims import DEFAULT_CLASS, ClaimBinder, choose_volume, volume_fits


def volume(name="pv", **spec):
    full = {
        "capacity": {"storage": "10Gi"},
        "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
        "hostPath": {"path": "/data"},
        **spec,
    }
    return {"metadata": {"name": name, "labels": spec.pop("labels", {})}, "spec": full}


def claim(name="c", **spec):
    full = {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "5Gi"}},
        "storageClassName": "",
        **spec,
    }
    return {"metadata": {"name": name, "namespace": "default", "uid": "u"}, "spec": full}


@pytest.mark.parametrize(
    ("changes", "wants", "fits"),
    [
        ({}, {}, True),
        ({}, {"resources": {"requests": {"storage": "11Gi"}}}, False),
        ({}, {"accessModes": ["ReadWriteMany"]}, True),
        ({}, {"accessModes": ["ReadOnlyMany"]}, False),
        ({"storageClassName": "slow"}, {}, False),
        ({"storageClassName": "slow"}, {"storageClassName": "slow"}, True),
        ({"volumeMode": "Block"}, {}, False),
        ({}, {"volumeName": "pv"}, True),
        ({}, {"volumeName": "other"}, False),
        ({"claimRef": {"namespace": "default", "name": "c"}}, {}, True),
        ({"claimRef": {"namespace": "default", "name": "c", "uid": "another"}}, {}, False),
        ({"claimRef": {"namespace": "default", "name": "d"}}, {}, False),
        ({}, {"selector": {"matchLabels": {"a": "b"}}}, False),
    ],
)
def test_a_volume_must_be_what_the_claim_asks_for(changes, wants, fits):
    assert volume_fits(volume(**changes), claim(**wants)) is fits


def test_the_smallest_that_fits_is_taken_unless_one_is_reserved():
    small, large = volume("small", capacity={"storage": "5Gi"}), volume("large")
    assert choose_volume([large, small], claim()) is small
    reserved = volume(
        "reserved", capacity={"storage": "50Gi"}, claimRef={"namespace": "default", "name": "c"}
    )
    assert choose_volume([small, reserved], claim()) is reserved
    assert choose_volume([], claim()) is None


def test_released_volumes_are_not_bound_again():
    assert not volume_fits({**volume(), "status": {"phase": "Released"}}, claim())


class Bench:
    def __init__(self, folder: Path):
        self.folder = folder
        self.store = Store()
        self.binder = ClaimBinder(self.store, EventRecorder(self.store), folder)
        self.binder.start()

    async def claim(self, name="c"):
        for _ in range(6):
            await asyncio.sleep(0)
        return self.store.find("persistentvolumeclaims", "default", name)

    def recorded(self):
        return [(each["reason"], each["message"]) for each in self.store.list("events")]

    def delete(self, name="c"):
        self.store.update(
            "persistentvolumeclaims",
            "default",
            name,
            lambda obj: {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": "x"}},
        )


@pytest.fixture
def bench(tmp_path):
    async def make():
        return Bench(tmp_path / "pv")

    return make


@pytest.mark.asyncio
async def test_a_claim_without_a_class_gets_a_folder_of_the_default_one(bench):
    """Bound, with its volume; the folder goes with the claim."""
    bench = await bench()
    spec = {"accessModes": ["ReadWriteMany"], "resources": {"requests": {"storage": "1Gi"}}}
    bench.store.create(
        "persistentvolumeclaims", {"metadata": {"name": "c", "namespace": "default"}, "spec": spec}
    )
    bound = await bench.claim()
    assert bound["status"] == {
        "phase": "Bound",
        "accessModes": ["ReadWriteMany"],
        "capacity": {"storage": "1Gi"},
    }
    assert bound["spec"]["storageClassName"] == DEFAULT_CLASS
    made = bench.store.get("persistentvolumes", "", bound["spec"]["volumeName"])
    assert (made["status"]["phase"], made["spec"]["claimRef"]["name"]) == ("Bound", "c")
    folder = Path(made["spec"]["hostPath"]["path"])
    assert folder.is_dir()
    bench.delete()
    assert await bench.claim() is None
    await bench.claim()
    assert bench.store.list("persistentvolumes") == []
    assert not folder.exists()


@pytest.mark.asyncio
async def test_a_static_volume_is_bound_and_then_released(bench):
    """Retain keeps what is in it; the machine's own folder is never removed."""
    bench = await bench()
    bench.store.create("persistentvolumes", volume(persistentVolumeReclaimPolicy="Retain"))
    bench.store.create("persistentvolumeclaims", claim())
    bound = await bench.claim()
    assert (bound["status"]["phase"], bound["spec"]["volumeName"]) == ("Bound", "pv")
    bench.delete()
    await bench.claim()
    await bench.claim()
    assert bench.store.get("persistentvolumes", "", "pv")["status"]["phase"] == "Released"


@pytest.mark.asyncio
async def test_a_volume_without_a_claim_is_available(bench):
    bench = await bench()
    bench.store.create("persistentvolumes", volume())
    await bench.claim()
    assert bench.store.get("persistentvolumes", "", "pv")["status"]["phase"] == "Available"


@pytest.mark.asyncio
async def test_a_claim_that_nothing_fits_is_pending_and_says_so(bench):
    bench = await bench()
    bench.store.create("persistentvolumeclaims", claim("c"))
    bench.store.create("persistentvolumeclaims", claim("d", storageClassName="nope"))
    assert (await bench.claim())["status"] == {"phase": "Pending"}
    assert (
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
    ) in bench.recorded()
    assert ("ProvisioningFailed", 'storageclass.storage.k8s.io "nope" not found') in bench.recorded()
    bench.store.create("persistentvolumes", volume())
    assert (await bench.claim())["status"]["phase"] == "Bound"


@pytest.mark.asyncio
async def test_a_claim_in_use_is_kept_until_its_pod_is_done(bench):
    """pvc-protection."""
    bench = await bench()
    bench.store.create("persistentvolumes", volume())
    bench.store.create("persistentvolumeclaims", claim())
    spec = {"containers": [], "volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": "c"}}]}
    bench.store.create(
        "pods",
        {"metadata": {"name": "p", "namespace": "default"}, "spec": spec, "status": {"phase": "Running"}},
    )
    await bench.claim()
    bench.delete()
    assert await bench.claim() is not None
    bench.store.update("pods", "default", "p", lambda obj: {**obj, "status": {"phase": "Succeeded"}})
    assert await bench.claim() is None


@pytest.mark.asyncio
async def test_a_claim_whose_volume_is_gone_is_lost(bench):
    bench = await bench()
    bench.store.create("persistentvolumes", volume())
    bench.store.create("persistentvolumeclaims", claim())
    await bench.claim()
    bench.store.remove("persistentvolumes", "", "pv")
    assert (await bench.claim())["status"]["phase"] == "Lost"


@pytest.mark.asyncio
async def test_an_ephemeral_volume_makes_its_own_claim(bench):
    """Named after pod and volume, owned by the pod; bound late where its class says so."""
    bench = await bench()
    late = {
        "metadata": {"name": "late"},
        "provisioner": "podrunner.io/folder",
        "volumeBindingMode": "WaitForFirstConsumer",
    }
    bench.store.create("storageclasses", late)
    bench.store.create("persistentvolumeclaims", claim("early", storageClassName="late"))
    assert (await bench.claim("early"))["status"]["phase"] == "Pending"
    template = {
        "volumeClaimTemplate": {"spec": {"accessModes": ["ReadWriteOnce"], "storageClassName": "late"}}
    }
    spec = {"containers": [], "volumes": [{"name": "v", "ephemeral": template}]}
    bench.store.create(
        "pods",
        {"metadata": {"name": "p", "namespace": "default"}, "spec": spec, "status": {"phase": "Pending"}},
    )
    made = await bench.claim("p-v")
    assert made["status"]["phase"] == "Bound"
    assert made["metadata"]["ownerReferences"][0]["name"] == "p"


@pytest.mark.asyncio
async def test_a_stopped_binder_binds_no_more(bench):
    bench = await bench()
    await bench.claim()
    bench.binder.stop()
    bench.store.create("persistentvolumes", volume())
    bench.store.create("persistentvolumeclaims", claim())
    assert "status" not in await bench.claim()


@pytest.mark.asyncio
async def test_without_a_default_class_a_claim_binds_to_what_there_is(bench):
    bench = await bench()
    await bench.claim()
    bench.store.remove("storageclasses", "", DEFAULT_CLASS)
    bench.store.create("persistentvolumes", volume())
    asked = claim()
    del asked["spec"]["storageClassName"]
    bench.store.create("persistentvolumeclaims", asked)
    assert (await bench.claim())["status"]["phase"] == "Bound"

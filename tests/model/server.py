"""The model's API server and kubelet: each request and each step of a node is one atomic change of one pod.

The rules are those of kube-apiserver's registry and of the kubelet, as LocalCluster follows them
(``podrunner/local/api/registry/deletion.py``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from podrunner.builder.labels import OWNER
from tests.model.records import ENDED, PodObject, metadata_id, metadata_of, owner_of
from tests.model.replay import Answer, Request

__all__ = ["Change", "create", "delete", "kubelet", "patch"]

FINALIZERS = "$deleteFromPrimitiveList/finalizers"


class Change(NamedTuple):
    """What a request did.

    Attributes:
        answer: What the server answers.
        pod: The pod afterwards; None: there is none.
        seen: What the watches show, in this order: the kind of event and the pod.
    """

    answer: Answer
    pod: PodObject | None
    seen: tuple[tuple[str, PodObject], ...] = ()


def create(pod: PodObject | None, request: Request, *, uid: int) -> Change:
    """Creates the pod, unless one of its name is there."""
    if pod is not None:
        return Change(Answer("conflict"), pod)
    metadata = metadata_id(dict(request.get("labels")), dict(request.get("annotations")))
    made = PodObject(uid, 100 * uid, "pending", "", metadata, finalizer=bool(request.get("finalizers")))
    return Change(Answer("ok", made), made, (("ADDED", made),))


def delete(pod: PodObject | None, request: Request) -> Change:
    """Deletes the pod: at once if it has no process, else by its kubelet."""
    if pod is None:
        return Change(Answer("missing"), None)
    if request.get("uid") not in {None, f"u{pod.uid}"}:
        return Change(Answer("other"), pod)
    if request.get("version") not in {None, str(pod.version)}:
        return Change(Answer("conflict"), pod)
    has_processes = pod.life == "running" and request.get("grace") != 0
    marked = _marked(pod, "graceful" if has_processes else "now")
    if marked.deletion == "now" and not marked.finalizer:
        return Change(Answer("ok", marked), None, (("DELETED", marked),))
    return Change(Answer("ok", marked), marked, () if marked == pod else (("MODIFIED", marked),))


def _marked(pod: PodObject, deletion: str) -> PodObject:
    if pod.deletion in {"now", deletion}:
        return pod
    return pod._replace(deletion=deletion, version=pod.version + 1)


def patch(pod: PodObject | None, request: Request) -> Change:
    """Changes labels, annotations, finalizers or the deadline; with a version, only of this version."""
    body = json.loads(request.get("patch"))
    meta = body.get("metadata", {})
    if pod is None:
        return Change(Answer("missing"), None)
    if meta.get("uid") not in {None, f"u{pod.uid}"}:
        return Change(Answer("other"), pod)
    if request.get("version") not in {None, str(pod.version)}:
        return Change(Answer("conflict"), pod)
    changed = _changed(pod, body)
    if changed == pod:
        return Change(Answer("ok", pod), pod)
    changed = changed._replace(version=pod.version + 1)
    if changed.deletion == "now" and not changed.finalizer:
        return Change(Answer("ok", changed), None, (("DELETED", changed),))
    return Change(Answer("ok", changed), changed, _seen(pod, changed))


def _changed(pod: PodObject, body: Mapping[str, Any]) -> PodObject:
    meta = body.get("metadata", {})
    labels, annotations = metadata_of(pod.metadata)
    metadata = metadata_id(
        {**labels, **meta.get("labels", {})}, {**annotations, **meta.get("annotations", {})}
    )
    ends = (body.get("spec") or {}).get("activeDeadlineSeconds") is not None
    return pod._replace(
        metadata=metadata,
        finalizer=pod.finalizer and FINALIZERS not in meta,
        deadline=pod.deadline or ends,
    )


def _seen(before: PodObject, after: PodObject) -> tuple[tuple[str, PodObject], ...]:
    """A watch selects by owner: a pod that gets another one leaves it."""
    if owner_of(before) == owner_of(after):
        return (("MODIFIED", after),)
    return (("LEFT", before), ("ADDED", after))


def kubelet(pod: PodObject, *, ends: tuple[str, ...]) -> Iterator[tuple[str, Change]]:
    """What a living node may do next with a pod.

    Args:
        pod: The pod.
        ends: How its container may end by itself.
    """
    if pod.life == "pending" and not pod.deletion:
        yield "the pod begins to run", _moved(pod, life="running")
    elif pod.life == "running":
        for end in ends:
            # Also of a pod that is being ended: it had ended before, and the node says so only now.
            yield f"the pod ends by itself: {end}", _moved(pod, life=end)
        if pod.deletion:
            yield "the node ends the deleted pod", _moved(pod, life="killed")
        elif pod.deadline:
            yield "the node ends the pod at its deadline", _moved(pod, life="expired")
    elif pod.life in ENDED and pod.deletion == "graceful":
        marked = _marked(pod, "now")
        if marked.finalizer:
            yield "the node confirms the deletion", Change(Answer("ok"), marked, (("MODIFIED", marked),))
        else:
            yield "the pod is gone", Change(Answer("ok"), None, (("DELETED", marked),))


def _moved(pod: PodObject, *, life: str) -> Change:
    moved = pod._replace(life=life, version=pod.version + 1)
    return Change(Answer("ok"), moved, (("MODIFIED", moved),))


def owner_change(request: Request) -> str | None:
    """Returns the owner that a patch names; None: it changes none."""
    if request.verb != "patch":
        return None
    owner: str | None = json.loads(request.get("patch")).get("metadata", {}).get("annotations", {}).get(OWNER)
    return owner

"""What the cluster does in a world: it carries out requests, its nodes run pods, and Leases run out."""

from __future__ import annotations

import json
from collections.abc import Iterator

from podrunner.ownership.leases import lease_name
from tests.model import server
from tests.model.records import owner_of
from tests.model.replay import Answer, Request
from tests.model.world import Move, World

__all__ = ["cluster_moves", "execute", "lease_is_over"]


def cluster_moves(world: World, *, ends: tuple[str, ...]) -> Iterator[Move]:
    """Gives the steps of nodes, of late requests, and of time.

    Args:
        world: The world.
        ends: How the pod's container may end by itself.
    """
    if world.pod is not None:
        for label, change in server.kubelet(world.pod, ends=ends):
            yield from (Move(label, following) for following in _changed(world, change))
    for index, (owner, request) in enumerate(world.stray):
        rest = world._replace(stray=world.stray[:index] + world.stray[index + 1 :])
        for label, following, _ in execute(rest, request):
            yield Move(f"{label}, which {owner} had sent before", following)
    for owner in world.leases:
        is_awaited = any(sender == owner for sender, _ in world.stray)
        if not _is_up(world, owner) and not is_awaited:
            leases = tuple(each for each in world.leases if each != owner)
            yield Move(f"the Lease of {owner} is over", world._replace(leases=leases))


def execute(
    world: World, request: Request, *, before: Answer | None = None
) -> Iterator[tuple[str, World, Answer]]:
    """Carries out a request: gives what happened, the world afterwards, and the answer; nothing if it may not be now.

    Args:
        world: The world.
        request: The request.
        before: The answer to the sender's request before.
    """
    match request.verb:
        case "create":
            change = server.create(world.pod, request, uid=world.made + 1)
            world = world._replace(made=world.made + (change.answer.kind == "ok"))
        case "delete":
            change = server.delete(world.pod, request)
        case "patch":
            change = server.patch(world.pod, request)
        case "lease":
            yield from (("lease", world, answer) for answer in _lease(world, request, before))
            return
        case _:
            yield request.verb, world, _read(world, request)
            return
    said = "" if change.answer.kind == "ok" else f" ({change.answer.kind})"
    for following in _changed(world, change):
        yield f"{_described(request)}{said}", following, change.answer


def _changed(world: World, change: server.Change) -> Iterator[World]:
    if change.pod is None and world.pod is not None and _is_create_under_way(world):
        return  # what was handed in is sent, and what was sent arrives, before a pod has come and gone
    pod = change.pod
    if pod is not None and pod.life == "running" and pod.uid not in world.begun:
        world = world._replace(begun=(*world.begun, pod.uid))
    world = world._replace(pod=pod)
    for place, runner in enumerate(world.runners):
        if runner is not None and runner.is_held and change.seen:
            own = tuple(event for event in change.seen if owner_of(event[1]) == runner.owner)
            world = world.put(place, runner._replace(watch=(*runner.watch, *own))) if own else world
    yield world


def _is_create_under_way(world: World) -> bool:
    is_sending = any(runner is not None and runner.is_held and runner.is_creating for runner in world.runners)
    return is_sending or any(request.verb == "create" for _, request in world.stray)


def _is_up(world: World, owner: str) -> bool:
    return any(runner is not None and runner.owner == owner for runner in world.runners)


def _read(world: World, request: Request) -> Answer:
    if request.verb == "read":
        return Answer("missing") if world.pod is None else Answer("ok", world.pod)
    assert request.verb == "list", request
    return Answer("ok", () if world.pod is None else (world.pod,))


def _lease(world: World, request: Request, before: Answer | None) -> Iterator[Answer]:
    """A look at a Lease. One that is looked at again is answered when something has changed."""
    over = lease_is_over(world, request)
    if over is not None:
        yield over
    elif before is None or before.kind != "held":
        yield Answer("held", _HELD)
    elif any(_is_up(world, owner) for owner in world.leases if lease_name(owner) == request.get("name")):
        yield Answer("held", _HELD if before.value == _RENEWED else _RENEWED)


def lease_is_over(world: World, request: Request) -> Answer | None:
    """Returns the answer of a Lease that is over; None: it counts."""
    is_held = any(lease_name(owner) == request.get("name") for owner in world.leases)
    return None if is_held else Answer("ok", _OVER)


def _at(renewed: str) -> str:
    spec = {"holderIdentity": "x", "renewTime": renewed, "leaseDurationSeconds": 15}
    return json.dumps({"spec": spec})


_OVER, _HELD, _RENEWED = map(
    _at, ("2000-01-01T00:00:00.000000Z", "2999-01-01T00:00:00.000000Z", "2999-01-01T00:00:05.000000Z")
)


def _described(request: Request) -> str:
    if request.verb != "patch":
        return request.verb
    body = json.loads(request.get("patch"))
    meta = body.get("metadata", {})
    said = [name.rpartition("/")[2] for name in meta.get("annotations", {})]
    said += ["finalizer"] if server.FINALIZERS in meta else []
    said += ["deadline"] if "spec" in body else []
    return f"patch {', '.join(said)}"

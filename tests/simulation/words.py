"""What the components say of pods that cannot start, or are killed: in their own words, with whose fault that is.

The messages are those by which the tables of ``podrunner.outcome`` are tested. What is asserted does not belong here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from podrunner.outcome import Category, Fault
from tests.support.component_messages import messages

if TYPE_CHECKING:
    from tests.simulation.world import World

__all__ = ["ENDS_WITH_WORDS", "GRACES", "GRACE_S", "PLANS", "Saying", "said_by"]

GRACE_S = 30.0
NO_NODE_GRACE_S = 400.0
"""Longer than a server is broken: a runner that sees nothing takes a pod that has begun for one without a node."""
GRACES = {
    **dict.fromkeys(("image_grace_s", "config_grace_s", "creating_grace_s"), GRACE_S),
    "unschedulable_grace_s": NO_NODE_GRACE_S,
}
"""How long a runner lets pods wait in these worlds."""
ENDS_WITH_WORDS = {
    "no-image": 6,
    "no-container": 4,
    "no-start": 3,
    "no-volume": 3,
    "no-node": 4,
    "refused": 4,
    "unhealthy": 4,
}
"""Ends that components explain, by weight. *no-container* waits for ever, *no-start* fails at once."""


class Saying(NamedTuple):
    """A message of a component.

    Attributes:
        fault: The party at fault.
        message: The message.
        reason: The reason that comes with it, or "".
    """

    fault: Fault
    message: str
    reason: str = ""


def said_by(table: str) -> tuple[Saying, ...]:
    """Return all messages of a table, but those of back-offs, which the kubelet makes of others."""
    said = [(fault, text) for fault, text in messages(table) if text.strip()]
    return tuple(
        _saying(table, Fault(fault), text) for fault, text in said if not text.startswith("Back-off")
    )


def _saying(table: str, fault: Fault, text: str) -> Saying:
    if table != "refusals":
        return Saying(fault, text.strip())
    reason, _, message = text.partition(": ")
    return Saying(fault, message.strip(), reason)


def _lack_image(world: World, name: str, uid: str) -> None:
    """The kubelet tries to pull, and waits, in turn. Since 1.32 it says at each time what is wrong."""
    saying = world.draw("images")
    world.is_given_up(uid, Category.IMAGE, saying, unsaid=Fault.UNKNOWN)
    says_always, has_events = world.random.random() < 0.3, world.random.random() < 0.5
    if has_events:
        world.tell(uid, "Failed", f'Failed to pull image "x": {saying.message}')

    def wait(*, backs_off: bool) -> None:
        if not world.is_pending(name):
            return
        repeated = f": ErrImagePull: {saying.message}" if says_always else ""
        back_off = ("ImagePullBackOff", f'Back-off pulling image "x"{repeated}')
        world.wait(name, *(back_off if backs_off else ("ErrImagePull", saying.message)))
        world.later(world.random.uniform(1, 5), uid, lambda: wait(backs_off=not backs_off))

    wait(backs_off=False)


def _lack_container(world: World, name: str, uid: str) -> None:
    saying = world.draw("creation")
    world.is_given_up(uid, Category.CONTAINER_CONFIG, saying, unsaid=Fault.UNKNOWN)
    reasons = ("CreateContainerError", "CreateContainerConfigError", "RunContainerError")
    world.wait(name, world.random.choice(reasons), saying.message)


def _fail_to_start(world: World, name: str, uid: str) -> None:
    saying = world.draw("creation")
    world.is_over(uid, Category.CONTAINER_CONFIG, saying)
    end = {"exitCode": 128, "reason": "StartError", "message": saying.message}
    world.bind(name, {"phase": "Failed", "containerStatuses": [_status({"terminated": end})]})


def _lack_volume(world: World, name: str, uid: str) -> None:
    """No status says why: only an event does."""
    saying = world.draw("creation")
    unsaid = Fault.INFRASTRUCTURE
    fault = unsaid if saying.fault is Fault.UNKNOWN else saying.fault
    world.is_given_up(uid, Category.STARTUP_TIMEOUT, saying._replace(fault=fault), unsaid=unsaid)
    world.wait(name, "ContainerCreating", "")
    world.tell(uid, "FailedMount", f'MountVolume.SetUp failed for volume "v": {saying.message}')


def _lack_node(world: World, name: str, uid: str) -> None:
    saying = world.draw("placement")
    world.is_given_up(uid, Category.UNSCHEDULABLE, saying, unsaid=Fault.INFRASTRUCTURE, in_s=NO_NODE_GRACE_S)
    full = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": saying.message}
    world.change(name, status={"phase": "Pending", "conditions": [full]})


def _refuse(world: World, name: str, uid: str) -> None:
    saying = world.draw("refusals")
    known = {"Evicted": Category.EVICTED, "NodeShutdown": Category.NODE_LOST}
    world.is_over(uid, known.get(saying.reason, Category.REJECTED_BY_NODE), saying)
    world.bind(name, {"phase": "Failed", "reason": saying.reason, "message": saying.message})


def _kill_unhealthy(world: World, name: str, uid: str) -> None:
    """The kubelet kills a container whose probe fails: its status says no more than the signal."""
    world.run(name)
    probe = world.random.choice(["liveness", "startup"])
    killing = f"Container base failed {probe} probe, will be restarted"

    def kill() -> None:
        if world.is_running(name):
            world.is_over(uid, Category.FAILED, Saying(Fault.WORKLOAD, killing), exit_code=137)
            world.tell(uid, "Killing", killing, container="base")
            world.finish(name, 137)

    world.later(world.random.uniform(0, 60), uid, kill)


def _status(state: dict[str, Any]) -> dict[str, Any]:
    return {"name": "base", "restartCount": 0, "state": state}


PLANS: Mapping[str, Callable[[World, str, str], None]] = {
    "no-image": _lack_image,
    "no-container": _lack_container,
    "no-start": _fail_to_start,
    "no-volume": _lack_volume,
    "no-node": _lack_node,
    "refused": _refuse,
    "unhealthy": _kill_unhealthy,
}
"""What becomes of a pod, from the moment at which it would start."""

Drawn = Mapping[str, Sequence[Saying]]
"""For each table the messages that are drawn."""

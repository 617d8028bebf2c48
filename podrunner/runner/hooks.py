"""Hooks: what an embedder's telemetry is called with, and how it is called. Records, and one loop over the hooks.

What is made of them, such as metrics and spans, belongs to :mod:`podrunner.integrations`. Nothing here decides anything
about a pod: hooks look on, and deliver no outcome.
"""

from __future__ import annotations

import inspect
import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec
from msgspec.structs import replace

from podrunner.builder.labels import TRACEPARENT
from podrunner.errors import UsageError
from podrunner.event_loop import current_time
from podrunner.kube import transient_kind
from podrunner.runner.states import NotCreatedState

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from podrunner.builder import PodPlan
    from podrunner.errors import PodrunnerError
    from podrunner.kube import ApiRequest
    from podrunner.outcome import Outcome
    from podrunner.runner.engine import Engine
    from podrunner.runner.events import RunnerEvent
    from podrunner.runner.health import RunnerHealth
    from podrunner.runner.states import State
    from podrunner.runner.tracked import TrackedPod
    from podrunner.workload import WorkloadKey

__all__ = ["HookCalls", "LogRead", "OpenRunner", "PodMove", "RequestRetried", "RunEnd", "RunnerHooks"]

_logger = logging.getLogger(__name__)

_TRACEPARENT: Final = "TRACEPARENT"


class OpenRunner(msgspec.Struct, frozen=True):
    """A runner that is open.

    Attributes:
        owner: The runner's name.
        health: Returns how well it is, as ``runner.health()`` does, without a request. It may be called in any thread,
            and as long as the runner is open.
    """

    owner: str
    health: Callable[[], RunnerHealth]


class PodMove(msgspec.Struct, frozen=True):
    """A pod came to its next state. The states are those of the page "The life of a pod".

    Attributes:
        key: Whose pod.
        namespace: The pod's namespace.
        name: The pod's name.
        uid: The pod's UID; "" before it exists.
        before: The state that it left, such as ``Queued``.
        state: The state that it is in.
        traceparent: The trace context (W3C) that an earlier runner gave an adopted pod; "": none.
        outcome: Its one outcome; None while there is none, or if none comes from here.
    """

    key: WorkloadKey
    namespace: str
    name: str
    uid: str
    before: str
    state: str
    traceparent: str = ""
    outcome: Outcome | None = None


class RunEnd(msgspec.Struct, frozen=True):
    """A run is over: ``run``, ``run_many`` or ``map`` make no further pod of its workload.

    Attributes:
        key: The key with which the run began.
        namespace: The namespace of its pods.
        outcome: The last pod's; None: another runner goes on with it.
        tries: How many pods this runner made or adopted for it.
    """

    key: WorkloadKey
    namespace: str
    outcome: Outcome | None
    tries: int


class RequestRetried(msgspec.Struct, frozen=True):
    """A request that failed is sent again.

    Attributes:
        cause: Why: ``connection``, ``unreachable``, ``throttled``, ``server``, ``rights``, ``admission``, ``conflict``
            or ``quota``.
        wait_s: Seconds until then.
    """

    cause: str
    wait_s: float


class LogRead(msgspec.Struct, frozen=True):
    """A piece of a pod's log was read, for the log's sinks.

    Attributes:
        lines: How many lines.
        size_bytes: How many bytes, the server's time stamps included.
    """

    lines: int
    size_bytes: int


class RunnerHooks(Protocol):
    """What a runner calls, so that telemetry can be made of it. Give ``hooks=[…]`` to a runner.

    Derive from it, and override what is wanted: each method of its own does nothing. All are called on the runner's
    event loop (the blocking runner has it in a thread of its own), at the moment of what they report: they must return
    at once. An exception of a hook is logged, once for each method, and changes nothing else. A hook delivers no
    outcome: neither by being called, nor by reading ``event.outcome``. The handle ``event.pod`` is the program's own:
    reading ``event.pod.outcome`` takes the outcome, in a hook as elsewhere.
    """

    def on_open(self, runner: OpenRunner, /) -> None:
        """The runner is open. One hook may be given to many runners."""
        del runner

    def on_close(self, runner: OpenRunner, /) -> None:
        """The runner is closed: the same object as for ``on_open``."""
        del runner

    def on_event(self, event: RunnerEvent, /) -> None:
        """An event, as ``runner.events(observe=True)`` gives it."""
        del event

    def on_move(self, move: PodMove, /) -> None:
        """A pod came to its next state."""
        del move

    def on_run_end(self, end: RunEnd, /) -> None:
        """A run is over."""
        del end

    def on_request(self, request: ApiRequest, /) -> None:
        """The API server answered a request, or did not."""
        del request

    def on_retry(self, retried: RequestRetried, /) -> None:
        """A request of a launch or a deletion is tried again."""
        del retried

    def on_log(self, read: LogRead, /) -> None:
        """A piece of a log was read."""
        del read

    def pod_env(self, key: WorkloadKey, namespace: str, name: str, /) -> Mapping[str, str]:
        """Returns environment variables for the main container of a pod that is about to be created.

        They count for neither the pod's name nor its hash, and a variable of the workload's own stands. A
        ``TRACEPARENT`` is also written to the pod, for a runner that adopts it.
        """
        del key, namespace, name
        return {}


_METHODS: Final = tuple(name for name in vars(RunnerHooks) if name.startswith("on_") or name == "pod_env")


class HookCalls:
    """Calls hooks. There is one only if there are hooks, so that a runner without pays one comparison.

    Args:
        hooks: The hooks, in the order in which they are called.

    Raises:
        UsageError: One has no method of a hook, or an asynchronous one.
    """

    def __init__(self, hooks: Iterable[RunnerHooks]) -> None:
        self._hooks: dict[str, list[Callable[..., Any]]] = {name: [] for name in _METHODS}
        self._failed: set[tuple[str, int]] = set()
        for hook in hooks:
            self._add(hook)

    @classmethod
    def of(cls, hooks: Iterable[RunnerHooks]) -> HookCalls | None:
        """Returns what calls the hooks; None: there are none."""
        listed = tuple(hooks)
        return cls(listed) if listed else None

    def _add(self, hook: RunnerHooks) -> None:
        methods = {name: found for name in _METHODS if callable(found := getattr(hook, name, None))}
        if not methods or isinstance(hook, type):
            raise UsageError(
                f"{hook!r} is no hook: derive from podrunner.RunnerHooks, and give an object of it"
            )
        for name, method in methods.items():
            if inspect.iscoroutinefunction(method):
                raise UsageError(
                    f"{type(hook).__name__}.{name} is asynchronous: a hook's methods return at once"
                )
            if getattr(method, "__func__", None) is not vars(RunnerHooks)[name]:
                self._hooks[name].append(method)

    def wants(self, name: str) -> bool:
        """Whether a hook has a method of its own of this name."""
        return bool(self._hooks[name])

    def _call(self, name: str, value: object) -> None:
        for method in self._hooks[name]:
            try:
                method(value)
            except Exception as error:  # noqa: BLE001  # an embedder's function may raise anything
                self._report(name, method, error)

    def _report(self, name: str, method: Callable[..., Any], error: Exception) -> None:
        """Logs the exception of a hook, unless the method failed before."""
        place = name, id(getattr(method, "__self__", method))
        if place not in self._failed:
            self._failed.add(place)
            what = f"{type(getattr(method, '__self__', method)).__name__}.{name}"
            _logger.error("hook %s failed; further failures of it are not logged", what, exc_info=error)

    # What the runner's rooms report

    def opened(self, owner: str, engine: Engine) -> OpenRunner:
        """The runner is open."""
        ahead_s = current_time() - time.monotonic()  # trio's clock begins elsewhere

        def health() -> RunnerHealth:
            return engine.health(time.monotonic() + ahead_s)

        runner = OpenRunner(owner, health)
        self._call("on_open", runner)
        return runner

    def closed(self, runner: OpenRunner) -> None:
        """It is closed."""
        self._call("on_close", runner)

    def emitted(self, event: RunnerEvent) -> None:
        """An event was given to the readers."""
        self._call("on_event", event)

    def moved(self, pod: TrackedPod, before: State) -> None:
        """A pod is in another state."""
        if type(before) is type(pod.state) or not self.wants("on_move"):
            return
        place = (pod.key, pod.namespace, pod.name, pod.uid)
        is_new = isinstance(before, NotCreatedState) and pod.pod is not None
        said = pod.pod.metadata.annotations if is_new and pod.pod is not None else None
        states = type(before).__name__, type(pod.state).__name__
        self._call("on_move", PodMove(*place, *states, (said or {}).get(TRACEPARENT, ""), pod.outcome))

    def run_ended(self, end: RunEnd) -> None:
        """A run is over."""
        self._call("on_run_end", end)

    def requested(self, request: ApiRequest) -> None:
        """A request was answered, or not."""
        self._call("on_request", request)

    def retried(self, error: PodrunnerError, wait_s: float) -> None:
        """A request is tried again."""
        kind = transient_kind(error)
        self._call("on_retry", RequestRetried("" if kind is None else str(kind), wait_s))

    def read(self, data: bytes) -> None:
        """A piece of a log was read."""
        if self.wants("on_log"):
            self._call("on_log", LogRead(data.count(b"\n"), len(data)))

    def prepared(self, plan: PodPlan) -> PodPlan:
        """Returns the plan of a pod that is about to be created, with the variables that the hooks give it."""
        env: dict[str, str] = {}
        for method in self._hooks["pod_env"]:
            try:
                given = method(plan.key, plan.namespace, plan.name)
                env.update({str(variable): str(value) for variable, value in given.items()})
            except Exception as error:  # noqa: BLE001  # an embedder's function may raise anything
                self._report("pod_env", method, error)
        return _with_env(plan, env) if env else plan


def _with_env(plan: PodPlan, env: Mapping[str, str]) -> PodPlan:
    """Returns a plan whose main container has more variables. It shares all else with the plan."""
    metadata, spec = plan.manifest["metadata"], plan.manifest["spec"]
    add = partial(_container_with, env=env)
    containers = [add(each) if each["name"] == plan.main_container else each for each in spec["containers"]]
    if _TRACEPARENT in env:
        annotations = {**(metadata.get("annotations") or {}), TRACEPARENT: env[_TRACEPARENT]}
        metadata = {**metadata, "annotations": annotations}
    return replace(
        plan, manifest={**plan.manifest, "metadata": metadata, "spec": {**spec, "containers": containers}}
    )


def _container_with(container: dict[str, Any], env: Mapping[str, str]) -> dict[str, Any]:
    """Returns a container with variables before its own, so that these may refer to them."""
    own = container.get("env") or []
    named = {each["name"] for each in own}
    added = [
        {"name": name, "value": value.replace("$", "$$")} for name, value in env.items() if name not in named
    ]
    return {**container, "env": [*added, *own]}

"""Runs a coroutine of podrunner's code against answers that the model chooses.

A procedure (a launch, a deletion, an adoption) is the code's own coroutine. The model knows of it the answers that its
requests had so far; :meth:`Procedure.after` runs the coroutine anew with these and returns what it wants next: another
request, or its end. So a procedure's state is a tuple, and every order of answers can be tried.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import CoroutineType
from typing import Any, NamedTuple

import anyio
import msgspec
from podrunner.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidError,
    NotFoundError,
    OwnershipError,
    TransportError,
)
from podrunner.kube import Deletion
from podrunner.kube.wire import PodPage
from podrunner.outcome.record import Pod
from podrunner.ownership.owners import Owners
from podrunner.runner.tracked import TrackedPod
from tests.model.records import record_of, to_record
from tests.support.virtual_asyncio import VirtualTimeLoop

__all__ = ["Answer", "Client", "Ended", "History", "Procedure", "Request"]


class Answer(NamedTuple):
    """What came of a request.

    Attributes:
        kind: ``ok``, ``held`` (a Lease that counts), ``missing`` (404), ``conflict`` (409),
            ``other`` (another UID), ``lost`` (no answer; it was carried out), ``fenced`` (the guard right before the
            request refused), ``cancelled`` (instead of an answer).
        value: With ``ok``: the pod, the list, or the Lease.
        flag: More that the code asks at this moment: of an adoption, whether the pod is known.
    """

    kind: str
    value: Any = None
    flag: bool = False


History = tuple[Answer, ...]


class Request(NamedTuple):
    """A request that waits for its answer.

    Attributes:
        verb: ``create``, ``read``, ``delete``, ``patch``, ``list``, ``lease``.
        details: What it says, sorted, by name.
        is_guarded: Whether the code checks the Lease right before it is sent.
        is_launching: Whether the launcher counts as launching the pod: then an adoption leaves the pod alone.
    """

    verb: str
    details: tuple[tuple[str, Any], ...] = ()
    is_guarded: bool = False
    is_launching: bool = False

    def get(self, name: str) -> Any:
        """Returns one detail; None if it is not there."""
        return dict(self.details).get(name)


class Ended(NamedTuple):
    """The end of a procedure.

    Attributes:
        value: What it returned.
        error: What it raised; None: nothing.
        is_cancelled: Whether it was cancelled.
    """

    value: Any = None
    error: Exception | None = None
    is_cancelled: bool = False


class Client:
    """The code's client: takes the next answer for each request, or waits for ever."""

    def __init__(self, history: History) -> None:
        self._answers = list(history)
        self.waiting: asyncio.Future[Request] = asyncio.get_running_loop().create_future()
        self.cancel: Callable[[], None] = anyio.CancelScope().cancel
        self.close: Callable[[], None] = lambda: None
        self.is_launching: Callable[[], bool] = lambda: False
        self.is_held = True
        self.flag = False
        self.is_over = False

    async def create_pod(
        self, namespace: str, manifest: Mapping[str, Any], *, before_send: Any = None
    ) -> Pod:
        meta = manifest["metadata"]
        details = {
            "labels": tuple(sorted(meta["labels"].items())),
            "annotations": tuple(sorted(meta["annotations"].items())),
            "finalizers": tuple(meta.get("finalizers") or ()),
        }
        answer = await self._send("create", details, before_send)
        if answer.kind == "conflict":
            raise AlreadyExistsError(status=409, reason="AlreadyExists", server_message="it exists")
        return self._pod(answer)

    async def read_pod(self, namespace: str, name: str) -> Pod:
        return self._pod(await self._send("read", {}))

    async def delete_pod(
        self,
        namespace: str,
        name: str,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_s: int | None = None,
        before_send: Any = None,
    ) -> Deletion:
        details = {"uid": uid, "version": resource_version, "grace": grace_period_s}
        answer = await self._send("delete", details, before_send)
        if answer.kind in {"missing", "other"}:
            return Deletion(found=False)
        return Deletion(found=True, pod=self._pod(answer))

    async def patch_pod(
        self,
        namespace: str,
        name: str,
        patch: Mapping[str, Any],
        *,
        resource_version: str | None = None,
        before_send: Any = None,
        **more: Any,
    ) -> Pod:
        details = {"patch": json.dumps(patch, sort_keys=True), "version": resource_version, **more}
        return self._pod(await self._send("patch", details, before_send))

    async def list_pods(self, namespace: str | None, **_: Any) -> PodPage:
        answer = await self._send("list", {})
        return PodPage([to_record(pod) for pod in answer.value], "1")

    async def read_lease(self, namespace: str, name: str) -> dict[str, Any]:
        answer = await self._send("lease", {"name": name})
        lease: dict[str, Any] = json.loads(answer.value)
        return lease

    async def _send(
        self, verb: str, details: Mapping[str, Any], before_send: Callable[[], None] | None = None
    ) -> Answer:
        if self.is_over:
            raise asyncio.CancelledError
        if not self._answers:
            is_guarded = before_send is not None and self._refuses(before_send)
            if not self.waiting.done():
                request = Request(verb, tuple(sorted(details.items())), is_guarded, self.is_launching())
                self.waiting.set_result(request)
            await asyncio.Event().wait()
        answer = self._answers.pop(0)
        if answer.kind == "cancelled":
            self.cancel()
            await asyncio.Event().wait()
        self.flag = answer.flag
        if answer.kind == "fenced":
            self.is_held = False
        if before_send is not None:
            before_send()
        if answer.kind == "lost":
            raise TransportError("no answer", sent=True)
        return answer

    def _refuses(self, before_send: Callable[[], None]) -> bool:
        """Whether the guard keeps the request from being sent without the Lease."""
        is_held, self.is_held = self.is_held, False
        try:
            before_send()
        except OwnershipError:
            return True
        finally:
            self.is_held = is_held
        return False

    def _pod(self, answer: Answer) -> Pod:
        match answer.kind:
            case "missing":
                raise NotFoundError(status=404)
            case "conflict":
                raise ConflictError(status=409, reason="Conflict", server_message="it changed")
            case "other":
                raise InvalidError(
                    status=422, server_message="metadata.uid: Invalid value: field is immutable"
                )
        return to_record(answer.value)


_EPOCH_S = 1e6
_loop = VirtualTimeLoop()
_loop._clock.now_s = _EPOCH_S


class Procedure:
    """A coroutine of the code, run against answers.

    Args:
        name: What it is, for people.
        make: Makes the coroutine, given the client.
    """

    def __init__(self, name: str, make: Callable[[Client], Coroutine[Any, Any, Any]]) -> None:
        self.name = name
        self._make = make
        self._known: dict[History, Request | Ended] = {}
        self._shortest: dict[History, History] = {}
        self._by_state: dict[Any, History] = {}

    def after(self, history: History) -> Request | Ended:
        """Returns what the procedure does after these answers."""
        if history not in self._known:
            self._known[history], state = _loop.run_until_complete(self._run(history))
            self._shortest[history] = history if state is None else self._by_state.setdefault(state, history)
        return self._known[history]

    def shortest(self, history: History) -> History:
        """Returns the first history that was seen after which the procedure is in the same state as after this one."""
        self.after(history)
        return self._shortest[history]

    async def _run(self, history: History) -> tuple[Request | Ended, Any]:
        client = Client(history)
        task = asyncio.ensure_future(self._whole(client))
        await asyncio.wait({task, client.waiting}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            client.waiting.cancel()
            assert not client._answers, f"{self.name}: {client._answers} came too late"
            return task.result(), None
        request = client.waiting.result()
        state = (request, _of_sender(history, request), _states_of_tasks())
        client.is_over = True
        client.close()
        task.cancel()
        while not task.done():
            await asyncio.sleep(1000)
            task.cancel()
        return request, state

    async def _whole(self, client: Client) -> Ended:
        with anyio.CancelScope() as scope:
            client.cancel = scope.cancel
            try:
                return Ended(await self._make(client))
            except Exception as error:  # noqa: BLE001  # its errors are its end
                return Ended(error=error)
        return Ended(is_cancelled=True)


# The state of coroutines: where each one stands, and its local variables


def _of_sender(history: History, request: Request) -> Any:
    """What the model itself reads of a history: the last answer, which may be lost, and a cancellation."""
    return history[-1:], any(answer.kind == "cancelled" for answer in history), request


def _states_of_tasks() -> Any:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    return tuple(sorted((tuple(_frames(task.get_coro())) for task in tasks), key=repr))


def _frames(coroutine: Any) -> Iterator[Any]:
    while isinstance(coroutine, CoroutineType):
        frame = coroutine.cr_frame
        names = frame.f_code.co_qualname, frame.f_lasti
        yield (*names, tuple((name, _image(value)) for name, value in sorted(frame.f_locals.items())))
        coroutine = coroutine.cr_await


def _image(value: Any, depth: int = 0) -> Any:  # noqa: C901, PLR0911  # one case per kind
    """Returns what of a variable may matter. Clocks, and what is the same in every run, do not."""
    match value:
        case Pod():
            return record_of(value)
        case None | bool() | int() | str() | Answer():
            return value
        case float():
            return value if value < _EPOCH_S else None  # a duration, or a clock
        case tuple() | list():
            return tuple(_image(each, depth) for each in value)
        case dict() if depth < 3:
            return tuple(
                sorted((repr(_image(key, 3)), repr(_image(each, depth + 1))) for key, each in value.items())
            )
        case msgspec.Struct() if depth < 3:
            names = value.__struct_fields__
            return type(value).__name__, tuple(_image(getattr(value, name), depth + 1) for name in names)
        case BaseException():
            return type(value).__name__, str(value)
        case TrackedPod():
            return type(value.state).__name__
        case Owners():
            return tuple(sorted(value._gone_at))
        case _ if dataclasses.is_dataclass(value) and depth < 3:
            names = [field.name for field in dataclasses.fields(value)]
            return type(value).__name__, tuple(_image(getattr(value, name), depth + 1) for name in names)
    return type(value).__name__

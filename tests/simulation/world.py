"""A cluster with a random life, in memory and in virtual time: pods, a kubelet, other clients, faults.

Everything is drawn from one seed, so a failure is played again by its number. What really became of each pod is kept
beside the cluster, to be compared with what a runner reports. What is asserted does not belong here.
"""

from __future__ import annotations

import heapq
import json
import math
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from itertools import count
from random import Random
from typing import Any
from urllib.parse import parse_qs, urlsplit

import anyio
from podrunner.errors import TransportError
from podrunner.kube import Request, Response
from podrunner.outcome import USUAL_FAULT, Category, Fault
from tests.simulation.words import ENDS_WITH_WORDS, GRACE_S, PLANS, Saying, said_by
from tests.support.fake_server import Change, _ok
from tests.support.fake_server import Fault as ServerFault
from tests.unit.runner.harness import DEADLINE_EXCEEDED, Cluster

REMOVED = frozenset({Category.DELETED_BY_OTHERS})
ENDS = {
    "succeed": 45,
    "fail": 14,
    "out-of-memory": 8,
    "evict": 8,
    "delete-running": 8,
    "delete-pending": 5,
    "vanish": 5,
    "hasty": 7,
}
"""How pods end, by weight. *vanish*: removed by force, without a mark; *hasty*: removed as soon as it has ended."""
ENDS_AND_MORE = {**ENDS, **ENDS_WITH_WORDS}
"""The same, and pods that cannot start, or are killed, as the components say."""
USED_TO_RUN = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was deleted.  The container used to be Running",
}


def _ended(exit_code: int, at: str) -> dict[str, Any]:
    """The status of a main container that ended."""
    end = {"exitCode": exit_code, "reason": "Error", "startedAt": at, "finishedAt": at}
    return {"containerStatuses": [{"name": "base", "restartCount": 0, "state": {"terminated": end}}]}


@dataclass(frozen=True, slots=True)
class Truth:
    """What became of a pod, and so what may be said of it.

    Attributes:
        categories: One category; two if it was removed so soon that the end itself may have been missed.
        exit_code: Of its main container, if it ended by itself.
        at_s: When.
        started: Whether its main container had begun.
        faults: Whose fault that is, for each category.
        words: What a component said of it, or "".
        unsaid: Whose fault it is for a runner that was not shown the words.
    """

    categories: frozenset[Category]
    exit_code: int | None
    at_s: float
    started: bool = False
    faults: frozenset[Fault | None] = frozenset()
    words: str = ""
    unsaid: Fault | None = None


class World(Cluster):
    """The cluster. Whatever happens to it is drawn from ``random``, the ends of pods by the weights of ``ends``.

    Args:
        random: The source of all that happens.
        ends: How pods end, by weight.
        said: For each table of messages, those that components say; a table that is not there: all of its messages.
    """

    def __init__(
        self,
        random: Random,
        *,
        ends: Mapping[str, int] = ENDS,
        said: Mapping[str, Sequence[Saying]] | None = None,
    ) -> None:
        super().__init__(streaming_lists=random.random() < 0.5, gone_in_stream=random.random() < 0.5)
        self.random = random
        self.ends = ends
        self.truth: dict[str, Truth] = {}
        self.begun: set[str] = set()
        self.created: dict[str, list[str]] = {}
        self.broken: Callable[[Request], Response | None] | None = None
        self._said = dict(said or {})
        self._told: dict[str, list[dict[str, Any]]] = {}
        self._words: dict[str, Callable[[], None]] = {}
        self._plans: list[tuple[float, int, str, Callable[[], object]]] = []
        self._order = count()
        self._planned = anyio.Event()

    # The kubelet, and other people

    async def live(self) -> None:
        """Let every pod live, for ever."""
        while True:
            if not self._plans:
                self._planned = anyio.Event()
                await self._planned.wait()
            at_s = self._plans[0][0]
            with anyio.move_on_after(at_s - anyio.current_time()):
                self._planned = anyio.Event()
                await self._planned.wait()
            while self._plans and self._plans[0][0] <= anyio.current_time():
                _, _, uid, act = heapq.heappop(self._plans)
                if any(pod["metadata"]["uid"] == uid for pod in self.pods.values()):
                    act()

    def _create(self, namespace: str, pod: dict[str, Any]) -> dict[str, Any]:
        made = super()._create(namespace, pod)
        meta = made["metadata"]
        self.created.setdefault(meta["name"], []).append(meta["uid"])
        self._plan(meta["name"], meta["uid"])
        return made

    def _plan(self, name: str, uid: str) -> None:
        draw = self.random
        end = draw.choices(list(self.ends), weights=list(self.ends.values()))[0]
        starts_s = draw.uniform(0, 20)
        ends_s = starts_s + draw.uniform(0, 60)
        if end == "delete-pending":
            self._at(starts_s, uid, lambda: self._delete_by_others(name, uid))
            return
        if end in PLANS:
            self._at(starts_s, uid, lambda: self.is_pending(name) and PLANS[end](self, name, uid))
            return
        self._at(starts_s, uid, lambda: self._start(name))
        self._at(ends_s, uid, lambda: self._end(name, uid, end))

    def _start(self, name: str) -> None:
        """A pod starts, unless it was deleted before it had a node; a finalizer may still hold it."""
        if "deletionTimestamp" not in self.pods["default", name]["metadata"]:
            self.run(name)
            self._check_deadline(name)

    def run(self, name: str) -> None:
        """The main container starts."""
        self.begun.add(self.pods["default", name]["metadata"]["uid"])
        super().run(name)

    # What components say (tests.simulation.words)

    def draw(self, table: str) -> Saying:
        """Draw a message of a table."""
        if table not in self._said:
            self._said[table] = said_by(table)
        return self.random.choice(self._said[table])

    def is_pending(self, name: str) -> bool:
        """Whether a pod has not begun, and is not on its way out."""
        pod = self.pods["default", name]
        return "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Pending"

    def is_running(self, name: str) -> bool:
        """Whether a pod runs, and is not on its way out."""
        pod = self.pods["default", name]
        return "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"

    def bind(self, name: str, status: dict[str, Any]) -> None:
        """Give a pod a node, and a status."""
        self.change(name, spec={**self.pods["default", name]["spec"], "nodeName": "node-1"}, status=status)

    def wait(self, name: str, reason: str, message: str) -> None:
        """Let the main container wait."""
        state = {"waiting": {"reason": reason, "message": message}}
        status = {"name": "base", "restartCount": 0, "state": state}
        self.bind(name, {"phase": "Pending", "containerStatuses": [status]})

    def tell(self, uid: str, reason: str, message: str, *, container: str | None = None) -> None:
        """Tell an event."""
        path = None if container is None else f"spec.containers{{{container}}}"
        event = {"type": "Warning", "reason": reason, "message": message, "lastTimestamp": self._time()}
        self._told.setdefault(uid, []).append({**event, "involvedObject": {"fieldPath": path}})

    def later(self, later_s: float, uid: str, act: Callable[[], object]) -> None:
        """Let something happen to a pod later, if it is still there."""
        self._at(later_s, uid, act)

    def is_given_up(
        self, uid: str, category: Category, saying: Saying, *, unsaid: Fault, in_s: float = GRACE_S
    ) -> None:
        """What is true of a pod that cannot start: the runner gives it up after its grace."""
        self._is(uid, category, faults={saying.fault}, words=saying.message, unsaid=unsaid, in_s=in_s)

    def is_over(self, uid: str, category: Category, saying: Saying, *, exit_code: int | None = None) -> None:
        """What is true of a pod that ends by itself, or by its kubelet."""
        self._is(
            uid,
            category,
            exit_code=exit_code,
            faults={saying.fault},
            words=saying.message,
            unsaid=saying.fault,
        )

    def _answer(self, request: Request) -> Response:
        if "/events" not in request.path:
            return super()._answer(request)
        uid = parse_qs(urlsplit(request.target).query)["fieldSelector"][0].rpartition("=")[2]
        return _ok({"kind": "EventList", "metadata": {}, "items": self._told.get(uid, [])})

    def _at(self, later_s: float, uid: str, act: Callable[[], object]) -> None:
        heapq.heappush(self._plans, (anyio.current_time() + later_s, next(self._order), uid, act))
        self._planned.set()

    def _end(self, name: str, uid: str, end: str) -> None:
        if self.pods["default", name]["status"]["phase"] != "Running" or uid in self._words:
            return  # a finalizer holds it after an earlier end, or the kubelet is ending it
        match end:
            case "succeed":
                self.finish(name)
                self._is(uid, Category.SUCCEEDED, exit_code=0)
            case "fail":
                code = self.random.randint(1, 120)
                self.finish(name, code)
                self._is(uid, Category.FAILED, exit_code=code)
            case "out-of-memory":
                self.finish(name, 137, reason="OOMKilled")
                self._is(uid, Category.OOM_KILLED, exit_code=137)
            case "evict":
                self._is(uid, Category.EVICTED)
                self._evict(name, uid)
            case "delete-running":
                self._delete_by_others(name, uid)
            case "vanish":
                self._is(uid, *REMOVED)
                if self.remove(name, noticed=False)["metadata"].get("finalizers"):
                    self.finish(name, 137)  # held: the kubelet still ends it
            case "hasty":
                self.finish(name)
                self._is(uid, Category.SUCCEEDED, *REMOVED, exit_code=0)
                self._at(self.random.uniform(0, 2), uid, lambda: self.remove(name))

    def _evict(self, name: str, uid: str) -> None:
        """As a kubelet does it: sometimes the exit code comes first, and the reason with the next write."""
        reason = {"reason": "Evicted", "message": "The node was low on resource: memory."}
        if self.random.random() < 0.5:
            self.phase(name, "Failed", **reason)
            return
        self.change(name, status={**_ended(137, self._time()), "phase": "Running"})
        self._words[uid] = lambda: self.phase(name, "Failed", **reason)
        self._at(self.random.uniform(0, 3), uid, lambda: self._say_last_word(uid))

    def _say_last_word(self, uid: str) -> None:
        if (word := self._words.pop(uid, None)) is not None:
            word()

    def _delete_by_others(self, name: str, uid: str) -> None:
        self._is(uid, *REMOVED)
        pod = self.pods["default", name]
        if pod["spec"].get("nodeName"):
            self.mark_deleted(name)
            if self.random.random() < 0.5 and not pod["metadata"].get("finalizers"):
                self._forget(name)
            else:
                self.finish(name, 143)
        self.remove(name)

    def _forget(self, name: str) -> None:
        """A kubelet that lost the container of a deleted pod shows it as one that is being created (P10's input)."""
        state = {"waiting": {"reason": "ContainerCreating"}}
        status = {"name": "base", "restartCount": 0, "state": state, "lastState": {"terminated": USED_TO_RUN}}
        self.change(name, status={"phase": "Pending", "containerStatuses": [status]})

    def _is(
        self,
        uid: str,
        *categories: Category,
        exit_code: int | None = None,
        faults: AbstractSet[Fault | None] | None = None,
        words: str = "",
        unsaid: Fault | None = None,
        in_s: float = 0.0,
    ) -> None:
        truth = Truth(
            categories=frozenset(categories),
            exit_code=exit_code,
            at_s=anyio.current_time() + in_s,
            started=uid in self.begun,
            faults=frozenset(map(USUAL_FAULT.get, categories) if faults is None else faults),
            words=words,
            unsaid=unsaid,
        )
        self.truth.setdefault(uid, truth)

    def _delete(self, namespace: str, name: str, options: dict[str, Any]) -> Response:
        """A deletion over the API is the runner's own: of a pod that lives, its cancellation."""
        uid = self.pods[namespace, name]["metadata"]["uid"]
        self.obedient = uid not in self._words
        answer = super()._delete(namespace, name, options)
        self.obedient = True
        if answer.status == 200:
            self._is(uid, Category.CANCELLED)
        if (
            answer.status == 200 and uid in self._words
        ):  # a kubelet writes why it ended a pod before it lets it go
            self._say_last_word(uid)
            self.remove(name)
        return answer

    def _obey(self, name: str) -> None:
        """A pod that never began has nothing to end: the kubelet writes its phase, and lets it go."""
        pod = self.pods["default", name]
        if pod["spec"].get("nodeName") and pod["metadata"]["uid"] not in self.begun:
            self.phase(name, "Failed")
            self.remove(name)
        else:
            super()._obey(name)

    def _check_deadline(self, name: str) -> None:
        """A lowered deadline is the runner's own, too; the kubelet takes some time, and sometimes two writes."""
        uid, left_s = self.pods["default", name]["metadata"]["uid"], self.left_s(name)
        if left_s < math.inf:
            late_s = self.random.uniform(0, 5)
            self._at(max(left_s, 0) + late_s, uid, lambda: self._expire(name, uid))

    def _expire(self, name: str, uid: str) -> None:
        if self.left_s(name) > 0 or uid in self._words:
            return
        case = self.random.random()
        if case < 0.2:
            self._expire_too_late(name, uid)
            return
        self._is(uid, Category.CANCELLED)
        if case < 0.5:
            self.expire(name)
            return
        if case < 0.6:  # a status that was computed before the containers ended, and written after it
            self.phase(name, "Failed", **DEADLINE_EXCEEDED)
            code = self.exit_codes.get(name, 143)
            self._at(0.5, uid, lambda: self.change(name, status=_ended(code, self._time())))
            return
        self.change(name, status={**_ended(self.exit_codes.get(name, 143), self._time()), "phase": "Running"})
        self._words[uid] = lambda: self.phase(name, "Failed", **DEADLINE_EXCEEDED)
        self._at(self.random.uniform(0, 3), uid, lambda: self._say_last_word(uid))

    def _expire_too_late(self, name: str, uid: str) -> None:
        """The pod ended by itself at that moment: a kubelet first says so, and fails the pod all the same."""
        self._is(uid, Category.SUCCEEDED, Category.CANCELLED, exit_code=0)
        self.finish(name)
        self._at(0.9, uid, lambda: self.phase(name, "Failed", **DEADLINE_EXCEEDED))

    # The network

    async def _arrive(self, request: Request) -> ServerFault | None:
        if len(self.faults) > 50:
            self.faults = [fault for fault in self.faults if fault.times]
        if self.broken is not None:
            await anyio.lowlevel.checkpoint()
            self.requests.append((anyio.current_time(), request.method, request.target))
            answer = self.broken(request)
            if answer is None:
                raise TransportError("connection refused", method=request.method, sent=False)
            body = answer.body
            return ServerFault(lambda _: True, status=answer.status, body=body, headers=answer.headers)
        return await super()._arrive(request)

    async def request(self, request: Request) -> Response:
        if self.broken is None or "/leases" not in request.path:
            return await super().request(request)
        raise TransportError("connection refused", method=request.method, sent=False)

    def mute(self) -> None:
        """All connections fall silent, as behind a load balancer that forgot them; new ones work."""
        silent, self.watches = self.watches, []
        for watch in silent:
            watch.deadline = float("inf")

    async def send_bookmarks(self) -> None:
        """Tell the version about each minute, as kube-apiserver does."""
        while True:
            await anyio.sleep(60)
            self.bookmark()

    def replay(self, changes: int) -> None:
        """Tell the last changes once more."""
        for watch in self.watches:
            for change in self.history[-changes:]:
                watch.tell(change)

    def garbage(self) -> None:
        """Send what is no pod."""
        for watch in self.watches:
            watch.push(
                self.random.choice([b'{"type":"MODIFIED","object":{"metadata":[]}}\n', b"<html>\n", b"{\n"])
            )

    def cut_inside_an_event(self) -> None:
        """Break the connections within an event that is sent again later."""
        for watch in self.watches:
            if self.history:
                watch.push(_half(self.history[-1]))
        self.break_watches()

    def restart(self) -> None:
        """Forget history and connections; snapshots of lists too."""
        self.compact()
        self.break_watches()


def _half(change: Change) -> bytes:
    line = json.dumps({"type": change.kind, "object": change.obj}).encode()
    return line[: len(line) // 2]


def refused(_: Request) -> None:
    """Is dropped."""


def answering(status: int, body: bytes = b"", **headers: str) -> Callable[[Request], Response]:
    """Every request gets the same answer."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _: Response(status, named, body)


OUTAGES: dict[str, Callable[[Request], Response | None]] = {
    "refused": refused,
    "500": answering(500, b"etcdserver: no leader"),
    "503, not JSON": answering(503, b"<html>upstream connect error</html>"),
    "429": answering(429, b"slow down", retry_after="7"),
    "empty 200": answering(200),
    "410": answering(410, b'{"kind":"Status","code":410,"reason":"Expired","message":"too old"}'),
    "garbage 200": answering(200, b"\x00\xff<html>"),
}
"""Ways in which a server is broken for minutes."""


async def inject_faults(world: World, *, for_s: float) -> None:
    """Whatever a network does, for some time."""
    end_s = anyio.current_time() + for_s
    while anyio.current_time() < end_s:
        await anyio.sleep(world.random.expovariate(1 / 6))
        _inject_one(world)


def _inject_one(world: World) -> None:  # noqa: C901, PLR0912  # one case per kind of fault
    draw = world.random
    times = draw.randint(1, 4)
    match draw.randrange(16):
        case 0:
            world.fail("GET", status=draw.choice([500, 429, 401, 503, 200]), times=times)
        case 1:
            world.fail("GET", status=410, times=times)
        case 2:
            world.fail("GET", refuse=True, times=times)
        case 3:
            world.fail("POST", lose_reply=True, times=times)
        case 4:
            world.fail("POST", status=draw.choice([500, 429, 503]), body=b"<html>", times=times)
        case 5:
            world.fail("DELETE", lose_reply=draw.random() < 0.5, status=None, delay_s=draw.uniform(0, 40))
        case 6:
            world.fail("DELETE", status=500, times=times)
        case 7:
            world.fail("GET", delay_s=draw.uniform(0, 20), times=times)
        case 8:
            world.mute()
        case 9:
            world.replay(draw.randint(1, 20))
        case 10:
            world.garbage()
        case 11:
            world.cut_inside_an_event()
        case 12:
            world.restart()
        case 13:
            world.compact()
        case 14:
            world.end_watches()
        case 15:
            world.bookmark()

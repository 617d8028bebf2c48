"""The rules: which requests something goes wrong with, what, and how often. Pure but for its own random source.

``Faults().on("POST", "pods").lose_reply(times=1)``. How a fault is done to a connection does not belong here.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from random import Random
from threading import Lock
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from podrunner.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Asked", "Effect", "Faults", "On", "read_target"]

_PATH = re.compile(
    r"^/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/))?"
    r"/(?P<resource>[^/]+)(?:/(?P<name>[^/]+)(?:/(?P<part>[^/]+))?)?"
)


class Asked(NamedTuple):
    """What a request asks for.

    Attributes:
        method: ``GET``, ``POST``, …
        resource: ``pods``, ``pods/log``, ``leases``; the path itself if it is none of Kubernetes' resources.
        namespace: "" for all, or none.
        name: Name of the object, or "".
        watch: Whether it is a watch.
    """

    method: str
    resource: str
    namespace: str = ""
    name: str = ""
    watch: bool = False


class Effect(NamedTuple):
    """What goes wrong with one request. The defaults are: nothing.

    Attributes:
        fault: Its name, under which it is counted.
        delay_s: Seconds before the request is passed on.
        drop: Close the connection instead of passing the request on.
        hang: Never pass it on, nor answer.
        answer: Answer so, instead of passing it on: status, headers, body.
        lose_reply: Pass it on, and close the connection instead of answering.
        delay_reply_s: Seconds between the server's answer and its delivery.
        after_bytes: So many bytes of the answer's body are passed on before what follows.
        after_events: Likewise, so many whole events of a watch, and half of the next.
        stall: What follows: nothing, on an open connection. Otherwise the connection is closed.
        end: What follows: the answer's regular end, though something is missing.
        insert: What follows: these bytes, and then the rest.
        bytes_per_s: The body comes so slowly.
        repeat: Each event of a watch comes so many times.
        outdated: The answer is the one that was given to the same request before.
    """

    fault: str
    delay_s: float = 0.0
    drop: bool = False
    hang: bool = False
    answer: tuple[int, Mapping[str, str], bytes] | None = None
    lose_reply: bool = False
    delay_reply_s: float = 0.0
    after_bytes: int | None = None
    after_events: int | None = None
    stall: bool = False
    end: bool = False
    insert: bytes | None = None
    bytes_per_s: float | None = None
    repeat: int = 1
    outdated: bool = False


@dataclass(slots=True)
class _Rule:
    on: On
    effect: Effect
    times: int | None
    seen: int = field(default=0)


class Faults:
    """A list of rules. The first rule that applies to a request is followed; without one the request just passes.

    Args:
        seed: Of the random source that ``share`` draws from: the same seed and requests, the same faults.

    Attributes:
        counts: How often each fault was done, by name (``lose-reply``, ``answer-410``, …); ``passed`` for requests
            with which nothing went wrong.
        requests: How many requests came, by method and resource (``("GET", "pods")``; watches as ``"WATCH"``).
    """

    def __init__(self, seed: int = 0) -> None:
        self.counts: Counter[str] = Counter()
        self.requests: Counter[tuple[str, str]] = Counter()
        self._random = Random(seed)  # noqa: S311  # faults are to be repeatable, not secret
        self._rules: list[_Rule] = []
        self._lock = Lock()  # rules are made in a test's thread and followed in the proxy's

    def on(
        self,
        method: str = "*",
        resource: str = "*",
        *,
        name: str = "*",
        namespace: str = "*",
        watch: bool | None = None,
        skip: int = 0,
        every: int = 1,
        share: float = 1.0,
    ) -> On:
        """Choose requests.

        Args:
            method: ``GET``, ``POST``, …, or a pattern as of :mod:`fnmatch`.
            resource: ``pods``, ``pods/log``, ``leases``, …, or a pattern.
            name: Of the object, or a pattern.
            namespace: Likewise.
            watch: Only watches, or only others; None: both.
            skip: Let so many pass first.
            every: After that, only each so-manieth.
            share: Of the remaining ones, such a share at random: 0 to 1.

        Raises:
            UsageError: ``every`` is less than 1, or ``share`` no share.
        """
        if every < 1 or not 0 <= share <= 1:
            raise UsageError(f"every={every} and share={share}: every is at least 1, a share is from 0 to 1")
        return On(
            self,
            Asked(method.upper(), resource, namespace, name),
            watch=watch,
            skip=skip,
            every=every,
            share=share,
        )

    def clear(self) -> None:
        """Forget all rules; the counts stay."""
        with self._lock:
            self._rules.clear()

    def add(self, on: On, effect: Effect, times: int | None) -> None:
        """Add a rule. See :class:`On`."""
        with self._lock:
            self._rules.append(_Rule(on, effect, times))

    def decide(self, asked: Asked) -> Effect | None:
        """Say what goes wrong with a request that just came; None: nothing."""
        with self._lock:
            self.requests["WATCH" if asked.watch else asked.method, asked.resource] += 1
            effect = next((rule.effect for rule in self._rules if self._applies(rule, asked)), None)
            self.counts[effect.fault if effect is not None else "passed"] += 1
            return effect

    def _applies(self, rule: _Rule, asked: Asked) -> bool:
        if rule.times == 0 or not rule.on.matches(asked):
            return False
        rule.seen += 1
        place = rule.seen - rule.on.skip
        if place < 1 or place % rule.on.every or self._random.random() >= rule.on.share:
            return False
        if rule.times is not None:
            rule.times -= 1
        return True


class On:
    """Selected requests, to be given a fault. Made by :meth:`Faults.on`.

    Each method adds one rule and returns the :class:`Faults`. ``times`` is how often it is followed; None: always.
    """

    def __init__(
        self,
        faults: Faults,
        pattern: Asked,
        *,
        watch: bool | None,
        skip: int,
        every: int,
        share: float,
    ) -> None:
        self._faults = faults
        self._pattern = pattern
        self._watch = watch
        self.skip = skip
        self.every = every
        self.share = share

    def matches(self, asked: Asked) -> bool:
        """Whether a request is among them."""
        if self._watch not in {None, asked.watch}:
            return False
        return all(
            fnmatchcase(said, wanted) for said, wanted in zip(asked[:4], self._pattern[:4], strict=True)
        )

    def drop(self, *, times: int | None = 1) -> Faults:
        """Close the connection; the server never sees the request."""
        return self._add(Effect("drop", drop=True), times)

    def hang(self, *, times: int | None = 1) -> Faults:
        """Neither pass it on nor answer: the connection stays open and silent."""
        return self._add(Effect("hang", hang=True), times)

    def delay(self, seconds: float, *, times: int | None = 1) -> Faults:
        """Pass it on later."""
        return self._add(Effect("delay", delay_s=seconds), times)

    def delay_reply(self, seconds: float, *, times: int | None = 1) -> Faults:
        """Let the server do it at once, and deliver its answer later."""
        return self._add(Effect("delay-reply", delay_reply_s=seconds), times)

    def lose_reply(self, *, times: int | None = 1) -> Faults:
        """Let the server do it, and close the connection without an answer."""
        return self._add(Effect("lose-reply", lose_reply=True), times)

    def answer(
        self,
        status: int,
        body: bytes | str | Mapping[str, Any] | None = None,
        *,
        retry_after_s: int | None = None,
        content_type: str | None = None,
        times: int | None = 1,
    ) -> Faults:
        """Answer in the server's place.

        Args:
            status: The HTTP status code.
            body: The body; a mapping is sent as JSON. None: for errors Kubernetes' ``Status`` object, else nothing.
            retry_after_s: Sent as ``Retry-After``.
            content_type: None: JSON for a mapping or ``Status``, else plain text.
            times: How often; None: always.
        """
        data = _body(status, body)
        kind = content_type or ("text/plain" if isinstance(body, bytes | str) else "application/json")
        headers = {"Content-Type": kind}
        if retry_after_s is not None:
            headers["Retry-After"] = str(retry_after_s)
        return self._add(Effect(f"answer-{status}", answer=(status, headers, data)), times)

    def gone(self, *, times: int | None = 1) -> Faults:
        """Answer 410: the version is too old."""
        return self.answer(410, times=times)

    def gone_in_stream(self, *, times: int | None = 1) -> Faults:
        """Open the watch and send 410 as its first event, as kube-apiserver mostly does."""
        event = {"type": "ERROR", "object": json.loads(_body(410, None))}
        return self.answer(200, json.dumps(event) + "\n", content_type="application/json", times=times)

    def cut(
        self, *, after_bytes: int | None = None, after_events: int | None = None, times: int | None = 1
    ) -> Faults:
        """Close the connection within the answer.

        Args:
            after_bytes: So many bytes of the body come; None: see ``after_events``.
            after_events: So many whole events of a watch come, and half of the next. None, like ``after_bytes``: only
                the headers come.
            times: How often; None: always.
        """
        return self._add(
            Effect("cut", after_bytes=_limit(after_bytes, after_events), after_events=after_events), times
        )

    def truncate(
        self, *, after_bytes: int | None = None, after_events: int | None = None, times: int | None = 1
    ) -> Faults:
        """End the answer too early, but in good order, as a proxy that was restarted does; see :meth:`cut`."""
        limit = _limit(after_bytes, after_events)
        return self._add(Effect("truncate", after_bytes=limit, after_events=after_events, end=True), times)

    def stall(
        self, *, after_bytes: int | None = None, after_events: int | None = None, times: int | None = 1
    ) -> Faults:
        """Let nothing more come on an open connection, as on one that a load balancer forgot; see :meth:`cut`."""
        limit = _limit(after_bytes, after_events)
        return self._add(Effect("stall", after_bytes=limit, after_events=after_events, stall=True), times)

    def garbage(
        self, data: bytes = b"\x00\xff<html>\n", *, after_bytes: int = 0, times: int | None = 1
    ) -> Faults:
        """Put bytes into the answer's body that do not belong there."""
        return self._add(Effect("garbage", after_bytes=after_bytes, insert=data), times)

    def slow(self, bytes_per_s: float, *, times: int | None = 1) -> Faults:
        """Let the answer's body come slowly."""
        return self._add(Effect("slow", bytes_per_s=bytes_per_s), times)

    def repeat_events(self, copies: int = 2, *, times: int | None = 1) -> Faults:
        """Let each event of a watch come more than once."""
        return self._add(Effect("repeat-events", repeat=copies), times)

    def outdated(self, *, times: int | None = 1) -> Faults:
        """Give the answer that the same request got before, if any, as a server whose cache lags."""
        return self._add(Effect("outdated", outdated=True), times)

    def _add(self, effect: Effect, times: int | None) -> Faults:
        self._faults.add(self, effect, times)
        return self._faults


def read_target(method: str, target: str) -> Asked:
    """Say what a request line asks for."""
    parts = urlsplit(target)
    found = _PATH.match(parts.path)
    if found is None:
        return Asked(method, parts.path)
    resource = found["resource"] + (f"/{found['part']}" if found["part"] else "")
    watch = parse_qs(parts.query).get("watch", ["0"])[-1] in {"1", "true"}
    return Asked(method, resource, found["namespace"] or "", found["name"] or "", watch)


def _limit(after_bytes: int | None, after_events: int | None) -> int | None:
    return 0 if after_bytes is None and after_events is None else after_bytes


_REASONS = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
    410: "Expired",
    422: "Invalid",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
}


def _body(status: int, body: bytes | str | Mapping[str, Any] | None) -> bytes:
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    if body is not None:
        return json.dumps(body).encode()
    if status < 400:
        return b""
    return json.dumps(
        {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": "a fault was injected",
            "reason": _REASONS.get(status, "Unknown"),
            "code": status,
        }
    ).encode()

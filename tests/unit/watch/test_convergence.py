"""Whatever happens between server and watch, in whatever order, both agree in the end.

A state machine of hypothesis draws a history of the cluster and of the network; it is then played in virtual time
against a reflector, once with paged and once with streaming lists.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner.watch import Kind
from tests.support.event_loops import run_in_virtual_time
from tests.support.fake_server import FakeServer
from tests.unit.watch.harness import Watched, watching

_NAMES = st.sampled_from(["a", "b", "c", "d"])
_PHASES = st.sampled_from(["Pending", "Running", "Succeeded", "Failed"])
_STEPS = st.one_of(
    st.tuples(st.just("put"), _NAMES),
    st.tuples(st.just("phase"), _NAMES, _PHASES),
    st.tuples(st.just("mark"), _NAMES),
    st.tuples(st.just("remove"), _NAMES),
    st.tuples(st.just("relabel"), _NAMES),
    st.tuples(st.just("replay"), st.integers(1, 5)),
    st.tuples(st.just("mute"), st.booleans()),
    st.tuples(st.just("fail"), st.sampled_from([500, 429, 410, 200, 401]), st.integers(1, 4)),
    st.tuples(st.just("refuse"), st.integers(1, 4)),
    st.tuples(st.sampled_from(["compact", "end", "break", "bookmark", "garbage"])),
    st.tuples(st.just("wait"), st.sampled_from([0.01, 0.5, 40.0, 400.0])),
)

_OUTAGES: list[dict[str, Any]] = [{"status": code} for code in (500, 429, 410, 401, 200)] + [{"refuse": True}]
_ASKED_PER_MINUTE = 12
"""Waits of 0.4, 0.8, 1.6 … 15 s at least: seven in the first minute; a 410 and a 401 are followed up at once, once."""
_RECOVERY_S = 60.0
"""The longest wait (30 s), a list of a few pages, and the reads that verify deletions."""


def silence(server: FakeServer, silent: bool) -> None:  # noqa: FBT001  # drawn
    """Begin or end a silence of all connections. TCP loses nothing in the middle: what was silent is broken."""
    if server.muted and not silent:
        server.break_watches()
    server.muted = silent


async def play(server: FakeServer, step: tuple[Any, ...]) -> None:  # noqa: C901, PLR0912  # one case per kind of step
    """Let one thing happen; what makes no sense now does not happen."""
    match step:
        case ["put", name] if ("default", name) not in server.pods:
            server.put(name)
        case ["phase", name, phase] if ("default", name) in server.pods:
            server.phase(name, phase)
        case ["mark", name] if ("default", name) in server.pods:
            server.mark_deleted(name)
        case ["remove", name] if ("default", name) in server.pods:
            server.remove(name)
        case ["relabel", name] if ("default", name) in server.pods:
            labels = server.pods["default", name]["metadata"]["labels"]
            server.change(name, metadata={"labels": {"app": "x" if labels["app"] != "x" else "y"}})
        case ["replay", count] if not server.muted:
            for watch in server.watches:
                for change in server.history[-count:]:
                    watch.tell(change)
        case ["mute", silent]:
            silence(server, silent)
        case ["fail", status, times]:
            server.fail("GET", status=status, times=times)
        case ["refuse", times]:
            server.fail("GET", refuse=True, times=times)
        case ["compact"]:
            server.compact()
        case ["end"]:
            server.end_watches()
        case ["break"]:
            server.break_watches()
        case ["bookmark"] if not server.muted:
            server.bookmark()
        case ["garbage"]:
            for watch in server.watches:
                watch.push(b'{"type":"MODIFIED","object":{"metadata":[]}}\n')
        case ["wait", seconds]:
            await anyio.sleep(seconds)
    await anyio.sleep(0.001)


def check(watched: Watched) -> None:
    """The store equals the server, and each pod's observations make sense."""
    assert watched.known == watched.truth
    by_uid = defaultdict(list)
    for observation in watched.reported:
        by_uid[observation.pod.metadata.uid].append(observation.kind)
    for uid, kinds in by_uid.items():
        ends = [kind for kind in kinds if kind in {Kind.DELETED, Kind.VANISHED}]
        assert len(ends) <= 1, (uid, kinds)
        there = any(pod["metadata"]["uid"] == uid for pod in watched.server.pods.values())
        left = kinds[-1] is Kind.LEFT
        assert len(ends) == (0 if there or left else 1), (uid, kinds)
        assert (kinds[-1] in {Kind.ADDED, Kind.MODIFIED}) == (uid in watched.known), (uid, kinds)
        assert kinds[0] in {Kind.ADDED, Kind.DELETED}, (uid, kinds)
        assert not ends or kinds[-1] in ends, (uid, kinds)


async def outage(server: FakeServer, how: dict[str, Any]) -> None:
    """The API server is broken for ten minutes; it is asked a few times a minute."""
    server.fail("GET", times=10_000, **how)
    server.break_watches()
    began_s = anyio.current_time()
    await anyio.sleep(600)
    server.faults.clear()
    asked = [at_s for at_s, _, target in server.requests if at_s >= began_s and "/pods?" in target]
    minutes = Counter(int((at_s - began_s) // 60) for at_s in asked)
    assert max(minutes.values(), default=0) <= _ASKED_PER_MINUTE, minutes


async def scenario(steps: list[tuple[Any, ...]], *, streaming: str, broken: dict[str, Any]) -> None:
    """Play a history, then an outage; then both sides agree within a bounded time, and no relist follows in an hour."""
    server = FakeServer()
    server.put("a")
    async with watching(server, streaming_lists=streaming, page_size=2) as watched:
        for step in steps:
            await play(server, step)
        silence(server, silent=False)
        server.faults.clear()
        await outage(server, broken)
        await anyio.sleep(_RECOVERY_S)
        check(watched)
        assert not watched.reflector.health().stale
        asked = len(server.requests)
        await anyio.sleep(3600)
        check(watched)
        assert len(server.requests) - asked < 80


@pytest.mark.timeout(600)  # at full size, with coverage, it computes for most of a minute
@settings(max_examples=2 * settings().max_examples)
@given(st.lists(_STEPS, max_size=25), st.sampled_from(["off", "auto"]), st.sampled_from(_OUTAGES))
def test_the_store_converges_to_the_servers_state(
    steps: list[tuple[Any, ...]], streaming: str, broken: dict[str, Any]
):
    """W1, W3, W5, W7, W8, W9, W10, W11: one end per UID that ended, none for one that lives, and bounded requests."""

    async def play_it() -> None:
        await scenario(steps, streaming=streaming, broken=broken)

    run_in_virtual_time(play_it)

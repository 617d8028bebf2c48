"""Whatever happens between server and watch, in whatever order, both agree in the end.

A state machine of hypothesis draws a history of the cluster and of the network; it is then played in virtual time
against a reflector, once with paged and once with streaming lists.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import anyio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st
from podrunner.watch import Kind
from tests.unit.fake_server import FakeServer
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
    for observation in watched.told:
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


async def scenario(steps: list[tuple[Any, ...]], *, streaming: str) -> None:
    """Play a history, then give both sides an hour of peace."""
    server = FakeServer()
    server.put("a")
    async with watching(server, streaming_lists=streaming, page_size=2) as watched:
        for step in steps:
            await play(server, step)
        asked = len(server.requests)
        silence(server, silent=False)
        server.faults.clear()
        await anyio.sleep(3600)
        check(watched)
        assert len(server.requests) - asked < 80


@settings(max_examples=120)
@given(st.lists(_STEPS, max_size=25), st.sampled_from(["off", "auto"]))
def test_the_store_converges_to_the_servers_state(steps: list[tuple[Any, ...]], streaming: str):
    """W1, W3, W5, W7, W8, W9, W10, W11: one end per UID that ended, none for one that lives, and bounded requests."""

    async def play_it() -> None:
        await scenario(steps, streaming=streaming)

    anyio.run(
        play_it, backend="trio", backend_options={"clock": trio.testing.MockClock(autojump_threshold=0)}
    )

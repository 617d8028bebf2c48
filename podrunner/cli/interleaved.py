"""The logs of several pods at once, by whole lines, with the pod before each.

Which pods is decided before; how a log is followed is ``podrunner.logs``.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Final, NamedTuple

import anyio

from podrunner.cells import middle_clipped, width_of
from podrunner.cli.controls import shown
from podrunner.cli.failures import one_line
from podrunner.cli.naming import PodIdentity, identity_of, resolve_all
from podrunner.cli.screen import is_terminal, shows_colour
from podrunner.cli.streams import takes_unicode
from podrunner.errors import ApiError, LogError, PodrunnerError
from podrunner.logs import LogQuery, LogReader, PodLog
from podrunner.logs.lines import LineAssembler

if TYPE_CHECKING:
    from podrunner.cli.watching import PodChange
    from podrunner.config import RunnerConfig
    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = ["InterleavedLogs", "Prefixes", "prefix_of"]

_AT_ONCE: Final = 8
"""Logs that are read at the same time where they are not followed."""
_FOLLOWED: Final = 100
"""Logs that are followed at the same time: a connection each."""
_WIDEST: Final = 32
_COLOURS: Final = ("36", "33", "32", "35", "34", "96", "93", "92", "95", "94")
"""SGR codes; red is left out: it is an error's."""
_RESET: Final = "\x1b[0m"


class _Named(NamedTuple):
    """A pod whose log is read."""

    pod: Pod
    text: str


def prefix_of(one: PodIdentity) -> str:
    """Return what stands before each line: the key, with the attempt from the second on, in 32 cells at most."""
    attempt = f"#{one.tried}" if one.attempt > 1 or one.relaunch else ""
    return middle_clipped(one_line(one.key), _WIDEST - len(attempt)) + attempt


class Prefixes:
    """What stands before the lines of each pod, as wide as the widest so far, each in a colour of its own.

    Args:
        colour: Whether in colours.
    """

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour
        self._codes: dict[str, str] = {}
        self._width = 0

    def add(self, text: str) -> None:
        """Give a text its colour and its room."""
        self._codes.setdefault(text, _COLOURS[len(self._codes) % len(_COLOURS)])
        self._width = max(self._width, width_of(text))

    def before(self, text: str) -> str:
        """Return a prefix with its colour and the mark that ends it."""
        padded = text + " " * (self._width - width_of(text)) + " | "
        return f"\x1b[{self._codes[text]}m{padded}{_RESET}" if self._colour else padded


class InterleavedLogs:
    """Reads several logs and writes whole lines.

    Args:
        settings: The configuration.
        namespace: Whose pods; None: of all namespaces.
        container: Which container of each; None: the main one.
        follow: Stay until the containers end; with a selector also those of pods that come later.
        tail: Only the last so many lines of each; None: all.
        since: Only from this time on; None: all.
        timestamps: Whether each line keeps the node's time.
    """

    def __init__(
        self,
        settings: RunnerConfig,
        namespace: str | None,
        *,
        container: str | None,
        follow: bool,
        tail: int | None,
        since: str | None,
        timestamps: bool,
    ) -> None:
        self._settings = settings
        self._namespace = namespace
        self._container = container
        self._follow = follow
        self._tail = tail
        self._since = since
        self._timestamps = timestamps
        self._prefixes: Prefixes | None = None
        self._as_json = False
        self._errors: list[PodrunnerError] = []
        self._successes = 0
        self._reading: set[str] = set()
        self._limit = anyio.CapacityLimiter(_FOLLOWED if follow else _AT_ONCE)

    def prints(self, *, prefix: bool, as_json: bool) -> None:
        """Say how lines are written."""
        self._prefixes = Prefixes(colour=shows_colour(sys.stdout)) if prefix else None
        self._as_json = as_json

    async def show(self, client: KubeClient, words: list[str], *, selector: str) -> None:
        """Print the logs of the pods that are named, or of those with the labels.

        Raises:
            NoSuchPodError: A name has no pod.
            PodrunnerError: The log of a pod that was named could not be read, or none could.
        """
        if self._follow and not words:
            await self._follow_selected(client, selector)
        else:
            await self._read_all(client, await self._chosen(client, words, selector))
        if self._errors and (words or not self._successes):
            raise self._errors[0]

    async def _chosen(self, client: KubeClient, words: list[str], selector: str) -> list[Pod]:
        namespace = self._namespace
        if words:
            return await resolve_all(client, namespace, words, selector=selector)
        page = await client.list_pods(namespace, label_selector=selector)
        pods = sorted(page.items, key=lambda pod: pod.metadata.creation_timestamp or "")
        if not pods:
            where = "" if namespace is None else f" in {namespace} namespace"
            print(f"No resources found{where}.", file=sys.stderr)
        return pods

    async def _read_all(self, client: KubeClient, pods: list[Pod]) -> None:
        named = [self._named(pod) for pod in pods]
        async with anyio.create_task_group() as tasks:
            for each in named:
                tasks.start_soon(self._read, client, each, name=f"log {each.pod.metadata.name}")

    async def _follow_selected(self, client: KubeClient, selector: str) -> None:
        """Follow the pods that are there, and each that comes later, until Ctrl-C."""
        from podrunner.cli.watching import PodWatching

        async with anyio.create_task_group() as tasks:

            async def on_change(change: PodChange) -> None:
                new = [pod for pod in change.pods if not change.is_gone and self._is_new(pod)]
                for each in [self._named(pod) for pod in new]:
                    tasks.start_soon(self._read, client, each, name=f"log {each.pod.metadata.name}")

            watching = PodWatching(
                client,
                self._namespace,
                selector=selector,
                attempts=self._settings.retry.attempts,
                on_change=on_change,
            )
            await watching.run()

    def _is_new(self, pod: Pod) -> bool:
        uid = pod.metadata.uid
        if uid in self._reading:
            return False
        self._reading.add(uid)
        return True

    def _named(self, pod: Pod) -> _Named:
        text = prefix_of(identity_of(pod))
        if self._namespace is None:
            text = f"{pod.metadata.namespace}/{text}"
        if self._prefixes is not None:
            self._prefixes.add(text)
        return _Named(pod, text)

    async def _read(self, client: KubeClient, named: _Named) -> None:
        """Read one log; an error is kept, so that the others go on."""
        if self._follow and not self._limit.available_tokens:
            sys.stderr.write(f"podrunner: {named.text}: waits, as {_FOLLOWED} logs are followed already\n")
        async with self._limit:
            try:
                await self._print(client, named)
                self._successes += 1
            except (ApiError, LogError) as error:
                self._errors.append(error)
                sys.stderr.write(f"podrunner: {named.text}: {one_line(str(error))}\n")

    async def _print(self, client: KubeClient, named: _Named) -> None:
        place = PodLog(client, tail_lines=self._tail, since_time=self._since, timestamps=self._timestamps)
        meta = named.pod.metadata
        query = LogQuery(
            namespace=meta.namespace, pod=meta.name, container=self._container, main_container=""
        )
        lines = LineAssembler()
        async with LogReader([place]).open(query, follow=self._follow) as found:
            async for batch in found.batches:
                self._write(named, lines.feed(batch))
        self._write(named, lines.rest())

    def _write(self, named: _Named, lines: bytes) -> None:
        """Write whole lines in one call, so that no other pod's come between the parts of one."""
        if not lines:
            return
        shape = self._document if self._as_json else self._prefixed
        sys.stdout.buffer.write(b"".join(shape(named, line) for line in lines.split(b"\n")[:-1]))
        sys.stdout.buffer.flush()

    def _prefixed(self, named: _Named, line: bytes) -> bytes:
        before = "" if self._prefixes is None else self._prefixes.before(named.text)
        written = before.encode(sys.stdout.encoding or "utf-8", "backslashreplace")
        return written + (self._on_terminal(line) if is_terminal(sys.stdout) else line) + b"\n"

    def _on_terminal(self, line: bytes) -> bytes:
        """Return a line that neither covers its prefix nor colours the lines of other pods."""
        text = shown(line.removesuffix(b"\r")).replace(b"\r", b"^M").replace(b"\b", b"^H")
        return text + _RESET.encode() if b"\x1b" in text else text

    def _document(self, named: _Named, line: bytes) -> bytes:
        one = identity_of(named.pod)
        text = line.decode("utf-8", "replace")
        document = {"key": one.key, "attempt": one.attempt or None, "pod": one.pod, "line": text}
        written = json.dumps(document, ensure_ascii=not takes_unicode(sys.stdout))
        return written.encode() + b"\n"

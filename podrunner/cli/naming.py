"""How the commands name a pod: by its key, its name, the beginning of either, or ``@latest``.

What belongs here: the names that a pod has, and which pods a word means; :func:`resolve` is the only part that asks a
cluster. What is done with a pod does not belong here.

=====================================  =================================================
``report-1c1f…``                       the pod's name
``dag_id=etl,task_id=load``            all parts of its key, in any order
``report``                             the value of a key of one part, as ``run --name`` gives it
``report#2``                           one attempt of it; without ``#``, the newest attempt that is there
``task_id=load``                       some parts of its key
``rep``                                the beginning of one of the first three
``@latest``                            the pod that was created last
=====================================  =================================================

A way of naming further down counts only where no pod is named by one further up. ``pod/`` before a word is passed
over, as kubectl prints names.
"""

from __future__ import annotations

import difflib
import json
import re
from typing import TYPE_CHECKING, Final, NamedTuple

from podrunner.builder.labels import ATTEMPT, KEY, MANAGED_BY, MANAGER, RELAUNCH
from podrunner.cli.failures import NoSuchPodError
from podrunner.errors import NotFoundError, UsageError
from podrunner.shown import key_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from podrunner.kube import KubeClient
    from podrunner.outcome.record import Pod

__all__ = [
    "LATEST",
    "OURS",
    "AmbiguousPodError",
    "PodIdentity",
    "choose",
    "identity_of",
    "names_of",
    "resolve",
    "resolve_all",
    "selector_of",
    "without_kind",
]

LATEST: Final = "@latest"
OURS: Final = f"{MANAGED_BY}={MANAGER}"
"""The label selector of podrunner's pods."""
_CANDIDATES: Final = 8
_NEAREST: Final = 3
_is_pod_name = re.compile(r"[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?").fullmatch
_WITH_ATTEMPT: Final = re.compile(
    r"(?P<word>.+)#(?P<attempt>[0-9]{1,9})(?:\.(?P<relaunch>[0-9]{1,9}))?", re.DOTALL
)
"""Digits as of :data:`_is_number`; Python refuses to read thousands."""
_KINDS: Final = frozenset({"pod", "pods", "po"})
"""kubectl's words for pods."""
_is_number = re.compile(r"[0-9]{1,9}").fullmatch


class AmbiguousPodError(UsageError):
    """A word names several pods.

    Attributes:
        word: The word.
        candidates: What it may mean: a key and attempt, and the pod's name.
    """

    def __init__(self, word: str, pods: Sequence[Pod]) -> None:
        self.word = word
        says_namespace = len({pod.metadata.namespace for pod in pods}) > 1
        self.candidates: tuple[str, ...] = tuple(
            _candidate(pod) + (f" in {pod.metadata.namespace}" if says_namespace else "") for pod in pods
        )
        shown = ", ".join(self.candidates[:_CANDIDATES])
        more = len(self.candidates) - _CANDIDATES
        super().__init__(
            f"{word} names {len(self.candidates)} pods: {shown}{f' and {more} more' if more > 0 else ''}"
        )


class PodIdentity(NamedTuple):
    """What a pod is.

    Attributes:
        pod: Its name.
        parts: The parts of its key; empty: podrunner did not make it.
        attempt: Which attempt, from 1; 0: podrunner did not make it.
        relaunch: Which relaunch of the attempt, from 0.
    """

    pod: str
    parts: dict[str, str]
    attempt: int = 0
    relaunch: int = 0

    @property
    def key(self) -> str:
        """The key as ``get`` shows it, ``dag_id=etl,task_id=load``, or its value if it has one part; else the name."""
        return key_text(self.parts) or self.pod

    @property
    def tried(self) -> str:
        """The attempt as ``get`` shows it: ``2``, its second relaunch ``2.2``; "" if there is none."""
        launch = f".{self.relaunch}" if self.relaunch else ""
        return f"{self.attempt}{launch}" if self.attempt else ""

    def texts(self) -> Iterator[str]:
        """Give all ways in which the key is written as a whole."""
        if self.parts:
            yield self.key
            yield ",".join(self._pairs())
            yield " ".join(self._pairs())

    def has(self, pairs: dict[str, str]) -> bool:
        """Whether these are parts of the key."""
        return bool(pairs) and pairs.items() <= self.parts.items()

    def _pairs(self) -> Iterator[str]:
        return (f"{name}={value}" for name, value in self.parts.items())


def identity_of(pod: Pod) -> PodIdentity:
    """Return what a pod says that it is."""
    labels, annotations = pod.metadata.labels or {}, pod.metadata.annotations or {}
    parts = _parts(annotations.get(KEY, ""))
    if labels.get(MANAGED_BY) != MANAGER or not parts:
        return PodIdentity(pod.metadata.name, {})
    attempt, relaunch = (_number(annotations.get(name, "")) for name in (ATTEMPT, RELAUNCH))
    return PodIdentity(pod.metadata.name, parts, attempt, relaunch)


def names_of(pod: Pod) -> tuple[str, ...]:
    """Return the words that name a pod, as completion offers them: its key as ``get`` shows it, and its name."""
    return tuple(dict.fromkeys((identity_of(pod).key, pod.metadata.name)))


def without_kind(words: Sequence[str] | None) -> list[str]:
    """Return the words of a command without kubectl's word for pods at their beginning: ``get pods``."""
    given = list(words or ())
    return given[1:] if given[:1] and given[0] in _KINDS else given


def choose(word: str, pods: Sequence[Pod], *, namespace: str | None) -> Pod:
    """Return the pod that a word names.

    Args:
        word: What was typed: see the table of this module.
        pods: The pods that it may name.
        namespace: Where they are, for the error; None: in all namespaces.

    Raises:
        AmbiguousPodError: It names several.
        NoSuchPodError: It names none; the nearest names are in the message.
    """
    if word == LATEST:
        return _latest(pods, namespace)
    bare = _bare(word)
    for named in [*_ways(word), *(_ways(bare) if bare != word else ())] if word else ():
        found = [pod for pod in pods if named(identity_of(pod))]
        if found:
            return _only(word, found)
    raise NoSuchPodError(namespace, [word], nearest=_nearest(word, pods))


async def resolve(client: KubeClient, namespace: str | None, word: str, *, selector: str = "") -> Pod:
    """Return the pod that a word names; a pod that podrunner did not make is named by its name.

    Args:
        client: Talks to the cluster.
        namespace: Where to look; None: in all namespaces.
        word: What was typed.
        selector: Only pods with these labels, as ``kubectl get -l``.

    Raises:
        AmbiguousPodError: It names several.
        NoSuchPodError: It names none.
    """
    return (await resolve_all(client, namespace, [word], selector=selector))[0]


async def resolve_all(
    client: KubeClient, namespace: str | None, words: Iterable[str], *, selector: str = ""
) -> list[Pod]:
    """Return the pods that words name, each once, in the order of the words. Arguments and errors: ``resolve``.

    A pod's name costs one request; the first other word costs one list of podrunner's pods.
    """
    found: dict[tuple[str, str], Pod] = {}
    pods: list[Pod] | None = None
    for word in words:
        pod = None if selector else await _by_name(client, namespace, word)
        if pod is None:
            pods = await _ours(client, namespace, selector) if pods is None else pods
            pod = choose(word, pods, namespace=namespace)
        found.setdefault((pod.metadata.namespace, pod.metadata.name), pod)
    return list(found.values())


async def _by_name(client: KubeClient, namespace: str | None, word: str) -> Pod | None:
    name = _bare(word)
    if not _is_pod_name(name):
        return None
    if namespace is None:
        named = (await client.list_pods(None, field_selector=f"metadata.name={name}")).items
        return _only(word, named) if named else None
    try:
        return await client.read_pod(namespace, name)
    except NotFoundError:
        return None


def _bare(word: str) -> str:
    """Return ``pod/NAME`` as NAME."""
    kind, slash, name = word.partition("/")
    return name if slash and kind in _KINDS else word


async def _ours(client: KubeClient, namespace: str | None, selector: str) -> list[Pod]:
    return list((await client.list_pods(namespace, label_selector=selector_of(OURS, selector))).items)


def selector_of(*selectors: str) -> str:
    """Return the label selector that asks for all of these; empty ones ask for nothing."""
    return ",".join(selector for selector in selectors if selector)


def _ways(word: str) -> Iterator[Callable[[PodIdentity], bool]]:
    """Give the ways in which a word may name a pod, the surest first."""
    pairs = _pairs_of(word)
    yield lambda one: word == one.pod
    yield lambda one: word in one.texts() or (one.parts != {} and pairs == one.parts)
    if numbered := _WITH_ATTEMPT.fullmatch(word):
        alone = numbered["word"].rstrip()
        wanted = _pairs_of(alone)
        launch = (
            int(numbered["attempt"]),
            None if numbered["relaunch"] is None else int(numbered["relaunch"]),
        )
        yield lambda one: (alone in one.texts() or wanted == one.parts != {}) and _is_launch(one, launch)
        yield lambda one: one.has(wanted) and _is_launch(one, launch)
    yield lambda one: one.has(pairs)
    yield lambda one: one.pod.startswith(word) or any(text.startswith(word) for text in one.texts())


def _is_launch(one: PodIdentity, launch: tuple[int, int | None]) -> bool:
    attempt, relaunch = launch
    return one.attempt == attempt and relaunch in (None, one.relaunch)


def _pairs_of(word: str) -> dict[str, str]:
    """Return ``a=1,b=2`` as pairs; nothing if a piece is no pair."""
    pieces = [piece.partition("=") for piece in word.split(",")]
    return {name: value for name, _, value in pieces} if all(equals for _, equals, _ in pieces) else {}


def _only(word: str, found: Sequence[Pod]) -> Pod:
    """Return the newest attempt if all are attempts of one key."""
    newest: dict[object, Pod] = {}
    for pod in sorted(found, key=_launch):
        newest[_same(pod)] = pod
    if len(newest) > 1:
        raise AmbiguousPodError(word, sorted(newest.values(), key=_candidate))
    return next(iter(newest.values()))


def _latest(pods: Sequence[Pod], namespace: str | None) -> Pod:
    created = [pod.metadata.creation_timestamp or "" for pod in pods]
    if not created:
        raise NoSuchPodError(namespace, [LATEST])
    # The server's times are whole seconds in UTC, all written alike.
    last = max(created)
    return _only(LATEST, [pod for pod, each in zip(pods, created, strict=True) if each == last])


def _launch(pod: Pod) -> tuple[int, int, str]:
    one = identity_of(pod)
    return one.attempt, one.relaunch, pod.metadata.creation_timestamp or ""


def _same(pod: Pod) -> object:
    one = identity_of(pod)
    return pod.metadata.namespace, tuple(sorted(one.parts.items())) or one.pod


def _candidate(pod: Pod) -> str:
    one = identity_of(pod)
    return f"{one.key}#{one.tried} (pod {one.pod})" if one.parts else one.pod


def _nearest(word: str, pods: Sequence[Pod]) -> list[str]:
    """Return names that name a pod: such as are near the word, or of a key of which the value of a part is near it."""
    known: dict[str, dict[str, None]] = {}
    for pod in sorted(pods, key=_candidate):
        one = identity_of(pod)
        for near, name in (
            *((name, name) for name in names_of(pod)),
            *((value, one.key) for value in one.parts.values()),
        ):
            known.setdefault(near.lower(), {})[name] = None
    numbered = _WITH_ATTEMPT.fullmatch(_bare(word))
    wanted = numbered["word"].rstrip() if numbered else _bare(word)
    found = difflib.get_close_matches(wanted.lower(), known, n=_NEAREST)
    return [*dict.fromkeys(name for near in found for name in known[near])][:_NEAREST]


def _parts(identity: str) -> dict[str, str]:
    try:
        parts = json.loads(identity)
    except ValueError:
        return {}
    valid = isinstance(parts, dict) and all(isinstance(value, str) for value in parts.values())
    return parts if valid else {}


def _number(text: str) -> int:
    return int(text) if _is_number(text) else 0

"""The judge: compares what the schedulers stored with what the witness saw and what the pods themselves left. Pure.

Each rule is a function that yields violations; :data:`RULES` has them all. None of them knows how podrunner works.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from tests.processes.delivery.plan import KILLED, Attempt, Round
from tests.processes.delivery.witness import SeenPod

__all__ = ["RULES", "Exhibits", "Violation", "judge"]

Json = dict[str, Any]
Place = tuple[int, int]


class Violation(NamedTuple):
    """A promise that was broken.

    Attributes:
        rule: Which.
        place: Of which task and attempt; None: of the whole round.
        said: How.
    """

    rule: str
    place: Place | None
    said: str


@dataclass(frozen=True, kw_only=True)
class Exhibits:
    """What is left after a round.

    Attributes:
        plan: The round.
        journal: What the schedulers wrote, in its order.
        effects: What the pods' processes wrote, in its order.
        pods: What the witness saw.
        logs: The lines of each collected log file.
    """

    plan: Round
    journal: Sequence[Json]
    effects: Sequence[Json]
    pods: Sequence[SeenPod]
    logs: Mapping[Place, Sequence[str]]

    def next_ns(self, place: Place) -> int | None:
        """Return when the pod of a run's next try was seen: from then on the outcome before counts as delivered."""
        following = self.seen.get((place[0], place[1] + 1), [])
        return min((pod.seen_ns for pod in following), default=None) if self.plan.has_runs else None

    @cached_property
    def deliveries(self) -> dict[Place, list[Json]]:
        """The deliveries of each attempt's outcome, in their order."""
        return _by_place(record for record in self.journal if record["what"] == "outcome")

    @cached_property
    def marks(self) -> dict[Place, list[Json]]:
        """The effects of each attempt."""
        return _by_place(self.effects)

    @cached_property
    def seen(self) -> dict[Place, list[SeenPod]]:
        """The pods of each attempt."""
        found: defaultdict[Place, list[SeenPod]] = defaultdict(list)
        for pod in self.pods:
            found[_place_of(pod)].append(pod)
        return found


def judge(exhibits: Exhibits) -> list[Violation]:
    """Return all violations."""
    return [violation for rule in RULES for violation in rule(exhibits)]


def _by_place(records: Iterator[Json] | Sequence[Json]) -> dict[Place, list[Json]]:
    found: defaultdict[Place, list[Json]] = defaultdict(list)
    for record in records:
        found[record["task"], record["attempt"]].append(record)
    return found


def _place_of(pod: SeenPod) -> Place:
    import json

    return int(json.loads(pod.key)["task"]), int(pod.attempt)


def nothing_unplanned(exhibits: Exhibits) -> Iterator[Violation]:
    """Whatever there is belongs to an attempt of the plan."""
    planned = {attempt.place for attempt in exhibits.plan.attempts}
    for what, found in (
        ("delivery", exhibits.deliveries),
        ("effect", exhibits.marks),
        ("pod", exhibits.seen),
        ("log", exhibits.logs),
    ):
        for place in found.keys() - planned:
            yield Violation("unplanned", place, f"a {what} that is not planned")


def one_pod(exhibits: Exhibits) -> Iterator[Violation]:
    """Each attempt is exactly one pod."""
    for attempt in exhibits.plan.attempts:
        pods = exhibits.seen.get(attempt.place, [])
        if len(pods) != 1:
            yield Violation("one pod", attempt.place, f"{len(pods)} pods: {[pod.uid for pod in pods]}")


def one_effect(exhibits: Exhibits) -> Iterator[Violation]:
    """Each attempt has exactly one effect, of its pod."""
    for attempt in exhibits.plan.attempts:
        left = [mark["uid"] for mark in exhibits.marks.get(attempt.place, [])]
        made = {pod.uid for pod in exhibits.seen.get(attempt.place, [])}
        if len(left) != 1:
            yield Violation("one effect", attempt.place, f"{len(left)} effects: {left}")
        elif left[0] not in made:
            yield Violation("one effect", attempt.place, f"of pod {left[0]}, which the witness never saw")


def delivered(exhibits: Exhibits) -> Iterator[Violation]:
    """Each attempt's outcome is stored; of a run at least the last one's."""
    for attempt in exhibits.plan.attempts:
        if attempt.place not in exhibits.deliveries and exhibits.next_ns(attempt.place) is None:
            yield Violation("delivered", attempt.place, "no outcome was stored")


def true(exhibits: Exhibits) -> Iterator[Violation]:
    """Each outcome that was stored is the one of its pod, as the witness saw it and as it was planned."""
    for attempt in exhibits.plan.attempts:
        pods = {pod.uid: pod for pod in exhibits.seen.get(attempt.place, [])}
        for delivery in exhibits.deliveries.get(attempt.place, []):
            pod = pods.get(delivery["uid"])
            if pod is None or pod.terminated is None:
                what = "no pod of it was seen" if pod is None else "its end was not seen"
                yield Violation("true", attempt.place, f"{delivery['said']}; {what}: {delivery['uid']!r}")
                continue
            told = {name: delivery["outcome"][name] for name in ("category", "exit_code", "started")}
            for whose, truth in (("the witness", _truth(pod.terminated)), ("the plan", _planned(attempt))):
                if told != truth:
                    yield Violation("true", attempt.place, f"{delivery['said']}; {whose} says {truth}")


def _truth(terminated: Json) -> Json:
    """Return what the end of a container means: the three kinds of ends that are planned."""
    category = "succeeded" if terminated["exitCode"] == 0 else "failed"
    if terminated.get("reason") == "OOMKilled":
        category = "oom-killed"
    return {"category": category, "exit_code": terminated["exitCode"], "started": True}


def _planned(attempt: Attempt) -> Json:
    reason = "OOMKilled" if attempt.too_large else ""
    return _truth({"exitCode": KILLED if attempt.too_large else attempt.exit_code, "reason": reason})


def repeated_alike(exhibits: Exhibits) -> Iterator[Violation]:
    """An outcome that is delivered again is the same outcome of the same pod."""
    for place, deliveries in exhibits.deliveries.items():
        first = deliveries[0]
        for again in deliveries[1:]:
            for name in ("uid", "outcome"):
                if again[name] != first[name]:
                    said = f"{name} {first[name]} (life {first['life']}), then {again[name]} (life {again['life']})"
                    yield Violation("repeated alike", place, said)


def kept_until_stored(exhibits: Exhibits) -> Iterator[Violation]:
    """No pod is deleted or marked as reported before its outcome is stored."""
    for place, pods in exhibits.seen.items():
        for pod in pods:
            stored = [each["at_ns"] for each in exhibits.deliveries.get(place, []) if each["uid"] == pod.uid]
            if (next_ns := exhibits.next_ns(place)) is not None:
                stored = sorted([*stored, next_ns])
            if pod.removed_ns is None or (stored and stored[0] < pod.removed_ns):
                continue
            when = f"{(stored[0] - pod.removed_ns) / 1e9:.3f} s later" if stored else "never"
            what = "deleted" if pod.reported is None else "marked as reported"
            yield Violation("kept until stored", place, f"{what} (owner {pod.owners[-1]}); stored {when}")


def whole_logs(exhibits: Exhibits) -> Iterator[Violation]:
    """Each log file has the lines that the pod's process wrote, each once and in order."""
    for attempt in exhibits.plan.attempts:
        lines = list(exhibits.logs.get(attempt.place, ()))
        if lines != attempt.log:
            yield Violation("whole logs", attempt.place, _difference(attempt.log, lines))


def _difference(expected: list[str], found: list[str]) -> str:
    common = next(
        (number for number, both in enumerate(zip(expected, found, strict=False)) if both[0] != both[1]),
        min(len(expected), len(found)),
    )
    counted = Counter(found)
    repeated = sum(count - 1 for count in counted.values())
    missing = sum(1 for line in expected if line not in counted)
    return (
        f"{len(found)} lines instead of {len(expected)} ({missing} missing, {repeated} repeated), "
        f"different from line {common} on: {found[common : common + 2]}"
    )


def nothing_left(exhibits: Exhibits) -> Iterator[Violation]:
    """At the end each pod is gone; failed ones may be retained, and bear their category, if the plan says so."""
    planned = {attempt.place: attempt for attempt in exhibits.plan.attempts}
    for place, pods in exhibits.seen.items():
        failed = place in planned and planned[place].exit_code != 0
        for pod in pods:
            if pod.gone:
                continue
            if not (exhibits.plan.keeps_failed and failed):
                yield Violation("nothing left", place, f"pod {pod.name} is there")
            elif pod.reported != _planned(planned[place])["category"]:
                yield Violation("nothing left", place, f"retained, and marked as {pod.reported!r}")


RULES: tuple[Callable[[Exhibits], Iterator[Violation]], ...] = (
    nothing_unplanned,
    one_pod,
    one_effect,
    delivered,
    true,
    repeated_alike,
    kept_until_stored,
    whole_logs,
    nothing_left,
)

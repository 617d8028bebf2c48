"""What one round of the campaign is. Pure: the same seed gives the same round, in the test and in each scheduler.

A round has tasks, each with one attempt or two, and the lives of the schedulers that share them: all but the last life
are ended by SIGKILL, and the next one is the successor.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

__all__ = ["COMBINATIONS", "KILLED", "LEASE_S", "OVER_S", "Attempt", "Fuse", "Life", "Round"]

COMBINATIONS = (
    ("poll", "taken"),
    ("events", "acknowledged"),
    ("events", "taken"),
    ("poll", "acknowledged"),
    ("wait", "acknowledged"),
)
"""How a scheduler learns of outcomes, and ``outcome_delivery``. ``wait`` with ``taken`` has a known gap, and a test of
its own."""

LEASE_S = 5.0
OVER_S = LEASE_S + 6.0
"""Seconds after its death after which a scheduler's Lease is over: 5 s of clock skew are allowed for."""

KILLED = 137
"""The exit code of a container that was killed, such as for its memory."""

LONGEST_BEAT_S = 6.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One attempt of one task: one pod.

    Attributes:
        task: Which task.
        number: Which attempt of it, from 1.
        exit_code: How its process ends.
        lines: How many lines it writes.
        runs_s: How long it takes.
        too_large: It takes more memory than it may, and is killed for it.
    """

    task: int
    number: int
    exit_code: int
    lines: int
    runs_s: float
    too_large: bool = False

    @property
    def place(self) -> tuple[int, int]:
        """Task and attempt."""
        return self.task, self.number

    @property
    def log(self) -> list[str]:
        """The lines that its process writes."""
        return [f"task {self.task} attempt {self.number} line {line}" for line in range(self.lines)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuse:
    """When a scheduler is killed.

    Attributes:
        kind: ``request``: at a request of the kind ``match``, ``moment`` it is answered (``before`` it is sent,
            ``amid``: sent and not answered, ``after``: answered, and the answer is not read); ``step``: at the step
            ``match`` of the program; ``hang``: there it stops, until the test kills it; ``clock``: after ``after_s``.
        match: Which requests or steps count; "" is each request.
        moment: See there.
        count: At which of them, from 1.
        after_s: See there.
    """

    kind: str
    match: str = ""
    moment: str = "before"
    count: int = 1
    after_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """How one scheduler behaves, from its start to its end.

    Attributes:
        number: Which life of the round, from 0.
        beat_s: Seconds between two looks for outcomes.
        waits_s: Seconds that it waits after its start before it adopts and submits.
        adopts: Whether it begins by ``adopt()``.
        adopt_every_s: The setting of that name.
        portion: Submissions at a time; None: all that are due.
        takes: Events at a time; None: all that wait.
        one_by_one: Whether a reader of ``events()`` iterates; otherwise it takes batches.
        acknowledges: By what: ``event``, ``key`` or ``many``.
        fuse: When it is killed; None: it lives until all is done.
        judges_dead: Whether it takes all earlier schedulers for dead, before their Leases are over.
        lease_s: ``lease_duration_s``; None: the round's. For the last life of a round, which a busy machine may stop
            for seconds.
    """

    number: int
    beat_s: float
    waits_s: float
    adopts: bool
    adopt_every_s: float | None
    portion: int | None
    takes: int | None
    one_by_one: bool
    acknowledges: str
    fuse: Fuse | None
    judges_dead: bool = False
    lease_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round.

    Attributes:
        seed: What it was made from.
        style: ``poll``, ``events`` or ``wait``.
        mode: ``outcome_delivery``.
        face: ``blocking``, ``asyncio`` or ``trio``.
        attempts: All attempts, in the order in which they are due.
        lives: The schedulers, one after the other.
        has_runs: Whether a task is handed in as a run, which makes its attempts itself; otherwise the scheduler submits
            each attempt.
        has_finalizer: ``outcome_finalizer``.
        keeps_failed: Whether failed pods are retained and marked; otherwise they are deleted.
        max_active: ``max_active_pods``.
        lease_s: ``lease_duration_s``.
    """

    seed: int
    style: str
    mode: str
    face: str
    attempts: tuple[Attempt, ...]
    lives: tuple[Life, ...]
    has_runs: bool
    has_finalizer: bool
    keeps_failed: bool
    max_active: int | None
    lease_s: float = LEASE_S

    @classmethod
    def of(cls, seed: int, pods: int) -> Round:
        """Return the round of a seed.

        Args:
            seed: Chooses everything; rounds that follow on each other have different combinations.
            pods: How many attempts it has.
        """
        random = Random(f"{seed} {pods}")
        style, mode = COMBINATIONS[seed % len(COMBINATIONS)]
        faces = {"poll": ("blocking",), "events": ("asyncio", "trio"), "wait": ("blocking", "asyncio")}
        kills = random.randint(2, 3)
        has_runs = style != "wait" and seed % 3 == 2
        return cls(
            seed=seed,
            style=style,
            mode=mode,
            face=faces[style][seed // len(COMBINATIONS) % len(faces[style])],
            attempts=tuple(_attempts(random, pods)),
            lives=tuple(
                _life(random, number, kills=kills, pods=pods, mode=mode, has_runs=has_runs)
                for number in range(kills + 1)
            ),
            has_runs=has_runs,
            has_finalizer=seed % 4 == 3,
            keeps_failed=random.random() < 0.5,
            max_active=random.choice((None, 20, 40)),
        )

    def tries(self, task: int) -> list[Attempt]:
        """Return the attempts of a task, in their order."""
        return [attempt for attempt in self.attempts if attempt.task == task]

    def __str__(self) -> str:
        """Return one line for people."""
        more = [*(["runs"] if self.has_runs else []), *(["finalizer"] if self.has_finalizer else [])]
        parts = [self.style, self.mode, self.face, *more, f"{len(self.lives) - 1} fuses"]
        return f"round {self.seed}: {', '.join(parts)}"


def _attempts(random: Random, pods: int) -> list[Attempt]:
    made: list[Attempt] = []
    again: list[Attempt] = []
    while len(made) + len(again) < pods:
        first = _attempt(random, task=len(made), number=1)
        made.append(first)
        if first.exit_code and random.random() < 0.5 and len(made) + len(again) < pods:
            again.append(_attempt(random, task=first.task, number=2))
    return made + again


def _attempt(random: Random, *, task: int, number: int) -> Attempt:
    too_large = random.random() < 0.01
    return Attempt(
        task=task,
        number=number,
        exit_code=KILLED if too_large else random.choice((0, 0, 0, 0, 1, 3, 3, KILLED)),
        lines=random.choice((0, 1, 5, 30, 300)),
        runs_s=random.choice((0.0, 0.0, 0.1, 0.5, 2.0, 5.0)),
        too_large=too_large,
    )


def _life(random: Random, number: int, *, kills: int, pods: int, mode: str, has_runs: bool) -> Life:
    # A run goes on from the pods that are adopted before it is handed in.
    waits_s = 0.0 if number == 0 else random.choice((OVER_S,) if has_runs else (0.0, 1.0, OVER_S))
    beat_s = 0.1 * (LONGEST_BEAT_S / 0.1) ** random.random()
    return Life(
        number=number,
        beat_s=beat_s,
        waits_s=waits_s,
        adopts=has_runs or random.random() < 0.7,
        adopt_every_s=random.uniform(0.3, 2.0),
        portion=random.choice((None, None, max(1, pods // 5))),
        takes=random.choice((None, None, 7 if beat_s < 0.5 else 100)),
        one_by_one=random.random() < 0.5,
        acknowledges=random.choice(("event", "key", "many")),
        fuse=None if number == kills else _fuse(random, pods // (2 * (number + 1)), mode=mode),
    )


def _fuse(random: Random, most: int, *, mode: str) -> Fuse:
    count = random.randint(1, max(2, most))
    kind = random.random()
    if kind < 0.2:
        return Fuse(kind="clock", after_s=random.uniform(0.2, 12.0))
    if kind < 0.4:
        steps = ["taken", "stored", *(["acknowledged"] if mode == "acknowledged" else [])]
        return Fuse(kind="step", match=random.choice(steps), count=max(1, count // 3))
    match = random.choice(
        ("", "POST pods", "POST pods", "DELETE pods", "DELETE pods", "PATCH pods", "GET log", "PUT leases")
    )
    moment = random.choice(("before", "amid", "after"))
    rarer = {"PATCH pods": 3, "DELETE pods": 3, "PUT leases": 20}
    return Fuse(kind="request", match=match, moment=moment, count=1 + count // rarer.get(match, 1))

"""What ``podrunner wait`` waits for: which pods are as they shall be, and how the command ends. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any

from podrunner.cli.naming import identity_of
from podrunner.cli.rows import main_container_of, outcome_of
from podrunner.outcome import main_status

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from podrunner.outcome import Outcome
    from podrunner.outcome.record import Pod

__all__ = ["State", "Waited", "Wanted"]

FAILED = 1
TIMED_OUT = 124
"""As timeout(1) ends."""


class Wanted(StrEnum):
    """What is waited for."""

    RUNNING = "running"
    ENDED = "ended"
    SUCCEEDED = "succeeded"


class State(StrEnum):
    """What a pod has come to."""

    WAITING = "waiting"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    DELETED = "deleted"


_MET = {
    Wanted.RUNNING: {State.RUNNING, State.SUCCEEDED},
    Wanted.ENDED: {State.SUCCEEDED, State.FAILED, State.DELETED},
    Wanted.SUCCEEDED: {State.SUCCEEDED},
}
_NEVER_MET = {
    Wanted.RUNNING: {State.FAILED, State.DELETED},
    Wanted.ENDED: set[State](),
    Wanted.SUCCEEDED: {State.FAILED, State.DELETED},
}


class Waited:
    """Pods that are waited for, as far as they are known.

    Args:
        pods: The pods.
        wanted: What each of them shall come to.
    """

    def __init__(self, pods: Sequence[Pod], wanted: Wanted) -> None:
        self._wanted = wanted
        self._pods = {pod.metadata.uid: pod for pod in pods}
        self._states = dict.fromkeys(self._pods, State.WAITING)

    def see(self, pods: Iterable[Pod], *, is_list: bool = False, is_gone: bool = False) -> list[str]:
        """Take note of pods; return a line for each that has come to what is wanted, or never will.

        Args:
            pods: What was seen.
            is_list: Whether these are all that are there.
            is_gone: Whether they were deleted.
        """
        seen = {pod.metadata.uid: pod for pod in pods if pod.metadata.uid in self._pods}
        lines = [self._note(uid, pod, is_gone=is_gone) for uid, pod in seen.items()]
        if is_list:
            missing = self._pods.keys() - seen.keys()
            lines += [self._note(uid, self._pods[uid], is_gone=True) for uid in self._pods if uid in missing]
        return [line for line in lines if line]

    def _note(self, uid: str, pod: Pod, *, is_gone: bool) -> str:
        before = self._states[uid]
        if self._is_settled(before):
            return ""
        self._pods[uid] = pod
        outcome = outcome_of(pod)
        self._states[uid] = _state_of(pod, outcome, is_gone=is_gone)
        if not self._is_settled(self._states[uid]):
            return ""
        why = f": {outcome}" if self._states[uid] is State.FAILED else ""
        return f'pod "{pod.metadata.name}" {_WORDS[self._states[uid]]}{why}'

    def _is_settled(self, state: State) -> bool:
        return state in _MET[self._wanted] or state in _NEVER_MET[self._wanted]

    @property
    def is_over(self) -> bool:
        """Whether all pods are as wanted, or one never will be."""
        states = self._states.values()
        return any(state in _NEVER_MET[self._wanted] for state in states) or all(
            map(self._is_settled, states)
        )

    @property
    def exit_code(self) -> int:
        """The command's exit code.

        0: what was wanted. For ``ended``, that of the first pod that failed, as ``run`` ends; 1 if it has none. 124:
        the time is over.
        """
        if not self.is_over:
            return TIMED_OUT
        for uid, state in self._states.items():
            if state in {State.FAILED, State.DELETED}:
                outcome = outcome_of(self._pods[uid])
                code = outcome.exit_code if outcome is not None and self._wanted is Wanted.ENDED else None
                return code or FAILED
        return 0

    @property
    def open(self) -> list[str]:
        """Names of pods that are not as wanted yet."""
        return [
            self._pods[uid].metadata.name
            for uid, state in self._states.items()
            if not self._is_settled(state)
        ]

    def to_document(self) -> dict[str, Any]:
        """Return what ``--json`` prints."""
        return {
            "for": str(self._wanted),
            "met": self.is_over and all(state in _MET[self._wanted] for state in self._states.values()),
            "timed_out": not self.is_over,
            "pods": [self._entry(uid) for uid in self._pods],
        }

    def _entry(self, uid: str) -> dict[str, Any]:
        pod = self._pods[uid]
        outcome = outcome_of(pod)
        return {
            "pod": pod.metadata.name,
            "namespace": pod.metadata.namespace,
            "key": identity_of(pod).key,
            "state": str(self._states[uid]),
            "outcome": outcome.to_dict() if outcome is not None else None,
        }


_WORDS = {
    State.RUNNING: "is running",
    State.SUCCEEDED: "succeeded",
    State.FAILED: "failed",
    State.DELETED: "was deleted",
}


def _state_of(pod: Pod, outcome: Outcome | None, *, is_gone: bool) -> State:
    if outcome is not None:
        return State.SUCCEEDED if outcome.succeeded else State.FAILED
    if is_gone:
        return State.DELETED
    main = main_status(pod, main_container_of(pod))
    return State.RUNNING if main is not None and main.state.running is not None else State.WAITING

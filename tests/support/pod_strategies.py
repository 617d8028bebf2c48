"""Random records of pods, for property tests: also such that no kubelet should write."""

from __future__ import annotations

from hypothesis import strategies as st
from podrunner.outcome.record import ContainerStatus, Pod
from tests.support.pods import disrupted, ended, pod, runs, waits

__all__ = ["pods"]

_ENDS = [None, "Error", "OOMKilled", "StartError", "ContainerStatusUnknown", "X"]
_REASONS = ["Evicted", "NodeLost", "OutOfcpu", "DeadlineExceeded", "Preempting", "X", ""]


def _statuses(name: str) -> st.SearchStrategy[ContainerStatus]:
    return st.one_of(
        st.builds(waits, st.just(name), st.sampled_from(["ContainerCreating", "CrashLoopBackOff", "", "X"])),
        st.builds(runs, st.just(name)),
        st.builds(
            ended,
            st.just(name),
            st.integers(0, 255),
            reason=st.sampled_from(_ENDS),
            end=st.one_of(st.none(), st.integers(6, 100)),
        ),
    )


def pods(*, names: tuple[str, ...] = ("base",)) -> st.SearchStrategy[Pod]:
    """Draw a record with up to two containers of these names, and init containers."""
    statuses = st.sampled_from(names).flatmap(_statuses)
    return st.builds(
        lambda phase, statuses, init, **more: pod(phase, *statuses, init=tuple(init), **more),
        st.sampled_from(["Pending", "Running", "Succeeded", "Failed", "Unknown", "Odd"]),
        st.lists(statuses, max_size=2),
        st.lists(_statuses("base"), max_size=2),
        reason=st.sampled_from([None, *_REASONS]),
        conditions=st.sampled_from([(), (disrupted("DeletionByPodGC"),), (disrupted("Odd"),)]),
        deleted_at=st.one_of(st.none(), st.integers(0, 100)),
        node=st.sampled_from(["node-1", None]),
        restart_policy=st.sampled_from(["Never", "OnFailure", "Always"]),
    )

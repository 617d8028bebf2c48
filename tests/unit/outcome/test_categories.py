"""Each end that a pod can have, by its last record."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from podrunner.outcome import (
    NO_HISTORY,
    Category,
    Fault,
    History,
    Outcome,
    classify,
    deletion_asked_at,
    ended_before_deletion,
    events_may_tell,
    remember,
)
from podrunner.outcome.record import ContainerResources, ContainerSpec, Event, ObjectReference, Pod
from podrunner.outcome.result import parse_time
from tests.support.pods import at, disrupted, ended, pod, runs, waits


def outcome_of(record: Pod, **how: object) -> Outcome:
    found = classify(record, **how)  # type: ignore[arg-type]
    assert found is not None
    return found


@pytest.mark.parametrize(
    "record",
    [
        pod("Pending"),
        pod("Pending", waits("base", "ContainerCreating")),
        pod("Pending", waits("base", "ImagePullBackOff")),
        pod("Running", runs("base")),
        pod("Running", runs("base"), deleted_at=3, grace_s=30),
        pod("Running", runs("base"), conditions=(disrupted("EvictionByEvictionAPI"),)),
        pod("Unknown", runs("base"), reason="NodeLost"),
        pod("Running", ended("base", 1), restart_policy="OnFailure"),
        pod("Running", ended("base"), restart_policy="Always"),
    ],
    ids=lambda record: record.status.phase,
)
def test_a_pod_that_is_not_over_has_no_outcome(record: Pod):
    """Nothing is reported before it is certain: a pod that may still go on yields None."""
    assert classify(record) is None


ENDS = {
    "exit 0": (pod("Succeeded", ended("base")), Category.SUCCEEDED, None, True),
    "succeeded without container statuses": (pod("Succeeded"), Category.SUCCEEDED, None, True),
    "exit 3": (pod("Failed", ended("base", 3)), Category.FAILED, Fault.WORKLOAD, True),
    "killed by itself": (pod("Failed", ended("base", 137)), Category.FAILED, Fault.WORKLOAD, True),
    "out of memory": (
        pod("Failed", ended("base", 137, reason="OOMKilled")),
        Category.OOM_KILLED,
        Fault.WORKLOAD,
        True,
    ),
    "evicted by the kubelet": (
        pod("Failed", reason="Evicted", message="The node was low on resource: memory."),
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "evicted while it ran": (
        pod(
            "Failed",
            ended("base", 137),
            reason="Evicted",
            message="The node was low on resource: memory.",
            conditions=(disrupted("TerminationByKubelet"),),
        ),
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "over its own storage limit": (
        pod(
            "Failed", ended("base", 137), reason="Evicted", message="Usage of EmptyDir exceeds the limit 1Gi."
        ),
        Category.EVICTED,
        Fault.WORKLOAD,
        True,
    ),
    "evicted through the API": (
        pod("Failed", ended("base", 143), conditions=(disrupted("EvictionByEvictionAPI"),), deleted_at=8),
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "preempted by the scheduler": (
        pod("Failed", ended("base", 143), conditions=(disrupted("PreemptionByScheduler"),), deleted_at=8),
        Category.PREEMPTED,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "preempted before any container": (
        pod("Failed", reason="Preempting", message="Preempted in order to admit critical pod"),
        Category.PREEMPTED,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "a device of its node was tainted": (
        pod(
            "Failed",
            ended("base", 143),
            conditions=(disrupted("DeletionByDeviceTaintManager"),),
            deleted_at=8,
        ),
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "its node was removed": (
        pod("Failed", runs("base"), conditions=(disrupted("DeletionByPodGC"),)),
        Category.NODE_LOST,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "its node was shut down": (
        pod("Failed", ended("base", 143), reason="Terminated", message="imminent node shutdown"),
        Category.NODE_LOST,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "its container was not found again": (
        pod("Failed", ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None)),
        Category.NODE_LOST,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "rejected by the node": (
        pod("Failed", reason="OutOfcpu", message="Node didn't have enough resource: cpu"),
        Category.REJECTED_BY_NODE,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "rejected for a reason of tomorrow": (
        pod("Failed", reason="PodOfTomorrowUnsupported"),
        Category.REJECTED_BY_NODE,
        Fault.UNKNOWN,
        False,
    ),
    "rejected for a taint": (
        pod("Failed", reason="TaintToleration", message="node(s) had taints that the pod didn't tolerate"),
        Category.REJECTED_BY_NODE,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "rejected for CPUs that are never left over": (
        pod(
            "Failed",
            reason="SMTAlignmentError",
            message="Pod was rejected: SMT Alignment Error: requested 3 cpus not multiple cpus per core = 2",
        ),
        Category.REJECTED_BY_NODE,
        Fault.CONFIGURATION,
        False,
    ),
    "rejected for CPUs that others have": (
        pod(
            "Failed",
            reason="SMTAlignmentError",
            message="Pod was rejected: SMT Alignment Error: not enough free physical CPUs: available physical "
            "CPUs = 1, requested CPUs = 4, CPUs per core = 2",
        ),
        Category.REJECTED_BY_NODE,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "P16: rejected by a kubelet that started anew, for a reason of tomorrow": (
        pod(
            "Failed",
            ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None),
            reason="PodOfTomorrowUnsupported",
        ),
        Category.REJECTED_BY_NODE,
        Fault.UNKNOWN,
        False,
    ),
    "P16: disrupted for a reason of tomorrow": (
        pod(
            "Failed",
            ended("base", 143),
            conditions=(disrupted("DeletionByTomorrowsManager"),),
            deleted_at=8,
        ),
        Category.EVICTED,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "its spec fits no such node": (
        pod("Failed", reason="SysctlForbidden"),
        Category.REJECTED_BY_NODE,
        Fault.CONFIGURATION,
        False,
    ),
    "too long": (
        pod("Failed", ended("base", 137), reason="DeadlineExceeded"),
        Category.DEADLINE,
        Fault.WORKLOAD,
        True,
    ),
    "no such command": (
        pod("Failed", ended("base", 128, reason="StartError", message="exec: no such file")),
        Category.CONTAINER_CONFIG,
        Fault.CONFIGURATION,
        False,
    ),
    "init container failed": (
        pod("Failed", waits("base", "PodInitializing"), init=(ended("git-sync", 1),)),
        Category.INIT_FAILED,
        Fault.WORKLOAD,
        False,
    ),
    "init container out of memory": (
        pod("Failed", waits("base", "PodInitializing"), init=(ended("git-sync", 137, reason="OOMKilled"),)),
        Category.OOM_KILLED,
        Fault.WORKLOAD,
        False,
    ),
    "init container cannot start": (
        pod("Failed", waits("base", "PodInitializing"), init=(ended("git-sync", 128, reason="StartError"),)),
        Category.CONTAINER_CONFIG,
        Fault.UNKNOWN,
        False,
    ),
    "init container lost": (
        pod("Failed", waits("base", "x"), init=(ended("g", 137, reason="ContainerStatusUnknown"),)),
        Category.NODE_LOST,
        Fault.INFRASTRUCTURE,
        False,
    ),
    "deleted while it ran": (
        pod("Failed", ended("base", 143), deleted_at=8),
        Category.DELETED_BY_OTHERS,
        Fault.INFRASTRUCTURE,
        True,
    ),
    "nothing was said": (pod("Failed", runs("base")), Category.UNKNOWN, Fault.UNKNOWN, True),
}


@pytest.mark.parametrize("case", ENDS.values(), ids=ENDS)
def test_each_end_has_its_category_fault_and_start(case: tuple[Pod, Category, Fault | None, bool]):
    """P4, P5, P6: the cause, the fault, and the start."""
    record, category, fault, started = case
    outcome = outcome_of(record)
    assert (outcome.category, outcome.fault, outcome.started) == (category, fault, started)
    assert outcome.retryable == (fault is Fault.INFRASTRUCTURE)
    assert outcome.message
    assert outcome.succeeded == (category is Category.SUCCEEDED)


def test_a_reason_that_no_table_has_is_shown_as_it_is():
    """P16: of a disruption; of a kubelet that started anew and refuses a pod that had run."""
    disruption = disrupted("DeletionByTomorrowsManager", message="a device is gone")
    outcome = outcome_of(pod("Failed", ended("base", 143), conditions=(disruption,), deleted_at=8))
    assert outcome.reason == "DeletionByTomorrowsManager"
    assert outcome.message == "DeletionByTomorrowsManager: a device is gone"
    lost = ended("base", 137, reason="ContainerStatusUnknown", begin=None, end=None)
    refused = pod("Failed", lost, reason="OddReason", message="Pod was rejected: odd")
    outcome = outcome_of(refused, history=remember(NO_HISTORY, pod("Running", runs("base"))))
    assert (outcome.category, outcome.reason) == (Category.REJECTED_BY_NODE, "OddReason")
    assert outcome.message == "OddReason: Pod was rejected: odd"
    assert outcome.started


def test_the_kubelets_own_disruption_leaves_the_cause_to_the_pods_reason():
    """P16: ``TerminationByKubelet`` says nothing of its own."""
    record = pod(
        "Failed",
        ended("base", 143),
        reason="Evicted",
        message="The node was low on resource: memory.",
        conditions=(disrupted("TerminationByKubelet"),),
    )
    assert outcome_of(record).reason == "Evicted"


def test_out_of_memory_names_the_container_and_its_exit_code():
    """P6: OOMKilled is reported as such, with the container."""
    outcome = outcome_of(pod("Failed", ended("base", 137, reason="OOMKilled"), ended("side")))
    assert (outcome.container, outcome.exit_code, outcome.signal, outcome.reason) == (
        "base",
        137,
        9,
        "OOMKilled",
    )
    assert "SIGKILL" in outcome.message
    assert "OOMKilled" in outcome.message


def limited(name: str, memory: Any) -> ContainerSpec:
    return ContainerSpec(name=name, resources=ContainerResources(limits={"memory": memory}))


def test_out_of_memory_names_the_limit():
    """P6: the message says which limit the container exceeded."""
    oom = ended("base", 137, reason="OOMKilled")
    outcome = outcome_of(pod("Failed", oom, containers=(limited("base", "512Mi"),)))
    assert outcome.message == (
        "container base was OOM-killed (limit 512Mi) by signal 9 (SIGKILL), exit code 137 (OOMKilled)"
    )
    outcome = outcome_of(
        pod(
            "Failed",
            waits("base", "PodInitializing"),
            init=(ended("prepare", 137, reason="OOMKilled"),),
            init_containers=(limited("prepare", "64Mi"),),
        )
    )
    assert outcome.message.startswith("container prepare was OOM-killed (limit 64Mi) by signal 9")


def test_a_container_that_outlived_its_killed_child_says_so():
    """P6: the kernel may kill a child of the container's process, which then ends with 0 of its own."""
    oom = ended("base", 0, reason="OOMKilled")
    outcome = outcome_of(pod("Succeeded", oom, containers=(limited("base", "512Mi"),)))
    assert (outcome.category, outcome.reason) == (Category.SUCCEEDED, "OOMKilled")
    assert outcome.message == (
        "container base ended with exit code 0, and a process of it was OOM-killed (limit 512Mi) (OOMKilled)"
    )


@pytest.mark.parametrize("memory", [None, 5, {"odd": 1}])
def test_a_limit_that_is_no_text_is_not_known(memory: Any):
    record = pod("Failed", ended("base", 137, reason="OOMKilled"), containers=(limited("base", memory),))
    assert outcome_of(record).message.startswith("container base was OOM-killed by signal 9")


def test_the_termination_message_is_reported():
    outcome = outcome_of(pod("Failed", ended("base", 2, message="no such table\n")))
    assert outcome.message == "container base ended with exit code 2: no such table"


def test_a_plain_sidecar_does_not_hide_the_end_of_the_work():
    """P7: the main container decides, though another runs on."""
    record = pod("Running", ended("base"), runs("istio-proxy"))
    assert outcome_of(record).category is Category.SUCCEEDED
    assert classify(record, main_container="istio-proxy") is None


def test_a_native_sidecar_does_not_hide_the_end_of_the_work():
    """P7, with the sidecar as a restartable init container."""
    record = pod(
        "Running",
        ended("base", 1),
        init=(runs("proxy"),),
        init_containers=(ContainerSpec(name="proxy", restart_policy="Always"),),
    )
    assert outcome_of(record).category is Category.FAILED


def test_a_failing_sidecar_does_not_fail_the_work():
    """P7: the pod's phase is Failed because of the sidecar; the work succeeded."""
    assert outcome_of(pod("Failed", ended("base"), ended("side", 143))).category is Category.SUCCEEDED


def test_a_failed_native_sidecar_is_no_failed_init_container():
    record = pod(
        "Failed",
        waits("base", "PodInitializing"),
        init=(ended("proxy", 1), ended("setup", 4)),
        init_containers=(ContainerSpec(name="proxy", restart_policy="Always"), ContainerSpec(name="setup")),
    )
    assert outcome_of(record).container == "setup"


def test_a_container_with_restart_rules_is_left_to_the_kubelet():
    """KEP-5307: only the kubelet knows whether the container starts again."""
    from podrunner.outcome.record import RestartRule

    spec = ContainerSpec(name="base", restart_policy_rules=[RestartRule(action="Restart")])
    assert classify(pod("Running", ended("base", 42), containers=(spec,))) is None


@pytest.mark.parametrize("kind", ["containers", "init_containers"])
def test_another_containers_rule_may_start_all_containers_again(kind):
    """KEP-5532, on since 1.36: also a main container that ended with 0. The pod's phase is what counts then."""
    from podrunner.outcome.record import RestartRule

    other = ContainerSpec(name="other", restart_policy_rules=[RestartRule(action="RestartAllContainers")])
    specs = {"containers": (ContainerSpec(name="base"),)}
    specs[kind] = (*specs.get(kind, ()), other)
    assert classify(pod("Running", ended("base"), **specs)) is None
    assert outcome_of(pod("Succeeded", ended("base"), **specs)).category is Category.SUCCEEDED
    specs[kind] = (
        *specs[kind][:-1],
        ContainerSpec(name="other", restart_policy_rules=[RestartRule("Restart")]),
    )
    assert outcome_of(pod("Running", ended("base"), **specs)).category is Category.SUCCEEDED


def test_an_unknown_main_container_falls_back_to_the_first():
    assert outcome_of(pod("Running", ended("work"), runs("side")), main_container="base").container == "work"


def test_what_its_owner_ended_is_cancelled():
    outcome = outcome_of(pod("Failed", ended("base", 143), deleted_at=8), cancelled=True)
    assert (outcome.category, outcome.fault, outcome.retryable) == (Category.CANCELLED, Fault.CALLER, False)


def test_a_cancelled_pod_that_never_started_says_so():
    outcome = outcome_of(pod("Pending", node=None), cancelled=True, vanished=True)
    assert (outcome.category, outcome.started) == (Category.CANCELLED, False)
    outcome = outcome_of(pod("Pending"), cancelled=True, vanished=True)
    assert (outcome.started, "may have started" in outcome.message) == (True, True)


@pytest.mark.parametrize(("exit_code", "category"), [(0, Category.SUCCEEDED), (7, Category.FAILED)])
def test_what_ended_before_the_cancel_keeps_its_own_outcome(exit_code: int, category: Category):
    """A cancel that comes too late changes nothing of what was."""
    record = pod("Running", ended("base", exit_code, end=10), runs("side"), deleted_at=20, grace_s=30)
    assert outcome_of(record, cancelled=True).category is category


def test_a_success_after_the_cancel_is_still_a_cancel():
    assert outcome_of(pod("Succeeded", ended("base", end=25), deleted_at=20), cancelled=True).category is (
        Category.CANCELLED
    )


def test_an_end_of_its_own_before_the_eviction_is_its_own():
    record = pod(
        "Failed", ended("base", 1, end=5), conditions=(disrupted("EvictionByEvictionAPI", second=9),)
    )
    assert outcome_of(record).category is Category.FAILED


@pytest.mark.parametrize("reason", ["Evicted", "Preempting", "Terminated", "NodeShutdown"])
def test_the_kubelets_word_counts_though_its_condition_is_dated_later(reason: str):
    """P4.

    The kubelet dates the condition when it writes it, after the containers have ended.
    """
    late = disrupted("TerminationByKubelet", second=12)
    evicted = outcome_of(pod("Failed", ended("base", 137, end=10), reason=reason, conditions=(late,)))
    assert evicted.fault is Fault.INFRASTRUCTURE
    assert (evicted.reason, evicted.exit_code, evicted.started) == (reason, 137, True)


def test_what_was_evicted_and_deleted_later_was_evicted():
    """The deletion is the garbage collector's, or any client's, and explains nothing."""
    record = pod("Failed", ended("base", 143, end=10), reason="Evicted", deleted_at=20)
    assert outcome_of(record).category is Category.EVICTED
    assert outcome_of(record, cancelled=True).category is Category.EVICTED


def test_what_was_evicted_before_its_owner_cancelled_it_was_evicted():
    early = disrupted("TerminationByKubelet", second=8)
    record = pod("Failed", ended("base", 143, end=10), reason="Evicted", deleted_at=20, conditions=(early,))
    assert outcome_of(record, cancelled=True).category is Category.EVICTED


def test_exit_0_after_a_kubelets_eviction_is_a_success_where_kubernetes_says_so():
    """A kubelet since 1.27 writes phase Succeeded; that it wanted the pod gone stays in the evidence."""
    record = pod("Succeeded", ended("base", end=10), conditions=(disrupted("TerminationByKubelet"),))
    outcome = outcome_of(record)
    assert outcome.category is Category.SUCCEEDED
    assert ("condition", "DisruptionTarget", "TerminationByKubelet") in {
        (item.source, item.name, item.reason) for item in outcome.evidence
    }


def test_exit_0_is_a_success_though_a_pod_that_succeeded_names_the_eviction_as_its_reason():
    """The phase decides: only a pod that is Failed was cut short."""
    record = pod("Succeeded", ended("base"), reason="Evicted")
    assert outcome_of(record).category is Category.SUCCEEDED


def test_exit_0_of_a_pod_that_failed_by_its_eviction_is_none():
    """Kubelets before 1.27: the phase is Failed, and nothing but the eviction can be why."""
    assert outcome_of(pod("Failed", ended("base"), reason="Evicted")).category is Category.EVICTED
    beside = pod("Failed", ended("base"), ended("side", 137), reason="Evicted")
    assert outcome_of(beside).category is Category.SUCCEEDED


def test_an_init_failure_before_a_deletion_is_its_own():
    record = pod("Failed", waits("base", "x"), init=(ended("setup", 1, end=5),), deleted_at=9)
    assert outcome_of(record).category is Category.INIT_FAILED


def test_what_the_answer_to_the_deletion_shows_as_ended_came_first():
    """Whatever the clocks say."""
    record = pod("Failed", ended("base", 7, end=20), deleted_at=20)
    assert outcome_of(record, cancelled=True).category is Category.CANCELLED
    assert ended_before_deletion(record)
    assert outcome_of(record, cancelled=True, ended_first=True).category is Category.FAILED
    beside = pod("Running", ended("base", 7, end=25), runs("side"), deleted_at=20, grace_s=30)
    assert ended_before_deletion(beside)
    assert outcome_of(beside, cancelled=True, ended_first=True).category is Category.FAILED


def test_an_earlier_deletion_that_is_pending_may_be_the_cause():
    """A pod that is over is deleted without grace: one that has some was marked while it ran."""
    assert not ended_before_deletion(pod("Failed", ended("base", 143, end=25), deleted_at=20, grace_s=30))
    assert not ended_before_deletion(pod("Running", runs("base"), deleted_at=20, grace_s=30))


class TestTheLastWordOfADeletion:
    """W5, C1: a kubelet that has ended a pod deletes it once more: without grace, and the time is that of the end."""

    @staticmethod
    def final_status(exit_code: int, *, reason: str = "Error") -> Pod:
        return pod("Failed", ended("base", exit_code, reason=reason, end=31), deleted_at=33)

    @pytest.mark.parametrize("exit_code", [137, 143])
    @pytest.mark.parametrize(
        ("cancelled", "category"), [(True, Category.CANCELLED), (False, Category.DELETED_BY_OTHERS)]
    )
    def test_what_was_killed_meanwhile_was_killed_by_it(
        self, exit_code: int, category: Category, *, cancelled: bool
    ):
        outcome = outcome_of(self.final_status(exit_code), cancelled=cancelled, vanished=True)
        assert outcome.category is category

    def test_what_an_earlier_record_told_decides(self):
        marked = pod("Running", runs("base"), deleted_at=30, grace_s=1)
        asked_at = deletion_asked_at(marked)
        assert (
            outcome_of(self.final_status(1), history=History(deletion_asked_at=asked_at)).category
            is Category.DELETED_BY_OTHERS
        )
        late = deletion_asked_at(pod("Running", deleted_at=32, grace_s=1))
        assert (
            outcome_of(self.final_status(137), history=History(deletion_asked_at=late)).category
            is Category.FAILED
        )

    def test_an_event_tells_that_the_kubelet_stopped_it(self):
        record = self.final_status(1)
        outcome = outcome_of(record)
        assert outcome.category is Category.FAILED
        assert events_may_tell(record, outcome)
        other = Event(reason="Killing", message="Stopping container proxy")
        assert outcome_of(record, events=[other]).category is Category.FAILED
        killing = Event(reason="Killing", message="Stopping container base")
        assert outcome_of(record, events=[other, killing]).category is Category.DELETED_BY_OTHERS

    @pytest.mark.parametrize(
        ("message", "container", "category"),
        [
            ("Stopping container base", "base", Category.DELETED_BY_OTHERS),
            (
                "Stopping container",
                "base",
                Category.DELETED_BY_OTHERS,
            ),  # should a later kubelet leave the name out
            ("Stopping container", "proxy", Category.FAILED),
            ("Container base failed liveness probe, will be restarted", "base", Category.FAILED),
            ("killing", "base", Category.FAILED),  # RestartAllContainers, 1.36
        ],
    )
    def test_the_event_names_its_container_by_the_field_path(self, message, container, category):
        """Row V3."""
        about = ObjectReference(field_path=f"spec.containers{{{container}}}")
        event = Event(reason="Killing", message=message, involved_object=about)
        assert outcome_of(self.final_status(1), events=[event]).category is category

    def test_an_end_for_memory_is_its_own(self):
        assert outcome_of(self.final_status(137, reason="OOMKilled")).category is Category.OOM_KILLED

    def test_where_the_time_is_known_no_event_is_asked_for(self):
        record = pod("Failed", ended("base", 1, end=10), deleted_at=20, grace_s=30)
        assert not events_may_tell(record, outcome_of(record))
        assert deletion_asked_at(record) == parse_time(at(20))
        assert deletion_asked_at(pod("Running", runs("base"), deleted_at=20)) == parse_time(at(20))


def test_a_node_that_told_of_the_end_was_not_lost():
    """Its API server was restarted, say, and it was not ready for a moment."""
    record = pod("Failed", ended("base", 137, end=25), deleted_at=20, grace_s=1)
    unready = Event(reason="NodeNotReady", message="Node is not ready")
    assert outcome_of(record, events=[unready]).category is Category.DELETED_BY_OTHERS
    taint = Event(reason="TaintManagerEviction", message="Marking for deletion Pod default/p")
    assert outcome_of(record, events=[unready, taint]).category is Category.NODE_LOST


class TestGone:
    """W5, W6: pods that are no longer there."""

    def test_deleted_while_running(self):
        """W5: one outcome, with the last known status."""
        outcome = outcome_of(pod("Running", runs("base")), vanished=True)
        assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, True)
        assert outcome.timings.started is not None

    def test_deleted_while_pending(self):
        """P10: it did not start if it had no node, or if the kubelet wrote its end; else it may have."""
        waiting = waits("base", "ContainerCreating")
        for record, started in (
            (pod("Pending", node=None), False),
            (pod("Failed", waiting, deleted_at=9), False),
            (pod("Pending", waiting), True),
            (pod("Pending", waiting, deleted_at=9), True),
        ):
            outcome = outcome_of(record, vanished=True)
            assert (outcome.category, outcome.started) == (Category.DELETED_BY_OTHERS, started), record

    def test_a_success_seen_only_in_the_deletion(self):
        """W6: the DELETED event's status counts."""
        record = pod("Succeeded", ended("base"), deleted_at=12)
        assert outcome_of(record, vanished=True).category is Category.SUCCEEDED

    def test_with_its_silent_node(self):
        """W5: the node was lost before the pod was removed."""
        record = pod(
            "Unknown", runs("base"), reason="NodeLost", message="Node node-1 which was running pod is lost"
        )
        assert outcome_of(record, vanished=True).category is Category.NODE_LOST
        assert outcome_of(pod("Unknown", runs("base")), vanished=True).category is Category.NODE_LOST

    @pytest.mark.parametrize(
        ("reason", "category"),
        [
            ("Preempted", Category.PREEMPTED),
            ("Evicted", Category.EVICTED),
            ("TaintManagerEviction", Category.EVICTED),
            ("DeviceTaintManagerEviction", Category.EVICTED),
            ("NodeNotReady", Category.NODE_LOST),
        ],
    )
    def test_an_event_refines_the_cause(self, reason: str, category: Category):
        events = [
            Event(reason="Scheduled", message="ok"),
            Event(type="Warning", reason=reason, message="because"),
        ]
        outcome = outcome_of(pod("Running", runs("base")), vanished=True, events=events)
        assert (outcome.category, outcome.reason) == (category, reason)
        assert any(item.source == "event" and item.reason == reason for item in outcome.evidence)

    def test_an_event_does_not_replace_an_end_of_its_own(self):
        """W5: the container had ended by itself before the pod was removed."""
        events = [Event(reason="NodeNotReady", message="Node is not ready")]
        outcome = outcome_of(pod("Failed", ended("base", 3)), vanished=True, events=events)
        assert (outcome.category, outcome.exit_code) == (Category.FAILED, 3)

    def test_a_preemption_in_the_schedulers_memory_deletes_nothing(self):
        """Since 1.37: the pod had no node yet, and only waits again. Another deletion has another cause."""
        queued = Event(reason="Preempted", message="Preempted by pod 7 on node n (in kube-scheduler memory).")
        record = pod("Running", runs("base"))
        assert outcome_of(record, vanished=True, events=[queued]).category is Category.DELETED_BY_OTHERS
        real = Event(reason="Preempted", message="Preempted by pod group 8 on node n")
        outcome = outcome_of(record, vanished=True, events=[real, queued])
        assert (outcome.category, "group 8" in outcome.message) == (Category.PREEMPTED, True)

    def test_a_cancelled_eviction_is_none(self):
        events = [Event(reason="TaintManagerEviction", message="Cancelling deletion of Pod default/p")]
        outcome = outcome_of(pod("Running", runs("base")), vanished=True, events=events)
        assert outcome.category is Category.DELETED_BY_OTHERS

    def test_a_taint_because_of_a_silent_node_is_a_lost_node(self):
        record = pod("Running", runs("base"), conditions=(disrupted("DeletionByTaintManager"),), deleted_at=8)
        events = [Event(reason="NodeNotReady", message="Node is not ready")]
        assert outcome_of(record, vanished=True, events=events).category is Category.NODE_LOST
        assert outcome_of(record, vanished=True).category is Category.EVICTED


def test_an_earlier_record_tells_that_the_work_had_begun():
    """P5: the last record has no container statuses any more, or was reset."""
    last = pod("Failed", reason="Evicted")
    assert outcome_of(last).started is False
    ran = remember(NO_HISTORY, pod("Running", runs("base")))
    assert outcome_of(last, history=ran).started is True
    reset = pod("Failed", waits("base", "PodInitializing"), reason="Evicted")
    assert outcome_of(reset, history=ran).started is True


@pytest.mark.parametrize(
    "record",
    [
        pod("Failed", reason="NodeLost"),
        pod("Failed", waits("base", "ContainerCreating"), conditions=(disrupted("DeletionByPodGC"),)),
    ],
    ids=["node lost", "garbage collector"],
)
def test_what_a_controller_ended_for_its_node_may_have_begun(record: Pod):
    """P10: the node was silent: its last word is older than the end, and its containers may run on."""
    outcome = outcome_of(record)
    assert (outcome.category, outcome.started) == (Category.NODE_LOST, True)
    unbound = replace(record, spec=replace(record.spec, node_name=None))
    assert outcome_of(unbound).started is False


def test_a_drain_before_the_start_costs_the_user_no_retry():
    """P4: not started, and the infrastructure's fault: a kubelet writes the phase before it lets the pod go."""
    record = pod("Failed", conditions=(disrupted("EvictionByEvictionAPI"),), deleted_at=8)
    outcome = outcome_of(record, vanished=True)
    assert (outcome.category, outcome.started, outcome.fault) == (
        Category.EVICTED,
        False,
        Fault.INFRASTRUCTURE,
    )


def test_unreadable_times_do_not_matter():
    record = pod("Failed", ended("base", 1, end=None), deleted_at=3)
    assert outcome_of(record).category is Category.DELETED_BY_OTHERS


def test_the_outcome_is_json():
    import json

    outcome = outcome_of(pod("Failed", ended("base", 3, begin=5, end=65)))
    document = json.loads(json.dumps(outcome.with_log_tail(("last words",)).to_dict()))
    assert document["category"] == "failed"
    assert document["fault"] == "workload"
    assert document["timings"]["queue_s"] == 5
    assert document["timings"]["run_s"] == 60
    assert document["log_tail"] == ["last words"]
    assert document["evidence"][0]["source"] == "rule"


@pytest.mark.parametrize(
    ("exit_code", "limit_s", "category"),
    [
        (0, 4, Category.DEADLINE),
        (0, 60, Category.SUCCEEDED),
        (3, 4, Category.DEADLINE),
        (3, 60, Category.FAILED),
    ],
)
def test_exit_0_on_the_kubelets_sigterm_is_no_success(exit_code: int, limit_s: int, category: Category):
    """A deadline that came before the end cut the work off; one that came after it (a sidecar ran on) did not."""
    from msgspec.structs import replace

    record = pod("Failed", ended("base", exit_code, end=10), reason="DeadlineExceeded")
    record = replace(
        record,
        spec=replace(record.spec, active_deadline_seconds=limit_s),
        status=replace(record.status, start_time="2026-01-01T00:00:05Z"),
    )
    assert outcome_of(record).category is category


@pytest.mark.parametrize(
    ("record", "left"),
    [
        (pod("Succeeded", ended("base", message='{"rows": 3}')), '{"rows": 3}'),
        (pod("Failed", ended("base", 3, message="no such table")), "no such table"),
        (pod("Succeeded", ended("base"), ended("proxy", message="not mine")), None),
        (pod("Succeeded", ended("base", message="")), None),
        (pod("Failed", ended("base", 128, reason="StartError", message="exec: not found")), None),
        (pod("Succeeded"), None),
    ],
)
def test_what_the_main_container_left_in_its_termination_message_is_reported(record: Pod, left: str | None):
    """A small result needs no more."""
    outcome = outcome_of(record, main_container="base")
    assert outcome.termination_message == left
    assert outcome.to_dict()["termination_message"] == left

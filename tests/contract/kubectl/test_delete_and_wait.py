"""kubectl delete and kubectl wait."""

from __future__ import annotations

import re
import time
from dataclasses import replace

import pytest

POLITE = "trap 'until [ -e go ]; do sleep 0.1; done; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


class TestDelete:
    def test_a_graceful_deletion_waits_until_the_pod_is_gone(self, kubectl) -> None:
        kubectl.pod("polite", POLITE)
        deleting = kubectl.start("delete", "pod", "polite")
        while kubectl("get", "pod", "polite", "--no-headers").split()[2] != "Terminating":
            time.sleep(0.05)
        assert deleting.poll() is None
        kubectl("exec", "polite", "--", "touch", "go")
        assert deleting.communicate()[0].startswith('pod "polite" deleted')
        assert "NotFound" in kubectl.fails("get", "pod", "polite")

    def test_a_pod_is_killed_after_its_grace_period(self, kubectl) -> None:
        kubectl.pod("stubborn", STUBBORN)
        begun = time.monotonic()
        kubectl("delete", "pod", "stubborn", "--grace-period=1")
        assert 0.9 < time.monotonic() - begun < 28, "the pod's own grace is 30 s"

    def test_a_forced_deletion_removes_the_object_at_once(self, kubectl) -> None:
        kubectl.pod("forced", STUBBORN)
        result = kubectl.run("delete", "pod", "forced", "--force", "--grace-period=0")
        assert result.out.startswith('pod "forced" force deleted')
        assert "Immediate deletion does not wait for confirmation" in result.err
        assert "NotFound" in kubectl.fails("get", "pod", "forced")

    def test_a_label_selects_what_is_deleted(self, kubectl) -> None:
        for name, label in (("one", "batch=1"), ("two", "batch=1"), ("other", "batch=2")):
            kubectl("create", "configmap", name)
            kubectl("label", "configmap", name, label)
        out = kubectl("delete", "configmap", "-l", "batch=1")
        assert re.findall(r'"(\w+)" deleted', out) == ["one", "two"]
        assert kubectl("get", "cm", "-l", "batch", "-o", "name") == "configmap/other\n"

    def test_all_objects_of_a_type_are_deleted(self, kubectl) -> None:
        kubectl("create", "secret", "generic", "last")
        assert 'secret "last" deleted' in kubectl("delete", "secrets", "--all")
        assert kubectl.run("delete", "secrets", "--all").out == "No resources found\n"

    def test_a_missing_object_is_not_found(self, kubectl) -> None:
        assert kubectl.fails("delete", "pod", "nope") == 'Error from server (NotFound): pods "nope" not found'
        assert kubectl("delete", "pod", "nope", "--ignore-not-found") == ""

    def test_a_dry_run_deletes_nothing(self, kubectl) -> None:
        kubectl("create", "configmap", "retained")
        assert 'configmap "retained" deleted' in kubectl("delete", "cm", "retained", "--dry-run=server")
        assert kubectl("get", "cm", "retained", "-o", "name") == "configmap/retained\n"

    def test_a_finalizer_holds_the_object(self, kubectl) -> None:
        kubectl("create", "configmap", "held")
        kubectl("patch", "cm", "held", "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')
        kubectl("delete", "cm", "held", "--wait=false")
        assert kubectl("get", "cm", "held", "-o", "jsonpath={.metadata.deletionTimestamp}")
        kubectl("patch", "cm", "held", "--type=merge", "-p", '{"metadata":{"finalizers":null}}')
        assert "NotFound" in kubectl.fails("get", "cm", "held")


class TestHeldPods:
    """Deleted pods that a finalizer holds."""

    RELEASE = '{"metadata":{"finalizers":null}}'

    def hold(self, kubectl, name) -> None:
        kubectl("patch", "pod", name, "-p", '{"metadata":{"finalizers":["example.com/hold"]}}')

    def release(self, kubectl, name) -> None:
        kubectl("patch", "pod", name, "--type=merge", "-p", self.RELEASE)

    def status(self, kubectl, name) -> str:
        return kubectl("get", "pod", name, "--no-headers").split()[2]

    @pytest.mark.parametrize("options", [(), ("--grace-period=0", "--force"), ("--now",)])
    def test_a_deletion_waits_for_the_finalizer(self, kubectl, options) -> None:
        """Also a forced one; the pod is shown by its end once it has ended."""
        name = f"held{len(options)}"
        kubectl.pod(name)
        self.hold(kubectl, name)
        deleting = kubectl.start("delete", "pod", name, *options)
        while self.status(kubectl, name) != "Completed":
            time.sleep(0.05)
        assert deleting.poll() is None
        self.release(kubectl, name)
        assert f'pod "{name}" ' in deleting.communicate()[0]
        assert deleting.returncode == 0
        assert "NotFound" in kubectl.fails("get", "pod", name)

    def test_a_pod_without_a_node_is_terminating_until_it_is_released(self, kubectl) -> None:
        overrides = '{"spec":{"schedulingGates":[{"name":"example.com/gate"}]}}'
        kubectl("run", "gated", "--image", kubectl.image, "--overrides", overrides)
        self.hold(kubectl, "gated")
        assert self.status(kubectl, "gated") == "SchedulingGated"
        kubectl("delete", "pod", "gated", "--wait=false")
        assert self.status(kubectl, "gated") == "Terminating"
        timed_out = kubectl.fails("delete", "pod", "gated", "--timeout=1s")
        assert "timed out waiting for the condition" in timed_out
        self.release(kubectl, "gated")
        assert "NotFound" in kubectl.fails("get", "pod", "gated")

    def test_an_ended_pod_keeps_its_status_and_its_log(self, kubectl) -> None:
        kubectl.pod("over", "echo done; exit 3", wait="jsonpath={.status.phase}=Failed")
        self.hold(kubectl, "over")
        kubectl("delete", "pod", "over", "--wait=false")
        assert self.status(kubectl, "over") == "Error"
        assert kubectl("logs", "over") == "done\n"
        self.release(kubectl, "over")

    def test_a_namespace_waits_for_a_held_pod(self, kubectl) -> None:
        name = f"{kubectl.namespace}-2"
        kubectl("create", "namespace", name)
        inside = replace(kubectl, namespace=name)
        inside.pod("held")
        self.hold(inside, "held")
        deleting = kubectl.start("delete", "namespace", name)
        while self.status(inside, "held") != "Completed":
            time.sleep(0.1)
        assert kubectl("get", "namespace", name, "--no-headers").split()[1] == "Terminating"
        assert deleting.poll() is None
        refused = inside.fails("create", "configmap", "late", "--dry-run=server")
        assert "because it is being terminated" in refused
        self.release(inside, "held")
        assert f'namespace "{name}" deleted' in deleting.communicate()[0]


class TestDeadline:
    def test_a_lowered_deadline_ends_a_pod_and_its_log_stays(self, kubectl) -> None:
        kubectl.pod("late", "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.1; done")
        patched = kubectl("patch", "pod", "late", "-p", '{"spec":{"activeDeadlineSeconds":1}}')
        assert patched == "pod/late patched\n"
        kubectl("wait", "--for=jsonpath={.status.reason}=DeadlineExceeded", "pod/late", "--timeout=45s")
        assert kubectl("get", "pod", "late", "--no-headers").split()[1:3] == ["0/1", "Error"]
        assert kubectl("logs", "late") == "ready\nbye\n"
        shown = kubectl("describe", "pod", "late")
        assert re.search(r"Reason: +DeadlineExceeded", shown)

    def test_a_deadline_cannot_be_raised(self, kubectl) -> None:
        kubectl.pod("bound")
        kubectl("patch", "pod", "bound", "-p", '{"spec":{"activeDeadlineSeconds":500}}')
        refused = kubectl.fails("patch", "pod", "bound", "-p", '{"spec":{"activeDeadlineSeconds":501}}')
        assert "Invalid value: 501: must be less than or equal to previous value" in refused


class TestWait:
    def test_wait_for_a_condition(self, kubectl) -> None:
        kubectl(
            "run",
            "soon",
            "--image",
            kubectl.image,
            "--restart=Never",
            "--command",
            "--",
            "sh",
            "-c",
            "sleep 600",
        )
        assert (
            kubectl("wait", "--for=condition=Ready", "pod/soon", "--timeout=45s")
            == "pod/soon condition met\n"
        )

    def test_wait_for_a_field(self, kubectl) -> None:
        kubectl("run", "done", "--image", kubectl.image, "--restart=Never", "--command", "--", "true")
        output = kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/done", "--timeout=45s")
        assert output == "pod/done condition met\n"

    def test_wait_for_a_deletion(self, kubectl) -> None:
        kubectl.pod("leaving")
        kubectl("delete", "pod", "leaving", "--wait=false")
        assert kubectl("wait", "--for=delete", "pod/leaving", "--timeout=45s") in {
            "",
            "pod/leaving condition met\n",
        }
        assert "NotFound" in kubectl.fails("get", "pod", "leaving")

    def test_wait_times_out(self, kubectl) -> None:
        kubectl("create", "configmap", "never")
        message = kubectl.fails("wait", "--for=jsonpath={.data.x}=1", "cm/never", "--timeout=1s")
        assert message.endswith("timed out waiting for the condition on configmaps/never")

"""kubectl delete and kubectl wait."""

from __future__ import annotations

import re
import time

POLITE = "trap 'until [ -e go ]; do sleep 0.1; done; exit 0' TERM; while :; do sleep 0.1; done"
STUBBORN = "trap '' TERM; while :; do sleep 0.1; done"


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
        assert 0.9 < time.monotonic() - begun < 10

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
            "sleep 5",
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

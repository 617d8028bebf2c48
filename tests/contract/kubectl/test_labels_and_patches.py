"""kubectl label, annotate, patch and set."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="class")
def pod(kubectl) -> str:
    return kubectl.pod("target", labels="app=demo")


class TestLabels:
    def test_a_label_is_set_changed_and_removed(self, kubectl, pod) -> None:
        assert kubectl("label", "pod", pod, "stage=test") == "pod/target labeled\n"
        message = kubectl.fails("label", "pod", pod, "stage=live")
        assert message == "error: 'stage' already has a value (test), and --overwrite is false"
        kubectl("label", "pod", pod, "stage=live", "--overwrite")
        assert kubectl("get", "pod", "-l", "stage=live", "-o", "name") == "pod/target\n"
        assert kubectl("label", "pod", pod, "stage-") == "pod/target unlabeled\n"

    def test_an_invalid_label_value_is_refused(self, kubectl, pod) -> None:
        assert "invalid label value" in kubectl.fails("label", "pod", pod, "x=a b")
        message = kubectl.fails("patch", "pod", pod, "-p", '{"metadata":{"labels":{"x":"a b"}}}')
        assert (
            'The Pod "target" is invalid: metadata.labels: Invalid value: "a b": a valid label must be'
            in message
        )

    def test_an_annotation_is_set_changed_and_removed(self, kubectl, pod) -> None:
        output = kubectl("annotate", "pod", pod, "example.com/note=any text: at all")
        assert output.startswith("pod/target annotate"), output
        path = r"jsonpath={.metadata.annotations.example\.com/note}"
        assert kubectl("get", "pod", pod, "-o", path) == "any text: at all"


class TestPatches:
    def test_a_strategic_patch_merges_lists_by_name(self, kubectl, pod) -> None:
        patch = '{"spec":{"containers":[{"name":"target","image":"localhost/other:1"}]}}'
        assert kubectl("patch", "pod", pod, "-p", patch) == "pod/target patched\n"
        containers = kubectl.json("get", "pod", pod)["spec"]["containers"]
        assert [each["image"] for each in containers] == ["localhost/other:1"]
        assert containers[0]["command"][0] == "sh"

    def test_a_merge_patch_replaces_and_null_removes(self, kubectl, pod) -> None:
        kubectl("patch", "pod", pod, "--type=merge", "-p", '{"metadata":{"labels":{"one":"1","two":"2"}}}')
        kubectl("patch", "pod", pod, "--type=merge", "-p", '{"metadata":{"labels":{"one":null}}}')
        labels = kubectl.json("get", "pod", pod)["metadata"]["labels"]
        assert ("one" in labels, labels["two"]) == (False, "2")

    def test_a_json_patch_is_a_list_of_operations(self, kubectl, pod) -> None:
        test = '{"op":"test","path":"/metadata/name","value":"target"}'
        steps = f'[{test},{{"op":"add","path":"/metadata/labels/three","value":"3"}}]'
        kubectl("patch", "pod", pod, "--type=json", "-p", steps)
        assert kubectl("get", "pod", "-l", "three=3", "-o", "name") == "pod/target\n"

    def test_a_patch_without_a_change_is_reported(self, kubectl, pod) -> None:
        assert (
            kubectl("patch", "pod", pod, "-p", '{"metadata":{"labels":{"app":"demo"}}}')
            == "pod/target patched (no change)\n"
        )

    def test_an_immutable_field_is_refused(self, kubectl, pod) -> None:
        message = kubectl.fails("patch", "pod", pod, "-p", '{"spec":{"hostNetwork":true}}')
        assert (
            'The Pod "target" is invalid: spec: Forbidden: pod updates may not change fields other than'
            in message
        )

    def test_a_patch_of_a_missing_object_is_not_found(self, kubectl) -> None:
        assert (
            kubectl.fails("patch", "pod", "nope", "-p", "{}")
            == 'Error from server (NotFound): pods "nope" not found'
        )

    def test_a_failing_operation_is_an_error(self, kubectl, pod) -> None:
        step = '[{"op":"remove","path":"/spec/nothing"}]'
        assert "the server rejected our request due to an error in our request" in kubectl.fails(
            "patch", "pod", pod, "--type=json", "-p", step
        )

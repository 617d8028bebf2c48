"""kubectl apply, create, replace, diff and edit."""

from __future__ import annotations

import re

import pytest

SETTINGS = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  labels: {{app: demo}}
data:
  colour: {colour}
"""

POD = """
apiVersion: v1
kind: Pod
metadata:
  name: {name}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 1
  containers:
  - name: main
    image: {image}
    command: [sh, -c, "trap 'exit 0' TERM; while :; do sleep 0.1; done"]
"""


def settings(name: str, colour: str = "red") -> str:
    return SETTINGS.format(name=name, colour=colour)


class TestApply:
    def test_apply_creates_then_leaves_unchanged_then_configures(self, kubectl) -> None:
        output = [
            kubectl("apply", "-f", "-", stdin=settings("a", colour)) for colour in ("red", "red", "blue")
        ]
        assert output == ["configmap/a created\n", "configmap/a unchanged\n", "configmap/a configured\n"]
        assert kubectl("get", "cm", "a", "-o", "jsonpath={.data.colour}") == "blue"

    def test_apply_works_on_a_pod(self, kubectl) -> None:
        manifest = POD.format(name="steady", image=kubectl.image)
        assert kubectl("apply", "-f", "-", stdin=manifest) == "pod/steady created\n"
        kubectl("wait", "--for=condition=Ready", "pod/steady", "--timeout=45s")
        assert kubectl("apply", "-f", "-", stdin=manifest) == "pod/steady unchanged\n"
        relabelled = manifest.replace("name: steady", "name: steady\n  labels: {new: label}")
        assert kubectl("apply", "-f", "-", stdin=relabelled) == "pod/steady configured\n"
        assert kubectl("delete", "-f", "-", stdin=manifest).startswith('pod "steady" deleted')

    def test_a_field_removed_from_the_manifest_is_removed_from_the_object(self, kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=settings("b") + "  size: large\n")
        kubectl("annotate", "cm", "b", "other=hand")
        kubectl("apply", "-f", "-", stdin=settings("b"))
        remaining = kubectl.json("get", "cm", "b")
        assert remaining["data"] == {"colour": "red"}
        assert remaining["metadata"]["annotations"]["other"] == "hand"

    def test_an_immutable_field_of_a_pod_is_refused(self, kubectl) -> None:
        manifest = POD.format(name="fixed", image=kubectl.image)
        kubectl("apply", "-f", "-", stdin=manifest)
        message = kubectl.fails(
            "apply", "-f", "-", stdin=manifest.replace("restartPolicy: Never", "restartPolicy: Always")
        )
        assert (
            'The Pod "fixed" is invalid: spec: Forbidden: pod updates may not change fields other than'
            in message
        )
        kubectl("delete", "pod", "fixed", "--now", "--wait=false")

    @pytest.mark.parametrize("where", ["client", "server"])
    def test_dry_runs_change_nothing(self, kubectl, where: str) -> None:
        output = kubectl("apply", f"--dry-run={where}", "-f", "-", stdin=settings(f"dry-{where}"))
        assert output == f"configmap/dry-{where} created ({'server ' if where == 'server' else ''}dry run)\n"
        assert "NotFound" in kubectl.fails("get", "cm", f"dry-{where}")

    def test_server_side_apply(self, kubectl) -> None:
        output = [
            kubectl("apply", "--server-side", "-f", "-", stdin=settings("s", colour))
            for colour in ("red", "blue")
        ]
        assert output == ["configmap/s serverside-applied\n"] * 2
        assert kubectl("get", "cm", "s", "-o", "jsonpath={.data.colour}") == "blue"

    def test_one_file_may_have_several_documents(self, kubectl, tmp_path) -> None:
        path = tmp_path / "both.yaml"
        path.write_text(settings("one") + "---\n" + settings("two"))
        assert kubectl("apply", "-f", str(path)) == "configmap/one created\nconfigmap/two created\n"
        out = kubectl("delete", "-f", str(path))
        assert [line.split(" deleted")[0] for line in out.splitlines()] == [
            'configmap "one"',
            'configmap "two"',
        ]

    def test_an_unknown_field_is_named(self, kubectl) -> None:
        manifest = POD.format(name="wrong", image=kubectl.image).replace("command:", "comand:")
        message = kubectl.fails("apply", "-f", "-", stdin=manifest)
        assert 'unknown field "spec.containers[0].comand"' in message

    def test_a_pod_without_containers_is_invalid(self, kubectl) -> None:
        manifest = '{"apiVersion":"v1","kind":"Pod","metadata":{"name":"empty"},"spec":{}}'
        message = kubectl.fails("apply", "-f", "-", stdin=manifest)
        assert 'The Pod "empty" is invalid: spec.containers: Required value' in message

    def test_an_invalid_name_is_refused(self, kubectl) -> None:
        message = kubectl.fails("apply", "-f", "-", stdin=settings("Not_A_Name"))
        assert (
            'The ConfigMap "Not_A_Name" is invalid: metadata.name: Invalid value: "Not_A_Name": a lowercase RFC 1123'
            in message
        )


class TestCreateAndReplace:
    def test_create_fails_if_the_object_exists(self, kubectl) -> None:
        assert kubectl("create", "-f", "-", stdin=settings("new")) == "configmap/new created\n"
        message = kubectl.fails("create", "-f", "-", stdin=settings("new"))
        assert (
            message
            == 'Error from server (AlreadyExists): error when creating "STDIN": configmaps "new" already exists'
        )

    def test_create_with_a_generated_name(self, kubectl) -> None:
        manifest = settings("x").replace("name: x", "generateName: made-")
        assert re.fullmatch(
            r"configmap/made-[a-z0-9]{5} created\n", kubectl("create", "-f", "-", stdin=manifest)
        )

    def test_replace_fails_if_the_object_does_not_exist(self, kubectl) -> None:
        kubectl("create", "-f", "-", stdin=settings("r"))
        assert kubectl("replace", "-f", "-", stdin=settings("r", "green")) == "configmap/r replaced\n"
        message = kubectl.fails("replace", "-f", "-", stdin=settings("never"))
        assert (
            'Error from server (NotFound): error when replacing "STDIN": configmaps "never" not found'
            in message
        )

    def test_replace_with_an_old_version_is_a_conflict(self, kubectl) -> None:
        kubectl("create", "-f", "-", stdin=settings("c"))
        old = kubectl("get", "cm", "c", "-o", "yaml")
        kubectl("label", "cm", "c", "moved=on")
        message = kubectl.fails("replace", "-f", "-", stdin=old)
        assert 'Operation cannot be fulfilled on configmaps "c": the object has been modified' in message

    def test_replace_by_force_creates_another_pod(self, kubectl) -> None:
        manifest = POD.format(name="forced", image=kubectl.image)
        kubectl("create", "-f", "-", stdin=manifest)
        before = kubectl("get", "pod", "forced", "-o", "jsonpath={.metadata.uid}")
        output = kubectl("replace", "--force", "-f", "-", stdin=manifest)
        assert output.splitlines()[-1] == "pod/forced replaced"
        assert kubectl("get", "pod", "forced", "-o", "jsonpath={.metadata.uid}") != before
        kubectl("delete", "pod", "forced", "--now", "--wait=false")


class TestDiffAndEdit:
    def test_diff_shows_what_would_change(self, kubectl) -> None:
        kubectl("apply", "-f", "-", stdin=settings("d"))
        result = kubectl.run("diff", "-f", "-", stdin=settings("d", "blue"))
        assert result.code == 1
        assert "-  colour: red\n+  colour: blue\n" in result.out
        assert kubectl.run("diff", "-f", "-", stdin=settings("d")).code == 0

    def test_edit_saves_the_editors_result(self, make_kubectl, kubectl) -> None:
        kubectl("create", "-f", "-", stdin=settings("e"))
        kubectl.environment["KUBE_EDITOR"] = "sed -i s/red/pink/"
        try:
            assert kubectl("edit", "cm", "e") == "configmap/e edited\n"
        finally:
            del kubectl.environment["KUBE_EDITOR"]
        assert kubectl("get", "cm", "e", "-o", "jsonpath={.data.colour}") == "pink"

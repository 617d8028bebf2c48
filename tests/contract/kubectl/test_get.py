"""kubectl get, in all its forms."""

from __future__ import annotations

import re

import pytest
import yaml


@pytest.fixture(scope="class")
def runner(kubectl):
    return kubectl.pod("runner", labels="app=demo,tier=back")


class TestOnePod:
    def test_the_table_has_kubectls_columns(self, kubectl, runner) -> None:
        header, row = kubectl("get", "pod", runner).splitlines()
        assert header.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        assert re.fullmatch(r"runner +1/1 +Running +0 +(\d+m)?(\d+s)?", row)

    def test_wide_adds_the_node(self, kubectl, runner) -> None:
        header, row = kubectl("get", "pod", runner, "-o", "wide").splitlines()
        assert header.split()[5:7] == ["IP", "NODE"]
        assert row.split()[6] == kubectl("get", "node", "-o", "name").strip().removeprefix("node/")

    def test_yaml_and_json_have_the_whole_object(self, kubectl, runner) -> None:
        document = yaml.safe_load(kubectl("get", "pod", runner, "-o", "yaml"))
        assert document == kubectl.json("get", "pod", runner)
        assert (document["kind"], document["status"]["phase"]) == ("Pod", "Running")
        assert document["spec"]["nodeName"]
        assert {each["type"] for each in document["status"]["conditions"]} >= {
            "PodScheduled",
            "Initialized",
            "Ready",
        }

    def test_names_only(self, kubectl, runner) -> None:
        assert kubectl("get", "pods", "-o", "name") == "pod/runner\n"

    def test_jsonpath_selects_fields(self, kubectl, runner) -> None:
        path = "{.status.phase} {.spec.containers[0].name} {range .status.conditions[?(@.type=='Ready')]}{.status}{end}"
        assert kubectl("get", "pod", runner, "-o", f"jsonpath={path}") == "Running runner True"

    def test_custom_columns_are_printed(self, kubectl, runner) -> None:
        columns = "NAME:.metadata.name,PHASE:.status.phase"
        lines = kubectl("get", "pod", "-o", f"custom-columns={columns}").splitlines()
        assert [line.split() for line in lines] == [["NAME", "PHASE"], ["runner", "Running"]]

    def test_label_columns_are_printed(self, kubectl, runner) -> None:
        header, row = kubectl("get", "pod", "-L", "app", "--show-labels").splitlines()
        assert header.split()[-2:] == ["APP", "LABELS"]
        assert row.split()[-2:] == ["demo", "app=demo,tier=back"]

    @pytest.mark.parametrize(
        ("selector", "found"),
        [("app=demo", True), ("app!=demo", False), ("app in (demo,x),tier", True), ("!app", False)],
    )
    def test_a_label_selector_selects(self, kubectl, runner, selector: str, found) -> None:
        out = kubectl("get", "pod", "-l", selector, "-o", "name")
        assert out == ("pod/runner\n" if found else "")

    def test_a_field_selector_selects(self, kubectl, runner) -> None:
        assert (
            kubectl("get", "pod", "--field-selector", "status.phase=Running", "-o", "name") == "pod/runner\n"
        )
        assert kubectl("get", "pod", "--field-selector", "metadata.name!=runner", "-o", "name") == ""

    def test_all_namespaces_name_the_namespace(self, kubectl, runner) -> None:
        rows = kubectl("get", "pods", "-A").splitlines()
        assert rows[0].split()[0] == "NAMESPACE"
        assert any(row.split()[:2] == [kubectl.namespace, runner] for row in rows)

    def test_several_types_are_listed_at_once(self, kubectl, runner) -> None:
        out = kubectl("get", "pod,configmap", "-o", "name").splitlines()
        assert out[0] == "pod/runner"
        assert "configmap/kube-root-ca.crt" in out

    def test_a_raw_path_is_read(self, kubectl) -> None:
        assert kubectl("get", "--raw", "/healthz") == "ok"


class TestWhatIsNotThere:
    def test_a_missing_pod_is_not_found(self, kubectl) -> None:
        assert kubectl.fails("get", "pod", "nope") == 'Error from server (NotFound): pods "nope" not found'

    def test_an_empty_namespace_has_no_pods(self, kubectl) -> None:
        result = kubectl.run("get", "pods")
        assert (result.code, result.out) == (0, "")
        assert result.err == f"No resources found in {kubectl.namespace} namespace.\n"

    def test_an_unknown_type_is_an_error(self, kubectl) -> None:
        assert kubectl.fails("get", "gears") == 'error: the server doesn\'t have a resource type "gears"'

    def test_a_missing_object_can_be_ignored(self, kubectl) -> None:
        assert kubectl("get", "pod", "nope", "--ignore-not-found") == ""

    def test_an_invalid_selector_is_an_error(self, kubectl) -> None:
        message = kubectl.fails("get", "pod", "--field-selector", "spec.colour=red")
        assert message == (
            'Error from server (BadRequest): Unable to find "/v1, Resource=pods" that match label selector "", '
            'field selector "spec.colour=red": field label not supported: spec.colour'
        )


class TestWatching:
    def test_a_watch_shows_each_state_of_a_pod(self, kubectl) -> None:
        """Pending, running, completed, deleted."""
        kubectl.pod("first", "exit 0", wait="jsonpath={.status.phase}=Succeeded")
        watching = kubectl.start("get", "pods", "-w", "--output-watch-events")
        try:
            rows = [watching.stdout.readline().split() for _ in range(2)]
            kubectl.pod("short", "exit 0", wait="jsonpath={.status.phase}=Succeeded")
            kubectl("delete", "pod", "short")
            for line in watching.stdout:
                rows.append(line.split())
                if rows[-1][0] == "DELETED":
                    break
        finally:
            watching.terminate()
            watching.communicate()
        assert rows[0] == ["EVENT", "NAME", "READY", "STATUS", "RESTARTS", "AGE"]
        assert rows[1][:4] == ["ADDED", "first", "0/1", "Completed"]
        assert rows[2][:4] == ["ADDED", "short", "0/1", "Pending"]
        states = list(dict.fromkeys(row[3] for row in rows[2:]))
        expected = ["Pending", "ContainerCreating", "Running", "Completed", "Terminating"]
        assert [state for state in expected if state in states] == states
        assert {"Pending", "ContainerCreating", "Completed"} <= set(states)

    def test_a_watch_of_one_pod_begins_with_its_state(self, kubectl) -> None:
        kubectl("create", "configmap", "seen", "--from-literal=a=1")
        watching = kubectl.start("get", "configmap", "seen", "-w", "-o", "jsonpath={.data.a}{'\\n'}")
        try:
            assert watching.stdout.readline() == "1\n"
            kubectl("patch", "configmap", "seen", "-p", '{"data":{"a":"2"}}')
            assert watching.stdout.readline() == "2\n"
        finally:
            watching.terminate()
            watching.communicate()

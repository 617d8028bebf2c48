"""kubectl describe and kubectl events."""

from __future__ import annotations

import re

import pytest


@pytest.fixture(scope="class")
def described(kubectl) -> str:
    kubectl.pod("sample", "echo hi; exit 3", labels="app=sample", wait="jsonpath={.status.phase}=Failed")
    return kubectl("describe", "pod", "sample")


class TestAPod:
    @pytest.mark.parametrize(
        "line",
        [
            r"Name: +sample",
            r"Labels: +app=sample",
            r"Status: +Failed",
            r" +State: +Terminated",
            r" +Reason: +Error",
            r" +Exit Code: +3",
            r"QoS Class: +BestEffort",
            r" +PodScheduled +True *",
            r"Tolerations: +node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        ],
    )
    def test_its_state_is_shown(self, described: str, line: str) -> None:
        assert re.search(f"^{line}$", described, re.MULTILINE), described

    @pytest.mark.parametrize(
        ("reason", "source", "message"),
        [
            ("Scheduled", "default-scheduler", r"Successfully assigned \S+/sample to \S+"),
            # 1.34; later kubelets leave the container to the field path, which kubectl puts before the message.
            ("Created", "kubelet", r"(Created container: sample|spec.containers{sample}: Container created)"),
            ("Started", "kubelet", r"(Started container sample|spec.containers{sample}: Container started)"),
        ],
    )
    def test_its_events_are_shown(self, described: str, reason: str, source: str, message: str) -> None:
        assert re.search(rf"Normal +{reason} +\S+ +{source} +{message}", described), described

    def test_events_are_a_table(self, kubectl, described) -> None:
        header, *rows = kubectl(
            "get", "events", "--field-selector", "involvedObject.name=sample"
        ).splitlines()
        assert header.split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
        assert {row.split()[2] for row in rows} >= {"Scheduled", "Created", "Started"}
        assert all(row.split()[3] == "pod/sample" for row in rows)

    def test_the_events_command_shows_them(self, kubectl, described) -> None:
        assert re.search(
            "Started container sample|Container started", kubectl("events", "--for", "pod/sample")
        )


class TestAPodThatCannotRun:
    def test_a_pending_pod_has_the_schedulers_reason(self, kubectl) -> None:
        overrides = '{"spec":{"nodeSelector":{"disk":"none-like-it"}}}'
        kubectl("run", "homeless", "--image", kubectl.image, "--restart=Never", f"--overrides={overrides}")
        kubectl("wait", "--for=condition=PodScheduled=false", "pod/homeless", "--timeout=45s")
        described = kubectl("describe", "pod", "homeless")
        assert re.search(
            r"Warning +FailedScheduling .*didn't match Pod's node affinity/selector", described
        ), described


class TestOtherThings:
    def test_a_config_map_shows_its_data(self, kubectl) -> None:
        kubectl("create", "configmap", "settings", "--from-literal=colour=red")
        assert re.search(r"^colour:\n----\nred$", kubectl("describe", "configmap", "settings"), re.MULTILINE)

    def test_a_secret_hides_its_data(self, kubectl) -> None:
        kubectl("create", "secret", "generic", "password", "--from-literal=word=hunter2")
        described = kubectl("describe", "secret", "password")
        assert "word:  7 bytes" in described
        assert "hunter2" not in described

    def test_a_node_shows_its_capacity(self, kubectl) -> None:
        described = kubectl("describe", "node")
        assert re.search(r"^ +Ready +True ", described, re.MULTILINE), described
        assert "Capacity:" in described

    def test_a_namespace_shows_its_status(self, kubectl) -> None:
        assert re.search(
            r"^Status: +Active$", kubectl("describe", "namespace", kubectl.namespace), re.MULTILINE
        )

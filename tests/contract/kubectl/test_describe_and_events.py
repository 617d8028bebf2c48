"""kubectl describe and kubectl events: what happened to a pod, in words."""

from __future__ import annotations

import re

import pytest


@pytest.fixture(scope="class")
def described(kubectl) -> str:
    kubectl.pod("told", "echo hi; exit 3", labels="app=told", wait="jsonpath={.status.phase}=Failed")
    return kubectl("describe", "pod", "told")


class TestAPod:
    @pytest.mark.parametrize(
        "line",
        [
            r"Name: +told",
            r"Labels: +app=told",
            r"Status: +Failed",
            r" +State: +Terminated",
            r" +Reason: +Error",
            r" +Exit Code: +3",
            r"QoS Class: +BestEffort",
            r" +PodScheduled +True *",
            r"Tolerations: +node.kubernetes.io/not-ready:NoExecute op=Exists for 300s",
        ],
    )
    def test_its_state_is_told(self, described: str, line: str) -> None:
        assert re.search(f"^{line}$", described, re.MULTILINE), described

    @pytest.mark.parametrize(
        ("reason", "source", "message"),
        [
            ("Scheduled", "default-scheduler", r"Successfully assigned \S+/told to \S+"),
            ("Created", "kubelet", r"(Created container: told|Container created)"),  # 1.34; 1.35 and later
            ("Started", "kubelet", r"(Started container told|Container started)"),
        ],
    )
    def test_its_events_are_told(self, described: str, reason: str, source: str, message: str) -> None:
        assert re.search(rf"Normal +{reason} +\S+ +{source} +{message}", described), described

    def test_events_have_a_table(self, kubectl, described) -> None:
        header, *rows = kubectl("get", "events", "--field-selector", "involvedObject.name=told").splitlines()
        assert header.split() == ["LAST", "SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"]
        assert {row.split()[2] for row in rows} >= {"Scheduled", "Created", "Started"}
        assert all(row.split()[3] == "pod/told" for row in rows)

    def test_events_by_their_own_command(self, kubectl, described) -> None:
        assert re.search("Started container told|Container started", kubectl("events", "--for", "pod/told"))


class TestAPodThatCannotRun:
    def test_the_scheduler_says_why(self, kubectl) -> None:
        overrides = '{"spec":{"nodeSelector":{"disk":"none-like-it"}}}'
        kubectl("run", "homeless", "--image", kubectl.image, "--restart=Never", f"--overrides={overrides}")
        kubectl("wait", "--for=condition=PodScheduled=false", "pod/homeless", "--timeout=45s")
        described = kubectl("describe", "pod", "homeless")
        assert re.search(
            r"Warning +FailedScheduling .*didn't match Pod's node affinity/selector", described
        ), described


class TestOtherThings:
    def test_a_config_map(self, kubectl) -> None:
        kubectl("create", "configmap", "settings", "--from-literal=colour=red")
        assert re.search(r"^colour:\n----\nred$", kubectl("describe", "configmap", "settings"), re.MULTILINE)

    def test_a_secret_is_not_shown(self, kubectl) -> None:
        kubectl("create", "secret", "generic", "password", "--from-literal=word=hunter2")
        described = kubectl("describe", "secret", "password")
        assert "word:  7 bytes" in described
        assert "hunter2" not in described

    def test_a_node(self, kubectl) -> None:
        described = kubectl("describe", "node")
        assert re.search(r"^ +Ready +True ", described, re.MULTILINE), described
        assert "Capacity:" in described

    def test_a_namespace(self, kubectl) -> None:
        assert re.search(
            r"^Status: +Active$", kubectl("describe", "namespace", kubectl.namespace), re.MULTILINE
        )

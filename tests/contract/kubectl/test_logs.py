"""kubectl logs."""

from __future__ import annotations

import json
import re

import pytest

TWO_CONTAINERS = """
apiVersion: v1
kind: Pod
metadata:
  name: pair
  annotations: {{kubectl.kubernetes.io/default-container: second}}
spec:
  restartPolicy: Never
  initContainers:
  - {{name: before, image: "{image}", command: [sh, -c, "echo from before"]}}
  containers:
  - {{name: first, image: "{image}", command: [sh, -c, "echo from first"]}}
  - {{name: second, image: "{image}", command: [sh, -c, "echo from second"]}}
"""


@pytest.fixture(scope="class")
def counter(kubectl) -> str:
    script = "for i in 1 2 3 4 5; do echo line $i; done; printf unended"
    return kubectl.pod("counter", script, wait="jsonpath={.status.phase}=Succeeded")


class TestAFinishedPod:
    def test_the_whole_log(self, kubectl, counter) -> None:
        assert kubectl("logs", counter) == "line 1\nline 2\nline 3\nline 4\nline 5\nunended"

    def test_the_last_lines(self, kubectl, counter) -> None:
        assert kubectl("logs", counter, "--tail=2") == "line 5\nunended"

    def test_each_line_begins_with_its_timestamp(self, kubectl, counter) -> None:
        first = kubectl("logs", counter, "--timestamps").splitlines()[0]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}(Z|[+-]\d\d:\d\d) line 1", first)

    def test_since_a_long_time_ago_is_the_whole_log(self, kubectl, counter) -> None:
        assert kubectl("logs", counter, "--since=1h").startswith("line 1\n")
        assert kubectl("logs", counter, "--since-time=2001-01-01T00:00:00Z").startswith("line 1\n")

    def test_a_limit_in_bytes(self, kubectl, counter) -> None:
        assert kubectl("logs", counter, "--limit-bytes=6") == "line 1"

    def test_following_an_ended_container_ends(self, kubectl, counter) -> None:
        assert kubectl("logs", "-f", counter).endswith("unended")

    def test_each_line_may_name_its_pod(self, kubectl, counter) -> None:
        out = kubectl("logs", "-l", "run=counter", "--prefix", "--tail=1")
        assert out == "[pod/counter/counter] unended"

    def test_a_container_that_never_restarted_has_no_previous_log(self, kubectl, counter) -> None:
        assert kubectl.fails("logs", counter, "--previous") == (
            'Error from server (BadRequest): previous terminated container "counter" in pod "counter" not found'
        )

    def test_a_missing_pod_is_an_error(self, kubectl) -> None:
        message = kubectl.fails("logs", "nope")
        assert re.search(r'rror from server \(NotFound\): pods "nope" not found', message), message

    def test_a_missing_container_is_an_error(self, kubectl, counter) -> None:
        message = kubectl.fails("logs", counter, "-c", "x")  # a later kubectl names those that there are
        assert re.search(r"container x is not valid for pod counter( out of: counter)?$", message), message


@pytest.fixture(scope="class")
def pair(kubectl) -> str:
    kubectl("apply", "-f", "-", stdin=TWO_CONTAINERS.format(image=kubectl.image))
    kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/pair", "--timeout=45s")
    return "pair"


class TestSeveralContainers:
    def test_the_annotation_names_the_default(self, kubectl, pair) -> None:
        assert kubectl("logs", pair) == "from second\n"

    def test_a_container_is_selected_by_name(self, kubectl, pair) -> None:
        assert kubectl("logs", pair, "-c", "first") == "from first\n"
        assert kubectl("logs", pair, "-c", "before") == "from before\n"

    def test_all_containers_are_read(self, kubectl, pair) -> None:
        out = kubectl("logs", pair, "--all-containers", "--prefix")
        assert sorted(out.splitlines()) == [
            "[pod/pair/before] from before",
            "[pod/pair/first] from first",
            "[pod/pair/second] from second",
        ]

    def test_the_server_requires_a_container_name(self, kubectl, pair) -> None:
        path = f"/api/v1/namespaces/{kubectl.namespace}/pods/pair/log"
        message = kubectl.fails("get", "--raw", path)
        expected = "Error from server (BadRequest): a container name must be specified for pod pair, choose one of: ["
        assert message.startswith(expected), message
        assert "first second]" in message


class TestARunningPod:
    def test_lines_come_as_they_are_written(self, kubectl) -> None:
        mark = f"/tmp/{kubectl.namespace}-talk"
        kubectl.pod("talker", f"echo one; until [ -e {mark} ]; do sleep 0.05; done; rm {mark}; echo two")
        following = kubectl.start("logs", "-f", "talker")
        try:
            assert following.stdout.readline() == "one\n"
            kubectl("exec", "talker", "--", "touch", mark)
            assert following.stdout.readline() == "two\n"
            assert following.wait(timeout=45) == 0
        finally:
            following.terminate()
            following.communicate()

    def test_the_log_before_a_restart(self, kubectl) -> None:
        script = "if [ -e /mark/it ]; then exec sleep 100; fi; echo first run; touch /mark/it; exit 1"
        container = {
            "name": "again",
            "image": kubectl.image,
            "command": ["sh", "-c", script],
            "volumeMounts": [{"name": "mark", "mountPath": "/mark"}],
        }
        overrides = {"spec": {"containers": [container], "volumes": [{"name": "mark", "emptyDir": {}}]}}
        kubectl("run", "again", "--image", kubectl.image, f"--overrides={json.dumps(overrides)}")
        kubectl(
            "wait",
            "--for=jsonpath={.status.containerStatuses[0].restartCount}=1",
            "pod/again",
            "--timeout=45s",
        )
        assert kubectl("logs", "again", "--previous") == "first run\n"
        kubectl("delete", "pod", "again", "--grace-period=0", "--force")

    def test_a_container_that_waits_has_no_log(self, kubectl) -> None:
        overrides = '{"spec":{"schedulingGates":[{"name":"example.com/hold"}]}}'
        kubectl("run", "gated", "--image", kubectl.image, "--restart=Never", f"--overrides={overrides}")
        assert kubectl("logs", "gated") == ""

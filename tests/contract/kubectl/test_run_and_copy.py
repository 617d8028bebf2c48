"""kubectl run with its options, and kubectl cp."""

from __future__ import annotations

import json

import pytest


class TestRun:
    def test_run_starts_the_image(self, kubectl) -> None:
        out = kubectl("run", "plain", "--image", kubectl.image, "--restart=Never", "--command", "--", "true")
        assert out == "pod/plain created\n"

    def test_an_attached_run_shows_the_output_and_ends_with_the_exit_code(self, kubectl) -> None:
        attached = kubectl.start(
            "run", "attached", "--image", kubectl.image, "--restart=Never", "--attach", "--rm", "-q",
            "--command", "--", "sh", "-c", "until [ -e go ]; do echo here; sleep 0.1; done; echo said; exit 3",
        )  # fmt: skip
        # kubectl discards, and says so, what comes before it has made its streams ready.
        lines = iter(attached.stdout.readline, "")
        assert next(line for line in lines if "discarding message" not in line) == "here\n"
        kubectl("exec", "attached", "--", "touch", "go")
        assert "said\n" in attached.communicate()[0]
        assert attached.returncode == 3
        assert "NotFound" in kubectl.fails("get", "pod", "attached")

    def test_an_attached_run_shows_all_output_of_a_short_program(self, kubectl) -> None:
        result = kubectl.run(
            "run", "brief", "--image", kubectl.image, "--restart=Never", "--attach", "--rm", "-q",
            "--command", "--", "sh", "-c", "echo said; exit 3",
        )  # fmt: skip
        assert ("said\n" in result.out, result.code) == (True, 3)

    def test_input_reaches_the_program(self, kubectl) -> None:
        out = kubectl(
            "run", "piped", "--image", kubectl.image, "--restart=Never", "-i", "--rm", "-q",
            "--command", "--", "sh", "-c", "cat", stdin="through the pipe\n",
        )  # fmt: skip
        assert "through the pipe\n" in out

    def test_run_sets_environment_labels_and_overrides(self, kubectl) -> None:
        kubectl(
            "run", "dressed", "--image", kubectl.image, "--restart=Never", "--env=COLOUR=red", "--labels=a=b",
            '--overrides={"metadata":{"annotations":{"c":"d"}}}', "--command", "--", "sh", "-c", "echo $COLOUR",
        )  # fmt: skip
        kubectl("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/dressed", "--timeout=45s")
        assert kubectl("logs", "dressed") == "red\n"
        meta = kubectl.json("get", "pod", "dressed")["metadata"]
        assert (meta["labels"], meta["annotations"]["c"]) == ({"a": "b"}, "d")

    def test_a_dry_run_shows_the_pod(self, kubectl) -> None:
        out = kubectl(
            "run",
            "dry",
            "--image=some/image:1",
            "--dry-run=server",
            "-o",
            "jsonpath={.spec.containers[0].image}",
        )
        assert out == "some/image:1"
        assert "NotFound" in kubectl.fails("get", "pod", "dry")

    def test_an_existing_name_is_refused(self, kubectl) -> None:
        kubectl("run", "twice", "--image", kubectl.image, "--restart=Never", "--command", "--", "true")
        message = kubectl.fails("run", "twice", "--image", kubectl.image)
        assert message == 'Error from server (AlreadyExists): pods "twice" already exists'

    def test_a_missing_image_argument_is_refused(self, kubectl) -> None:
        assert kubectl.fails("run", "bare") == 'error: required flag(s) "image" not set'


@pytest.fixture(scope="class")
def box(kubectl) -> str:
    """Start a pod with a volume and return its name."""
    container = {
        "name": "box",
        "image": kubectl.image,
        "command": ["sh", "-c", "while :; do sleep 0.1; done"],
        "volumeMounts": [{"name": "w", "mountPath": "/work-here"}],
    }
    volumes = [{"name": "w", "emptyDir": {}}]
    overrides = {"spec": {"volumes": volumes, "containers": [container], "terminationGracePeriodSeconds": 0}}
    kubectl("run", "box", "--image", kubectl.image, "--restart=Never", f"--overrides={json.dumps(overrides)}")
    kubectl("wait", "--for=condition=Ready", "pod/box", "--timeout=45s")
    return "box"


class TestCopy:
    def test_a_file_is_copied_to_the_pod_and_back(self, kubectl, box, tmp_path) -> None:
        there, back = tmp_path / "there.bin", tmp_path / "back.bin"
        there.write_bytes(bytes(range(256)) * 4096)
        kubectl("cp", str(there), f"{box}:/work-here/file.bin")
        assert kubectl("exec", box, "--", "sh", "-c", "wc -c </work-here/file.bin").strip() == "1048576"
        kubectl("cp", f"{box}:/work-here/file.bin", str(back))
        assert back.read_bytes() == there.read_bytes()

    def test_a_folder_is_copied_to_the_pod_and_back(self, kubectl, box, tmp_path) -> None:
        (tmp_path / "dags" / "deep").mkdir(parents=True)
        (tmp_path / "dags" / "deep" / "dag.py").write_text("print('hi')\n")
        kubectl("cp", str(tmp_path / "dags"), f"{box}:/work-here/dags")
        assert kubectl("exec", box, "--", "python3", "/work-here/dags/deep/dag.py") == "hi\n"
        kubectl("cp", f"{box}:/work-here/dags", str(tmp_path / "back"))
        assert (tmp_path / "back" / "deep" / "dag.py").read_text() == "print('hi')\n"

    def test_a_missing_file_is_not_copied(self, kubectl, box, tmp_path) -> None:
        """No file is created. Whether kubectl prints tar's message depends on a race in kubectl."""
        kubectl.run("cp", f"{box}:/work-here/nothing", str(tmp_path / "x"))
        assert not (tmp_path / "x").exists()

"""A CI job: clone, build, take the artefact out. Needs podrunner[local], git, and no cluster."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import podrunner

BUILD = {"name": "build", "mountPath": "/build"}


def job(repository: str, artefacts: Path) -> podrunner.Workload:
    """Return the pod of one job: an init container clones, the main container builds into the folder of artefacts."""
    clone = {
        "name": "clone",
        "image": "alpine/git",
        "command": ["git", "clone", "--quiet", "--depth=1", repository, "/build/source"],
        "volumeMounts": [BUILD],
    }
    return podrunner.Workload(
        key={"pipeline": "site", "job": "build"},
        image="alpine",
        command=[
            "sh",
            "-ec",
            "cd /build/source; sh build.sh; cp site.tar /artefacts; sha256sum site.tar > /result/sum",
        ],
        init_containers=[clone],
        volumes=[
            {"name": "build", "emptyDir": {}},
            # On a cluster: a claim, or an upload to a bucket at the end of the command.
            {"name": "artefacts", "hostPath": {"path": str(artefacts)}},
        ],
        volume_mounts=[BUILD, {"name": "artefacts", "mountPath": "/artefacts"}],
        result_path="/result/sum",
        active_deadline_s=600,
    )


def sample_repository(folder: Path) -> str:
    """Make a repository with a build script; it stands for yours."""
    folder.mkdir()
    (folder / "index.html").write_text("<h1>hello</h1>\n")
    (folder / "build.sh").write_text("echo building\ntar -cf site.tar index.html\n")
    git = ["git", "-C", str(folder), "-c", "user.name=ci", "-c", "user.email=ci@example.com"]
    for step in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "--message=site"]):
        subprocess.run([*git, *step], check=True)
    return f"file://{folder}"


with tempfile.TemporaryDirectory() as folder:
    artefacts = Path(folder, "artefacts")
    artefacts.mkdir()
    repository = sample_repository(Path(folder, "repository"))
    with podrunner.PodRunner(podrunner.RunnerConfig(cluster="local")) as runner:
        pod = runner.launch(job(repository, artefacts))
        for line in pod.logs():
            print(f"build | {line}")  # build | building
        outcome = pod.wait()
        outcome.raise_for_failure()
    size = len((outcome.result or "").split()[0])
    print(
        [path.name for path in artefacts.iterdir()], "sha256 of", size, "digits"
    )  # ['site.tar'] sha256 of 64 digits

"""doctor, as people type it: on a cluster where all is well, and on some where it is not."""

from __future__ import annotations

import json
import time

import pytest
from podrunner.testing.faults import FaultProxy

REVIEWS = "selfsubjectaccessreviews"


@pytest.fixture
def findings(here):
    """Runs the command; returns its exit code, and its findings by check and level."""

    def run(*words: str) -> tuple[int, list[dict[str, str]]]:
        ended = here("doctor", "--json", *words)
        document = json.loads(ended.stdout)
        assert document["ok"] is (ended.returncode == 0), ended.stderr
        return ended.returncode, document["findings"]

    return run


def _levels(findings, check: str) -> list[str]:
    return [each["level"] for each in findings if each["check"] == check]


def test_where_all_is_well_a_pod_is_run_and_nothing_is_left(podrunner, cluster, namespace) -> None:
    """With no more rights than those of the example."""
    ended = podrunner("doctor")
    assert ended.returncode == 0, ended.stdout
    assert ended.stdout.splitlines()[-1].endswith("no warning, no error"), ended.stdout
    assert "✓ test pod" in ended.stdout
    with cluster.http() as http:
        for path in ("/api/v1/namespaces/{}/pods", "/apis/coordination.k8s.io/v1/namespaces/{}/leases"):
            assert http.get(path.format(namespace)).raise_for_status().json()["items"] == []


def test_each_thing_that_is_missing_is_an_error_with_a_remedy(findings, cluster, namespace, tmp_path) -> None:
    """The service account and the priority class are refused by admission; the rest would keep a pod from starting."""
    file = tmp_path / "podrunner.toml"
    file.write_text(
        'service_account_name = "nobody"\nenv_from_configmaps = ["nowhere"]\n'
        'volumes = [{ name = "v", persistentVolumeClaim = { claimName = "no-claim" } }]\n'
    )
    code, found = findings("--config", str(file), "--no-pod")
    errors = [each for each in found if each["level"] == "error"]
    assert code == 1
    assert all(each["remedy"] for each in errors)
    assert _levels(found, "pod") == ["error"]
    if cluster.is_local:  # elsewhere the example's rights do not read these
        said = " ".join(each["message"] for each in errors if each["check"] == "references")
        assert all(each in said for each in ("serviceaccount/nobody", "configmap/nowhere", "claim/no-claim"))
    else:
        assert "skipped" in _levels(found, "references")
    assert "test pod" not in {each["check"] for each in found}


def test_a_quota_that_is_used_up_and_a_namespace_that_is_not_there(findings, cluster, namespace) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none"},
        "spec": {"hard": {"pods": "0"}},
    }
    with cluster.http() as http:
        http.post(f"/api/v1/namespaces/{namespace}/resourcequotas", json=quota).raise_for_status()
        if not cluster.is_local:  # a controller fills in its status, and only then does it refuse
            path = f"/api/v1/namespaces/{namespace}/resourcequotas/none"
            while "hard" not in http.get(path).raise_for_status().json().get("status", {}):
                time.sleep(0.1)
    code, found = findings()
    assert (code, _levels(found, "pod"), _levels(found, "test pod")) == (1, ["error"], ["skipped"])
    if cluster.is_local:
        code, found = findings("--namespace", "nowhere", "--no-pod")
        assert (code, _levels(found, "namespace")) == (1, ["ok", "error"])


def test_the_server_that_does_not_answer_is_named(here, cluster, tmp_path) -> None:
    away = tmp_path / "away"
    away.write_text(cluster.kubeconfig.read_text().replace(cluster.url, "https://127.0.0.1:9"))
    ended = here("doctor", "--kubeconfig", str(away))
    assert ended.returncode == 1
    assert "✗ server" in ended.stdout
    assert "127.0.0.1:9" in ended.stdout
    wrong = tmp_path / "wrong"
    wrong.write_text(cluster.kubeconfig.read_text().replace(cluster.token, "wrong-token"))
    ended = here("doctor", "--kubeconfig", str(wrong))
    assert (ended.returncode, "wrong-token" in ended.stdout) == (1, False)
    assert "refuses the credentials" in ended.stdout
    assert here("doctor", "--kubeconfig", str(tmp_path / "nope")).returncode == 1


def test_rights_that_are_missing_are_named_as_rules(findings, config, monkeypatch) -> None:
    with FaultProxy.blocking(config.kubeconfig) as proxy:
        monkeypatch.setenv("PODRUNNER_KUBECONFIG", str(proxy.kubeconfig))
        no = json.dumps({"kind": "SelfSubjectAccessReview", "status": {"allowed": False}})
        proxy.faults.on("POST", REVIEWS).answer(201, no.encode(), times=None)
        code, found = findings("--no-pod")
    rights = {each["check"]: each for each in found if each["check"].startswith("right: ")}
    assert code == 1
    assert {check: each["level"] for check, each in rights.items()} == {
        "right: pods": "error",
        "right: pods/log": "error",
        "right: pods/exec": "warning",
        "right: events": "warning",
        "right: leases": "error",
    }
    assert all("apiGroups" in each["remedy"] for each in rights.values())


def test_a_stream_that_is_held_back_is_found_out(findings, config, monkeypatch) -> None:
    monkeypatch.setattr("podrunner.cli.doctor.examination.WATCH_LIMIT_S", 0.5)
    with FaultProxy.blocking(config.kubeconfig) as proxy:
        monkeypatch.setenv("PODRUNNER_KUBECONFIG", str(proxy.kubeconfig))
        proxy.faults.on("GET", "pods", watch=True).stall(after_bytes=0, times=None)
        code, found = findings("--no-pod")
    assert (code, _levels(found, "watch")) == (1, ["error"])


def test_a_pod_that_does_not_start_is_explained_and_deleted(findings, cluster, namespace, tmp_path) -> None:
    file = tmp_path / "podrunner.toml"
    file.write_text('node_selector = { "podrunner.io/no" = "node" }\n')
    code, found = findings("--config", str(file), "--timeout", "2")
    (trial,) = (each for each in found if each["check"] == "test pod")
    assert (code, trial["level"]) == (1, "error")
    assert "node" in trial["message"]
    with cluster.http() as http:
        assert http.get(f"/api/v1/namespaces/{namespace}/pods").raise_for_status().json()["items"] == []

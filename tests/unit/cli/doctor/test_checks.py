"""What doctor makes of the facts: one finding each, with a remedy wherever something can be done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from podrunner import RunnerConfig
from podrunner.cli.doctor import checks
from podrunner.cli.doctor.finding import Finding, as_document, lines_of, summary
from podrunner.cli.doctor.references import (
    Reference,
    finding_of_references,
    path_of,
    references_of,
)
from podrunner.cli.doctor.rights import Right, Rule, attributes, finding_of, needed_rules
from podrunner.config import ConfigFinding, LoadedConfig
from podrunner.errors import (
    ConfigError,
    ForbiddenError,
    InvalidError,
    NotFoundError,
    QuotaExceededError,
    UnauthorizedError,
)
from podrunner.outcome import Category, Fault, Outcome

ROOT = Path(__file__).parents[4]
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOON_DATE = "Thu, 01 Jan 2026 12:00:00 GMT"


# The configuration, the server


def test_warnings_of_a_configuration_come_with_their_remedy() -> None:
    odd = ConfigFinding(level="warning", message="is odd", source="a.toml", key="x", remedy="Take it out.")
    note = ConfigFinding(level="note", message="has no effect", source="a.toml")
    ok, warning = checks.configuration(LoadedConfig(RunnerConfig(), (odd, note)), source="a.toml")
    assert (ok.level, warning.level, warning.remedy) == ("ok", "warning", "Take it out.")
    assert (warning.message, "a.toml" in ok.message) == ("a.toml: x: is odd.", True)


def test_an_errors_remedy_is_shown_once() -> None:
    error = ConfigError("no such file", source="a.toml", remedy="Write it.")
    finding = checks.unreadable("configuration", error)
    assert (finding.level, finding.remedy) == ("error", "Write it.")
    assert "Write it" not in finding.message


@pytest.mark.parametrize(
    ("major", "minor", "level"),
    [
        ("1", "34", "ok"),
        ("1", "37+", "ok"),
        ("1", "33", "warning"),
        ("1", "38", "warning"),
        ("2", "0", "warning"),
        ("1", "", "warning"),
    ],
)
def test_versions(major, minor, level) -> None:
    finding = checks.version({"major": major, "minor": minor, "gitVersion": f"v{major}.{minor}.2"})
    assert (finding.level, f"v{major}.{minor}.2" in finding.message) == (level, True)


def test_the_supported_versions_are_those_of_the_documentation() -> None:
    page = (ROOT / "docs" / "reference" / "kubernetes-versions.md").read_text()
    assert f"Kubernetes **1.{checks.OLDEST} to 1.{checks.NEWEST}**" in page


def test_an_anonymous_client_has_no_credentials() -> None:
    review = {"status": {"userInfo": {"username": "system:anonymous"}}}
    finding = checks.identity(review, credentials_of="kubeconfig k")
    assert (finding.level, "kubeconfig k" in finding.message, bool(finding.remedy)) == ("error", True, True)
    named = checks.identity({"status": {"userInfo": {"username": "me"}}}, credentials_of="k")
    assert (named.level, named.message.split()[0]) == ("ok", "me")


@pytest.mark.parametrize(
    ("ahead_s", "level"),
    [(0, "ok"), (5.9, "ok"), (-4.9, "ok"), (7, "warning"), (-6, "warning"), (302, "error"), (-3600, "error")],
)
def test_a_clock_that_is_wrong(ahead_s, level) -> None:
    asked_at = NOON + timedelta(seconds=ahead_s)
    finding = checks.clock(NOON_DATE, asked_at=asked_at, answered_at=asked_at)
    assert finding.level == level
    if level != "ok":
        assert ("ahead" if ahead_s > 0 else "behind") in finding.message
        assert finding.remedy


def test_a_slow_answer_is_no_wrong_clock() -> None:
    assert (
        checks.clock(NOON_DATE, asked_at=NOON - timedelta(60), answered_at=NOON + timedelta(60)).level == "ok"
    )
    assert checks.clock("", asked_at=NOON, answered_at=NOON).level == "skipped"


def test_a_watch_that_brings_nothing_is_held_back_by_something() -> None:
    assert checks.watch(seconds=0.1, limit_s=10).level == "ok"
    held = checks.watch(seconds=None, limit_s=10)
    assert (held.level, "proxy_buffering" in (held.remedy or "")) == ("error", True)


def test_refused_credentials_and_missing_rights_are_told_apart() -> None:
    refused = checks.refused("clock", UnauthorizedError(status=401, server_message="Unauthorized"))
    assert (refused.level, bool(refused.remedy)) == ("error", True)
    assert checks.refused("clock", ForbiddenError(status=403, server_message="no")).level == "skipped"


# The pod

REFUSALS = {
    'pods "x" is forbidden: error looking up service account n/s: serviceaccount "s" not found': "service account",
    'pods "x" is forbidden: no PriorityClass with name p was found': "PriorityClass",
    'pods "x" is forbidden: maximum cpu usage per Container is 1, but limit is 2': "limitrange",
    'pods "x" is forbidden: minimum memory usage per Pod is 1Gi, but request is 1Mi': "limitrange",
    'pods "x" is forbidden: failed quota: q: must specify limits.cpu for: base': "resources",
    'pods "x" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true': "Pod Security",
    "unable to create new content in namespace n because it is being terminated": "being deleted",
    'admission webhook "policy.example" denied the request: no latest tags': "policy",
}


@pytest.mark.parametrize(("said", "remedy"), REFUSALS.items(), ids=lambda text: text[:40])
def test_what_admission_refuses_has_a_remedy(said, remedy) -> None:
    """The words are those of kube-apiserver's admission plugins (LimitRanger, ResourceQuota, Priority, PodSecurity)."""
    finding = checks.pod_refused(ForbiddenError(status=403, server_message=said), namespace="n")
    assert finding.level == "error"
    assert said in finding.message
    assert remedy in (finding.remedy or "")


def test_a_missing_namespace_a_full_quota_and_a_wrong_field() -> None:
    missing = checks.pod_refused(
        NotFoundError(status=404, server_message='namespaces "n" not found'), namespace="n"
    )
    assert (missing.check, "create namespace n" in (missing.remedy or "")) == ("namespace", True)
    full = checks.pod_refused(
        QuotaExceededError(status=403, server_message="exceeded quota: q"), namespace="n"
    )
    assert "describe quota -n n" in (full.remedy or "")
    wrong = checks.pod_refused(
        InvalidError(status=422, server_message="spec.x: Invalid value: 1"), namespace="n"
    )
    assert "--explain" in (wrong.remedy or "")


POD = {
    "spec": {
        "serviceAccountName": "runner",
        "priorityClassName": "high",
        "imagePullSecrets": [{"name": "registry"}],
        "volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "claim"}},
            {"name": "ssh", "secret": {"secretName": "git", "items": [{"key": "id", "path": "id"}]}},
            {"name": "maybe", "secret": {"secretName": "not-needed", "optional": True}},
            {
                "name": "both",
                "projected": {"sources": [{"configMap": {"name": "settings"}}, {"secret": {"name": "s"}}]},
            },
            {"name": "empty", "emptyDir": {}},
        ],
        "initContainers": [{"name": "init", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
        "containers": [
            {
                "name": "base",
                "env": [
                    {"name": "A", "value": "1"},
                    {"name": "B", "valueFrom": {"secretKeyRef": {"name": "own", "key": "b"}}},
                    {"name": "C", "valueFrom": {"secretKeyRef": {"name": "git", "key": "id"}}},
                    {"name": "D", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "d"}}},
                    {"name": "E", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                ],
            }
        ],
    }
}


def test_all_that_a_pod_needs_is_found_once() -> None:
    found = [(each.kind, each.name, each.key) for each in references_of(POD, own={"own"})]
    assert found == [
        ("secret", "registry", ""),
        ("serviceaccount", "runner", ""),
        ("priorityclass", "high", ""),
        ("persistentvolumeclaim", "claim", ""),
        ("secret", "git", "id"),
        ("configmap", "settings", ""),
        ("secret", "s", ""),
        ("configmap", "settings", "d"),
    ]
    assert references_of({"spec": {"priorityClassName": "system-node-critical"}}) == []


def test_each_kind_has_its_path() -> None:
    paths = {path_of(Reference(kind, "x", "", ""), "n") for kind in ("secret", "configmap", "serviceaccount")}
    assert paths == {
        f"/api/v1/namespaces/n/{plural}/x" for plural in ("secrets", "configmaps", "serviceaccounts")
    }
    assert (
        path_of(Reference("priorityclass", "x", "", ""), "n")
        == "/apis/scheduling.k8s.io/v1/priorityclasses/x"
    )


def test_what_is_missing_is_an_error_and_what_cannot_be_read_is_said() -> None:
    there, gone = Reference("secret", "there", "k", "here"), Reference("configmap", "gone", "", "there")
    hidden, keyless = Reference("secret", "hidden", "", "x"), Reference("secret", "there", "z", "y")
    no_right = ForbiddenError(status=403, server_message="no")
    findings = finding_of_references(
        {there: {"k"}, gone: None, hidden: no_right, keyless: {"k"}}, namespace="n"
    )
    assert [each.level for each in findings] == ["error", "error", "skipped"]
    assert "configmap/gone" in findings[0].message
    assert "no key z" in findings[1].message
    assert "k" in (findings[1].remedy or "")
    assert "secret/hidden" in findings[2].message
    assert [each.level for each in finding_of_references({there: {"k"}}, namespace="n")] == ["ok"]
    assert [each.level for each in finding_of_references({}, namespace="n")] == ["ok"]


def _outcome(category: Category) -> Outcome:
    return Outcome(category=category, fault=Fault.UNKNOWN, started=True, retryable=False)


def test_a_test_pod_that_fails_hangs_or_stays() -> None:
    well = {
        "outcome": _outcome(Category.SUCCEEDED),
        "waits_for": "",
        "log": [checks.EXPECTED_LINE],
        "seconds": 1.0,
    }
    assert [each.level for each in checks.trial(**well, is_gone=True)] == ["ok"]
    assert [each.level for each in checks.trial(**well, is_gone=False)] == ["ok", "warning"]
    assert [each.level for each in checks.trial(**{**well, "log": []}, is_gone=True)] == ["error"]
    failed = {**well, "outcome": _outcome(Category.FAILED)}
    assert [each.level for each in checks.trial(**failed, is_gone=True)] == ["error"]
    (hangs,) = checks.trial(**{**well, "outcome": None, "waits_for": "0/3 nodes fit"}, is_gone=True)
    assert (hangs.level, "0/3 nodes fit" in hangs.message) == ("error", True)


# Rights


def _written() -> set[tuple[str, str, str]]:
    documents = yaml.safe_load_all((ROOT / "examples" / "rbac.yaml").read_text())
    (role,) = (each for each in documents if each["kind"] == "Role")
    return {
        (group, resource, verb)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_the_rights_are_those_of_the_example() -> None:
    rules = needed_rules(RunnerConfig(), has_secrets=True)
    asked = {(rule.group, rule.resource, verb) for rule in rules for verb in (*rule.verbs, *rule.useful)}
    assert asked == _written()


def _namespaces(config: RunnerConfig, resource: str) -> list[str]:
    rules = needed_rules(config, has_secrets=False)
    return [rule.namespace for rule in rules if rule.resource == resource]


def test_rights_follow_the_configuration() -> None:
    several = RunnerConfig(namespace="a", namespaces=("b",))
    assert _namespaces(several, "pods") == ["a", "b"]
    assert _namespaces(several, "leases") == ["a"]
    assert _namespaces(several, "secrets") == []
    everywhere = RunnerConfig(namespace="a", all_namespaces=True)
    assert _namespaces(everywhere, "pods") == ["a", ""]
    assert needed_rules(everywhere, has_secrets=False)[-2].verbs == ("list", "watch")


RULE = Rule("", "pods/exec", ("get",), ("create",), "jobs", "results")


def test_a_right_that_pods_need_is_an_error_another_a_warning_and_the_remedy_is_the_rule() -> None:
    assert finding_of(RULE, {"get": True, "create": True}).level == "ok"
    warning = finding_of(RULE, {"get": True, "create": False})
    error = finding_of(RULE, {"get": False, "create": False})
    assert (warning.level, error.level) == ("warning", "error")
    rule = yaml.safe_load("\n".join((error.remedy or "").splitlines()[1:]))
    assert rule == [{"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get", "create"]}]
    assert "Role in namespace jobs" in (error.remedy or "")
    assert "ClusterRole" in (
        finding_of(RULE._replace(namespace=""), {"get": False, "create": True}).remedy or ""
    )


def test_what_is_asked_of_the_server() -> None:
    assert attributes(Right(RULE, "get")) == {
        "verb": "get",
        "resource": "pods",
        "subresource": "exec",
        "namespace": "jobs",
    }


# How it is shown


def test_a_finding_is_a_line_with_its_remedy_below() -> None:
    finding = Finding("right: pods", "error", "no right", "Add:\n- this")
    assert lines_of(finding, width=12, unicode=True, colour=False) == [
        "✗ right: pods   no right",
        "                → Add:",
        "                  - this",
    ]
    assert lines_of(finding, width=12, unicode=False, colour=False)[0] == "FAIL right: pods   no right"
    assert lines_of(finding, width=12, unicode=True, colour=True)[0].startswith("\x1b[31m✗\x1b[0m right")


def test_the_last_line_counts() -> None:
    findings = [Finding("a", level, "") for level in ("ok", "ok", "warning", "error", "error", "skipped")]
    assert summary(findings) == "2 ok, 1 warning, 2 errors, 1 not checked"
    assert summary(findings[:2]) == "2 ok, no warning, no error"
    assert (as_document(findings)["ok"], as_document(findings[:3])["ok"]) == (False, True)

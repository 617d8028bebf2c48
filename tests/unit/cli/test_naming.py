"""A pod is named by its key, by its name, by the beginning of either, or by @latest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import pytest
from msgspec.structs import replace
from podrunner.builder.labels import ATTEMPT, KEY, MANAGED_BY, MANAGER, RELAUNCH
from podrunner.cli.failures import NoSuchPodError, exit_code
from podrunner.cli.naming import (
    AmbiguousPodError,
    choose,
    identity_of,
    names_of,
    resolve,
    resolve_all,
    without_kind,
)
from podrunner.errors import NotFoundError
from podrunner.outcome.record import ObjectMeta, Pod


def _pod(
    name: str, key: dict[str, str] | None = None, *, attempt: int = 1, relaunch: int = 0, second: int = 0
) -> Pod:
    annotations = {KEY: json.dumps(key, sort_keys=True), ATTEMPT: str(attempt)} if key else None
    if annotations and relaunch:
        annotations[RELAUNCH] = str(relaunch)
    meta = ObjectMeta(
        name=name,
        namespace="jobs",
        labels={MANAGED_BY: MANAGER} if key else None,
        annotations=annotations,
        creation_timestamp=f"2026-01-01T00:00:{second:02d}Z",
    )
    return Pod(metadata=meta)


LOAD = _pod("etl-load-1111", {"dag_id": "etl", "task_id": "load"}, second=1)
LOAD_2 = _pod("etl-load-2222", {"dag_id": "etl", "task_id": "load"}, attempt=2, second=4)
COPY = _pod("etl-copy-3333", {"dag_id": "etl", "task_id": "copy"}, second=3)
REPORT = _pod("report-4444", {"run": "report"}, second=2)
REPAIR = _pod("repair-5555", {"run": "repair"}, relaunch=1, second=0)
OTHER = _pod("foreign")
PODS = [LOAD, LOAD_2, COPY, REPORT, REPAIR, OTHER]


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("report-4444", REPORT),
        ("etl-load-1111", LOAD),
        ("foreign", OTHER),
        ("report", REPORT),
        ("run=report", REPORT),
        ("dag_id=etl,task_id=load", LOAD_2),
        ("task_id=load,dag_id=etl", LOAD_2),
        ("dag_id=etl task_id=load", LOAD_2),
        ("dag_id=etl task_id=load #1", LOAD),
        ("dag_id=etl,task_id=load#1", LOAD),
        ("task_id=load#2", LOAD_2),
        ("repair#1.1", REPAIR),
        ("repair #1", REPAIR),
        ("task_id=copy", COPY),
        ("rep-does-not", None),
        ("", None),
        ("repo", REPORT),
        ("etl-c", COPY),
        ("run=repa", REPAIR),
        ("dag_id=etl,task_id=c", COPY),
        ("@latest", LOAD_2),
    ],
)
def test_each_way_of_naming_finds_its_pod(word, expected) -> None:
    if expected is None:
        with pytest.raises(NoSuchPodError):
            choose(word, PODS, namespace="jobs")
    else:
        assert choose(word, PODS, namespace="jobs") is expected


def test_several_pods_are_listed_and_none_is_chosen() -> None:
    with pytest.raises(AmbiguousPodError) as raised:
        choose("rep", PODS, namespace="jobs")
    assert raised.value.candidates == ("repair#1.1 (pod repair-5555)", "report#1 (pod report-4444)")
    assert "rep names 2 pods" in str(raised.value)
    assert exit_code(raised.value) == 64


def test_many_candidates_are_counted() -> None:
    pods = [_pod(f"p-{n:02d}", {"run": f"job-{n:02d}"}) for n in range(20)]
    with pytest.raises(AmbiguousPodError, match="and 12 more"):
        choose("job", pods, namespace="jobs")


def test_an_exact_name_wins_over_what_begins_with_it() -> None:
    longer = _pod("reporter-6666", {"run": "reporter"})
    assert choose("report", [longer, REPORT], namespace="jobs") is REPORT


def test_an_unknown_name_brings_the_nearest() -> None:
    with pytest.raises(NoSuchPodError, match=r"namespace jobs: reprot \(nearest: report") as raised:
        choose("reprot", PODS, namespace="jobs")
    assert exit_code(raised.value) == 66


@pytest.mark.parametrize(
    ("word", "nearest"),
    [
        ("load", ("dag_id=etl,task_id=load",)),
        ("LOAD#2", ("dag_id=etl,task_id=load",)),
        ("pod/laod", ("dag_id=etl,task_id=load",)),
        ("Etl", ("dag_id=etl,task_id=copy", "dag_id=etl,task_id=load")),
    ],
)
def test_the_value_of_one_part_of_a_longer_key_brings_the_keys_that_have_it(word, nearest) -> None:
    """It names no pod, but what is offered does."""
    with pytest.raises(NoSuchPodError) as raised:
        choose(word, PODS, namespace="jobs")
    assert raised.value.nearest[: len(nearest)] == nearest
    assert choose(nearest[-1], PODS, namespace="jobs") is LOAD_2


def test_at_most_three_names_are_offered() -> None:
    pods = [_pod(f"p-{n}", {"dag_id": f"d{n}", "task_id": "load"}) for n in range(9)]
    with pytest.raises(NoSuchPodError) as raised:
        choose("load", pods, namespace="jobs")
    assert raised.value.nearest == tuple(f"dag_id=d{n},task_id=load" for n in range(3))


def test_the_latest_of_one_second_is_ambiguous() -> None:
    """Creation times are whole seconds: which came last is not known."""
    with pytest.raises(AmbiguousPodError):
        choose("@latest", [REPORT, _pod("x", {"run": "x"}, second=2)], namespace="jobs")


def test_no_pods_have_no_latest() -> None:
    with pytest.raises(NoSuchPodError):
        choose("@latest", [], namespace="jobs")


def test_values_with_separators_are_found_as_they_are_shown() -> None:
    odd = _pod("odd-1", {"a": "1,2 = #3", "b": "x"})
    assert choose(identity_of(odd).key, [odd, REPORT], namespace="jobs") is odd


@pytest.mark.parametrize("identity", ["", "no json", "[1]", '{"a": 1}'])
def test_an_annotation_that_is_no_key_leaves_the_pods_name(identity) -> None:
    meta = ObjectMeta(name="p", labels={MANAGED_BY: MANAGER}, annotations={KEY: identity, ATTEMPT: "x"})
    assert identity_of(Pod(metadata=meta)).key == "p"
    assert names_of(Pod(metadata=meta)) == ("p",)


@dataclass
class _Server:
    """Answers as a client does, and counts."""

    pods: list[Pod]
    asked: list[str] = field(default_factory=list)

    async def read_pod(self, namespace: str, name: str) -> Pod:
        self.asked.append(f"read {name}")
        for pod in self.pods:
            if pod.metadata.name == name:
                return pod
        raise NotFoundError(status=404)

    async def list_pods(self, namespace: str | None, *, label_selector: str = "", field_selector: str = ""):
        self.asked.append(f"list {label_selector or field_selector}")
        name = field_selector.removeprefix("metadata.name=")
        return type("Page", (), {"items": [pod for pod in self.pods if name in {"", pod.metadata.name}]})


@pytest.mark.anyio
async def test_names_cost_a_read_each_and_other_words_one_list() -> None:
    server = _Server(PODS)
    words = ["report-4444", "task_id=copy", "run=report", "repair"]
    assert await resolve_all(server, "jobs", words) == [REPORT, COPY, REPAIR]
    assert server.asked == [
        "read report-4444",
        "list app.kubernetes.io/managed-by=podrunner",
        "read repair",
    ]


@pytest.mark.anyio
async def test_a_selector_restricts_what_is_chosen_from() -> None:
    server = _Server([REPORT])
    assert await resolve(server, "jobs", "@latest", selector="team=a") is REPORT
    assert server.asked == ["list app.kubernetes.io/managed-by=podrunner,team=a"]


@pytest.mark.parametrize(
    ("words", "left"),
    [
        (["pods"], []),
        (["pod", "a"], ["a"]),
        (["po", "pod"], ["pod"]),
        (["a", "pod"], ["a", "pod"]),
        (None, []),
    ],
)
def test_kubectls_word_for_pods_is_passed_over(words, left) -> None:
    assert without_kind(words) == left


@pytest.mark.anyio
@pytest.mark.parametrize("selector", ["", "team=a"])
@pytest.mark.parametrize("word", ["pod/report-4444", "pods/report"])
async def test_a_name_may_be_written_as_kubectl_prints_it(selector, word) -> None:
    assert await resolve(_Server(PODS), "jobs", word, selector=selector) is REPORT


def _elsewhere(pod: Pod) -> Pod:
    return replace(pod, metadata=replace(pod.metadata, namespace="other"))


@pytest.mark.anyio
@pytest.mark.parametrize("word", ["report-4444", "report", "@latest"])
async def test_in_all_namespaces_a_word_may_mean_a_pod_of_each(word) -> None:
    server = _Server([REPORT, _elsewhere(REPORT)])
    with pytest.raises(AmbiguousPodError, match=r"report#1 \(pod report-4444\) in jobs, .* in other"):
        await resolve(server, None, word)


@pytest.mark.anyio
async def test_in_all_namespaces_a_pod_is_found_in_its_own() -> None:
    server = _Server([LOAD, _elsewhere(REPORT)])
    assert (await resolve(server, None, "report-4444")).metadata.namespace == "other"
    with pytest.raises(NoSuchPodError, match="no such pod in any namespace: nope"):
        await resolve(server, None, "nope")


@pytest.mark.timeout(60)
def test_a_word_and_a_namespace_of_any_size_cost_no_more_than_their_sizes() -> None:
    with pytest.raises(NoSuchPodError):
        choose(" " * 120_000, [LOAD_2], namespace="jobs")
    with pytest.raises(NoSuchPodError):
        choose("none#" + "9" * 5_000, [LOAD_2], namespace="jobs")
    pods = [_pod(f"a-{number}", {"a": "b"}, attempt=number + 1) for number in range(20_000)]
    assert choose("@latest", pods, namespace="jobs") is pods[-1]

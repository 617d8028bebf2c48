"""The board's page in a real browser, over a LocalCluster: the door, the table, a pod, its log, the keyboard."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from podrunner import LocalCluster, PodRunner, RunnerConfig, Workload
from selenium.webdriver.common.keys import Keys
from tests.browser.window import SIZES, THEMES, Window

SCRIPT = "local.podrunner.io/script"
LINES = 40
HOSTILE = "</script><script>window.hostile=1</script>"


def workloads() -> Iterator[Workload]:
    for number in range(8):
        yield Workload(key={"dag_id": "nightly", "task_id": f"load-{number}"}, command=["echo", "loaded"])
    lines = f'for n in $(seq {LINES}); do echo "line $n of the report"; done; sleep 600'
    yield Workload(key={"dag_id": "nightly", "task_id": "report"}, command=["sh", "-c", lines])
    failing = "echo connecting to the database; echo 'fatal: no route to host' >&2; exit 3"
    yield Workload(key={"dag_id": "nightly", "task_id": "extract"}, command=["sh", "-c", failing])
    for name, script in {
        "train": {
            "waiting_reason": "ImagePullBackOff",
            "waiting_message": 'Back-off pulling image "train:8"',
        },
        "archive": {
            "running_s": 0.1,
            "pod_reason": "Evicted",
            "pod_message": "The node was low on resource: memory.",
        },
    }.items():
        annotations = {SCRIPT: json.dumps(script)}
        yield Workload(key={"dag_id": "nightly", "task_id": name}, command=["true"], annotations=annotations)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunnerConfig]:
    """Leads to a cluster."""
    with LocalCluster.blocking(tmp_path_factory.mktemp("cluster")) as cluster:
        yield RunnerConfig(kubeconfig=cluster.kubeconfig, image="any", delete_pods=False)


@pytest.fixture(scope="module")
def url(config: RunnerConfig) -> Iterator[str]:
    """The address of a board over a cluster with pods of each kind."""
    with PodRunner(config, on_exit="cancel") as runner:
        pods = list(runner.launch_many(workloads()))
        for pod in pods:
            if pod.key.parts["task_id"] not in {"report", "train"}:  # these never end
                pod.wait(timeout_s=40)
        assert config.kubeconfig is not None
        with _board(config.kubeconfig) as address:
            yield address


class _board:  # noqa: N801  # used as a function
    def __init__(self, kubeconfig: Path) -> None:
        command = [sys.executable, "-m", "podrunner", "board", "--kubeconfig", str(kubeconfig)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().rpartition(" ")[2].strip()

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=30)
        assert self._process.returncode == 130


@pytest.fixture
def board(window: Window, url: str) -> Window:
    """The table, with all pods."""
    window.open(url)
    window.until(lambda: window.text("#state") == "12 pods, live", "12 pods")
    return window


def test_the_token_leaves_the_address(board: Window, url: str) -> None:
    assert board.url == url.partition("?")[0]
    assert board.run("return document.cookie") == "", "no script reads the cookie"


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_table_and_pod_fit_each_size_and_theme(board: Window, size: tuple[int, int], theme: str) -> None:
    board.show(size, theme)
    assert not board.is_wider_than_the_window()
    board.picture(f"board-{size[0]}-{theme}")
    open_pod(board, "extract")
    board.until(lambda: board.text("#logstate").endswith("complete"), "the end of the log")
    assert not board.is_wider_than_the_window()
    board.picture(f"board-pod-{size[0]}-{theme}")
    assert board.complaints() == []


def open_pod(board: Window, task: str) -> None:
    board.run("location.hash = arguments[0].getAttribute('href')", row(board, task))
    board.until(lambda: "lines" in board.text("#logstate"), "the log")


def row(board: Window, task: str):
    return next(each for each in board.all("#rows a") if task in each.text)


def test_a_pod_says_why_it_waits_or_how_it_ended(board: Window) -> None:
    for why in (
        'Back-off pulling image "train:8"',
        "container base ended with exit code 3",
        "The node was low on resource: memory.",
    ):
        board.until(lambda why=why: any(why in each.text for each in board.all("#rows tr")), why)


def test_markup_in_a_key_is_text(board: Window, config: RunnerConfig) -> None:
    with PodRunner(config.with_changes(delete_pods=True), on_exit="cancel") as runner:
        pod = runner.launch(Workload(key={"job": HOSTILE}, command=["sleep", "600"]))
        board.until(lambda: any(HOSTILE in each.text for each in board.all("#rows tr")), "its row")
        assert board.run("return window.hostile") is None
        pod.cancel()
        assert pod.wait(timeout_s=40).category == "cancelled"
    board.until(lambda: board.text("#state") == "12 pods, live", "it is gone")


def test_each_line_of_a_log_is_shown_once(board: Window) -> None:
    open_pod(board, "report")
    board.until(lambda: len(board.all("#log div")) >= LINES, "all lines")
    shown = board.text("#log").splitlines()
    assert shown == [f"line {number} of the report" for number in range(1, LINES + 1)]


def test_a_pods_page_has_outcome_evidence_and_events(board: Window) -> None:
    open_pod(board, "extract")
    page = board.text("#pod")
    for word in (
        "failed, fault: workload",
        "Exit code",
        "Stages",
        "Evidence",
        "Events",
        "Started container base",
    ):
        assert word in page
    board.until(lambda: board.text("#logstate").endswith("complete"), "the end of the log")
    assert "fatal: no route to host" in board.text("#log")


def test_categories_and_search_choose_pods(board: Window) -> None:
    next(each for each in board.all("#filters button") if "failed" in each.text).click()
    board.until(lambda: board.text("#state") == "1 of 12 pods, live", "one pod")
    board.press(Keys.ESCAPE)
    board.until(lambda: board.text("#state") == "12 pods, live", "all again")
    board.press("/")
    board.press("load-")
    board.until(lambda: board.text("#state") == "8 of 12 pods, live", "eight pods")


def test_the_keyboard_reaches_everything_and_the_focus_is_seen(board: Window) -> None:
    order = [board.tab() for _ in range(6)]
    names = [each.get_attribute("id") or each.get_attribute("class") or each.tag_name for each in order]
    assert names[:4] == ["skip", "home", "search", "keys"]
    assert order[4].tag_name == "button", "the categories"
    outline = board.run("return getComputedStyle(arguments[0]).outlineStyle", board.focused())
    assert outline == "solid"

    board.press(Keys.ESCAPE, "j", "j")
    name = board.focused().text
    board.press(Keys.ENTER)
    assert name in board.text("#pod h2")
    board.press(Keys.ESCAPE)
    board.until(lambda: board.focused().text == name, "the focus is on the pod again")

    board.press("?")
    assert "choose a pod" in board.text("#help")

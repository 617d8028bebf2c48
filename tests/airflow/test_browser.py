"""The story in a real browser: the play button, the grid that turns green, a log that is downloaded, a cause."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from page import CHROMIUM, Page

if TYPE_CHECKING:
    from installation import Installation

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium")
TASKS = ["bash", "numbers", "double", "flaky", "later"]


@pytest.fixture(scope="module")
def page(airflow: Installation, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    window = Page(f"http://127.0.0.1:{airflow.port}", tmp_path_factory.mktemp("browser"))
    yield window
    window.close()


def test_a_dag_is_triggered_by_the_play_button_and_its_log_is_read_and_downloaded(page: Page) -> None:
    run = page.trigger("story")
    shown = page.wait_green("story", run, TASKS)
    assert shown[-1] == "Success"

    log = page.log("story", run, "bash", line="hello from story-bash-")
    (line,) = [each for each in log.splitlines() if "hello from story-bash-" in each and "echo" not in each]
    downloaded = page.download()
    assert line.rpartition(" ")[2] in downloaded


def test_the_audit_log_has_the_cause_of_a_failure(page: Page, airflow: Installation) -> None:
    run = page.trigger("killed")
    assert airflow.wait_run("killed", run) == "success"
    row = page.event("killed", run, "supervised", "pod failed")
    assert "container base was ended by signal 9 (SIGKILL), exit code 137" in row

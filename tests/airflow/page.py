"""Airflow's own web pages in a headless Chromium, as a user works with them.

What belongs here: clicking and reading. Elements are found by the names that Airflow's own tests use (``data-testid``).
With ``TEST_PICTURES=DIR``, pictures of the pages are kept there.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["CHROMIUM", "Page"]

CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
T = TypeVar("T")
_WAIT_S = 300  # a limit for what does not come, on a busy machine too
_POLL_S = 0.5
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,760",
)
_PIXEL = """
const pixel = document.createElement("canvas").getContext("2d");
pixel.fillStyle = getComputedStyle(arguments[0]).backgroundColor;
pixel.fillRect(0, 0, 1, 1);
return Array.from(pixel.getImageData(0, 0, 1, 1).data);
"""


class Page:
    """A browser's window.

    Args:
        url: Where Airflow's page is.
        folder: A fresh folder for the browser's profile and what it downloads.
    """

    def __init__(self, url: str, folder: Path) -> None:
        self._url = url
        self._pictured: set[str] = set()
        self._downloads = folder / "downloads"
        self._downloads.mkdir(parents=True)
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"):
            options.add_argument(argument)
        options.add_experimental_option("prefs", {"download.default_directory": str(self._downloads)})
        self._browser = webdriver.Chrome(options=options, service=Service(_DRIVER))
        self._browser.set_page_load_timeout(_WAIT_S)

    def close(self) -> None:
        """End the browser."""
        self._browser.quit()

    # --- what a user does ------------------------------------------------------------------------------------------

    def trigger(self, dag: str) -> str:
        """Press the play button of a DAG, and again in the window that opens; return the run's id."""
        self._open(f"/dags/{dag}")
        self._button("trigger-dag-button").click()
        self._picture("trigger", self._button("trigger-dag-submit")).click()
        return self._until(lambda: self._browser.current_url.partition("/runs/")[2], "the page of the run")

    def wait_green(self, dag: str, run: str, tasks: list[str]) -> list[str]:
        """Watch the grid, without loading it again, until each task's box is green.

        Returns:
            The states that the run's badge has shown, in order.
        """
        self._open(f"/dags/{dag}/runs/{run}")
        shown: list[str] = []

        def green() -> bool:
            state = self._all("[data-testid=state-badge]")[0].text
            if state not in shown[-1:]:
                shown.append(state)
            boxes = [
                self._all(f"[data-testid='grid-{run}-{task}'] [data-testid=task-state-badge]")
                for task in tasks
            ]
            return state == "Success" and all(box and self._is_green(box[0]) for box in boxes)

        self._until(green, "each box of the grid is green", wait_s=2 * _WAIT_S)
        self._picture("grid")
        return shown

    def log(self, dag: str, run: str, task: str, *, line: str) -> str:
        """Open a task by its box of the grid; return its log, once a line is there."""
        self._open(f"/dags/{dag}/runs/{run}")
        self._button(f"grid-{run}-{task}").click()
        text = self._until(lambda: self._text() if line in self._text() else "", f"the log has {line!r}")
        webdriver.ActionChains(self._browser).move_by_offset(900, 600).perform()  # the hint goes away
        self._picture("log")
        return text

    def download(self) -> str:
        """Press the button for it; return the file's text."""
        self._button("download-logs-button").click()
        (file,) = self._until(self._files, "the file is there")
        return file.read_text(encoding="utf-8")

    def event(self, dag: str, run: str, task: str, name: str) -> str:
        """Open a task's audit log; return the text of the row of an event."""
        self._open(f"/dags/{dag}/runs/{run}/tasks/{task}/events")

        def row() -> WebElement | None:
            for each in self._all("tbody tr"):
                if name in [cell.text for cell in each.find_elements(By.TAG_NAME, "td")]:
                    return each
            return None

        found = self._until(row, f"a row of {name!r}")
        self._browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", found)
        self._picture("events")
        return found.text

    # --- elements --------------------------------------------------------------------------------------------------

    def _open(self, path: str) -> None:
        self._browser.get(f"{self._url}{path}")

    def _all(self, selector: str) -> list[WebElement]:
        return self._browser.find_elements(By.CSS_SELECTOR, selector)

    def _button(self, name: str) -> WebElement:
        def usable() -> WebElement | None:
            found = self._all(f"[data-testid='{name}']")
            return found[0] if found and found[0].is_displayed() and found[0].is_enabled() else None

        return self._until(usable, name)

    def _text(self) -> str:
        return self._all("body")[0].text

    def _is_green(self, box: WebElement) -> bool:
        red, green, blue, _ = self._browser.execute_script(_PIXEL, box)
        return green > 2 * max(red, blue)

    def _files(self) -> list[Path]:
        return [each for each in self._downloads.iterdir() if each.suffix != ".crdownload"]

    def _until(self, found: Callable[[], T], what: str, *, wait_s: float = _WAIT_S) -> T:
        waiting = WebDriverWait(
            self._browser, wait_s, _POLL_S, ignored_exceptions=(StaleElementReferenceException, IndexError)
        )
        return waiting.until(lambda _: found(), what)

    def _picture(self, name: str, shown: T = None) -> T:
        """Keep the first picture of each name, where they are wanted, and return what is shown."""
        if (folder := os.environ.get("TEST_PICTURES")) and name not in self._pictured:
            self._pictured.add(name)
            time.sleep(1)  # what moves has come to rest
            self._browser.save_screenshot(str(Path(folder, f"{name}.png")))
        return shown

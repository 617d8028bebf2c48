"""A headless Chromium of podrunner's own pages: sizes, themes, pictures, and what the page's console says.

With ``TEST_PICTURES=DIR``, the pictures that the documentation shows are kept there; with ``ALL_PICTURES`` set, all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

__all__ = ["CHROMIUM", "SIZES", "THEMES", "Window"]

CHROMIUM, _DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
SIZES = ((1280, 760), (390, 760))
THEMES = ("light", "dark")
IN_THE_DOCUMENTATION = frozenset(
    {
        "board-1280-light",
        "board-390-dark",
        "board-pod-1280-dark",
        "timeline-1280-light",
        "timeline-390-dark",
    }
)
T = TypeVar("T")
_WAIT_S = 40
_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # the tests may run as root
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
_COLOURS = """
const canvas = arguments[0], context = canvas.getContext("2d");
const found = new Set(new Uint32Array(context.getImageData(0, 0, canvas.width, canvas.height).data.buffer));
return found.size;
"""


class Window:
    """A browser's window.

    Args:
        folder: A fresh folder for the browser's profile.
    """

    def __init__(self, folder: Path) -> None:
        options = webdriver.ChromeOptions()
        options.binary_location = CHROMIUM or ""
        for argument in (*_ARGUMENTS, f"--user-data-dir={folder}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self._browser = webdriver.Chrome(options=options, service=Service(_DRIVER))
        self._browser.set_page_load_timeout(_WAIT_S)
        self.show()

    def close(self) -> None:
        """End the browser."""
        self._browser.quit()

    def show(self, size: tuple[int, int] = SIZES[0], theme: str = "light") -> None:
        """Set how large the window is, and which colours the user prefers."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self._browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        preference = [{"name": "prefers-color-scheme", "value": theme}]
        self._browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": preference})

    def open(self, url: str) -> None:
        """Go to a page, with nothing said about the pages before."""
        self._browser.get("about:blank")
        self._browser.get_log("browser")
        self._browser.get(url)

    @property
    def url(self) -> str:
        return self._browser.current_url

    def complaints(self) -> list[str]:
        """What the console says: errors of scripts, and what the Content-Security-Policy has refused."""
        return [str(each["message"]) for each in self._browser.get_log("browser")]

    def find(self, selector: str) -> WebElement:
        return self.until(lambda: self.all(selector)[0], selector)

    def all(self, selector: str) -> list[WebElement]:
        return self._browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector: str) -> str:
        return self.find(selector).text

    def run(self, script: str, *arguments: Any) -> Any:
        return self._browser.execute_script(script, *arguments)

    def colours(self, selector: str) -> int:
        """How many colours a canvas shows."""
        return int(self.run(_COLOURS, self.find(selector)))

    def image(self, selector: str) -> str:
        """What a canvas shows, to compare with: after the next frame."""
        frame = "const done = arguments[1], canvas = arguments[0]; "
        frame += "requestAnimationFrame(() => requestAnimationFrame(() => done(canvas.toDataURL())));"
        return str(self._browser.execute_async_script(frame, self.find(selector)))

    def press(self, *keys: str) -> None:
        webdriver.ActionChains(self._browser).send_keys(*keys).perform()

    def tab(self) -> WebElement:
        """Press Tab; return what has the focus then."""
        self.press(Keys.TAB)
        return self.focused()

    def focused(self) -> WebElement:
        return self._browser.switch_to.active_element

    def hover(self, selector: str, x: int, y: int) -> None:
        """Move the pointer to a place of an element, from its upper left."""
        element = self.find(selector)
        middle = element.size["width"] // 2, element.size["height"] // 2
        actions = webdriver.ActionChains(self._browser)
        actions.move_to_element_with_offset(element, x - middle[0], y - middle[1]).perform()

    def drag(self, selector: str, start: int, end: int) -> None:
        """Drag over an element, from one place of its width to another."""
        element = self.find(selector)
        middle = element.size["width"] // 2
        actions = webdriver.ActionChains(self._browser)
        actions.move_to_element_with_offset(element, start - middle, 0).click_and_hold()
        actions.move_by_offset(end - start, 0).release().perform()

    def is_wider_than_the_window(self) -> bool:
        return bool(self.run("return document.documentElement.scrollWidth > window.innerWidth"))

    def until(self, found: Callable[[], T], what: str) -> T:
        waiting = WebDriverWait(
            self._browser, _WAIT_S, 0.1, ignored_exceptions=(StaleElementReferenceException, IndexError)
        )
        return waiting.until(lambda _: found(), what)

    def picture(self, name: str) -> None:
        """Keep a picture, where they are wanted."""
        folder = os.environ.get("TEST_PICTURES")
        if folder and (name in IN_THE_DOCUMENTATION or "ALL_PICTURES" in os.environ):
            self._browser.save_screenshot(str(Path(folder, f"{name}.png")))

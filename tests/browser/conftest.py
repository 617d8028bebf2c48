"""One browser for all pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.browser.window import CHROMIUM, Window


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    if CHROMIUM is None:
        pytest.skip("there is no chromium")
    window = Window(tmp_path_factory.mktemp("profile"))
    yield window
    window.close()


@pytest.fixture
def window(browser: Window) -> Window:
    """The browser, as large and light as at first."""
    browser.show()
    return browser

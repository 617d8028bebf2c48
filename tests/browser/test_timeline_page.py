"""The timeline's page in a real browser: drawn, zoomed, searched, and nothing of a key becomes code."""

from __future__ import annotations

from pathlib import Path

import pytest
from podrunner import TimelineChart
from selenium.webdriver.common.keys import Keys
from tests.browser.night import HOSTILE, night
from tests.browser.window import SIZES, THEMES, Window

WORKLOADS = 40
FIRST_BAR = (300, 10)
"""A place in the chart on the first pod: the names take 260 pixels."""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("page") / "timeline.html"
    chart = TimelineChart(night(WORKLOADS))
    chart.save(path)
    return path.as_uri()


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("size", SIZES)
def test_it_is_drawn_in_each_size_and_theme_and_its_policy_refuses_nothing(
    window: Window, url: str, size: tuple[int, int], theme: str
) -> None:
    window.show(size, theme)
    window.open(url)
    window.until(lambda: window.colours("#chart") > 20 and window.colours("#overview") > 1, "the first frame")
    assert window.complaints() == []
    assert not window.is_wider_than_the_window()
    window.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    window.image("#chart")
    window.picture(f"timeline-{size[0]}-{theme}")


def test_a_key_becomes_no_code(window: Window, url: str) -> None:
    window.open(url)
    window.find("#search").send_keys("hostile")
    window.find("#scroll").send_keys(Keys.ARROW_DOWN)
    assert HOSTILE in window.text("#details")
    assert window.run("return window.hostile") is None
    assert len(window.all("script")) == 2
    assert window.all("img") == []


def test_keys_wheel_and_brush_zoom_and_0_shows_all(window: Window, url: str) -> None:
    window.open(url)
    whole = window.image("#axis")
    turn = "{deltaY: -240, ctrlKey: true, clientX: 700, cancelable: true}"
    wheel = f"arguments[0].dispatchEvent(new WheelEvent('wheel', {turn}))"
    zooms = {
        "keys": lambda: window.press("+"),
        "wheel": lambda: window.run(wheel, window.find("#scroll")),
        "overview": lambda: window.drag("#overview", 300, 500),
        "chart": lambda: window.drag("#chart", 500, 700),
        "button": lambda: window.find("#in").click(),
    }
    for zoom in zooms.values():
        zoom()
        zoomed = window.image("#axis")
        assert zoomed != whole
        window.press(Keys.ARROW_LEFT)
        assert window.image("#axis") != zoomed
        window.press("0")
        assert window.image("#axis") == whole


def test_pointing_at_a_pod_tells_what_it_was(window: Window, url: str) -> None:
    window.open(url)
    window.hover("#chart", *FIRST_BAR)
    told = window.until(lambda: window.text("#tip"), "the tip")
    for word in ("dag_id=nightly", "#1", "pod airflow/nightly-0000-1", "node worker-", "queued", "running"):
        assert word in told


def test_search_and_categories_choose_keys(window: Window, url: str) -> None:
    window.open(url)

    def count() -> str:
        return (window.find("#scroll").get_attribute("aria-label") or "").partition(":")[0]

    assert count() == f"{WORKLOADS} keys"
    window.press("/")
    window.press("task_id=report nightly")
    assert count() == f"8 of {WORKLOADS} keys"
    window.press(Keys.ESCAPE)
    assert count() == f"{WORKLOADS} keys"
    window.find("#filters button:nth-child(2)").click()
    assert count() != f"{WORKLOADS} keys"
    assert window.find("#filters button:nth-child(2)").get_attribute("aria-pressed") == "true"


def test_arrow_keys_go_through_the_pods_and_scroll_to_them(window: Window, url: str) -> None:
    window.open(url)
    window.find("#scroll").send_keys(*[Keys.ARROW_DOWN] * 40)
    assert "dag_id=nightly" in window.text("#details")
    assert window.run("return document.getElementById('scroll').scrollTop") > 0


def test_the_keys_are_listed(window: Window, url: str) -> None:
    window.open(url)
    window.press("?")
    assert "choose a pod" in window.text("#help")


def test_of_ten_thousand_pods_no_more_is_drawn_than_is_seen(window: Window, tmp_path: Path) -> None:
    chart = TimelineChart(night(8_500))
    assert chart.to_dict()["pods"] > 10_000
    chart.save(tmp_path / "many.html")
    window.open((tmp_path / "many.html").as_uri())
    seen = window.run(
        "return [document.getElementById('chart').height, document.getElementById('space').offsetHeight]"
    )
    assert seen[0] < 760
    assert seen[1] > 8_500 * 24
    window.find("#search").send_keys("report-1699")
    assert (window.find("#scroll").get_attribute("aria-label") or "").startswith("1 of 8500 keys")
    assert window.complaints() == []

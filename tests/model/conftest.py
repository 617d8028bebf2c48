"""Prints what the model check has found: states, depth, and the counter-example of each rule that was switched off."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def no_logs() -> Iterator[None]:
    """The code logs in each replay."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.getreports(kind)]
    texts = [text for report in reports for name, text in report.user_properties if name == "model"]
    if texts:
        terminalreporter.section("model check")
        for text in sorted(texts):
            terminalreporter.write_line(text)

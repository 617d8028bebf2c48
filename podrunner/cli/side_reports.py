"""Reports beside a command's own output, one line each: log records, and errors that nothing caught."""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from podrunner.cli.failures import DEBUG, one_line

__all__ = ["one_line_reports"]


class _Lines(logging.Handler):
    """Writes a record as one line; where no other handler is set, that is all that is seen of it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write it."""
        try:
            error = record.exc_info[1] if record.exc_info else None
            _write(f"{record.levelname.lower()}: {record.getMessage()}", error)
        except (TypeError, ValueError):  # arguments that do not fit the message
            _write(f"{record.levelname.lower()}: {record.msg}", None)


@contextmanager
def one_line_reports() -> Iterator[None]:
    """Write each warning of the logs and each forgotten error as one line; ``PODRUNNER_DEBUG`` leaves them whole."""
    if os.environ.get(DEBUG):
        yield
        return
    before = logging.lastResort, sys.unraisablehook, threading.excepthook
    logging.lastResort = _Lines(logging.WARNING)
    sys.unraisablehook = threading.excepthook = _report
    try:
        yield
    finally:
        logging.lastResort, sys.unraisablehook, threading.excepthook = before


def _report(forgotten: Any) -> None:
    """Report an error that nothing can catch any more; both hooks name its value alike."""
    if not isinstance(forgotten.exc_value, SystemExit):
        _write("warning: an error was ignored", forgotten.exc_value)


def _write(text: str, error: BaseException | None) -> None:
    said = f": {type(error).__name__}: {error}" if error is not None else ""
    with suppress(Exception):  # there is no other place to report to
        sys.stderr.write(f"podrunner: {one_line(text + said)}\n")

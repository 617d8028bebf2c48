"""Reading the text of a configuration file, of whatever format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.errors import ConfigError
from podrunner.workload.files import read_utf8, shown_path

if TYPE_CHECKING:
    import os

__all__ = ["read_text"]


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a configuration file.

    Raises:
        ConfigError: It does not exist, may not be read, is not UTF-8, or is larger than any configuration.
    """
    try:
        return read_utf8(Path(path))
    except FileNotFoundError:
        raise ConfigError("there is no such file", source=str(path), remedy="Check the path") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (at byte {error.start})", source=str(path)) from None
    except ValueError as error:  # too large, or a path that no system takes
        raise ConfigError(f"cannot be read: {error}", source=shown_path(Path(path))) from None

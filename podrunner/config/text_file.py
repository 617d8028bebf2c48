"""Reading the text of a configuration file, of whatever format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from podrunner.errors import ConfigError

if TYPE_CHECKING:
    import os

__all__ = ["read_text"]


def read_text(path: str | os.PathLike[str]) -> str:
    """Read a configuration file.

    Raises:
        ConfigError: It does not exist, may not be read, or is not UTF-8.
    """
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise ConfigError("there is no such file", source=str(path), remedy="Check the path") from None
    except OSError as error:
        raise ConfigError(f"cannot be read: {error.strerror}", source=str(path)) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"is not UTF-8 (at byte {error.start})", source=str(path)) from None

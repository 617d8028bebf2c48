"""Sphinx settings: warnings are errors in CI (``nox -s docs``)."""

from __future__ import annotations

import inspect
from importlib.metadata import version as installed_version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "podrunner"
author = "The podrunner authors"
release = version = installed_version("podrunner")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_build", "changes"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_mock_imports = ["airflow", "sqlalchemy"]  # installed only where Airflow runs
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
python_maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute that is a property too is listed once
nitpicky = False

html_theme = "furo"
html_title = "podrunner"
html_static_path = ["_static"]


def _skip_generated_constructors(
    _app: object,
    _what: str,
    name: str,
    member: object,
    skip: bool | None,  # noqa: FBT001  # called by Sphinx
    _options: object,
) -> bool | None:
    """Skip the constructors of records and models: their parameters are their attributes, which are documented."""
    written_out = inspect.isfunction(member) and not member.__qualname__.startswith("BaseModel.")
    return True if name in {"__init__", "__new__"} and not written_out else skip


def setup(app: Sphinx) -> None:
    app.connect("autodoc-skip-member", _skip_generated_constructors)

"""Sphinx settings: warnings are errors in CI (``nox -s docs``)."""

from importlib.metadata import version as installed_version

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
autodoc_typehints = "description"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # an attribute is told once, though it may be a property too
nitpicky = False

html_theme = "furo"
html_title = "podrunner"
html_static_path = ["_static"]

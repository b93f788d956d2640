"""The documentation as a site: ``make docs``. Sphinx, MyST and furo; every link is checked.

The source folder is the repository itself, so that a page, its links and its pictures are where
they are on GitHub, and nothing is copied or rewritten:

    sphinx-build -W --keep-going -n -c docs . docs/_build/html
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs" / "_ext")]

import site_pages  # noqa: E402 - the line above is how it is found

import raytao  # noqa: E402 - likewise

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "raytao"
author = "The raytao authors"
copyright = author
version = release = raytao.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
root_doc = "docs/index"
include_patterns = [*site_pages.PAGES]
exclude_patterns = [*site_pages.elsewhere(ROOT)]  # not walked at all

myst_heading_anchors = 4  # GitHub's own, so that page.md#section is checked
myst_enable_extensions = ["fieldlist"]
suppress_warnings = ["config.cache"]

default_role = "code"  # what stands in single backticks in docstrings
autodoc_class_signature = "mixed"
autodoc_member_order = "bysource"
autodoc_mock_imports = ["ray", "torch"]  # their classes are named, never used
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
python_maximum_signature_line_length = 88
nitpick_ignore_regex = [("py:.*", ".*")]  # types of other packages, and of ours that no page has

html_theme = "furo"
html_title = "raytao"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {
    "light_css_variables": {"color-brand-primary": "#2f6f9f", "color-brand-content": "#2f6f9f"},
    "dark_css_variables": {"color-brand-primary": "#8fc1e6", "color-brand-content": "#8fc1e6"},
    "navigation_with_keys": True,
}


def setup(app: Sphinx) -> None:
    """Connect what is made while the site is built."""
    site_pages.connect(app)

"""Configuration of Sphinx: `python -m sphinx -W -n -b html docs build/docs`."""

import embrow

project = "embrow"
author = "The embrow authors"
copyright = author
version = release = embrow.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["examples"]
html_theme = "furo"
html_title = f"embrow {version}"

# Docstrings are in NumPy's style, in which types are prose and one backtick marks code.
default_role = "code"
smartquotes_action = "D"
autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False
napoleon_google_docstring = False
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Attributes", "params_style")]

# A heading's anchor, for links between pages.
myst_heading_anchors = 3

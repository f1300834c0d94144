"""How Sphinx builds the site: `make docs`. The API reference is that of the installed taut."""

import sys
from pathlib import Path

import taut

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

project = "taut"
author = "the authors of taut"
copyright = author
version = release = taut.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "elsewhere",
    "mathml",
]
exclude_patterns = ["extensions", "pictures", "static"]

# Pages are Markdown that GitHub shows, too: formulas between dollars, links to headings.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# Docstrings write code in single backticks.
default_role = "code"
autodoc_typehints = "none"  # docstrings say what arguments are, in words that readers know
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True}
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"taut {version}"
html_static_path = ["static"]
html_css_files = ["taut.css"]
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_math_renderer = "mathml"
pygments_style = "default"
pygments_dark_style = "github-dark"
copybutton_prompt_text = "$ "
copybutton_exclude = ".linenos, .gp, .go"

"""Links from pages to what is in the repository and not on the site.

A page links to a file or a folder as GitHub shows it. A file can be downloaded from the site, which
MyST sees to; a folder, or a file that has a page, is that page here.
"""

from typing import Any

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx

# The page for what a link's target ends in.
PAGES = {
    "cpp/include/taut": "reference/cpp",
    "examples/cpp_trainer": "tutorials/cpp-trainer",
    "examples/libtorch_trainer": "embed-in-libtorch",
    "benchmarks/README": "benchmarks",
    "CHANGELOG": "changelog",
    "CONTRIBUTING": "contributing",
    "SECURITY": "security",
}


def turn_to_pages(app: Sphinx, doctree: nodes.document) -> None:
    """Makes links lead to the pages that stand for their targets."""
    for link in doctree.findall(pending_xref):
        target = str(link.get("reftarget", "")).rstrip("/").removesuffix(".md")
        for end, page in PAGES.items():
            if target.endswith(end):
                link.attributes.update(refdomain="doc", reftarget=page, reftargetid=None)


def setup(app: Sphinx) -> dict[str, Any]:
    """Registers it with Sphinx."""
    app.connect("doctree-read", turn_to_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}

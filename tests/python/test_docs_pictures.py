"""The documentation's pictures: that the script draws them, and that pages show what is there."""

import re
import sys
from pathlib import Path

from frameworks import require
from programs import run

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = {path.relative_to(DOCS).as_posix() for path in DOCS.glob("pictures/*.png")}


def shown():
    """Returns the pictures that the pages show, with what stands for each where it is not seen."""
    texts = [page.read_text(encoding="utf-8") for page in DOCS.rglob("*.md")]
    links = [link for text in texts for link in re.findall(r"!\[(.*?)\]\((.*?)\)", text)]
    return {target.removeprefix("../"): words for words, target in links}


def test_the_pages_show_every_picture_and_no_other():
    assert set(shown()) == PICTURES != set()


def test_every_picture_is_described():
    assert min(len(words.split()) for words in shown().values()) >= 10


def test_the_script_draws_the_pictures(tmp_path):
    for library in ("matplotlib", "sklearn", "threadpoolctl"):
        require(library)
    run(sys.executable, DOCS / "pictures" / "draw.py", "--output", tmp_path, "--epochs", 1)
    drawn = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert {f"pictures/{name}" for name in drawn} == PICTURES
    for picture in drawn.values():
        assert picture.startswith(b"\x89PNG\r\n")
        assert len(picture) > 10_000

